"""What the request path counts: plain integers, turned into samples when somebody scrapes."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Histogram:
    """Durations in buckets.

    Attributes:
        bounds: upper bounds in seconds; one bucket more than bounds, the last for all above.
        counts: observations per bucket, not cumulated.
        total: sum of all observations, in seconds.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


class Tally:
    """Counts of one upstream; names as in docs/reference.md, without the prefix.

    Attributes:
        requests: by (method of METHODS or `other`, first digit of the status).
        received, sent: octets from and to callers.
        in_flight: requests being answered now.
        problems, repairs: own answers by code, repairs by outcome.
        connections: asked when scraped: how many upstream connections are in which state.
    """

    __slots__ = (
        "connect_seconds",
        "connections",
        "in_flight",
        "problems",
        "received",
        "repairs",
        "request_seconds",
        "requests",
        "response_seconds",
        "sent",
    )

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.received = 0
        self.sent = 0
        self.in_flight = 0
        self.problems: Counter[str] = Counter()
        self.repairs: Counter[str] = Counter()
        self.request_seconds = Histogram()
        self.response_seconds = Histogram()
        self.connect_seconds = Histogram()
        self.connections: Callable[[], dict[str, int]] = dict
