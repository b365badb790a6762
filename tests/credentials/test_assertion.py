"""Client assertions: what is in them, what cannot sign them, and who takes them."""

import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from proxy.clock import wall_time
from proxy.credentials.assertion import Signer, SigningKey, assertion, can_sign, signing_key
from proxy.credentials.oauth2 import OAuth2Settings, OAuth2Source, key_of
from proxy.credentials.outbound import Outbound
from proxy.credentials.secret import FileSecret, Secret, TextSecret
from proxy.demo import simulated_camunda
from proxy.errors import CredentialRejected, CredentialUnavailable
from tests.app.test_tls import der
from tests.certificates import certificate
from tests.clock import FakeClock
from tests.token_server import TokenServer, token_server

URL = "https://login.test/auth/realms/r/protocol/openid-connect/token"
RSA = rsa.generate_private_key(65537, 2048)


def pem(key: Any, encryption: Any = NoEncryption()) -> str:  # noqa: B008 -- it holds nothing
    octets: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return octets.decode()


def read(token: str, key: Any, algorithm: str) -> dict[str, Any]:
    """The claims, verified with the public key and as strictly as there is."""
    claims: dict[str, Any] = jwt.decode(
        token,
        key.public_key(),
        algorithms=[algorithm],
        audience=URL,
        issuer="me",
        options={"require": ["aud", "exp", "iat", "iss", "jti", "sub"], "strict_aud": True},
    )
    return claims


# -- what is in it --


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSA, "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
)
def test_an_assertion_says_who_we_are_to_one_audience_for_five_minutes(key: Any, algorithm: str) -> None:
    now = wall_time()
    token = assertion(signing_key(pem(key), None, None), "me", URL, now)
    claims = read(token, key, algorithm)
    assert claims.pop("jti")
    assert claims == {"iss": "me", "sub": "me", "aud": URL, "iat": int(now), "exp": int(now) + 300}
    assert jwt.get_unverified_header(token) == {"typ": "JWT", "alg": algorithm}


def test_a_key_in_the_older_forms_signs_too() -> None:
    for form in (PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8):
        text = RSA.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
        for written in (text, text.replace("\n", "\r\n"), "Bag Attributes\n" + text.strip()):
            read(assertion(signing_key(written, None, None), "me", URL, wall_time()), RSA, "RS256")


def test_no_two_assertions_are_alike() -> None:
    signer = Signer("me", TextSecret(pem(RSA)), None, None)
    now = wall_time()
    tokens = [signer.assertion(URL, now) for _ in range(20)]
    assert len({read(token, RSA, "RS256")["jti"] for token in tokens}) == 20


def test_the_header_names_the_key_and_its_certificate(tmp_path: Path) -> None:
    chain, key_file = certificate(tmp_path / "ours", "me")
    key = signing_key(key_file.read_text(), "k-1", chain.read_text())
    header = jwt.get_unverified_header(assertion(key, "me", URL, wall_time()))
    assert (header["kid"], header["typ"]) == ("k-1", "JWT")
    assert urlsafe_b64decode(header["x5t"] + "=") == sha1(der(chain)).digest()
    assert urlsafe_b64decode(header["x5t#S256"] + "=") == sha256(der(chain)).digest()
    assert "=" not in header["x5t"] + header["x5t#S256"]


@given(st.text(max_size=30), st.text(max_size=30), st.floats(0, 4e9))
def test_whatever_the_client_is_called_it_is_said(client: str, url: str, wall: float) -> None:
    key = SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32), "EdDSA", {})
    claims = jwt.decode(assertion(key, client, url, wall), options={"verify_signature": False})
    assert (claims["iss"], claims["sub"], claims["aud"]) == (client, client, url)
    assert claims["exp"] - claims["iat"] == 300


# -- what cannot sign --


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "private_key_file holds no private key in PEM form"),
        ("c4n4ry", "private_key_file holds no private key in PEM form"),
        ("-----BEGIN PRIVATE KEY-----\nc4n4ry\n-----END PRIVATE KEY-----", "no private key in PEM form"),
        (pem(RSA)[:400], "private_key_file holds no private key in PEM form"),
        (pem(RSA, BestAvailableEncryption(b"c4n4ry")), "private_key_file is encrypted"),
        (pem(rsa.generate_private_key(65537, 1024)), "an RSA key of less than 2048 bits"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "is not on P-256, P-384 or P-521"),
        (pem(x25519.X25519PrivateKey.generate()), "a key of another kind; use RSA, EC or Ed25519"),
        (pem(ed448.Ed448PrivateKey.generate()), "a key of another kind; use RSA, EC or Ed25519"),
        (pem(dsa.generate_private_key(1024)), "a key of another kind; use RSA, EC or Ed25519"),
    ],
)
def test_a_key_that_makes_no_sense_is_told_without_it(text: str, says: str) -> None:
    with pytest.raises(CredentialUnavailable) as caught:
        signing_key(text, None, None)
    assert says in str(caught.value)
    assert caught.value.outcome == "invalid"
    assert "c4n4ry" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_certificate_that_makes_no_sense_is_told(tmp_path: Path) -> None:
    for text, says in (
        ("nonsense", "certificate_file holds no certificate in PEM form"),
        (certificate(tmp_path / "other", "me")[0].read_text(), "is not the certificate of private_key_file"),
    ):
        with pytest.raises(CredentialUnavailable, match=says):
            signing_key(pem(RSA), None, text)


def test_no_key_is_in_a_repr() -> None:
    key = signing_key(pem(RSA), "k-1", None)
    assert "RSA" not in repr(key)
    assert "PRIVATE" not in repr(OAuth2Settings(URL, "me", TextSecret(pem(RSA)), "private_key_jwt"))


def test_without_its_extra_the_proxy_runs_and_says_what_is_missing() -> None:
    assert can_sign()
    script = (
        "import sys; sys.modules['cryptography'] = None\n"
        "import proxy.app.credentials; from proxy.credentials.assertion import can_sign\n"
        "print(can_sign())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_other_keys_make_other_tokens() -> None:
    one = OAuth2Settings(URL, "me", FileSecret(Path("key")), "private_key_jwt", key_id="a")
    others: list[dict[str, Any]] = [
        {"secret": FileSecret(Path("other"))},
        {"key_id": "b"},
        {"certificate": FileSecret(Path("cert"))},
        {"token_url": None, "issuer_url": "https://login.test"},
        {"token_url": None, "issuer_url": "https://other.test"},
    ]
    assert len({key_of(replace(one, **change)) for change in others} | {key_of(one)}) == len(others) + 1


# -- on the wire --


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound()
    yield outbound
    await outbound.close()


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    async with token_server() as server:
        yield server


def signed(url: str | None, key: Secret, **changes: Any) -> OAuth2Settings:
    return replace(OAuth2Settings(url, "signed", key, "private_key_jwt"), **changes)


async def test_the_body_shows_an_assertion_and_no_secret(server: TokenServer, outbound: Outbound) -> None:
    await OAuth2Source(signed(server.url, TextSecret(pem(RSA))), outbound, FakeClock()).fetch()
    (asked,) = server.asked
    body = parse_qs(asked.body.decode())
    (shown,) = body.pop("client_assertion")
    assert body == {
        "grant_type": ["client_credentials"],
        "client_id": ["signed"],
        "client_assertion_type": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
    }
    assert "Authorization" not in asked.headers
    claims = jwt.decode(shown, RSA.public_key(), algorithms=["RS256"], audience=server.url)
    assert claims["aud"] == server.url


async def test_a_strict_keycloak_takes_a_new_assertion_for_every_attempt(
    outbound: Outbound, tmp_path: Path
) -> None:
    async with simulated_camunda() as camunda:
        theirs = camunda.keycloak.signing_key()
        key_file, cert_file = tmp_path / "key.pem", tmp_path / "cert.pem"
        key_file.write_text(theirs.private_key)
        cert_file.write_text(theirs.certificate)
        key = FileSecret(key_file)
        for settings in (
            signed(camunda.keycloak.url, key),
            signed(camunda.keycloak.url, key, key_id=theirs.key_id),
            signed(camunda.keycloak.url, key, certificate=FileSecret(cert_file)),
            signed(None, key, issuer_url=camunda.keycloak.issuer),
        ):
            source = OAuth2Source(settings, outbound, FakeClock())
            for _ in range(2):
                assert (await source.fetch()).fields[0][1].startswith(b"Bearer ")
        assert camunda.keycloak.discoveries == 1
        assert not camunda.complaints


async def test_a_renewed_key_signs_the_next_attempt(outbound: Outbound, tmp_path: Path) -> None:
    key_file = tmp_path / "key.pem"
    key_file.write_text(pem(RSA))
    async with simulated_camunda() as camunda:
        source = OAuth2Source(signed(camunda.keycloak.url, FileSecret(key_file)), outbound, FakeClock())
        with pytest.raises(CredentialRejected):
            await source.fetch()
        key_file.write_text("half a ke")
        with pytest.raises(CredentialUnavailable, match="private_key_file"):
            await source.fetch()
        key_file.write_text(camunda.keycloak.signing_key().private_key)
        await source.fetch()


async def test_a_key_that_has_never_been_there_is_told(outbound: Outbound, tmp_path: Path) -> None:
    source = OAuth2Source(signed(URL, FileSecret(tmp_path / "none")), outbound, FakeClock())
    with pytest.raises(CredentialUnavailable, match="a secret's file is missing"):
        await source.fetch()
