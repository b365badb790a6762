"""The transport of a connection to an upstream: pausing it, ending it."""

import asyncio
from typing import Any, Protocol, cast

from proxy.clock import Clock
from proxy.gateway.limit import Memory
from proxy.gateway.share import Share
from proxy.gateway.tally import Tally
from proxy.gateway.timeouts import Timeouts
from proxy.outgoing.causes import Peer


class Home(Protocol):
    """The pool of a connection: what an exchange needs of it.

    Attributes:
        share: of each turn of the event loop, for very small chunks.
        memory: of all connections, for bytes that wait for a peer.
        peer: the upstream, as messages name it.
    """

    timeouts: Timeouts
    clock: Clock
    tally: Tally
    loop: asyncio.AbstractEventLoop
    share: Share
    memory: Memory
    peer: Peer

    def release(self, connection: Any, now: float) -> None:
        """Take back a connection that can be used again; `now` is in seconds on the Clock."""
        ...

    def lost(self, connection: Any) -> None:
        """Forget a connection that is closed."""
        ...


class UpstreamTransport(asyncio.Protocol):
    """What an exchange does with its transport.

    Attributes:
        closing: tells whether it is closed, or about to be. The transport's own method saves a Python call.
    """

    __slots__ = ("_little", "_pool", "_rest", "_stalled", "_transport", "closing")

    def __init__(self, pool: Home) -> None:
        self._pool = pool
        self._rest = b""  # received bytes that wait for a later turn of the loop
        self._little = False  # it reads little at once
        self._stalled = 0  # bytes that wait for an upstream that does not read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.closing = transport.is_closing

    def certificate(self) -> Any:
        """Return the upstream's certificate as `ssl.SSLSocket.getpeercert` does; None: there is no TLS."""
        return self._transport.get_extra_info("peercert")

    def pause_reading(self) -> None:
        if not self.closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._rest and not self.closing():
            self._transport.resume_reading()

    def _stall(self, size: int) -> None:
        self._pool.memory.stalled += size - self._stalled
        self._stalled = size

    def _close(self) -> None:
        """Close with FIN; abort if bytes wait that the upstream may never read."""
        if not self.closing() and not self._transport.get_write_buffer_size():
            self._transport.close()
        else:
            self._transport.abort()
