"""Pure: what changed for users from version to version, from the table `upgrades.toml` beside this file.

`check --from` prints the part of it that concerns a configuration. `check` takes from it what became of a
setting that is gone. `scripts/upgrading` makes docs/upgrading.md from it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

Kind = Literal["setting", "default", "behaviour", "problem", "metric", "alert", "log", "command", "file"]

TABLE: Final = Path(__file__).with_suffix(".toml")
OUTSIDE: Final[tuple[Kind, ...]] = ("problem", "metric", "alert", "log", "command", "file")
"""Kinds whose names stand in dashboards, alerts and scripts, not in the configuration."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:[.+-]?[a-z].*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Change:
    """A row of the table.

    Attributes:
        date: of the first copies of the repository that have it.
        version: the first one that has it.
        says: what changed: one or two sentences.
        do: what the operator does about it; empty: nothing.
        old: name that is gone, a setting with `*` for names of the operator's: `upstreams.*.timeout`.
        new: name to use instead, written in the same way.
        where: place in the configuration that it concerns: `upstreams.*`, `admin`; empty: all of them.
        has, lacks: keys of which one is, or none is, written at that place.
        of: types of credentials, or APIs of upstreams, that it concerns.
        beside: key at the top of the file without which it concerns no place.
    """

    date: date
    version: str
    kind: Kind
    says: str
    do: str = ""
    old: str = ""
    new: str = ""
    where: str = ""
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Added:
    """Names that a version brought, by what they are the names of; a setting with `*` as in `Change.old`."""

    date: date
    version: str
    settings: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Upgrades:
    """The table, or the part of it that is newer than a version."""

    changes: tuple[Change, ...]
    added: tuple[Added, ...]

    def since(self, wanted: str, present: str) -> "Upgrades":
        """Return the part that a user of an earlier version has not seen.

        Args:
            wanted: the version that the user has now, or the date of a copy of the repository, `2026-11-22`;
                changes of that same day are included, because the copy may be older than they are.
            present: the version of this program.

        Raises:
            ValueError: it is neither, or is later than this program.
        """
        if (day := _day(wanted)) is not None:
            return self._where(lambda row: row.date >= day)
        version, own = _version(wanted), _version(present)
        if version is None:
            raise ValueError(
                "must be a version, as 0.1.0, or the date of a copy of the repository, as 2026-11-22 "
                "(git log -1 --format=%cs prints it)"
            )
        if own is not None and version > own:
            raise ValueError(
                f"is later than this program, which is {present}; "
                "run `check` of the version that you change to"
            )
        return self._where(lambda row: (_version(row.version) or (0, 0, 0)) > version)

    def _where(self, later: Any) -> "Upgrades":
        return Upgrades(tuple(filter(later, self.changes)), tuple(filter(later, self.added)))

    def gone(self, path: Sequence[str | int]) -> Change | None:
        """Return what became of a setting that this version does not know; None: it never was one."""
        for change in self.changes:
            if change.kind == "setting" and change.old and _matches(change.old.split("."), path):
                return change
        return None


def parsed(text: str) -> Upgrades:
    """Read a table.

    Raises:
        tomllib.TOMLDecodeError, TypeError, KeyError: the table is wrong.
    """
    import tomllib  # here, because only a mistake and `check --from` need the table

    tables = tomllib.loads(text)
    changes = (Change(**_tuples(row)) for row in tables.get("change", ()))
    return Upgrades(tuple(changes), tuple(Added(**_tuples(row)) for row in tables.get("added", ())))


@cache
def upgrades() -> Upgrades:
    """Return the table of this version."""
    return parsed(TABLE.read_text(encoding="utf-8"))


def sentence(change: Change) -> str:
    """Say what became of a setting that is gone, as the end of `NAME ...`."""
    instead = f": write {change.new.rpartition('.')[2]}" if change.new else ""
    return f"was a setting until {change.version}{instead}. {change.says} {change.do}".strip()


def places(
    change: Change, written: Collection[tuple[str, ...]], types: Mapping[tuple[str, ...], str]
) -> tuple[str, ...] | None:
    """Return the places of a configuration that a change concerns; None: it does not concern it.

    Empty: it may concern every configuration.

    Args:
        written: paths of all keys that were written.
        types: the type of each credential and the API of each upstream, by place.
    """
    if not change.where:
        return ()
    if change.beside and (change.beside,) not in written:
        return None
    found = [
        place
        for place in _named(change.where.split("."), written)
        if (not change.has or any((*place, key) in written for key in change.has))
        and not any((*place, key) in written for key in change.lacks)
        and (not change.of or types.get(place) in change.of)
    ]
    return tuple(".".join(place) for place in found) or None


def key_paths(tree: object, above: tuple[str, ...] = ()) -> Iterable[tuple[str, ...]]:
    """Yield the path of each key of nested mappings, without any value."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            path = (*above, str(key))
            yield path
            yield from key_paths(value, path)


def _named(where: Sequence[str], written: Collection[tuple[str, ...]]) -> list[tuple[str, ...]]:
    if "*" not in where:
        return [tuple(where)]
    return sorted(path for path in written if _matches(where, path))


def _matches(pattern: Sequence[str], path: Sequence[str | int]) -> bool:
    return len(pattern) == len(path) and all(
        want in ("*", part) for want, part in zip(pattern, path, strict=True)
    )


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def _version(text: str) -> tuple[int, int, int] | None:
    found = _VERSION.fullmatch(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3] or 0))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
