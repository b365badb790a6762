"""A command on a terminal of its own: a pseudo-terminal that it controls."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.app.command import CLEAN, ROOT

_TAKE = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
_TAKE += "os.execv(sys.executable, [sys.executable, '-m', 'proxy', *sys.argv[1:]])"


class Terminal:
    """What a user sees and types.

    Attributes:
        shown: so far; a line ends with CR LF.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self.shown = ""
        self._descriptor = descriptor

    def until(self, wanted: str) -> str:
        """Read up to the wanted text; return what is new, that included."""
        before = len(self.shown)
        while wanted not in self.shown[before:]:
            try:
                piece = os.read(self._descriptor, 1)
            except OSError:  # all of its processes have ended
                piece = b""
            assert piece, f"{wanted!r} is not in {self.shown!r}"
            self.shown += piece.decode("latin-1")
        return self.shown[before:]

    def rest(self) -> str:
        """Read until the process has ended; return what is new."""
        before = len(self.shown)
        try:
            while piece := os.read(self._descriptor, 4096):
                self.shown += piece.decode("latin-1")
        except OSError:
            pass
        return self.shown[before:]

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def interrupted(self) -> int:
        """Its exit code after Ctrl-C, typed again if it came just before Python began to wait for input."""
        while True:
            self.type("\x03")
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(5)

    def ended(self) -> int:
        """Its exit code, negative for a signal."""
        return self.process.wait()


@contextmanager
def terminal(*arguments: str, folder: Path, environ: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    """Run a command until the block ends, then kill it if it still runs. On Windows the test is skipped."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKE, *arguments],
        env={**CLEAN, "PYTHONPATH": str(ROOT), "TERM": "dumb", **(environ or {})},
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
