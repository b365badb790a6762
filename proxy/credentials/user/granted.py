"""Pure: reads the answer of a token endpoint to a person's login or refresh (RFC 6749 section 5.1)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from re import compile as pattern
from typing import Any, Final

from proxy.credentials.credential import Credential
from proxy.credentials.reply import Reply, invalid, json_object
from proxy.credentials.token_answer import ENDPOINT, LARGEST_TOKEN, claims_of, parse_token_answer
from proxy.outgoing.causes import Peer, cleaned

_TOKEN = pattern(r"[\x20-\x7e]+")  # RFC 6749 appendix A.17

_NAMES: Final = ("preferred_username", "email", "upn", "name")
"""Claims that name a person, the best one first."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What a login or a refresh has brought.

    Attributes:
        credential: with the access token.
        refresh_token: None: the answer has none.
        refresh_ends_in: seconds until the refresh token expires (`refresh_expires_in`, which Keycloak and
            others send); None: never, or not known.
        subject, username: who logged in, for people; from the ID token, which is not verified, because it
            came from the token endpoint (OpenID Connect Core 1.0 section 3.1.3.7), else from the access token.
            Empty: not known.
    """

    credential: Credential
    refresh_token: str | None = field(repr=False)
    refresh_ends_in: float | None = None
    subject: str = ""
    username: str = ""


def granted(
    answer: Reply,
    fetched_at: float,
    wall: float,
    peer: Peer = Peer(ENDPOINT),  # noqa: B008 -- a value
    *,
    secrets: Iterable[str] = (),
) -> Granted:
    """Read an answer; arguments and errors as those of `parse_token_answer`.

    Raises:
        CredentialError: it has no access token, or a refresh token that cannot be one.
    """
    credential = parse_token_answer(answer, fetched_at, wall, peer, secrets=secrets)
    document = json_object(answer, str(peer), typed=False)
    refresh = document.get("refresh_token") or None
    if refresh is not None and not (
        isinstance(refresh, str) and len(refresh) <= LARGEST_TOKEN and _TOKEN.fullmatch(refresh)
    ):
        raise invalid(f"{peer}: its refresh_token is not printable ASCII, or is longer than 64 KiB")
    named = [_claims(document.get(name)) for name in ("id_token", "access_token")]
    subject = next((text for claims in named if (text := _text(claims, "sub"))), "")
    names = (_text(claims, name) for claims in named for name in _NAMES)
    ends_in = document.get("refresh_expires_in")
    right = isinstance(ends_in, int | float) and not isinstance(ends_in, bool) and 0 < ends_in < inf
    return Granted(
        credential,
        refresh,
        float(min(ends_in, 1e10)) if right else None,
        subject,
        next((text for text in names if text), ""),
    )


def _claims(token: object) -> Mapping[str, Any]:
    return claims_of(token) if isinstance(token, str) else {}


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return cleaned(value) if isinstance(value, str) else ""
