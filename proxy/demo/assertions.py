"""Checks client assertions (RFC 7523, `private_key_jwt`) as a real Keycloak 26.7 did.

It needs cryptography, which the proxy has only with its extra `jwt`, so it is imported in use.
"""

import datetime as dt
import importlib.util
from dataclasses import dataclass, field
from typing import Any

import jwt

from proxy.clock import wall_time

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
AVAILABLE = importlib.util.find_spec("cryptography") is not None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key with a certificate of its own; all in PEM form.

    Attributes:
        key_id: what the `kid` of an assertion must be, if it has one.
    """

    private_key: str = field(repr=False)
    public_key: str
    certificate: str
    key_id: str


def new_signing_key() -> SigningKey:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signed")])
    now = dt.datetime.fromtimestamp(wall_time(), dt.UTC)
    day = dt.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return SigningKey(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(),
        public.public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
        certificate.public_bytes(pem).decode(),
        certificate.fingerprint(hashes.SHA256()).hex(),
    )


def client_of(assertion: str) -> str:
    """Return the client that the assertion names; a request may leave out `client_id` (observed)."""
    return str(claims_of(assertion).get("sub", ""))


def claims_of(assertion: str) -> dict[str, Any]:
    """Return the claims, which are not verified; empty: it is no JWT."""
    try:
        claims: dict[str, Any] = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return {}
    return claims


def fault_of(assertion: str, key: SigningKey, client: str, audiences: set[str], used: set[str]) -> str | None:
    """Return Keycloak's message about an invalid assertion; None: it is valid, and its `jti` is used now.

    Args:
        audiences: token URL and issuer; the assertion must name one of them.
        used: every `jti` so far.
    """
    try:
        header = jwt.get_unverified_header(assertion)
    except jwt.InvalidTokenError:
        return "Invalid client or Invalid client credentials"
    if header.get("kid", key.key_id) != key.key_id:
        return "Unable to load public key"
    options: Any = {"verify_aud": False, "require": ["exp", "jti", "aud", "iss", "sub"]}
    try:
        claims = jwt.decode(assertion, key.public_key, algorithms=["RS256"], options=options)
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
        return "Token is not active"
    except jwt.InvalidTokenError:
        return "Invalid client or Invalid client credentials"
    audience = claims["aud"]
    if isinstance(audience, list):
        return "Multiple audiences not allowed"  # observed with two; stricter: even with one
    if audience not in audiences:
        return "Invalid token audience"
    if not claims["iss"] == claims["sub"] == client:
        return "Invalid client or Invalid client credentials"
    if claims["jti"] in used:
        return "Token reuse detected"
    used.add(claims["jti"])
    return None
