"""Binds ports, on both loopback addresses or on none, and Unix sockets, which only their owner can use."""

import errno
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISSOCK
from types import MappingProxyType
from typing import Protocol

from proxy.errors import StartError
from proxy.files import open_to_others
from proxy.net import authority

SPARE_FILES = 112
"""Open files that are no connection of a caller or to an upstream: 16 for the interpreter and for files that
are being read, 64 for callers of the admin listener (`ADMIN_CONNECTIONS`), 32 for callers that get the answer
that there is no room for them (`MAX_REFUSED`)."""

FILES_PER_UPSTREAM = 4
"""Open files of each upstream: its listening sockets, and its credential's connection to the token
endpoint."""

ATTEMPTS = 20
"""Most tries to find a port that is free on every address, for a listener with port 0."""


class HeldSocket(Protocol):
    """A listening socket of this process; any object may own its file."""

    def dup(self) -> socket.socket: ...


@dataclass(frozen=True, slots=True)
class Bound:
    """Sockets of one listener.

    Attributes:
        sockets: bound and listening, but they do not accept yet. The event loop owns them as soon as a server
            is made of them (see `proxy.commands.loop`).
        port: the same for all; 0: a Unix socket.
        addresses: `127.0.0.1:19080`, `[::1]:19080`; or `unix:/run/zeebe.sock`.
        notice: a sentence for the operator, or empty.
        path: of the Unix socket.
    """

    sockets: tuple[socket.socket, ...]
    port: int
    addresses: tuple[str, ...]
    notice: str = ""
    path: str = ""
    _file: tuple[int, int] = (0, 0)

    def close(self) -> None:
        """Close the sockets that no server owns yet. Remove the path of a Unix socket if it is still ours."""
        for sock in self.sockets:
            sock.close()
        if self.path:
            with suppress(OSError):
                if _identity(Path(self.path).lstat()) == self._file:
                    Path(self.path).unlink()


def room_for_callers(upstreams: int) -> int:
    """Return how many callers' connections this process can hold, each with its own to an upstream.

    First raise the limit of open files as far as allowed, because beyond it the process can neither accept
    nor fetch a token.

    Args:
        upstreams: how many are configured.
    """
    if sys.platform == "win32":
        return 512  # Windows has no such limit that we could read
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    spare = SPARE_FILES + FILES_PER_UPSTREAM * upstreams
    return max(1, (soft - spare) // 2) if soft != resource.RLIM_INFINITY else 1 << 20


def bind(
    addresses: Sequence[str],
    port: int,
    setting: str,
    held: Mapping[tuple[str, int], HeldSocket] = MappingProxyType({}),
) -> Bound:
    """Bind the port on every address, because with one address alone another process could own the other.

    If this machine has no IPv6 loopback at all, bind 127.0.0.1 alone.

    Args:
        addresses: IP addresses, IPv6 without brackets.
        port: 0 means one that is free on all of them.
        setting: name of the setting, for the error.
        held: sockets that this process holds already, by address and port; they are duplicated, because their
            present owner accepts until the switch.

    Raises:
        StartError: the port is taken, or an address is not this machine's.
    """
    if port == 0:
        held = {}  # a free port is not among them
    for attempt in range(ATTEMPTS):
        try:
            return _bind_once(addresses, port, setting, held)
        except OSError as error:
            if port == 0 and error.errno == errno.EADDRINUSE and attempt < ATTEMPTS - 1:
                continue
            ours = port in {held_port for _, held_port in held}
            raise StartError(f"{setting}: {_reason(error, addresses, port, ours=ours)}") from error
    raise AssertionError("unreachable")


def _bind_once(
    addresses: Sequence[str], port: int, setting: str, held: Mapping[tuple[str, int], HeldSocket]
) -> Bound:
    sockets: list[socket.socket] = []
    notice = ""
    try:
        for address in addresses:
            try:
                mine = held.get((address, port))
                sock = mine.dup() if mine is not None else _bound(address, port)
            except OSError as error:
                if address == "::1" and sockets and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    notice = f"{setting}: this machine has no ::1, so the proxy listens on 127.0.0.1 alone."
                    continue
                raise
            sockets.append(sock)
            port = sock.getsockname()[1]
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return Bound(tuple(sockets), port, tuple(map(_address, sockets)), notice)


def _address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return authority(host, port)


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows: with SO_REUSEADDR others could bind it too
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        # Until one of them listens, a second socket may bind the same address, so listen now.
        sock.listen(1024)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _reason(error: OSError, addresses: Sequence[str], port: int, *, ours: bool) -> str:
    where = " and ".join(addresses)
    match error.errno:
        case errno.EADDRINUSE if ours:
            return (
                f"port {port} on {where} is taken, perhaps by this proxy on another address; "
                "if so, restart the proxy."
            )
        case errno.EADDRINUSE:
            return f"port {port} on {where} is taken by another process; stop it or choose another port."
        case errno.EADDRNOTAVAIL:
            return f"{where} is not an address of this machine; choose one that is."
        case errno.EACCES:
            return f"this process is not allowed to bind port {port}; choose one above 1023."
    return f"port {port} on {where} cannot be bound: {error.strerror}."


def bind_unix(path: str, setting: str) -> Bound:
    """Bind a Unix socket that only its owner can connect to.

    Args:
        path: absolute.
        setting: name of the setting, for the error.

    Raises:
        StartError: the path exists and is not an old socket of ours, or other users could replace it.
    """
    if not hasattr(socket, "AF_UNIX") or not hasattr(os, "geteuid"):  # Windows: no owner could be checked
        raise StartError(f"{setting}: this system has no Unix sockets; write HOST:PORT.")
    try:
        _check_directory(Path(path).parent, setting)
        _clear(Path(path), setting)
        return _bound_unix(path)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:  # another process bound it since `_clear`
            raise _taken(path, setting) from error
        raise StartError(f"{setting}: {path} cannot be bound: {error.strerror or error}.") from error


def _check_directory(directory: Path, setting: str) -> None:
    """Check that no other user may write in the directory, and so replace our socket by his own."""
    state = directory.stat()
    if not S_ISDIR(state.st_mode):
        raise StartError(f"{setting}: {directory} is not a directory; choose another path.")
    if state.st_uid not in (0, os.geteuid()):
        raise StartError(
            f"{setting}: {directory} belongs to another user, who could replace the socket; "
            "choose another path."
        )
    if state.st_mode & 0o022:
        raise StartError(
            f"{setting}: other users may write in {directory} and could replace the socket; "
            "choose another path, or chmod 700 it."
        )
    if (part := open_to_others(directory)) is not None:
        raise StartError(
            f"{setting}: other users could replace the socket, because {part}; choose another path."
        )


def _clear(path: Path, setting: str) -> None:
    """Remove the socket that an earlier process of ours left. Anything else stays, and is an error."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return
    if not S_ISSOCK(state.st_mode) or state.st_uid != os.geteuid():
        raise StartError(f"{setting}: {path} exists and is no socket of this user; choose another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:  # a process listens there, and is busy
            pass
    raise _taken(path, setting)


def _taken(path: str | Path, setting: str) -> StartError:
    return StartError(f"{setting}: {path} is taken by another process; stop it or choose another path.")


def _bound_unix(path: str) -> Bound:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The mode is set before, not changed after, so that no other user can connect in between.
        before = os.umask(0o177)
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        sock.listen(1024)
        sock.setblocking(False)
        return Bound((sock,), 0, (f"unix:{path}",), path=path, _file=_identity(Path(path).lstat()))
    except BaseException:
        sock.close()
        raise


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino
