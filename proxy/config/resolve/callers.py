"""Resolves the callers, and checks that each can prove who it is, and may do anything at all."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Final

from proxy.access.pattern import Pattern, WrongRule
from proxy.clock import date_of, wall_time
from proxy.config.document.file import CallerDocument, RateDocument
from proxy.config.model import Api, CallerConfig, GuardConfig, RateConfig, SecretRef, Upstream
from proxy.config.resolve.access import access
from proxy.config.resolve.context import Context, notice_oddities, secret
from proxy.config.written.files import caller_token_file_problem, caller_token_in
from proxy.config.written.findings import KeyPath, dotted, looks_like_a_key, nearest

SOON: Final = 14 * 24 * 3600.0
"""Seconds before its end from which a caller's expiry gets a notice."""

TOKENS: Final = ("token", "token_file", "token_sha256", "certificate_san")
EVERYTHING: Final = Pattern.read("* /**")


def callers(
    upstreams: Sequence[Upstream], apis: Mapping[str, Api], guard: GuardConfig, context: Context
) -> tuple[CallerConfig, ...]:
    """Resolve all callers; problems go to the findings.

    Args:
        apis: of each upstream, also of one that cannot be resolved.
    """
    documents = context.document.callers
    found = tuple(_caller(name, document, apis, context) for name, document in documents.items())
    _check_anonymous(upstreams, context)
    _check_tokens(found, guard, context)
    _check_certificates(found, upstreams, context)
    return found


def _caller(name: str, document: CallerDocument, every: Mapping[str, Api], context: Context) -> CallerConfig:
    place: KeyPath = ("callers", name)
    _check_rights(place, document, context)
    allowed = document.upstreams if document.upstreams is not None else every
    apis = {api for upstream, api in every.items() if upstream in allowed}
    _notice_expiry(place, document.expires, context)
    return CallerConfig(
        name=name,
        tokens=tuple(_tokens(place, document, context)),
        token_sha256=tuple(document.token_sha256),
        upstreams=_upstreams(place, document, context),
        access=access(document, place, apis, context.findings),
        rate=_rate(document.rate),
        expires=document.expires,
        certificate_san=tuple(document.certificate_san),
    )


def _tokens(place: KeyPath, document: CallerDocument, context: Context) -> Iterator[SecretRef]:
    for at, text in _places((*place, "token"), document.token, context):
        notice_oddities(text, at, context)
        yield SecretRef(text=text)
    for at, file in _places((*place, "token_file"), document.token_file, context):
        yield secret(None, file, at, context, caller_token_file_problem)


def _places(place: KeyPath, values: Sequence[str], context: Context) -> Iterator[tuple[KeyPath, str]]:
    """Yield each value with its place in the file: a list may have been written as its only entry."""
    written: object = context.written.tree
    for part in place:
        written = written.get(part) if isinstance(written, dict) else None
    for index, value in enumerate(values):
        yield ((*place, index) if isinstance(written, list) else place), value


def _rate(document: RateDocument | None) -> RateConfig | None:
    if document is None:
        return None
    burst = document.burst if document.burst is not None else max(1, math.ceil(document.per_second))
    return RateConfig(document.per_second, burst)


def _upstreams(place: KeyPath, document: CallerDocument, context: Context) -> tuple[str, ...] | None:
    if document.upstreams is None:
        return None
    known = [name for name in context.document.upstreams if looks_like_a_key(name, name=True)]
    for at, name in _places((*place, "upstreams"), document.upstreams, context):
        if name not in context.document.upstreams:
            context.findings.add(at, f"names no upstream; there are {', '.join(known)}{nearest(name, known)}")
    return tuple(dict.fromkeys(document.upstreams))


def _check_rights(place: KeyPath, document: CallerDocument, context: Context) -> None:
    """Check that the caller may do anything at all."""
    findings = context.findings
    for key in ("upstreams", "rate", "expires"):
        # Without a value they would mean more than was meant: all upstreams, no limit, no end.
        if key in document.model_fields_set and getattr(document, key) in (None, []):
            findings.add((*place, key), "is empty; give it a value or leave it out")
    for index, rule in enumerate(document.deny):
        with suppress(WrongRule):
            if Pattern.read(rule).covers(EVERYTHING):
                findings.add(
                    (*place, "deny", index),
                    "denies everything, so the caller may do nothing; remove the caller instead",
                )


def _notice_expiry(place: KeyPath, expires: float | None, context: Context) -> None:
    if expires is None:
        return
    left = expires - wall_time()
    date = date_of(expires)
    if left <= 0:
        context.findings.notice(
            f"{dotted(place)} has expired ({date}), so its requests are refused; remove it, or set another "
            "expires"
        )
    elif left < SOON:
        context.findings.notice(f"{dotted(place)} expires soon, on {date}")


def _check_anonymous(upstreams: Sequence[Upstream], context: Context) -> None:
    """Check that only this machine is let in without a token, as a caller that exists."""
    names = list(context.document.callers)
    listens = {upstream.name: upstream.listen for upstream in upstreams}
    for upstream, document in context.document.upstreams.items():
        place: KeyPath = ("upstreams", upstream, "anonymous")
        caller, listen = document.anonymous, listens.get(upstream)
        if caller is None:
            continue
        if caller not in names:
            there = f"there are {', '.join(names)}{nearest(caller, names)}" if names else "there are none"
            context.findings.add(place, f"names no caller; {there}")
            continue
        if listen is not None and not listen.loopback:
            context.findings.add(
                place,
                f"lets every program that reaches {listen} in without a token; it is for listeners on "
                "loopback and Unix sockets only. Give each caller a token",
            )
        allowed = context.document.callers[caller].upstreams
        if allowed is not None and upstream not in allowed:
            context.findings.add(
                place, f"names caller `{caller}`, whose upstreams do not name {upstream}; add it there"
            )


def _check_tokens(found: Sequence[CallerConfig], guard: GuardConfig, context: Context) -> None:
    """Check that each caller can prove who it is, and that no two have one token."""
    anonymous = {upstream.anonymous for upstream in context.document.upstreams.values()}
    owners: dict[bytes, str] = {}
    if guard.caller_token is not None:
        for digest in _digests((guard.caller_token,)):
            owners[digest] = "guard.caller_token"
    for caller in found:
        place: KeyPath = ("callers", caller.name)
        if not _has_token(caller.name, context) and caller.name not in anonymous:
            context.findings.add(
                place,
                "has no token: write token_sha256, token_file or token; make one with camunda-auth-proxy "
                f"token new {caller.name}",
            )
        for digest in (*caller.token_sha256, *_digests(caller.tokens)):
            other = owners.setdefault(digest, dotted(place))
            if other != dotted(place):
                context.findings.add(place, f"has the same token as {other}; give each caller its own")


def _check_certificates(
    found: Sequence[CallerConfig], upstreams: Sequence[Upstream], context: Context
) -> None:
    """Check that a listener asks for the certificates of callers, and that no two have one name."""
    owners: dict[str, str] = {}
    asked = {
        each.name for each in upstreams if each.listen.tls is not None and each.listen.tls.client_ca_file
    }
    for caller in found:
        place: KeyPath = ("callers", caller.name, "certificate_san")
        if caller.certificate_san and not (
            asked if caller.upstreams is None else asked & {*caller.upstreams}
        ):
            context.findings.add(
                place,
                "has no effect, because no listener that it may use has listen_tls.client_ca_file; set that, "
                "or remove this",
            )
        for name in caller.certificate_san:
            other = owners.setdefault(name, caller.name)
            if other != caller.name:
                context.findings.add(place, f"has a name that callers.{other} has too; give each its own")


def _has_token(name: str, context: Context) -> bool:
    """Tell whether a token or a name of a certificate is written, right or wrong."""
    every = context.written.tree["callers"]
    written = every[name] if isinstance(every, dict) else None
    return isinstance(written, dict) and any(written.get(key) for key in TOKENS)


def _digests(tokens: Sequence[SecretRef]) -> Iterator[bytes]:
    for token in tokens:
        if token.file is None:
            yield sha256((token.text or "").encode()).digest()
        elif (content := caller_token_in(token.file)) is not None:
            yield sha256(content).digest()
