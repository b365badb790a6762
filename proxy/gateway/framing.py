"""Pure: a strict, incremental reader of the octets a caller sends, and the judge of how an answer ends.

What is ambiguous is refused, never repaired: whoever stands behind us might read it differently (request
smuggling, RFC 9112 section 11.2). Every check works on octets; limits hold across reads and cost linear time.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from proxy.errors import RequestRefused

Field = tuple[bytes, bytes]

MAX_LINE: Final = 16 * 1024  # octets of a request line; RFC 9112 section 3 wants at least 8000
MAX_FIELD: Final = 32 * 1024
MAX_HEAD: Final = 64 * 1024
MAX_FIELDS: Final = 128
MAX_EMPTY_LINES: Final = 4
MAX_CHUNK_LINE: Final = 4 * 1024
MAX_EXTENSIONS: Final = 16 * 1024  # of a whole body: they are dropped, so nobody needs more
MAX_TRAILERS: Final = 8 * 1024
MAX_STEPS: Final = 1536  # size, data and end of 512 chunks: what is read in one turn of the event loop
MAX_LENGTH: Final = 2**63 - 1
MAX_DIGITS: Final = 32

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]"
_REQUEST_LINE = rb"(" + _TOKEN + rb"{1,32}+) ([\x21\x22\x24-\x7e]++) HTTP/1\.([01])\r\n"  # no `#` in a target
_FIELD_LINE = _TOKEN + rb"++:" + _TEXT + rb"*+\r\n"
_HEAD = re.compile(_REQUEST_LINE + rb"((?:" + _FIELD_LINE + rb")*+)\r\n")
_FIELD = re.compile(rb"(" + _TOKEN + rb"++):[ \t]*+(" + _TEXT + rb"*+)\r\n")
_TRAILERS = re.compile(rb"(?:" + _FIELD_LINE + rb")*+\r\n")
_OTHER_VERSION = re.compile(rb"[^ \r\n]++ [^ \r\n]++ HTTP/(?!1\.[01]\r)[0-9]\.[0-9]\r\n")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*+)(.*+)")
# No possessive quantifier on a group with alternatives: Python 3.11.2 (Debian 12) matches such a group
# wrongly. The alternatives exclude each other, so that matching takes linear time without.
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
_VALUE = rb"[ \t]*+=[ \t]*+(?:" + _TOKEN + rb"++|" + _QUOTED + rb")"
_EXTENSION = rb"[ \t]*+;[ \t]*+" + _TOKEN + rb"++(?:" + _VALUE + rb")?"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,32}+)((?:" + _EXTENSION + rb")*)\r\n")

HOP_BY_HOP: Final = frozenset(
    # RFC 9110 section 7.6.1, and what older software treats alike
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization"
    b" te trailer transfer-encoding upgrade http2-settings".split()
)
# What means something to us, or must not pass as it is. Everything else is passed on unread.
_NOTABLE: Final = HOP_BY_HOP | {
    *b"host content-length expect max-forwards via authorization cookie x-proxy-token".split(),
    *b"origin sec-fetch-site sec-purpose purpose access-control-request-method".split(),
}
_FRAMING_LOOKALIKES: Final = frozenset((b"content_length", b"transfer_encoding"))
_LOOKALIKES: Final = frozenset(name.replace(b"-", b"_") for name in _NOTABLE if b"-" in name)

# Judged once per spelling: b"" for a field that is passed on unread, else its name in lower case.
_judged: dict[bytes, bytes] = {}


def notable(name: bytes) -> bytes:
    """The name in lower case if it means something to an intermediary, else `b""`."""
    lower = name.lower()
    verdict = lower if lower in _NOTABLE or lower in _LOOKALIKES else b""
    if len(_judged) < 4096 and len(name) <= 64:
        _judged[name] = verdict
    return verdict


@lru_cache(maxsize=64)
def connection_options(value: bytes) -> tuple[bytes, ...]:
    """Options of a Connection field, in lower case."""
    return tuple([option.strip(b" \t").lower() for option in value.split(b",")])


@dataclass(slots=True)
class RequestHead:
    """A request line and its fields, all octets as they came. Never changed: requests may share it.

    Attributes:
        method: as sent; methods are case-sensitive.
        target: origin-form, or `*`. An absolute-form target has become origin-form.
        minor: 0 or 1, of HTTP/1.
        fields: every field in order, values without surrounding white space.
        plain: those that mean nothing to an intermediary, in lines ready to be sent on.
        notable: the others, names in lower case.
        host: value of Host, or the authority of an absolute-form target.
        length: Content-Length; None where there was none.
        chunked: whether the body is sent in chunks.
        connection: options of Connection, in lower case.
        keep_alive: whether the caller wants another request on this connection.
        has_body: whether octets of a body are to come; a Content-Length of 0 brings none.
        ready: what was last made of it to be sent on, by whom, and whether under a session: for requests
            that share it.
    """

    method: bytes
    target: bytes = field(repr=False)
    minor: int
    fields: list[Field] = field(repr=False)
    plain: list[bytes] = field(repr=False)
    notable: list[Field] = field(repr=False)
    host: bytes
    length: int | None
    chunked: bool
    connection: tuple[bytes, ...]
    keep_alive: bool
    has_body: bool = field(init=False)
    ready: tuple[bytes, object, bool] = field(
        default=(b"", None, False), init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        self.has_body = self.chunked or bool(self.length)


def _bad(detail: str, status: int | None = None) -> RequestRefused:
    return RequestRefused("bad_request", detail, status=status)


def _too_large(detail: str, status: int | None = None) -> RequestRefused:
    return RequestRefused("head_too_large", detail, status=status)


def parse_head(octets: bytes) -> RequestHead:
    """Read a whole head, its empty line included.

    Raises:
        RequestRefused: `bad_request`, `head_too_large` or `unsupported`.
    """
    match = _HEAD.fullmatch(octets)
    if match is None:
        raise _diagnosis(octets)
    method, target, minor, block = match.groups()
    if len(method) + len(target) + len("  HTTP/1.1") > MAX_LINE:
        raise _too_large("The request line is too long.", 414)
    fields: list[Field] = []
    plain: list[bytes] = []
    noted: list[Field] = []
    for name, value in _FIELD.findall(block):
        if value and value[-1] <= 32:
            value = value.rstrip(b" \t")
        lower = _judged.get(name)
        if lower is None:
            lower = notable(name)
        if lower:
            noted.append((lower, value))
        else:
            plain.append(b"%b: %b\r\n" % (name, value))
        fields.append((name, value))
    if len(fields) > MAX_FIELDS:
        raise _too_large("The request has too many fields.")
    return _judge(method, target, int(minor), fields, plain, noted)


# Tools send the same head again and again, and reading one is a fifth of a request's cost. A head with a
# secret of the caller's is not kept: the process would hold it long after the request.
_heads: dict[bytes, RequestHead] = {}
MAX_HEADS_KEPT: Final = 256
MAX_HEAD_KEPT: Final = 1024
_SECRET: Final = frozenset(b"authorization cookie x-proxy-token proxy-authorization".split())


def _read_before(octets: bytes) -> RequestHead:
    """As `parse_head`; the same octets need not be read twice."""
    head = _heads.get(octets)
    if head is None:
        head = parse_head(octets)
        if len(octets) <= MAX_HEAD_KEPT and not any(name in _SECRET for name, _ in head.notable):
            if len(_heads) >= MAX_HEADS_KEPT:
                _heads.clear()
            _heads[octets] = head
    return head


def _judge(
    method: bytes, target: bytes, minor: int, fields: list[Field], plain: list[bytes], noted: list[Field]
) -> RequestHead:
    host: bytes | None = None
    length: int | None = None
    padded = False
    codings: list[bytes] = []
    connection: tuple[bytes, ...] = ()
    for name, value in noted:
        if name == b"host":
            if host is not None:
                raise _bad("The request has more than one Host field.")
            host = value
        elif name == b"content-length":
            if length is not None:
                raise _bad("The request has more than one Content-Length field.")
            length = _length(value)
            padded = _padded(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"connection":
            connection += connection_options(value)
        elif name in _FRAMING_LOOKALIKES:
            raise _bad("The request has a field whose name could be taken for one that frames its body.")
    if host is None:
        raise _bad("The request has no Host field.")
    if codings:
        _check_codings(codings, minor, length)
    if target[0] != 47:  # "/"
        target, host = _other_form(method, target, host)
    # What follows CONNECT was meant for a tunnel (RFC 9110 section 9.3.6): it is no request.
    keep_alive = minor == 1 and b"close" not in connection and method != b"CONNECT" and not padded
    return RequestHead(
        method, target, minor, fields, plain, noted, host, length, bool(codings), connection, keep_alive
    )


def _length(value: bytes) -> int:
    """RFC 9110 section 8.6: 1*DIGIT. int() alone would take signs and underscores; of octets, isdigit()
    takes ASCII digits only."""
    if not value.isdigit() or len(value) > MAX_DIGITS or (length := int(value)) > MAX_LENGTH:
        raise _bad("The Content-Length field is not a number that can be.")
    return length


def _padded(number: bytes) -> bool:
    """Whether it has leading zeros: right, and yet nobody sends it; such a caller is served once."""
    return number[0] == 48 and len(number) > 1


def _check_codings(codings: list[bytes], minor: int, length: int | None) -> None:
    if length is not None:
        raise _bad("The request has both Content-Length and Transfer-Encoding.")
    if minor == 0:
        raise _bad("The request is HTTP/1.0 and has a Transfer-Encoding field.")
    if len(codings) > 1 or codings[0].lower() != b"chunked":
        raise RequestRefused("unsupported", "Transfer-Encoding may only be `chunked` here.", status=501)


def _other_form(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """A target that is not origin-form (RFC 9112 section 3.2) as the target to send on and the host meant."""
    if method == b"CONNECT":
        return target, host
    if target == b"*" and method == b"OPTIONS":
        return target, host
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not absolute[1] or b"@" in absolute[1]:
        raise _bad("The request's target is neither a path nor an http URL.")
    path = absolute[2]
    if not path and method == b"OPTIONS":
        return b"*", absolute[1]  # RFC 9112 section 3.2.4: what an empty path means there
    return path if path[:1] == b"/" else b"/" + path, absolute[1]


def _diagnosis(octets: bytes) -> RequestRefused:
    """Why a head that is not one is refused."""
    if _OTHER_VERSION.match(octets) and not _has_broken_line(octets):
        return RequestRefused("unsupported", "Only HTTP/1.1 and HTTP/1.0 are spoken here.", status=505)
    return _bad("The request's head is not valid HTTP/1.1.")


def _has_broken_line(octets: bytes, start: int = 0) -> bool:
    """Whether a line ends in anything but CRLF: a CR or LF stands alone. A CR at the end may get its LF yet.

    Counting is some fifty times faster than a pattern, and a caller decides how much there is to look at.
    """
    if start and octets[start - 1 : start + 1] == b"\r\n":
        start -= 1
    pairs = octets.count(b"\r\n", start)
    returns = octets.count(b"\r", start) - octets.endswith(b"\r", start)
    return octets.count(b"\n", start) != pairs or returns != pairs


class RequestReader:
    """Octets in; heads and pieces of bodies out, a message at a time.

    `head()` until it returns one; then `body()` until it says that the body has ended; and again.
    After a RequestRefused the reader is of no more use: what follows cannot be told apart.

    Attributes:
        padded: whether the size of a chunk had leading zeros: the connection ends with this message.
        interrupted: whether `body` stopped at its limit, so that there is more to read in the buffer.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_empty_lines",
        "_extensions",
        "_left",
        "_scanned",
        "_state",
        "interrupted",
        "padded",
    )

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0  # how far the chunks in the buffer are read
        self._scanned = 0  # how far it is known to hold no end of a head
        self._state = "head"  # or length, size, data, data-end, trailers
        self._left = 0
        self._extensions = 0
        self._empty_lines = 0  # since the last message
        self.padded = False
        self.interrupted = False

    def feed(self, octets: bytes) -> None:
        self._buffer = self._buffer + octets if self._buffer else octets

    @property
    def buffered(self) -> int:
        """Octets that wait to be read."""
        return len(self._buffer)

    @property
    def between_messages(self) -> bool:
        """Whether nothing of a next message has come yet."""
        return self._state == "head" and not self._buffer

    def head(self) -> RequestHead | None:
        """The next head; None while it is not whole.

        Raises:
            RequestRefused: the octets so far can never become a good head.
        """
        buffer = self._buffer
        if len(buffer) <= MAX_HEAD_KEPT and (known := _heads.get(buffer)) is not None:
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
            raise _too_large("The request's fields are too large.")
        head = _read_before(buffer if end == len(buffer) else buffer[:end])
        self._buffer = buffer[end:]
        return self._begin(head)

    def _begin(self, head: RequestHead) -> RequestHead:
        self._scanned = self._empty_lines = 0
        if head.chunked:
            self._state = "size"
            self._extensions = 0
        elif head.length:
            self._state = "length"
            self._left = head.length
        return head

    def _skip_empty_lines(self, buffer: bytes) -> bytes:
        """RFC 9112 section 2.2: ignore an empty line before a request; only so many of them."""
        rest = buffer
        while rest[:2] == b"\r\n" and self._empty_lines < MAX_EMPTY_LINES:
            rest = rest[2:]
            self._empty_lines += 1
        if rest[:2] == b"\r\n" or rest[:1] == b"\n" or (rest[:1] == b"\r" and len(rest) > 1):
            raise _bad("The request begins with too many empty lines, or with half of one.")
        self._buffer = rest
        return b"" if rest == b"\r" else rest

    def _check_line(self, buffer: bytes) -> None:
        line_end = buffer.find(b"\r\n", 0, MAX_LINE + 2)
        if line_end < 0 and len(buffer) > MAX_LINE + 1:  # one octet may be the CR of its end
            raise _too_large("The request line is too long.", 414)

    def _check_partial(self, buffer: bytes) -> None:
        if _has_broken_line(buffer, max(0, self._scanned - 1)):
            raise _bad("A line of the request's head does not end in CRLF.")
        self._check_line(buffer)
        if len(buffer) > MAX_HEAD or len(buffer) - buffer.rfind(b"\n") > MAX_FIELD + 2:
            raise _too_large("The request's fields are too large.")

    def body(self) -> tuple[bytes, bool]:
        """What has come of the body, decoded, and whether that was its end.

        At most `MAX_STEPS` at once: chunks of one byte are dear, and others have to get their turn.

        Raises:
            RequestRefused: the chunks are not what RFC 9112 section 7.1 asks for.
        """
        if self._state == "length":
            return self._counted_body()
        if self._state == "head":
            return b"", True
        pieces: list[bytes] = []
        self.interrupted = False
        for _ in range(MAX_STEPS):
            if self._state == "head" or (piece := self._chunk_step()) is None:
                break
            if piece:
                pieces.append(piece)
        else:
            self.interrupted = self._state != "head"
        self._buffer = self._buffer[self._at :]  # once a read, not once a chunk
        self._at = 0
        return b"".join(pieces), self._state == "head"

    def _counted_body(self) -> tuple[bytes, bool]:
        buffer = self._buffer
        if len(buffer) > self._left:
            piece, self._buffer = buffer[: self._left], buffer[self._left :]
        else:
            piece, self._buffer = buffer, b""
        self._left -= len(piece)
        if not self._left:
            self._state = "head"
        return piece, not self._left

    def _chunk_step(self) -> bytes | None:
        """Data of a chunk, `b""` for anything else that was read, None where more must come."""
        if self._state == "data":
            return self._chunk_data()
        if self._state == "size":
            return self._chunk_size()
        if self._state == "trailers":
            return self._trailers()
        following = self._buffer[self._at : self._at + 2]
        if following == b"\r\n":
            self._at += 2
            self._state = "size"
            return b""
        if following in (b"", b"\r"):
            return None
        raise _bad("A chunk of the body is not followed by CRLF.")

    def _chunk_data(self) -> bytes | None:
        piece = self._buffer[self._at : self._at + self._left]
        self._at += len(piece)
        self._left -= len(piece)
        if not self._left:
            self._state = "data-end"
        return piece or None

    def _chunk_size(self) -> bytes | None:
        buffer, at = self._buffer, self._at
        end = buffer.find(b"\n", at, at + MAX_CHUNK_LINE) + 1
        if not end:
            if len(buffer) - at >= MAX_CHUNK_LINE:
                raise _bad("A chunk's size line is too long.")
            if _has_broken_line(buffer, at):
                raise _bad("A chunk's size line does not end in CRLF.")
            return None
        match = _CHUNK_LINE.fullmatch(buffer, at, end)
        if match is None or (size := int(match[1], 16)) > MAX_LENGTH:
            raise _bad("A chunk's size line is not valid.")
        self.padded = self.padded or _padded(match[1])
        self._extensions += len(match[2])
        if self._extensions > MAX_EXTENSIONS:
            raise _bad("The body has too many chunk extensions.")
        self._at = end
        self._left = size
        self._state = "data" if size else "trailers"
        return b""

    def _trailers(self) -> bytes | None:
        """Read and dropped: RFC 9110 section 6.5.1 allows it, and nobody can merge what never arrives."""
        buffer, at = self._buffer, self._at
        if buffer.startswith(b"\r\n", at):
            end = at + 2
        elif (end := buffer.find(b"\r\n\r\n", at, at + MAX_TRAILERS) + 4) == 3:  # not found
            if len(buffer) - at >= MAX_TRAILERS:
                raise _too_large("The body's trailer section is too large.")
            if _has_broken_line(buffer, max(at, self._scanned - 1)):
                raise _bad("A line of the body's trailer section does not end in CRLF.")
            self._scanned = len(buffer) - at
            return None
        if not _TRAILERS.fullmatch(buffer, at, end):
            raise _bad("The body's trailer section is not valid.")
        self._at = end
        self._scanned = 0
        self._state = "head"
        return b""


def _longest_line(head: bytes) -> int:
    return max(len(line) for line in head.split(b"\r\n"))


class AnswerEnd(NamedTuple):
    """How the end of an upstream's answer is known, RFC 9112 section 6.3.

    Attributes:
        kind: `none`, no body whatever the fields say; `length`; `chunked`; `close`, the connection's end.
        length: Content-Length where there is one, of answers to HEAD and of 304 too.
    """

    kind: Literal["none", "length", "chunked", "close"]
    length: int | None


def answer_end(status: int, notable: list[Field], *, to_head: bool) -> AnswerEnd | None:
    """How a final answer ends; None where its framing cannot be trusted.

    Args:
        status: 200 to 999.
        notable: fields of the answer's head, Content-Length and Transfer-Encoding among them; names in
            lower case.
        to_head: whether it answers a HEAD request.
    """
    length: int | None = None
    chunked = False
    for name, value in notable:
        if name == b"content-length":
            if length is not None or not value.isdigit() or len(value) > MAX_DIGITS:
                return None
            length = int(value)
            if length > MAX_LENGTH:
                return None
        elif name == b"transfer-encoding":
            if chunked or value.lower() != b"chunked":
                return None
            chunked = True
    if chunked and length is not None:
        return None
    if to_head or status in (204, 304):
        return AnswerEnd("none", length)
    if chunked:
        return AnswerEnd("chunked", None)
    return _AT_CLOSE if length is None else _after(length)


_AT_CLOSE: Final = AnswerEnd("close", None)


@lru_cache(maxsize=256)
def _after(length: int) -> AnswerEnd:
    return AnswerEnd("length", length)
