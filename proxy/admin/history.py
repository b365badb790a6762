"""Pure: requests per second and latency of each upstream over the last minutes, for the page."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from proxy.gateway.tally import Tally

POINTS: Final = 240
"""Points that are kept for each upstream."""


class Point(NamedTuple):
    """What an upstream did between two samples.

    Attributes:
        good, failed: requests per second that ended with a status below 400, and above.
        median, slow: seconds within which half and 95 % of them were answered; None: there were none.
    """

    good: float
    failed: float
    median: float | None
    slow: float | None


class History:
    """The last points of each upstream.

    Attributes:
        points: by the upstream's name, the newest at the right end.
    """

    def __init__(self) -> None:
        self.points: dict[str, deque[Point]] = {}
        self._before: dict[str, _Counts] = {}
        self._at = 0.0

    def sample(self, now: float, tallies: Iterable[tuple[str, Tally]]) -> None:
        """Add a point for each upstream, and forget those that are gone; `now` in seconds on the Clock."""
        seconds = now - self._at
        counts = {name: _counted(tally) for name, tally in tallies}
        if seconds > 0:
            for name in self._before.keys() & counts.keys():
                points = self.points.setdefault(name, deque(maxlen=POINTS))
                points.append(_point(self._before[name], counts[name], seconds))
        self.points = {name: points for name, points in self.points.items() if name in counts}
        self._before, self._at = counts, now


class _Counts(NamedTuple):
    good: int
    failed: int
    buckets: tuple[int, ...]
    bounds: tuple[float, ...]


def _counted(tally: Tally) -> _Counts:
    failed = sum(count for (_, digit), count in tally.requests.items() if digit >= 4)
    histogram = tally.request_seconds
    good = sum(tally.requests.values()) - failed
    return _Counts(good, failed, tuple(histogram.counts), histogram.bounds)


def _point(before: _Counts, after: _Counts, seconds: float) -> Point:
    buckets = [new - old for old, new in zip(before.buckets, after.buckets, strict=True)]
    return Point(
        (after.good - before.good) / seconds,
        (after.failed - before.failed) / seconds,
        quantile(after.bounds, buckets, 0.5),
        quantile(after.bounds, buckets, 0.95),
    )


def quantile(bounds: Sequence[float], buckets: Sequence[int], share: float) -> float | None:
    """Estimate a quantile from counts per bucket, as Prometheus does: linear within a bucket.

    Args:
        bounds: upper bounds; there is one more bucket, for everything above, which counts as the last bound.
        share: in (0, 1].
    """
    wanted = share * sum(buckets)
    if wanted <= 0:
        return None
    lower = 0.0
    for bound, count in zip(bounds, buckets, strict=False):
        if count and wanted <= count:
            return lower + (bound - lower) * wanted / count
        wanted -= count
        lower = bound
    return lower
