"""An upstream that does with each request what the request's target asks for, good or bad."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast
from zlib import crc32

from tests.http.strict import Malformed, Request, read_request

ANSWERS: Final = ("length", "chunks", "interim", "until-close", "slow", "early", "extra")
FAULTS: Final = ("reset", "close", "cut", "garbage", "cut-chunks")
WAYS: Final = (*ANSWERS, *FAULTS)


def said(name: str, body: bytes) -> bytes:
    """The body of the answer to a request with this id and this body."""
    return b"%b:%08x" % (name.encode(), crc32(body))


class Peer(asyncio.Protocol):
    """A connection of the proxy's. A target is `/ID/WAY`."""

    def __init__(self, site: "Site") -> None:
        self._site = site
        self._octets = b""
        self._answered_early = False
        self._held: list[Request] = []
        self._spent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._site.peers.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._site.peers.discard(self)

    def data_received(self, octets: bytes) -> None:
        self._octets += octets
        try:
            while not self._spent and (request := read_request(self._octets)) is not None:
                name, way = request.target.decode().strip("/").split("/")
                if not request.complete:
                    self._early(request, name, way)
                    return
                self._octets = self._octets[request.end :]
                self._whole(request, name, way)
        except Malformed as error:
            self._site.faults.append(f"{error} in {self._octets[:200]!r}")
            self.transport.abort()

    def _early(self, request: Request, name: str, way: str) -> None:
        if way == "early" and not self._answered_early:
            self._answered_early = True
            self._answer(name, b"early", request)

    def _whole(self, request: Request, name: str, way: str) -> None:
        self._site.came[name, request.method] += 1
        if request.all(b"authorization") == [] or not request.all(b"authorization")[-1].startswith(
            b"Bearer "
        ):
            self._site.faults.append(f"no credential: {request.fields}")
        if self._held:
            self._site.faults.append(f"{name} came before the answer to the request before it")
        if way == "slow" and not self._site.released:
            self._held.append(request)
        elif not self._answered_early:
            self._go(request, name, way)
        self._answered_early = False

    def release(self) -> None:
        """Answer what was held back."""
        held, self._held = self._held, []
        for request in held:
            name, _, _ = request.target.decode().strip("/").partition("/")
            self._go(request, name, "length")

    def _answer(self, name: str, body: bytes, request: Request) -> None:
        told = said(name, body)
        head = b"HTTP/1.1 200 OK\r\nX-Id: %b\r\nContent-Length: %d\r\n\r\n" % (name.encode(), len(told))
        self.transport.write(head + (b"" if request.method == b"HEAD" else told))

    def _go(self, request: Request, name: str, way: str) -> None:
        write, told = self.transport.write, said(name, request.body)
        body = b"" if request.method == b"HEAD" else told
        line = b"HTTP/1.1 200 OK\r\nX-Id: %b\r\n" % name.encode()
        match way:
            case "chunks":
                chunks = b"".join(b"1;x=y\r\n%b\r\n" % bytes([each]) for each in told)
                chunks += b"0\r\nTrailer: x\r\n\r\n"
                write(line + b"Transfer-Encoding: chunked\r\n\r\n" + (chunks if body else b""))
            case "interim":
                write(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
                self._answer(name, request.body, request)
            case "until-close":
                write(line + b"\r\n" + body)
                self._end()
            case "extra":  # and an answer to no request
                self._answer(name, request.body, request)
                write(b"HTTP/1.1 200 OK\r\nX-Id: nobody\r\nContent-Length: 6\r\n\r\nnobody")
            case "reset":
                self.reset()
            case "close":
                self._end()
            case "cut":
                write(line + b"Content-Length: %d\r\n\r\n" % (len(told) + 9) + body)
                self._end()
            case "cut-chunks":
                write(line + b"Transfer-Encoding: chunked\r\n\r\n" + (b"5\r\nhello\r\n" if body else b""))
                self._end()
            case "garbage":
                write(b"SSH-2.0-x\r\n\r\n")
                self._spent = True
            case _:
                self._answer(name, request.body, request)

    def _end(self) -> None:
        self._spent = True
        self.transport.close()

    def reset(self) -> None:
        self._spent = True
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Site:
    """All its connections.

    Attributes:
        peers: those that are open.
        came: how often each request has come, by id and method.
        faults: what no proxy may send.
        released: whether nothing is held back any more.
    """

    def __init__(self) -> None:
        self.port = 0
        self.peers: set[Peer] = set()
        self.came: Counter[tuple[str, bytes]] = Counter()
        self.faults: list[str] = []
        self.released = False

    def release(self) -> None:
        for peer in tuple(self.peers):
            peer.release()

    def reset_all(self) -> None:
        """As a load balancer that restarts."""
        for peer in tuple(self.peers):
            peer.reset()


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    here = Site()
    server = await asyncio.get_running_loop().create_server(lambda: Peer(here), "127.0.0.1", 0)
    here.port = server.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        server.close()
        for peer in tuple(here.peers):
            peer.transport.abort()
