"""Figures as plain tables, and what became of the targets."""

from collections.abc import Iterator, Mapping, Sequence
from math import nan
from typing import Any, Final

from bench.peers import FLOOR, OURS
from bench.verdict import TARGETS, Figures, Target, judged, ratio

Json = Mapping[str, Any]
_BUILD: Final = ("python", "aiohttp", "uvloop", "valgrind")
_COMPARED: Final = ("µs/request", "µs/MiB", "count")
"""Units whose figures are put in ratios: with the floor, and ours with each peer."""


def tables(all_figures: Sequence[Figures]) -> Iterator[str]:
    """Lines: one table for each figure that is compared, and one line for each that is not."""
    for figures in all_figures:
        if figures.unit in _COMPARED:
            yield from _compared(figures)
    yield ""
    for figures in all_figures:
        if figures.unit not in _COMPARED:
            each = ((peer, figures.typical(peer)) for peer, values in figures.by_peer.items() if values)
            values = "  ".join(f"{peer} {_number(value)}" for peer, value in each)
            yield f"{figures.name + ', ' + figures.unit:<24}{values}"


def verdicts(all_figures: Sequence[Figures]) -> Iterator[str]:
    """Lines: every target, what was measured, met or missed."""
    by_name = {figures.name: figures for figures in all_figures}
    for target in TARGETS:
        figures = by_name.get(target.figure)
        found = judged(target, figures) if figures else None
        if figures and found:
            measured, met = found
            said = "met" if met else "MISSED"
            yield f"{_named(target, figures):<34}{target.most:>9g}{_number(measured):>10}  {said}"


def changes(all_figures: Sequence[Figures], machine: Mapping[str, str], reference: Json) -> Iterator[str]:
    """Lines: what is dearer or cheaper than in the committed result, as far as two runs can be compared.

    Ratios to nginx can across machines, roughly; counts can where Python and its packages are the same.
    """
    same = all(machine[what] == reference.get("machine", {}).get(what) for what in _BUILD)
    for figures in all_figures:
        before = Figures(figures.name, figures.unit, _of(reference, figures.name))
        counts = figures.unit == "count"
        if figures.unit not in _COMPARED or OURS not in before.by_peer or (counts and not same):
            continue
        now, then = (
            (figures.typical(OURS), before.typical(OURS))
            if counts
            else (_to_floor(figures), _to_floor(before))
        )
        what = "" if counts else " x nginx"
        change = f"{now / then - 1:+.1%}"
        yield f"{figures.name}{what}: {_number(now)}, in the reference {_number(then)} ({change})"


def as_json(machine: Mapping[str, str], all_figures: Sequence[Figures], faults: object) -> dict[str, object]:
    return {
        "machine": dict(machine),
        "figures": {
            figures.name: {"unit": figures.unit, "by_peer": dict(figures.by_peer)} for figures in all_figures
        },
        "faults": faults,
    }


def _compared(figures: Figures) -> Iterator[str]:
    yield ""
    heads = f"{'x nginx':>10}{'half of rounds':>18}{'ours / it':>12}{'half':>14}"
    yield f"{figures.name:<14}{figures.unit:>12}{heads}"
    for peer in figures.by_peer:
        if not figures.by_peer[peer]:
            continue
        to_floor, ours = ratio(figures, peer, FLOOR), ratio(figures, OURS, peer)
        line = f"  {peer:<12}{_number(figures.typical(peer)):>12}"
        line += (
            f"{to_floor.middle:>10.2f}{f'{to_floor.low:.2f}-{to_floor.high:.2f}':>18}"
            if to_floor
            else " " * 28
        )
        if ours and peer != OURS:
            line += f"{ours.middle:>12.2f}{f'{ours.low:.2f}-{ours.high:.2f}':>14}"
        yield line.rstrip()


def _of(reference: Json, name: str) -> Mapping[str, Sequence[float]]:
    by_peer: Mapping[str, Sequence[float]] = reference.get("figures", {}).get(name, {}).get("by_peer", {})
    return by_peer


def _to_floor(figures: Figures) -> float:
    spread = ratio(figures, OURS, FLOOR)
    return spread.middle if spread else nan


def _named(target: Target, figures: Figures) -> str:
    if target.against is None:
        return f"{target.figure}, {figures.unit}"
    return f"{target.figure}, {target.whose} / {target.against}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) >= 1 else f"{value:.2f}"
