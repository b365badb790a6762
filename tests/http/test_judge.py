"""The judge itself: what it must not let pass."""

import base64
import json
from pathlib import Path

import pytest

from tests.http import cases
from tests.http.cases import UnknownWord
from tests.http.judge import leaks
from tests.http.strict import Malformed, read_answer, read_request

HOST = b"Host: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "octets",
    [
        b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.0\r\n" + HOST + b"\r\n",
        b"GET x HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /#a HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X : v\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b" fold\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\nY: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 05\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5;a=b\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5\nhello\r\n0\r\n\r\n0123456789",
        CHUNKED + b"5\r\nhelloXX0\r\n\r\n",
        CHUNKED + b"0\r\nX\r\n\r\n",
    ],
)
def test_a_request_that_is_not_exactly_right_is_malformed(octets: bytes) -> None:
    with pytest.raises(Malformed):
        read_request(octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
    ],
)
def test_an_answer_that_is_not_exactly_right_is_malformed(octets: bytes) -> None:
    with pytest.raises(Malformed):
        read_answer(octets, b"GET", ended=True)


@pytest.mark.parametrize("body", [b"", b"5\r\nhel", b"5\r\nhello\r\n", b"0\r\n", b"5\r\nhello\r\n0\r\n\r"])
def test_a_body_without_its_end_is_not_complete(body: bytes) -> None:
    request = read_request(CHUNKED + body)
    assert request is not None
    assert not request.complete


def test_a_request_ends_where_the_next_begins() -> None:
    octets = CHUNKED + b"5\r\nhello\r\n0\r\nX: v\r\n\r\n"
    request = read_request(octets + b"GET ")
    assert request is not None
    assert (request.complete, request.end, request.body) == (True, len(octets), b"hello")
    assert request.trailers == [(b"x", b"v")]


@pytest.mark.parametrize(("ended", "complete"), [(True, True), (False, False)])
def test_only_a_clean_end_completes_a_body_without_a_length(ended: bool, complete: bool) -> None:
    answer = read_answer(b"HTTP/1.1 200 OK\r\n\r\nhello", b"GET", ended=ended)
    assert answer is not None
    assert answer.complete == complete


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_a_secret_is_found_inside_base64_wherever_it_stands(before: str) -> None:
    assert leaks(base64.b64encode(f"{before}canary-5f0c:x".encode()), b"canary-5f0c")
    assert not leaks(b"nothing of the kind", b"canary-5f0c")


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("requests", {"colour": "red"}),
        ("requests", {"origin": {"colour": "red"}}),
        ("requests", {"recommend": "perhaps"}),
        ("requests", {"origin": {"requests": "some"}}),
        ("requests", {"origin": {"present": {"x": "{colour}"}}}),
        ("requests", {"origin": {"absent_octets": ["red octets"]}}),
        ("responses", {"colour": "red"}),
        ("responses", {"client_must_see": {"colour": "red"}}),
        ("responses", {"or": [{"colour": "red"}]}),
        ("responses", {"origin_then": "dance"}),
    ],
)
def test_what_the_runner_has_no_check_for_fails_it(
    section: str, change: dict[str, object], tmp_path: Path
) -> None:
    case = json.loads((cases.DATA / "http_cases.json").read_text(encoding="utf-8"))[section][0]
    (tmp_path / "cases.json").write_text(json.dumps({section: [{**case, **change}]}), encoding="utf-8")
    with pytest.raises(UnknownWord):
        cases.load("cases.json", section, tmp_path)
