"""The real proxy before the simulated Camunda, and a caller who brings what must not pass."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from proxy.app.proxy import Proxy, running
from proxy.app.upstreams import RunningUpstream
from proxy.clock import Clock
from proxy.config.load import load
from proxy.demo import SimulatedCamunda

BPMN = b'<bpmn:process id="mission"><zeebe:taskDefinition type="work" /></bpmn:process>'
CALLERS_OWN = {
    "Authorization": "Bearer the-callers-own",
    "Cookie": "OPERATE-SESSION=the-callers-own; theme=dark",
    "X-CSRF-TOKEN": "the-callers-own",
}


class Answer(NamedTuple):
    status: int
    text: str
    headers: Any

    @property
    def ours(self) -> bool:
        """Whether the proxy itself answered."""
        return "Proxy-Status" in self.headers

    @property
    def code(self) -> str:
        return str(json.loads(self.text)["type"]).rpartition(":")[2]

    @property
    def leaks(self) -> list[str]:
        """Fields of the session that a caller must not see."""
        return [name for name in self.headers if name == "Set-Cookie" or "CSRF" in name.upper()]


class House:
    """Attributes:
    camunda: what stands behind the proxy.
    proxy: as it runs.
    instance: key of a process instance that runs.
    """

    def __init__(self, camunda: SimulatedCamunda, proxy: Proxy, client: aiohttp.ClientSession) -> None:
        self.camunda = camunda
        self.proxy = proxy
        self._client = client
        (process,) = camunda.engine.deploy(BPMN)
        self.instance = camunda.engine.start(process).key

    def served(self, upstream: str) -> RunningUpstream:
        return next(each for each in self.proxy.served if each.upstream.name == upstream)

    async def ask(self, upstream: str, method: str, path: str) -> Answer:
        """One request; `{instance}` in the path is the instance's key."""
        host = f"http://localhost:{self.served(upstream).bound.port}"
        path = path.replace("{instance}", str(self.instance))
        body: dict[str, Any] = {"json": {}} if method == "POST" else {}
        url = URL(host + path, encoded=True)  # else its dot segments and escapes would be resolved here
        async with self._client.request(
            method, url, headers=CALLERS_OWN, allow_redirects=False, **body
        ) as answer:
            return Answer(answer.status, await answer.text(), answer.headers.copy())

    async def admin(self, path: str) -> Answer:
        async with self._client.get(f"http://{self.proxy.admin_address}{path}") as answer:
            return Answer(answer.status, await answer.text(), answer.headers.copy())


@asynccontextmanager
async def house(
    folder: Path,
    camunda: SimulatedCamunda,
    upstreams: Mapping[str, Mapping[str, Any]],
    credentials: Mapping[str, Mapping[str, Any]],
    **more: Any,
) -> AsyncIterator[House]:
    """The proxy with this configuration, and `more` sections of it, on the clock of Camunda."""
    path = folder / "camunda-auth-proxy.yaml"
    written = {
        "upstreams": {name: {"listen": "localhost:0", **upstream} for name, upstream in upstreams.items()},
        "credentials": credentials,
        "admin": {"listen": "127.0.0.1:0"},
        **more,
    }
    path.write_text(json.dumps(written), encoding="utf-8")
    config = load(config=path, env_file=None, environ={}, directory=folder)
    clock: Clock = camunda.clock
    timeout = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        running(config, clock) as proxy,
        aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout
        ) as client,
    ):
        yield House(camunda, proxy, client)
