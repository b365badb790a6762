"""Pure: names a credential in the store. Equal names mean equal credentials, of all proxies of a fleet."""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LENGTH: Final = 24
"""Hex digits of a name and of a mark: 96 bits."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a token depends on.

    Attributes:
        endpoint: the token URL, or the issuer's URL.
        proof: the client's secret, private key or certificate as it is now; "": it has none.
        others: further parameters of the token request.
    """

    endpoint: str = field(repr=False)
    client: str
    proof: str = field(repr=False)
    audience: str | None
    scope: str | None
    resource: str | None
    auth_method: str
    others: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class Keys:
    """The keys derived from one secret (HKDF, RFC 5869): one that seals, and one that names.

    Args:
        secret: the client secret, or the text of the store's `key_file`.
    """

    __slots__ = ("_naming", "sealing")

    def __init__(self, secret: str) -> None:
        info = b"fleet 1"
        made = HKDF(SHA256(), 64, salt=b"camunda-auth-proxy", info=info).derive(secret.encode())
        self.sealing = made[:32]
        self._naming = made[32:]

    def __repr__(self) -> str:
        return "***"

    def name(self, facts: Facts) -> str:
        """Return the name of a credential: `LENGTH` hex digits. A changed secret gives another name."""
        proof = self._tag("proof", facts.proof)
        named = (facts.endpoint, facts.client, proof, facts.audience, facts.scope, facts.resource)
        return self._tag("name", json.dumps([*named, facts.auth_method, facts.others]))

    def mark(self, fields: tuple[tuple[bytes, bytes], ...]) -> str:
        """Return the mark of a token's fields: `LENGTH` hex digits, by which scripts compare tokens."""
        return self._tag("token", repr(fields))

    def _tag(self, kind: str, text: str) -> str:
        return hmac.new(self._naming, f"{kind}\0{text}".encode(), hashlib.sha256).hexdigest()[:LENGTH]
