"""Pure: describes the state of the proxy for the page, as JSON values. All durations are in seconds.

None of the values read here is a secret. The page shows every text as text.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from proxy.admin.recent import RecentProblem
from proxy.admin.state import Facts
from proxy.admin.status import Json, Snapshot, UpstreamStatus, told
from proxy.credentials.report import CredentialStatus
from proxy.gateway.records import RecentRequest
from proxy.gateway.watch import UpstreamHealth

Level = Literal["good", "wait", "warn", "bad"]

_LABELS: Final[dict[UpstreamHealth, str]] = {
    "slow": "too slow",
    "refuses": "refuses the credential",
    "unreachable": "unreachable",
}
_SUMMED: Final[tuple[tuple[Level, str], ...]] = (
    ("bad", "not working"),
    ("wait", "starting"),
    ("warn", "ready, but not well"),
)
_NAMED: Final = 3
"""Most upstreams that the summary names."""

LONGEST_PATH: Final = 500
"""Most bytes of a path that are shown."""

NO_FACTS: Final = Facts("", "", "", "")


class Standing(NamedTuple):
    """How an upstream is, for people.

    Attributes:
        label: one or two words.
        said: sentences; empty: there is nothing to say.
    """

    level: Level
    label: str
    said: str


def standing(snapshot: Snapshot, upstream: UpstreamStatus) -> Standing:
    """Decide how an upstream is: its credential first, then what its last answers say."""
    state, seen, reason = snapshot.state(upstream), upstream.seen, snapshot.reason(upstream)
    if state == "draining":
        return Standing("wait", "shutting down", "")
    if state == "starting":
        return Standing("wait", "starting", sentence(reason))
    if state == "unusable":
        return Standing("bad", "no credential", sentence(reason))
    if seen.state in _LABELS:
        return Standing("bad", _LABELS[seen.state], sentence(f"it {told(seen, snapshot.now)}"))
    if reason:
        return Standing("warn", "ready", sentence(reason))
    tried = "" if seen.credential == "accepted" else "The upstream has not accepted the credential yet."
    return Standing("good", "ready", tried if seen.state == "answers" else "")


def summary(snapshot: Snapshot) -> tuple[Level, str]:
    """Say in one sentence how the proxy is."""
    if snapshot.draining:
        running = sum(upstream.in_flight for upstream in snapshot.upstreams)
        are = "is" if running == 1 else "are"
        still = f"{_counted(running, 'request')} {are} still running" if running else "No request is running"
        return "wait", f"The proxy is shutting down. {still}."
    levels = [(standing(snapshot, upstream).level, upstream.name) for upstream in snapshot.upstreams]
    count = len(levels)
    for level, words in _SUMMED:
        names = [name for found, name in levels if found == level]
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            are = "is" if len(names) == 1 else "are"
            which = f"{', '.join(names[:_NAMED])}{more}"
            return level, f"{len(names)} of {_counted(count, 'upstream')} {are} {words}: {which}."
    return "good", "The upstream is ready." if count == 1 else f"All {count} upstreams are ready."


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def sentence(text: str) -> str:
    """Begin a text with a capital letter and end it with a full stop; an empty one stays empty."""
    return text and f"{text[:1].upper()}{text[1:].rstrip('.')}."


def document(
    snapshot: Snapshot, facts: Mapping[str, Facts], version: str, uptime: float, wall: float
) -> dict[str, Json]:
    """Return what the page shows, without lists that grow.

    Args:
        wall: the present time in seconds since 1970.
    """
    level, said = summary(snapshot)
    upstreams = snapshot.upstreams
    return {
        "version": version,
        "uptime": round(uptime, 1),
        "time": round(wall, 3),
        "level": level,
        "summary": said,
        "requests_total": sum(sum(upstream.requests.values()) for upstream in upstreams),
        "in_flight": sum(upstream.in_flight for upstream in upstreams),
        "upstreams": [
            _upstream(snapshot, upstream, facts.get(upstream.name, NO_FACTS)) for upstream in upstreams
        ],
    }


def _upstream(snapshot: Snapshot, upstream: UpstreamStatus, facts: Facts) -> dict[str, Json]:
    how = standing(snapshot, upstream)
    failed = sum(count for (_, digit), count in upstream.requests.items() if digit >= 4)
    return {
        "name": upstream.name,
        "api": upstream.api,
        "address": facts.address or upstream.listen[0],
        "url": upstream.url,
        "level": how.level,
        "label": how.label,
        "said": how.said,
        "requests": sum(upstream.requests.values()),
        "failed": failed,
        "in_flight": upstream.in_flight,
        "example": facts.example,
        "credential": _credential(upstream.status, facts, snapshot.now),
    }


def _credential(status: CredentialStatus, facts: Facts, now: float) -> Json:
    ends = status.expires_at if status.ends_at is None else status.ends_at
    began = status.last_success
    return {
        "kind": facts.kind,
        "account": facts.account,
        "usable": status.usable,
        "renewed": None if began is None else round(now - began, 1),
        "ends": None if ends is None else round(ends - now, 1),
        "life": None if ends is None or began is None else round(ends - began, 1),
        "next": None if status.next_attempt is None else round(max(status.next_attempt - now, 0.0), 1),
        "failures": status.failures,
    }


def requests(entries: Iterable[RecentRequest], offset: float) -> list[Json]:
    """Return finished requests; `offset` turns seconds on the Clock into seconds since 1970."""
    return [
        {
            "upstream": upstream,
            "method": printable(method),
            "path": _path(target),
            "status": status,
            "at": round(started + offset, 3),
            "seconds": round(seconds, 4),
            "problem": problem,
            "repaired": repaired,
            "caller": caller,
        }
        for upstream, method, target, status, started, seconds, problem, repaired, caller in entries
    ]


def _path(target: bytes) -> str:
    path = target.partition(b"?")[0]
    return printable(path[:LONGEST_PATH]) + ("…" if len(path) > LONGEST_PATH else "")


def printable(data: bytes) -> str:
    """Return bytes as ASCII; what cannot be seen is percent-encoded."""
    return "".join(chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02X}" for byte in data)


def problems(entries: Sequence[RecentProblem], offset: float) -> list[Json]:
    """Return problems, the newest first; `offset` as in `requests`."""
    return [
        {
            "at": round(each.at + offset, 3),
            "upstream": each.upstream,
            "over": each.over,
            "said": each.said if each.said.endswith(".") else f"{each.said}.",
            "request_id": each.request_id,
            "times": each.times,
        }
        for each in reversed(entries)
    ]
