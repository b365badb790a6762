"""A real token endpoint on loopback that answers what it is told to."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

TOKEN = {"access_token": "abc.def.ghi", "token_type": "bearer", "expires_in": 300}


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    headers: dict[str, str]
    body: bytes
    path: str


class TokenServer:
    """Answers from its script, then with a good token.

    Attributes:
        url: of the token endpoint.
        asked: all requests so far.
        script: answers to come.
        silent: whether it leaves requests without an answer.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.script: deque[web.Response] = deque()
        self.silent = False

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(Asked(request.method, dict(request.headers), await request.read(), request.path))
        if self.silent:
            await asyncio.Event().wait()
        return self.script.popleft() if self.script else web.json_response(TOKEN)


@asynccontextmanager
async def token_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[TokenServer]:
    server = TokenServer()
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
    """A server that answers every connection with these octets and hangs up; its URL."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(octets)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        port: Any = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/oauth/token"
