"""Pure: rewrites the header fields of requests and answers.

It first strips fields and last injects the credential. Heads are written from parsed parts, never copied.
Fields of one connection are not forwarded (RFC 9110 section 7.6.1). The order of repeated fields is kept.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import product
from typing import Final

from proxy.gateway.answer_head import COOKIES, OF_SESSION, PASSED, AnswerEnd, AnswerFields
from proxy.gateway.grammar import persistence
from proxy.gateway.paths import stays_here
from proxy.gateway.request_head import RequestHead
from proxy.terms import CSRF_NAMES

_REASONS: Final = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
# These notable fields of a request are forwarded as they came. The caller's own credentials are forwarded
# only if we inject none.
_PASSED: Final = frozenset(
    b"expect via origin sec-fetch-site sec-purpose purpose access-control-request-method".split()
)
_OWN_CREDENTIALS: Final = frozenset((b"authorization", b"cookie"))
_HARDENING: Final = {
    b"cross-origin-resource-policy": b"Cross-Origin-Resource-Policy: same-origin\r\n",
    b"x-content-type-options": b"X-Content-Type-Options: nosniff\r\n",
}
# A document that the API serves must not run as a page of our origin, because the guard allows requests of
# such a page. This is a separate field, and browsers enforce every policy that they get (CSP 3, section 4.2).
_SANDBOX: Final = b"Content-Security-Policy: sandbox\r\n"
# Servers that turn names into variables do not distinguish these: CVE-2025-64484.
_CSRF_LOOKALIKES: Final = frozenset(
    b"".join(pair[0] + pair[1] for pair in zip(name.split(b"-"), (*marks, b""), strict=True))
    for name in CSRF_NAMES
    for marks in product((b"-", b"_"), repeat=name.count(b"-"))
)


@dataclass(frozen=True, slots=True)
class HeadRewriter:
    """Rewrites the heads of requests and answers for one upstream.

    Attributes:
        origin: scheme and authority, as `https://bru-2.operate.camunda.io`.
        authority: value of Host.
        prefix: path of the base URL without its last slash; may be empty.
        tenant: end of `prefix` that is a physical tenant's; empty: there is none.
        outside: paths that are not below the tenant, because they are the whole server's.
        via: our name in Via; random, so that we take only our own loops for loops.
        injects: whether the caller's own Authorization and Cookie are replaced, and the upstream's cookies
            dropped.
    """

    origin: bytes
    authority: bytes
    prefix: bytes
    via: bytes
    injects: bool
    tenant: bytes = b""
    outside: frozenset[bytes] = frozenset()
    _line_end: bytes = field(init=False, repr=False)
    _via_line: bytes = field(init=False, repr=False)
    _answer_end: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        line_end = b" HTTP/1.1\r\nHost: " + self.authority + b"\r\n"
        object.__setattr__(self, "_line_end", line_end)
        via_line = b"Via: 1.1 " + self.via + b"\r\n"
        object.__setattr__(self, "_via_line", via_line)
        object.__setattr__(self, "_answer_end", b"".join(_HARDENING.values()) + _SANDBOX + via_line)

    def request_head(self, head: RequestHead, credential: bytes, *, session: bool = False) -> bytes:
        """Make the head to send upstream, with the credential last.

        Args:
            head: as the caller sent it.
            credential: its lines; they hold no other control bytes.
            session: whether it is a session; then a CSRF token of the caller is dropped, because it belongs
                to another session.
        """
        ready, maker, for_session = head.ready
        if maker is not self or for_session is not session:
            ready = self._without_credential(head, session=session)
            head.ready = (ready, self, session)
        return b"%b%b\r\n" % (ready, credential)

    def _without_credential(self, head: RequestHead, *, session: bool) -> bytes:
        prefix = self.prefix
        if head.special and self.is_outside(head):
            prefix = prefix.removesuffix(self.tenant)
        out = [head.method, b" ", prefix, head.target, self._line_end]
        plain = _without(head.plain, _CSRF_LOOKALIKES) if session else head.plain
        out += _without(plain, head.connection) if head.connection else plain
        if len(head.notable) > 1:
            self._add_notable(head, out)
        out.append(self._via_line)
        if head.chunked:
            out.append(b"Transfer-Encoding: chunked\r\n")
        elif head.length is not None:
            out.append(b"Content-Length: %d\r\n" % head.length)
        return b"".join(out)

    def _add_notable(self, head: RequestHead, out: list[bytes]) -> None:
        for name, value in head.notable:
            if name in head.connection:
                continue
            if name in _PASSED or (name in _OWN_CREDENTIALS and not self.injects):
                out += (name, b": ", value, b"\r\n")
            elif name == b"max-forwards" and head.method == b"OPTIONS" and value.isdigit():
                # RFC 9110 section 7.6.2; a request with 0 does not come here
                out.append(b"max-forwards: %d\r\n" % max(0, int(value[:9]) - 1))
            elif name == b"max-forwards":
                out += (name, b": ", value, b"\r\n")

    def is_outside(self, head: RequestHead) -> bool:
        """Tell whether the request is for the whole server, so that it goes outside the tenant's path."""
        return head.target.partition(b"?")[0] in self.outside

    def our_own(self, head: RequestHead) -> bool:
        """Tell whether the request has passed this proxy before (RFC 9110 section 7.6.3)."""
        return any(name == b"via" and self.via in value for name, value in head.notable)

    def response_head(
        self,
        status: int,
        fields: AnswerFields,
        end: AnswerEnd,
        *,
        minor: int,
        keep_alive: bool,
        cors: bytes = b"",
        session: bool = False,
    ) -> bytes:
        """Make the head to send to the caller.

        Args:
            status: 200 to 999.
            fields: of the upstream's answer.
            end: how its body ends.
            minor: the caller's HTTP/1 minor version.
            keep_alive: whether the caller's connection takes another request.
            cors: our header lines that let a page read the answer, ready to send.
            session: whether the request was sent with our session.
        """
        ready, how = fields.ready
        wanted = (self, end, minor, keep_alive, cors, session)
        if how != wanted:
            ready = self._response_head(status, fields, end, minor, keep_alive, cors, session)
            fields.ready = (ready, wanted)
        return ready

    def _response_head(
        self,
        status: int,
        fields: AnswerFields,
        end: AnswerEnd,
        minor: int,
        keep_alive: bool,
        cors: bytes,
        session: bool,
    ) -> bytes:
        out = [_status_lines.get(status) or _status_line(status)]
        plain = self._for_caller(fields, session=session)
        out += _without(plain, fields.options) if fields.options else plain
        answer_end = self._answer_end
        for name, value in fields.notable:
            if name not in PASSED:
                continue
            if name == b"location":
                value = self.local(value)
            elif name in _HARDENING:
                answer_end = answer_end.replace(_HARDENING[name], b"")
            out += (name, b": ", value, b"\r\n")
        out += (answer_end, cors, _body_fields(status, end, minor))
        out += (persistence(minor, keep_alive=keep_alive), b"\r\n")
        return b"".join(out)

    def _for_caller(self, fields: AnswerFields, *, session: bool) -> list[bytes]:
        """Return the plain lines without the fields that are meant for our credential."""
        if session:
            return _without(fields.plain, OF_SESSION)
        return _without(fields.plain, COOKIES) if self.injects and fields.cookies else fields.plain

    def interim_head(self, status: int, fields: AnswerFields, *, session: bool = False) -> bytes:
        """Make a 1xx head to send to the caller (RFC 9110 section 15.2); `session` as in `response_head`."""
        plain = self._for_caller(fields, session=session)
        return b"".join((_status_line(status), *_without(plain, fields.options), b"\r\n"))

    def local(self, location: bytes) -> bytes:
        """Turn a Location under the base URL into a path of ours; return any other as it is.

        It also stays as it is if a client may take the rest for another host or another path.
        """
        rest = location
        if rest[: len(self.origin)].lower() == self.origin.lower():
            rest = rest[len(self.origin) :]
        elif rest[:1] != b"/":
            return location
        # It may only look like our upstream (http://host.evil) or like our path (/basement).
        if not rest.startswith(self.prefix) or rest[len(self.prefix) :][:1] not in (b"/", b"?", b"#", b""):
            return location
        rest = rest[len(self.prefix) :]
        rest = rest if rest[:1] == b"/" else b"/" + rest
        return rest if stays_here(rest) else location


def _status_line(status: int) -> bytes:
    """Make a status line with our own reason phrase, because the upstream's may hold anything."""
    return b"HTTP/1.1 %d %b\r\n" % (status, _REASONS.get(status, b""))


_status_lines: Final = {status: _status_line(status) for status in _REASONS}
_ABOUT_CONNECTION: Final = frozenset((b"keep-alive", b"close", b""))


def _without(plain: list[bytes], options: Collection[bytes]) -> list[bytes]:
    """Return the plain lines without the fields of these names, which are in lower case."""
    if _ABOUT_CONNECTION.issuperset(options):
        return plain
    return [line for line in plain if line.split(b":", 1)[0].lower() not in options]


def _body_fields(status: int, end: AnswerEnd, minor: int) -> bytes:
    """Return the field that frames the body. To an HTTP/1.0 caller, chunks end with the connection."""
    if end.length is not None and status != 204:
        return b"Content-Length: %d\r\n" % end.length
    if end.kind == "chunked" and minor:
        return b"Transfer-Encoding: chunked\r\n"
    return b""
