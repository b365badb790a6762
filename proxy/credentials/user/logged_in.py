"""Pure: reads the answer of a token endpoint to the login of a person (RFC 6749 section 5.1)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.credentials.reply import Reply, json_object
from proxy.credentials.token_answer import claims_of, parse_token_answer
from proxy.credentials.user.answer import granted
from proxy.outgoing.causes import Peer, cleaned

_NAMES: Final = ("preferred_username", "email", "upn", "name")
"""Claims that name a person, the best one first."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What a login has brought.

    Attributes:
        refresh_token: empty: the answer has none.
        ends_at: seconds since 1970 when it expires; None: never, or the answer does not say.
        subject, username: who logged in, for people; from the ID token, which is not verified, because it
            came from the token endpoint (OpenID Connect Core 1.0 section 3.1.3.7), else from the access
            token. Empty: not known.
    """

    refresh_token: str = field(repr=False)
    ends_at: float | None = None
    subject: str = ""
    username: str = ""


def logged_in(answer: Reply, wall: float, peer: Peer, secrets: Iterable[str]) -> LoggedIn:
    """Read an answer.

    Args:
        wall: seconds since 1970.
        peer: the token endpoint, as messages name it.
        secrets: sent in the request. They are masked in the answer's words.

    Raises:
        CredentialError: it has no access token that can be used.
    """
    parse_token_answer(answer, 0.0, wall, peer, secrets=secrets)
    found = granted(answer, wall)
    document = json_object(answer, str(peer), typed=False)
    tokens = [_claims(document.get(name)) for name in ("id_token", "access_token")]
    names = (_text(claims, name) for claims in tokens for name in _NAMES)
    return LoggedIn(
        found.refresh_token if found is not None else "",
        found.ends_at if found is not None else None,
        next((text for claims in tokens if (text := _text(claims, "sub"))), ""),
        next((text for text in names if text), ""),
    )


def _claims(token: object) -> Mapping[str, Any]:
    return claims_of(token) if isinstance(token, str) else {}


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return cleaned(value) if isinstance(value, str) else ""
