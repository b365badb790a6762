"""Signs tokens, checks them, and revokes them.

Signer and checker share a random key (HS256), because nothing here needs asymmetric keys.
"""

import math
import secrets
from collections.abc import Sequence
from typing import Literal

import jwt

from proxy.clock import Clock

Reason = Literal[
    "missing", "scheme", "garbage", "signature", "revoked", "audience", "expired", "keys", "session", "csrf"
]

# Clock 0 in `iat` and `exp`. These look like Unix time but follow the Clock, so that code which compares them
# with the wall clock fails.
EPOCH = 1_767_225_600.0


class Mint:
    """Attributes:
    issued: how many tokens so far.
    """

    def __init__(self, clock: Clock) -> None:
        self.issued = 0
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._revoked: dict[str | None, int] = {}

    def issue(
        self, client: str, audiences: Sequence[str], life: float, *, whole_seconds: bool = False
    ) -> str:
        """Make a signed token. `whole_seconds`: see Rules."""
        self.issued += 1
        now = EPOCH + self._clock.now()
        if whole_seconds:
            now = math.floor(now)
        claims: dict[str, object] = {
            "jti": str(self.issued),
            "iat": now,
            "exp": now + life,
            "aud": list(audiences),
            "client_id": client,
            "azp": client,
            "preferred_username": f"service-account-{client}",
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def revoke(self, client: str | None = None) -> None:
        """Revoke all tokens so far, or those of the named client."""
        self._revoked[client] = self.issued

    def judge(self, token: str, audience: str) -> Reason | None:
        """Return why the token is refused; None: it is valid. There is no leeway (observed on 8.6.0)."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                audience=audience,
                # PyJWT uses only the wall clock, so the expiry is checked below, by our Clock.
                options={"verify_exp": False, "verify_iat": False, "require": ["exp", "jti", "client_id"]},
            )
        except jwt.InvalidSignatureError:
            return "signature"
        except (jwt.InvalidAudienceError, jwt.MissingRequiredClaimError):
            return "audience"
        except jwt.InvalidTokenError:
            return "garbage"
        serial = int(claims["jti"])
        if serial <= max(self._revoked.get(None, 0), self._revoked.get(claims["client_id"], 0)):
            return "revoked"
        if EPOCH + self._clock.now() >= claims["exp"]:
            return "expired"
        return None
