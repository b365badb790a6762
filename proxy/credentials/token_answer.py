"""Reads the answer of a token endpoint, strictly: pure functions from bytes to a Credential.

Of the answer's text, messages show only `error` and `error_description`, cleaned (see `causes.cleaned`).
"""

from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from math import inf
from re import compile as pattern
from typing import Any

from proxy.credentials.credential import Credential
from proxy.credentials.reply import Reply, invalid, json_object, strict_json
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable
from proxy.masking import masked
from proxy.outgoing.answer_causes import PAGES, Asked, TokenAnswer, of_answer
from proxy.outgoing.causes import Peer

LARGEST_TOKEN = 1 << 16
LONGEST_LIFE = 86400.0
LATEST = 1e11
"""Seconds since 1970; a later `exp` counts as none."""

USUAL_LIFE = 300.0
"""Assumed lifetime in seconds, if neither the answer nor the token tells it."""

ENDPOINT = "the token endpoint"
"""Its name in messages."""

REFUSALS = frozenset(
    {
        *("invalid_client", "unauthorized_client", "invalid_scope", "access_denied"),
        *("invalid_target", "invalid_resource"),  # RFC 8707, Entra ID
    }
)

BEGINNING = 4096
"""Bytes of an answer that are searched for the words of a port that speaks TLS."""

KNOWN_ERRORS = REFUSALS | {
    *(
        "invalid_grant",
        "invalid_request",
        "server_error",
        "temporarily_unavailable",
        "unsupported_grant_type",
    ),
}
"""Values of `error` that callers are told; any other could be any text."""

_B64TOKEN = pattern(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 section 2.1
_NUMBER = pattern(r"[0-9]{1,30}(\.[0-9]{1,30})?")


def parse_token_answer(
    answer: Reply,
    fetched_at: float,
    wall: float,
    peer: Peer = Peer(ENDPOINT),  # noqa: B008 -- a value
    asked: Asked = Asked(),  # noqa: B008 -- likewise
    secrets: Iterable[str] = (),
) -> Credential:
    """Return the credential in an answer.

    Args:
        fetched_at: seconds on the Clock, taken before the request was sent.
        wall: seconds since 1970; used if Retry-After is a date and the answer has no Date of its own.
        peer: the token endpoint, as messages name it.
        asked: what the request contained.
        secrets: sent in the request. They are masked in the answer's words.

    Raises:
        CredentialRejected: any 401 or 403, or an error code that blames our client. An error code in a 200
            does not count, because then the server is broken, and may recover without a change of the client.
        CredentialUnavailable: anything else that is not a usable bearer token.
    """
    if answer.status != 200 or _is_page(answer):
        raise _failure(answer, wall, peer, asked, secrets)
    # Some servers write null for a member that they could leave out.
    document = {name: value for name, value in _document(answer, peer).items() if value is not None}
    if "error" in document:
        raise _failure(answer, wall, peer, asked, secrets)
    token = document.get("access_token")
    if not isinstance(token, str) or not token:
        raise invalid(f"{peer}: its answer has no access_token")
    if len(token) > LARGEST_TOKEN:
        raise invalid(f"{peer}: its access_token is longer than {LARGEST_TOKEN} characters")
    if not _B64TOKEN.fullmatch(token):
        raise invalid(f"{peer}: its access_token has characters that no bearer token has")
    kind = document.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise invalid(f"{peer}: its token_type is not Bearer")
    life = _life(document["expires_in"]) if "expires_in" in document else _life_of_jwt(token)
    # Camunda 8.6 refuses `bearer`.
    stamped = ((b"Authorization", b"Bearer " + token.encode("ascii")),)
    return Credential(stamped, fetched_at, fetched_at + min(life, LONGEST_LIFE))


def _document(answer: Reply, peer: Peer) -> dict[str, Any]:
    """Return the JSON object of an answer. One with an access_token counts under any Content-Type."""
    try:
        document = json_object(answer, str(peer), typed=False)
    except CredentialUnavailable:
        document = {}
    return document if document.get("access_token") else json_object(answer, str(peer))


def _failure(answer: Reply, wall: float, peer: Peer, asked: Asked, secrets: Iterable[str]) -> CredentialError:
    """Make the error for an answer without a token."""
    error, description = _told(answer)
    seen = TokenAnswer(
        answer.status,
        answer.media_type,
        masked(answer.get("location") or "", secrets),
        masked(error, secrets),
        masked(description, secrets),
        answer.body[:BEGINNING],
    )
    text = f"{peer}: {of_answer(seen, peer, asked).words}"
    public = seen._replace(error=error if error in KNOWN_ERRORS else "", description="")
    detail = f"{peer}: {of_answer(public, peer, asked).words}"
    wait = answer.retry_after(wall)
    status = answer.status
    if status == 429:
        return CredentialUnavailable(text, outcome="limited", retry_after=wait, detail=detail)
    if status in (401, 403) or (status != 200 and error in REFUSALS):
        return CredentialRejected(text, retry_after=wait, detail=detail)
    if status >= 500:
        return CredentialUnavailable(text, retry_after=wait, detail=detail)
    return CredentialUnavailable(text, outcome="invalid", retry_after=wait, detail=detail)


def _is_page(answer: Reply) -> bool:
    return answer.media_type in PAGES and not answer.body.lstrip(b" \t\r\n").startswith(b"{")


def _told(answer: Reply) -> tuple[str, str]:
    """Return `error` and `error_description` (RFC 6749 section 5.2); empty: there is none."""
    try:
        document = json_object(answer, ENDPOINT)
    except CredentialUnavailable:
        return "", ""
    error, description = document.get("error"), document.get("error_description")
    return (
        error if isinstance(error, str) else "",
        description if isinstance(description, str) else "",
    )


def _life(expires_in: object) -> float:
    """Read a lifetime in seconds, more than 0."""
    if isinstance(expires_in, str) and _NUMBER.fullmatch(expires_in):
        expires_in = float(expires_in)
    if isinstance(expires_in, int | float) and not isinstance(expires_in, bool) and 0 < expires_in < inf:
        return float(min(expires_in, LONGEST_LIFE))  # min() first: float() fails on an int above 1e308
    raise invalid(f"{ENDPOINT}'s expires_in is not a number above zero")


def _life_of_jwt(token: str) -> float:
    """Return the seconds from `iat` to `exp` of a JWT; USUAL_LIFE if it is no JWT or lacks them."""
    claims = claims_of(token)
    try:
        return _life(claims["exp"] - claims["iat"])
    except (ArithmeticError, LookupError, TypeError, ValueError, CredentialUnavailable):
        return USUAL_LIFE


def jwt_expiry(token: str) -> float | None:
    """Return when a JWT says that it expires (`exp`), in seconds since 1970; None: it does not say."""
    return time_claim(claims_of(token), "exp")


def time_claim(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a claim that is a time, in seconds since 1970; None: there is none."""
    value = claims.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < LATEST:
        return float(value)
    return None


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, which is not verified; empty: it is no JWT."""
    try:
        payload = token.split(".")[1]
        claims = strict_json(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (LookupError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
