"""Pure: reads a request's head strictly.

What is ambiguous is refused, never repaired: a server behind us might read it differently (request smuggling,
RFC 9112 section 11.2). Every check works on bytes.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from proxy.errors import RequestRefused
from proxy.gateway.grammar import FIELD_LINE, TCHAR, TEXT, TOKEN, Field
from proxy.gateway.memo import Memo

MAX_LINE: Final = 16 * 1024  # bytes of a request line; RFC 9112 section 3 wants at least 8000
MAX_FIELDS: Final = 128
MAX_LENGTH: Final = 2**63 - 1
MAX_DIGITS: Final = 32

# `request-line = method SP request-target SP HTTP-version` (RFC 9112 section 3). A target holds no `#`: a
# fragment is not sent.
_REQUEST_LINE = rb"(" + TCHAR + rb"{1,32}+) ([\x21\x22\x24-\x7e]++) HTTP/1\.([01])\r\n"
_HEAD = re.compile(_REQUEST_LINE + rb"((?:" + FIELD_LINE + rb")*+)\r\n")
_FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*+(" + TEXT + rb"*+)\r\n")
_OTHER_VERSION = re.compile(rb"[^ \r\n]++ [^ \r\n]++ HTTP/(?!1\.[01]\r)[0-9]\.[0-9]\r\n")
_FIRST_LINE = re.compile(rb"[^ \r\n]++ ([^\r\n]*) HTTP/1\.[01]\r\n")
_NOT_IN_TARGET = re.compile(rb"[^\x21\x22\x24-\x7e]")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*+)(.*+)")

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

# By spelling: b"" for a field that is passed on unread, else its name in lower case.
names: Memo[bytes, bytes] = Memo(entries=4096, longest=64)


def notable(name: bytes) -> bytes:
    """The name in lower case if it means something to an intermediary, else `b""`."""
    lower = name.lower()
    verdict = lower if lower in _NOTABLE or lower in _LOOKALIKES else b""
    names.put(name, verdict)
    return verdict


@lru_cache(maxsize=64)
def connection_options(value: bytes) -> tuple[bytes, ...]:
    """Options of a Connection field, in lower case."""
    return tuple([option.strip(b" \t").lower() for option in value.split(b",")])


@dataclass(slots=True)
class RequestHead:
    """A request line and its fields, all bytes as they came. Never changed: requests may share it.

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
        has_body: whether bytes of a body are to come; a Content-Length of 0 brings none.
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


def bad_request(detail: str, status: int | None = None) -> RequestRefused:
    return RequestRefused("bad_request", detail, status=status)


def head_too_large(detail: str, status: int | None = None) -> RequestRefused:
    return RequestRefused("head_too_large", detail, status=status)


def parse_head(data: bytes) -> RequestHead:
    """Read a whole head, its empty line included.

    Raises:
        RequestRefused: `bad_request`, `head_too_large` or `unsupported`.
    """
    match = _HEAD.fullmatch(data)
    if match is None:
        raise _diagnosis(data)
    method, target, minor, block = match.groups()
    if len(method) + len(target) + len("  HTTP/1.1") > MAX_LINE:
        raise head_too_large("The request line is too long.", 414)
    fields: list[Field] = []
    plain: list[bytes] = []
    noted: list[Field] = []
    for name, value in _FIELD.findall(block):
        if value and value[-1] <= 32:
            value = value.rstrip(b" \t")
        lower = names.get(name)
        if lower is None:
            lower = notable(name)
        if lower:
            noted.append((lower, value))
        else:
            plain.append(b"%b: %b\r\n" % (name, value))
        fields.append((name, value))
    if len(fields) > MAX_FIELDS:
        raise head_too_large("The request has too many fields.")
    return _judge(method, target, int(minor), fields, plain, noted)


# Tools send the same head again and again, and reading one is a fifth of a request's cost.
heads: Final[Memo[bytes, RequestHead]] = Memo(entries=256, longest=1024)
_SECRET: Final = frozenset(b"authorization cookie x-proxy-token proxy-authorization".split())


def read_head(data: bytes) -> RequestHead:
    """As `parse_head`; the same bytes need not be read twice.

    A head with a secret of the caller's is not remembered: the process would hold it long after the request.
    """
    head = heads.get(data)
    if head is None:
        head = parse_head(data)
        if not any(name in _SECRET for name, _ in head.notable):
            heads.put(data, head)
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
                raise bad_request("The request has more than one Host field.")
            host = value
        elif name == b"content-length":
            if length is not None:
                raise bad_request("The request has more than one Content-Length field.")
            length = _length(value)
            padded = is_padded(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"connection":
            connection += connection_options(value)
        elif name in _FRAMING_LOOKALIKES:
            raise bad_request(
                "The request has a field whose name could be taken for one that frames its body."
            )
    if host is None:
        if minor:
            raise bad_request("The request has no Host field.")
        host = b""
    if codings:
        _check_codings(codings, minor, length)
    if target[0] != 47:  # "/"
        target, host = _other_form(method, target, host)
    # What follows CONNECT was meant for a tunnel (RFC 9110 section 9.3.6): it is no request.
    wanted = b"close" not in connection and (minor == 1 or b"keep-alive" in connection)
    keep_alive = wanted and method != b"CONNECT" and not padded
    return RequestHead(
        method, target, minor, fields, plain, noted, host, length, bool(codings), connection, keep_alive
    )


def _length(value: bytes) -> int:
    """RFC 9110 section 8.6: 1*DIGIT. int() alone would take signs and underscores; of bytes, isdigit()
    takes ASCII digits only."""
    if not value.isdigit() or len(value) > MAX_DIGITS or (length := int(value)) > MAX_LENGTH:
        raise bad_request("The Content-Length field is not a number that can be.")
    return length


def is_padded(number: bytes) -> bool:
    """Whether it has leading zeros: right, and yet nobody sends it; such a caller is served once."""
    return number[0] == 48 and len(number) > 1


def _check_codings(codings: list[bytes], minor: int, length: int | None) -> None:
    if length is not None:
        raise bad_request("The request has both Content-Length and Transfer-Encoding.")
    if minor == 0:
        raise bad_request("The request is HTTP/1.0 and has a Transfer-Encoding field.")
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
        raise bad_request("The request's target is neither a path nor an http URL.")
    path = absolute[2]
    if not path and method == b"OPTIONS":
        return b"*", absolute[1]  # RFC 9112 section 3.2.4: what an empty path means there
    return path if path[:1] == b"/" else b"/" + path, absolute[1]


def _diagnosis(data: bytes) -> RequestRefused:
    """Why a head that is not one is refused."""
    if _OTHER_VERSION.match(data) and not has_broken_line(data):
        return RequestRefused("unsupported", "Only HTTP/1.1 and HTTP/1.0 are spoken here.", status=505)
    line = _FIRST_LINE.match(data)
    if line is not None and _NOT_IN_TARGET.search(line[1]):
        return bad_request(
            "The request's target has a character that may not stand in a URL as it is: a blank, `#`, or a "
            "letter outside ASCII. Percent-encode it (UTF-8, %XX)."
        )
    return bad_request("The request's head is not valid HTTP/1.1.")


def has_broken_line(data: bytes, start: int = 0) -> bool:
    """Whether a line ends in anything but CRLF: a CR or LF stands alone. A CR at the end may get its LF yet.

    Counting is some fifty times faster than a pattern, and a caller decides how much there is to look at.
    """
    if start and data[start - 1 : start + 1] == b"\r\n":
        start -= 1
    pairs = data.count(b"\r\n", start)
    returns = data.count(b"\r", start) - data.endswith(b"\r", start)
    return data.count(b"\n", start) != pairs or returns != pairs
