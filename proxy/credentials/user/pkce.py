"""Pure: proof key for code exchange (RFC 7636). It binds an authorization to the process that began it."""

import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Proof:
    """A code verifier, which only this process and the token endpoint get to know."""

    verifier: str = field(repr=False)

    @property
    def challenge(self) -> dict[str, str]:
        """The parameters of the request that begins the login (section 4.2, method S256)."""
        digest = sha256(self.verifier.encode("ascii")).digest()
        challenge = urlsafe_b64encode(digest).decode("ascii").rstrip("=")
        return {"code_challenge": challenge, "code_challenge_method": "S256"}


def new_proof() -> Proof:
    """Make a verifier of 64 characters, 384 random bits (section 4.1 allows 43 to 128 characters)."""
    return Proof(secrets.token_urlsafe(48))
