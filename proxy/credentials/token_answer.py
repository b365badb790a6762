"""A token endpoint's answer, read with distrust: pure functions from octets to a Credential.

What is in the answer never becomes part of a message, known error codes apart.
"""

import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from math import isfinite
from re import compile as pattern
from typing import Any, NoReturn

from proxy.credentials.credential import Credential
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable

LARGEST_ANSWER = 1 << 20
LARGEST_TOKEN = 1 << 16
LONGEST_LIFE = 86400.0
USUAL_LIFE = 300.0
"""Seconds, where neither the answer nor the token says how long it lives."""

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
_SECONDS = pattern(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What came back.

    Attributes:
        content_type, retry_after, date: header fields; None: absent.
        body: at most one octet more than LARGEST_ANSWER.
    """

    status: int
    body: bytes = field(repr=False)
    content_type: str | None = None
    retry_after: str | None = None
    date: str | None = None


def parse_token_answer(answer: TokenAnswer, fetched_at: float, wall: float) -> Credential:
    """The credential in an answer.

    Args:
        fetched_at: seconds on the Clock, taken before the request was sent.
        wall: seconds since 1970; read where Retry-After is a date and the answer has none of its own.

    Raises:
        CredentialRejected: any 401 or 403, or an error code that says who we are is the trouble. Not in a
            200: a server that errs so is broken, and mends itself without our client's doing.
        CredentialUnavailable: anything else that is not a usable bearer token.
    """
    if answer.status != 200:
        raise _failure(answer, wall)
    document = _document(answer)
    if "error" in document:
        raise _failure(answer, wall)
    token = document.get("access_token")
    if not isinstance(token, str) or not token:
        raise _invalid("the token endpoint's answer has no access_token")
    if len(token) > LARGEST_TOKEN:
        raise _invalid(f"the token endpoint's access_token is longer than {LARGEST_TOKEN} characters")
    if not _B64TOKEN.fullmatch(token):
        raise _invalid("the token endpoint's access_token has characters that no bearer token has")
    kind = document.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _invalid("the token endpoint's token_type is not Bearer")
    life = _life(document["expires_in"]) if "expires_in" in document else _life_of_jwt(token)
    # Camunda 8.6 refuses `bearer`.
    stamped = ((b"Authorization", b"Bearer " + token.encode("ascii")),)
    return Credential(stamped, fetched_at, fetched_at + min(life, LONGEST_LIFE))


def retry_after(value: str | None, date: str | None, wall: float) -> float | None:
    """Seconds to wait by a Retry-After field (RFC 9110 section 10.2.3); None: it says nothing.

    Args:
        date: the answer's own Date field, so that a wrong clock on either side does not matter.
        wall: seconds since 1970, where there is no such field.
    """
    if value is None:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return float(value)
    until = _unix_time(value)
    if until is None:
        return None
    sent = _unix_time(date) if date is not None else None
    return max(until - (wall if sent is None else sent), 0.0)


def _failure(answer: TokenAnswer, wall: float) -> CredentialError:
    """The error in an answer that has no token, in words of ours."""
    code = _error_code(answer)
    named = f" ({code})" if code else ""
    wait = retry_after(answer.retry_after, answer.date, wall)
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
        return _invalid(
            f"the token endpoint answered with a redirect ({status}), which is not followed", wait
        )
    return _invalid(f"the token endpoint gave no token: {status}{named}", wait)


def _error_code(answer: TokenAnswer) -> str | None:
    """The `error` of RFC 6749 section 5.2; None: none that is known, the rest could be anything."""
    try:
        code = _document(answer).get("error")
    except CredentialUnavailable:
        return None
    return code if isinstance(code, str) and code in KNOWN_ERRORS else None


def _document(answer: TokenAnswer) -> dict[str, Any]:
    if len(answer.body) > LARGEST_ANSWER:
        raise _invalid("the token endpoint's answer is larger than 1 MiB")
    if answer.content_type is not None and not _is_json(answer.content_type):
        raise _invalid("the token endpoint's answer is not JSON by its Content-Type")
    try:
        document = _json(answer.body)
    except (ValueError, RecursionError):
        raise _invalid("the token endpoint's answer is not JSON") from None
    if not isinstance(document, dict):
        raise _invalid("the token endpoint's answer is not a JSON object")
    return document


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")


def _json(octets: bytes) -> Any:
    """Strict JSON: UTF-8, no NaN, no key twice."""
    return json.loads(octets.decode(), parse_constant=_refuse, object_pairs_hook=_no_key_twice)


def _refuse(constant: str) -> NoReturn:
    raise ValueError("not JSON")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key twice")
    return members


def _life(expires_in: object) -> float:
    """Seconds, more than 0."""
    if isinstance(expires_in, str) and _NUMBER.fullmatch(expires_in):
        expires_in = float(expires_in)
    if isinstance(expires_in, int | float) and not isinstance(expires_in, bool):
        life = float(min(expires_in, LONGEST_LIFE)) if expires_in != float("inf") else 0.0
        if isfinite(life) and life > 0:
            return life
    raise _invalid("the token endpoint's expires_in is not a number above zero")


def _life_of_jwt(token: str) -> float:
    """Seconds from its `iat` to its `exp`; the usual life where it is no JWT or has none."""
    try:
        payload = token.split(".")[1]
        claims = _json(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        life = _life(claims["exp"] - claims["iat"])
    except (LookupError, TypeError, ValueError, RecursionError, CredentialUnavailable):
        return USUAL_LIFE
    return life


def _unix_time(date: str) -> float | None:
    """Seconds since 1970 of an HTTP date; None: it is none."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _invalid(message: str, wait: float | None = None) -> CredentialUnavailable:
    return CredentialUnavailable(message, outcome="invalid", retry_after=wait)
