"""Pure: reads the bytes that a caller sends, strictly and incrementally.

Limits hold across reads, for pieces of any size. An incomplete head is searched again with each piece, from
its last line on; MAX_LINE and MAX_FIELD bound that.
"""

import re
from collections.abc import Callable
from typing import Final, Protocol

from proxy.gateway.grammar import CHUNK_EXTENSION, FIELD_LINE
from proxy.gateway.request_head import (
    MAX_LENGTH,
    MAX_LINE,
    RequestHead,
    bad_request,
    has_broken_line,
    head_too_large,
    heads,
    is_padded,
    read_head,
)

MAX_FIELD: Final = 32 * 1024
MAX_HEAD: Final = 64 * 1024
MAX_EMPTY_LINES: Final = 4
MAX_CHUNK_LINE: Final = 4 * 1024
MAX_EXTENSIONS: Final = 16 * 1024  # bytes of them in a whole body; we drop them, so no caller needs more
MAX_TRAILERS: Final = 8 * 1024
MAX_STEPS: Final = 1536  # size, data and end of 512 chunks, the most in one turn of the event loop

_TRAILERS = re.compile(rb"(?:" + FIELD_LINE + rb")*+\r\n")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,32}+)((?:" + CHUNK_EXTENSION + rb")*)\r\n")


class _Body(Protocol):
    """Reads the body of one message out of the buffer.

    Attributes:
        ended: whether all of it has been read.
        interrupted: whether it stopped at MAX_STEPS.
        padded: whether a chunk's size had leading zeros.
    """

    ended: bool
    interrupted: bool
    padded: bool

    def read(self, buffer: bytes) -> tuple[bytes, bytes]:
        """Return the part of the body that has come, decoded, and the rest of the buffer."""
        ...


class Counted:
    """A body with a Content-Length (RFC 9112 section 6.2)."""

    __slots__ = ("_left", "ended", "interrupted", "padded")

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = False
        self.interrupted = False
        self.padded = False

    def read(self, buffer: bytes) -> tuple[bytes, bytes]:
        left = self._left
        if len(buffer) < left:
            self._left -= len(buffer)
            return buffer, b""
        self.ended = True
        return buffer[:left], buffer[left:]


class Chunked:
    """A body in chunks (RFC 9112 section 7.1).

    Extensions and trailers are read and dropped. RFC 9110 section 6.5.1 allows it for trailers, and so the
    upstream cannot merge them into the head.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_extensions",
        "_left",
        "_scanned",
        "_step",
        "ended",
        "interrupted",
        "padded",
    )

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0  # how far the buffer is read
        self._scanned = 0  # bytes of the trailers that are known to hold no end
        self._left = 0  # bytes left of the present chunk
        self._extensions = 0
        self._step: Callable[[Chunked], bytes | None] = Chunked._size  # unbound: no reference cycle
        self.ended = False
        self.interrupted = False
        self.padded = False

    def read(self, buffer: bytes) -> tuple[bytes, bytes]:
        self._buffer = buffer
        self._at = 0
        pieces: list[bytes] = []
        self.interrupted = False
        for _ in range(MAX_STEPS):
            piece = self._step(self)
            if piece is None:
                break
            if piece:
                pieces.append(piece)
            if self.ended:
                break
        else:
            self.interrupted = True
        self._buffer = b""
        return b"".join(pieces), buffer[self._at :]  # cut once a read, not once a chunk

    # Each step returns data of a chunk, `b""` if it has read something else, None if it needs more bytes.

    def _size(self) -> bytes | None:
        buffer, at = self._buffer, self._at
        end = buffer.find(b"\n", at, at + MAX_CHUNK_LINE) + 1
        if not end:
            if len(buffer) - at >= MAX_CHUNK_LINE:
                raise bad_request("A chunk's size line is too long.")
            if has_broken_line(buffer, at):
                raise bad_request("A chunk's size line does not end in CRLF.")
            return None
        match = _CHUNK_LINE.fullmatch(buffer, at, end)
        if match is None or (size := int(match[1], 16)) > MAX_LENGTH:
            raise bad_request("A chunk's size line is not valid.")
        self.padded = self.padded or is_padded(match[1])
        self._extensions += len(match[2])
        if self._extensions > MAX_EXTENSIONS:
            raise bad_request("The body has too many chunk extensions.")
        self._at = end
        self._left = size
        self._step = Chunked._data if size else Chunked._trailers
        return b""

    def _data(self) -> bytes | None:
        piece = self._buffer[self._at : self._at + self._left]
        self._at += len(piece)
        self._left -= len(piece)
        if not self._left:
            self._step = Chunked._data_end
        return piece or None

    def _data_end(self) -> bytes | None:
        following = self._buffer[self._at : self._at + 2]
        if following == b"\r\n":
            self._at += 2
            self._step = Chunked._size
            return b""
        if following in (b"", b"\r"):
            return None
        raise bad_request("A chunk of the body is not followed by CRLF.")

    def _trailers(self) -> bytes | None:
        buffer, at = self._buffer, self._at
        if buffer.startswith(b"\r\n", at):
            end = at + 2
        elif (end := buffer.find(b"\r\n\r\n", at, at + MAX_TRAILERS) + 4) == 3:  # not found
            if len(buffer) - at >= MAX_TRAILERS:
                raise head_too_large("The body's trailer section is too large.")
            if has_broken_line(buffer, max(at, self._scanned - 1)):
                raise bad_request("A line of the body's trailer section does not end in CRLF.")
            self._scanned = len(buffer) - at
            return None
        if not _TRAILERS.fullmatch(buffer, at, end):
            raise bad_request("The body's trailer section is not valid.")
        self._at = end
        self.ended = True
        return b""


class RequestReader:
    """Turns bytes into heads and pieces of bodies, one message at a time.

    Call `head()` until it returns one, then `body()` until it says that the body has ended, and so on. After
    a RequestRefused the reader cannot be used any more, because it is not known where the next message
    begins.

    Attributes:
        padded: whether the size of a chunk had leading zeros, so that the connection ends after this message.
        interrupted: whether `body` stopped at its limit, so that the buffer holds more of the body.
    """

    __slots__ = ("_body", "_buffer", "_empty_lines", "_scanned", "interrupted", "padded")

    def __init__(self) -> None:
        self._buffer = b""
        self._body: _Body | None = None  # None: a head is next
        self._scanned = 0  # bytes of the buffer that are known to hold no end of a head
        self._empty_lines = 0  # since the last message
        self.padded = False
        self.interrupted = False

    def feed(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data

    @property
    def buffered(self) -> int:
        """Bytes that wait to be read."""
        return len(self._buffer)

    @property
    def between_messages(self) -> bool:
        """Whether no byte of a next message has come yet."""
        return self._body is None and not self._buffer

    @property
    def unread(self) -> bytes:
        """Bytes that have come and have not been read."""
        return self._buffer

    def head(self) -> RequestHead | None:
        """Return the next head; None: it is not complete yet.

        Raises:
            RequestRefused: the bytes so far can never become a valid head.
        """
        buffer = self._buffer
        if len(buffer) <= heads.longest and (known := heads.known.get(buffer)) is not None:
            self._buffer = b""
            return self._begin(known)
        if buffer[:1] in b"\r\n" and not self._scanned:
            buffer = self._skip_empty_lines(buffer)
        if not buffer:
            return None
        end = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if end < 0:
            self._check_partial(buffer)
            self._scanned = len(buffer)
            return None
        end += 4
        if end > MAX_HEAD or (end > MAX_LINE and _longest_line(buffer[:end]) > MAX_FIELD):
            self._check_line(buffer)
            raise head_too_large("The request's fields are too large.")
        head = read_head(buffer if end == len(buffer) else buffer[:end])
        self._buffer = buffer[end:]
        return self._begin(head)

    def _begin(self, head: RequestHead) -> RequestHead:
        self._scanned = self._empty_lines = 0
        if head.has_body:
            self._body = Chunked() if head.chunked else Counted(head.length or 0)
        return head

    def body(self) -> tuple[bytes, bool]:
        """Return the part of the body that has come, decoded, and whether that was its end.

        Take at most MAX_STEPS at once, because chunks of one byte are expensive and other callers must not
        wait.

        Raises:
            RequestRefused: the chunks are not valid by RFC 9112 section 7.1.
        """
        body = self._body
        if body is None:
            return b"", True
        data, self._buffer = body.read(self._buffer)
        self.interrupted = body.interrupted
        self.padded = self.padded or body.padded
        if body.ended:
            self._body = None
        return data, body.ended

    def _skip_empty_lines(self, buffer: bytes) -> bytes:
        """Skip empty lines before a request (RFC 9112 section 2.2), but only so many of them."""
        rest = buffer
        while rest[:2] == b"\r\n" and self._empty_lines < MAX_EMPTY_LINES:
            rest = rest[2:]
            self._empty_lines += 1
        if rest[:2] == b"\r\n" or rest[:1] == b"\n" or (rest[:1] == b"\r" and len(rest) > 1):
            raise bad_request("The request begins with too many empty lines, or with half of one.")
        self._buffer = rest
        return b"" if rest == b"\r" else rest

    def _check_line(self, buffer: bytes) -> None:
        line_end = buffer.find(b"\r\n", 0, MAX_LINE + 2)
        if line_end < 0 and len(buffer) > MAX_LINE + 1:  # one byte may be the CR of its end
            raise head_too_large("The request line is too long.", 414)

    def _check_partial(self, buffer: bytes) -> None:
        if has_broken_line(buffer, max(0, self._scanned - 1)):
            raise bad_request("A line of the request's head does not end in CRLF.")
        self._check_line(buffer)
        if len(buffer) > MAX_HEAD or len(buffer) - buffer.rfind(b"\n") > MAX_FIELD + 2:
            raise head_too_large("The request's fields are too large.")


def _longest_line(head: bytes) -> int:
    return max(len(line) for line in head.split(b"\r\n"))
