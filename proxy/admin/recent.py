"""Keeps the last requests and problems for the page, with limits."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from proxy.clock import Clock
from proxy.gateway.records import RecentRequests

REQUESTS: Final = 100
PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True)
class RecentProblem:
    """Something that was worth a line in the log.

    Attributes:
        at: seconds on the Clock, of the last time.
        upstream: its name; empty: an admin port.
        over: whether it says that a problem has ended.
        said: sentences for people.
        request_id: X-Request-Id of our answer; empty: there was none.
        times: how often it has happened; repetitions that got no line of the log count as well.
    """

    at: float
    upstream: str
    over: bool
    said: str
    request_id: str
    times: int


class Recent:
    """The last requests and problems of the proxy.

    Attributes:
        requests: the newest at the right end. The request path appends to it.
        problems: the newest at the right end.
    """

    def __init__(self, clock: Clock) -> None:
        self.requests: RecentRequests = deque(maxlen=REQUESTS)
        self.problems: deque[RecentProblem] = deque(maxlen=PROBLEMS)
        self._clock = clock

    def note(
        self, upstream: str, said: str, request_id: str = "", *, over: bool = False, times: int = 1
    ) -> None:
        """Note a problem, or its end. One that is noted already is moved to the end and counted."""
        for known in self.problems:
            if (known.upstream, known.said) == (upstream, said):
                times += known.times
                self.problems.remove(known)
                break
        self.problems.append(RecentProblem(self._clock.now(), upstream, over, said, request_id, times))
