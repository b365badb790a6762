"""Pure: reads the head of an upstream's answer, and decides how its body ends.

`usual_head` is the fast path: it reads the common form of an answer's head. Everything else is left to
llhttp, which reads it from its first byte, so that the fast path can be strict. Parsed lines and heads are
cached, because servers send the same lines again and again, and the same head until its Date changes.
"""

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from proxy.gateway.grammar import TEXT, TOKEN, Field
from proxy.gateway.memo import Memo
from proxy.gateway.request_head import HOP_BY_HOP, MAX_DIGITS, MAX_LENGTH, connection_options
from proxy.terms import CSRF_NAMES

PASSED: Final = frozenset(
    b"location www-authenticate cross-origin-resource-policy x-content-type-options".split()
)
"""Notable fields that are forwarded to the caller nevertheless."""

COOKIES: Final = frozenset((b"set-cookie", b"set-cookie2"))
"""Fields that no caller gets if we injected a credential: with Basic they may log the caller in as us."""

OF_SESSION: Final = CSRF_NAMES | COOKIES
"""Fields of an answer that are meant for our session, and not for the caller."""

MAX_USUAL_HEAD: Final = 16 * 1024

_NOTABLE: Final = HOP_BY_HOP | PASSED | {b"content-length"}
# With these the upstream says which pages may read its answers; it means its own address, not ours.
_OPENING: Final = (b"access-control-", b"timing-allow-origin", b"strict-transport-security")
_TELLING: Final = OF_SESSION | {b"content-type"}
# `status-line = HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112 section 4), of final answers.
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-9][0-9]{2}) " + TEXT + rb"*+")
_TIMEOUT = re.compile(rb'[ \t]*timeout[ \t]*=[ \t]*"?([0-9]{1,9})"?[ \t]*', re.IGNORECASE)
_NAME = re.compile(TOKEN)
_VALUE = re.compile(rb"[ \t]*+(" + TEXT + rb"*+)")


class Name:
    """What the name of a field means.

    Attributes:
        notable: the name in lower case if the field means something to us; else empty.
        is_date: whether it is Date.
        secret: whether its value may be a secret of a session, so that it must not be cached.
    """

    __slots__ = ("is_date", "notable", "secret")

    def __init__(self, notable: bytes, is_date: bool, secret: bool) -> None:
        self.notable = notable
        self.is_date = is_date
        self.secret = secret


class Line:
    """A field of an answer.

    Attributes:
        name: what its name means.
        value: of a notable field; of another one the whole line, ready to send.
    """

    __slots__ = ("name", "value")

    def __init__(self, name: Name, value: bytes) -> None:
        self.name = name
        self.value = value


names: Final[Memo[bytes, Name]] = Memo(entries=4096, longest=64)
statuses: Final[Memo[bytes, int]] = Memo(entries=256, longest=128)
field_lines: Final[Memo[bytes, Line]] = Memo(entries=1024, longest=128, twice=True)


class AnswerEnd(NamedTuple):
    """How the end of an upstream's answer is known, RFC 9112 section 6.3.

    Attributes:
        kind: `none`: no body, regardless of the fields; `length`; `chunked`; `close`: at the connection's
            end.
        length: Content-Length if there is one, also of answers to HEAD and of 304.
    """

    kind: Literal["none", "length", "chunked", "close"]
    length: int | None


def answer_end(status: int, notable: list[Field], *, to_head: bool) -> AnswerEnd | None:
    """Decide how a final answer ends; None: its framing cannot be trusted.

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


class AnswerFields:
    """Fields of an upstream's answer, sorted into two lists.

    Attributes:
        plain: fields that are forwarded unread, as lines ready to send.
        notable: the others, names in lower case.
        options: of Connection, in lower case.
        cookies: whether a field may set a cookie or hold a CSRF token; False: none does.
        idle_life: seconds for which the server keeps an unused connection, by its Keep-Alive; None: it does
            not say.
        undated: whether there is no Date.
        ready: memo: the head last built from them for a caller, and with what; answers may share them.
    """

    __slots__ = ("_noted", "cookies", "idle_life", "notable", "options", "plain", "ready", "undated")

    def __init__(self) -> None:
        self.plain: list[bytes] = []
        self.notable: list[Field] = []
        self.options: tuple[bytes, ...] = ()
        self.cookies = False
        self.idle_life: int | None = None
        self.undated = True
        self.ready: tuple[bytes, object] = (b"", None)
        self._noted: list[Field] | None = None  # memo of `noted`

    def add(self, name: bytes, value: bytes) -> None:
        """Add a field as the parser gives it."""
        if value and value[-1] <= 32:
            value = value.rstrip(b" \t")
        known = names.known.get(name) or _judge(name)
        if known.notable:
            self.note(known.notable, value)
            return
        self.plain.append(b"%b: %b\r\n" % (name, value))
        self.mark(known)

    def mark(self, name: Name) -> None:
        """Take note of a field's name."""
        if name.secret:
            self.cookies = True
        if name.is_date:
            self.undated = False

    def note(self, name: bytes, value: bytes) -> None:
        """Take a notable field, its name in lower case."""
        self.notable.append((name, value))
        if name == b"connection":
            self.options += connection_options(value)
        elif name == b"keep-alive":
            self.idle_life = idle_life(value)

    def noted(self) -> list[Field]:
        """Return the fields by which to judge an answer under a session, names in lower case."""
        if self._noted is None:
            named = [line.split(b": ", 1) for line in self.plain]
            told = [(name.lower(), value[:-2]) for name, value in named if name.lower() in _TELLING]
            self._noted = self.notable + told
        return self._noted

    def clear(self) -> None:
        """Forget the fields of an interim answer."""
        self.plain, self.notable, self.options = [], [], ()
        self.cookies, self.idle_life = False, None
        self.undated = True
        self._noted = None


def idle_life(keep_alive: bytes) -> int | None:
    """Seconds for which the server keeps an unused connection: `timeout` of a Keep-Alive field (RFC 2068
    section 19.7.1, as servers use it today). None: it says none that can be read.
    """
    for parameter in keep_alive.split(b","):
        match = _TIMEOUT.fullmatch(parameter)
        if match is not None:
            return int(match[1])
    return None


def _judge(name: bytes) -> Name:
    lower = name.lower()
    notable = lower if lower in _NOTABLE or lower.startswith(_OPENING) else b""
    verdict = Name(notable, lower == b"date", b"cookie" in lower or b"csrf" in lower)
    names.put(name, verdict)
    return verdict


class UsualHead(NamedTuple):
    """A head as it came. Never changed, because answers may share it.

    Attributes:
        status: 200 to 999.
        end: of its body, unless it answers HEAD.
    """

    status: int
    fields: AnswerFields
    end: AnswerEnd


heads: Final[Memo[bytes, UsualHead]] = Memo(entries=256, longest=1024, twice=True)


def usual_head(data: bytes) -> UsualHead | None:
    """Read the head of a final answer in HTTP/1.1 that does not end with the connection.

    Args:
        data: a head without its empty line.

    Returns:
        None if it is something else, or cannot be trusted.
    """
    return heads.known.get(data) or _read(data)


def _read(data: bytes) -> UsualHead | None:
    first, *lines = data.split(b"\r\n")
    status = statuses.known.get(first) or _status(first)
    fields = AnswerFields()
    plain, notable = fields.plain, fields.notable
    for line in lines:
        field = field_lines.known.get(line) or _field(line)
        if field is None:
            return None
        name = field.name
        if name.notable:
            fields.note(name.notable, field.value)
        else:
            plain.append(field.value)
            fields.mark(name)
    end = answer_end(status, notable, to_head=False)
    if not status or end is None or end.kind == "close":
        return None
    answer = UsualHead(status, fields, end)
    if not fields.cookies:
        heads.put(data, answer)
    return answer


def _status(line: bytes) -> int:
    """Return the status; 0: it is no status line of a final answer in HTTP/1.1."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        return 0
    status = int(match[1])
    statuses.put(line, status)
    return status


def _field(line: bytes) -> Line | None:
    """Read a line; None: it is no field, or one that only llhttp may read."""
    name, colon, rest = line.partition(b":")
    value = _VALUE.fullmatch(rest)
    if not colon or value is None:
        return None
    known = names.known.get(name)
    if known is None:
        if _NAME.fullmatch(name) is None:
            return None
        known = _judge(name)
    if known.notable == b"upgrade":
        return None
    text = value[1].rstrip(b" \t")
    field = Line(known, text if known.notable else b"%b: %b\r\n" % (name, text))
    if not known.secret:
        field_lines.put(line, field)
    return field
