"""Pure: what an access token says about itself. Its signature is not checked; the token is never shown."""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.commands.doctor.finding import day
from proxy.credentials.credential import Credential
from proxy.credentials.reply import strict_json
from proxy.outgoing.causes import cleaned

MOST = 8
"""Most values of a list that are shown."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims of a JWT (RFC 7519 section 4.1), cleaned.

    Attributes:
        audiences, issuer, subject: `aud`, `iss`, `sub`.
        client: `azp`, `client_id`, `appid` (Entra ID) or `cid`; empty: none of them.
        scopes: of `scope`, `scp` and `roles`.
        issued, expires: seconds since 1970; None: absent.
        key_id: `kid` of the header; empty: absent.
    """

    audiences: tuple[str, ...] = ()
    issuer: str = ""
    client: str = ""
    subject: str = ""
    scopes: tuple[str, ...] = ()
    issued: float | None = None
    expires: float | None = None
    key_id: str = ""

    def said(self) -> str:
        """Return the claims in one line."""
        parts = [
            f"aud {' '.join(self.audiences) or '-'}",
            f"iss {self.issuer or '-'}",
            f"client {self.client or '-'}",
        ]
        if self.scopes:
            parts.append(f"scope {' '.join(self.scopes)}")
        if self.expires is not None and day(self.expires):
            parts.append(f"exp {day(self.expires)}")
        return ", ".join(parts)

    def facts(self) -> dict[str, object]:
        """Return the claims for machines."""
        return {
            "aud": list(self.audiences),
            "iss": self.issuer,
            "client": self.client,
            "sub": self.subject,
            "scope": list(self.scopes),
            "iat": self.issued,
            "exp": self.expires,
        }


def bearer_token(credential: Credential) -> str:
    """Return the bearer token of a credential; empty: it has none."""
    for name, value in credential.fields:
        if name == b"Authorization" and value.startswith(b"Bearer "):
            return value[7:].decode("latin-1")
    return ""


def claims(token: str) -> Claims | None:
    """Return the claims of a token; None: it is no JWT."""
    parts = token.split(".")
    found = _part(parts[1]) if len(parts) > 1 else None
    if found is None:
        return None
    clients = (_text(found, name) for name in ("azp", "client_id", "appid", "cid"))
    return Claims(
        audiences=_texts(found.get("aud")),
        issuer=_text(found, "iss"),
        client=next(filter(None, clients), ""),
        subject=_text(found, "sub"),
        scopes=_texts(found.get("scope")) or _texts(found.get("scp")) or _texts(found.get("roles")),
        issued=_moment(found.get("iat")),
        expires=_moment(found.get("exp")),
        key_id=_text(_part(parts[0]) or {}, "kid"),
    )


def _part(encoded: str) -> dict[str, object] | None:
    """Return the members of a part of a JWT; None: it has none."""
    try:
        found = strict_json(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(found: Mapping[str, object], name: str) -> str:
    value = found.get(name)
    return cleaned(value) if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    """Return the values of a list, or of a string with blanks between them."""
    values = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(cleaned(each) for each in values[:MOST] if isinstance(each, str))


def _moment(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e12:
        return float(value)
    return None
