from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from proxy.demo import Rules, SimulatedCamunda, simulated_camunda
from tests.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def camunda(clock: FakeClock) -> AsyncIterator[SimulatedCamunda]:
    async with simulated_camunda(clock=clock, rules=Rules(token_gap=0.0)) as simulated:
        yield simulated


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as opened:
        yield opened


class Caller:
    """A plain client that knows how to ask for tokens."""

    def __init__(self, camunda: SimulatedCamunda, session: aiohttp.ClientSession) -> None:
        self.camunda = camunda
        self.session = session

    def saas_form(self, **changes: str) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_id": "saas-client",
            "client_secret": self.camunda.saas.clients["saas-client"].secret,
            "audience": "zeebe.camunda.io",
            **changes,
        }

    def keycloak_form(self, client: str = "orchestration", **changes: str) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_id": client,
            "client_secret": self.camunda.keycloak.clients[client].secret,
            **changes,
        }

    async def saas_token(self, **changes: str) -> str:
        async with self.session.post(self.camunda.saas.url, data=self.saas_form(**changes)) as answer:
            return str((await answer.json())["access_token"])

    async def token(self, client: str = "orchestration") -> str:
        async with self.session.post(self.camunda.keycloak.url, data=self.keycloak_form(client)) as answer:
            return str((await answer.json())["access_token"])

    async def ask(
        self, url: str, *, token: str | None = None, method: str = "GET", **more: Any
    ) -> "tuple[int, str, aiohttp.ClientResponse]":
        """Status, text, answer."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        more.setdefault("allow_redirects", False)
        async with self.session.request(method, url, headers=headers, **more) as answer:
            return answer.status, await answer.text(), answer


@pytest.fixture
def caller(camunda: SimulatedCamunda, session: aiohttp.ClientSession) -> Caller:
    return Caller(camunda, session)
