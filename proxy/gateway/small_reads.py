"""Reads little at once, for connections that would otherwise fill the memory with bytes that wait."""

import asyncio
from typing import Final

SMALL: Final = 16 * 1024
"""Bytes of one read. A usual one of libuv takes up to 256,000, all of which may have to wait."""

_buffer: Final = bytearray(SMALL)  # shared, because what was read is passed on before the next read


class SmallReads(asyncio.BufferedProtocol):
    """Passes on to a protocol what its transport says, with at most SMALL bytes at once.

    Attributes:
        protocol: that gets it.
    """

    __slots__ = ("protocol",)

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol

    def get_buffer(self, _sizehint: int) -> bytearray:
        return _buffer

    def buffer_updated(self, size: int) -> None:
        self.protocol.data_received(bytes(_buffer[:size]))

    def connection_lost(self, error: Exception | None) -> None:
        self.protocol.connection_lost(error)

    def eof_received(self) -> bool | None:
        return self.protocol.eof_received()

    def pause_writing(self) -> None:
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        self.protocol.resume_writing()


def read_little(transport: asyncio.Transport, protocol: asyncio.Protocol, *, little: bool) -> None:
    """From now on a transport reads at most SMALL bytes at once, or as much as it likes.

    Args:
        protocol: that gets what is read.
    """
    if transport.is_closing():
        return
    reading = transport.is_reading()
    transport.pause_reading()
    transport.set_protocol(SmallReads(protocol) if little else protocol)
    if reading:
        transport.resume_reading()
