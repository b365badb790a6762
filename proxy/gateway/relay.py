"""Forwards an upstream's answer to the caller: bytes as they come, back-pressure both ways."""

from collections.abc import Sequence
from typing import Final, Protocol

from proxy.clock import http_date
from proxy.credentials.credential import Credential
from proxy.gateway.answer_head import OF_SESSION, AnswerEnd, AnswerFields
from proxy.gateway.fields import HeadRewriter
from proxy.gateway.grammar import Field
from proxy.gateway.refusal import PEEK, Asked, Verdict, belongs_to_session, judge
from proxy.gateway.request_head import RequestHead

BEGINNING: Final = 512
"""Bytes at the beginning of the body of a 400 that are kept."""


class Caller(Protocol):
    """The caller's connection: what an answer needs of it."""

    @property
    def resets(self) -> bool:
        """Whether the caller can see that its connection was cut."""
        ...

    def write(self, data: bytes) -> None: ...


class Request:
    """The request that is answered: what its answer needs of it.

    Attributes:
        head: the head as it was received.
        cors: CORS header lines for the answer, ready to send; empty: none.
        last: whether the caller's connection takes no further request.
    """

    # A class and no protocol: compiled code reads its attributes directly. No slots: most requests change few
    # of them, so class attributes save setting them each time.
    cors = b""

    def __init__(self, head: RequestHead) -> None:
        self.head = head
        self.last = not head.keep_alive

    def keeps_connection(self) -> bool:
        """Decide whether the connection takes another request. Call it when the answer's head is written."""
        raise NotImplementedError


class Source(Protocol):
    """The upstream connection that sends the answer."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def _cookies_of(session: Credential) -> bytes:
    return b"; ".join(value for name, value in session.fields if name.lower() == b"cookie")


_PASSES: Final = Verdict.PASSES  # looked up once, because attribute access on an Enum is slow
_IN_CHUNKS: Final = AnswerEnd("chunked", None)


class Relay:
    """One answer.

    Attributes:
        status: of the upstream's final answer; 0 before.
        begun: whether bytes of the final head have been written to the caller.
        verdict: whether the answer refuses the credential.
        held: whether the answer is kept back: a refusal, because the request may be sent again, or what may
            turn out to be one.
        may_hold: whether the next refusal is kept back.
        endless: whether its body may be silent for any time.
        session: the session that was injected; None: none.
        session_fields: Set-Cookie and CSRF fields of the answer.
        beginning: without a session, the first bytes of the body of a 400.
        refusal: without a session, the fields of a 4xx or 5xx by which it was judged.
        paused: whether the caller reads too slowly.
        sent: bytes written to the caller.
    """

    # No slots: most requests change none of these, so class attributes save setting them each time.
    _chunked = False
    _peeked: bytes | None = None  # None: the body is not examined
    paused = False
    status = 0
    begun = False
    held = False
    may_hold = False
    endless = False
    session: Credential | None = None
    sent = 0
    verdict = _PASSES
    session_fields: Sequence[Field] = ()
    refusal: Sequence[Field] = ()
    beginning = b""
    _late: tuple[AnswerFields, AnswerEnd] | None = (
        None  # of a held answer: its head is made when it is released
    )

    def __init__(self, request: Request, caller: Caller, rewriter: HeadRewriter) -> None:
        self._request = request
        self._caller = caller
        self._head = request.head
        self._rewriter = rewriter
        self._source: Source | None = None
        self._out: list[bytes] = []

    def interim(self, status: int, fields: AnswerFields) -> None:
        """Forward a 1xx, but not to an HTTP/1.0 caller (RFC 9110 section 15.2)."""
        if self._head.minor:
            data = self._rewriter.interim_head(status, fields, session=self.session is not None)
            self.sent += len(data)
            self._caller.write(data)

    def begin(self, source: Source, status: int, fields: AnswerFields, end: AnswerEnd, *, more: bool) -> None:
        """Take the final head.

        Args:
            source: is paused while the caller reads slowly.
            status, fields, end: of the answer.
            more: whether the request was not received to its end; the connection must then end.
        """
        self._source = source
        self.status = status
        if self.session is not None:
            self._judge_session(self.session, status, fields, end)
        elif status >= 400:
            self.verdict = verdict = judge(status, fields.notable)
            self.held = verdict is not _PASSES and self.may_hold
            self.refusal = fields.notable
            if status == 400:  # it may say that http came to a port of https
                self._peeked, self._wanted = b"", min(BEGINNING, end.length or BEGINNING)
        if end.length is None:
            end = self._without_length(end)
        if more:
            self._request.last = True
        if self.held:
            self._out = []
            self._late = fields, end
            return
        self._out = [self._made_head(fields, end)]
        if self.paused:
            source.pause_reading()

    def _made_head(self, fields: AnswerFields, end: AnswerEnd) -> bytes:
        request = self._request
        head = self._rewriter.response_head(
            self.status,
            fields,
            end,
            minor=self._head.minor,
            keep_alive=request.keeps_connection(),
            cors=request.cors,
            session=self.session is not None,
        )
        if fields.undated:  # RFC 9110 section 6.6.1
            return b"%bDate: %b\r\n\r\n" % (head[:-2], http_date().encode())
        return head

    def _without_length(self, end: AnswerEnd) -> AnswerEnd:
        """Decide how the caller sees the end of an answer without a length."""
        if end.kind == "close" and not self._caller.resets:
            end = _IN_CHUNKS  # only the missing last chunk can then show that it was cut
        self._chunked = end.kind == "chunked" and self._head.minor == 1
        if end.kind == "close" or (end.kind == "chunked" and not self._chunked):
            self._request.last = True
        return end

    def _judge_session(self, session: Credential, status: int, fields: AnswerFields, end: AnswerEnd) -> None:
        head = self._head
        cookies = _cookies_of(session) if status == 403 else b""  # no other status is judged by them
        path = head.target.split(b"?", 1)[0]
        self._asked = asked = Asked(head.method, path, self._rewriter.authority, cookies)
        self._noted = noted = fields.noted()
        self.session_fields = [
            each for each in noted if each[0] in OF_SESSION and belongs_to_session(status, asked)
        ]
        self.verdict = judge(status, noted, asked)
        has_body = end.kind != "none" and end.length != 0
        if status == 403 and has_body and self.verdict is not Verdict.REFUSED:
            self._peeked = b""
            self._wanted = min(PEEK, end.length or PEEK)
            self.held = True
        else:
            self._peeked = None
            self.held = self.verdict is not _PASSES and self.may_hold

    @property
    def undecided(self) -> bool:
        """Whether it is held only until enough of its body was received to judge it."""
        return self._peeked is not None

    def _decide(self, data: bytes) -> None:
        self._peeked = None
        if self.session is None:
            self.beginning = data
            return
        self.verdict = judge(self.status, self._noted, self._asked, data)
        self.held = self.verdict is not _PASSES and self.may_hold
        if self.paused and not self.held and self._source is not None:
            self._source.pause_reading()

    def body(self, data: bytes) -> None:
        if self._chunked:
            self._out += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            self._out.append(data)
        if self._peeked is not None:
            self._peeked += data[:PEEK]
            if len(self._peeked) >= self._wanted:
                self._decide(self._peeked)

    def end(self) -> None:
        if self._chunked:
            self._out.append(b"0\r\n\r\n")
        if self._peeked is not None:
            self._decide(self._peeked)

    def flush(self) -> None:
        """Write the received pieces: once per read, not once per piece."""
        if self.held:
            return
        if self._late is not None:
            self._out.insert(0, self._made_head(*self._late))
            self._late = None
        out = self._out
        if not out:
            return
        self._out = []
        data = out[0] if len(out) == 1 else b"".join(out)
        self.begun = True
        self.sent += len(data)
        self._caller.write(data)

    def release(self) -> None:
        """Forward a refusal that was held."""
        self.held = False
        self.flush()

    def forget(self) -> None:
        """Drop a refusal that was held, because the request is sent again."""
        self.held = self._chunked = False
        self.verdict = _PASSES
        self._source = None
        self._late = None
        self._out = []

    def detach(self) -> bool:
        """The answer is complete: let go of the source; return whether it is paused."""
        self._source = None
        return self.paused

    def pause(self) -> None:
        """Pause the source, because the caller reads too slowly."""
        self.paused = True
        if self._source is not None and not self.held:
            self._source.pause_reading()

    def resume(self) -> None:
        self.paused = False
        if self._source is not None and not self.held:
            self._source.resume_reading()
