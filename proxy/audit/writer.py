"""Writes lines in a thread of its own, because a disk or a network file system may block for minutes.

The event loop only appends to a bounded queue. Lines leave the queue when they are written, so a full disk
loses none until the queue is full.
"""

import logging
from collections import deque
from collections.abc import Callable
from itertools import islice
from threading import Condition, Event, Thread
from typing import Final, Protocol

from proxy.audit.target import Target

MOST_BYTES: Final = 8 * 1024 * 1024
"""Most bytes of lines that wait to be written. Further lines are lost."""

BATCH: Final = 512
"""Most lines of one write."""

RETRY: Final = 1.0
"""Seconds between two tries while the target cannot be written."""

SAY_EACH: Final = 60.0
"""Seconds between two lines of the log about the same trouble."""

PATIENCE: Final = 5.0
"""Seconds that the lines which still wait may take at the end."""

_BUSY: Final = 0.05
"""Seconds until the next try at a non-blocking stdout that is full."""


class Say(Protocol):
    """Logs a sentence at a level of `logging`. The thread calls it too."""

    def __call__(self, level: int, sentence: str) -> None: ...


class AuditWriter:
    """Writes lines to a target in a thread.

    Args:
        now: returns seconds on the Clock.
        say: logs trouble.

    Attributes:
        written: lines that were written.
        lost: lines that will not be written, because the queue was full or the process has ended.

    Raises:
        OSError: the target cannot be opened.
    """

    def __init__(
        self,
        target: Target,
        now: Callable[[], float],
        say: Say,
        most_bytes: int = MOST_BYTES,
        retry: float = RETRY,
    ) -> None:
        target.open()
        self.written = self.lost = 0
        self._say = say
        self._target = target
        self._now = now
        self._most_bytes = most_bytes
        self._retry = retry
        self._lines: deque[bytes] = deque()
        self._size = 0  # bytes of all lines that wait
        self._done = 0  # bytes of the first one that are written
        self._news = Condition()
        self._closing = Event()
        self._failing = False
        self._failure = _EachMinute()
        self._loss = _EachMinute()
        self._thread = Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The target, for messages."""
        return self._target.name

    def put(self, line: bytes) -> None:
        """Queue a line that ends with a line feed. This never waits for the target."""
        with self._news:
            full = self._size + len(line) > self._most_bytes
            if full:
                self.lost += 1
            else:
                self._lines.append(line)
                self._size += len(line)
                self._news.notify()
        if full and self._loss.due(self._now()):
            self._say(
                logging.ERROR,
                f"audit: {self.name} does not take lines fast enough, or not at all: {self.lost} lines are "
                "lost so far; requests go on. Look at the disk or at the reader of stdout (audit.file).",
            )

    def close(self, patience: float = PATIENCE) -> None:
        """Write what waits, for `patience` seconds at most, and stop. The rest is lost; the log says so."""
        with self._news:
            self._closing.set()
            self._news.notify()
        self._thread.join(patience)
        with self._news:
            left = len(self._lines)
            self.lost += left
            self._lines.clear()
            self._size = 0
        if left:
            self._say(
                logging.ERROR, f"audit: {left} lines could not be written to {self.name} before the end."
            )

    def _run(self) -> None:
        while (lines := self._next()) is not None:
            try:
                self._write(lines)
            except BlockingIOError:
                self._closing.wait(_BUSY)
            except Exception as error:  # noqa: BLE001 -- the thread must go on, whatever the file system says
                if self._closing.is_set():
                    break
                self._failed(error)
                self._closing.wait(self._retry)
        self._target.close()

    def _next(self) -> list[bytes] | None:
        """Wait for lines, and return the first ones. None: the end has come, and there are none."""
        with self._news:
            while not self._lines and not self._closing.is_set():
                self._news.wait()
            return list(islice(self._lines, BATCH)) or None

    def _write(self, lines: list[bytes]) -> None:
        if self._target.follow():
            self._done = 0  # a line that began in the earlier file is written to the new one as a whole
        done = self._done + self._target.write(b"".join(lines)[self._done :])
        with self._news:
            while self._lines and done >= len(self._lines[0]):
                first = self._lines.popleft()
                done -= len(first)
                self._size -= len(first)
                self.written += 1
        self._done = done
        if self._failing:
            self._failing = False
            sentence = f"audit: lines are written to {self.name} again; {self.lost} were lost."
            self._say(logging.INFO, sentence)

    def _failed(self, error: Exception) -> None:
        if self._failure.due(self._now()):
            self._failing = True
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self._say(
                logging.ERROR,
                f"audit: {self.name} cannot be written: {why}. Requests go on; {len(self._lines)} lines wait "
                f"in memory, {self.lost} are lost. The proxy tries again each second (audit.file).",
            )


class _EachMinute:
    """Lets a message pass once in SAY_EACH seconds."""

    def __init__(self) -> None:
        self._last: float | None = None

    def due(self, now: float) -> bool:
        if self._last is not None and now - self._last < SAY_EACH:
            return False
        self._last = now
        return True
