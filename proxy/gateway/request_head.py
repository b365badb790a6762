"""Pure: reads a request's head strictly.

An ambiguous head is refused, never repaired, because the upstream might read it differently (request
smuggling, RFC 9112 section 11.2). Every check works on bytes.
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
    # RFC 9110 section 7.6.1, and fields that older software treats in the same way
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization"
    b" te trailer transfer-encoding upgrade http2-settings".split()
)
# Fields that mean something to us, or must not be forwarded as they are. All others are forwarded unread.
_NOTABLE: Final = HOP_BY_HOP | {
    *b"host content-length expect max-forwards via authorization cookie x-proxy-token".split(),
    *b"origin sec-fetch-site sec-purpose purpose access-control-request-method".split(),
}
_FRAMING_LOOKALIKES: Final = frozenset((b"content_length", b"transfer_encoding"))
_LOOKALIKES: Final = frozenset(name.replace(b"-", b"_") for name in _NOTABLE if b"-" in name)

# By spelling: b"" for a field that is forwarded unread, else its name in lower case.
names: Final[Memo[bytes, bytes]] = Memo(entries=4096, longest=64)


def notable(name: bytes) -> bytes:
    """Return the name in lower case if it means something to an intermediary, else `b""`."""
    lower = name.lower()
    verdict = lower if lower in _NOTABLE or lower in _LOOKALIKES else b""
    names.put(name, verdict)
    return verdict


@lru_cache(maxsize=64)
def connection_options(value: bytes) -> tuple[bytes, ...]:
    """Return the options of a Connection field, in lower case."""
    return tuple([option.strip(b" \t").lower() for option in value.split(b",")])


@dataclass(slots=True)
class RequestHead:
    """A request line and its fields, all bytes as they came. Never changed, because requests may share it.

    Attributes:
        method: as sent; methods are case-sensitive.
        target: origin-form, or `*`. An absolute-form target has become origin-form.
        minor: 0 or 1, of HTTP/1.
        fields: every field in order, values without surrounding white space.
        plain: those that mean nothing to an intermediary, as lines ready to send.
        notable: the others, names in lower case.
        host: value of Host, or the authority of an absolute-form target.
        length: Content-Length; None: there is none.
        chunked: whether the body is sent in chunks.
        connection: options of Connection, in lower case.
        keep_alive: whether the caller wants another request on this connection.
        has_body: whether bytes of a body follow; with a Content-Length of 0 none do.
        special: whether the target may be one that is not forwarded like all others: of MCP, of an OAuth
            discovery, or outside a physical tenant. Looked up once for all requests that share the head.
        passed: memo: the Guard that has let it pass last; None: none has.
        door: memo: whether its target signs in or out (`paths.signs_in`); None: this was not asked yet.
        ready: memo for requests that share it: the outgoing head last built from it, the HeadRewriter that
            built it, and whether for a session.
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
    special: bool = field(init=False)
    passed: object | None = field(default=None, init=False, repr=False, compare=False)
    door: bool | None = field(default=None, init=False, repr=False, compare=False)
    ready: tuple[bytes, object, bool] = field(
        default=(b"", None, False), init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        self.has_body = self.chunked or bool(self.length)
        target = self.target
        self.special = b"/mcp" in target or b"/.well-known/" in target or b"/status" in target

    def without(self, places: set[int]) -> "RequestHead":
        """Return the head without the notable fields at these places. `dataclasses.replace` takes thrice as
        long, and each request with a caller's token needs this."""
        return RequestHead(
            self.method,
            self.target,
            self.minor,
            self.fields,
            self.plain,
            [each for place, each in enumerate(self.notable) if place not in places],
            self.host,
            self.length,
            self.chunked,
            self.connection,
            self.keep_alive,
        )


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
        lower = names.known.get(name)
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
    """Read as `parse_head` does, or return the cached head of the same bytes.

    A head with a secret of the caller is not cached, because the process would hold it long after the
    request.
    """
    head = heads.known.get(data)
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
        noted = [(b"host", host), *noted]  # every other reader may count on it
    if codings:
        _check_codings(codings, minor, length)
    if target[0] != 47:  # "/"
        target, host = _other_form(method, target, host)
    # The bytes after CONNECT were meant for a tunnel (RFC 9110 section 9.3.6), so they are no request.
    wanted = b"close" not in connection and (minor == 1 or b"keep-alive" in connection)
    keep_alive = wanted and method != b"CONNECT" and not padded
    return RequestHead(
        method, target, minor, fields, plain, noted, host, length, bool(codings), connection, keep_alive
    )


def _length(value: bytes) -> int:
    """Read a Content-Length, which is `1*DIGIT` (RFC 9110 section 8.6).

    int() alone would accept signs and underscores; isdigit() of bytes accepts only ASCII digits.
    """
    if not value.isdigit() or len(value) > MAX_DIGITS or (length := int(value)) > MAX_LENGTH:
        raise bad_request("The Content-Length field is not a valid length.")
    return length


def is_padded(number: bytes) -> bool:
    """Tell whether a number has leading zeros. Valid but unusual, so the connection ends after it."""
    return number[0] == 48 and len(number) > 1


def _check_codings(codings: list[bytes], minor: int, length: int | None) -> None:
    if length is not None:
        raise bad_request("The request has both Content-Length and Transfer-Encoding.")
    if minor == 0:
        raise bad_request("The request is HTTP/1.0 and has a Transfer-Encoding field.")
    if len(codings) > 1 or codings[0].lower() != b"chunked":
        raise RequestRefused("unsupported", "Transfer-Encoding may only be `chunked` here.", status=501)


def _other_form(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """Turn another form of target (RFC 9112 section 3.2) into the target to forward and its host."""
    if method == b"CONNECT":
        return target, host
    if target == b"*" and method == b"OPTIONS":
        return target, host
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not absolute[1] or b"@" in absolute[1]:
        raise bad_request("The request's target is neither a path nor an http URL.")
    path = absolute[2]
    if not path and method == b"OPTIONS":
        return b"*", absolute[1]  # the meaning of an empty path here (RFC 9112 section 3.2.4)
    return path if path[:1] == b"/" else b"/" + path, absolute[1]


def _diagnosis(data: bytes) -> RequestRefused:
    """Find out why a head is not valid."""
    if _OTHER_VERSION.match(data) and not has_broken_line(data):
        return RequestRefused("unsupported", "This port supports only HTTP/1.1 and HTTP/1.0.", status=505)
    line = _FIRST_LINE.match(data)
    if line is not None and _NOT_IN_TARGET.search(line[1]):
        return bad_request(
            "The request's target has a character that must be encoded in a URL: a blank, `#`, or a letter "
            "outside ASCII. Percent-encode it (UTF-8, %XX)."
        )
    return bad_request("The request's head is not valid HTTP/1.1.")


def has_broken_line(data: bytes, start: int = 0) -> bool:
    """Tell whether a CR or LF stands alone, so that a line does not end in CRLF.

    A CR at the end of the data is allowed, because its LF may follow. Counting is about fifty times faster
    than a pattern, and that matters because the caller decides how many bytes there are.
    """
    if start and data[start - 1 : start + 1] == b"\r\n":
        start -= 1
    pairs = data.count(b"\r\n", start)
    returns = data.count(b"\r", start) - data.endswith(b"\r", start)
    return data.count(b"\n", start) != pairs or returns != pairs
