"""What a client of a peer does: HTTP requests on connections of their own, or MCP tool calls."""

import asyncio
import itertools
import json
from dataclasses import dataclass
from typing import Any, Final, Protocol

from bench.behaviour.peers import Running
from tests.http.strict import Malformed, read_answer
from tests.http.world import client

LONGEST: Final = 20.0
"""Seconds after which a request counts as not answered."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came back.

    Attributes:
        status: of the answer; 0: none came.
        seconds: until it was whole.
        fault: why there is no whole answer: `hangs`, `cut`, `refused` (no connection); empty: there is.
    """

    status: int
    body: bytes
    seconds: float
    fault: str = ""

    @property
    def good(self) -> bool:
        return self.status == 200 and not self.fault


class Caller(Protocol):
    async def ask(
        self, target: str, method: str = "GET", body: bytes | None = None, *, chunked: bool = False
    ) -> Told:
        """Send a request, and wait for its answer for LONGEST at most."""
        ...


class HttpCaller:
    """Sends each request on a connection of its own."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def ask(
        self, target: str, method: str = "GET", body: bytes | None = None, *, chunked: bool = False
    ) -> Told:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            caller = await client(("127.0.0.1", self._port))
        except OSError:
            return Told(0, b"", loop.time() - begun, "refused")
        caller.send(_request(target, method, body, chunked=chunked))
        fault = "hangs"
        try:
            async with asyncio.timeout(LONGEST):
                while True:
                    answer = read_answer(caller.heard, method.encode(), ended=caller.end == "closed")
                    if answer is not None and answer.complete:
                        return Told(answer.status, answer.body, loop.time() - begun)
                    if caller.end is not None:
                        fault = "cut"
                        break
                    await caller.listen(LONGEST)
        except TimeoutError:
            pass
        except Malformed as error:
            fault = f"malformed: {error}"
        finally:
            caller.transport.abort()
        return Told(0, caller.heard, loop.time() - begun, fault)


def _request(target: str, method: str, body: bytes | None, *, chunked: bool) -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    if chunked:
        return f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class McpCaller:
    """An MCP client on the peer's standard input and output. A tool call stands for a request: 200, or 500.

    Method and body are of no meaning to MCP: every call is a POST of a message.
    """

    def __init__(self, running: Running) -> None:
        self._running = running
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._connected = False
        self._connecting = asyncio.Lock()

    async def listen(self) -> None:
        """Read what the peer says, to its end."""
        out = self._running.process.stdout
        while out is not None and (line := await out.readline()):
            try:
                message = json.loads(line)
            except ValueError:
                continue
            waiting = self._waiting.pop(message.get("id", 0), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
        for future in self._waiting.values():
            if not future.done():
                future.set_result({"error": "ended"})

    async def ask(
        self, target: str, method: str = "GET", body: bytes | None = None, *, chunked: bool = False
    ) -> Told:
        async with self._connecting:
            if not self._connected:
                told = await self._call("initialize", _HELLO)
                if not told.good:
                    return told
                self._connected = True
                self._say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return await self._call("tools/call", {"name": "any", "arguments": {"target": target}})

    async def _call(self, method: str, params: dict[str, Any]) -> Told:
        loop = asyncio.get_running_loop()
        begun, number = loop.time(), next(self._ids)
        if self._running.ended:
            return Told(0, b"the process has ended", 0.0, "refused")
        waiting = self._waiting[number] = loop.create_future()
        self._say({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        try:
            async with asyncio.timeout(LONGEST):
                message = await waiting
        except TimeoutError:
            return Told(0, b"", loop.time() - begun, "hangs")
        text = json.dumps(message.get("error", "")).encode()
        if message.get("error") == "ended":
            return Told(0, text, loop.time() - begun, "cut")
        return Told(200 if "result" in message else 500, text, loop.time() - begun)

    def _say(self, message: dict[str, Any]) -> None:
        pipe = self._running.process.stdin
        if pipe is not None and not pipe.is_closing():
            pipe.write(json.dumps(message).encode() + b"\n")


_HELLO: Final = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "behaviour", "version": "1"},
}
