"""The transport of a caller's connection: writing to it, pausing it, cutting it."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Any, Protocol, cast

from proxy.clock import Clock
from proxy.gateway.call import Call, Service
from proxy.gateway.limit import ConnectionLimit
from proxy.gateway.share import Share
from proxy.net import authority


class Port(Protocol):
    """The listener: what its connections need of it."""

    service: Service
    ending: bool
    closing: bool
    clock: Clock
    limit: ConnectionLimit
    share: Share
    connections: set[Any]


class CallerTransport(asyncio.Protocol):
    """What a caller's connection does with its transport.

    Attributes:
        call: the call that is being answered; None: the connection waits for a request.
    """

    __slots__ = (
        "_is_unix",
        "_little",
        "_paused",
        "_port",
        "_resting",
        "_stalled",
        "_unsent",
        "call",
        "transport",
    )

    def __init__(self, port: Port, *, unix: bool) -> None:
        self._port = port
        self._is_unix = unix
        self._paused = False  # the caller reads too slowly, so its next request waits
        self._resting = False  # received bytes wait for the next turn of the loop
        self._unsent = (0, 0.0)  # unread bytes, and the time since which the caller has read none of them
        self._stalled = 0  # bytes that wait for a caller that does not read
        self._little = False  # it reads little at once
        self.call: Call | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    @property
    def paused(self) -> bool:
        """Whether the caller reads too slowly."""
        return self._paused

    def pause_writing(self) -> None:
        self._paused = True
        size = self.transport.get_write_buffer_size()
        self._unsent = (size, self._port.clock.now())
        self._stall(size)
        if self.call is not None and self.call.relay is not None:
            self.call.relay.pause()

    def _stall(self, size: int) -> None:
        self._port.limit.memory.stalled += size - self._stalled
        self._stalled = size

    def _look_at_unsent(self, now: float) -> None:
        unsent, (before, since) = self.transport.get_write_buffer_size(), self._unsent
        if unsent != before:
            self._unsent = (unsent, now)
        elif unsent and now - since >= self._port.service.patience:
            self.reset()

    def write(self, chunk: bytes) -> None:
        if not self.transport.is_closing():  # uvloop raises if the caller has just closed
            self.transport.write(chunk)

    def hold_upload(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def release_upload(self) -> None:
        if not self._resting and not self.transport.is_closing():
            self.transport.resume_reading()

    @property
    def resets(self) -> bool:
        """Whether the caller can see that its connection was cut. A Unix socket has no RST."""
        return not self._is_unix

    @property
    def address(self) -> str:
        """Address and port of the caller; empty: a Unix socket, or the caller has gone."""
        if self.transport.is_closing():  # uvloop raises
            return ""
        name = self.transport.get_extra_info("peername")
        return authority(name[0], name[1]) if isinstance(name, tuple) else ""

    @property
    def identities(self) -> tuple[str, ...]:
        """Names in the caller's verified certificate, as `DNS:a.example`; mostly none."""
        found: tuple[str, ...] = self.transport.get_extra_info("identities", ())
        return found

    def reset(self) -> None:
        """Cut the connection with RST, not FIN, so that the answer cannot pass for a whole one."""
        if self.resets:
            sock = self.transport.get_extra_info("socket")
            with suppress(OSError, ValueError, AttributeError):  # it is closed already, so there may be none
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def is_unix(sock: socket.socket) -> bool:
    return sock.family == getattr(socket, "AF_UNIX", None)
