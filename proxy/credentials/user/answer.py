"""Pure: reads what a token endpoint's answer says of the refresh token (RFC 6749 sections 5.1, 5.2 and 6)."""

from dataclasses import dataclass, field
from re import compile as pattern
from typing import Any

from proxy.credentials.reply import Reply, strict_json
from proxy.credentials.token_answer import LARGEST_TOKEN, LATEST

_VISIBLE = pattern(r"[\x20-\x7e]+")  # RFC 6749 appendix A.17
_LIVES = ("refresh_expires_in", "refresh_token_expires_in")
"""Keycloak, Entra ID: seconds until the refresh token expires. Keycloak's 0 means that it never does."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What a successful answer says of the refresh token.

    Attributes:
        refresh_token: the one to use from now on; empty: the answer has none, so the old one stays good.
        ends_at: seconds since 1970 when it expires; None: never, or the answer does not say.
    """

    refresh_token: str = field(repr=False)
    ends_at: float | None


def granted(answer: Reply, wall: float) -> Granted | None:
    """Read an answer; None: it grants nothing, or is not whole.

    Read apart from the access token, because a new refresh token has to be stored even if the access token
    cannot be used.

    Args:
        wall: seconds since 1970.
    """
    document = _object(answer)
    if answer.status != 200 or document is None or "error" in document:
        return None
    token = document.get("refresh_token")
    if not isinstance(token, str) or len(token) > LARGEST_TOKEN or not _VISIBLE.fullmatch(token):
        token = ""
    if not token and not isinstance(document.get("access_token"), str):
        return None
    lives = [document[name] for name in _LIVES if _is_life(document.get(name))]
    return Granted(token, wall + lives[0] if lives else None)


def error_of(answer: Reply) -> tuple[str, str]:
    """Return `error` and `error_description` of a refusal (400, 401, 403), as they came; empty: none."""
    document = _object(answer)
    if answer.status not in (400, 401, 403) or document is None:
        return "", ""
    error, description = document.get("error"), document.get("error_description")
    return error if isinstance(error, str) else "", description if isinstance(description, str) else ""


def _object(answer: Reply) -> dict[str, Any] | None:
    try:
        document = strict_json(answer.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _is_life(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < LATEST
