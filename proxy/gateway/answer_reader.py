"""Reads an upstream's answer, in pieces of any size: its head, its body, and whether it can be trusted.

`answer_head.usual_head` reads almost all heads, and `_whole_chunks` almost all chunks. llhttp reads the
others; this module and `answer_head.answer_end` then judge what llhttp accepted. A body with a Content-Length
does not pass llhttp.
"""

import re
from typing import Final, Protocol

import httptools

from proxy.errors import UpstreamProtocol
from proxy.gateway.answer_head import (
    MAX_USUAL_HEAD,
    AnswerEnd,
    AnswerFields,
    UsualHead,
    answer_end,
    usual_head,
)
from proxy.outgoing.causes import UPSTREAM, Cause, cause

MAX_ANSWER_HEAD: Final = 256 * 1024
MAX_INTERIM: Final = 16
SLICE: Final = 16 * 1024
"""Most bytes that llhttp reads at once. In the smallest chunks they take about 4 ms."""

MAX_PIECES: Final = 512
"""Most pieces of a body in one read; the rest waits for the next turn of the event loop."""

MAX_KEPT_HEAD: Final = 1024
"""Bytes of the longest head that a connection keeps."""

_SIZE: Final = re.compile(rb"([1-9A-Fa-f][0-9A-Fa-f]{0,5})\r\n")
"""The common form of the line before a chunk: no extensions, no leading zeros (RFC 9112 section 7.1)."""

_LAST_CHUNK: Final = b"0\r\n\r\n"
_CHUNKS_FOLLOW: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Sink(Protocol):
    """The receiver of an answer."""

    def interim(self, status: int, fields: AnswerFields) -> None:
        """Take a 1xx answer."""
        ...

    def body(self, chunk: bytes) -> None: ...

    def end(self) -> None:
        """Take note that the body has ended, if its length was not known before."""
        ...


class Owner(Protocol):
    """The connection that an answer comes from."""

    def answer_begins(self, status: int, fields: AnswerFields, end: AnswerEnd) -> None:
        """Take note that the head of the final answer has been read."""
        ...


class AnswerReader:
    """Reads one answer after the other; call `expect` before each. httptools calls the `on_...` methods.

    Attributes:
        received: bytes of this answer, interim ones included.
        begun: whether the head of the final answer has been read.
        complete: whether the answer has been read to its end.
        keep: whether the connection can be used again, because the bytes were exactly one good answer.
        fault: why the answer cannot be trusted; None: it can, so far.
        pieces: number of pieces of the body in the last read.
    """

    __slots__ = (
        "_end",
        "_fields",
        "_http11",
        "_interim",
        "_last",
        "_left",
        "_missing",
        "_owner",
        "_parser",
        "_same",
        "_sink",
        "_to_head",
        "_whole",
        "begun",
        "complete",
        "fault",
        "keep",
        "pieces",
        "received",
    )

    def __init__(self) -> None:
        self._owner: Owner | None = None
        self._last = b""  # the last head with its empty line, and what it says
        self._same: UsualHead | None = None
        self._left = 0  # bytes left of a body with a Content-Length, after its head has been read
        self._whole = False  # only whole chunks were read so far, and none by llhttp
        self.received = 0
        self.begun = self.complete = False
        self.keep = False
        self.fault: UpstreamProtocol | None = None
        self.pieces = 0

    def expect(self, owner: Owner, sink: Sink, *, to_head: bool) -> None:
        """Prepare for the next answer.

        Args:
            owner: gets its head; `done` drops the owner, so that no reference cycle stays.
            sink: gets the answer.
            to_head: whether it answers a HEAD request.
        """
        self._owner = owner
        self._sink = sink
        self._to_head = to_head
        self._whole = False
        self.begun = self.complete = False
        self.received = 0

    def done(self) -> None:
        """Stop reading this answer."""
        self._owner = None

    def feed(self, data: bytes) -> bytes:
        """Read these bytes.

        Returns:
            Bytes to feed in a later turn of the event loop, because the body has very small chunks.
        """
        if self._left:
            self._counted(data)
            return b""
        if self._whole:
            self.received += len(data)
            return self._whole_chunks(data)
        if not self.received and (rest := self._usual(data)) is not None:
            return rest
        return self._parse(data)

    def feed_eof(self) -> bool:
        """Take note that the upstream sends no more; return whether that was the end of the body."""
        if not self.begun or self.complete or self._end.kind != "close":
            return False
        self.complete = True
        self.keep = False
        self._sink.end()
        return True

    def _usual(self, data: bytes) -> bytes | None:
        """Try the fast path on the first bytes of an answer. None: it read nothing, llhttp has to."""
        answer = self._same
        if answer is not None and data.startswith(self._last):  # to compare is cheaper than to search
            body_at = len(self._last)
        else:
            body_at = data.find(b"\r\n\r\n", 0, MAX_USUAL_HEAD) + 4
            answer = usual_head(data[: body_at - 4]) if body_at > 3 else None
            if answer is None:
                return None
            self._remember(data[:body_at], answer)
        status, fields, end = answer
        if self._to_head:
            end = AnswerEnd("none", end.length)
        self.received = len(data)
        self._http11 = True
        self._begin(status, fields, end)
        body = data[body_at:]
        if end.kind == "chunked":
            self._whole = True
            return self._whole_chunks(body)
        if len(body) == self._missing and not self.complete:
            self._sink.body(body)
            self.complete = True
        elif not self.complete:
            self._left = self._missing
            self._counted(body)
        elif body:  # although there must be none
            self.keep = False
        return b""

    def _whole_chunks(self, data: bytes) -> bytes:
        """Try the fast path on chunks, at the beginning of one; return as `feed`.

        It reads whole chunks of the common form, and the last chunk. Everything from the first other byte on
        is left to llhttp.
        """
        if self.complete:  # bytes after the answer
            self.keep = False
            return b""
        self.pieces = at = 0
        while self.pieces < MAX_PIECES and (size := _SIZE.match(data, at)) is not None:
            begin = size.end()
            end = begin + int(size[1], 16)
            if data[end : end + 2] != b"\r\n":
                break
            self.on_body(data[begin:end])
            at = end + 2
        rest = data[at:]
        if rest == _LAST_CHUNK:
            self.on_message_complete()
        elif rest:
            self._whole = False
            self._parser = httptools.HttpResponseParser(self)
            self._parser.feed_data(_CHUNKS_FOLLOW)
            self.received -= len(rest)  # `_parse` counts them
            pieces = self.pieces
            rest = self._parse(rest)
            self.pieces += pieces
            return rest
        return b""

    def _remember(self, head: bytes, answer: UsualHead) -> None:
        """Keep a head: until its Date changes, the next one is mostly the same. None with secrets is kept."""
        if answer.fields.cookies or len(head) > MAX_KEPT_HEAD:
            self._same = None
        else:
            self._last, self._same = head, answer

    def _parse(self, data: bytes) -> bytes:
        if not self.received:
            self._fields = AnswerFields()
            self._parser = httptools.HttpResponseParser(self)
            self._interim = 0
            self._http11 = data.startswith(b"HTTP/1.1 ")
            if not self._http11 and not b"HTTP/1.".startswith(data[:7]):
                why = _not_http(data)
                self.fault = UpstreamProtocol(f"{why.words}.", cause=why.name)  # llhttp accepts RTSP too
        self.received += len(data)
        self.pieces = 0
        rest = b""
        try:
            if self._to_head:
                self._parse_head(data)
            elif len(data) <= SLICE:
                self._parser.feed_data(data)
            else:
                rest = self._parse_fairly(data)
        except httptools.HttpParserUpgrade:
            self._broken("it switched protocols, although the request did not ask for that.")
        except httptools.HttpParserError:
            self._broken("its answer is not valid HTTP/1.1.")
        if not self.begun and self.received > MAX_ANSWER_HEAD:
            self._broken("the head of its answer is too large.")
        if self.begun and self._end.kind == "length":
            self._left = self._missing
        return rest

    def _parse_head(self, data: bytes) -> None:
        """Read byte by byte: llhttp would take the size of a first chunk that must not be there silently."""
        for at in range(len(data)):
            if self.complete:
                self.keep = False
                return
            self._parser.feed_data(data[at : at + 1])

    def _parse_fairly(self, data: bytes) -> bytes:
        """Read until there were many very small chunks; return the rest."""
        for at in range(0, len(data), SLICE):
            self._parser.feed_data(data[at : at + SLICE])
            if self.pieces > MAX_PIECES and (rest := data[at + SLICE :]):
                self.received -= len(rest)
                return rest
        return b""

    def _broken(self, message: str) -> None:
        self.keep = False
        if self.fault is None:
            self.fault = UpstreamProtocol(message, cause="not_http")

    def _counted(self, data: bytes) -> None:
        if len(data) > self._left:
            data = data[: self._left]
            self.keep = False
        self._left -= len(data)
        self._sink.body(data)
        if not self._left:
            self.complete = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.begun:  # no trailers
            self._fields.add(name, value)

    def on_message_begin(self) -> None:
        if self.complete:  # a second answer, without a request
            self.keep = False

    def on_headers_complete(self) -> None:
        if self.begun or self.fault is not None:
            return
        parser = self._parser
        status = parser.get_status_code()
        if not self._http11:
            version = parser.get_http_version()
            self._http11 = version == "1.1"
        if not (self._http11 or version == "1.0") or not 100 <= status <= 999 or status == 101:
            self._broken("the first line of its answer is not valid.")
        elif status < 200:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                self._broken("it sent too many interim answers.")
            else:
                self._sink.interim(status, self._fields)
                self._fields.clear()
                self._http11 = False
        else:
            end = answer_end(status, self._fields.notable, to_head=self._to_head)
            # Chunks in HTTP/1.0 are faulty framing (RFC 9112 section 6.1).
            if end is None or (end.kind == "chunked" and not self._http11):
                self._broken("it is not clear where its answer ends.")
            else:
                self._begin(status, self._fields, end)

    def _begin(self, status: int, fields: AnswerFields, end: AnswerEnd) -> None:
        self._end = end
        self.begun = True
        kind = end.kind
        self._missing = missing = end.length or 0
        self.complete = kind == "none" or (kind == "length" and not missing)
        self.keep = self._http11 and kind != "close" and b"close" not in fields.options
        if self._owner is not None:
            self._owner.answer_begins(status, fields, end)

    def on_body(self, chunk: bytes) -> None:
        if self.complete or not self.begun:  # a body, although there must be none
            self.keep = False
            return
        self.pieces += 1
        self._sink.body(chunk)
        if self._end.kind == "length":
            self._missing -= len(chunk)
            self.complete = not self._missing

    def on_message_complete(self) -> None:
        if self.begun and not self.complete:
            self._sink.end()
            self.complete = True


def _not_http(data: bytes) -> Cause:
    """Say what an answer that is not HTTP/1.1 looks like, by its first bytes."""
    if data[3:4] == b"\x04" and data[5:9] == bytes(4):  # a SETTINGS frame, RFC 9113 section 6.5
        return cause("http2", UPSTREAM)
    if data[:2] in (b"\x15\x03", b"\x16\x03"):  # a TLS record, RFC 8446 section 5.1
        return cause("plain_to_tls", UPSTREAM)
    return cause("not_http", UPSTREAM)
