"""Resolves access rules, and finds those that name no operation, cannot match, or do more than they seem."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from proxy.access.operations import APIS, MCP, Operation, operations
from proxy.access.pattern import Pattern, WrongRule
from proxy.config.document.file import AccessDocument
from proxy.config.model import Access, Api
from proxy.config.written.findings import Findings, KeyPath, dotted


def access(
    document: AccessDocument, place: KeyPath, apis: Collection[Api], findings: Findings
) -> Access | None:
    """Return the rules of an upstream or a caller; None: there are none, so every request may pass.

    Args:
        place: of the upstream or the caller, as `("upstreams", "zeebe")`.
        apis: of the upstreams that the rules are for. If one of them has no table, no rule can be wrong.
    """
    if not (document.read_only or document.allow or document.deny):
        return None
    known = {(each.method, each.path): each for api in apis for each in operations(api)}
    every = tuple(known.values()) if all(api in APIS for api in apis) else ()
    allow = _patterns(document.allow, (*place, "allow"), every, findings)
    deny = _patterns(document.deny, (*place, "deny"), every, findings)
    for path, rule in allow.items():
        _check_against_deny(path, rule, deny, findings)
        if document.read_only:
            _tell_effect(path, rule, [each for each in known.values() if _names(rule, each)], findings)
    alone = deny and not document.read_only and not allow
    if alone and MCP in {each.api for each in every} and not _about_mcp(deny):
        findings.notice(
            f"{dotted(place)}.deny says nothing about MCP, whose tools may do what it names; "
            "add `* /mcp/**` to it if no agent is to use this upstream"
        )
    for rules in (allow, deny):
        _tell_repeated(rules, findings)
    if document.read_only and not every:
        findings.notice(
            f"{dotted(place)} is read_only: with api `other`, only what reads in one of Camunda's known APIs "
            "passes; `allow` names more"
        )
    return Access(document.read_only, tuple(document.allow), tuple(document.deny))


def _patterns(
    rules: Sequence[str], place: KeyPath, every: Sequence[Operation], findings: Findings
) -> dict[KeyPath, Pattern]:
    """Read rules. If the operations are known, each rule must name one of them."""
    found: dict[KeyPath, Pattern] = {}
    for index, text in enumerate(rules):
        try:
            rule = Pattern.read(text)
        except WrongRule as error:
            findings.add((*place, index), str(error))
            continue
        if every and not _names_one(rule, every):
            findings.add(
                (*place, index),
                f"names no operation of this API{_nearest(text, every)} (an API that the proxy does not know "
                "is api: other)",
            )
            continue
        found[*place, index] = rule
    return found


def _names_one(rule: Pattern, every: Sequence[Operation]) -> bool:
    """Tell whether a rule names an operation. `GET /v2/users/search` names none: a user called search is not
    meant, because the path is that of another operation."""
    named = [each for each in every if _names(rule, each)]
    exact = [each for each in every if each.path == f"/{'/'.join(rule.path)}"]
    return bool(named) and (not exact or any(each in named for each in exact))


def _names(rule: Pattern, operation: Operation) -> bool:
    return rule.meets(operation.method, tuple(operation.path[1:].split("/")))


def _nearest(text: str, every: Sequence[Operation]) -> str:
    """Return `; did you mean ...?`, or an empty text. The same path with another method is the nearest."""
    method, _, path = text.partition(" ")
    path = path.strip().removesuffix("/**").rstrip("/") or "/"
    paths = {each.path: each for each in every}
    same = [f"{each.method} {each.path}" for each in every if each.path == path]
    if same:
        return f"; did you mean {' or '.join(same)}?"
    close = get_close_matches(path, paths, n=1, cutoff=0.5)
    if not close:
        return ""
    methods = [each.method for each in every if each.path == close[0]]
    return f"; did you mean {method if method in (*methods, '*') else methods[0]} {close[0]}?"


def _about_mcp(rules: dict[KeyPath, Pattern]) -> bool:
    return any(rule.meets("POST", ("mcp", "cluster")) for rule in rules.values())


def _check_against_deny(
    path: KeyPath, rule: Pattern, deny: dict[KeyPath, Pattern], findings: Findings
) -> None:
    for other, denied in deny.items():
        if denied.covers(rule):
            findings.add(
                path, f"can never match, because {dotted(other)} covers it, and deny wins; remove one of them"
            )


def _tell_effect(path: KeyPath, rule: Pattern, named: list[Operation], findings: Findings) -> None:
    """Say what a rule of `allow` does under `read_only` that its operator may not expect."""
    if any(each.api == MCP and each.method == "POST" for each in named):
        findings.notice(f"{dotted(path)} lets every MCP tool pass, also those that change something")
        return
    secret = [str(each) for each in named if each.kind == "secrets"]
    if secret and rule.path[-1] == "**":
        findings.notice(f"{dotted(path)} also names what hands out secrets: {', '.join(secret)}")
    if named and all(each.kind == "reads" for each in named) and "*" not in rule.path[-1]:
        findings.notice(f"{dotted(path)} has no effect: read_only lets it pass")


def _tell_repeated(rules: dict[KeyPath, Pattern], findings: Findings) -> None:
    pairs = list(rules.items())
    for at, (path, rule) in enumerate(pairs):
        for place, (other, wider) in enumerate(pairs):
            if place != at and wider.covers(rule) and not (rule.covers(wider) and at < place):
                findings.notice(f"{dotted(path)} has no effect: {dotted(other)} covers it")
                break
