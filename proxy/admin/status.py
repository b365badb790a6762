"""Pure: describes the state of the proxy as JSON values.

All times are in seconds. None of the values read here is a secret, so none can be shown.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from proxy.clock import date_of
from proxy.credentials.report import CredentialStatus
from proxy.gateway.callers import Outcome
from proxy.gateway.watch import LastProblem, UpstreamHealth

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

UpstreamState = Literal["starting", "ready", "unusable", "draining"]


CredentialProof = Literal["untried", "accepted", "refused"]
"""What the upstream's answers say about our credential. `untried`: no answer has shown it yet."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last answers of an upstream say.

    Attributes:
        state, since, requests, problem: see `UpstreamWatch`.
        credential: see `CredentialProof`.
    """

    state: UpstreamHealth
    since: float
    requests: int
    credential: CredentialProof
    problem: LastProblem | None


@dataclass(frozen=True, slots=True)
class CallerView:
    """A caller of the configuration.

    Attributes:
        name: empty: the caller of `guard.caller_token`.
        upstreams: that it may use.
        access: its rules in words; `all`: it has none.
        expires: seconds since 1970; None: never.
    """

    name: str
    upstreams: tuple[str, ...]
    access: str
    expires: float | None


@dataclass(frozen=True, slots=True)
class CallerStatus:
    """A caller, and its requests so far, by (upstream, outcome)."""

    view: CallerView
    requests: Mapping[tuple[str, Outcome], int]


NOTHING_SEEN = Seen("unknown", 0.0, 0, "untried", None)


@dataclass(frozen=True, slots=True)
class UpstreamStatus:
    """The state of an upstream.

    Attributes:
        name, api, url, credential, listen: see `UpstreamView`.
        status: of its credential.
        requests: so far, by (method, first digit of the status).
        in_flight: requests that are being answered now.
        seen: what its last answers say.
        tls: whether its listener has TLS.
        certificate_ends: seconds since 1970 until which the listener's certificate is valid; None: not known.
    """

    name: str
    api: str
    url: str
    credential: str
    listen: tuple[str, ...]
    status: CredentialStatus
    requests: Mapping[tuple[str, int], int]
    in_flight: int
    seen: Seen = NOTHING_SEEN
    tls: bool = False
    certificate_ends: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the proxy.

    Attributes:
        now: seconds on the Clock; all other times are shown relative to it.
        bound: whether every listener is bound.
        draining: whether the proxy is shutting down.
    """

    now: float
    upstreams: tuple[UpstreamStatus, ...]
    bound: bool
    draining: bool
    callers: tuple[CallerStatus, ...] = ()

    @property
    def started(self) -> bool:
        """Whether the listeners are bound and the first fetches have ended, with or without success."""
        return self.bound and all(_fetched(upstream.status) for upstream in self.upstreams)

    @property
    def ready(self) -> bool:
        """Whether every upstream has a usable credential and the proxy takes new requests."""
        usable = all(upstream.status.usable for upstream in self.upstreams)
        return usable and self.bound and not self.draining

    def state(self, upstream: UpstreamStatus) -> UpstreamState:
        """Return the state that a request to the upstream would meet."""
        if self.draining:
            return "draining"
        if not self.bound:
            return "starting"
        if upstream.status.usable:
            return "ready"
        return "unusable" if _fetched(upstream.status) else "starting"

    def reason(self, upstream: UpstreamStatus) -> str:
        """Say why the upstream is not ready, or what is wrong although it is; empty: nothing is wrong."""
        if self.draining:
            return "the proxy is shutting down"
        if not self.bound:
            return "the proxy's listeners are not bound yet"
        return upstream.status.reason


def startup(snapshot: Snapshot) -> Json:
    """Return the document of `/health/startup`."""
    waiting = [upstream for upstream in snapshot.upstreams if not _fetched(upstream.status)]
    return {"started": snapshot.started, "waiting": [upstream.name for upstream in waiting]}


def readiness(snapshot: Snapshot) -> Json:
    """Return the document of `/health/ready`."""
    return {
        "ready": snapshot.ready,
        "upstreams": {
            upstream.name: {
                "ready": snapshot.state(upstream) == "ready",
                "reason": snapshot.reason(upstream),
                "upstream": upstream.seen.state,
                "told": told(upstream.seen, snapshot.now),
            }
            for upstream in snapshot.upstreams
        },
    }


def overview(snapshot: Snapshot, version: str, uptime: float, wall: float = 0.0) -> Json:
    """Return the document of `/status.json`.

    Args:
        uptime: seconds.
        wall: seconds since 1970.
    """
    upstreams = snapshot.upstreams
    credentials = {(upstream.status.name, upstream.status.target): upstream.status for upstream in upstreams}
    return {
        "version": version,
        "uptime": round(uptime, 3),
        "started": snapshot.started,
        "ready": snapshot.ready,
        "draining": snapshot.draining,
        "upstreams": [_upstream(snapshot, upstream, wall) for upstream in upstreams],
        "credentials": [_credential(status, snapshot.now) for status in credentials.values()],
        "callers": [_caller(caller) for caller in snapshot.callers],
        "requests": sum(sum(upstream.requests.values()) for upstream in upstreams),
        "in_flight": sum(upstream.in_flight for upstream in upstreams),
    }


def _upstream(snapshot: Snapshot, upstream: UpstreamStatus, wall: float) -> Json:
    return {
        "name": upstream.name,
        "api": upstream.api,
        "url": upstream.url,
        "listen": list(upstream.listen),
        "listen_tls": {"certificate_expires_in": _left(upstream, wall)} if upstream.tls else None,
        "credential": upstream.credential,
        "target": upstream.status.target,
        "state": snapshot.state(upstream),
        "reason": snapshot.reason(upstream),
        "upstream": _seen(upstream.seen, snapshot.now),
        "requests": sum(upstream.requests.values()),
        "codes": _by_class(upstream.requests),
        "in_flight": upstream.in_flight,
    }


def _left(upstream: UpstreamStatus, wall: float) -> float | None:
    """Return the seconds until the listener's certificate expires; negative: it has expired."""
    return None if upstream.certificate_ends is None else round(upstream.certificate_ends - wall, 3)


def _caller(caller: CallerStatus) -> Json:
    outcomes: Counter[str] = Counter()
    for (_, outcome), count in caller.requests.items():
        outcomes[outcome] += count
    view = caller.view
    return {
        "name": view.name or None,
        "upstreams": list(view.upstreams),
        "access": view.access,
        "expires": None if view.expires is None else date_of(view.expires),
        "requests": sum(outcomes.values()),
        "outcomes": {outcome: outcomes[outcome] for outcome in sorted(outcomes)},
    }


def _seen(seen: Seen, now: float) -> Json:
    return {
        "state": seen.state,
        "for": _seconds(now, seen.since) if seen.state != "unknown" else None,
        "failed_requests": seen.requests,
        "credential": seen.credential,
        "last_problem": _problem(seen.problem, now) if seen.problem is not None else None,
    }


def _problem(problem: LastProblem, now: float) -> Json:
    return {
        "ago": _seconds(now, problem.at),
        "state": problem.state,
        "cause": problem.cause,
        "reason": problem.reason,
        "request_id": problem.request_id,
    }


STATE_WORDS: Final[dict[UpstreamHealth, str]] = {
    "unknown": "no request was sent yet",
    "answers": "answers",
    "slow": "does not answer in time",
    "refuses": "refuses our credential",
    "unreachable": "is unreachable",
}
"""Each state as a predicate, for people."""


def told(seen: Seen, now: float) -> str:
    """Say in words what the last answers say, with the reason if it is a problem."""
    words = STATE_WORDS[seen.state]
    if seen.state == "unknown":
        return f"{words}, so the credential is not tried yet"
    if seen.state == "answers":
        return words if seen.credential == "accepted" else f"{words}; the credential is not tried yet"
    lasted = duration(max(now - seen.since, 0.0))
    reason = f": {seen.problem.reason}" if seen.problem is not None else ""
    requests = "1 request" if seen.requests == 1 else f"{seen.requests} requests"
    return f"{words}, for {lasted} and {requests}{reason}"


def duration(seconds: float) -> str:
    """Return a duration for people: `34 s`, `12 min`, `5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _by_class(requests: Mapping[tuple[str, int], int]) -> Json:
    """Count requests per class of status code, as `{"2xx": 17}`."""
    classes = sorted({digit for _, digit in requests})
    return {
        f"{wanted}xx": sum(count for (_, digit), count in requests.items() if digit == wanted)
        for wanted in classes
    }


def _credential(status: CredentialStatus, now: float) -> Json:
    file = {} if status.file_ends_at is None else {"file_expires_in": _seconds(status.file_ends_at, now)}
    return {
        "name": status.name,
        "target": status.target,
        "condition": status.condition,
        "usable": status.usable,
        "expires_in": _seconds(status.expires_at if status.ends_at is None else status.ends_at, now),
        **file,
        **({} if status.login_ends_at is None else {"login_expires_in": _seconds(status.login_ends_at, now)}),
        **({"command": status.command} if status.command else {}),
        "last_success_ago": _seconds(now, status.last_success),
        "last_outcome": status.outcome,
        "next_attempt_in": _seconds(status.next_attempt, now),
        "failures": status.failures,
        "reason": status.reason,
    }


def _seconds(until: float | None, since: float | None) -> float | None:
    """Return the seconds between two times, at least zero; None: one of them is not known."""
    return None if until is None or since is None else round(max(until - since, 0.0), 3)


def _fetched(status: CredentialStatus) -> bool:
    """Tell whether the first fetch has ended, with or without success."""
    return status.usable or status.outcome is not None
