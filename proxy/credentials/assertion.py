"""Makes client assertions: JWTs signed with our private key instead of a secret (RFC 7523 sections 2.2, 3).

PyJWT's crypto extra is imported only in use, because only installations that sign need it (`[jwt]`).
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from importlib.util import find_spec
from typing import TYPE_CHECKING
from uuid import uuid4

from proxy.credentials.reply import invalid
from proxy.credentials.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

LIFE = 300
"""Lifetime of an assertion in seconds, the same as in Camunda's own Java client."""

CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
"""Algorithm of each curve (RFC 7518 section 3.4)."""

SHORTEST_RSA = 2048
"""Fewest bits of an RSA key (RFC 7518 section 3.3)."""


def can_sign() -> bool:
    """Tell whether the package that signs is installed."""
    return find_spec("cryptography") is not None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, ready to sign.

    Attributes:
        algorithm: its name in JWS (RFC 7518 section 3.1, RFC 8037).
        header: further members of the header: `kid`, `x5t`, `x5t#S256`.
    """

    key: PrivateKey = field(repr=False)
    algorithm: str
    header: dict[str, str]


def signing_key(pem: str, key_id: str | None, certificate: str | None) -> SigningKey:
    """Read the key from the text of these files.

    Args:
        pem: the private key.
        certificate: PEM; its first certificate counts, the chain after it does not.

    Raises:
        CredentialUnavailable: a text cannot be used, or they do not belong together.
    """
    key = _private_key(pem)
    header = {} if key_id is None else {"kid": key_id}
    if certificate is not None:
        header |= _thumbprints(certificate, key)
    return SigningKey(key, _algorithm(key), header)


def assertion(key: SigningKey, client_id: str, token_url: str, wall: float) -> str:
    """Make a new assertion, because servers accept none twice (Keycloak: `Token reuse detected`).

    It has no `nbf`, because a server whose clock is behind ours would refuse it.

    Args:
        token_url: where it is sent; the only audience, as one string (Keycloak accepts no list).
        wall: seconds since 1970.
    """
    import jwt

    now = int(wall)
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": token_url,
        "iat": now,
        "exp": now + LIFE,
        "jti": str(uuid4()),
    }
    return jwt.encode(claims, key.key, key.algorithm, key.header)


class Signer:
    """Signs assertions with the key that its file holds now.

    Args:
        certificate: of the key; None: the assertion names none.
    """

    def __init__(self, client_id: str, key: Secret, key_id: str | None, certificate: Secret | None) -> None:
        self._client_id = client_id
        self._key = key
        self._key_id = key_id
        self._certificate = certificate
        self._read: tuple[str, str | None] | None = None
        self._ready: SigningKey | None = None

    def assertion(self, token_url: str, wall: float) -> str:
        """Make an assertion as the function of this name does.

        Raises:
            CredentialUnavailable: key or certificate are missing, or cannot be used.
        """
        read = self._key.read(), self._certificate.read() if self._certificate is not None else None
        if self._ready is None or read != self._read:
            self._ready = signing_key(read[0], self._key_id, read[1])
            self._read = read
        return assertion(self._ready, self._client_id, token_url, wall)


def _private_key(pem: str) -> PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), None)
    except TypeError:
        raise invalid("private_key_file is encrypted; name a file without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise invalid("private_key_file holds no private key in PEM form") from None
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey):
        raise invalid("private_key_file holds a key of another kind; use RSA, EC or Ed25519")
    return key


def _algorithm(key: PrivateKey) -> str:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if isinstance(key, RSAPrivateKey):
        if key.key_size < SHORTEST_RSA:
            raise invalid(f"private_key_file holds an RSA key of less than {SHORTEST_RSA} bits")
        return "RS256"
    if isinstance(key, EllipticCurvePrivateKey):
        if key.curve.name not in CURVES:
            raise invalid("private_key_file holds an EC key that is not on P-256, P-384 or P-521")
        return CURVES[key.curve.name]
    return "EdDSA"


def _thumbprints(pem: str, key: PrivateKey) -> dict[str, str]:
    """Return the certificate's thumbprints (RFC 7515 sections 4.1.7 and 4.1.8); Entra ID uses only `x5t`."""
    data, public_key = _certificate(pem)
    if public_key != key.public_key():
        raise invalid("certificate_file is not the certificate of private_key_file")
    return {
        "x5t": _base64url(sha1(data, usedforsecurity=False).digest()),
        "x5t#S256": _base64url(sha256(data).digest()),
    }


def _certificate(pem: str) -> tuple[bytes, object]:
    """Return the first certificate in DER, and its public key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import InvalidVersion, load_pem_x509_certificate

    try:
        certificate = load_pem_x509_certificate(pem.encode())
        return certificate.public_bytes(Encoding.DER), certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidVersion):
        raise invalid("certificate_file holds no certificate in PEM form that can be read") from None


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
