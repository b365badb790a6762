"""Pure: seals a token for the store (AES-256-GCM), so that its owner can neither read nor forge one.

A value is `1 <mark> <nonce><sealed>`. The mark, and the name of the credential, are bound into the seal: a
value whose mark was changed, or that was copied to another key, does not open.
"""

import json
import os
from dataclasses import dataclass, field
from math import inf
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proxy.credentials.credential import Fields
from proxy.credentials.fleet.key import LENGTH, Facts, Keys

MARK: Final = slice(2, 2 + LENGTH)
HEAD: Final = 3 + LENGTH
NONCE: Final = 12
LARGEST: Final = 1 << 16
"""Most bytes of a value; a longer one is not ours."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A sealed token.

    Attributes:
        life: seconds from its request to its expiry, as they were granted.
    """

    fields: Fields = field(repr=False)
    life: float


class Sealer:
    """Names and seals one credential.

    Args:
        secret: see `Keys`.

    Attributes:
        name: of the credential in the store.
    """

    __slots__ = ("_aead", "_keys", "name")

    def __init__(self, secret: str, facts: Facts) -> None:
        self._keys = Keys(secret)
        self._aead = AESGCM(self._keys.sealing)
        self.name = self._keys.name(facts)

    def mark(self, fields: Fields) -> str:
        """See `Keys.mark`."""
        return self._keys.mark(fields)

    def seal(self, fields: Fields, life: float, mark: str = "") -> bytes:
        """Return the value to store; two calls never return equal values.

        Args:
            mark: `LENGTH` hex digits; empty: that of the fields.
        """
        head, nonce = f"1 {mark or self.mark(fields)} ".encode(), os.urandom(NONCE)
        text = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in fields]
        return head + nonce + self._aead.encrypt(nonce, json.dumps([text, life]).encode(), self._bound(head))

    def open(self, value: bytes) -> Opened | None:
        """Return what was sealed; None: the value was changed, or it is not ours."""
        if len(value) > LARGEST:
            return None
        head, nonce, sealed = value[:HEAD], value[HEAD : HEAD + NONCE], value[HEAD + NONCE :]
        try:
            text, life = json.loads(self._aead.decrypt(nonce, sealed, self._bound(head)))
            fields = tuple((name.encode("latin-1"), each.encode("latin-1")) for name, each in text)
        except (InvalidTag, ValueError, TypeError, AttributeError):
            return None
        if not isinstance(life, int | float) or not 0 < life < inf:
            return None
        return Opened(fields, float(life))

    def _bound(self, head: bytes) -> bytes:
        return head + self.name.encode()
