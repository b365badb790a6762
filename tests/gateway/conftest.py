"""Every test that waits runs on both loops: uvloop as in production, asyncio as on Windows."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

import pytest

from proxy.commands.loop import new_loop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": new_loop}


@pytest.fixture(autouse=True)
def _silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that a caller or an upstream does may end in a log: it could hold what they sent."""
    yield
    loud = [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert not loud, [record.getMessage() for record in loud]
