"""A real token endpoint on loopback: a token for each request, unless its script says otherwise."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.clock import FakeClock

TOKEN = {"access_token": "abc.def.ghi", "token_type": "bearer", "expires_in": 300}


@dataclass(frozen=True)
class Asked:
    """One request as it arrived. `at`: seconds on the server's clock, where it has one."""

    method: str
    headers: dict[str, str]
    body: bytes
    path: str
    at: float


class TokenServer:
    """Answers from its script, then as `always` says, then with a good token.

    Attributes:
        url: of the token endpoint.
        asked: all requests so far.
        issued: tokens so far, those in the script left out.
        script: answers to come.
        always: makes the answers once the script is empty; None: tokens.
        named: makes the next token; counted from 1.
        members: of a good answer, beside the token; a value of None leaves one out.
        open: it answers while this is set.
    """

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.issued: list[str] = []
        self.script: deque[web.Response] = deque()
        self.always: Callable[[], web.Response] | None = None
        self.named: Callable[[int], str] = lambda _: str(TOKEN["access_token"])
        self.members: dict[str, Any] = {}
        self.open = asyncio.Event()
        self.open.set()
        self._clock = clock

    async def answer(self, request: web.BaseRequest) -> web.Response:
        at = self._clock.now() if self._clock is not None else 0.0
        body = await request.read()
        self.asked.append(Asked(request.method, dict(request.headers), body, request.path, at))
        await self.open.wait()
        if self.script:
            return self.script.popleft()
        return self.always() if self.always is not None else self._token()

    def _token(self) -> web.Response:
        token = self.named(len(self.issued) + 1)
        self.issued.append(token)
        members = TOKEN | {"access_token": token} | self.members
        return web.json_response({name: value for name, value in members.items() if value is not None})


def invalid_client() -> web.Response:
    """RFC 6749 section 5.2."""
    return web.json_response({"error": "invalid_client"}, status=401)


@asynccontextmanager
async def token_server(
    tls: ssl.SSLContext | None = None, *, clock: FakeClock | None = None
) -> AsyncIterator[TokenServer]:
    server = TokenServer(clock)
    runner = web.ServerRunner(
        web.Server(server.answer, access_log=None, handler_cancellation=True), shutdown_timeout=0.1
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        scheme = "http" if tls is None else "https"
        server.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/oauth/token"
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(octets: bytes) -> AsyncIterator[str]:
    """A server that answers every connection with these bytes and hangs up; its URL."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(octets)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        port: Any = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/oauth/token"
