"""Raw TCP on both sides of the proxy: a client that sends bytes, an origin that records and plays them."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final, cast

from tests.http.strict import Malformed, Request, read_answer, read_request

PATIENCE: Final = 10.0
"""Seconds of real time after which something that must happen has not happened."""

FINE: Final = 2048
"""Bytes that are sent one by one where a case is split; what follows goes in pieces of COARSE."""
COARSE: Final = 1000
PACE: Final = 0.001
"""Seconds between two pieces."""


def pieces(octets: bytes, *, split: bool) -> Iterator[bytes]:
    """How bytes are cut for sending."""
    if not split:
        yield octets
        return
    for at in range(min(FINE, len(octets))):
        yield octets[at : at + 1]
    for at in range(FINE, len(octets), COARSE):
        yield octets[at : at + COARSE]


def cut(transport: asyncio.Transport) -> None:
    """RST, not FIN."""
    sock: socket.socket = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Peer(asyncio.Protocol):
    """A connection the proxy has made to an origin.

    Attributes:
        heard: bytes with the time they came at, of the present case.
        requests: whole requests of the present case.
        fault: why what came is not well-formed HTTP/1.1.
        ended: by whom.
        served: requests since it was made.
    """

    def __init__(self, site: "Site") -> None:
        self.heard: list[tuple[float, bytes]] = []
        self.requests: list[Request] = []
        self.fault: str | None = None
        self.ended: str | None = None
        self.served = 0
        self._site = site
        self._unread = b""

    @property
    def octets(self) -> bytes:
        return b"".join(data for _, data in self.heard)

    @property
    def partial(self) -> bool:
        """Whether a request has begun and not ended."""
        return bool(self._unread)

    def begin(self) -> None:
        """A new case."""
        self.heard.clear()
        self.requests.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._site.peers.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = self.ended or "proxy"
        self._site.news.set()

    def data_received(self, data: bytes) -> None:
        self.heard.append((self._site.loop.time(), data))
        if self.ended is not None or self.fault is not None:
            return
        self._unread += data
        while self._unread and self.ended is None:
            try:
                request = read_request(self._unread)
            except Malformed as error:
                self.fault = str(error)
                self._site.news.set()
                return
            if request is None or not (request.complete or self._site.early(request)):
                return
            self._unread = self._unread[request.end :]
            self.served += 1
            if request.complete:
                self.requests.append(request)
                self._site.arrived.append((request, self))
            self._site.respond(self, request)
            self._site.news.set()

    def play(self, octets: bytes, *, split: bool = False, then: Callable[[], None] = lambda: None) -> None:
        """Send an answer."""
        self._site.playing += 1
        self._play([*pieces(octets, split=split)], then)

    def _play(self, left: list[bytes], then: Callable[[], None]) -> None:
        if left and not self.transport.is_closing():
            self.transport.write(left.pop(0))
        if not left or self.transport.is_closing():
            self._site.playing -= 1
            then()
        else:
            self._site.loop.call_later(PACE, self._play, left, then)

    def close(self) -> None:
        self.ended = self.ended or "origin"
        self.transport.close()

    def reset(self) -> None:
        self.ended = self.ended or "origin"
        cut(self.transport)


Respond = Callable[[Peer, Request], None]


def echo_of(request: Request) -> bytes:
    """What an origin says of a request: each gets an answer of its own."""
    return b"%b %b %d" % (request.method, request.target, len(request.body))


def echo(peer: Peer, request: Request) -> None:
    body = echo_of(request)
    sent = b"" if request.method == b"HEAD" else body
    peer.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), sent))


class Site:
    """An origin.

    Attributes:
        port: on 127.0.0.1.
        peers: connections to it.
        arrived: whole requests of the present case, in order, with the connection they came on.
        playing: how many answers are being sent.
        respond: answers a request.
        early: whether a request is answered before it is whole.
        news: set whenever something has happened.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.port = 0
        self.peers: list[Peer] = []
        self.arrived: list[tuple[Request, Peer]] = []
        self.playing = 0
        self.respond: Respond = echo
        self.early: Callable[[Request], bool] = lambda _: False
        self.news = asyncio.Event()

    def begin(self, respond: Respond = echo, early: Callable[[Request], bool] = lambda _: False) -> None:
        """A new case."""
        self.respond, self.early = respond, early
        self.arrived.clear()
        self.peers = [peer for peer in self.peers if peer.ended is None]
        for peer in self.peers:
            peer.begin()

    async def until(self, true: Callable[[], bool]) -> bool:
        """Wait; whether it has become true in time."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not true():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def site(tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """An origin on a free port."""
    here = Site()
    server = await here.loop.create_server(lambda: Peer(here), "127.0.0.1", 0, ssl=tls)
    here.port = server.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        server.close()
        for peer in here.peers:
            peer.transport.abort()


class Client(asyncio.Protocol):
    """A caller.

    Attributes:
        heard: everything the proxy has sent.
        end: how the connection has ended: `closed` or `reset`.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.end: str | None = None
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self._news.set()

    def eof_received(self) -> None:
        self.end = self.end or "closed"
        self._news.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.end = self.end or ("closed" if error is None else "reset")
        self._news.set()

    def send(self, octets: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(octets)

    async def listen(self, seconds: float) -> bool:
        """Wait for something to come or the end; whether it did."""
        if self.end is not None:
            return False
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def pause(self, seconds: float) -> None:
        """Wait so long, whatever comes, unless the connection ends."""
        until = asyncio.get_running_loop().time() + seconds
        while (left := until - asyncio.get_running_loop().time()) > 0 and self.end is None:
            await self.listen(left)

    async def silence(self, seconds: float) -> None:
        """Wait until the connection has ended or nothing came for so long."""
        while await self.listen(seconds):
            pass


async def client(address: tuple[str, int] | str, trust: ssl.SSLContext | None = None) -> Client:
    """Connect: to a host and port, or to the path of a Unix socket."""
    loop = asyncio.get_running_loop()
    if isinstance(address, str):
        return (await loop.create_unix_connection(Client, address))[1]
    return (await loop.create_connection(Client, *address, ssl=trust))[1]


async def ask(address: tuple[str, int] | str, target: str, trust: ssl.SSLContext | None = None) -> str | None:
    """A plain request on a connection of its own must get its own right answer; else what came."""
    caller = await client(address, trust)
    caller.send(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % target.encode())
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = read_answer(caller.heard, b"GET", ended=caller.end == "closed")
                if (answer is not None and answer.complete) or not await caller.listen(PATIENCE):
                    break
    except (Malformed, TimeoutError):
        answer = None
    finally:
        caller.transport.abort()
    if answer is None or (answer.status, answer.body) != (200, b"GET %b 0" % target.encode()):
        return f"a plain request ({target}) got {caller.heard[:300]!r}"
    return None
