"""The servers that the tests here share, each started when the first test needs it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.real.servers import RELEASES, AuthorizationServer, Issuer, Keycloak, OidcProvider, StandIn
from tests.real.sidecar import Sidecar, sidecar

Start = Callable[..., AbstractAsyncContextManager[Sidecar]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that wait first, so that none of them is left when all others are done."""
    items.sort(key=lambda item: item.get_closest_marker("waits") is None)


@pytest.fixture(scope="session")
def keycloak() -> Keycloak:
    return Keycloak().up()


@pytest.fixture(
    scope="session", params=[Keycloak, OidcProvider, AuthorizationServer], ids=lambda kind: kind.__name__
)
def issuer(request: pytest.FixtureRequest) -> Issuer:
    """Each of three identity providers of unrelated code."""
    made: Issuer = request.param()
    return made.up()


@cache
def shared(release: str) -> StandIn:
    return StandIn(release).up()


@pytest.fixture(params=RELEASES)
def standin(request: pytest.FixtureRequest) -> StandIn:
    """Every release; `@only(...)` names those where a test makes sense."""
    return shared(request.param)


def only(*releases: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("standin", releases, indirect=True)


@pytest.fixture
def start(keycloak: Keycloak, standin: StandIn, tmp_path: Path) -> Start:
    """`start(client_id=...)`: a proxy with this client of Keycloak, before the release's `/v2`."""
    client: dict[str, Any] = {"type": "oauth2", "token_url": keycloak.token_url, "client_secret": "secret"}

    def begin(**credential: Any) -> AbstractAsyncContextManager[Sidecar]:
        secret = {"client_secret": None} if "client_secret_file" in credential else {}
        settings = {
            name: value for name, value in (client | secret | credential).items() if value is not None
        }
        return sidecar(tmp_path, standin.url("zeebe"), **settings)

    return begin
