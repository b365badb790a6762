"""The proxy in the states that its page has to show, before upstreams and a token endpoint of ours."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import trustme
from aiohttp import web

from tests.app.command import Running, proxy
from tests.token_server import TokenServer, invalid_client, token_server

STATES = ("well", "starting", "token-endpoint-down", "client-refused", "upstream-down", "draining", "thirty")
SECRET = "a-secret-that-no-page-shows"
MIX = (
    ("zeebe", "GET", "/v2/topology"),
    ("zeebe", "POST", "/v2/process-instances/search"),
    ("zeebe", "POST", "/v2/jobs/activation?secret=in-a-query"),
    ("operate", "POST", "/v1/process-definitions/search"),
    ("zeebe", "GET", "/v2/process-instances/2251799813685249"),
    ("optimize", "GET", "/api/public/dashboard?collectionId=x"),
    ("zeebe", "GET", "/v2/user-tasks/404"),
)


class Cluster:
    """Upstreams that answer everything; a path that ends with `/404` is not found, `/hold` waits.

    Attributes:
        urls: by the name of the upstream.
        release: lets the held requests end.
    """

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}
        self.held = asyncio.Event()
        self.release = asyncio.Event()
        self._runners: dict[str, web.ServerRunner] = {}
        self._dice = secrets.SystemRandom()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        await request.read()
        if request.path.endswith("/hold"):
            self.held.set()
            await self.release.wait()
        await asyncio.sleep(self._dice.expovariate(1 / 0.012))
        status = 404 if request.path.endswith("/404") else 200
        return web.json_response({"items": []}, status=status)

    async def start(self, name: str, tls: ssl.SSLContext | None = None) -> None:
        runner = self._runners[name] = web.ServerRunner(web.Server(self.answer, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        self.urls[name] = f"{'http' if tls is None else 'https'}://127.0.0.1:{runner.addresses[0][1]}"

    async def stop(self, name: str) -> None:
        await self._runners.pop(name).cleanup()

    async def close(self) -> None:
        self.release.set()
        for name in tuple(self._runners):
            await self.stop(name)


def configuration(folder: Path, cluster: Cluster, tokens: TokenServer, **more: Any) -> dict[str, Any]:
    """Three upstreams with three kinds of credentials."""
    own: dict[str, dict[str, Any]] = {
        "zeebe": {"credential": "identity", "tls": {"ca_file": str(folder / "ca.pem")}},
        "operate": {"credential": "login"},
        "optimize": {"credential": "shared"},
    }
    return {
        "upstreams": {
            name: {"url": cluster.urls[name], "listen": "localhost:0", **own[name]} for name in own
        },
        "credentials": {
            "identity": {
                "type": "oauth2",
                "token_url": tokens.url,
                "client_id": "zeebe-client",
                "client_secret": SECRET,
            },
            "login": {"type": "basic", "username": "demo", "password": SECRET},
            "shared": {"type": "bearer", "token": SECRET},
        },
        "admin": {"listen": "localhost:0"},
        **more,
    }


def thirty(cluster: Cluster, tokens: TokenServer) -> dict[str, Any]:
    """Thirty upstreams, most of them good."""
    regions = ("bru-2", "dsm-1", "jfk-1")
    names = [
        f"{api}-{region}-{at}" for at in range(1, 6) for api in ("zeebe", "optimize") for region in regions
    ]
    good = {"type": "oauth2", "token_url": tokens.url, "client_secret": SECRET}
    return {
        "upstreams": {
            name: {
                "api": name.partition("-")[0],
                "url": cluster.urls["down" if name == "zeebe-jfk-1-2" else "operate"],
                "listen": "localhost:0",
                "credential": "old-client" if name.startswith("optimize-dsm-1-3") else f"client-{at % 4}",
            }
            for at, name in enumerate(names)
        },
        "credentials": {
            "old-client": {**good, "client_id": "old-client", "token_url": cluster.urls["down"]},
            **{f"client-{at}": {**good, "client_id": f"client-{at}"} for at in range(4)},
        },
        "admin": {"listen": "localhost:0"},
    }


@asynccontextmanager
async def cluster_of(folder: Path) -> AsyncIterator[Cluster]:
    """The upstreams; `down` names a port at which nothing listens."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = datetime.now(UTC) + timedelta(days=74)
    authority.issue_cert("127.0.0.1", common_name="camunda", not_after=ends).configure_cert(context)
    cluster = Cluster()
    try:
        await cluster.start("zeebe", context)
        for name in ("operate", "optimize", "down"):
            await cluster.start(name)
        await cluster.stop("down")
        yield cluster
    finally:
        await cluster.close()


class Callers:
    """Clients of the proxy."""

    def __init__(self, running: Running, names: tuple[str, ...]) -> None:
        self._running = running
        self._names = names
        self.stop = asyncio.Event()

    async def call(self) -> None:
        """Make calls in a rate that goes up and down, until `stop` is set."""
        dice = secrets.SystemRandom()
        turn = 0
        async with aiohttp.ClientSession() as session:
            urls = {name: await self._running.url(name) for name in self._names}
            while not self.stop.is_set():
                turn += 1
                name, method, path = MIX[dice.choices(range(len(MIX)), (30, 30, 20, 25, 20, 10, 1))[0]]
                if name not in urls:
                    name = dice.choice(self._names)
                try:
                    async with session.request(method, urls[name] + path, data=None) as answer:
                        await answer.read()
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(dice.uniform(0.01, 0.05) * (1 + (turn // 150) % 4))


@asynccontextmanager
async def in_state(state: str, folder: Path, seconds: float = 0.0) -> AsyncIterator[str]:
    """Run the proxy in one of STATES, and clients before it; yield the URL of its page.

    Args:
        seconds: for which clients make calls before the state begins.
    """
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(cluster_of(folder))
        tokens = await stack.enter_async_context(token_server())
        wanted = _prepared(state, folder, cluster, tokens)
        running = await stack.enter_async_context(proxy(folder, wanted))
        names = tuple(wanted["upstreams"])
        url = (await running.admin()).replace("127.0.0.1", "localhost")
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        callers = Callers(running, names)
        stack.callback(callers.stop.set)
        if state != "starting":
            tasks.create_task(callers.call())
        async with aiohttp.ClientSession() as session, session.get(f"{url}/events") as events:
            await events.content.readline()  # from now on the proxy keeps points
            await asyncio.sleep(seconds)
        await _begin(state, running, cluster, tokens, tasks)
        if seconds:
            await asyncio.sleep(4)
        yield url
        tokens.open.set()
        cluster.release.set()


def _prepared(state: str, folder: Path, cluster: Cluster, tokens: TokenServer) -> dict[str, Any]:
    refused: Callable[[], web.Response] = invalid_client
    if state == "thirty":
        return thirty(cluster, tokens)
    wanted = configuration(folder, cluster, tokens, shutdown={"grace": "20s"})
    if state == "starting":
        tokens.open.clear()
    if state == "token-endpoint-down":
        wanted["credentials"]["identity"]["token_url"] = f"{cluster.urls['down']}/oauth/token"
    if state == "client-refused":
        tokens.always = refused
    return wanted


async def _begin(
    state: str, running: Running, cluster: Cluster, tokens: TokenServer, tasks: asyncio.TaskGroup
) -> None:
    if state == "upstream-down":
        await cluster.stop("zeebe")
    if state == "draining":
        tasks.create_task(running.get("operate", "/v1/hold"))
        await cluster.held.wait()
        running.signal()
