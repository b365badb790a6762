"""A TCP front before a server: it resets connections at chosen moments, and passes bytes otherwise."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Literal

from tests.accepting import accepting

Fault = Literal["accept", "first bytes", "handshake"]
FAULTS: tuple[Fault, ...] = ("accept", "first bytes", "handshake")
IN_HANDSHAKE = 100
"""Bytes of the server's first flight that pass before a reset in the handshake."""


class Front:
    """Passes connections on, unless told otherwise.

    Attributes:
        port: on 127.0.0.1.
        share: share of connections that are reset, 0 to 1.
        resets: how many were, by the moment.
    """

    def __init__(self, target: int, random: Random) -> None:
        self.port = 0
        self.share = 0.0
        self.resets: Counter[Fault] = Counter()
        self._target = target
        self._random = random

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self._random.choice(FAULTS) if self._random.random() < self.share else None
        if fault == "accept":
            self._reset(writer, fault)
            return
        first = await reader.read(65536)
        if fault == "first bytes":
            self._reset(writer, fault)
            return
        to_server, from_server = await asyncio.open_connection("127.0.0.1", self._target)
        from_server.write(first)
        try:
            if fault == "handshake":
                writer.write((await to_server.read(65536))[:IN_HANDSHAKE])
                self._reset(writer, fault)
                return
            async with asyncio.TaskGroup() as both:
                both.create_task(_pipe(reader, from_server))
                both.create_task(_pipe(to_server, writer))
        finally:
            from_server.transport.abort()

    def _reset(self, writer: asyncio.StreamWriter, fault: Fault) -> None:
        self.resets[fault] += 1
        sock = writer.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()


@asynccontextmanager
async def front(target: int, random: Random) -> AsyncIterator[Front]:
    """A front before the server at that port of 127.0.0.1."""
    made = Front(target, random)
    async with accepting(made.serve) as made.port:
        yield made
