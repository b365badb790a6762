"""What looks odd in a secret, and how its file is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.secret_text import NotText, oddities, read_text

CANARY = "c4n4ry-s3cr3t"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f" {CANARY}", "white space"),
        (f"{CANARY}\t", "white space"),
        (f"{CANARY}\n", "line end"),
        (f"{CANARY}\nmore", "several lines"),
        (f'"{CANARY}"', "in quotes"),
        (f"'{CANARY}'", "in quotes"),
        (f"\u201c{CANARY}\u201d", "in quotes"),
        (f"CLIENT_SECRET={CANARY}", "NAME=value"),
        (f"export CLIENT_SECRET={CANARY}", "NAME=value"),
        (f"client_secret: {CANARY}", "NAME=value"),
        ("${CLIENT_SECRET}", "placeholder"),
        ("$CLIENT_SECRET", "placeholder"),
        ("<your secret>", "placeholder"),
        ("{{ .Values.secret }}", "placeholder"),
        (f"Bearer {CANARY}", "leave that word out"),
        (f"{CANARY}\u2013x", "long dashes"),
        (f"{CANARY}\u2019", "curly quotes"),
        (f"{CANARY}\u200b", "invisible"),
        (f"\ufeff{CANARY}", "invisible"),
        (f"{CANARY}\x07x", "invisible"),
        (f"c4n4ry\u00a0{CANARY}", "no ordinary one"),
    ],
)
def test_each_oddity_is_told_and_the_secret_is_not(text: str, says: str) -> None:
    found = oddities(text)
    assert any(says in each for each in found), found
    assert not any(CANARY in each for each in found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        CANARY,
        "pass word with spaces",
        "sch\u00f6n\u20ac\u6f22",
        "JBSWY3DPEHPK3PXP====",
        "ABCDEFGH=",
        "a=b",
        "it's",
        '"',
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln",
        "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n",
    ],
)
def test_a_usual_secret_has_no_oddity(text: str) -> None:
    assert oddities(text) == []


@pytest.mark.parametrize(
    ("data", "text"), [(b"abc\n", "abc"), (b"\xef\xbb\xbfabc\r\n", "abc"), (b"abc\n\n", "abc\n"), (b"", "")]
)
def test_a_byte_order_mark_and_one_line_end_are_taken_off(data: bytes, text: str) -> None:
    assert read_text(data) == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(encoding: str) -> None:
    with pytest.raises(NotText, match="UTF-16 or binary, not UTF-8"):
        read_text(CANARY.encode(encoding))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_text_or_an_error_of_ours_without_them(data: bytes) -> None:
    try:
        oddities(read_text(data))
    except NotText as error:
        assert str(error).startswith("is ")  # noqa: PT017 -- what it says is one of two sentences
