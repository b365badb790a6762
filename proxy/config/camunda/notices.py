"""Names the variables of Camunda's clients that are set and have no effect: none is ignored silently."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from proxy.config.camunda.draft import Draft
from proxy.config.camunda.names import AGREEING, GROUP, OF_KUBERNETES, OWN, PREFIXES
from proxy.config.camunda.sources import Sources
from proxy.config.camunda.unread import UNREAD
from proxy.errors import Problem

_SHOWN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}", re.ASCII)
_MOST = 12
"""Most names in one notice."""
_ALIKE = 0.92


def notice_unused(draft: Draft) -> None:
    """Add a notice for variables that are not read, and for those that this configuration does not need."""
    shown = draft.sources.shown
    names = [name for name in draft.sources.every if _SHOWN.fullmatch(name)]
    for name in names:
        if name in UNREAD:
            draft.notice(f"{shown(name)} is not read: {UNREAD[name]}")
    idle = [shown(name) for name in names if name in GROUP and name not in draft.used and draft.is_set(name)]
    if idle:
        draft.notice(f"not used, because nothing in this configuration needs it: {listed(idle)}")
    others = []
    for name in filter(_is_unknown, names):
        if close := get_close_matches(name, GROUP, n=1, cutoff=_ALIKE):
            draft.notice(f"{shown(name)} is not read; did you mean {close[0]}?")
        else:
            others.append(shown(name))
    if others:
        draft.notice(f"not read, because they hold no address and no credential: {listed(others)}")


def unread(found: Sources) -> list[Problem]:
    """Return a problem for each variable that has to be written otherwise, to be told with other problems."""
    return [
        Problem(found.shown(name), f"is not read: {UNREAD[name]}") for name in found.every if name in UNREAD
    ]


def listed(names: Iterable[str]) -> str:
    """Write names with commas; of many the number of the others."""
    every = list(names)
    more = f" and {len(every) - _MOST} more" if len(every) > _MOST else ""
    return ", ".join(every[:_MOST]) + more


def _is_unknown(name: str) -> bool:
    theirs = name.startswith(PREFIXES) and not name.startswith(OWN) and not OF_KUBERNETES.fullmatch(name)
    return theirs and name not in GROUP and name not in UNREAD and name not in AGREEING
