"""Bytes of callers: read the same however they come, or refused."""

import gc
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import RequestRefused
from proxy.gateway.answer_head import AnswerEnd, answer_end
from proxy.gateway.fields import HeadRewriter
from proxy.gateway.request_head import MAX_LINE, RequestHead, heads, names, parse_head
from proxy.gateway.request_reader import (
    MAX_CHUNK_LINE,
    MAX_EMPTY_LINES,
    MAX_EXTENSIONS,
    MAX_FIELD,
    MAX_HEAD,
    MAX_STEPS,
    MAX_TRAILERS,
    RequestReader,
)
from tests.examples import some

Reading = tuple[list[tuple[RequestHead, bytes, bool]], tuple[str, int | None] | None]
GOOD = b"GET /good HTTP/1.1\r\nHost: localhost\r\n\r\n"


def cut(octets: bytes, step: int | None) -> Iterator[bytes]:
    """Bytes in pieces of that size, or in one piece. Of many, single bytes come near the limits only."""
    size = len(octets)
    places = set(range(0, size, step or size or 1))
    if step == 1 and size > 5000:
        places = set(range(0, size, 61))
        for limit in (MAX_CHUNK_LINE, MAX_TRAILERS, MAX_EXTENSIONS, MAX_LINE, MAX_FIELD, MAX_HEAD):
            places |= {at for at in range(limit - 20, limit + 180) if at < size}
    ends = sorted({*places, size})
    for begin, end in pairwise(ends):
        yield octets[begin:end]


def read(octets: bytes, step: int | None = None) -> Reading:
    """Messages as (head, body, whether it is whole), and what the rest was refused with."""
    reader = RequestReader()
    messages: list[tuple[RequestHead, bytes, bool]] = []
    try:
        for received in cut(octets, step):
            reader.feed(received)
            while True:
                if messages and not messages[-1][2]:
                    head, body, _ = messages[-1]
                    piece, ended = reader.body()
                    messages[-1] = head, body + piece, ended
                    if not ended:
                        break
                head_or_none = reader.head()
                if head_or_none is None:
                    break
                messages.append((head_or_none, b"", False))
    except RequestRefused as error:
        return messages, (error.code, error.status)
    return messages, None


def verdict(reading: Reading) -> tuple[list[tuple[RequestHead, bytes | None, bool]], bool]:
    """What must not depend on how the bytes came: of a body that is not whole, not how much was read."""
    messages, fault = reading
    return [(head, body if whole else None, whole) for head, body, whole in messages], fault is not None


def head(*lines: bytes, line: bytes = b"POST /p HTTP/1.1", host: bytes = b"Host: localhost") -> bytes:
    return b"\r\n".join((line, host, *lines, b"", b""))


CHUNKED = head(b"Transfer-Encoding: chunked")
GOOD_ONES = {
    "plain": (GOOD, [b""]),
    "two": (GOOD + GOOD, [b"", b""]),
    "an empty line before": (b"\r\n" + GOOD, [b""]),
    "four empty lines before": (b"\r\n" * 4 + GOOD + b"\r\n" * 4 + GOOD, [b"", b""]),
    "1.0": (head(line=b"GET / HTTP/1.0"), [b""]),
    "length": (head(b"Content-Length: 5") + b"hello" + GOOD, [b"hello", b""]),
    "32 digits of length": (head(b"Content-Length: " + b"5".rjust(32, b"0")) + b"hello", [b"hello"]),
    "an empty Host": (head(host=b"Host:"), [b""]),
    "32 letters of method": (head(line=b"A" * 32 + b" / HTTP/1.1"), [b""]),
    "32 digits of a chunk": (CHUNKED + b"5".rjust(32, b"0") + b"\r\nhello\r\n0\r\n\r\n", [b"hello"]),
    "white space in a chunk's line": (
        CHUNKED + b'1 \t;\ta = "b c"\r\nx\r\n1;a\t=\tb ;c\r\ny\r\n0;z\r\n\r\n',
        [b"xy"],
    ),
    "the longest chunk's line": (CHUNKED + b"1;" + b"x" * 4092 + b"\r\nx\r\n0\r\n\r\n", [b"x"]),
    "the most extensions": (
        CHUNKED + (b"1;" + b"x" * 1023 + b"\r\nx\r\n") * 16 + b"0\r\n\r\n",
        [b"x" * 16],
    ),
    "as many extensions in each body": (
        (CHUNKED + (b"1;" + b"x" * 1023 + b"\r\nx\r\n") * 16 + b"0\r\n\r\n") * 2,
        [b"x" * 16, b"x" * 16],
    ),
    "the largest trailers": (CHUNKED + b"0\r\nX: " + b"y" * 8185 + b"\r\n\r\n", [b""]),
    "any name": (head(b"!#$%&'*+-.^_`|~09AZaz: b"), [b""]),
    "https": (head(line=b"GET https://localhost/ HTTP/1.1"), [b""]),
    "a quotation mark in a target": (head(line=b'GET /"~ HTTP/1.1'), [b""]),
    "1.0 without a Host": (b"GET / HTTP/1.0\r\n\r\n", [b""]),
    "length 0": (head(b"Content-Length: 0") + GOOD, [b"", b""]),
    "leading zeros": (head(b"Content-Length: 005") + b"hello", [b"hello"]),
    "chunks": (
        CHUNKED + b'5\r\nhello\r\nA;x="y\\""\r\n0123456789\r\n000\r\n\r\n' + GOOD,
        [b"hello0123456789", b""],
    ),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\nA: b\r\nContent-Length: 3\r\n\r\n" + GOOD, [b"x", b""]),
    "trailers and an empty line": (CHUNKED + b"0\r\nA: b\r\n\r\n\r\n" + GOOD, [b"", b""]),
    "CHUNKED": (head(b"TRANSFER-ENCODING: Chunked") + b"0\r\n\r\n", [b""]),
    "any method": (head(line=b"mETHOD! /p HTTP/1.1"), [b""]),
    "obs-text": (head(b"X: \xff\x80 a\t"), [b""]),
    "empty value": (head(b"X:", b"Y: \t "), [b""]),
    "absolute": (head(line=b"GET HTTP://localhost:1?x HTTP/1.1"), [b""]),
    "asterisk": (head(line=b"OPTIONS * HTTP/1.1"), [b""]),
    "longest line": (head(line=b"GET /" + b"x" * (MAX_LINE - 14) + b" HTTP/1.1"), [b""]),
    "longest field": (head(b"X: " + b"y" * (MAX_FIELD - 3)), [b""]),
    "most fields": (head(*[b"X: y"] * 127), [b""]),
    "largest head": (
        head(*[b"X: " + b"y" * 16_000] * 4)[:-2].ljust(MAX_HEAD - 6, b"z").replace(b"\r\nz", b"\r\nZ:z")
        + b"\r\n\r\n",
        [b""],
    ),
}
BAD_ONES = {
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts, the first empty": (head(b"Host: localhost", host=b"Host:"), 400),
    "two lengths, the first 0": (head(b"Content-Length: 0", b"Content-Length: 5") + b"hello", 400),
    "length 0 and chunks": (head(b"Content-Length: 0", b"Transfer-Encoding: chunked"), 400),
    "33 digits of length": (head(b"Content-Length: " + b"5".rjust(33, b"0")) + b"hello", 400),
    "33 letters of method": (head(line=b"A" * 33 + b" / HTTP/1.1"), 400),
    "33 digits of a chunk": (CHUNKED + b"5".rjust(33, b"0") + b"\r\nhello\r\n0\r\n\r\n", 400),
    "DEL in a value": (head(b"X: \x7f"), 400),
    "slash in a name": (head(b"X/Y: a"), 400),
    "backslash in a string": (CHUNKED + b'1;a="\\"\r\nx\r\n0\r\n\r\n', 400),
    "mark in a string": (CHUNKED + b'1;a="b"c"\r\nx\r\n0\r\n\r\n', 400),
    "no host in a URL": (head(line=b"GET http:///p HTTP/1.1"), 400),
    "1.2": (head(line=b"GET / HTTP/1.2"), 505),
    "2.0 and a bare LF": (b"GET / HTTP/2.0\r\nHost: localhost\n\r\n\r\n", 400),
    "2.0 and a bare CR": (b"GET / HTTP/2.0\r\nHost: local\rhost\r\n\r\n", 400),
    "1.1 and two spaces": (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    "look-alike of chunks": (head(b"TRANSFER_encoding: chunked"), 400),
    "a chunk's line too long": (CHUNKED + b"1;" + b"x" * 4093 + b"\r\nx\r\n0\r\n\r\n", 400),
    "a byte of extensions too many": (
        CHUNKED + (b"1;" + b"x" * 1023 + b"\r\nx\r\n") * 15 + b"1;" + b"x" * 1024 + b"\r\nx\r\n0\r\n\r\n",
        400,
    ),
    "trailers too large": (CHUNKED + b"0\r\nX: " + b"y" * 8186 + b"\r\n\r\n", 431),
    "trailers too large, without an end": (CHUNKED + b"0\r\nX: " + b"y" * 8189, 431),
    "chunk's line without an end": (CHUNKED + b"1;" + b"x" * 4094, 400),
    "the largest head and a byte": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "
        + b"y" * 32_000
        + b"\r\nY: "
        + b"y" * 33_486
        + b"\r\n\r\n",
        431,
    ),
    "two hosts": (head(b"Host: localhost"), 400),
    "two spaces": (head(line=b"GET  / HTTP/1.1"), 400),
    "tab": (head(line=b"GET\t/ HTTP/1.1"), 400),
    "space in target": (head(line=b"GET /a b HTTP/1.1"), 400),
    "fragment": (head(line=b"GET /#a HTTP/1.1"), 400),
    "control in target": (head(line=b"GET /\x7f HTTP/1.1"), 400),
    "0.9": (b"GET /\r\n\r\n", 400),
    "2.0": (head(line=b"GET / HTTP/2.0"), 505),
    "small http": (head(line=b"GET / http/1.1"), 400),
    "rtsp": (head(line=b"GET / RTSP/1.0"), 400),
    "relative": (head(line=b"GET p HTTP/1.1"), 400),
    "userinfo": (head(line=b"GET http://me@localhost/ HTTP/1.1"), 400),
    "other scheme": (head(line=b"GET ftp://localhost/ HTTP/1.1"), 400),
    "asterisk": (head(line=b"GET * HTTP/1.1"), 400),
    "five empty lines": (b"\r\n" * 5 + GOOD, 400),
    "half an empty line": (b"\n" + GOOD, 400),
    "a CR before": (b"\r" + GOOD, 400),
    "LF ends": (GOOD.replace(b"\r\n", b"\n"), 400),
    "CR ends": (b"GET / HTTP/1.1\rHost: localhost\r\r", 400),
    "bare CR": (head(b"X: a\rb"), 400),
    "bare LF": (head(b"X: a\nY: b"), 400),
    "NUL": (head(b"X: a\x00b"), 400),
    "fold": (head(b"X: a", b" b"), 400),
    "space before colon": (head(b"X : a"), 400),
    "no colon": (head(b"X"), 400),
    "empty name": (head(b": a"), 400),
    "space before the first field": (b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n", 400),
    "two lengths": (head(b"Content-Length: 5", b"Content-Length: 5") + b"hello", 400),
    "list of lengths": (head(b"Content-Length: 5, 5") + b"hello", 400),
    "signed length": (head(b"Content-Length: +5") + b"hello", 400),
    "hex length": (head(b"Content-Length: 0x5") + b"hello", 400),
    "underscore length": (head(b"Content-Length: 1_0") + b"hello", 400),
    "other digits": (head("Content-Length: \u0665".encode()), 400),
    "empty length": (head(b"Content-Length:"), 400),
    "endless length": (head(b"Content-Length: " + b"9" * 5000), 400),
    "endless zeros": (head(b"Content-Length: " + b"0" * 5000), 400),
    "huge length": (head(b"Content-Length: 9223372036854775808"), 400),
    "length and chunks": (head(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
    "1.0 and chunks": (head(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0"), 400),
    "look-alike": (head(b"Content_Length: 5"), 400),
    "codings": (head(b"Transfer-Encoding: gzip, chunked"), 501),
    "identity": (head(b"Transfer-Encoding: identity"), 501),
    "twice chunked": (head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 501),
    "empty coding": (head(b"Transfer-Encoding:"), 501),
    "chunk 0x": (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", 400),
    "chunk +": (CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n", 400),
    "chunk space": (CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n", 400),
    "chunk LF": (CHUNKED + b"5\nhello\r\n0\r\n\r\n", 400),
    "chunk CR": (CHUNKED + b"5\rhello\r\n0\r\n\r\n", 400),
    "chunk spill": (CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n", 400),
    "chunk LF after": (CHUNKED + b"5\r\nhello\n0\r\n\r\n", 400),
    "chunk huge": (CHUNKED + b"8000000000000000\r\n", 400),
    "chunk endless": (CHUNKED + b"0" * 5000, 400),
    "chunk half a string": (CHUNKED + b'5;a="b\r\nhello\r\n0\r\n\r\n', 400),
    "chunk half a string, escaped": (CHUNKED + b'5;a="b\\"\r\nhello\r\n0\r\n\r\n', 400),
    "chunk bad extension": (CHUNKED + b"5;\x00\r\nhello\r\n0\r\n\r\n", 400),
    "too many extensions": (CHUNKED + (b"1;" + b"x" * 1000 + b"\r\nx\r\n") * 20, 400),
    "trailer without colon": (CHUNKED + b"0\r\nX\r\n\r\n", 400),
    "trailer LF": (CHUNKED + b"0\r\nX: a\n\r\n\r\n", 400),
    "trailers endless": (CHUNKED + b"0\r\n" + b"X: y\r\n" * 2000, 431),
    "line too long": (head(line=b"GET /" + b"x" * (MAX_LINE - 13) + b" HTTP/1.1"), 414),
    "line endless": (b"GET /" + b"x" * 70_000, 414),
    "field too long": (head(b"X: " + b"y" * (MAX_FIELD - 2)), 431),
    "field endless": (head()[:-2] + b"X: " + b"y" * 70_000, 431),
    "too many fields": (head(*[b"X: y"] * 128), 431),
    "head too large": (head(*[b"X: " + b"y" * 1000] * 70), 431),
}


def test_the_limits_are_these() -> None:
    limits = (MAX_CHUNK_LINE, MAX_TRAILERS, MAX_EXTENSIONS, MAX_LINE, MAX_FIELD, MAX_HEAD)
    assert limits == (4096, 8192, 16_384, 16_384, 32_768, 65_536)
    assert (MAX_EMPTY_LINES, MAX_STEPS) == (4, 1536)


STATUS = {"bad_request": 400, "head_too_large": 431, "unsupported": 501}


BEGINNINGS = {"first": b"", "after a head": GOOD, "after a body": head(b"Content-Length: 3") + b"abc"}
STEPS = (None, 1, 7)


@pytest.mark.parametrize("case", GOOD_ONES)
def test_good_requests_are_read_however_they_come(case: str) -> None:
    octets, bodies = GOOD_ONES[case]
    expected = read(octets)[0]
    for step in STEPS:
        messages, fault = read(octets, step)
        assert (step, fault) == (step, None)
        assert (step, [(body, whole) for _, body, whole in messages]) == (
            step,
            [(body, True) for body in bodies],
        )
        assert messages == expected, step


@pytest.mark.parametrize("case", BAD_ONES)
def test_bad_requests_are_refused_however_they_come(case: str) -> None:
    octets, status = BAD_ONES[case]
    for place, before in BEGINNINGS.items():
        for step in STEPS:
            messages, fault = read(before + octets, step)
            assert fault is not None, (place, step)
            assert (place, step, fault[1] or STATUS[fault[0]]) == (place, step, status)
            assert (place, step, sum(whole for _, _, whole in messages)) == (place, step, bool(before))


def test_a_head_says_what_was_sent() -> None:
    result = parse_head(
        b"PATCH /a%2F?b=//c HTTP/1.1\r\nHOST: Localhost:1\r\nX-A:  b \t\r\nConnection: Close, X-a\r\n"
        b"connection: keep-alive\r\nContent-Length: 07\r\nX-A: c\r\n\r\n"
    )
    assert result.method == b"PATCH"
    assert result.target == b"/a%2F?b=//c"
    assert result.host == b"Localhost:1"
    assert result.length == 7
    assert result.connection == (b"close", b"x-a", b"keep-alive")
    assert not result.keep_alive
    assert result.has_body
    assert result.plain == [b"X-A: b\r\n", b"X-A: c\r\n"]
    assert result.fields[1] == (b"X-A", b"b")
    assert (b"host", b"Localhost:1") in result.notable


@pytest.mark.parametrize(
    ("line", "target", "host"),
    [
        (b"GET http://Other:80 HTTP/1.1", b"/", b"Other:80"),
        (b"GET http://other?a=b HTTP/1.1", b"/?a=b", b"other"),
        (b"OPTIONS http://other HTTP/1.1", b"*", b"other"),
        (b"OPTIONS http://other/ HTTP/1.1", b"/", b"other"),
        (b"OPTIONS * HTTP/1.1", b"*", b"localhost"),
        (b"CONNECT other:443 HTTP/1.1", b"other:443", b"localhost"),
    ],
)
def test_a_target_of_another_form_names_what_is_meant(line: bytes, target: bytes, host: bytes) -> None:
    result = parse_head(head(line=line))
    assert (result.target, result.host) == (target, host)


KEPT = [
    ([], b"GET / HTTP/1.1", True),
    ([b"Connection: close"], b"GET / HTTP/1.1", False),
    ([b"Connection: x, CLOSE"], b"GET / HTTP/1.1", False),
    ([b"Connection: x,\tclose\t, y"], b"GET / HTTP/1.1", False),
    ([b"Connection: close", b"Connection: keep-alive"], b"GET / HTTP/1.1", False),
    ([b"Connection: keep-alive", b"Connection: close"], b"GET / HTTP/1.1", False),
    ([b"Connection: closed"], b"GET / HTTP/1.1", True),
    ([], b"GET / HTTP/1.0", False),
    ([b"Connection: x"], b"GET / HTTP/1.0", False),
    ([b"Connection: x, Keep-Alive"], b"GET / HTTP/1.0", True),
    ([b"Connection: keep-alive, close"], b"GET / HTTP/1.0", False),
    ([b"Connection: keep-alive"], b"CONNECT a:1 HTTP/1.0", False),
    ([], b"CONNECT a:1 HTTP/1.1", False),
    ([b"Content-Length: 0"], b"GET / HTTP/1.1", True),
    ([b"Content-Length: 10"], b"GET / HTTP/1.1", True),
    ([b"Content-Length: 00"], b"GET / HTTP/1.1", False),
    ([b"Content-Length: 010"], b"GET / HTTP/1.1", False),
]


@pytest.mark.parametrize(("lines", "line", "kept"), KEPT)
def test_whether_the_caller_is_served_again(lines: list[bytes], line: bytes, kept: bool) -> None:
    assert parse_head(head(*lines, line=line)).keep_alive is kept


LARGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("lines", "length", "chunked", "has_body"),
    [
        ([], None, False, False),
        ([b"Content-Length: 0"], 0, False, False),
        ([b"Content-Length: 1"], 1, False, True),
        ([b"Content-Length: %d" % LARGEST], LARGEST, False, True),
        ([b"Transfer-Encoding: CHUNKED"], None, True, True),
    ],
)
def test_how_much_of_a_body_is_to_come(
    lines: list[bytes], length: int | None, chunked: bool, has_body: bool
) -> None:
    result = parse_head(head(*lines))
    assert (result.length, result.chunked, result.has_body) == (length, chunked, has_body)


def test_a_value_has_no_white_space_around_it_and_keeps_what_is_inside() -> None:
    result = parse_head(head(b"A:b ", b"C: d\t", b"E:\t f g\t ", b"H: ", b"Via: i \t"))
    assert result.plain == [b"A: b\r\n", b"C: d\r\n", b"E: f g\r\n", b"H: \r\n"]
    assert result.notable == [(b"host", b"localhost"), (b"via", b"i")]


NOTABLE = (
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer upgrade"
    b" http2-settings expect max-forwards via authorization cookie x-proxy-token"
    b" origin sec-fetch-site sec-purpose purpose access-control-request-method"
).split()


@pytest.mark.parametrize("name", [b"Keep_Alive", b"X_Proxy_Token", b"PROXY_authorization", *NOTABLE])
def test_a_field_that_means_something_to_us_is_told_apart(name: bytes) -> None:
    for spelling in (name, name.upper(), name.title()):
        result = parse_head(head(spelling + b": x"))
        assert (spelling, result.plain) == (spelling, [])
        assert (spelling, result.notable[1]) == (spelling, (name.lower(), b"x"))


@pytest.mark.parametrize(
    "name", [b"X", b"Accept", b"Viaa", b"Proxy", b"X-Y_Z", b"Content-Type", b"Sec-Fetch-Mode"]
)
def test_a_field_that_means_nothing_to_us_is_not_looked_at(name: bytes) -> None:
    result = parse_head(head(name + b": x"))
    assert result.plain == [name + b": x\r\n"]


def test_the_names_that_are_remembered_have_a_limit() -> None:
    for number in range(5000):
        parse_head(head(b"N%d: x" % number))
    assert 0 < len(names.known) <= 4096
    parse_head(head(b"L" * 64 + b": x", b"L" * 65 + b": x"))
    assert (b"L" * 64 in names.known, b"L" * 65 in names.known) == (True, False)


@pytest.mark.parametrize(
    ("sizes", "padded"),
    [([b"1"], False), ([b"01"], True), ([b"01", b"1"], True), ([b"1", b"01"], True), ([b"1;a", b"01"], True)],
)
def test_leading_zeros_of_any_chunk_are_told_to_the_end(sizes: list[bytes], padded: bool) -> None:
    reader = RequestReader()
    reader.feed(CHUNKED + b"".join(size + b"\r\nx\r\n" for size in sizes) + b"0\r\n\r\n")
    reader.feed(head(b"Content-Length: 1") + b"x")
    for _ in range(2):
        assert reader.head() is not None
        assert reader.body()[1]
        assert reader.padded is padded


def test_the_last_chunk_may_not_have_leading_zeros_unnoticed() -> None:
    reader = RequestReader()
    reader.feed(CHUNKED + b"00\r\n\r\n")
    assert reader.head() is not None
    assert reader.body() == (b"", True)
    assert reader.padded


def test_after_many_chunks_others_have_their_turn() -> None:
    reader = RequestReader()
    reader.feed(CHUNKED + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n")
    assert reader.head() is not None
    assert (reader.body(), reader.interrupted) == ((b"x" * 512, False), True)
    assert (reader.body(), reader.interrupted) == ((b"x" * 488, True), False)


def test_what_waits_to_be_read_is_counted_and_messages_have_an_end() -> None:
    reader = RequestReader()
    assert (reader.buffered, reader.between_messages) == (0, True)
    octets = head(b"Content-Length: 2") + b"ab"
    reader.feed(octets[:20])
    assert reader.head() is None
    assert (reader.buffered, reader.between_messages) == (20, False)
    reader.feed(octets[20:-1])
    assert reader.head() is not None
    assert (reader.buffered, reader.between_messages) == (1, False)
    assert reader.body() == (b"a", False)
    assert (reader.buffered, reader.between_messages) == (0, False)
    reader.feed(octets[-1:] + b"GET")
    assert reader.body() == (b"b", True)
    assert (reader.buffered, reader.between_messages) == (3, False)


def test_a_broken_line_is_refused_before_the_head_is_whole() -> None:
    for octets in (
        b"GET / HTTP/1.1\r\nX: a\nY",
        b"GET / HTTP/1.1\r\nX: a\rY",
        b"GET / HTTP/1.1\n",
        b"GET / \rX",
    ):
        for step in STEPS:
            assert (octets, step, read(octets, step)[1]) == (octets, step, ("bad_request", None))


def test_a_broken_line_of_chunks_or_trailers_is_refused_before_its_end() -> None:
    for octets in (b"5;a\n", b"5;a\rb", b"0\r\nX: a\nY", b"0\r\nX: a\rY"):
        for step in STEPS:
            assert (octets, step, read(CHUNKED + octets, step)[1]) == (octets, step, ("bad_request", None))


# Pieces that, put together at random, are nearly requests.
PIECES = st.sampled_from(
    [
        *(
            b"GET / HTTP/1.1\r\n",
            b"POST /p HTTP/1.1\r\n",
            b"GET http://h/ HTTP/1.0\r\n",
            b"GET / HTTP/2.0\r\n",
        ),
        *(b"Host: localhost\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"X: y\r\n"),
        *(
            b"\r\n",
            b"\r\n\r\n",
            b"\r",
            b"\n",
            b" ",
            b"\t",
            b":",
            b";",
            b"0\r\n\r\n",
            b"3\r\nabc\r\n",
            b"abc",
            b"0",
            b"3",
        ),
        *(b"\x00", b"\xff", b"Content_Length: 1\r\n", b"T: x\r\n\r\n", GOOD, CHUNKED, b'ff;a="b"\r\n'),
    ]
)


@settings(max_examples=some(400), deadline=None)
@given(st.lists(PIECES, max_size=12).map(b"".join), st.integers(1, 9))
def test_any_octets_are_read_the_same_in_one_piece_and_in_many(octets: bytes, step: int) -> None:
    assert verdict(read(octets, step)) == verdict(read(octets))


@settings(max_examples=some(200), deadline=None)
@given(st.lists(PIECES, max_size=8).map(b"".join))
def test_a_good_request_before_changes_nothing(octets: bytes) -> None:
    messages, refused = verdict(read(GOOD + octets))
    alone, refused_alone = verdict(read(octets))
    if not octets.startswith((b"\r", b"\n")):
        assert (messages[1:], refused) == (alone, refused_alone)


@settings(max_examples=some(200), deadline=None)
@given(st.binary(max_size=200))
def test_no_octets_raise_anything_but_a_refusal(octets: bytes) -> None:
    read(octets)
    read(octets, 1)
    read(CHUNKED + octets, 3)


@settings(max_examples=some(50), deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.integers(1, 30))
def test_chunks_are_put_together_again(pieces: list[bytes], step: int) -> None:
    octets = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    messages, fault = read(octets + GOOD, step)
    assert fault is None
    assert [(body, whole) for _, body, whole in messages] == [(b"".join(pieces), True), (b"", True)]


class Counting(bytes):
    """Bytes that count how many of them are looked at, and how many are copied.

    Whatever is cut out of them or put together with them counts on.
    """

    looked_at = 0
    copied = 0

    def __add__(self, other: Any) -> "Counting":
        return self._copied(super().__add__(other))

    def __getitem__(self, key: Any) -> Any:
        got = super().__getitem__(key)
        return got if isinstance(got, int) else self._copied(got)

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        found = super().find(sub, start, end)
        last = len(self) if end is None else min(end, len(self))
        Counting.looked_at += (last if found < 0 else found) - start
        return found

    def rfind(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        found = super().rfind(sub, start, end)
        Counting.looked_at += len(self) - max(found, 0)
        return found

    def count(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        Counting.looked_at += len(self) - start
        return super().count(sub, start, end)

    def split(self, sep: Any = None, maxsplit: Any = -1) -> list[bytes]:
        Counting.looked_at += len(self)
        return super().split(sep, maxsplit)

    def __hash__(self) -> int:
        Counting.looked_at += len(self)
        return super().__hash__()

    def _copied(self, octets: bytes) -> "Counting":
        Counting.copied += len(octets)
        return Counting(octets)


def work(octets: bytes, step: int) -> tuple[float, float]:
    """How often each byte was looked at, and how often it was copied, when they came in such pieces."""
    Counting.looked_at = Counting.copied = 0
    reader, in_body = RequestReader(), False
    with suppress(RequestRefused):
        for at in range(0, len(octets), step):
            reader.feed(Counting(octets[at : at + step]))
            while True:
                if in_body:
                    in_body = not reader.body()[1]
                    if in_body and not reader.interrupted:
                        break
                elif (head := reader.head()) is not None:
                    in_body = head.has_body
                else:
                    break
    heads.known.clear()
    return Counting.looked_at / len(octets), Counting.copied / len(octets)


LONG = {
    "small chunks": CHUNKED + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n",
    "a large chunk": CHUNKED + b"%x\r\n" % 600_000 + b"x" * 600_000 + b"\r\n0\r\n\r\n",
    "large heads": head(*[b"X: " + b"y" * 400] * 120) * 10,
    "a head of broken fields": head(*[b"a" * 500] * 120),
    "a request line without an end": b"GET /" + b"x" * 60_000,
    "a field of spaces": head(b"X:" + b" " * 32_000),
    "a field of white space": head(b"X: " + b" \t" * 15_000 + b"x"),
    "trailers": CHUNKED + b"0\r\n" + b"X: y\r\n" * 1300,
    "many heads": GOOD * 5000,
}


@pytest.mark.parametrize("case", LONG)
def test_each_byte_is_looked_at_a_few_times_whatever_is_sent(case: str) -> None:
    looked_at, copied = work(LONG[case], 65_536)
    assert looked_at < 6
    assert copied < (1000 if case == "many heads" else 15)  # what is left of one read, head after head


@pytest.mark.parametrize(("case", "most"), [("large heads", 30), ("trailers", 300)])
def test_what_comes_in_small_pieces_is_not_read_from_its_beginning_each_time(case: str, most: int) -> None:
    looked_at, _ = work(LONG[case], 16)
    assert looked_at < most


ENDS = [
    (200, [], False, AnswerEnd("close", None)),
    (200, [(b"content-length", b"5")], False, AnswerEnd("length", 5)),
    (200, [(b"content-length", b"0")], False, AnswerEnd("length", 0)),
    (200, [(b"transfer-encoding", b"Chunked")], False, AnswerEnd("chunked", None)),
    (200, [(b"content-length", b"5")], True, AnswerEnd("none", 5)),
    (200, [(b"transfer-encoding", b"chunked")], True, AnswerEnd("none", None)),
    (204, [(b"content-length", b"5")], False, AnswerEnd("none", 5)),
    (304, [(b"content-length", b"5")], False, AnswerEnd("none", 5)),
    (304, [], False, AnswerEnd("none", None)),
    (200, [(b"content-length", b"5"), (b"content-length", b"5")], False, None),
    (200, [(b"content-length", b"5, 5")], False, None),
    (200, [(b"content-length", b"")], True, None),
    (200, [(b"content-length", b"9223372036854775808")], False, None),
    (200, [(b"content-length", b"9" * 5000)], False, None),
    (200, [(b"content-length", b"9223372036854775807")], False, AnswerEnd("length", 2**63 - 1)),
    (200, [(b"content-length", b"5".rjust(32, b"0"))], False, AnswerEnd("length", 5)),
    (200, [(b"content-length", b"5".rjust(33, b"0"))], False, None),
    (200, [(b"content-length", b"+5")], False, None),
    (200, [(b"content-length", b"0"), (b"transfer-encoding", b"chunked")], False, None),
    (204, [(b"transfer-encoding", b"chunked")], False, AnswerEnd("none", None)),
    (200, [(b"content-length", b"0" * 5000)], True, None),
    (200, [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")], False, None),
    (200, [(b"transfer-encoding", b"gzip, chunked")], False, None),
    (200, [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")], False, None),
    (200, [(b"transfer-encoding", b"identity")], False, None),
]


@pytest.mark.parametrize(("status", "fields", "to_head", "end"), ENDS)
def test_the_end_of_an_answer(
    status: int, fields: list[tuple[bytes, bytes]], to_head: bool, end: AnswerEnd | None
) -> None:
    assert answer_end(status, fields, to_head=to_head) == end


@given(
    st.integers(200, 999),
    st.lists(
        st.tuples(
            st.sampled_from([b"content-length", b"transfer-encoding", b"connection"]), st.binary(max_size=9)
        ),
        max_size=3,
    ),
    st.booleans(),
)
def test_an_answer_has_a_length_only_where_one_good_field_says_so(
    status: int, fields: list[tuple[bytes, bytes]], to_head: bool
) -> None:
    end = answer_end(status, fields, to_head=to_head)
    if end is not None and end.length is not None:
        assert [int(value) for name, value in fields if name == b"content-length"] == [end.length]
    if end is not None and (to_head or status in (204, 304)):
        assert end.kind == "none"


def test_a_head_that_came_before_is_what_it_was_and_a_bad_one_stays_refused() -> None:
    address = HeadRewriter(b"http://up", b"up", b"", b"me", injects=True)
    good = b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n"
    sent = []
    for _ in range(3):
        reader = RequestReader()
        reader.feed(good)
        head = reader.head()
        assert head == parse_head(good)
        sent.append(address.request_head(head, b"Authorization: Bearer t\r\n"))
        reader.feed(good.replace(b"localhost", b"local\x00host"))
        with pytest.raises(RequestRefused):
            reader.head()
    assert sent[0] == sent[1] == sent[2]
    assert b"X-Hop" not in sent[2]


def read_once(octets: bytes) -> RequestHead | None:
    reader = RequestReader()
    reader.feed(octets)
    return reader.head()


def test_a_head_that_came_before_is_not_read_again() -> None:
    octets = b"GET /again HTTP/1.1\r\nHost: localhost\r\n\r\n"
    long = b"GET /again HTTP/1.1\r\nHost: localhost\r\nX-Long: %b\r\n\r\n" % (b"x" * heads.longest)
    first = read_once(octets)
    assert first is not None
    assert read_once(octets) is first
    assert read_once(octets + octets) is first
    assert read_once(octets[:-1]) is None
    assert read_once(long) is not read_once(long)


def test_after_a_head_that_came_before_empty_lines_may_come_as_after_any_other() -> None:
    octets = b"GET /lines HTTP/1.1\r\nHost: localhost\r\n\r\n"
    reader = RequestReader()
    for _ in range(3):
        reader.feed(octets)
        assert reader.head() is not None
        reader.feed(b"\r\n" * MAX_EMPTY_LINES)
        assert reader.head() is None


def test_a_head_with_a_secret_of_the_caller_is_not_remembered() -> None:
    line = b"GET /secret HTTP/1.1\r\nHost: localhost\r\n%b: canary\r\n\r\n"
    sent = [line % name for name in (b"Authorization", b"cookie", b"X-Proxy-Token", b"Proxy-Authorization")]
    for octets in sent:
        assert read_once(octets) is not read_once(octets)
    gc.collect()
    kept = [each for each in gc.get_objects() if isinstance(each, dict) and not each.keys().isdisjoint(sent)]
    assert not kept


def test_heads_of_all_kinds_do_not_pile_up() -> None:
    reader = RequestReader()
    for number in range(1000):
        reader.feed(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number)
        head = reader.head()
        assert head is not None
        assert head.target == b"/%d" % number
    assert len(heads.known) <= 256
