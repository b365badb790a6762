"""The servers that the tests here share, each started when the first test needs it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.real.servers import Keycloak, TokenChecker, started
from tests.real.sidecar import Sidecar, sidecar

Start = Callable[..., AbstractAsyncContextManager[Sidecar]]


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Keycloak]:
    with started(Keycloak()) as server:
        yield server


@pytest.fixture(scope="session")
def engine(keycloak: Keycloak) -> Iterator[TokenChecker]:
    with started(TokenChecker()) as server:
        yield server


@pytest.fixture
def start(keycloak: Keycloak, engine: TokenChecker, tmp_path: Path) -> Start:
    """`start(client_id=..., client_secret=...)`: a proxy with this OAuth credential, before the engine."""
    return partial(sidecar, tmp_path, engine.url, type="oauth2", token_url=keycloak.token_url)
