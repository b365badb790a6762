"""Pure: the head of an upstream's answer, as almost all are.

Servers send the same lines again and again, and the same heads until the second of their Date is over: what
was judged is remembered. Whatever is not as usual is left to llhttp, which reads it from its first octet: so
this reader may be as strict as it likes.
"""

import re
from typing import Final, NamedTuple

from proxy.gateway.framing import HOP_BY_HOP, AnswerEnd, Field, answer_end, connection_options

PASSED: Final = frozenset(
    b"location www-authenticate cross-origin-resource-policy x-content-type-options".split()
)
"""Notable fields that go on to the caller nevertheless."""

CSRF: Final = frozenset((b"x-csrf-token", b"operate-x-csrf-token", b"tasklist-x-csrf-token"))
"""Camunda's names, 8.5 to 8.10."""

COOKIES: Final = frozenset((b"set-cookie", b"set-cookie2"))
"""What no caller gets where we stamped a credential: with Basic it may be a login as us."""

OF_SESSION: Final = CSRF | COOKIES
"""What an answer tells a session of ours, and not the caller."""

MAX_USUAL_HEAD: Final = 16 * 1024

_NOTABLE: Final = HOP_BY_HOP | PASSED | {b"content-length"}
# An upstream's word on who may read its answers is meant for its own address, not for ours.
_OPENING: Final = (b"access-control-", b"timing-allow-origin", b"strict-transport-security")
_TELLING: Final = OF_SESSION | {b"content-type"}
_TEXT = rb"[\t\x20-\x7e\x80-\xff]"
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-9][0-9]{2}) " + _TEXT + rb"*+")
_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[ \t]*+(" + _TEXT + rb"*+)")

_judged: dict[bytes, bytes] = {}
_statuses: dict[bytes, int] = {}
_lines: dict[bytes, Field] = {}  # (b"", the line to send) or (name in lower case, value)
MAX_LINES_KEPT: Final = 1024
MAX_LINE_KEPT: Final = 128
MAX_HEADS_KEPT: Final = 256
MAX_HEAD_KEPT: Final = 1024


class AnswerFields:
    """Fields of an upstream's answer, sorted as they come.

    Attributes:
        plain: what is passed on unread, in lines ready to be sent.
        notable: the rest, names in lower case.
        options: of Connection, in lower case.
        cookies: whether a plain field may set a cookie; False: none does.
        ready: the head that was last made of them for a caller, and how: answers may share them.
    """

    __slots__ = ("cookies", "notable", "options", "plain", "ready")

    def __init__(self) -> None:
        self.plain: list[bytes] = []
        self.notable: list[Field] = []
        self.options: tuple[bytes, ...] = ()
        self.cookies = False
        self.ready: tuple[bytes, object] = (b"", None)

    def add(self, name: bytes, value: bytes) -> None:
        """Take a field as the parser gives it."""
        if value and value[-1] <= 32:
            value = value.rstrip(b" \t")
        lower = _judged.get(name)
        if lower is None:
            lower = _judge(name)
        if not lower:
            self.plain.append(b"%b: %b\r\n" % (name, value))
            self.cookies = self.cookies or name.lower() in COOKIES
            return
        self.notable.append((lower, value))
        if lower == b"connection":
            self.options += connection_options(value)

    def noted(self) -> list[Field]:
        """Those by which an answer under a session is judged, names in lower case: a look at each field."""
        named = [line.split(b": ", 1) for line in self.plain]
        told = [(name.lower(), value[:-2]) for name, value in named if name.lower() in _TELLING]
        return self.notable + told

    def clear(self) -> None:
        """Forget an interim answer's."""
        self.plain, self.notable, self.options, self.cookies = [], [], (), False


def _judge(name: bytes) -> bytes:
    """`b""` to pass it on unread, else its name in lower case."""
    lower = name.lower()
    verdict = lower if lower in _NOTABLE or lower.startswith(_OPENING) else b""
    if len(_judged) < 4096 and len(name) <= 64:
        _judged[name] = verdict
    return verdict


class Answer(NamedTuple):
    """A head as it came; never changed, answers may share it.

    Attributes:
        status: 200 to 999.
        end: of its body, where it does not answer HEAD.
    """

    status: int
    fields: AnswerFields
    end: AnswerEnd


_heads: dict[bytes, Answer] = {}


def usual_head(octets: bytes) -> Answer | None:
    """A final answer in HTTP/1.1 whose end does not take the connection's.

    Args:
        octets: a head without its empty line.

    Returns:
        None where it is something else, or nothing that can be trusted.
    """
    return _heads.get(octets) or _read(octets)


def _read(octets: bytes) -> Answer | None:
    first, *lines = octets.split(b"\r\n")
    status = _statuses.get(first) or _status(first)
    fields = AnswerFields()
    plain, notable = fields.plain, fields.notable
    for line in lines:
        field = _lines.get(line) or _field(line)
        if field is None:
            return None
        name, value = field
        if not name:
            plain.append(value)
            continue
        notable.append(field)
        if name == b"connection":
            fields.options += connection_options(value)
    end = answer_end(status, notable, to_head=False)
    if not status or end is None or end.kind == "close":
        return None
    answer = Answer(status, fields, end)
    fields.cookies = _secret(octets)
    if len(octets) <= MAX_HEAD_KEPT and not fields.cookies:
        if len(_heads) >= MAX_HEADS_KEPT:
            _heads.clear()
        _heads[octets] = answer
    return answer


def _secret(octets: bytes) -> bool:
    """Whether they may tell a session's: nothing of that is kept."""
    lower = octets.lower()
    return b"cookie" in lower or b"csrf" in lower


def _status(line: bytes) -> int:
    """0: it is not of a final answer in HTTP/1.1."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        return 0
    status = int(match[1])
    if len(_statuses) < 256 and len(line) <= MAX_LINE_KEPT:
        _statuses[line] = status
    return status


def _field(line: bytes) -> Field | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    name, value = match.groups()
    value = value.rstrip(b" \t")
    lower = _judge(name)
    if lower == b"upgrade":
        return None
    field = (lower, value) if lower else (b"", b"%b: %b\r\n" % (name, value))
    if len(line) <= MAX_LINE_KEPT and not _secret(line):
        if len(_lines) >= MAX_LINES_KEPT:
            _lines.clear()
        _lines[line] = field
    return field
