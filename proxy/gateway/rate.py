"""Pure: limits how many requests per second one caller may send, by a token bucket."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit of requests.

    Attributes:
        per_second: requests per second in the long run; more than 0.
        burst: most requests at once; at least 1.
    """

    per_second: float
    burst: int


class Bucket:
    """What is left of a limit. It holds two numbers, whatever the number of requests."""

    __slots__ = ("_at", "_left", "rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate = rate
        self._left = float(rate.burst)
        self._at = now

    def take(self, now: float) -> float:
        """Count a request; return 0 if it may pass, else the seconds until the next one may.

        A request that may not pass uses up nothing. `now` is in seconds on the Clock.
        """
        rate = self.rate
        if now > self._at:
            self._left = min(float(rate.burst), self._left + (now - self._at) * rate.per_second)
            self._at = now
        if self._left >= 1.0:
            self._left -= 1.0
            return 0.0
        return (1.0 - self._left) / rate.per_second
