"""Pure: decides whether an answer means that the credential was refused.

| answer | verdict |
|---|---|
| 401 | refused |
| 403, challenge `WWW-Authenticate: Bearer` without `insufficient_scope` | refused |
| under a session, on an API path: a redirect to a login page or to another host | refused |
| under a session, on an API path: 200 or 403 with an HTML page, which is the login's | refused |
| under a session: 403 whose body contains "csrf" | refused |
| under a session, to POST, PUT, PATCH, DELETE: 403 that sets another CSRF cookie than was sent | refused |
| under a session, to POST, PUT, PATCH, DELETE: any other 403 without a challenge | suspected |
| any other | passes |
"""

import re
from enum import Enum, auto
from typing import Final, NamedTuple

from proxy.gateway.grammar import Field
from proxy.gateway.paths import is_plain

PEEK: Final = 4096
"""Bytes at the beginning of a body that are searched for "csrf"."""

_CHANGING: Final = frozenset((b"POST", b"PUT", b"PATCH", b"DELETE"))
_REDIRECTS: Final = frozenset((301, 302, 303, 307))
_LOGINS: Final = (b"/login", b"/sso-callback")
_API: Final = re.compile(rb"(?:/physical-tenants/[^/]+)?/(?:v1|v2|api|mcp|cluster/v2)(?:/|$)")
_LOCATION: Final = re.compile(rb"(?:[a-z][a-z0-9+.-]*:)?(?://([^/?#]*))?([^;?#]*)", re.IGNORECASE)
_USUAL_PORT: Final = re.compile(rb":(?:80|443)?$")


class Verdict(Enum):
    """What an answer says about the credential.

    Attributes:
        SUSPECTED: the CSRF token is no longer good, or a permission is missing; 8.6's 403 does not say which.
    """

    PASSES = auto()
    REFUSED = auto()
    SUSPECTED = auto()


class Asked(NamedTuple):
    """The parts of a request under a session that are needed to judge its answer.

    Attributes:
        method: as sent.
        path: as the caller wrote it, without the path of the base URL and without a query.
        authority: of the upstream, as in Host.
        cookies: as sent in Cookie.
    """

    method: bytes
    path: bytes
    authority: bytes
    cookies: bytes

    def __repr__(self) -> str:
        return "Asked(***)"


def judge(status: int, fields: list[Field], asked: Asked | None = None, body: bytes = b"") -> Verdict:
    """Judge what an answer says about the credential, by the table above.

    A real Operate 8.6.0 answers expired tokens with 403, an empty body and `WWW-Authenticate: Bearer`. Any
    other 403 to a token is about a permission, so that a new token would not help (RFC 6750 section 3.1).

    Args:
        status: of the answer.
        fields: of the answer, names in lower case: WWW-Authenticate; under a session also Location,
            Content-Type and Set-Cookie.
        asked: the request; None if no session was injected.
        body: the beginning of its body; used only for a 403 under a session.
    """
    challenges = [value.lower() for name, value in fields if name == b"www-authenticate"]
    if status == 401 or (status == 403 and any(_speaks_of_the_token(each) for each in challenges)):
        return Verdict.REFUSED
    if asked is None:
        return Verdict.PASSES
    if _API.match(asked.path) and _is_login(status, fields, asked.authority):
        return Verdict.REFUSED
    if status != 403:
        return Verdict.PASSES
    if b"csrf" in body.lower():
        return Verdict.REFUSED
    if asked.method not in _CHANGING or challenges:
        return Verdict.PASSES
    return Verdict.REFUSED if _sets_csrf_cookie(fields, asked.cookies) else Verdict.SUSPECTED


def _speaks_of_the_token(challenge: bytes) -> bool:
    return challenge.split(b" ", 1)[0] == b"bearer" and b"insufficient_scope" not in challenge


def _is_login(status: int, fields: list[Field], authority: bytes) -> bool:
    if status in _REDIRECTS:
        return any(_leads_to_login(value, authority) for name, value in fields if name == b"location")
    is_page = any(name == b"content-type" and value[:9].lower() == b"text/html" for name, value in fields)
    return is_page and status in (200, 403)


def _leads_to_login(location: bytes, authority: bytes) -> bool:
    """Tell whether a Location is one of Camunda's own login pages, or on another host, as an identity
    provider's is."""
    match = _LOCATION.match(location)
    host, path = match.groups() if match is not None else (None, location)
    if host is not None and _USUAL_PORT.sub(b"", host.lower()) != _USUAL_PORT.sub(b"", authority.lower()):
        return True
    return (b"/" + path.rstrip(b"/")).endswith(_LOGINS)


def _sets_csrf_cookie(fields: list[Field], sent: bytes) -> bool:
    """Tell whether an answer sets another CSRF cookie than was sent.

    A header with a CSRF token would not show a change: its value is masked anew each time, and all are good.
    """
    for name, value in fields:
        if name == b"set-cookie":
            cookie, _, token = value.split(b";", 1)[0].partition(b"=")
            if b"csrf" in cookie.lower() and token.strip() not in sent:
                return True
    return False


def belongs_to_session(status: int, asked: Asked) -> bool:
    """Tell whether the cookies of an answer that is no refusal belong to our session.

    A redirect to a login may set the cookies of an anonymous visitor. An answer to a path that servers read
    differently may set another user's cookies, because the path may be a login that we did not recognise.
    """
    return status not in _REDIRECTS and is_plain(asked.path)
