"""Every answer belongs to its request, whatever resets what (uvloop issues 646, 738; aiohttp issue 10506).

`CHAOS_SECONDS` makes each run shorter or longer.
"""

import asyncio
import json
import os
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web

from proxy.clock import SystemClock, pause
from tests.app.command import Running, proxy
from tests.certificates import certificate, serving
from tests.chaos.front import Front, front
from tests.chaos.ledger import Caller, Ledger
from tests.connect_proxy import connect_proxy

SECONDS = float(os.environ.get("CHAOS_SECONDS", "60"))
CLOCK = SystemClock()
NAMES = ("plain-1", "plain-2", "tls-1", "tls-2", "tunnel-1", "tunnel-2")
CALLERS = 80

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 120)]


async def token(request: web.Request) -> web.Response:
    """A token that is good for two seconds, so that there are many fetches."""
    return web.json_response({"access_token": f"token-{request.path[1:]}", "expires_in": 2})


async def echo(request: web.Request) -> web.Response:
    """The id of the request, after as long as it asks for."""
    await request.read()
    await pause(CLOCK, int(request.query["after"]) / 1000)
    return web.Response(text=request.match_info["id"])


@asynccontextmanager
async def served(path: str, handler: Any, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    app = web.Application(client_max_size=1 << 20)
    app.router.add_route("*", path, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


class World:
    """The servers behind the proxy, with a front before each that may reset.

    Attributes:
        config: for the proxy.
        fronts: those before the token endpoint, the TLS upstream and the HTTP proxy.
    """

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.fronts: list[Front] = []

    async def trouble(self, until: float) -> None:
        """Resets for three seconds, none for two, and again."""
        while CLOCK.now() < until:
            for each in self.fronts:
                each.share = 0.7
            await pause(CLOCK, 3)
            for each in self.fronts:
                each.share = 0.0
            await pause(CLOCK, 2)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    pki = certificate(folder / "pki", "127.0.0.1")
    random = Random(7)
    made = World()
    async with AsyncExitStack() as stack:

        async def behind_front(port: int) -> int:
            before = await stack.enter_async_context(front(port, random))
            made.fronts.append(before)
            return before.port

        tokens = await behind_front(await stack.enter_async_context(served("/{name}", token, serving(pki))))
        plain = await stack.enter_async_context(served("/echo/{id}", echo, None))
        secure_site = await stack.enter_async_context(served("/echo/{id}", echo, serving(pki)))
        secure = await behind_front(secure_site)
        way = await stack.enter_async_context(connect_proxy())
        tunnel = await behind_front(way.port)
        upstreams: dict[str, Any] = {
            "plain-1": {"url": f"http://127.0.0.1:{plain}"},
            "plain-2": {"url": f"http://127.0.0.1:{plain}"},
            "tls-1": {"url": f"https://127.0.0.1:{secure}"},
            "tls-2": {"url": f"https://127.0.0.1:{secure}"},
            "tunnel-1": {
                "url": f"https://127.0.0.1:{secure_site}",
                "http_proxy": f"http://127.0.0.1:{tunnel}",
            },
            "tunnel-2": {
                "url": f"https://127.0.0.1:{secure_site}",
                "http_proxy": f"http://127.0.0.1:{tunnel}",
            },
        }
        trusted = {"tls": {"ca_file": str(pki[0])}}
        made.config = {
            "upstreams": {
                name: upstream
                | {"api": "other", "listen": "localhost:0", "credential": name}
                | (trusted if upstream["url"].startswith("https") else {})
                for name, upstream in upstreams.items()
            },
            "credentials": {
                name: {
                    "type": "oauth2",
                    "token_url": f"https://127.0.0.1:{tokens}/{name}",
                    "client_id": name,
                    "client_secret": "s",
                }
                | ({"http_proxy": f"http://127.0.0.1:{tunnel}"} if name.endswith("-2") else {})
                | trusted
                for name in NAMES
            },
            "admin": {"listen": "127.0.0.1:0"},
        }
        yield made


class Handles:
    """The open sockets of a running proxy.

    Attributes:
        beside: those that are no connection to an upstream, before there was any traffic.
    """

    def __init__(self, sidecar: Running) -> None:
        self._sidecar = sidecar
        self.beside = 0

    async def unknown(self) -> int:
        """Open sockets that are no connection to an upstream by the proxy's own count."""
        known = await self._sidecar.metric("upstream_connections")
        files = []
        for each in Path(f"/proc/{self._sidecar.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed just now
                files.append(str(each.readlink()))
        return sum(file.startswith("socket:") for file in files) - int(known)

    async def settled(self) -> bool:
        """Whether no more are open than before; a token request may be under way."""
        return await self.unknown() <= self.beside


async def storm(sidecar: Running, around: World, *, goes: float = 0.0) -> Ledger:
    """Callers and trouble for SECONDS; then every open socket is one that the proxy knows of."""
    handles = Handles(sidecar)
    ports = [int((await sidecar.url(name)).rpartition(":")[2]) for name in NAMES]

    async def all_fetched() -> bool:
        return await sidecar.metric("credential_usable") == len(NAMES)

    await sidecar.until(all_fetched)  # or first fetches would count as sockets that stay
    handles.beside = min([await handles.unknown() for _ in range(50)])
    ledger, until = Ledger(), CLOCK.now() + SECONDS
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(around.trouble(until))
        for number in range(CALLERS):
            caller = Caller(ports[number % len(ports)], number % 3 != 0, goes, ledger, Random(number))
            tasks.create_task(caller.run(until))
    await sidecar.until(handles.settled)
    return ledger


def check(ledger: Ledger, around: World, sidecar: Running) -> None:
    """Nothing was crossed, lost or stuck, there was trouble, and most was answered by its upstream."""
    ledger.check()
    assert sum(each.resets.total() for each in around.fronts) > SECONDS, [
        each.resets for each in around.fronts
    ]
    assert ledger.statuses[200] > 10 * SECONDS, ledger
    assert ledger.statuses.keys() <= {200, 502, 503, 504}, ledger
    assert "Traceback" not in sidecar.said, sidecar.said


async def test_resets_everywhere_cross_no_answer_and_lose_none(tmp_path: Path) -> None:
    async with world(tmp_path) as around, proxy(tmp_path, around.config) as sidecar:
        check(await storm(sidecar, around), around, sidecar)


async def test_callers_that_go_while_connections_are_made_leave_no_socket_behind(tmp_path: Path) -> None:
    async with world(tmp_path) as around, proxy(tmp_path, around.config) as sidecar:
        ledger = await storm(sidecar, around, goes=0.3)
        assert ledger.cancelled > SECONDS
        check(ledger, around, sidecar)


async def test_reloads_meanwhile_change_nothing_about_that(tmp_path: Path) -> None:
    async with world(tmp_path) as around, proxy(tmp_path, around.config) as sidecar:
        until = CLOCK.now() + SECONDS

        async def reload() -> None:
            number = 0
            while CLOCK.now() < until:
                await pause(CLOCK, 1.0)
                number += 1
                for name, upstream in around.config["upstreams"].items():
                    upstream["response_timeout"] = 600 + (number + len(name)) % 3
                (tmp_path / "camunda-auth-proxy.yaml").write_text(json.dumps(around.config))
                sidecar.signal(signal.SIGHUP)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reload())
            ledger = await storm(sidecar, around)
        assert await sidecar.metric("config_reloads_total", outcome="ok") > SECONDS / 2
        check(ledger, around, sidecar)


async def test_hardly_any_files_left_cross_no_answer_either(tmp_path: Path) -> None:
    """There are files for 52 of the 80 callers; the others are told so."""
    async with (
        world(tmp_path) as around,
        proxy(tmp_path, around.config, files=112 + 4 * 6 + 2 * 52) as sidecar,
    ):
        ledger = await storm(sidecar, around)
        assert await sidecar.metric("problems_total", problem="too_many_callers") > SECONDS
        check(ledger, around, sidecar)
