"""Pure: decides how long to wait between repairs, for each place that refusals come from.

A path that answers 401 to every credential says nothing about the credential, and a good answer from another
path does not prove that the next repair for this one will help. So each place has its own gap, and events at
one place do not change the gap of another:

| event at a place | its gap |
|---|---|
| a request asks for a repair | doubled, from `repair_min` up to `repair_max` |
| a request sent again is accepted | removed, because the repair has helped |
| another request is accepted | waived for one repair, first at once, later only after its end |
| no event for twice `repair_max` | removed |

A new place waits for the usual gap, doubled for each other place of its upstream where repairs do not help,
so that a thousand bad paths do not cause a thousand fetches.
"""

from dataclasses import dataclass
from math import inf
from typing import Final

from proxy.credentials.schedule import Policy, doubled

Place = tuple[str, bytes]
"""Where an answer came from: the upstream's name, and method and path of the request."""

ANYWHERE: Final[Place] = ("", b"")

MAX_PLACES: Final = 64
"""Most places to remember; beyond it, the one with the oldest repair is forgotten."""


@dataclass(slots=True)
class _Doubt:
    """A place where no repair has helped yet.

    Attributes:
        repairs: number of repairs in a row that requests asked for.
        at: time of the last one, in seconds on the Clock.
        again: whether the place refused the new credential as well.
        waived: whether the next repair need not wait for the gap.
        spent: whether the gap was waived before.
    """

    at: float
    repairs: int = 0
    again: bool = False
    waived: bool = False
    spent: bool = False


class RepairGaps:
    """The gaps of one credential.

    Attributes:
        doubts: the places whose gap is not the usual one. Mostly empty; each answer looks at it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.doubts: dict[Place, _Doubt] = {}
        self._until = -inf  # when the last of them is forgotten

    def soonest(self, place: Place, repaired_at: float, now: float) -> float:
        """Return when the gap of this place allows a repair.

        Args:
            repaired_at: seconds on the Clock, end of the last repair made for any place.
        """
        self._forget(now)
        doubt = self.doubts.get(place)
        if doubt is None:
            return repaired_at + self._gap(self._bad_places(place[0]))
        return -inf if doubt.waived else doubt.at + self._gap(doubt.repairs)

    def asked(self, place: Place, now: float, ended_at: float) -> None:
        """Record that a request asks for a repair after a refusal from this place.

        Args:
            ended_at: seconds on the Clock, end of the last attempt; requests that wait for the same attempt
                count once.
        """
        doubt = self.doubts.get(place)
        if doubt is None:
            if len(self.doubts) >= MAX_PLACES:
                del self.doubts[min(self.doubts, key=lambda each: self.doubts[each].at)]
            doubt = self.doubts[place] = _Doubt(now)
        elif doubt.at > ended_at:
            return
        doubt.at = now
        doubt.repairs += 1
        doubt.spent = doubt.spent or doubt.waived
        doubt.waived = False
        self._until = now + self._memory

    def refused_again(self, place: Place) -> None:
        """Record that a request was sent again and refused again."""
        if place in self.doubts:
            self.doubts[place].again = True

    def note_accepted(self, place: Place, now: float, *, repaired: bool) -> None:
        """Record that an answer from this place was no refusal.

        Args:
            repaired: whether the request had been sent again.
        """
        doubt = self.doubts.get(place)
        if doubt is not None and repaired:
            del self.doubts[place]
        elif doubt is not None and not doubt.waived:
            doubt.waived = not doubt.spent or now >= doubt.at + self._gap(doubt.repairs)
        if now >= self._until:
            self.doubts.clear()

    def clear(self) -> None:
        """Forget all places, because the credential comes from another source now."""
        self.doubts.clear()

    @property
    def _memory(self) -> float:
        return 2 * self._policy.repair_max

    def _gap(self, times: int) -> float:
        return doubled(self._policy.repair_min, times, self._policy.repair_max)

    def _bad_places(self, upstream: str) -> int:
        return sum(
            name == upstream and not doubt.waived and (doubt.again or doubt.repairs > 1)
            for (name, _), doubt in self.doubts.items()
        )

    def _forget(self, now: float) -> None:
        for place in [each for each, doubt in self.doubts.items() if now >= doubt.at + self._memory]:
            del self.doubts[place]
