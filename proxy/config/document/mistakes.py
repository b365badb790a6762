"""Turns pydantic's errors into our own words, with a remedy but without the value, which may be a secret."""

import re
from collections.abc import Iterable
from copy import deepcopy
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from proxy.config.document.credentials import CREDENTIALS, TlsDocument
from proxy.config.document.file import (
    AdminDocument,
    CallerDocument,
    ClusterDocument,
    Document,
    GuardDocument,
    LogDocument,
    RateDocument,
    ShutdownDocument,
    UpstreamDocument,
)
from proxy.config.document.kinds import MOST_RULES, KeyProblem
from proxy.config.document.store import StoreDocument
from proxy.config.upgrades import Upgrades, sentence, upgrades
from proxy.config.written.findings import Findings, KeyPath, Written, nearest

_SENTENCES = {
    "missing": "is missing",
    "string_too_short": "is empty; give it a value or leave it out",
    "dict_type": "must be a mapping of keys and values",
    "model_type": "must be a mapping of keys and values",
    "model_attributes_type": "must be a mapping of keys and values",
    "list_type": "must be a list, as in [a, b]",
    "too_short": "is empty; name at least one rule, or leave it out",
    "too_long": f"may have {MOST_RULES} rules; let * and /** name several",
    "string_pattern_mismatch": "may only hold letters, digits and - (a name also _ and .), at most 64",
}


_SECTIONS: dict[str, type[BaseModel]] = {
    "cluster": ClusterDocument,
    "store": StoreDocument,
    "guard": GuardDocument,
    "admin": AdminDocument,
    "log": LogDocument,
    "shutdown": ShutdownDocument,
}


def understand(written: Written, findings: Findings, table: Upgrades | None = None) -> Document:
    """Validate the document without its wrong parts, so that one run finds mistakes of every kind.

    Problems go to `findings`; if there are any, use the result only to look for further ones.

    Args:
        table: what became of settings that are gone; None: that of this version.
    """
    tree = deepcopy(written.tree)
    before: dict[str, Any] | None = None
    while True:
        if tree == before:  # nothing could be removed; the loop would never end
            tree = {}
        before = deepcopy(tree)
        try:
            return Document.model_validate(tree)
        except ValidationError as error:
            errors = cast("list[dict[str, Any]]", error.errors(include_url=False))
        for one in errors:
            path = _as_written(_path(one), written)
            place, message = _explain(path, one, written)
            if one["type"] == "extra_forbidden" and (change := (table or upgrades()).gone(path)) is not None:
                message = sentence(change)
            findings.add(place, message, masked=place == path and _may_be_a_secret(one, path, written))
            _prune(tree, path[:-1] if one["type"] == "missing" else path)


def _path(error: dict[str, Any]) -> KeyPath:
    """Return the error's place in the file.

    Pydantic also names the model that it tried, and puts `[key]` after a wrong key. The operator may have
    written `[key]` as well.
    """
    loc: KeyPath = error["loc"]
    if len(loc) > 2 and loc[0] == "credentials" and loc[2] in CREDENTIALS:
        loc = (*loc[:2], *loc[3:])
    marked = len(loc) > 1 and loc[-1] == "[key]" and error["type"] != "extra_forbidden"
    return loc[:-1] if marked and error["input"] == loc[-2] else loc


def _as_written(path: KeyPath, written: Written) -> KeyPath:
    """Return the path without the index of an only entry that was not written as a list."""
    if len(path) < 2 or not isinstance(path[-1], int):
        return path
    place: object = written.tree
    for part in path[:-1]:
        place = place.get(str(part)) if isinstance(place, dict) else None
    return path if isinstance(place, list) else path[:-1]


def _explain(path: KeyPath, error: dict[str, Any], written: Written) -> tuple[KeyPath, str]:
    """Return the path to name and the message."""
    kind, value = error["type"], error["input"]
    match kind:
        case "value_error":
            cause = error["ctx"]["error"]
            return ((*path, *cause.key.split(".")) if isinstance(cause, KeyProblem) else path), str(cause)
        case "extra_forbidden":
            return path, _unknown(path, written)
        case "union_tag_not_found" if isinstance(value, dict):
            return (*path, "type"), f"is missing: one of {', '.join(CREDENTIALS)}"
        case "union_tag_invalid":
            return (*path, "type"), _choice(value["type"], CREDENTIALS)
        case "literal_error":
            return path, _choice(value, re.findall(r"'([\w-]+)'", error["ctx"]["expected"]))
        case "string_type":
            return path, "is empty" if value is None else "must be a single text, not a list or a mapping"
    if kind == "string_pattern_mismatch" and path and path[-1] == value:
        return path, _SENTENCES[kind] + _parted(str(value), path, written)
    return path, _SENTENCES.get(kind, f"is not right ({kind})")


def _unknown(path: KeyPath, written: Written) -> str:
    name = str(path[-1])
    return f"is not a known key{_parted(name, path, written) or nearest(name, _keys_at(path[:-1], written))}"


def _parted(name: str, path: KeyPath, written: Written) -> str:
    """Say what is wrong with `client_secret:hunter2` or `client_secret=hunter2`; empty: it is neither."""
    found = re.match(r"([^:=]*)([:=])", name)
    if found is None:
        return ""
    what = "a space is missing after the colon" if found[2] == ":" else "a key ends with a colon and a space"
    key = f" {found[1]}" if found[1] in _keys_at(path[:-1], written) else ""
    return f": {what}; write{key or ' KEY'}: VALUE"


def _may_be_a_secret(error: dict[str, Any], path: KeyPath, written: Written) -> bool:
    """Tell whether an unknown key has no value and resembles no known key, as in `{type: basic, sesame}`."""
    if error["type"] != "extra_forbidden" or error["input"] is not None:
        return False
    return not nearest(str(path[-1]), _keys_at(path[:-1], written))


def _keys_at(path: KeyPath, written: Written) -> Iterable[str]:
    model = _model_at(path, written)
    return model.model_fields if model is not None else ()


def _model_at(path: KeyPath, written: Written) -> type[BaseModel] | None:
    """Return the model whose keys are written at `path`."""
    match path:
        case ():
            return Document
        case (*_, "tls"):
            return TlsDocument
        case ("upstreams", _):
            return UpstreamDocument
        case ("callers", _):
            return CallerDocument
        case ("callers", _, "rate"):
            return RateDocument
        case ("credentials", name):
            return CREDENTIALS.get(cast("Any", written.tree)["credentials"][name].get("type"))
    return _SECTIONS.get(str(path[0]))


def _choice(value: object, known: Iterable[str]) -> str:
    choices = ", ".join(known)
    return f"must be one of {choices}{nearest(value, known) if isinstance(value, str) else ''}"


def _prune(tree: dict[str, Any], path: KeyPath) -> None:
    """Remove the part at `path`; in a list the whole list, so that later errors name the right index."""
    place = tree
    for part in path[:-1]:
        below = place.get(cast("str", part))
        if not isinstance(below, dict | list):
            return
        if isinstance(below, list):
            path = (part,)
            break
        place = below
    place.pop(cast("str", path[-1]), None)
