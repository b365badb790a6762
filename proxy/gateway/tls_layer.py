"""TLS on a connection to an upstream; an answer that has arrived is not lost when a write fails."""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import Final, TypeVar, cast

from proxy.gateway.lost import unread

P = TypeVar("P", bound=asyncio.Protocol)

MOST_READS: Final = 64
"""Reads of 64 KiB after the end of a connection: no upstream can keep us reading."""


class _Handshake(asyncio.Protocol):
    """Has a connection until its first request can be sent.

    Attributes:
        bad: whether it ended, or bytes came that nothing had asked for.
        error: what the transport said of its end.
    """

    def __init__(self) -> None:
        self.bad = False
        self.error: Exception | None = None

    def data_received(self, _data: bytes) -> None:
        self.bad = True

    def connection_lost(self, error: Exception | None) -> None:
        self.bad, self.error = True, error

    def check(self, transport: asyncio.Transport) -> None:
        """Raises OSError or ssl.SSLError if the connection cannot be used."""
        if self.bad or transport.is_closing():
            raise self.error or ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


class _BelowTls(asyncio.BufferedProtocol):
    """Is between the TCP transport and the protocol that the event loop has for TLS.

    An upstream that refuses an upload answers and closes, so our next write fails, and a write that fails
    ends the transport. Its file is still open when the transport says so to this class. When TLS says so to
    the exchange, it is closed.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._tls = tls = cast(asyncio.BufferedProtocol, transport.get_protocol())
        self._descriptor = transport.get_extra_info("socket").fileno()
        # Without a step through Python, where nothing is changed.
        self.get_buffer = tls.get_buffer  # type: ignore[method-assign]
        self.buffer_updated = tls.buffer_updated  # type: ignore[method-assign]
        self.eof_received = tls.eof_received  # type: ignore[method-assign]
        self.pause_writing = tls.pause_writing  # type: ignore[method-assign]
        self.resume_writing = tls.resume_writing  # type: ignore[method-assign]

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._read_unread()
        self._tls.connection_lost(error)

    def _read_unread(self) -> None:
        for _ in range(MOST_READS):
            if not (data := unread(self._descriptor)):
                return
            while data:
                room = self._tls.get_buffer(len(data))
                size = min(len(room), len(data))  # type: ignore[arg-type]
                room[:size] = data[:size]  # type: ignore[index]
                self._tls.buffer_updated(size)
                data = data[size:]


async def connect_tls(
    site: socket.socket, context: ssl.SSLContext, name: str, protocol: Callable[[], P]
) -> P:
    """Make a connected socket a TLS connection.

    Args:
        site: is closed if it fails.
        name: of the upstream, for SNI and its certificate.
        protocol: makes the protocol of the connection.

    Raises:
        ssl.SSLError, OSError
    """
    loop = asyncio.get_running_loop()
    transport, early = await loop.create_connection(_Handshake, sock=site)
    try:
        early.check(transport)
        secure = cast(
            asyncio.Transport, await loop.start_tls(transport, early, context, server_hostname=name)
        )
        early.check(transport)
        transport.set_protocol(_BelowTls(transport))
        made = protocol()
        secure.set_protocol(made)
        made.connection_made(secure)
    except BaseException:
        transport.abort()
        raise
    return made
