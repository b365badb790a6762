"""A connection to an upstream that ended before the answer: why it ended, and what is left to read."""

import errno
import os

from proxy.errors import UpstreamClosed, UpstreamTimeout, UpstreamTLS
from proxy.outgoing.alerts import tls_error
from proxy.outgoing.causes import CauseName, Peer, cause
from proxy.outgoing.diagnosis import cause_of


class ConnectionLost(UpstreamClosed):
    """The connection ended before the answer did.

    Attributes:
        code: another one if the connection ended because of TLS or of a time-out.
        stale: it had been used before, and not one byte of an answer came: the upstream may have closed it
            before it saw the request (RFC 9110 section 9.2.2).
    """

    def __init__(self, message: str, *, stale: bool, cause: str = "closed") -> None:
        super().__init__(message, cause=cause)
        self.stale = stale


def why_lost(error: Exception | None, peer: Peer, *, received: int, used: int) -> ConnectionLost:
    """Say why a connection ended before its answer did.

    Args:
        error: what the transport says.
        peer: the upstream.
        received: number of bytes received of the answer.
        used: how many requests were sent on it, this one included.
    """
    stale = used > 1 and not received
    when = "in the middle of its answer" if received else "before it answered"
    if (tls := tls_error(error)) is not None:
        why = cause_of(tls, peer)
        lost = ConnectionLost(f"{why.words}.", stale=stale, cause=why.name)
        lost.code = UpstreamTLS.code
    elif isinstance(error, OSError) and error.errno == errno.ETIMEDOUT:
        why = cause("vanished", peer, said=when)
        lost = ConnectionLost(f"{why.words}.", stale=stale, cause=why.name)
        lost.code = UpstreamTimeout.code
    else:
        why = cause("closed", peer, said=when)
        lost = ConnectionLost(f"{why.words}.", stale=stale, cause=why.name)
    return lost


def too_late(name: CauseName, peer: Peer, setting: str) -> UpstreamTimeout:
    """Make the error of an upstream that took longer than a setting allows, such as `idle_timeout`."""
    why = cause(name, peer, timeout=f"{peer.section}.{setting}" if peer.section else setting)
    return UpstreamTimeout(f"{why.words}.", cause=why.name)


def unread(descriptor: int) -> bytes:
    """Read the next bytes of a non-blocking socket; empty: there are none."""
    try:
        return os.read(descriptor, 65536)
    except OSError:  # no bytes, a reset by the peer, or Windows, where os.read takes no sockets
        return b""
