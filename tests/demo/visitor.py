"""Who logs in by hand, as with curl and a cookie jar."""

from dataclasses import dataclass, field
from typing import Any

import aiohttp

from proxy.demo import SimulatedCamunda
from proxy.demo.csrf import Pairs

SEARCH = "/v1/process-definitions/search"


@dataclass(slots=True)
class Seen:
    """An answer."""

    status: int
    text: str
    headers: Any

    @property
    def set_cookies(self) -> list[str]:
        """Names in their order, a `-` before those that are deleted."""
        lines = self.headers.getall("Set-Cookie", [])
        return [("-" if "Expires=" in line else "") + line.partition("=")[0] for line in lines]


@dataclass(slots=True)
class Visitor:
    """Attributes:
    jar: cookies by name.
    token: the CSRF header's last value.
    """

    camunda: SimulatedCamunda
    client: aiohttp.ClientSession
    name: str
    jar: dict[str, str] = field(default_factory=dict)
    token: str | None = None

    @property
    def dialect(self) -> Any:
        return self.camunda.sessions(self.name).dialect

    @property
    def pairs(self) -> Pairs:
        pairs = self.camunda.sessions(self.name).pairs
        assert pairs is not None
        return pairs

    async def ask(self, method: str, path: str, *, csrf: bool = True, **more: Any) -> Seen:
        """One request with the jar, and with the CSRF header unless told not to."""
        headers = dict(more.pop("headers", {}))
        if self.jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        if csrf and self.token is not None and method not in ("GET", "HEAD"):
            headers[self.dialect.csrf] = self.token
        url = self.camunda.url(self.name) + path
        async with self.client.request(method, url, headers=headers, allow_redirects=False, **more) as answer:
            for line in answer.headers.getall("Set-Cookie", []):
                name, _, value = line.partition(";")[0].partition("=")
                self.jar.pop(name, None)
                if "Expires=" not in line:
                    self.jar[name] = value
            if self.dialect.csrf is not None:
                self.token = answer.headers.get(self.dialect.csrf, self.token)
            return Seen(answer.status, await answer.text(), answer.headers.copy())

    async def log_in(self, password: str | None = None) -> Seen:
        if self.dialect.login_wants_csrf:
            await self.ask("GET", "/login")
        form = {"username": self.camunda.username, "password": password or self.camunda.password}
        return await self.ask("POST", self.dialect.login, data=form)

    async def get(self) -> Seen:
        path = "/v1/process-instances/1" if self.name == "operate-8.2" else "/v2/topology"
        return await self.ask("GET", path)

    async def post(self, *, csrf: bool = True, **more: Any) -> Seen:
        own = {"tasklist-8.5": "/v1/tasks/search", "cluster-8.10": "/v2/process-instances/search"}
        path = own.get(self.name, SEARCH)
        return await self.ask("POST", path, csrf=csrf, json={}, **more)
