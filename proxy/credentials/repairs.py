"""Pure: how long to wait between repairs, by where the refusals come from.

A path that answers 401 whatever it is shown says nothing about the credential, and an answer from elsewhere
does not prove that the next repair for this path will help. So each place has a gap of its own, and what
happens at one place does not change the gap of another:

| what happens at a place | its gap |
|---|---|
| a repair is asked for | doubled, from `repair_min` up to `repair_max` |
| a request that was sent again passes | none any more: the repair has helped |
| another request passes | waived for one repair: at first at once, from then on only when it is over |
| nothing for twice `repair_max` | none any more |

A place that is new waits for the usual gap, doubled for each other place of its upstream where repairs do not
help, so that a thousand bad paths are not a thousand fetches.
"""

from dataclasses import dataclass
from math import inf
from typing import Final

from proxy.credentials.schedule import Policy, doubled

Place = tuple[str, bytes]
"""Where an answer came from: the upstream's name, and method and path of the request."""

ANYWHERE: Final[Place] = ("", b"")

MAX_PLACES: Final = 64
"""So many are remembered; of more, the one whose last repair is longest ago is forgotten."""


@dataclass(slots=True)
class _Doubt:
    """A place where a repair was asked for and has not helped yet.

    Attributes:
        repairs: asked for in a row.
        at: seconds on the Clock, of the last one.
        again: whether the credential that it brought was refused here, too.
        waived: whether the next one need not wait for the gap.
        spent: whether it was waived before.
    """

    at: float
    repairs: int = 0
    again: bool = False
    waived: bool = False
    spent: bool = False


class RepairGaps:
    """The gaps of one credential.

    Attributes:
        doubts: the places whose gap is not the usual one; mostly empty, and looked at for each answer.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.doubts: dict[Place, _Doubt] = {}
        self._until = -inf  # when the last of them is forgotten

    def soonest(self, place: Place, repaired_at: float, now: float) -> float:
        """When a repair may be made for a refusal from this place, as far as its gap goes.

        Args:
            repaired_at: seconds on the Clock, end of the last repair made for any place.
        """
        self._forget(now)
        doubt = self.doubts.get(place)
        if doubt is None:
            return repaired_at + self._gap(self._bad_places(place[0]))
        return -inf if doubt.waived else doubt.at + self._gap(doubt.repairs)

    def asked(self, place: Place, now: float, ended_at: float) -> None:
        """A repair is asked for because of a refusal from this place.

        Args:
            ended_at: seconds on the Clock, end of the last attempt: requests that wait for the same one count
                once.
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
        """A request that was sent again was refused again."""
        if place in self.doubts:
            self.doubts[place].again = True

    def note_accepted(self, place: Place, now: float, *, repaired: bool) -> None:
        """An answer from this place was no refusal.

        Args:
            repaired: whether its request had been sent again.
        """
        doubt = self.doubts.get(place)
        if doubt is not None and repaired:
            del self.doubts[place]
        elif doubt is not None and not doubt.waived:
            doubt.waived = not doubt.spent or now >= doubt.at + self._gap(doubt.repairs)
        if now >= self._until:
            self.doubts.clear()

    def clear(self) -> None:
        """The source is another one: what is known says nothing about it."""
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
