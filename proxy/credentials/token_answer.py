"""Reads the answer of a token endpoint, strictly: pure functions from bytes to a Credential.

No text of the answer becomes part of a message, except known error codes.
"""

from base64 import urlsafe_b64decode
from math import inf
from re import compile as pattern
from typing import Any

from proxy.credentials.credential import Credential
from proxy.credentials.reply import Reply, invalid, json_object, strict_json
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable

LARGEST_TOKEN = 1 << 16
LONGEST_LIFE = 86400.0
USUAL_LIFE = 300.0
"""Assumed lifetime in seconds, if neither the answer nor the token tells it."""

ENDPOINT = "the token endpoint"
"""Its name in messages."""

REFUSALS = frozenset({"invalid_client", "unauthorized_client", "invalid_scope", "access_denied"})
KNOWN_ERRORS = REFUSALS | {
    "invalid_grant",
    "invalid_request",
    "invalid_target",  # RFC 8707
    "server_error",
    "temporarily_unavailable",
    "unsupported_grant_type",
}

_B64TOKEN = pattern(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 section 2.1
_NUMBER = pattern(r"[0-9]{1,30}(\.[0-9]{1,30})?")


def parse_token_answer(answer: Reply, fetched_at: float, wall: float) -> Credential:
    """Return the credential in an answer.

    Args:
        fetched_at: seconds on the Clock, taken before the request was sent.
        wall: seconds since 1970; used if Retry-After is a date and the answer has no Date of its own.

    Raises:
        CredentialRejected: any 401 or 403, or an error code that blames our client. An error code in a 200
            does not count, because then the server is broken, and may recover without a change of the client.
        CredentialUnavailable: anything else that is not a usable bearer token.
    """
    if answer.status != 200:
        raise _failure(answer, wall)
    # Some servers write null for a member that they could leave out.
    document = {name: value for name, value in _document(answer).items() if value is not None}
    if "error" in document:
        raise _failure(answer, wall)
    token = document.get("access_token")
    if not isinstance(token, str) or not token:
        raise invalid("the token endpoint's answer has no access_token")
    if len(token) > LARGEST_TOKEN:
        raise invalid(f"the token endpoint's access_token is longer than {LARGEST_TOKEN} characters")
    if not _B64TOKEN.fullmatch(token):
        raise invalid("the token endpoint's access_token has characters that no bearer token has")
    kind = document.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise invalid("the token endpoint's token_type is not Bearer")
    life = _life(document["expires_in"]) if "expires_in" in document else _life_of_jwt(token)
    # Camunda 8.6 refuses `bearer`.
    stamped = ((b"Authorization", b"Bearer " + token.encode("ascii")),)
    return Credential(stamped, fetched_at, fetched_at + min(life, LONGEST_LIFE))


def _document(answer: Reply) -> dict[str, Any]:
    """Return the JSON object of an answer. One with an access_token counts under any Content-Type."""
    try:
        document = json_object(answer, ENDPOINT, typed=False)
    except CredentialUnavailable:
        document = {}
    return document if document.get("access_token") else json_object(answer, ENDPOINT)


def _failure(answer: Reply, wall: float) -> CredentialError:
    """Make the error for an answer without a token, in our own words."""
    code = _error_code(answer)
    named = f" ({code})" if code else ""
    wait = answer.retry_after(wall)
    status = answer.status
    if status == 429:
        return CredentialUnavailable(
            "the token endpoint limits us (429)", outcome="limited", retry_after=wait
        )
    if status in (401, 403) or (status != 200 and code in REFUSALS):
        return CredentialRejected(f"the token endpoint refused our client: {status}{named}", retry_after=wait)
    if status >= 500:
        return CredentialUnavailable(f"the token endpoint failed: {status}{named}", retry_after=wait)
    if 300 <= status < 400:
        return invalid(f"the token endpoint answered with a redirect ({status}), which is not followed", wait)
    return invalid(f"the token endpoint gave no token: {status}{named}", wait)


def _error_code(answer: Reply) -> str | None:
    """Return the `error` of RFC 6749 section 5.2 if it is a known one, as any other could be any text."""
    try:
        code = json_object(answer, ENDPOINT).get("error")
    except CredentialUnavailable:
        return None
    return code if isinstance(code, str) and code in KNOWN_ERRORS else None


def _life(expires_in: object) -> float:
    """Read a lifetime in seconds, more than 0."""
    if isinstance(expires_in, str) and _NUMBER.fullmatch(expires_in):
        expires_in = float(expires_in)
    if isinstance(expires_in, int | float) and not isinstance(expires_in, bool) and 0 < expires_in < inf:
        return float(min(expires_in, LONGEST_LIFE))  # min() first: float() fails on an int above 1e308
    raise invalid("the token endpoint's expires_in is not a number above zero")


def _life_of_jwt(token: str) -> float:
    """Return the seconds from `iat` to `exp` of a JWT; USUAL_LIFE if it is no JWT or lacks them."""
    try:
        payload = token.split(".")[1]
        claims = strict_json(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        life = _life(claims["exp"] - claims["iat"])
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError, CredentialUnavailable):
        return USUAL_LIFE
    return life
