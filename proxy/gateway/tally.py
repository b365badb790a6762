"""Holds the counts of the request path: plain integers, which become samples only at a scrape."""

from collections import Counter
from collections.abc import Callable

from proxy.gateway.callers import Outcome
from proxy.histogram import Histogram

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"


class Tally:
    """Counts of one upstream; names as in docs/reference.md, without the prefix.

    Attributes:
        requests: by (method of METHODS or `other`, first digit of the status).
        received, sent: bytes from and to callers.
        in_flight: requests that are being answered now.
        callers: requests by (name of the caller, `Outcome`), if there are callers; the name is empty for the
            caller of `guard.caller_token`, and while it is not known.
        problems, repairs: own answers by code, repairs by outcome.
        pools: functions that are called at a scrape; each returns the upstream connections of a pool by
            state, and how many requests wait for one. The counts above continue when a pool is replaced.
    """

    __slots__ = (
        "callers",
        "connect_seconds",
        "in_flight",
        "pools",
        "problems",
        "received",
        "repairs",
        "request_seconds",
        "requests",
        "response_seconds",
        "sent",
    )

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        self.received = 0
        self.sent = 0
        self.in_flight = 0
        self.callers: Counter[tuple[str, Outcome]] = Counter()
        self.problems: Counter[str] = Counter()
        self.repairs: Counter[str] = Counter()
        self.request_seconds = Histogram()
        self.response_seconds = Histogram()
        self.connect_seconds = Histogram()
        self.pools: list[Callable[[], dict[str, int]]] = []

    def connections(self) -> dict[str, int]:
        """Count connections to the upstream by state, and as `waiting` the requests that wait for one."""
        total = Counter[str](waiting=0)
        for counts in self.pools:
            total.update(counts())
        return total
