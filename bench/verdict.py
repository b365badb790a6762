"""What figures say: ratios of pairs, and whether the targets are met. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from statistics import median
from typing import Final

from bench.peers import OURS


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
    """What issue 7 asks for.

    Attributes:
        figure: name of the figures.
        against: our ratio to this peer; None: our figure itself.
        most: at most this.
    """

    figure: str
    most: float
    against: str | None = None


TARGETS: Final = (
    *(Target(f"plain-{n}", most, peer) for n in (1, 32) for peer, most in (("envoy", 0.75), ("nginx", 2.5))),
    Target("tls-1", 1.0, "envoy"),
    Target("tls-32", 1.0, "envoy"),
    Target("open", 0.8, "envoy"),
    Target("down", 1.3, "envoy"),
    Target("up", 1.3, "envoy"),
    # "Bounded by the buffers": a proxy that kept bodies would hold 64 MiB, and 10 MiB.
    Target("unread", 1024.0),
    Target("sending", 1024.0),
    Target("idle", 12.0),
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
        if OURS not in figures.by_peer:
            return None
        measured = figures.typical(OURS)
    else:
        spread = ratio(figures, OURS, target.against)
        if spread is None:
            return None
        measured = spread.middle
    return measured, measured <= target.most
