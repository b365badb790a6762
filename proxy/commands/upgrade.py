"""Pure: the text of `check --from`: what changed since an earlier version and concerns a configuration."""

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Final

from proxy.commands.tables import kind
from proxy.config.upgrades import OUTSIDE, Added, Change, Upgrades, places

if TYPE_CHECKING:
    from proxy.config.model import Config

WIDTH: Final = 78
WORDS: Final = {"problem": "problem code", "log": "field of the log", "command": "command line"}
"""What a kind is called before a name, if its own word does not do."""

_ADDED: Final = {
    "settings": "settings",
    "metrics": "metrics",
    "problems": "problem codes",
    "alerts": "alerts",
    "commands": "commands",
}


def told(config: "Config | None", later: Upgrades, wanted: str) -> str:
    """Return what an operator who has the version `wanted` needs to know.

    Args:
        config: None: it cannot be used, so every change is listed.
        later: the changes since `wanted`.
    """
    parts = [
        _part("What concerns this configuration:", _concerning(config, later.changes)),
        _part(
            "What may concern dashboards, alerts and scripts:",
            [_row(named(change), change) for change in later.changes if change.kind in OUTSIDE],
        ),
        _part(
            "New names:", [_wrapped(f"{what}: {', '.join(names)}", "  ") for what, names in new(later.added)]
        ),
    ]
    if not any(parts):
        return _wrapped(
            f"Nothing that concerns users has changed since {wanted}. For a copy of the repository that is "
            "older than this release, give its date: --from 2026-11-22 (git log -1 --format=%cs prints it).",
        )
    return "\n\n".join([f"Changes since {wanted}", *filter(None, parts)])


def named(change: Change) -> str:
    """Return the names of a change for people: `problem code draining (gone)`, `file a -> b`."""
    what = WORDS.get(change.kind, change.kind)
    if change.old and change.new:
        return f"{what} {change.old} -> {change.new}"
    return f"{what} {change.old} (gone)" if change.old else f"{what} {change.new}".strip()


def new(added: Iterable[Added]) -> list[tuple[str, list[str]]]:
    """Return the names that were added, sorted, by what they are the names of."""
    rows = list(added)
    found = [
        (words, sorted({name for row in rows for name in getattr(row, what)}))
        for what, words in _ADDED.items()
    ]
    return [(words, names) for words, names in found if names]


def _concerning(config: "Config | None", changes: Iterable[Change]) -> list[str]:
    """Return a row for each change that concerns the configuration; those that name a place come first."""
    found = [
        (change, where)
        for change in changes
        if change.kind not in OUTSIDE and (where := _places(change, config)) is not None
    ]
    return [_row(", ".join(where), change) for change, where in sorted(found, key=lambda each: not each[1])]


def _places(change: Change, config: "Config | None") -> tuple[str, ...] | None:
    if config is None:
        return (change.where,) if change.where else ()
    types: dict[tuple[str, ...], str] = {
        ("credentials", name): kind(credential) for name, credential in config.credentials.items()
    }
    types.update({("upstreams", upstream.name): upstream.api for upstream in config.upstreams})
    return places(change, config.written, types)


def _row(subject: str, change: Change) -> str:
    row = _wrapped(f"- {subject}: {change.says}" if subject else f"- {change.says}")
    return f"{row}\n{_wrapped(f'Do: {change.do}', '  ')}" if change.do else row


def _part(title: str, rows: Sequence[str]) -> str:
    return "\n".join([title, *rows]) if rows else ""


def _wrapped(text: str, indent: str = "") -> str:
    """Break a text into lines, the later ones indented by two spaces more."""
    return fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
