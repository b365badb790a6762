"""Answers of those who let us in, and files with keys: a result, or an error of ours that tells no secret."""

import json
import re
import ssl
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypeVar

from fuzz.pieces import CANARY, lines_and_rest, untold
from proxy.app.tls import TlsContexts
from proxy.config.model import Tls
from proxy.credentials.assertion import assertion, signing_key
from proxy.credentials.cookies import LARGEST, Jar, jar_of, note_session_fields, same_session
from proxy.credentials.credential import Credential
from proxy.credentials.discovery import token_endpoint
from proxy.credentials.login import NoLogin, form, meaning, said
from proxy.credentials.reply import Reply, unix_time
from proxy.credentials.secret import FileSecret
from proxy.credentials.token_answer import parse_token_answer
from proxy.errors import CredentialError, StartError

T = TypeVar("T")
ISSUER = "https://login.test/r"
DIALECTS: tuple[Literal["login", "api-login"], ...] = ("login", "api-login")
_BEARER = re.compile(rb"Bearer [A-Za-z0-9\-._~+/]+=*")


def _result(call: Callable[[], T]) -> T | None:
    """What it returns; None: an error of ours, which says nothing that it must not."""
    try:
        return call()
    except CredentialError as error:
        untold(error)
        assert error.retry_after is None or 0.0 <= error.retry_after < inf
        assert str(error).isprintable()
        return None


def answer_of(octets: bytes) -> Reply:
    """Status and fields in lines, an empty one, the body."""
    lines, body = lines_and_rest(octets)
    status = int(lines[0]) if lines[0].isdigit() and len(lines[0]) == 3 else 200
    fields = [line.partition(b":") for line in lines[1:]]
    told = [
        (name.decode("ascii").lower(), value.strip(b" \t").decode("utf-8", "surrogateescape"))
        for name, _, value in fields
        if re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name)
    ]
    return Reply(status, body, tuple(told))


def token_answers(octets: bytes) -> None:
    """A bearer token with a life, or an error of ours; an endpoint by https, or an error of ours."""
    answer = answer_of(octets)
    untold(answer)
    found = _result(lambda: parse_token_answer(answer, 5.0, 1.7e9, secrets=(CANARY,)))
    if found is not None:
        _lives(found)
    endpoint = _result(lambda: token_endpoint(answer, ISSUER, 1.7e9))
    assert endpoint is None or re.fullmatch(r"https://[^\s@/\\#]+([/?][!-~]*)?", endpoint, re.IGNORECASE)


def _lives(found: Credential) -> None:
    untold(found)
    ((name, value),) = found.fields
    assert name == b"Authorization"
    assert _BEARER.fullmatch(value)
    assert found.expires_at is not None
    # A life can be too short for the clock's precision: such a token is over as soon as it is there.
    assert 5.0 <= found.expires_at <= 5.0 + 86400.0


def jwts(octets: bytes) -> None:
    """Whatever a token says of its life: it has one."""
    encoded = urlsafe_b64encode(octets).rstrip(b"=").decode()
    for token in (f"e30.{encoded}.e30", octets.decode("latin-1")):
        body = json.dumps({"access_token": token}).encode()
        found = _result(lambda body=body: parse_token_answer(Reply(200, body), 5.0, 0.0))  # type: ignore[misc]
        if found is not None:
            _lives(found)


def retry_after(octets: bytes) -> None:
    """A wait without an end is none."""
    lines, _ = lines_and_rest(octets)
    value, date = (each.decode("utf-8", "surrogateescape") for each in (*lines, b"")[:2])
    for fields in ((("retry-after", value),), (("retry-after", value), ("date", date))):
        wait = Reply(429, b"", fields).retry_after(1.7e9)
        assert wait is None or 0.0 <= wait < inf
        if re.fullmatch(r"[0-9]{1,15}", value):
            assert wait == int(value)
    moment = unix_time(value)
    assert moment is None or abs(moment) < inf


def cookies(octets: bytes) -> None:
    """A jar can be sent, and read back from what was sent."""
    lines, _ = lines_and_rest(octets)
    fields = [
        (b"x-csrf-token", line[2:]) if line.startswith(b"x:") else (b"set-cookie", line) for line in lines
    ]
    jar = Jar()
    for field in fields:
        jar = jar.after([field], 1.7e9)
    untold(jar)
    assert jar == Jar().after(fields, 1.7e9)
    for _, value in jar.fields:
        assert not set(value) & {*range(32), 127}
        assert len(value) <= LARGEST
    assert jar_of(jar.fields) == jar
    used = Credential(((b"Cookie", b"S=0; X-CSRF-TOKEN=1"), (b"X-CSRF-TOKEN", b"1")), 0.0, session=True)
    after = note_session_fields(used, fields, 1.7e9)
    if after is not None:
        untold(after)
        names = {name.lower() for name, _ in jar_of(after.fields).cookies}
        assert b"s" in names
        assert not re.search(rb"[\x00-\x1f\x7f]", after.lines.replace(b"\r\n", b""))
    same_session(used.fields, jar.fields)


def logins(octets: bytes) -> None:
    """An answer to a login has a meaning, or is an error of ours."""
    answer = answer_of(octets)
    for before in (Jar(), Jar(((b"S", b"0"),), (b"X-CSRF-TOKEN", b"1"))):
        after = before.after(said(answer), 1.7e9)
        for dialect in DIALECTS:
            found = _result(lambda d=dialect, b=before, a=after: meaning(d, answer, b, a, 1.7e9))  # type: ignore[misc]
            assert found in (None, "in", "csrf", "elsewhere")
            assert found != "in" or after.session
            untold(NoLogin({dialect: answer}))
    text = octets.decode("utf-8", "surrogateescape")
    _result(lambda: form(text, text))


@cache
def _pair() -> tuple[bytes, bytes]:
    """A key and a certificate of it, in DER. The key is always the same one."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = derive_private_key(7, SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    made = datetime(2025, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, made, made.replace(year=2035))
    certificate = builder.sign(key, SHA256()).public_bytes(Encoding.DER)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), certificate


def _pem(octets: bytes, label: str) -> str:
    return f"-----BEGIN {label}-----\n{b64encode(octets).decode()}\n-----END {label}-----\n"


def key_seeds() -> list[bytes]:
    """In DER and in PEM."""
    key, certificate = _pair()
    texts = _pem(key, "PRIVATE KEY"), _pem(certificate, "CERTIFICATE")
    return [key, certificate, *(text.encode() for text in texts)]


def keys(octets: bytes) -> None:
    """A key that signs and a certificate that is its own, or errors of ours."""
    key = _pem(_pair()[0], "PRIVATE KEY")
    text = octets.decode("utf-8", "replace")
    for label in ("PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"):
        _signs(_pem(octets, label), None)
    _signs(text, None)
    _signs(key, text)
    _signs(key, _pem(octets, "CERTIFICATE"))


def secret_files(octets: bytes) -> None:
    """Files with keys, certificates and secrets: TLS that verifies, a secret, or errors of ours."""
    key, certificate = _pem(_pair()[0], "PRIVATE KEY"), _pem(_pair()[1], "CERTIFICATE")
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        (folder / "key").write_text(key, encoding="ascii")
        own = folder / "certificate"  # to trust it is cheaper than the system's hundred
        own.write_text(certificate, encoding="ascii")
        (folder / "any").write_bytes(octets)
        for tls in (
            Tls(ca_file=folder / "any"),
            Tls(ca_file=own, cert_file=folder / "any", key_file=folder / "key"),
            Tls(ca_file=own, cert_file=own, key_file=folder / "any"),
        ):
            _context(tls)
        found = _result(FileSecret(folder / "any").read)
        assert found is None or found.encode() in octets


def _signs(key: str, certificate: str | None) -> None:
    signed = _result(lambda: assertion(signing_key(key, None, certificate), "me", "https://x/t", 0.0))
    assert signed is None or signed.count(".") == 2


def _context(tls: Tls) -> None:
    try:
        context = TlsContexts().context(tls, "upstreams.zeebe")()
    except StartError as error:
        untold(error)
        assert str(error).isprintable()
    else:
        assert isinstance(context, ssl.SSLContext)
        assert context.verify_mode is ssl.CERT_REQUIRED
