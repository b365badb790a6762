"""The servers that every test here shares; each test starts the proxies it needs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from tests.real.servers import Engine, Keycloak, Server
from tests.real.sidecar import Sidecar, sidecar

Start = Callable[..., AbstractAsyncContextManager[Sidecar]]


S = TypeVar("S", bound=Server)


def started(server: S) -> Iterator[S]:
    server.ask("stop")  # what a run that was killed has left
    try:
        server.ask("start")
        yield server
    finally:
        server.ask("stop")


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Keycloak]:
    yield from started(Keycloak())


@pytest.fixture(scope="session")
def engine(keycloak: Keycloak) -> Iterator[Engine]:
    yield from started(Engine())


@pytest.fixture
def start(keycloak: Keycloak, engine: Engine, tmp_path: Path) -> Start:
    """`start(client_id=..., client_secret=...)`: a proxy with this OAuth credential, before the engine."""
    return partial(sidecar, tmp_path, keycloak, engine)
