"""Whatever a token endpoint, an issuer, a login or a file says: a result, or one of our own errors."""

import json
import os
from base64 import encodebytes, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.credentials.assertion import assertion, signing_key
from proxy.credentials.cookies import Jar, note_session_fields
from proxy.credentials.credential import Credential
from proxy.credentials.discovery import token_endpoint
from proxy.credentials.login import NoLogin, form, meaning, said
from proxy.credentials.oauth2 import OAuth2Settings, token_request
from proxy.credentials.reply import Reply, unix_time
from proxy.credentials.secret import FileSecret, TextSecret
from proxy.credentials.token_answer import parse_token_answer
from proxy.errors import CredentialError, CredentialUnavailable
from proxy.terms import AuthMethod

T = TypeVar("T")

ISSUER = "https://login.test/r"
METHODS: tuple[AuthMethod, ...] = ("client_secret_post", "client_secret_basic")
FORMATS: tuple[Literal["form", "json"], ...] = ("form", "json")
LONG = st.integers(300, 6000)
NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.builds(
        lambda sign, digit, times: sign + digit * times,
        st.sampled_from(["", "-"]),
        st.sampled_from("109"),
        LONG,
    ),
    st.sampled_from(
        ["1e400", "-1e400", "1e-400", "-0", "-0.0", "0e9", "NaN", "Infinity", "-Infinity", "0x1", "01"]
    ),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    NUMBERS,
    st.sampled_from(["\ud800", "\x00", "a\r\nb: c", "\u0665", "a.b.c", "\x1b[2J", "x" * 70000]),
)
MEMBERS = st.sampled_from(
    ["access_token", "expires_in", "token_type", "error", "issuer", "token_endpoint", "exp", "iat"]
)
NESTED = st.integers(1, 100_000).flatmap(
    lambda depth: st.sampled_from(
        ["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth, "[" * depth]
    )
)
VALUES = st.one_of(NUMBERS, TEXTS.map(json.dumps), st.sampled_from(["null", "true", "[]", "{}"]), NESTED)
DOCUMENTS = st.lists(st.tuples(MEMBERS, VALUES), max_size=6).map(
    lambda members: "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"
)
BODIES = st.one_of(
    st.binary(max_size=60),
    DOCUMENTS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    NESTED.map(str.encode),
)
WIRE = st.binary(max_size=24).map(lambda octets: octets.decode("utf-8", "surrogateescape"))
DATES = st.sampled_from(
    [
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 99999 07:28:00 GMT",
        "Wed, 21 Oct 0000 07:28:00 GMT",
        "Wed, 31 Feb 2015 07:28:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -9999",
        "Mon, 1 Jan 0001 00:00:00 +2359",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Wed, 21 Oct 2015 07:28:00 " + "9" * 5000,
        "Wed, 21 Oct " + "9" * 5000 + " 07:28:00 GMT",
    ]
)
WAITS = st.one_of(
    st.builds(
        lambda text, octet, behind: text + octet if behind else octet + text,
        st.integers(0, 99).map(str),
        st.sampled_from([chr(code) for code in (*range(0x21), 0x7F, 0x85, 0xA0, 0x2003, 0x2028, 0x3000)]),
        st.booleans(),
    ),
    NUMBERS,
    DATES,
    WIRE,
    st.sampled_from(["\u0665", "\u00b2", "+5", "1_0", "5, 5", "5;a", ""]),
)
FIELDS = st.lists(
    st.one_of(
        st.tuples(st.just("retry-after"), WAITS),
        st.tuples(st.just("date"), DATES | WIRE),
        st.tuples(st.sampled_from(["set-cookie", "x-csrf-token", "www-authenticate"]), WIRE),
        st.tuples(
            st.just("content-type"), st.sampled_from(["application/json", "text/html", ";", "\x1c"]) | WIRE
        ),
    ),
    max_size=4,
).map(tuple)
STATUSES = st.sampled_from([200, 204, 302, 400, 401, 403, 404, 429, 500, 503]) | st.integers(100, 599)
ANSWERS = st.builds(Reply, STATUSES, BODIES, FIELDS)


def jwt(claims: str) -> str:
    return f"e30.{urlsafe_b64encode(claims.encode('utf-8', 'replace')).rstrip(b'=').decode()}.e30"


def read(call: Callable[[], T]) -> T | CredentialError:
    """The result, or an error of ours; any other error is a failed test."""
    try:
        return call()
    except CredentialError as error:
        wait = error.retry_after
        return error if wait is None or 0.0 <= wait < inf else pytest.fail(f"a wait of {wait} s")


def read_token(answer: Reply) -> CredentialError | None:
    """Nothing where it brings a credential with a life; else what is wrong."""
    found = read(lambda: parse_token_answer(answer, 0.0, 0.0))
    if isinstance(found, CredentialError):
        return found
    assert found.expires_at is not None
    assert 0.0 < found.expires_at <= 86400.0
    return None


# -- answers --


@given(ANSWERS)
def test_any_token_answer_is_a_credential_or_an_error_of_ours(answer: Reply) -> None:
    read_token(answer)


@given(NUMBERS | TEXTS.map(json.dumps) | NESTED)
def test_any_expires_in_is_a_life_or_a_failed_fetch(expires_in: str) -> None:
    body = f'{{"access_token":"a","expires_in":{expires_in}}}'.encode("utf-8", "surrogatepass")
    error = read_token(Reply(200, body))
    assert error is None or error.outcome == "invalid"


@given(VALUES, VALUES)
def test_any_claims_of_a_token_give_it_a_life(exp: str, iat: str) -> None:
    token = jwt(f'{{"exp":{exp},"iat":{iat}}}')
    body = json.dumps({"access_token": token}).encode()
    assert read_token(Reply(200, body)) is None or len(token) > 1 << 16


@pytest.mark.parametrize("number", ["-1" + "0" * 309, "1" + "0" * 309, "9" * 4300, "-" + "9" * 4300, "1e308"])
def test_a_claim_beyond_every_float_gives_the_usual_life_or_the_longest(number: str) -> None:
    for other in ("0", "0.5", "1e308", "-1e308"):
        for claims in (f'{{"exp":{number},"iat":{other}}}', f'{{"exp":{other},"iat":{number}}}'):
            body = json.dumps({"access_token": jwt(claims)}).encode()
            assert parse_token_answer(Reply(200, body), 0.0, 0.0).expires_at in (300.0, 86400.0), claims


@given(ANSWERS)
def test_any_discovery_document_names_an_endpoint_or_is_an_error_of_ours(answer: Reply) -> None:
    found = read(lambda: token_endpoint(answer, ISSUER, 0.0))
    assert isinstance(found, CredentialError) or found.startswith("https://")


@given(
    TEXTS | st.text(st.sampled_from("https:/[]@%#?.:-_0123456789abc\\"), max_size=40).map("https://".__add__)
)
def test_a_token_endpoint_that_is_taken_has_a_plain_host_and_port(endpoint: str) -> None:
    body = json.dumps({"issuer": ISSUER, "token_endpoint": endpoint}).encode()
    taken = read(lambda: token_endpoint(Reply(200, body), ISSUER, 0.0))
    if isinstance(taken, CredentialError):
        return
    authority = taken.removeprefix("https://").partition("/")[0].partition("?")[0]
    assert authority
    assert not set(authority) & set("@%\\#")
    assert not authority.endswith(":")


@given(WAITS, DATES | WIRE | st.none(), st.floats(0, 4e9))
def test_any_retry_after_is_a_finite_wait_or_none(value: str, date: str | None, wall: float) -> None:
    fields = (("retry-after", value), *((("date", date),) if date is not None else ()))
    wait = Reply(429, b"", fields).retry_after(wall)
    assert wait is None or 0.0 <= wait < inf


@pytest.mark.parametrize("octet", [chr(code) for code in (0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x1F, 0x85, 0xA0)])
def test_a_number_with_a_separator_at_its_end_is_no_wait(octet: str) -> None:
    for value in (f"5{octet}", f"{octet}5"):
        assert Reply(429, b"", (("retry-after", value),)).retry_after(0.0) is None
    assert Reply(429, b"", (("retry-after", " 5\t"),)).retry_after(0.0) == 5.0


@pytest.mark.parametrize(
    "date", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_a_date_is_in_gmt_in_each_of_its_three_forms(date: str) -> None:
    """RFC 9110 section 5.6.7; the last form names no zone."""
    assert unix_time(date) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()


# -- logins and cookies --


@given(st.sampled_from(["login", "api-login"]), ANSWERS, st.floats(0, 4e9))
def test_any_answer_to_a_login_is_read_or_an_error_of_ours(dialect: Any, answer: Reply, wall: float) -> None:
    after = Jar().after(said(answer), wall)
    read(lambda: meaning(dialect, answer, Jar(), after, wall))
    assert NoLogin({dialect: answer}).outcome == "invalid"


ATTRIBUTES = st.one_of(
    st.binary(max_size=20),
    DATES.map(lambda date: b"Expires=" + date.encode()),
    NUMBERS.map(lambda number: b"Max-Age=" + number.encode()),
    WAITS.map(lambda value: b"Max-Age=" + value.encode("utf-8", "replace")),
)


@given(st.lists(st.binary(max_size=10) | ATTRIBUTES, max_size=5), st.floats(0, 4e9))
def test_any_set_cookie_leaves_a_jar_that_can_be_sent(parts: list[bytes], wall: float) -> None:
    line = b"S=1; " + b"; ".join(parts)
    for jar in (Jar().after([(b"set-cookie", line)], wall), Jar().after([(b"set-cookie", line[5:])], wall)):
        assert not any(b"\r" in value or b"\n" in value or b"\0" in value for _, value in jar.fields)
    note_session_fields(Credential(((b"Cookie", b"S=0"),), 0.0, session=True), [(b"set-cookie", line)], wall)


@given(TEXTS, TEXTS)
def test_any_user_and_secret_are_written_or_an_error_of_ours(user: str, secret: str) -> None:
    found: list[object] = [read(lambda: form(user, secret))]
    for method in METHODS:
        for body in FORMATS:
            asked = OAuth2Settings(
                "https://x/t", user, TextSecret(secret), auth_method=method, request_format=body
            )
            found.append(read(partial(token_request, asked, secret)))
    assert all(error.outcome == "invalid" for error in found if isinstance(error, CredentialError))


# -- keys and certificates --

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])


def self_signed(key: Any) -> bytes:
    """A certificate in DER."""
    made = datetime(2025, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(NAME, NAME, key.public_key(), 7, made, made.replace(year=2035))
    algorithm = None if isinstance(key, ed448.Ed448PrivateKey | ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def der(key: Any) -> bytes:
    octets: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return octets


def pem(octets: bytes, label: str) -> str:
    return f"-----BEGIN {label}-----\n{encodebytes(octets).decode()}-----END {label}-----\n"


def tried(key: str, certificate: str | None) -> None:
    """Sign with them: an assertion, or an error of ours."""
    found = read(lambda: assertion(signing_key(key, None, certificate), "me", "https://x/t", 0.0))
    assert isinstance(found, str) or (found.outcome == "invalid" and "_file" in str(found))


def changed(original: bytes) -> st.SearchStrategy[bytes]:
    """A few bytes of it are others, or it is cut."""
    place, octet = st.integers(0, len(original) - 1), st.integers(0, 255)

    def change(edits: list[tuple[int, int]], end: int) -> bytes:
        octets = bytearray(original)
        for where, what in edits:
            octets[where] = what
        return bytes(octets[: end + 1])

    whole = st.just(len(original))
    return st.builds(change, st.lists(st.tuples(place, octet), max_size=3), whole | whole | place)


EC_CERTIFICATE, RSA_CERTIFICATE = self_signed(EC), self_signed(RSA)


# A serial number that is not positive is taken, with a warning.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(deadline=None)
@given(changed(EC_CERTIFICATE))
def test_any_certificate_is_read_or_an_error_of_ours(certificate: bytes) -> None:
    tried(pem(der(EC), "PRIVATE KEY"), pem(certificate, "CERTIFICATE"))


@settings(deadline=None)
@given(
    changed(der(EC)) | st.binary(max_size=60),
    st.sampled_from(["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"]),
)
def test_any_key_signs_or_is_an_error_of_ours(key: bytes, label: str) -> None:
    tried(pem(key, label), None)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_for_a_key_or_a_certificate_is_an_error_of_ours(key: str, certificate: str) -> None:
    tried(key, None)
    tried(pem(der(EC), "PRIVATE KEY"), certificate)


@pytest.mark.parametrize(
    "certificate_of", ["dsa", "ed448", "brainpool", "type unknown", "version 9", "PKCS#12"]
)
def test_a_certificate_of_a_kind_that_we_do_not_know_is_an_error_of_ours(certificate_of: str) -> None:
    certificate = {
        "dsa": lambda: self_signed(dsa.generate_private_key(1024)),
        "ed448": lambda: self_signed(ed448.Ed448PrivateKey.generate()),
        "brainpool": lambda: self_signed(ec.generate_private_key(ec.BrainpoolP256R1())),
        # id-ecPublicKey with another last arc, and [0] { INTEGER 2 } with another number
        "type unknown": lambda: EC_CERTIFICATE.replace(
            bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d022a")
        ),
        "version 9": lambda: EC_CERTIFICATE.replace(
            bytes.fromhex("a003020102"), bytes.fromhex("a003020108"), 1
        ),
        "PKCS#12": lambda: pkcs12.serialize_key_and_certificates(b"x", EC, None, None, NoEncryption()),
    }[certificate_of]()
    assert certificate != EC_CERTIFICATE
    with pytest.raises(CredentialUnavailable, match="certificate_file"):
        signing_key(pem(der(EC), "PRIVATE KEY"), None, pem(certificate, "CERTIFICATE"))


# -- files --


@given(st.binary(max_size=40))
def test_any_bytes_in_a_secrets_file_are_a_secret_or_an_error_of_ours(octets: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "secret")
        path.write_bytes(octets)
        found = read(FileSecret(path).read)
    assert isinstance(found, CredentialError) or found.encode() in octets


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_what_is_no_file_is_no_secret_and_takes_no_descriptor(tmp_path: Path) -> None:
    """A directory used to take one with each look, and a look comes with each request."""
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    spare = os.dup(0)
    os.close(spare)
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero"), tmp_path / "large", tmp_path / "x" / "y"):
        secret = FileSecret(path)
        for _ in range(20):
            with pytest.raises(CredentialUnavailable):
                secret.read()
    after = os.dup(0)
    os.close(after)
    assert after == spare
