"""Pure: which answers of our own get a line in the log; a flood of them is counted instead."""

from typing import Final, NamedTuple, Protocol

EACH: Final = 10.0
"""Seconds between two lines about the same kind of problem."""

LINES: Final = 3
"""Lines about one kind of problem before that rule begins to count."""


class ProblemRecord(NamedTuple):
    """An answer of our own that is an error.

    Attributes:
        upstream: its name; empty: an admin port.
        code, status, detail, request_id: as the answer tells them.
        address: of the caller; empty: not known, or a Unix socket.
        host, origin: fields of the request, cleaned, if the guard refused it; else empty.
        unlogged: problems of that code since the last line that got none.
        caller: name of the caller; empty: it has none, or is not known.
    """

    upstream: str
    code: str
    status: int
    detail: str
    request_id: str
    address: str = ""
    host: str = ""
    origin: str = ""
    unlogged: int = 0
    caller: str = ""


class ProblemObserver(Protocol):
    """Gets the problems that are worth a line. It must not raise."""

    def problem(self, record: ProblemRecord) -> None: ...


class ProblemLog:
    """Decides which problems of a port are logged: some at once, then one each EACH seconds for each code."""

    def __init__(self, observer: ProblemObserver | None = None) -> None:
        self._observer = observer
        self._seen: dict[str, _Seen] = {}

    def note(self, now: float, record: ProblemRecord) -> None:
        """Log a problem, or count it; `now` in seconds on the Clock."""
        if self._observer is None:
            return
        seen = self._seen.setdefault(record.code, _Seen(now))
        seen.room = min(float(LINES), seen.room + (now - seen.at) / EACH)
        seen.at = now
        if seen.room < 1.0:
            seen.unlogged += 1
            return
        seen.room -= 1.0
        unlogged, seen.unlogged = seen.unlogged, 0
        self._observer.problem(record._replace(unlogged=unlogged))


class _Seen:
    """What one code has had so far.

    Attributes:
        at: seconds on the Clock, of the last one.
        room: how many more may be logged now.
        unlogged: how many were not, since the last line.
    """

    __slots__ = ("at", "room", "unlogged")

    def __init__(self, at: float) -> None:
        self.at = at
        self.room = float(LINES)
        self.unlogged = 0
