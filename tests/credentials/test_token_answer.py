"""Token answers of every kind: a table, and the law that nothing but a good token gets through."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.reply import Reply
from proxy.credentials.token_answer import parse_token_answer
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable

CANARY = "c4n4ry"
MEMBERS: dict[str, Any] = {"access_token": "abc.def", "token_type": "Bearer", "expires_in": 300}


def answer(
    status: int = 200, body: bytes | None = None, content_type: str | None = None, **changes: Any
) -> Reply:
    members = {name: value for name, value in (MEMBERS | changes).items() if value is not ...}
    return Reply(
        status,
        json.dumps(members).encode() if body is None else body,
        () if content_type is None else (("content-type", content_type),),
    )


def limited(status: int, retry_after: str | None, date: str | None = None) -> Reply:
    fields = {"retry-after": retry_after, "date": date}
    return Reply(status, b"", tuple((name, value) for name, value in fields.items() if value is not None))


def life(given: Reply) -> float:
    expires_at = parse_token_answer(given, 1000.0, 0.0).expires_at
    assert expires_at is not None
    return expires_at - 1000.0


def jwt(claims: object) -> str:
    payload = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{payload}.c2ln"


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER", ...])
def test_the_scheme_is_always_spelled_bearer(kind: object) -> None:
    credential = parse_token_answer(answer(token_type=kind), 1000.0, 0.0)
    assert credential.fields == ((b"Authorization", b"Bearer abc.def"),)
    assert (credential.fetched_at, credential.expires_at) == (1000.0, 1300.0)


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (300, 300.0),
        (1, 1.0),
        (0.5, 0.5),
        ("300", 300.0),
        ("299.5", 299.5),
        (86401, 86400.0),
        (10**30, 86400.0),
        (1e300, 86400.0),
        ("9" * 30, 86400.0),
        (..., 300.0),
    ],
)
def test_expires_in_is_a_number_or_a_numeric_string(expires_in: object, seconds: float) -> None:
    assert life(answer(expires_in=expires_in)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "raw",
    [
        *("0", "-1", "-0.5", "NaN", "Infinity", "-Infinity", "true", "1e400", "-1e400", "[]", "{}"),
        *('""', '"0"', '"-5"', '"1h"', '"300 "', '"1e3"', '"\u0663"', '"NaN"', '"inf"', "9" * 5000),
    ],
)
def test_any_other_expires_in_is_a_failed_fetch(raw: str) -> None:
    body = f'{{"access_token": "{CANARY}", "token_type": "Bearer", "expires_in": {raw}}}'.encode()
    assert refused(answer(body=body)).outcome == "invalid"


@pytest.mark.parametrize(
    ("claims", "seconds"),
    [
        ({"iat": 5000, "exp": 5060}, 60.0),
        ({"iat": 5000.5, "exp": 5060.5}, 60.0),
        ({"iat": 0, "exp": 10**12}, 86400.0),
        ({"exp": 5060}, 300.0),
        ({"iat": 5060, "exp": 5000}, 300.0),
        ({"iat": "5000", "exp": "5060"}, 300.0),
        ({"iat": None, "exp": None}, 300.0),
        ([], 300.0),
        ("text", 300.0),
    ],
)
def test_without_expires_in_the_jwt_tells(claims: object, seconds: float) -> None:
    for expires_in in (..., None):
        given = answer(access_token=jwt(claims), expires_in=expires_in)
        assert life(given) == pytest.approx(seconds), expires_in


def test_a_null_member_is_a_missing_one() -> None:
    nothing: dict[str, Any] = dict.fromkeys(("token_type", "expires_in", "error", "scope", "refresh_token"))
    credential = parse_token_answer(answer(**nothing), 1000.0, 0.0)
    assert credential.fields == ((b"Authorization", b"Bearer abc.def"),)
    assert credential.expires_at == 1300.0


@pytest.mark.parametrize(
    "token", ["opaque", "a.b.c", "a.!.c".replace("!", "~"), "..", "a.e30.c", "a." + "e" * 60000]
)
def test_without_expires_in_and_without_a_jwt_it_lives_five_minutes(token: str) -> None:
    assert life(answer(access_token=token, expires_in=...)) == 300.0


@pytest.mark.parametrize(
    "token",
    [
        *(
            ...,
            None,
            "",
            5,
            ["a"],
            "a b",
            "a\r\nX: y",
            "a\n",
            "a\r",
            "é",
            "\u017f",
            "a\x00",
            "a=b",
            "=",
            "a\ud800",
        ),
        *('a"b', "a:b", "a,b", " a", "a\t", "x" * 65537),
    ],
)
def test_a_token_that_is_no_b64token_is_never_used(token: object) -> None:
    assert refused(answer(access_token=token)).outcome == "invalid"


def test_a_token_of_64_kib_is_used() -> None:
    assert life(answer(access_token="x" * 65536)) == 300.0


@pytest.mark.parametrize("kind", ["mac", "DPoP", "", 5, "Bearer ", "N_A"])
def test_another_token_type_is_a_failed_fetch(kind: object) -> None:
    assert refused(answer(token_type=kind)).outcome == "invalid"


GOOD = json.dumps(MEMBERS).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>c4n4ry</html>",
        b"access_token=c4n4ry&token_type=bearer",
        b"null",
        b"[]",
        b'"c4n4ry"',
        GOOD[:-1],
        GOOD + b"x",
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        b'{"access_token": "c4n4ry\xff", "token_type": "Bearer"}',
        b'{"access_token": "c4n4ry", "access_token": "other", "expires_in": 5}',
        b'{"access_token": "c4n4ry", "more": NaN}',
        b'{"access_token": "c4n4ry", "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"access_token": "c4n4ry", "more": "' + b"x" * (1 << 20) + b'"}',
    ],
)
def test_a_body_that_is_no_json_object_is_a_failed_fetch(body: bytes) -> None:
    assert refused(answer(body=body)).outcome == "invalid"


TYPES = (
    *(None, "application/json", "Application/JSON; charset=UTF-8", "application/vnd.idp+json", "text/plain"),
    *("text/html", "application/x-www-form-urlencoded", "application/octet-stream", ""),
)


@pytest.mark.parametrize("content_type", TYPES)
def test_a_json_object_with_an_access_token_is_taken_under_any_content_type(content_type: str | None) -> None:
    assert life(answer(content_type=content_type)) == 300.0


@pytest.mark.parametrize("content_type", TYPES[4:])
@pytest.mark.parametrize(
    "body", [b'{"error": "invalid_client"}', b'{"access_token": ""}', b'{"access_token": null}', b"<html>"]
)
def test_any_other_answer_that_calls_itself_something_else_is_a_failed_fetch(
    content_type: str, body: bytes
) -> None:
    error = refused(answer(body=body, content_type=content_type))
    page = content_type == "text/html" and body == b"<html>"
    says = "with an HTML page instead of JSON" if page else "by its Content-Type"
    assert (error.outcome, says in str(error)) == ("invalid", True)


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (200, "invalid_client", "invalid"),
        (200, "invalid_request", "invalid"),
        (200, CANARY, "invalid"),
        (400, "invalid_client", "rejected"),
        (400, "unauthorized_client", "rejected"),
        (400, "invalid_scope", "rejected"),
        (400, "access_denied", "rejected"),
        (500, "invalid_client", "rejected"),
        (400, "invalid_request", "invalid"),
        (400, CANARY, "invalid"),
        (400, [CANARY], "invalid"),
        (401, "invalid_token", "rejected"),
        (401, ..., "rejected"),
        (403, ..., "rejected"),
        (404, ..., "invalid"),
        (429, ..., "limited"),
        (429, "slow_down", "limited"),
        (500, ..., "unavailable"),
        (502, "server_error", "unavailable"),
        (503, ..., "unavailable"),
        (201, ..., "invalid"),
        (204, ..., "invalid"),
        (302, ..., "invalid"),
        (307, ..., "invalid"),
    ],
)
def test_each_error_has_its_outcome(status: int, error: object, outcome: str) -> None:
    given = answer(status, error=error, error_description=CANARY)
    caught = refused(given)
    assert caught.outcome == outcome
    assert isinstance(caught, CredentialRejected if outcome == "rejected" else CredentialUnavailable)


def test_error_and_description_are_told_cleaned_and_without_what_was_sent() -> None:
    words = f"Wrong\r\nsecret \x1b[1m{CANARY} {jwt({})} " + "x" * 500
    given = answer(401, error="invalid_client", error_description=words)
    with pytest.raises(CredentialRejected) as caught:
        parse_token_answer(given, 1000.0, 0.0, secrets=(CANARY,))
    assert "(401 invalid_client: Wrong secret ?[1m*** *** xxx" in str(caught.value)
    assert str(caught.value).count("x") < 220


def refused(given: Reply) -> CredentialError:
    """The error of an answer, after a look that nothing of the answer but its error code is in it."""
    with pytest.raises(CredentialError) as caught:
        parse_token_answer(given, 1000.0, 0.0, secrets=(CANARY,))
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return caught.value


DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
UNIX = 784111777.0


@pytest.mark.parametrize(
    ("value", "date", "wall", "seconds"),
    [
        (None, None, 0.0, None),
        ("120", None, 0.0, 120.0),
        (" 7 ", None, 0.0, 7.0),
        ("0", None, 0.0, 0.0),
        ("999999999999999", None, 0.0, 999999999999999.0),
        (DATE, None, UNIX - 30.0, 30.0),
        (DATE, "Sun, 06 Nov 1994 08:49:30 GMT", UNIX + 9999.0, 7.0),
        (DATE, "garbage", UNIX - 30.0, 30.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", None, UNIX - 30.0, 30.0),
        ("Sun Nov  6 08:49:37 1994", "Sun Nov  6 08:49:30 1994", 0.0, 7.0),
        (DATE, None, UNIX + 30.0, 0.0),
        ("-5", None, 0.0, None),
        ("1.5", None, 0.0, None),
        ("soon", None, 0.0, None),
        ("", None, 0.0, None),
        ("9" * 5000, None, 0.0, None),
        ("Sun, 06 Nov 99999 08:49:37 GMT", None, 0.0, None),
        ("\u0663", None, 0.0, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(
    value: str | None, date: str | None, wall: float, seconds: float | None
) -> None:
    assert limited(429, value, date).retry_after(wall) == seconds


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_every_failure_carries_its_retry_after(status: int) -> None:
    assert refused(limited(status, "17")).retry_after == 17.0


@given(st.text(max_size=60), st.none() | st.text(max_size=60))
def test_no_retry_after_is_negative_and_none_raises(value: str, date: str | None) -> None:
    seconds = limited(429, value, date).retry_after(1e9)
    assert seconds is None or seconds >= 0.0


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
documents = st.fixed_dictionaries(
    {}, optional={name: values | st.just(MEMBERS[name]) for name in MEMBERS} | {"error": values}
)


@given(
    st.sampled_from([200, 200, 200, 400, 401, 500]), documents.map(json.dumps).map(str.encode) | st.binary()
)
def test_what_gets_through_is_one_printable_field_with_a_life(status: int, body: bytes) -> None:
    try:
        credential = parse_token_answer(Reply(status, body), 1000.0, 0.0)
    except CredentialError:
        return
    ((name, value),) = credential.fields
    assert name == b"Authorization"
    assert value.startswith(b"Bearer ")
    assert all(0x21 <= octet <= 0x7E for octet in value.removeprefix(b"Bearer "))
    assert credential.expires_at is not None
    assert 1000.0 < credential.expires_at <= 1000.0 + 86400.0
