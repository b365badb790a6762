"""Pure: does an answer say that the credential was refused.

| answer | verdict |
|---|---|
| 401 | refused |
| 403, challenge `WWW-Authenticate: Bearer` without `insufficient_scope` | refused |
| under a session, on an API path: a redirect to a login page or to another host | refused |
| under a session, on an API path: 200 or 403 with an HTML page, which is the login's | refused |
| under a session: 403 whose body speaks of CSRF | refused |
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
"""Bytes of a body in which a word of CSRF is looked for."""

_CHANGING: Final = frozenset((b"POST", b"PUT", b"PATCH", b"DELETE"))
_REDIRECTS: Final = frozenset((301, 302, 303, 307))
_LOGINS: Final = (b"/login", b"/sso-callback")
_API: Final = re.compile(rb"/(?:v1|v2|api)(?:/|$)")
_LOCATION: Final = re.compile(rb"(?:[a-z][a-z0-9+.-]*:)?(?://([^/?#]*))?([^;?#]*)", re.IGNORECASE)
_USUAL_PORT: Final = re.compile(rb":(?:80|443)?$")


class Verdict(Enum):
    """What an answer says of the credential.

    Attributes:
        SUSPECTED: a CSRF token that is no longer good, or a missing permission: 8.6's 403 names neither.
    """

    PASSES = auto()
    REFUSED = auto()
    SUSPECTED = auto()


class Asked(NamedTuple):
    """A request under a session, as far as its answer is judged by it.

    Attributes:
        method: as sent.
        path: as the caller wrote it: without the base URL's, without a query.
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
    """What an answer says of the credential, by the table above.

    A real Operate 8.6.0 answers expired tokens with 403, an empty body and `WWW-Authenticate: Bearer`; any
    other 403 to a token is about permission, and a new one would not help (RFC 6750 section 3.1).

    Args:
        status: of the answer.
        fields: of the answer, names in lower case: WWW-Authenticate; under a session also Location,
            Content-Type and Set-Cookie.
        asked: what it answers; None where no session was stamped.
        body: the beginning of its body; read of a 403 under a session alone.
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
    """Camunda's own login pages, and an identity provider's, which is another host."""
    match = _LOCATION.match(location)
    host, path = match.groups() if match is not None else (None, location)
    if host is not None and _USUAL_PORT.sub(b"", host.lower()) != _USUAL_PORT.sub(b"", authority.lower()):
        return True
    return (b"/" + path.rstrip(b"/")).endswith(_LOGINS)


def _sets_csrf_cookie(fields: list[Field], sent: bytes) -> bool:
    """A header with a CSRF token shows nothing: it is masked, another one each time, all of them good."""
    for name, value in fields:
        if name == b"set-cookie":
            cookie, _, token = value.split(b";", 1)[0].partition(b"=")
            if b"csrf" in cookie.lower() and token.strip() not in sent:
                return True
    return False


def belongs_to_session(status: int, asked: Asked) -> bool:
    """Whether the cookies of an answer that passes are the session's.

    Those of a redirect may be an anonymous visitor's, who is sent to a login. Those of an answer to a path
    that servers read differently may be another user's: behind it may be a login that we did not recognise.
    """
    return status not in _REDIRECTS and is_plain(asked.path)
