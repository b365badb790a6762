"""Pure: what the last answers of an upstream say: its state, since when, and how many requests it has cost.

The request path reads one attribute, `UpstreamWatch.pending`, and calls a method only where that is set or
something has failed. All times are seconds on the Clock.
"""

from dataclasses import dataclass
from math import inf
from typing import Final, Literal, Protocol

from proxy.outgoing.causes import Peer, cause

UpstreamHealth = Literal["unknown", "answers", "slow", "refuses", "unreachable"]
"""`unknown`: no request was sent yet. `slow`: the last one got no answer in time. `refuses`: the last one was
refused because of our credential. `unreachable`: no connection, or it ended before the answer."""

REMINDER: Final = 600.0
"""Seconds between two lines about a state that lasts."""

LINES: Final = 3
"""Most lines about changes in a row; then one each REFILL seconds, for a state that alternates."""

REFILL: Final = 30.0

FIRST_ANSWERS: Final = 3
"""So many first answers with 403 or 404 are worth a line, because a setting is wrong then, most likely."""


@dataclass(frozen=True, slots=True)
class LastProblem:
    """The last request that an upstream did not answer, or that it refused.

    Attributes:
        at: seconds on the Clock.
        state, cause: what it says about the upstream; `cause` is a name of `causes.py`.
        reason: one or more sentences for people.
        request_id: X-Request-Id of our answer; empty: the upstream's answer was forwarded.
    """

    at: float
    state: UpstreamHealth
    cause: str
    reason: str
    request_id: str


@dataclass(frozen=True, slots=True)
class StateChange:
    """A line for the log.

    Attributes:
        kind: `change`, `reminder`, `over` (it answers again), `doubt` (it answers, but not as it should).
        state: the present one; for `over` the one that has ended.
        seconds: for which that state has lasted.
        requests: that were not answered, or refused, meanwhile.
        muted: changes of the state since the last line, which got no line.
    """

    kind: Literal["change", "reminder", "over", "doubt"]
    upstream: str
    state: UpstreamHealth
    cause: str
    reason: str
    request_id: str
    seconds: float
    requests: int
    muted: int


class WatchObserver(Protocol):
    """Gets what is worth a line in the log. It must not raise."""

    def changed(self, change: StateChange) -> None: ...


class UpstreamWatch:
    """Watches the answers of one upstream.

    Attributes:
        pending: whether `answered` has to be called for an answer that is no refusal. It is False as long as
            the upstream answers and has accepted our credential: nothing to learn.
        state: see `UpstreamHealth`.
        since: when this state began.
        requests: that were not answered or were refused since then.
        accepted: whether an answer has shown that our credential is accepted.
        problem: the last one; it stays when the upstream answers again. None: there was none.
    """

    __slots__ = (
        "_cause",
        "_first",
        "_lines",
        "_lines_at",
        "_muted",
        "_observer",
        "_told",
        "_told_at",
        "accepted",
        "peer",
        "pending",
        "problem",
        "requests",
        "since",
        "state",
    )

    def __init__(self, peer: Peer, observer: WatchObserver | None = None) -> None:
        self.peer = peer
        self.pending = True
        self.state: UpstreamHealth = "unknown"
        self.since = 0.0
        self.requests = 0
        self.accepted = False
        self.problem: LastProblem | None = None
        self._observer = observer
        self._cause = ""
        self._first: list[int] = []  # statuses of the first answers, until one is good
        self._told = False
        self._told_at = -inf
        self._lines = float(LINES)
        self._lines_at = -inf
        self._muted = 0

    def answered(self, now: float, status: int, *, credential: bool) -> None:
        """Note an answer that does not refuse our credential; call it while `pending`.

        Args:
            credential: whether our credential was sent.
        """
        if self.state != "answers":
            before, seconds, requests = self.state, now - self.since, self.requests
            told, self._told = self._told, False
            self._enter("answers", "", now)
            if told:
                self._tell("over", before, "", "", "", seconds, requests)
        if status < 400:
            self.accepted = self.accepted or credential
            self._first.clear()
            self.pending = not self.accepted
        elif not self.accepted and len(self._first) < FIRST_ANSWERS:
            self._first.append(status)
            self._look_at_first()

    def failed(self, now: float, state: UpstreamHealth, cause: str, reason: str, request_id: str) -> bool:
        """Note that the upstream gave no answer, or refused our credential; return whether it made a line."""
        self.pending = True
        self.problem = LastProblem(now, state, cause, reason, request_id)
        if state == "refuses":
            self.accepted = False
        changed = state != self.state or cause != self._cause
        if state != self.state:
            self._enter(state, cause, now)
        self._cause = cause
        self.requests += 1
        if changed:
            if not self._may_tell(now):
                self._muted += 1
                return False
        elif not self._told or now - self._told_at < REMINDER:
            return False
        self._told, self._told_at = True, now
        kind: Literal["change", "reminder"] = "change" if changed else "reminder"
        self._tell(kind, state, cause, reason, request_id, now - self.since, self.requests)
        return True

    def _enter(self, state: UpstreamHealth, cause: str, now: float) -> None:
        self.state, self._cause, self.since, self.requests = state, cause, now, 0

    def _may_tell(self, now: float) -> bool:
        self._lines = min(float(LINES), self._lines + (now - self._lines_at) / REFILL)
        self._lines_at = now
        if self._lines < 1.0:
            return False
        self._lines -= 1.0
        return True

    def _look_at_first(self) -> None:
        if len(self._first) < FIRST_ANSWERS or len(set(self._first)) > 1:
            return
        status = self._first[0]
        if status in (403, 404):
            why = cause("only_404" if status == 404 else "only_403", self.peer)
            self._tell("doubt", "answers", why.name, f"{self.peer}: {why.words}.", "", 0.0, FIRST_ANSWERS)

    def _tell(
        self,
        kind: Literal["change", "reminder", "over", "doubt"],
        state: UpstreamHealth,
        cause: str,
        reason: str,
        request_id: str,
        seconds: float,
        requests: int,
    ) -> None:
        muted, self._muted = self._muted, 0
        if self._observer is not None:
            self._observer.changed(
                StateChange(kind, self.peer.name, state, cause, reason, request_id, seconds, requests, muted)
            )
