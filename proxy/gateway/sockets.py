"""Taking ports: both loopbacks together, or not at all."""

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.errors import StartError

ATTEMPTS = 20
"""Tries to find a port that is free on every address, where any free one will do."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Sockets of one listener.

    Attributes:
        sockets: bound, not yet listening.
        port: the same for all.
        notice: a sentence for the operator; empty: nothing to say.
    """

    sockets: tuple[socket.socket, ...]
    port: int
    notice: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """`127.0.0.1:19080`, `[::1]:19080`."""
        hosts = (sock.getsockname()[0] for sock in self.sockets)
        return tuple(f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}" for host in hosts)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


def bind(addresses: Sequence[str], port: int, setting: str) -> Bound:
    """Bind the port on every address; on one alone somebody else could own the other.

    Only where this machine has no IPv6 loopback at all, 127.0.0.1 is bound alone.

    Args:
        addresses: IP addresses, IPv6 without brackets.
        port: 0 takes one that is free on all of them.
        setting: name of the setting, for the error.

    Raises:
        StartError: the port is taken, or an address is not this machine's.
    """
    for attempt in range(ATTEMPTS):
        try:
            return _bind_once(addresses, port, setting)
        except OSError as error:
            if port == 0 and error.errno == errno.EADDRINUSE and attempt < ATTEMPTS - 1:
                continue
            raise StartError(f"{setting}: {_reason(error, addresses, port)}") from error
    raise AssertionError("unreachable")


def _bind_once(addresses: Sequence[str], port: int, setting: str) -> Bound:
    sockets: list[socket.socket] = []
    notice = ""
    try:
        for address in addresses:
            try:
                sock = _bound(address, port)
            except OSError as error:
                if address == "::1" and sockets and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    notice = f"{setting}: this machine has no ::1; listening on 127.0.0.1 alone."
                    continue
                raise
            sockets.append(sock)
            port = sock.getsockname()[1]
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return Bound(tuple(sockets), port, notice)


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where SO_REUSEADDR lets others in
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        # A second socket may bind the same address until one of them listens: find out now.
        sock.listen(1024)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _reason(error: OSError, addresses: Sequence[str], port: int) -> str:
    where = " and ".join(addresses)
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} on {where} is taken by another process; stop it or choose another port."
        case errno.EADDRNOTAVAIL:
            return f"{where} is not an address of this machine; choose one that is."
        case errno.EACCES:
            return f"port {port} needs more rights than this process has; choose one above 1023."
    return f"port {port} on {where} cannot be bound: {error.strerror}."
