"""Where the audit log is written: a file that may be rotated by rename, or stdout. Used by one thread."""

import os
from contextlib import suppress
from errno import EINVAL
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from proxy.files import NotRegular

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT
for _name in ("O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)


class Target(Protocol):
    """Takes bytes at its end."""

    name: str

    def open(self) -> None:
        """Make it ready for the first write.

        Raises:
            OSError: it cannot be written.
        """
        ...

    def follow(self) -> bool:
        """Look whether the file was renamed or removed, and open it again; return whether it is a new one.

        Raises:
            OSError: it cannot be opened.
        """
        ...

    def write(self, data: bytes) -> int:
        """Write some of the bytes; return how many.

        Raises:
            OSError: none was written.
        """
        ...

    def close(self) -> None: ...


class File:
    """A regular file that only its owner may read, unless it existed before.

    Attributes:
        name: its path, for messages.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._descriptor = -1
        self._torn = False  # the last line is not whole, so end it before the next one

    def open(self) -> None:
        if self._path.exists() and not S_ISREG(self._path.stat().st_mode):  # do not even open a device
            raise NotRegular(EINVAL, "it is not a regular file")
        descriptor = os.open(self._path, _FLAGS, 0o600)
        try:
            torn = _is_torn(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._torn = descriptor, torn

    def follow(self) -> bool:
        if self._descriptor >= 0:
            with suppress(FileNotFoundError):
                if _identity(self._path.stat()) == _identity(os.fstat(self._descriptor)):
                    return False
            self.close()
        self.open()
        return True

    def write(self, data: bytes) -> int:
        if self._torn:
            os.write(self._descriptor, b"\n")
            self._torn = False
        return os.write(self._descriptor, data)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Stdout:
    """The process's stdout. It has a file of its own, so that closing it does not close the process's."""

    name = "stdout"

    def __init__(self) -> None:
        self._descriptor = -1

    def open(self) -> None:
        self._descriptor = os.dup(1)

    def follow(self) -> bool:
        return False

    def write(self, data: bytes) -> int:
        return os.write(self._descriptor, data)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _is_torn(descriptor: int) -> bool:
    """Tell whether the last line of a regular file is not whole.

    Raises:
        NotRegular: it is another kind of file.
    """
    state = os.fstat(descriptor)
    if not S_ISREG(state.st_mode):  # replaced since it was looked at
        raise NotRegular(EINVAL, "it is not a regular file")
    if state.st_size == 0:
        return False
    os.lseek(descriptor, state.st_size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) != b"\n"
