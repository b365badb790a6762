"""The proxy in this process, its clock standing still, before upstreams and a token endpoint of ours."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from proxy.app.change import Change
from proxy.app.proxy import Proxy, running
from proxy.app.upstreams import RunningUpstream
from proxy.config.load import load
from tests.clock import FakeClock
from tests.gateway.wire import Answer, Origin, Wire, origin
from tests.token_server import TokenServer, token_server

Document = dict[str, Any]

EPOCH = 1_900_000_000.0
"""Seconds since 1970 at 0 on the clock: in 2030, so that `check` finds nothing that has expired."""


class Site:
    """An upstream that says its name.

    Attributes:
        url: its base URL.
        shown: what came in Authorization, request by request.
        accepts: the only one that is let in; None: everybody.
        held: set when a request for `/hold` has come; it is answered once `release` is set.
        open: connections that are.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.url = ""
        self.shown: list[bytes | None] = []
        self.accepts: bytes | None = None
        self.held = asyncio.Event()
        self.release = asyncio.Event()
        self.open = 0

    async def play(self, wire: Wire) -> None:
        self.open += 1
        try:
            while True:
                head = (await wire.message()).head
                shown = head.get(b"authorization")
                self.shown.append(shown)
                if b"/hold" in head.line:
                    self.held.set()
                    await self.release.wait()
                status = b"200 OK" if self.accepts in (None, shown) else b"401 Unauthorized"
                body = self.name.encode()
                wire.send(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        finally:
            self.open -= 1


class House:
    """What a test needs.

    Attributes:
        a, b: upstreams.
        document: the configuration that is applied next; each test changes it as it likes.
    """

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.clock = FakeClock()
        self.a, self.b = Site("a"), Site("b")
        self.tokens: TokenServer
        self.document: Document = {}
        self.proxy: Proxy
        self._folder = folder
        self._stack = stack

    def wall(self) -> float:
        """The calendar, which goes on as the clock does."""
        return EPOCH + self.clock.now()

    def config(self) -> Any:
        file = self._folder / "c.yaml"
        file.write_text(json.dumps(self.document), encoding="utf-8")
        return load(config=file, env_file=None, environ={}, directory=self._folder)

    async def apply(self) -> Change:
        change = await self.proxy.apply(self.config())
        await self.clock.settle()
        return change

    def upstream(self, name: str = "zeebe") -> RunningUpstream:
        return next(served for served in self.proxy.served if served.upstream.name == name)

    def port(self, name: str = "zeebe") -> int:
        return self.upstream(name).bound.port

    async def caller(self, name: str = "zeebe", port: int | None = None) -> Wire:
        """A connection to an upstream's port."""
        bound = self.upstream(name).bound
        if port is None and bound.path:
            wire = Wire(*await asyncio.open_unix_connection(bound.path))
        else:
            wire = Wire(*await asyncio.open_connection("127.0.0.1", port or bound.port))
        self._stack.callback(wire.cut)
        return wire

    async def ask(self, name: str = "zeebe", *fields: str) -> Answer:
        """One request on a connection of its own."""
        return await ask(await self.caller(name), "/v2/topology", *fields)

    async def says(self, name: str = "zeebe") -> str:
        """Who answers at an upstream's port."""
        answer = await self.ask(name)
        assert answer.status == 200, answer
        return answer.body.decode()

    async def look(self, path: str) -> Answer:
        """Ask the admin port."""
        host, _, port = self.proxy.admin_address.rpartition(":")
        wire = Wire(*await asyncio.open_connection(host, int(port)))
        answer = await ask(wire, path)
        wire.cut()
        return answer

    async def metric(self, name: str, **labels: str) -> float:
        text = (await self.look("/metrics")).body.decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"camunda_auth_proxy_{name}" and labels.items() <= sample.labels.items()
        )

    async def until(self, fact: Callable[[], object]) -> None:
        """Let sockets speak, while time stands still."""
        async with asyncio.timeout(10):
            while not fact():
                await self.clock.settle()

    async def later(self, fact: Callable[[], object]) -> None:
        """As `until`, and time goes on, but for no more than a second."""
        for _ in range(20):
            if fact():
                return
            await self.clock.advance(0.05)
        await self.until(fact)


async def ask(wire: Wire, path: str, *fields: str) -> Answer:
    send(wire, path, *fields)
    return await wire.message()


def send(wire: Wire, path: str, *fields: str) -> None:
    wire.send("\r\n".join((f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", "")).encode())


@asynccontextmanager
async def house(folder: Path, prepare: Callable[[House], None] = lambda _: None) -> AsyncIterator[House]:
    """`zeebe` before site a, with a token that is there by then; the admin port."""
    async with AsyncExitStack() as stack:
        it = House(folder, stack)
        for site in (it.a, it.b):
            site.url = _url(await stack.enter_async_context(origin(site.play)))
            stack.callback(site.release.set)
        it.tokens = await stack.enter_async_context(token_server(clock=it.clock))
        it.tokens.named = lambda number: f"token-{number}"
        stack.callback(it.tokens.open.set)
        it.document = {
            "upstreams": {"zeebe": {"url": it.a.url, "listen": "localhost:0", "credential": "identity"}},
            "credentials": {
                "identity": {
                    "type": "oauth2",
                    "token_url": it.tokens.url,
                    "client_id": "orchestration",
                    "client_secret": "canary-client-secret",
                }
            },
            "admin": {"listen": "127.0.0.1:0"},
        }
        prepare(it)
        it.proxy = await stack.enter_async_context(running(it.config(), it.clock, it.wall))
        await it.until(lambda: it.proxy.started)
        yield it


def _url(site: Origin) -> str:
    return f"http://127.0.0.1:{site.port}"
