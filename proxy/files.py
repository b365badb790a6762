"""Reads files that other programs may exchange at any time: never without a limit, never without an end."""

import os
import select
import sys
from errno import EINVAL, EISDIR
from pathlib import Path
from stat import S_ISDIR, S_ISREG

PATIENCE = 10.0
"""Seconds that a pipe may be silent: longer, and a reload would hold up every caller."""

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class NotRegular(OSError):
    """A directory, a pipe, a device or a socket, where only a regular file will do."""


def read_regular(path: Path, most: int) -> tuple[bytes, os.stat_result]:
    """At most `most` bytes and one more, so that a larger file can be told; and the state of that file,
    taken before it was read.

    Raises:
        NotRegular: it is none; a device or a pipe is not even opened.
        OSError, ValueError: it cannot be read.
    """
    if not S_ISREG(path.stat().st_mode):
        raise NotRegular(EINVAL, "not a regular file")
    descriptor = os.open(path, _FLAGS)
    try:
        state = os.fstat(descriptor)
        if not S_ISREG(state.st_mode):  # exchanged meanwhile
            raise NotRegular(EINVAL, "not a regular file")
        return _read(descriptor, most + 1), state
    finally:
        os.close(descriptor)


def read_any(path: Path, most: int, patience: float = PATIENCE) -> tuple[bytes, os.stat_result]:
    """As `read_regular`, also from a pipe, such as a shell's `<(...)`.

    Args:
        patience: seconds that a pipe may be silent.

    Raises:
        TimeoutError: it was silent for longer.
        OSError, ValueError: it cannot be read.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        state = os.fstat(descriptor)
        if S_ISDIR(state.st_mode):
            raise IsADirectoryError(EISDIR, "is a directory")
        return _read(descriptor, most + 1, None if S_ISREG(state.st_mode) else patience), state
    finally:
        os.close(descriptor)


def _read(descriptor: int, most: int, patience: float | None = None) -> bytes:
    found = bytearray()
    while len(found) < most:
        if patience is not None:
            _wait(descriptor, patience)
        if not (piece := os.read(descriptor, most - len(found))):
            break
        found += piece
    return bytes(found)


def _wait(descriptor: int, patience: float) -> None:
    """Until there is something to read, or nothing ever will be. Raises TimeoutError."""
    if sys.platform == "win32":
        return  # it polls sockets alone, and its pipes are not files
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(patience * 1000):
        raise TimeoutError
