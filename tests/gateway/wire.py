"""Raw HTTP over TCP, with nothing in between: a caller, and an origin that does what the test says."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

PATIENCE = 5.0
"""Seconds of real time after which a test has failed."""


class Head(NamedTuple):
    """First line and fields, as bytes."""

    line: bytes
    fields: list[tuple[bytes, bytes]]
    raw: bytes

    @property
    def status(self) -> int:
        return int(self.line.split(b" ")[1])

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: bytes) -> bytes | None:
        values = self.all(name)
        assert len(values) < 2, values
        return values[0] if values else None


class Answer(NamedTuple):
    """A whole message; `body` decoded."""

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        return self.head.status


class Wire:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def octets(self, count: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(count)

    async def head(self) -> Head:
        async with asyncio.timeout(PATIENCE):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        line, *lines = raw[:-4].split(b"\r\n")
        fields = [(name, value[1:]) for name, _, value in (each.partition(b":") for each in lines)]
        return Head(line, fields, raw)

    async def message(self, *, to_head: bool = False) -> Answer:
        """A head and its body, by Content-Length, by chunks, or (an answer without both) to the end."""
        head = await self.head()
        body = b""
        if (length := head.get(b"content-length")) is not None and not to_head:
            body = await self.octets(int(length))
        elif head.get(b"transfer-encoding") == b"chunked":
            body = await self.chunked()
        elif head.line.startswith(b"HTTP/") and not to_head and head.status not in (204, 304):
            body = await self.rest()
        return Answer(head, body)

    async def chunked(self) -> bytes:
        body = b""
        async with asyncio.timeout(PATIENCE):
            while size := int(await self.reader.readline(), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            assert await self.reader.readline() == b"\r\n"
        return body

    async def rest(self) -> bytes:
        """All up to a clean end."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def ended(self) -> str:
        """How the connection ends: `closed` or `reset`; what still comes is dropped."""
        try:
            async with asyncio.timeout(PATIENCE):
                while await self.reader.read(65536):
                    pass
        except ConnectionError:
            return "reset"
        return "closed"

    def close(self) -> None:
        self.writer.close()

    def cut(self) -> None:
        """At the end of a test, whatever state it is in."""
        if not self.writer.transport.is_closing():  # asyncio's abort() fails on a transport that has drained
            self.writer.transport.abort()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Origin:
    """An upstream.

    Attributes:
        port: on 127.0.0.1.
        accepted: how many connections have come.
    """

    def __init__(self, play: Callable[[Wire], Awaitable[None]] | None) -> None:
        self.port = 0
        self.accepted = 0
        self._play = play
        self._wires: asyncio.Queue[Wire] = asyncio.Queue()
        self._open: list[Wire] = []

    async def accept(self) -> Wire:
        """The next connection that nobody plays for."""
        async with asyncio.timeout(PATIENCE):
            return await self._wires.get()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        self.accepted += 1
        self._open.append(wire)
        if self._play is None:
            self._wires.put_nowait(wire)
            return
        try:
            await self._play(wire)
        except (asyncio.IncompleteReadError, ConnectionError):
            wire.close()


@asynccontextmanager
async def origin(
    play: Callable[[Wire], Awaitable[None]] | None = None, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[Origin]:
    """An upstream, on a free port if none is given; `play` speaks on each connection, else the test does."""
    site = Origin(play)
    server = await asyncio.start_server(site._connected, "127.0.0.1", port, ssl=tls, limit=1 << 20)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for wire in site._open:
            wire.cut()


def answering(*answers: bytes) -> Callable[[Wire], Awaitable[None]]:
    """Each request is answered with the next of these; the last one for ever."""
    left = list(answers)

    async def play(wire: Wire) -> None:
        while True:
            await wire.message()
            wire.send(left.pop(0) if len(left) > 1 else left[0])

    return play


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSED = (
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer error="invalid_token"\r\n'
    b"Content-Length: 7\r\n\r\nexpired"
)
