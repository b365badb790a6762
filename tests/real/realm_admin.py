"""What an operator does to the realm while the proxy runs, by Keycloak's admin REST API (26.7)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.real.servers import Keycloak

KEY_PROVIDER = "org.keycloak.keys.KeyProvider"


class RealmAdmin:
    """The operator, logged in at one realm."""

    def __init__(self, session: aiohttp.ClientSession, realm: str) -> None:
        self._session = session
        self._realm = realm

    async def add_client(self, name: str, life: int = 300, audience: str = "zeebe-api") -> str:
        """A client of one test's own, secret `secret`, tokens of `life` seconds. Returns its name."""
        mapper = {"included.custom.audience": audience, "access.token.claim": "true"}
        client = {
            "clientId": name,
            "secret": "secret",
            "serviceAccountsEnabled": True,
            "standardFlowEnabled": False,
            "attributes": {"access.token.lifespan": str(life)},
            "protocolMappers": [
                {
                    "name": audience,
                    "protocol": "openid-connect",
                    "protocolMapper": "oidc-audience-mapper",
                    "config": mapper,
                }
            ],
        }
        await self._session.post(f"{self._realm}/clients", json=client)
        return name

    async def create(self, where: str, what: dict[str, Any]) -> None:
        """Anything of the realm: `clients`, `users`, `identity-provider/instances`."""
        await self._session.post(f"{self._realm}/{where}", json=what)

    async def end_sessions(self, name: str, *, offline: bool) -> None:
        """End all sessions of the person of that name, or the offline ones by the client of the same name."""
        person = await self._id("users", username=name)
        if not offline:
            await self._session.post(f"{self._realm}/users/{person}/logout")
            return
        client = await self._id("clients", clientId=name)
        where = f"{self._realm}/users/{person}/offline-sessions/{client}"
        async with self._session.get(where) as answer:
            found = await answer.json()
        for each in found:
            how = {"isOffline": "true"}
            await self._session.delete(f"{self._realm}/sessions/{each['id']}", params=how)

    async def _id(self, where: str, **which: str) -> str:
        async with self._session.get(f"{self._realm}/{where}", params=which) as answer:
            (found,) = await answer.json()
        return str(found["id"])

    async def set_secret(self, client: str, secret: str) -> None:
        """From now on no other secret counts; tokens that are out stay good."""
        async with self._session.get(f"{self._realm}/clients", params={"clientId": client}) as answer:
            (found,) = await answer.json()
        await self._session.put(f"{self._realm}/clients/{found['id']}", json=found | {"secret": secret})

    async def rotate_keys(self) -> None:
        """A new RSA key signs, and the ones before it are no longer published."""
        async with self._session.get(f"{self._realm}/components", params={"type": KEY_PROVIDER}) as answer:
            old = [each for each in await answer.json() if each["providerId"] == "rsa-generated"]
        settings = {"priority": ["200"], "keySize": ["2048"], "algorithm": ["RS256"]}
        new = old[0] | {"name": "rotated", "config": settings}
        del new["id"]
        await self._session.post(f"{self._realm}/components", json=new)
        for each in old:
            await self._session.delete(f"{self._realm}/components/{each['id']}")


@asynccontextmanager
async def realm_admin(keycloak: Keycloak) -> AsyncIterator[RealmAdmin]:
    """Raises aiohttp.ClientResponseError where Keycloak refuses."""
    root, realm = keycloak.url.split("/realms/")
    form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin"}
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async with session.post(f"{root}/realms/master/protocol/openid-connect/token", data=form) as answer:
            token = (await answer.json())["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        yield RealmAdmin(session, f"{root}/admin/realms/{realm}")
