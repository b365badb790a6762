"""The event loop: uvloop where there is one."""

import asyncio
from collections.abc import Coroutine
from importlib.metadata import version
from typing import Any, TypeVar

Result = TypeVar("Result")

try:
    import uvloop
except ImportError:  # Windows
    uvloop = None  # type: ignore[assignment, unused-ignore]


def loop_name() -> str:
    """For people: which loop runs."""
    return f"uvloop {version('uvloop')}" if uvloop is not None else "asyncio"


def run_loop(main: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end on the best loop there is."""
    factory = uvloop.new_event_loop if uvloop is not None else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)
