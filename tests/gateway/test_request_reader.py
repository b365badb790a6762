"""Octets of callers: read the same however they come, or refused."""

import gc
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import RequestRefused
from proxy.gateway.answer_head import AnswerEnd, answer_end
from proxy.gateway.fields import HeadRewriter
from proxy.gateway.request_head import MAX_LINE, RequestHead, heads, parse_head
from proxy.gateway.request_reader import MAX_EMPTY_LINES, MAX_FIELD, MAX_HEAD, RequestReader

Reading = tuple[list[tuple[RequestHead, bytes, bool]], tuple[str, int | None] | None]
GOOD = b"GET /good HTTP/1.1\r\nHost: localhost\r\n\r\n"


def read(octets: bytes, step: int | None = None) -> Reading:
    """Messages as (head, body, whether it is whole), and what the rest was refused with."""
    reader = RequestReader()
    messages: list[tuple[RequestHead, bytes, bool]] = []
    step = step or len(octets) or 1
    try:
        for at in range(0, len(octets), step):
            reader.feed(octets[at : at + step])
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
    """What must not depend on how the octets came: of a body that is not whole, not how much was read."""
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
STATUS = {"bad_request": 400, "head_too_large": 431, "unsupported": 501}


@pytest.mark.parametrize("step", [None, 1, 7])
@pytest.mark.parametrize("case", GOOD_ONES)
def test_good_requests_are_read_however_they_come(case: str, step: int | None) -> None:
    octets, bodies = GOOD_ONES[case]
    messages, fault = read(octets, step)
    assert fault is None
    assert [(body, whole) for _, body, whole in messages] == [(body, True) for body in bodies]
    assert messages == read(octets)[0]


@pytest.mark.parametrize("before", [b"", GOOD, head(b"Content-Length: 3") + b"abc"])
@pytest.mark.parametrize("step", [None, 1, 7])
@pytest.mark.parametrize("case", BAD_ONES)
def test_bad_requests_are_refused_however_they_come(case: str, step: int | None, before: bytes) -> None:
    octets, status = BAD_ONES[case]
    messages, fault = read(before + octets, step)
    assert fault is not None
    assert (fault[1] or STATUS[fault[0]]) == status
    assert len([whole for _, _, whole in messages if whole]) == bool(before)


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


def test_an_absolute_target_names_the_host() -> None:
    result = parse_head(head(line=b"GET http://Other:80 HTTP/1.1"))
    assert (result.target, result.host) == (b"/", b"Other:80")


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


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=12).map(b"".join), st.integers(1, 9))
def test_any_octets_are_read_the_same_in_one_piece_and_in_many(octets: bytes, step: int) -> None:
    assert verdict(read(octets, step)) == verdict(read(octets))


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=8).map(b"".join))
def test_a_good_request_before_changes_nothing(octets: bytes) -> None:
    messages, refused = verdict(read(GOOD + octets))
    alone, refused_alone = verdict(read(octets))
    if not octets.startswith((b"\r", b"\n")):
        assert (messages[1:], refused) == (alone, refused_alone)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_octets_raise_anything_but_a_refusal(octets: bytes) -> None:
    read(octets)
    read(octets, 1)
    read(CHUNKED + octets, 3)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.integers(1, 30))
def test_chunks_are_put_together_again(pieces: list[bytes], step: int) -> None:
    octets = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    messages, fault = read(octets + GOOD, step)
    assert fault is None
    assert [(body, whole) for _, body, whole in messages] == [(b"".join(pieces), True), (b"", True)]


@pytest.mark.parametrize(
    "octets",
    [
        CHUNKED + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n",
        head(*[b"X: " + b"y" * 400] * 120) * 20,
        head(*[b"a" * 500] * 120),
        b"GET /" + b"x" * 60_000,
        head(b"X:" + b" " * 32_000),
        head(b"X: " + b" \t" * 15_000 + b"x"),
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 1300,
        GOOD * 5000,
    ],
)
def test_reading_takes_linear_time(octets: bytes) -> None:
    begun = time.process_time()
    read(octets, 65536)
    assert time.process_time() - begun < 2.0  # quadratic would be minutes


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


def test_after_a_head_that_came_before_as_many_empty_lines_may_come_as_after_any_message() -> None:
    octets = b"GET /lines HTTP/1.1\r\nHost: localhost\r\n\r\n"
    reader = RequestReader()
    for _ in range(3):
        reader.feed(octets)
        assert reader.head() is not None
        reader.feed(b"\r\n" * MAX_EMPTY_LINES)
        assert reader.head() is None


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-Proxy-Token", "Proxy-Authorization"])
def test_a_head_with_a_secret_of_the_caller_is_not_remembered(name: str) -> None:
    octets = f"GET /secret HTTP/1.1\r\nHost: localhost\r\n{name}: canary-{name}\r\n\r\n".encode()
    assert read_once(octets) is not read_once(octets)
    gc.collect()
    kept = [each for each in gc.get_objects() if type(each) is dict and octets in each]
    assert not kept


def test_heads_of_all_kinds_do_not_pile_up() -> None:
    reader = RequestReader()
    for number in range(1000):
        reader.feed(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number)
        head = reader.head()
        assert head is not None
        assert head.target == b"/%d" % number
    assert len(heads) <= 256
