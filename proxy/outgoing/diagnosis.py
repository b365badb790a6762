"""Finds the cause of an exception of the network: DNS, TCP, TLS. `causes.py` has the words."""

import errno
import os
import re
import socket
import ssl
from typing import Final

from proxy.outgoing.alerts import tls_error, tls_reason
from proxy.outgoing.causes import Cause, CauseName, Peer, cause

_ERRNO: Final = re.compile(r"\[Errno ([0-9]{1,4})\]")  # in what aiohappyeyeballs makes of several errors

_BY_ERRNO: Final[dict[int, CauseName]] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "connect_timeout",
    errno.EHOSTUNREACH: "no_route",
    errno.ENETUNREACH: "no_route",
    errno.ENETDOWN: "no_route",
    errno.EMFILE: "no_files",
    errno.ENFILE: "no_files",
}


def cause_of(error: BaseException, peer: Peer, *, timeout: str = "timeout") -> Cause:
    """Return why no connection to the peer could be made, TLS included.

    Args:
        timeout: name of the setting that limits the time.
    """
    limit = f"{peer.section}.{timeout}" if peer.section else timeout
    if (tls := tls_error(error)) is not None:
        name, said = tls_reason(tls)
        return cause(name, peer, said=said)
    if isinstance(error, UnicodeError):
        return cause("name_invalid", peer)
    if isinstance(error, socket.gaierror):
        return cause("name_unanswered" if error.errno == socket.EAI_AGAIN else "name_unknown", peer)
    if isinstance(error, ssl.SSLError):  # aiohttp's own, which say nothing
        return cause("tls_failed", peer, said="the TLS connection failed")
    if isinstance(error, OSError):
        return _of_system(error, peer, limit)
    return cause("unreachable", peer, said="no connection could be made")


def _of_system(error: OSError, peer: Peer, limit: str) -> Cause:
    numbers = [error.errno] if error.errno else [int(each) for each in _ERRNO.findall(str(error))]
    if isinstance(error, ConnectionRefusedError):
        numbers = numbers or [errno.ECONNREFUSED]
    elif isinstance(error, ConnectionResetError):
        numbers = numbers or [errno.ECONNRESET]
    names = dict.fromkeys(_BY_ERRNO.get(number) for number in numbers)
    if len(names) == 1 and (name := next(iter(names))) is not None:
        return cause(name, peer, timeout=limit)
    if isinstance(error, TimeoutError) and not numbers:
        return cause("connect_timeout", peer, timeout=limit)
    # Of several addresses, each may have failed in its own way.
    said = dict.fromkeys(os.strerror(number).lower() for number in numbers)
    return cause("unreachable", peer, said=", ".join(said) or "the system names no reason")
