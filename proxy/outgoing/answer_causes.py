"""Pure: why an answer of a token endpoint has no token. `causes.py` has the words."""

import re
from typing import Final, Literal, NamedTuple

from proxy.outgoing.causes import Cause, CauseName, Peer, cause, cleaned, shown
from proxy.terms import GrantType


class Asked(NamedTuple):
    """What a token request contained, as far as messages name it.

    Attributes:
        scope, audience: None: not sent.
        credential: the setting that proves who the client is: `client_secret`; with its section.
        grant_type: how the token was requested; `refresh_token`: for a person who has logged in.
        foreign: whether the client was authenticated by an assertion of another issuer.
        subject: the setting with the token of another issuer that such a grant needs; with its section.
    """

    scope: str | None = None
    audience: str | None = None
    credential: str = "client_secret"
    grant_type: GrantType | Literal["refresh_token"] = "client_credentials"
    foreign: bool = False
    subject: str = ""


class TokenAnswer(NamedTuple):
    """What the cause of a failed token request depends on.

    Attributes:
        media_type: of the Content-Type, in lower case; empty: none.
        location: of a redirect; empty: none.
        error, description: members of a JSON answer (RFC 6749 section 5.2), as they came; empty: none.
        beginning: first bytes of the body.
    """

    status: int
    media_type: str = ""
    location: str = ""
    error: str = ""
    description: str = ""
    beginning: bytes = b""

    def __repr__(self) -> str:
        return f"TokenAnswer({self.status}, ***)"


_PLAIN_TO_TLS: Final = re.compile(
    rb"plain HTTP request was sent to HTTPS|speaking plain HTTP to an SSL|HTTP request to an HTTPS server"
    rb"|combination of host and port requires TLS",
    re.IGNORECASE,
)
"""What nginx, Apache, Go and Tomcat answer (400) to http at a port of https."""

_GRANTS: Final[dict[GrantType | Literal["refresh_token"], str]] = {
    "refresh_token": "the refresh token grant (RFC 6749 section 6)",
    "client_credentials": "the client credentials grant",
    "jwt-bearer": "the grant jwt-bearer (RFC 7523)",
    "token-exchange": "token exchange (RFC 8693)",
}

PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
"""Media types of pages for people."""

_BY_ERROR: Final[dict[str, CauseName]] = {
    "invalid_client": "client_refused",
    "unauthorized_client": "client_unauthorized",
    "unsupported_grant_type": "grant_refused",
    "invalid_scope": "scope_refused",
    "invalid_target": "audience_refused",  # RFC 8707
    "invalid_resource": "audience_refused",  # Entra ID
    "access_denied": "audience_refused",  # Auth0, and with it Camunda SaaS
    "invalid_request": "request_refused",
    "invalid_grant": "request_refused",
}


_OF_CLIENT: Final = ("client_refused", "client_unauthorized", "grant_refused")


def speaks_tls(status: int, body: bytes) -> bool:
    """Tell whether an answer to plain http says that the port is for https."""
    return status == 400 and _PLAIN_TO_TLS.search(body) is not None


def of_answer(answer: TokenAnswer, peer: Peer, asked: Asked) -> Cause:
    """Return why a token endpoint's answer has no token. The caller has found that it has none."""
    status = answer.status
    error, description = cleaned(answer.error), cleaned(answer.description)
    told = f" {error}" if error else ""
    told += f": {description}" if description else ""
    name: CauseName
    said = ""
    if speaks_tls(status, answer.beginning):
        name = "plain_to_tls"
    elif status == 429:
        name = "limited"
    elif 300 <= status < 400:
        name, said = "redirect", f" to {shown(answer.location)}" if shown(answer.location) else ""
        name = "user_redirect" if asked.grant_type == "refresh_token" else name
    elif status >= 500:
        name = "server_error"
    elif answer.media_type in PAGES and status not in (404, 405):
        name = "html"
    elif status == 404 and answer.error not in _BY_ERROR:
        name = "no_such_path"
    elif status == 405:
        name = "no_post"
    else:
        name = _by_error(answer, asked)
    return cause(
        name,
        peer,
        status=status,
        told=told,
        said=said,
        scope=_quoted(asked.scope),
        audience=_quoted(asked.audience),
        credential=asked.credential,
        grant=_GRANTS[asked.grant_type],
        subject=asked.subject,
    )


def _by_error(answer: TokenAnswer, asked: Asked) -> CauseName:
    name: CauseName | None = _BY_ERROR.get(answer.error)
    if name is None:
        name = "client_refused" if answer.status == 401 else None
    if name is None:
        name = "audience_refused" if answer.status == 403 else "no_token"
    if asked.grant_type == "refresh_token" and name in _OF_CLIENT:
        return "user_client_refused"
    if asked.foreign and name in ("client_refused", "client_unauthorized"):
        return "assertion_refused"
    if name == "request_refused" and answer.error == "invalid_grant" and asked.subject:
        return "subject_refused"
    if name == "audience_refused" and asked.audience is None:
        return "scope_refused" if asked.scope is not None else "client_unauthorized"
    if name == "scope_refused" and asked.scope is None:
        return "request_refused"
    return name


def _quoted(text: str | None) -> str:
    return f"`{cleaned(text)}`" if text is not None else ""
