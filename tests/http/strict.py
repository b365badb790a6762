"""The judge's own reader of HTTP/1.1, shared with nobody: what RFC 9112 does not let be sent is `Malformed`.

It is meant to be stricter than any server: what a lenient one might read differently must not pass here.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

Framing = Literal["none", "length", "chunked", "close"]

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_SEEN = rb"[\x21-\x7e\x80-\xff]"
_VALUE = rb"(?:%b(?:[\t\x20-\x7e\x80-\xff]*%b)?)?" % (_SEEN, _SEEN)
_REQUEST_LINE = re.compile(rb"(%b) ([\x21\x22\x24-\x7e]+) HTTP/1\.1" % _TOKEN)
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9]{2}) [\t\x20-\x7e\x80-\xff]*")
_FIELD = re.compile(rb"(%b):[ \t]*(%b)[ \t]*" % (_TOKEN, _VALUE))
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")


class Malformed(Exception):
    """Bytes that no well-formed message begins with."""


@dataclass(slots=True)
class Message:
    """A request or an answer.

    Attributes:
        fields: names in lower case, values without surrounding white space.
        body: decoded, as far as it came.
        framing: how its end is known.
        complete: whether it has ended.
        end: how many bytes it took.
    """

    fields: list[tuple[bytes, bytes]]
    framing: Framing = "none"
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    complete: bool = False
    end: int = 0

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]


@dataclass(slots=True)
class Request(Message):
    method: bytes = b""
    target: bytes = b""


@dataclass(slots=True)
class Answer(Message):
    """With the statuses of the interim answers before it."""

    status: int = 0
    interim: list[int] = field(default_factory=list)


def read_request(octets: bytes) -> Request | None:
    """The first request; None where not even its head is there.

    Raises:
        Malformed
    """
    head = _head(octets)
    if head is None:
        return None
    line, fields, at = head
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Malformed(f"request line {line[:80]!r}")
    request = Request(fields, method=match[1], target=match[2])
    if request.target[:1] != b"/" and (request.method, request.target) != (b"OPTIONS", b"*"):
        raise Malformed(f"target {request.target[:80]!r}")
    if len(request.all(b"host")) != 1:
        raise Malformed("not exactly one Host")
    length = _frame(request)
    _read_body(request, octets, at, length)
    return request


def read_answer(octets: bytes, method: bytes, *, ended: bool) -> Answer | None:
    """The first final answer; None where its head is not there.

    Args:
        bytes: from the connection.
        method: of the request.
        ended: whether the connection has ended, cleanly.

    Raises:
        Malformed
    """
    interim: list[int] = []
    start = 0
    while True:
        head = _head(octets[start:])
        if head is None:
            return None
        line, fields, size = head
        start += size
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise Malformed(f"status line {line[:80]!r}")
        status = int(match[1])
        if status >= 200:
            break
        if status == 101:
            raise Malformed("101: nobody asked for another protocol")
        interim.append(status)
    answer = Answer(fields, status=status, interim=interim)
    length = _frame(answer)
    if status == 204 and answer.framing != "none":
        raise Malformed("204 with Content-Length or Transfer-Encoding")
    if method == b"HEAD" or status in (204, 304):
        answer.framing = "none"
    elif answer.framing == "none":
        answer.framing = "close"
    _read_body(answer, octets, start, length)
    if answer.framing == "close":
        answer.complete = ended
    return answer


def _head(octets: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], int] | None:
    end = octets.find(b"\r\n\r\n")
    if end < 0:
        return None
    line, *lines = octets[:end].split(b"\r\n")
    return line, [_field(each) for each in lines], end + 4


def _field(line: bytes) -> tuple[bytes, bytes]:
    match = _FIELD.fullmatch(line)
    if match is None:
        raise Malformed(f"field line {line[:80]!r}")
    return match[1].lower(), match[2]


def _frame(message: Message) -> int:
    """Set how it ends; its Content-Length."""
    lengths, codings = message.all(b"content-length"), message.all(b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Malformed("more than one of Content-Length and Transfer-Encoding")
    if codings:
        if codings != [b"chunked"]:
            raise Malformed(f"Transfer-Encoding {codings[0][:80]!r}")
        message.framing = "chunked"
    elif lengths:
        if not re.fullmatch(rb"0|[1-9][0-9]{0,18}", lengths[0]):
            raise Malformed(f"Content-Length {lengths[0][:80]!r}")
        message.framing = "length"
        return int(lengths[0])
    return 0


def _read_body(message: Message, octets: bytes, at: int, length: int) -> None:
    if message.framing == "chunked":
        _read_chunks(message, octets, at)
        return
    if message.framing == "none":
        length = 0
    elif message.framing == "close":
        length = len(octets) - at
    message.body = octets[at : at + length]
    message.end = at + len(message.body)
    message.complete = len(message.body) == length


def _read_chunks(message: Message, octets: bytes, at: int) -> None:
    pieces: list[bytes] = []
    message.end = len(octets)
    while (end := octets.find(b"\r\n", at)) >= 0:
        line = octets[at:end]
        if not _SIZE.fullmatch(line):
            raise Malformed(f"chunk size {line[:80]!r}")
        size, at = int(line, 16), end + 2
        if not size:
            _read_trailers(message, octets, at)
            break
        pieces.append(octets[at : at + size])
        at += size
        if len(octets) < at + 2:
            break
        if octets[at : at + 2] != b"\r\n":
            raise Malformed("a chunk without CRLF behind it")
        at += 2
    else:
        if len(octets) - at > 18:
            raise Malformed(f"chunk size {octets[at : at + 80]!r}")
    message.body = b"".join(pieces)


def _read_trailers(message: Message, octets: bytes, at: int) -> None:
    while (end := octets.find(b"\r\n", at)) >= 0:
        if end == at:
            message.complete, message.end = True, at + 2
            return
        message.trailers.append(_field(octets[at:end]))
        at = end + 2
