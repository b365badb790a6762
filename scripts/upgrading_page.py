"""Writes the table of docs/upgrading.md, and snapshots of names and configurations. `scripts/upgrading`."""

import argparse
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

import yaml

from proxy.commands.upgrade import named, new
from proxy.config.upgrades import Upgrades, upgrades
from tests.upgrades.present import configurations, meaning, names

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "upgrading.md"
BEGIN, END = "<!-- begin: made by scripts/upgrading -->", "<!-- end -->"
SNAPSHOTS = ROOT / "tests" / "data" / "upgrades"


def made(table: Upgrades) -> str:
    """Return the part of the page that comes from the table, newest first."""
    return "\n".join([BEGIN, *_lines(table), "", END])


def _lines(table: Upgrades) -> Iterator[str]:
    rows = sorted(table.changes, key=lambda row: (row.version, row.date), reverse=True)
    for version, changes in groupby(rows, key=lambda row: row.version):
        yield f"\n## {version}"
        for day, each in groupby(changes, key=lambda row: row.date):
            yield f"\nIn copies of the repository since {day}:\n"
            yield "| what | what changed | what to do |"
            yield "|---|---|---|"
            for change in each:
                subject = named(change) if change.old or change.new else change.kind
                yield f"| {subject.replace('*', 'NAME')} | {change.says} | {change.do or 'nothing'} |"
        yield "\nNew names:\n"
        for what, found in new(tuple(row for row in table.added if row.version == version)):
            yield f"- {what}: {', '.join(f'`{name}`' for name in found).replace('*', 'NAME')}"


def with_table(page: str, table: Upgrades) -> str:
    """Return the page with its made part made anew."""
    before, after = page.split(BEGIN, maxsplit=1)[0], page.split(END)[1]
    return f"{before}{made(table)}{after}"


class _Literal(yaml.SafeDumper):
    """Writes texts of several lines as they are."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Literal.add_representer(str, _text)


def snapshot(name: str) -> None:
    """Keep today's names and configurations."""
    kept = {
        "names": {what: sorted(found) for what, found in names().items()},
        "configurations": {
            where: {"means": meaning(text), "text": text} for where, text in _bare(configurations())
        },
    }
    text = yaml.dump(kept, Dumper=_Literal, sort_keys=False, width=1000)
    (SNAPSHOTS / f"{name}.yaml").write_text(text, encoding="utf-8")


def _bare(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each text without comments and empty lines."""
    for where, text in texts.items():
        lines = (re.sub(r"(^|\s+)#.*$", "", line).rstrip() for line in text.splitlines())
        yield where, "\n".join(line for line in lines if line) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser("scripts/upgrading", description=__doc__)
    parser.add_argument("--snapshot", metavar="NAME", help="the release, as 0.1.0")
    wanted = parser.parse_args().snapshot
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), upgrades()), encoding="utf-8")
    if wanted:
        snapshot(wanted)


if __name__ == "__main__":
    main()
