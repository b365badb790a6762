"""bench/run: measures, tells, keeps what it measured."""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import report
from bench.compiled import compiled
from bench.cost import closed_loop, downloads, open_loop, upload
from bench.counts import instructions, system_calls
from bench.field import Field, laid_out
from bench.life import start, tokens
from bench.machine import described, missing
from bench.memory import buffers, idle, million, polls
from bench.peers import BEFORE, BENCH, FLOOR, OURS, PEERS, PURE
from bench.plan import SHORT, Measure, Plan
from bench.process import cores
from bench.verdict import Figures

MEASURES: Final[dict[str, tuple[str, Measure]]] = {
    "plain-1": ("CPU per request, 1 connection", closed_loop("plain-1", 1)),
    "plain-32": ("CPU per request, 32 connections", closed_loop("plain-32", 32)),
    "tls-1": ("the same with TLS to the origin, 1 connection", closed_loop("tls-1", 1, tls=True)),
    "tls-32": ("the same with TLS to the origin, 32 connections", closed_loop("tls-32", 32, tls=True)),
    "churn": ("CPU per request, each on a connection of its own", closed_loop("churn", 8, close=True)),
    "open": ("CPU per request at 1,000 requests a second", open_loop),
    "down": ("CPU per MiB of 1 MiB answers", downloads),
    "up": ("CPU per MiB of 10 MiB uploads", upload),
    "buffers": ("memory for bodies that are not read, or being sent", buffers),
    "idle": ("memory per idle connection, 10,000 of them", idle),
    "polls": ("memory per waiting long poll, 10,000 of them", polls),
    "start": ("start to first answer, and memory after it", start),
    "million": ("growth of memory over 1,000,000 requests", million),
    "tokens": ("requests that wait where tokens live for 5 s", tokens),
    "instructions": ("user-space instructions per request, by valgrind", instructions),
    "system-calls": ("system calls per request, by strace", system_calls),
}

SHORT_MEASURES: Final = (
    *("plain-1", "plain-32", "tls-32", "open", "down", "up"),
    *("polls", "start", "million", "tokens", "instructions", "system-calls"),
)
SHORT_PEERS: Final = (FLOOR, "envoy", OURS, PURE)


def main() -> int:
    """0, or 1 where a request was lost or answered wrongly; never for being slow."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _, load_core = cores()
    os.sched_setaffinity(0, {load_core})
    plan = SHORT if options.short else Plan()
    wanted = options.measures or (SHORT_MEASURES if options.short else list(MEASURES))
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    names = _peers(options)
    for absent in missing(tuple(names)):
        print(f"{absent} is not installed: left out")
        names.remove(absent)
    machine = described()
    ours = compiled(BENCH.parent, OURS)
    before = compiled(options.against, BEFORE) if options.against else ours
    print(*(f"{what}: {value}" for what, value in machine.items()), sep="\n", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        laid_out(Path(folder), names, ours, before) as field,
    ):
        figures = _measured(field, plan, wanted)
        faults = field.faults
    print(*report.tables(figures), "", *report.verdicts(figures), sep="\n")
    print(*report.changes(figures, machine, _reference()), sep="\n")
    kept = _keep(report.as_json(machine, figures, faults))
    print(f"\nkept as {kept.relative_to(BENCH.parent)}")
    for peer, what in faults.items():
        print(f"{peer}: {'; '.join(what)}")
    return 1 if faults.keys() & {OURS, PURE, FLOOR} else 0


def _peers(options: argparse.Namespace) -> list[str]:
    usual = SHORT_PEERS if options.short else PEERS
    asked = {FLOOR, OURS, *(options.peers.split(",") if options.peers else usual)} - {BEFORE}
    wanted = asked | ({BEFORE} if options.against else set())
    return [name for name in PEERS if name in wanted]


def _measured(field: Field, plan: Plan, wanted: Sequence[str]) -> list[Figures]:
    figures: list[Figures] = []
    for name in wanted:
        said, measure = MEASURES[name]
        print(f"... {name}: {said}", file=sys.stderr, flush=True)
        figures += measure(field, plan)
    return figures


def _keep(what: object) -> Path:
    folder = BENCH / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-python{platform.python_version()}.json"
    path.write_text(json.dumps(what, indent=1) + "\n")
    return path


def _reference() -> report.Json:
    """Return the committed figures under this Python, or those under 3.11."""
    version = ".".join(platform.python_version_tuple()[:2])
    paths = (BENCH / "results" / name for name in (f"reference-{version}.json", "reference.json"))
    return next((json.loads(path.read_text()) for path in paths if path.exists()), {})


def _options() -> argparse.Namespace:
    listed = "\n".join(f"  {name:<14}{said}" for name, (said, _) in MEASURES.items())
    parser = argparse.ArgumentParser(
        "bench/run", description=__doc__, epilog=f"measures:\n{listed}", formatter_class=_Plain
    )
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help="default: all of them")
    parser.add_argument("--short", action="store_true", help="three minutes, for CI")
    parser.add_argument("--rounds", type=int, help="turns of each proxy")
    parser.add_argument("--peers", help=f"of {','.join(PEERS)}, always with nginx and ours")
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="compare with another checkout of ours"
    )
    options = parser.parse_args()
    if options.against:
        options.against = options.against.resolve()
    if unknown := set(options.measures) - set(MEASURES):
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    if unknown := set((options.peers or OURS).split(",")) - set(PEERS):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    return options


_Plain = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":
    sys.exit(main())
