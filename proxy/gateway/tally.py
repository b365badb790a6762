"""What the request path counts: plain integers, turned into samples when somebody scrapes."""

from collections import Counter
from collections.abc import Callable

from proxy.histogram import Histogram

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"


class Tally:
    """Counts of one upstream; names as in docs/reference.md, without the prefix.

    Attributes:
        requests: by (method of METHODS or `other`, first digit of the status).
        received, sent: bytes from and to callers.
        in_flight: requests being answered now.
        problems, repairs: own answers by code, repairs by outcome.
        pools: asked when scraped: how many upstream connections of each are in which state, and how many
            requests wait for one. The counts above go on when a pool is exchanged.
    """

    __slots__ = (
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
        self.requests: Counter[tuple[str, int]] = Counter()
        self.received = 0
        self.sent = 0
        self.in_flight = 0
        self.problems: Counter[str] = Counter()
        self.repairs: Counter[str] = Counter()
        self.request_seconds = Histogram()
        self.response_seconds = Histogram()
        self.connect_seconds = Histogram()
        self.pools: list[Callable[[], dict[str, int]]] = []

    def connections(self) -> dict[str, int]:
        """Connections to the upstream by state, and `waiting`: requests that wait for one."""
        total = Counter[str](waiting=0)
        for counts in self.pools:
            total.update(counts())
        return total
