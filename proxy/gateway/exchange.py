"""One request and its answer on one connection to the upstream.

Almost all heads are read by `answer_head.usual_head`. llhttp reads the others, and chunks; what it lets
through is judged here and in `answer_head.answer_end`. A body with a Content-Length goes past it.
Anything that is not exactly one good answer means that the connection is never used again.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

import httptools

from proxy.errors import ProxyError, RequestRefused, UpstreamProtocol, UpstreamTimeout
from proxy.gateway.answer_head import MAX_USUAL_HEAD, AnswerEnd, AnswerFields, answer_end, usual_head
from proxy.gateway.relay import Relay
from proxy.gateway.upload import Upload

if TYPE_CHECKING:
    from proxy.gateway.pool import Pool

MAX_ANSWER_HEAD: Final = 256 * 1024
MAX_INTERIM: Final = 16
SLICE: Final = 16 * 1024
"""Bytes that llhttp reads at once. In the smallest chunks that is about 4 ms."""

MAX_PIECES: Final = 512
"""Pieces of a body after which the rest of a read waits for the next turn of the event loop."""

FEW_PIECES: Final = 16
"""So many in one read are not counted."""

_CHUNKS_FOLLOW: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class ConnectionLost(UpstreamProtocol):
    """The connection ended before the answer did.

    Attributes:
        stale: it had been used before, and not one octet of an answer came: the upstream may have closed it
            before it saw the request (RFC 9110 section 9.2.2).
    """

    def __init__(self, message: str, *, stale: bool) -> None:
        super().__init__(message)
        self.stale = stale


class Exchange(asyncio.Protocol):
    """A connection to the upstream; `send_request` begins an exchange on it.

    Attributes:
        deadline: seconds on the Clock after which what is awaited is too late; the pool looks at it.
        used: how many exchanges it has served.
        closing: tells whether it is closed, or about to be. The transport's own, without a frame of Python's.
    """

    __slots__ = (
        "_answer",
        "_begun",
        "_complete",
        "_end",
        "_fault",
        "_fields",
        "_heard",
        "_interim",
        "_keep",
        "_left",
        "_missing",
        "_modern",
        "_over",
        "_parser",
        "_pieces",
        "_pool",
        "_rest",
        "_to_head",
        "_transport",
        "_upload",
        "closing",
        "deadline",
        "sent_at",
        "used",
    )

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._over: asyncio.Future[None] | None = None
        self._upload: Upload | None = None
        self._fault: ProxyError | None = None
        self._left = 0
        self._pieces = 0
        self._rest = b""
        self.deadline = 0.0
        self.sent_at = 0.0
        self.used = 0

    # -- what the forwarder asks for --

    def send_request(
        self, head: bytes, relay: Relay, upload: Upload | None, to_head: bool
    ) -> "asyncio.Future[None]":
        """Send a request; its answer goes to the relay.

        Returns:
            Done when the answer is complete, or its head is a refusal that the relay holds; fails with an
            UpstreamError, or with the RequestRefused of a body that turned out to be invalid.

        Raises:
            RequestRefused: as above, found before anything was sent.
        """
        pool = self._pool
        limit = pool.timeouts.response
        if upload is not None:
            try:
                head += upload.attach(self)
            except RequestRefused:
                pool.release(self)
                raise
            if not upload.ended:
                limit = pool.timeouts.caller
        self._upload = upload
        self._answer = relay
        self._to_head = to_head
        self._begun = self._complete = False
        self._heard = 0
        self.used += 1
        self.sent_at = now = pool.clock.now()
        self.deadline = now + limit
        self._over = over = pool.loop.create_future()
        self._transport.write(head)
        return over

    def send(self, octets: bytes, *, last: bool) -> None:
        """The next piece of the request's body."""
        if self._over is None:
            return
        timeouts = self._pool.timeouts
        self.deadline = self._pool.clock.now() + (timeouts.response if last else timeouts.caller)
        self._transport.write(octets)

    def go_on(self, relay: Relay) -> "asyncio.Future[None]":
        """Pass on a refusal that the relay held; as `send_request`.

        The connection may serve another request by now.
        """
        relay.release()
        over: asyncio.Future[None] = self._pool.loop.create_future()
        if self._answer is not relay or self._complete:
            over.set_result(None)
        elif self._over is None:
            over.set_exception(
                ConnectionLost("it closed the connection in the middle of its answer.", stale=False)
            )
        else:
            self._over = over
            self.deadline = self._pool.clock.now() + self._pool.timeouts.idle
            if not relay.paused:
                self.resume_reading()
        return over

    def abort(self) -> None:
        """Stop at once, whatever is under way: the upstream must not take it for whole."""
        self._over = None
        self._rest = b""
        self._let_go()
        self._transport.abort()

    def cancel(self, relay: Relay) -> None:
        """Stop, if the answer to this relay is still under way; the connection may serve another by now."""
        if self._over is not None and self._answer is relay:
            self.abort()

    def fail(self, error: Exception) -> None:
        """End the exchange with an error."""
        over = self._over
        self.abort()
        if over is not None and not over.done():
            over.set_exception(error)

    def expire(self) -> None:
        """The deadline has passed."""
        if self._over is None:
            self._close()
        elif self._uploading and self._upload is not None and not self._upload.held:
            self.fail(
                RequestRefused("request_timeout", "The request's body stopped coming (caller_timeout).")
            )
        elif self._begun:
            self.fail(UpstreamTimeout("no octet of the answer's body came in time (idle_timeout)."))
        else:
            self.fail(UpstreamTimeout("no answer came in time (response_timeout)."))

    def stalled(self, now: float) -> float:
        """Seconds for which the caller has kept this exchange waiting; 0: it does not."""
        if self._over is None:
            return 0.0
        if self._uploading and self._upload is not None and not self._upload.held:
            return now - (self.deadline - self._pool.timeouts.caller)
        if self._begun and self._answer.paused:
            return now - (self.deadline - self._pool.timeouts.idle)
        return 0.0

    def pause_reading(self) -> None:
        if not self.closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._rest and not self.closing():
            self._transport.resume_reading()

    # -- what the connection says --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.closing = transport.is_closing

    def pause_writing(self) -> None:
        if self._upload is not None:
            self._upload.pause()
            self.deadline = self._pool.clock.now() + self._pool.timeouts.idle  # the upstream is waited for

    def resume_writing(self) -> None:
        if self._upload is not None:
            self._upload.resume()
            if not self._upload.ended:
                self.deadline = self._pool.clock.now() + self._pool.timeouts.caller

    def data_received(self, data: bytes) -> None:
        if self._over is None:  # nobody asked: no answer to anything (RFC 9112 section 9.2)
            self._transport.abort()
            return
        if self._rest:  # reading was resumed by others, before its turn
            self._rest += data
            return
        if self._pieces > FEW_PIECES and self._pool.share.left <= 0:
            self._read_later(data)
            return
        self._read(data)

    def _read(self, data: bytes) -> None:
        if self._left:
            self._counted(data)
        elif self._heard or not self._usual(data):
            self._parse(data)
        if self._fault is not None and not self._complete:
            self.fail(self._fault)
            return
        if not self._begun:
            return
        relay = self._answer
        relay.flush()
        if self._complete:
            self._finish()
            return
        self.deadline = self._pool.clock.now() + self._pool.timeouts.idle
        over = self._over
        if relay.held and not relay.undecided and over is not None and not over.done():
            self._transport.pause_reading()
            over.set_result(None)

    def eof_received(self) -> None:
        self._read_rest()
        if self._over is not None and self._begun and self._end.kind == "close":
            self._complete = True
            self._keep = False
            self._answer.end()
            self._answer.flush()
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        self._read_rest()
        self._pool.lost(self)
        over, self._over = self._over, None
        self._let_go()
        if over is not None and not over.done():
            what = "in the middle of its answer." if self._heard else "before it answered."
            stale = self.used > 1 and not self._heard
            over.set_exception(ConnectionLost(f"it closed the connection {what}", stale=stale))

    # -- reading the answer --

    def _usual(self, data: bytes) -> bool:
        """Read the head that a first read begins with; False: nothing has been read, llhttp is to."""
        body_at = data.find(b"\r\n\r\n", 0, MAX_USUAL_HEAD) + 4
        answer = usual_head(data[: body_at - 4]) if body_at > 3 else None
        if answer is None:
            return False
        status, fields, end = answer
        if self._to_head:
            end = AnswerEnd("none", end.length)
        self._heard = len(data)
        self._modern = True
        self._begin(status, fields, end)
        body = data[body_at:]
        if end.kind == "chunked":
            self._parser = httptools.HttpResponseParser(self)
            self._parser.feed_data(_CHUNKS_FOLLOW)
            self._parse(body)
        elif len(body) == self._missing and not self._complete:
            self._answer.body(body)
            self._complete = True
        elif not self._complete:
            self._left = self._missing
            self._counted(body)
        elif body:  # where none may be
            self._keep = False
        return True

    def _parse(self, data: bytes) -> None:
        if not self._heard:
            self._fields = AnswerFields()
            self._parser = httptools.HttpResponseParser(self)
            self._interim = 0
            self._modern = data.startswith(b"HTTP/1.1 ")
            if not self._modern and not b"HTTP/1.".startswith(data[:7]):
                self._fault = UpstreamProtocol("what it answered is not HTTP/1.1.")  # llhttp takes RTSP too
        self._heard += len(data)
        self._pieces = 0
        try:
            if len(data) <= SLICE:
                self._parser.feed_data(data)
            else:
                self._parse_fairly(data)
        except httptools.HttpParserUpgrade:
            self._broken("it switched protocols, which nobody had asked for.")
        except httptools.HttpParserError:
            self._broken("what it answered is not valid HTTP/1.1.")
        if self._pieces > FEW_PIECES:
            self._pool.share.spend(self._pieces)
        if not self._begun and self._heard > MAX_ANSWER_HEAD:
            self._broken("the head of its answer is too large.")
        if self._begun and self._end.kind == "length":
            self._left = self._missing

    def _parse_fairly(self, data: bytes) -> None:
        """Leave the rest for the next turn of the loop where the body comes in very small chunks."""
        for at in range(0, len(data), SLICE):
            self._parser.feed_data(data[at : at + SLICE])
            rest = data[at + SLICE :] if self._pieces > MAX_PIECES else b""
            if rest:
                self._heard -= len(rest)
                self._read_later(rest)
                return

    def _read_later(self, data: bytes) -> None:
        self._rest = data
        self._transport.pause_reading()
        self._pool.share.later(self._rested)

    def _rested(self) -> None:
        if self._rest and not self.closing():
            rest, self._rest = self._rest, b""
            if not self._answer.paused:
                self._transport.resume_reading()
            self._read(rest)

    def _read_rest(self) -> None:
        """The connection ends: what has come counts as it would have in its turn."""
        while self._rest and self._over is not None:
            rest, self._rest = self._rest, b""
            self._read(rest)

    def _broken(self, message: str) -> None:
        self._keep = False
        if self._fault is None:
            self._fault = UpstreamProtocol(message)

    def _counted(self, data: bytes) -> None:
        if len(data) > self._left:
            data = data[: self._left]
            self._keep = False
        self._left -= len(data)
        self._answer.body(data)
        if not self._left:
            self._complete = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._begun:  # no trailers
            self._fields.add(name, value)

    def on_message_begin(self) -> None:
        if self._complete:  # a second answer, to no request
            self._keep = False

    def on_headers_complete(self) -> None:
        if self._begun or self._fault is not None:
            return
        parser = self._parser
        status = parser.get_status_code()
        if not self._modern:
            version = parser.get_http_version()
            self._modern = version == "1.1"
        if not (self._modern or version == "1.0") or not 100 <= status <= 999 or status == 101:
            self._broken("the first line of its answer makes no sense.")
        elif status < 200:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                self._broken("it sent too many interim answers.")
            else:
                self._answer.interim(status, self._fields)
                self._fields.clear()
                self._modern = False
        else:
            end = answer_end(status, self._fields.notable, to_head=self._to_head)
            # Chunks in HTTP/1.0 are faulty framing, RFC 9112 section 6.1.
            if end is None or (end.kind == "chunked" and not self._modern):
                self._broken("it is not clear where its answer ends.")
            else:
                self._begin(status, self._fields, end)

    def _begin(self, status: int, fields: AnswerFields, end: AnswerEnd) -> None:
        self._end = end
        self._begun = True
        kind = end.kind
        self._missing = missing = end.length or 0
        self._complete = kind == "none" or (kind == "length" and not missing)
        self._keep = self._modern and kind != "close" and b"close" not in fields.options
        pool = self._pool
        pool.tally.response_seconds.observe(pool.clock.now() - self.sent_at)
        more = self._upload is not None and not self._upload.ended
        self._answer.begin(self, status, fields, end, more=more)

    def on_body(self, octets: bytes) -> None:
        if self._complete or not self._begun:  # a body where none may be
            self._keep = False
            return
        self._pieces += 1
        self._answer.body(octets)
        if self._end.kind == "length":
            self._missing -= len(octets)
            self._complete = not self._missing

    def on_message_complete(self) -> None:
        if self._begun and not self._complete:
            self._answer.end()
            self._complete = True

    # -- the end --

    @property
    def _uploading(self) -> bool:
        return self._upload is not None and not self._upload.ended

    def _finish(self) -> None:
        over, self._over = self._over, None
        keep = self._keep and not self.closing() and not self._rest  # an answer to no request would follow
        if self._upload is not None:
            keep = keep and self._upload.ended and not self._transport.get_write_buffer_size()
            self._let_go()
        if self._answer.detach() and keep:
            self._transport.resume_reading()
        if keep:
            self._pool.release(self)
        else:
            self._close()
        if over is not None and not over.done():
            over.set_result(None)

    def _close(self) -> None:
        """Politely, if nothing is left to be sent that an upstream may never read."""
        if not self.closing() and not self._transport.get_write_buffer_size():
            self._transport.close()
        else:
            self._transport.abort()

    def _let_go(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.detach()
