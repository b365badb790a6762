"""The table and the list of failures, as text. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

from bench.behaviour.peers import OURS, PEERS
from bench.behaviour.verdict import Result, Verdict
from bench.verdict import Figures, ratio

Json = Mapping[str, Any]
_HERE: Final = Path(__file__).parent
_MOST: Final = 10
"""Failures of ours that the table names itself."""


@dataclass(frozen=True)
class Group:
    """Rows that are counted together.

    Attributes:
        meaning: for a user, in plain words.
    """

    name: str
    title: str
    meaning: str


def _groups() -> Iterator[Group]:
    text = (_HERE / "groups.tsv").read_text(encoding="utf-8")
    for line in text.splitlines()[1:]:
        yield Group(*line.split("\t"))


GROUPS: Final = tuple(_groups())
COSTS: Final = (
    ("plain-32", "CPU per request, 32 connections"),
    ("tls-32", "the same, TLS to the API"),
    ("plain-1", "CPU per request, 1 connection"),
    ("down", "CPU per MiB of answers"),
    ("up", "CPU per MiB of uploads"),
)


def markdown(verdicts: Sequence[Verdict], described: Mapping[str, str], reference: Json) -> str:
    """Make bench/peers.md.

    Args:
        described: versions of what was judged.
        reference: bench/results/reference.json; empty: costs are left out.
    """
    names = [name for name in PEERS if any(each.peer == name for each in verdicts)]
    template = Template((_HERE / "peers.md.in").read_text(encoding="utf-8"))
    return template.substitute(
        made=", ".join(f"{what} {version}" for what, version in described.items()),
        rows="\n".join(_behaviour(verdicts, names)),
        commit=reference.get("machine", {}).get("ours", "unknown"),
        cost="\n".join(_cost(reference, names)),
        better="\n".join(_better(verdicts, names, reference)),
        ours="\n".join(_failures_of_ours(verdicts)),
        cannot="\n".join(_cannot(verdicts, names)),
    )


def failures(verdicts: Sequence[Verdict]) -> str:
    """bench/peers.tsv: each row that a peer failed, and what was seen."""
    order = {group.name: number for number, group in enumerate(GROUPS)}
    peers = {name: number for number, name in enumerate(PEERS)}
    failed = [each for each in verdicts if each.result is Result.FAILED]
    failed.sort(key=lambda each: (order[each.group], peers[each.peer], each.row))
    lines = ["group\tpeer\trow\tseen", *(f"{v.group}\t{v.peer}\t{v.row}\t{v.why}" for v in failed)]
    return "\n".join(lines) + "\n"


def counts(verdicts: Sequence[Verdict], group: str, peer: str) -> Counter[Result]:
    return Counter(each.result for each in verdicts if (each.group, each.peer) == (group, peer))


def _behaviour(verdicts: Sequence[Verdict], names: Sequence[str]) -> Iterator[str]:
    yield "| | " + " | ".join(PEERS[name].title for name in names) + " | what it means for you |"
    yield "|---|" + "---|" * (len(names) + 1)
    for group in GROUPS:
        cells = [_cell(counts(verdicts, group.name, name)) for name in names]
        if any(cells):
            yield f"| {group.title} | " + " | ".join(cells) + f" | {group.meaning} |"


def _cell(found: Counter[Result]) -> str:
    tried = found[Result.PASSED] + found[Result.FAILED]
    if not tried:
        return "cannot" if found[Result.CANNOT] else ""
    more = f", {found[Result.CANNOT]} cannot" if found[Result.CANNOT] else ""
    return f"{found[Result.PASSED]} of {tried}{more}"


def costs(reference: Json) -> dict[str, dict[str, float]]:
    """CPU of each peer as a multiple of ours, by measure: the median of the rounds."""
    found: dict[str, dict[str, float]] = {}
    for measure, _ in COSTS:
        kept = reference.get("figures", {}).get(measure)
        if kept is None:
            continue
        figures = Figures(measure, kept["unit"], kept["by_peer"])
        spreads = {name: ratio(figures, name, OURS) for name in PEERS}
        found[measure] = {name: spread.middle for name, spread in spreads.items() if spread is not None}
    return found


def _cost(reference: Json, names: Sequence[str]) -> Iterator[str]:
    found = costs(reference)
    yield "| | " + " | ".join(PEERS[name].title for name in names) + " |"
    yield "|---|" + "---|" * len(names)
    for measure, title in COSTS:
        if measure in found:
            cells = [f"{found[measure][name]:.2f}" if name in found[measure] else "-" for name in names]
            yield f"| {title} | " + " | ".join(cells) + " |"


def _better(verdicts: Sequence[Verdict], names: Sequence[str], reference: Json) -> Iterator[str]:
    for group in GROUPS:
        ours = {each.row for each in verdicts if _is(each, group.name, OURS, Result.FAILED)}
        for name in names:
            passed = sum(each.row in ours and _is(each, group.name, name, Result.PASSED) for each in verdicts)
            if passed:
                yield f'- {PEERS[name].title} passes {passed} row(s) of "{group.title}" that ours fails.'
    for measure, found in costs(reference).items():
        better = [f"{PEERS[name].title} ({value:.2f})" for name, value in found.items() if value < 1]
        if better:
            yield f"- {dict(COSTS)[measure]}: {', '.join(better)} of ours."
    if "mcp-remote" in names:
        yield "- mcp-remote has no port: no web page and no other user can use its credential."


def _is(each: Verdict, group: str, peer: str, result: Result) -> bool:
    return (each.group, each.peer, each.result) == (group, peer, result)


def _failures_of_ours(verdicts: Sequence[Verdict]) -> Iterator[str]:
    failed = [each for each in verdicts if each.peer == OURS and each.result is Result.FAILED]
    if not failed:
        yield "No row."
    for each in failed[:_MOST]:
        yield f"- {each.group}, {each.row}: {each.why}"
    if len(failed) > _MOST:
        yield f"- {len(failed) - _MOST} more are in [peers.tsv](peers.tsv)"


def _cannot(verdicts: Sequence[Verdict], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        whys: dict[str, list[str]] = {}
        for group in GROUPS:
            for each in verdicts:
                if _is(each, group.name, name, Result.CANNOT):
                    whys.setdefault(each.why, []).append(group.title)
        for why, titles in whys.items():
            yield f"- {PEERS[name].title}: {why} ({'; '.join(dict.fromkeys(titles))})."
