"""What figures say: ratios of pairs, and whether the targets are met. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from statistics import median
from typing import Final

from bench.peers import OURS, PURE


@dataclass(frozen=True)
class Figures:
    """One measure of every peer.

    Attributes:
        by_peer: a figure for each round; what stands at one place was measured within seconds of each other.
    """

    name: str
    unit: str
    by_peer: Mapping[str, Sequence[float]]

    def typical(self, peer: str) -> float:
        """The median of the rounds in which it answered; nan if in none."""
        return median([value for value in self.by_peer.get(peer, ()) if isfinite(value)] or [nan])


@dataclass(frozen=True)
class Spread:
    """A median with the quarters beside it: half of all rounds lie between `low` and `high`."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Target:
    """A goal.

    Attributes:
        figure: name of the figures.
        against: the ratio to this peer; None: the figure itself.
        most: at most this.
        whose: which build of ours.
    """

    figure: str
    most: float
    against: str | None = None
    whose: str = OURS


TARGETS: Final = (
    Target("plain-32", 0.55, "envoy"),
    Target("plain-32", 1.1, "nginx"),
    Target("plain-32", 0.7, "envoy", PURE),
    Target("plain-1", 0.65, "envoy"),
    Target("tls-1", 0.6, "envoy"),
    Target("tls-32", 0.6, "envoy"),
    Target("churn", 1.0, "envoy"),
    Target("open", 0.5, "envoy"),
    Target("down", 0.85, "envoy"),
    Target("up", 0.85, "envoy"),
    Target("instructions", 0.22, "envoy"),
    # "Bounded by the buffers": a proxy that kept bodies would hold 64 MiB, and 10 MiB.
    Target("unread", 1024.0),
    Target("sending", 1024.0),
    Target("idle", 10.0),
    Target("polls", 25.0),
    Target("million", 5.0),
    Target("start", 0.6),
    Target("rss", 55.0),
    Target("tokens", 0.0),
)


def ratio(figures: Figures, peer: str, against: str) -> Spread | None:
    """The median of the ratios within a round, and its spread; None where there is none."""
    pairs = zip(figures.by_peer.get(peer, ()), figures.by_peer.get(against, ()), strict=False)
    ratios = sorted(one / other for one, other in pairs if other and isfinite(one / other))
    if not ratios:
        return None
    quarter = len(ratios) // 4
    return Spread(median(ratios), ratios[quarter], ratios[-1 - quarter])


def judged(target: Target, figures: Figures) -> tuple[float, bool] | None:
    """What was measured, and whether that meets the target; None where it was not measured."""
    if target.against is None:
        if target.whose not in figures.by_peer:
            return None
        measured = figures.typical(target.whose)
    else:
        spread = ratio(figures, target.whose, target.against)
        if spread is None:
            return None
        measured = spread.middle
    return measured, measured <= target.most
