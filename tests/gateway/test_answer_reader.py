"""Answers, read the same whole, byte by byte, and in halves."""

import gc

import pytest

from proxy.gateway.answer_head import AnswerEnd, AnswerFields
from proxy.gateway.answer_reader import MAX_ANSWER_HEAD, MAX_INTERIM, AnswerReader

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LONG_HEAD = OK + b"X: y\r\n" * (MAX_ANSWER_HEAD // 6 + 1)
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


class Told:
    """A sink and an owner that remember.

    Attributes:
        lines: what they were told, pieces of a body joined.
    """

    def __init__(self) -> None:
        self.lines: list[str | bytes] = []

    def interim(self, status: int, fields: AnswerFields) -> None:
        self.lines.append(f"interim {status}")

    def answer_begins(self, status: int, fields: AnswerFields, end: AnswerEnd) -> None:
        self.lines.append(f"{status} {end.kind}")

    def body(self, octets: bytes) -> None:
        last = self.lines[-1]
        if isinstance(last, bytes):
            self.lines[-1] = last + octets
        elif octets:
            self.lines.append(octets)

    def end(self) -> None:
        self.lines.append("end")


def read(octets: bytes, step: int, *, to_head: bool = False) -> tuple[list[str | bytes], str]:
    """What was told, and how it ended: kept, closed, open, or a fault."""
    told, reader = Told(), AnswerReader()
    reader.expect(told, told, to_head=to_head)
    for at in range(0, len(octets), step):
        rest = octets[at : at + step]
        if reader.complete:  # it would be the answer to no request, and ends the connection
            return told.lines, "closed"
        while rest and reader.fault is None:
            rest = reader.feed(rest)
    if reader.fault is not None and not reader.complete:
        return told.lines, str(reader.fault)
    if not reader.complete:
        return told.lines, "open"
    return told.lines, "kept" if reader.keep else "closed"


ANSWERS: dict[str, tuple[bytes, list[str | bytes], str]] = {
    "counted": (OK + b"Content-Length: 5\r\n\r\nhello", ["200 length", b"hello"], "kept"),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", ["200 length"], "kept"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", ["204 none"], "kept"),
    "more than counted": (OK + b"Content-Length: 2\r\n\r\nhello", ["200 length", b"he"], "closed"),
    "less than counted": (OK + b"Content-Length: 9\r\n\r\nhello", ["200 length", b"hello"], "open"),
    "chunks": (CHUNKED + b"2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n", ["200 chunked", b"hello", "end"], "kept"),
    "whole chunks": (CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", ["200 chunked", b"hello", "end"], "kept"),
    "no chunks": (CHUNKED + b"0\r\n\r\n", ["200 chunked", "end"], "kept"),
    "leading zeros": (CHUNKED + b"1\r\nx\r\n002\r\nyz\r\n0\r\n\r\n", ["200 chunked", b"xyz", "end"], "kept"),
    "more than chunks": (CHUNKED + b"1\r\nx\r\n0\r\n\r\nHTTP", ["200 chunked", b"x", "end"], "closed"),
    "another end of a chunk": (
        CHUNKED + b"1\r\nxZZ0\r\n\r\n",
        ["200 chunked", b"x"],
        "its answer is not valid HTTP/1.1.",
    ),
    "no end of a chunk": (
        CHUNKED + b"1\r\nx\r\n2\r\nyzz\r\n0\r\n\r\n",
        ["200 chunked", b"xyz"],
        "its answer is not valid HTTP/1.1.",
    ),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\nX: y\r\n\r\n", ["200 chunked", b"x", "end"], "kept"),
    "half a chunk": (CHUNKED + b"9\r\nhello", ["200 chunked", b"hello"], "open"),
    "no chunk": (
        CHUNKED + b"zz\r\n",
        ["200 chunked"],
        "its answer is not valid HTTP/1.1.",
    ),
    "to the end": (OK + b"\r\nhello", ["200 close", b"hello"], "open"),
    "early hints": (EARLY + OK + b"Content-Length: 1\r\n\r\nx", ["interim 103", "200 length", b"x"], "kept"),
    "too many": (
        EARLY * (MAX_INTERIM + 1),
        ["interim 103"] * MAX_INTERIM,
        "it sent too many interim answers.",
    ),
    "closes": (OK + b"Connection: close\r\nContent-Length: 1\r\n\r\nx", ["200 length", b"x"], "closed"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", ["200 length", b"x"], "closed"),
    "RTSP": (
        b"RTSP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        [],
        "its answer is not HTTP/1.1. Check the port in the URL.",
    ),
    "unclear": (
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        [],
        "its answer is not valid HTTP/1.1.",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_the_same_however_it_comes(name: str) -> None:
    octets, told, how = ANSWERS[name]
    for step in (len(octets), 1, 2, 7, len(octets) // 2 or 1):
        assert read(octets, step) == (told, how), step


def test_bytes_after_the_last_chunk_end_the_connection() -> None:
    reader, told = AnswerReader(), Told()
    reader.expect(told, told, to_head=False)
    reader.feed(CHUNKED + b"1\r\nx\r\n0\r\n\r\n")
    assert (reader.complete, reader.keep) == (True, True)
    reader.feed(b"HTTP")
    assert (reader.complete, reader.keep) == (True, False)


def answers(*pieces: tuple[bytes, bool]) -> list[list[str | bytes]]:
    """What one reader tells of several answers on one connection; `True`: to a HEAD request."""
    reader, told = AnswerReader(), []
    for octets, to_head in pieces:
        one = Told()
        reader.expect(one, one, to_head=to_head)
        reader.feed(octets)
        told.append([*one.lines, "whole" if reader.complete else "open", "kept" if reader.keep else "closed"])
    return told


def test_a_head_that_comes_again_is_read_the_same_and_its_answer_is_another_one() -> None:
    five = OK + b"Content-Length: 5\r\n\r\n"
    again = answers((five + b"hello", False), (five + b"world", False), (five, True), (five + b"hel", False))
    assert again == [
        ["200 length", b"hello", "whole", "kept"],
        ["200 length", b"world", "whole", "kept"],
        ["200 none", "whole", "kept"],
        ["200 length", b"hel", "open", "kept"],
    ]
    assert answers((five + b"hello", False), (five + b"hello!", False))[1][-1] == "closed"


def test_a_head_that_only_begins_like_the_last_one_is_read_for_itself() -> None:
    empty, longer = OK + b"Content-Length: 0\r\n\r\n", OK + b"Content-Length: 0\r\nX: y\r\n\r\n"
    chunked = CHUNKED + b"1\r\nx\r\n0\r\n\r\n"
    told = answers((empty, False), (longer, False), (chunked, False), (chunked, False), (empty + b"x", False))
    assert told == [
        ["200 length", "whole", "kept"],
        ["200 length", "whole", "kept"],
        ["200 chunked", b"x", "end", "whole", "kept"],
        ["200 chunked", b"x", "end", "whole", "kept"],
        ["200 length", "whole", "closed"],
    ]


def test_no_head_with_a_cookie_is_kept() -> None:
    reader, told = AnswerReader(), Told()
    plain, secret = (
        OK + b"Content-Length: 0\r\n\r\n",
        OK + b"Set-Cookie: a=k4n4ry\r\nContent-Length: 0\r\n\r\n",
    )
    for head in (plain, secret):
        reader.expect(told, told, to_head=False)
        reader.feed(head)
    assert not any(b"k4n4ry" in each for each in gc.get_referents(reader) if isinstance(each, bytes))


def test_a_head_that_does_not_end_is_refused() -> None:
    for step in (1000, len(LONG_HEAD)):
        assert read(LONG_HEAD, step)[1] != "open"


def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    for step in (1, 1000):
        assert read(OK + b"Content-Length: 5\r\n\r\n", step, to_head=True) == (["200 none"], "kept")
        assert read(OK + b"Content-Length: 5\r\n\r\nhello", step, to_head=True)[1] == "closed"


def test_a_connection_with_chunks_behind_an_answer_to_head_is_not_used_again() -> None:
    for head in (CHUNKED, CHUNKED.replace(b"OK", b"OK\x02")):  # llhttp reads the second one
        for step in (1, 1000):
            assert read(head, step, to_head=True) == (["200 none"], "kept")
            for body in (b"0", b"0\r\nhell", b"5", b"5\r\nhello\r\n0\r\n\r\n", b"\r\n"):
                assert read(head + body, step, to_head=True) == (["200 none"], "closed")


def test_the_end_of_the_connection_ends_an_answer_without_a_length_and_no_other() -> None:
    told, reader = Told(), AnswerReader()
    reader.expect(told, told, to_head=False)
    reader.feed(OK + b"\r\nhello")
    assert reader.feed_eof()
    assert (told.lines, reader.complete, reader.keep) == (["200 close", b"hello", "end"], True, False)
    reader.expect(told, told, to_head=False)
    reader.feed(OK + b"Content-Length: 9\r\n\r\nhello")
    assert not reader.feed_eof()


def test_very_small_chunks_are_left_for_a_later_turn() -> None:
    told, reader = Told(), AnswerReader()
    reader.expect(told, told, to_head=False)
    rest, turns = CHUNKED + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n", 0
    while rest:
        rest, turns = reader.feed(rest), turns + 1
    assert turns >= 7
    assert told.lines == ["200 chunked", b"x" * 20_000, "end"]
