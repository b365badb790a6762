"""Counts durations in buckets, for credentials and gateway."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Histogram:
    """Durations in buckets.

    Attributes:
        bounds: upper bounds in seconds; there is one more bucket, for all durations above.
        counts: observations per bucket, not cumulated.
        total: sum of all observations, in seconds.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        place = 0
        for bound in self.bounds:  # most are in the first bucket, so bisection costs more
            if seconds <= bound:
                break
            place += 1
        self.counts[place] += 1
        self.total += seconds
