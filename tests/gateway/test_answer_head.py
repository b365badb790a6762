"""The usual head of an answer: never taken for something that llhttp would not take it for."""

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.gateway import answer_head
from proxy.gateway.answer_head import AnswerEnd, AnswerFields, usual_head
from tests.examples import some


class Strict:
    """What llhttp reads of a head."""

    def __init__(self, octets: bytes) -> None:
        self.fields = AnswerFields()
        self.status = 0
        self.on_header = self.fields.add
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(octets)

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()


def head(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join((first, *lines))


UNUSUAL = {
    "nothing": b"",
    "no length": head(b"Server: a"),
    "two lengths": head(b"Content-Length: 1", b"Content-Length: 1"),
    "a signed length": head(b"Content-Length: +1"),
    "chunks and a length": head(b"Content-Length: 1", b"Transfer-Encoding: chunked"),
    "an upgrade": head(b"Content-Length: 0", b"Upgrade: h2c"),
    "an interim answer": head(first=b"HTTP/1.1 100 Continue"),
    "an interim answer with a length": head(b"Content-Length: 0", first=b"HTTP/1.1 103 Early Hints"),
    "101": head(first=b"HTTP/1.1 101 Switching Protocols"),
    "HTTP/1.0": head(b"Content-Length: 0", first=b"HTTP/1.0 200 OK"),
    "RTSP": head(b"Content-Length: 0", first=b"RTSP/1.0 200 OK"),
    "no reason, and no space before it": head(b"Content-Length: 0", first=b"HTTP/1.1 200"),
    "four digits": head(b"Content-Length: 0", first=b"HTTP/1.1 2000 OK"),
    "a folded line": head(b"A: b", b" c", b"Content-Length: 0"),
    "a bare LF": head(b"A: b\nTransfer-Encoding: chunked", b"Content-Length: 0"),
    "a bare CR": head(b"A: b\rc", b"Content-Length: 0"),
    "NUL": head(b"A: \x00", b"Content-Length: 0"),
    "no colon": head(b"A", b"Content-Length: 0"),
    "no name": head(b": a", b"Content-Length: 0"),
    "a space before the colon": head(b"Content-Length : 0"),
    "an empty line": head(b"Content-Length: 0", b"", b"A: b"),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_what_is_not_as_usual_is_left_to_llhttp(case: str) -> None:
    assert usual_head(UNUSUAL[case]) is None
    assert usual_head(UNUSUAL[case]) is None  # nor is it remembered


def test_chunks_are_as_usual() -> None:
    answer = usual_head(head(b"transfer-encoding: Chunked"))
    assert answer is not None
    assert answer.end == AnswerEnd("chunked", None)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_needs_no_length(status: int) -> None:
    answer = usual_head(head(first=b"HTTP/1.1 %d " % status))
    assert answer is not None
    assert (answer.status, answer.end) == (status, AnswerEnd("none", None))


@pytest.mark.parametrize("line", [b"Set-Cookie: SESSION=s3cr3t", b"X-CSRF-TOKEN: s3cr3t", b"X-Csrf: s3cr3t"])
def test_what_tells_a_session_is_not_remembered(line: bytes) -> None:
    octets = head(line, b"X-Other: y", b"Content-Length: 0")
    first, _, third = usual_head(octets), usual_head(octets), usual_head(octets)
    assert first is not None
    assert first is not third  # a head that appears once is not remembered anyway
    assert first.fields.cookies
    assert not any(b"s3cr3t" in key for key in (*answer_head.field_lines.known, *answer_head.heads.known))


def sorted_in(*fields: tuple[bytes, bytes]) -> AnswerFields:
    result = AnswerFields()
    for name, value in fields:
        result.add(name, value)
    return result


@pytest.mark.parametrize("name", [b"Date", b"date", b"DATE"])
def test_a_date_is_found_wherever_it_stands(name: bytes) -> None:
    date, other = (name, b"Mon, 01 Jan 2024 00:00:00 GMT"), (b"X-Date", b"x")
    for fields in ([date], [date, other], [other, date]):
        answer = usual_head(head(*(b": ".join(each) for each in fields), b"Content-Length: 0"))
        assert answer is not None
        assert (fields, answer.fields.undated) == (fields, False)
        assert (fields, sorted_in(*fields).undated) == (fields, False)
    for fields in ([other], []):
        answer = usual_head(head(*(b": ".join(each) for each in fields), b"Content-Length: 0"))
        assert answer is not None
        assert (fields, answer.fields.undated) == (fields, True)
        assert (fields, sorted_in(*fields).undated) == (fields, True)


def test_a_value_has_no_white_space_around_it() -> None:
    answer = usual_head(head(b"X:\ta \t", b"Location:  /b\t ", b"Content-Length: 0 "))
    assert answer is not None
    assert answer.fields.plain == [b"X: a\r\n"]
    assert answer.fields.notable == [(b"location", b"/b"), (b"content-length", b"0")]


def test_the_options_of_all_connection_fields_count() -> None:
    answer = usual_head(head(b"Connection: X, y", b"connection: Z", b"Content-Length: 0"))
    assert answer is not None
    assert answer.fields.options == (b"x", b"y", b"z")
    assert sorted_in((b"Connection", b"X, y"), (b"connection", b"Z")).options == (b"x", b"y", b"z")


def test_a_content_type_tells_of_a_session() -> None:
    fields = sorted_in((b"Content-Type", b"text/html"), (b"X", b"y"), (b"Set-Cookie", b"a=b"))
    assert fields.noted() == [(b"content-type", b"text/html"), (b"set-cookie", b"a=b")]


def test_of_an_interim_answer_nothing_stays() -> None:
    fields = sorted_in((b"Date", b"x"), (b"Set-Cookie", b"a=b"), (b"Connection", b"x"), (b"Location", b"/a"))
    assert (fields.cookies, fields.options, len(fields.plain), len(fields.notable)) == (True, (b"x",), 2, 2)
    fields.clear()
    assert (fields.cookies, fields.options, fields.plain, fields.notable) == (False, (), [], [])
    assert fields.undated


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    for number in range(3000):
        for _ in range(2):  # a head that appears once is not remembered
            assert usual_head(head(b"X-Id: %d" % number, b"Content-Length: 0")) is not None
    assert 0 < len(answer_head.field_lines.known) <= 1024
    assert 0 < len(answer_head.heads.known) <= 256
    for number in range(5000):
        usual_head(head(b"X-%d: a" % number, b"Content-Length: 0", first=b"HTTP/1.1 200 %d" % number))
    assert 0 < len(answer_head.names.known) <= 4096
    assert 0 < len(answer_head.statuses.known) <= 256
    long = head(*(b"X-%d: %s" % (number, b"x" * 200) for number in range(50)), b"Content-Length: 0")
    assert usual_head(long) is not None
    assert usual_head(long) is not None
    assert max(map(len, answer_head.field_lines.known)) <= 128
    assert max(map(len, answer_head.heads.known)) <= 1024


pieces = st.sampled_from(
    [
        *(b"Content-Length: 5", b"content-length:5 ", b"Content-Length: 05", b"Content-Length: 5, 5"),
        *(
            b"Transfer-Encoding: chunked",
            b"Connection: keep-alive",
            b"Connection: close, X-A",
            b"X-A:",
            b"X-A:\t b \t",
        ),
        *(
            b"Upgrade: x",
            b"Location: /a",
            b"Access-Control-Allow-Origin: *",
            b"X-\xe9: a",
            b"X: \xe9\xff",
            b" fold",
        ),
        *(
            b"Set-Cookie: a=b",
            b"WWW-Authenticate: Bearer",
            b"a\x00: b",
            b"a: \x7f",
            b"a : b",
            b"Trailer: x",
            b"",
        ),
    ]
)
first_lines = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 204 ",
        b"HTTP/1.1 404 a\x80",
        b"HTTP/1.1 999 x",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 2 0",
    ]
)


@settings(max_examples=some(300))
@given(first_lines, st.lists(pieces | st.binary(max_size=12), max_size=5))
def test_what_is_read_here_llhttp_reads_alike(first: bytes, lines: list[bytes]) -> None:
    octets = head(*lines, first=first)
    for _ in range(2):  # once judged, once remembered
        answer = usual_head(octets)
        if answer is not None:
            strict = Strict(octets + b"\r\n\r\n")
            assert strict.status == answer.status
            assert strict.fields.plain == answer.fields.plain
            assert strict.fields.notable == answer.fields.notable
            assert strict.fields.options == answer.fields.options
