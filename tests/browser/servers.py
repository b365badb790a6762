"""What stands on loopback around the proxy: an upstream that keeps a record, pages, and a tap on the wire."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiohttp import web

PATIENCE = 20.0
MARKER = "what-only-the-upstream-knows"
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "*",
    "Access-Control-Allow-Headers": "*",
}
# What a document does that somebody stored in the API: ask its own origin, and show that it was answered.
STEALS = (
    "fetch(location.href.replace(/as=[a-z]+/, 'as=text') + '-stolen')"
    ".then(answer => answer.text())"
    f".then(text => {{ document.documentElement.id = text.includes('{MARKER}'); }})"
)
# One answer for each way of asking, so that whoever may ask can use it.
ANSWERS = {
    "text": ("text/html", f"<!DOCTYPE html><title>upstream</title><p>{MARKER}</p>"),
    "document": ("text/html", f"<!DOCTYPE html><p>{MARKER}</p><script>{STEALS}</script>"),
    "drawing": ("image/svg+xml", f'<svg xmlns="http://www.w3.org/2000/svg"><script>{STEALS}</script></svg>'),
    "script": ("text/javascript", f"globalThis.stolen = '{MARKER}'"),
    "style": ("text/css", f":root {{ --stolen: {MARKER}; }}"),
    "image": ("image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="9"></svg>'),
    "events": ("text/event-stream", f"data: {MARKER}\n\n"),
}


@dataclass
class Upstream:
    """Answers everybody, everything, to every origin: all that keeps pages away is before it.

    Attributes:
        requests: method and target of each that arrived.
    """

    port: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.raw_path))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str(MARKER)
            async for _ in socket:
                pass
            return socket
        kind, text = ANSWERS[request.query.get("as", "text")]
        return web.Response(text=text, content_type=kind, headers=CORS)

    def seen(self, mark: str) -> list[str]:
        """Methods of the requests that carry this mark."""
        return [method for method, target in self.requests if mark in target]


@dataclass
class Exchange:
    """A request as the browser wrote it, and the bytes it got for it."""

    asked: bytes
    answered: bytes = b""

    @property
    def status(self) -> int:
        return int(self.answered[9:12])

    @property
    def whole(self) -> bool:
        """Whether all of the answer's announced bytes are there."""
        head, end, body = self.answered.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        return bool(end) and (len(body) >= length or self.asked.startswith(b"HEAD "))


class Tap:
    """A port that hands every byte on to another port, and back: it has seen all that a browser can do.

    The port it shows is not the proxy's own, as where a container's port is published under another number.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self._towards = port
        self._exchanges: list[Exchange] = []
        self._news = asyncio.Condition()

    def seen(self, mark: str) -> list[Exchange]:
        """The exchanges whose request line carries this mark."""
        return [each for each in self._exchanges if mark.encode() in each.asked.split(b"\r\n", 1)[0]]

    async def answered(self, mark: str) -> list[Exchange]:
        """The same, once there are some and all are answered."""

        def done() -> bool:
            seen = self.seen(mark)
            return bool(seen) and all(exchange.whole for exchange in seen)

        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(done)
        return self.seen(mark)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._towards)
        mine: list[Exchange] = []

        def asked(octets: bytes) -> None:
            # A browser does not pipeline: what it says after an answer is a new request.
            if not mine or mine[-1].answered:
                mine.append(Exchange(b""))
                self._exchanges.append(mine[-1])
            mine[-1].asked += octets

        def answered(octets: bytes) -> None:
            if mine:
                mine[-1].answered += octets

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pump(reader, back, asked))
            tasks.create_task(self._pump(there, writer, answered))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes], None]
    ) -> None:
        with suppress(ConnectionError):
            while octets := await reader.read(1 << 16):
                async with self._news:
                    note(octets)
                    self._news.notify_all()
                writer.write(octets)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def tapped(port: int) -> AsyncIterator[Tap]:
    tap = Tap(port)
    server = await asyncio.start_server(tap.connected, "127.0.0.1", 0)
    tap.port = server.sockets[0].getsockname()[1]
    async with server:
        yield tap


async def page(_: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


async def redirect(request: web.Request) -> web.Response:
    return web.Response(status=int(request.query["status"]), headers={"Location": request.query["to"]})


async def reporting(request: web.Request) -> web.Response:
    """A page that breaks its own policy, and whose browser reports that."""
    policy = {"Content-Security-Policy": f"img-src 'none'; report-uri {request.query['to']}"}
    return web.Response(text='<img src="/x.png">', content_type="text/html", headers=policy)


PAGE = "<!DOCTYPE html><title>a page</title><link rel=icon href='data:,'><body></body>"


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[int]:
    """A port of loopback on which it answers."""
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def recording_upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", upstream.answer)
    async with serving(app) as upstream.port:
        yield upstream


@asynccontextmanager
async def page_server() -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_route("*", "/redirect", redirect)
    app.router.add_get("/reporting", reporting)
    async with serving(app) as port:
        yield port
