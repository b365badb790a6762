"""One request and its answer on one connection to the upstream.

Anything that is not exactly one good answer means that the connection is never used again.
"""

import asyncio
import errno
import os
from dataclasses import dataclass
from typing import Final, Protocol, cast

from proxy.clock import Clock
from proxy.errors import RequestRefused, UpstreamClosed, UpstreamTimeout, UpstreamTLS
from proxy.gateway.answer_head import AnswerEnd, AnswerFields
from proxy.gateway.answer_reader import AnswerReader
from proxy.gateway.limit import Memory
from proxy.gateway.relay import Relay
from proxy.gateway.share import Share
from proxy.gateway.small_reads import read_little
from proxy.gateway.tally import Tally
from proxy.gateway.upload import Upload
from proxy.outgoing.alerts import explain, tls_error

IDLE_LIFE: Final = 15.0
"""Seconds an unused connection is kept: below Tomcat's 20, so that a POST seldom meets a closed one."""

MARGIN: Final = 1.0
"""Seconds before the end that the upstream's Keep-Alive names; half of them, if there are fewer than 2."""

FEW_PIECES: Final = 16
"""So many in one read are not counted."""


def unread(descriptor: int) -> bytes:
    """The next bytes that wait in a socket that does not block; empty: there are none."""
    try:
        return os.read(descriptor, 65536)
    except OSError:  # nothing, the peer's reset, or (Windows) a socket is no file
        return b""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: connect with TLS; until the response head; between two bytes of the upstream's; between two
    bytes of a request's body from the caller."""

    connect: float = 5.0
    response: float = 600.0
    idle: float = 600.0
    caller: float = 60.0


class Home(Protocol):
    """The pool that a connection belongs to, as far as an exchange needs it.

    Attributes:
        share: of each turn of the event loop, for very small chunks.
        memory: of all connections, for bytes that wait for a peer.
    """

    timeouts: Timeouts
    clock: Clock
    tally: Tally
    loop: asyncio.AbstractEventLoop
    share: Share
    memory: Memory

    def release(self, connection: "Exchange") -> None:
        """The connection may be used again."""
        ...

    def lost(self, connection: "Exchange") -> None:
        """The connection is closed."""
        ...


class ConnectionLost(UpstreamClosed):
    """The connection ended before the answer did.

    Attributes:
        code: of a TLS failure or of a time-out, where the connection says that it ended for that.
        stale: it had been used before, and not one byte of an answer came: the upstream may have closed it
            before it saw the request (RFC 9110 section 9.2.2).
    """

    def __init__(self, message: str, *, stale: bool) -> None:
        super().__init__(message)
        self.stale = stale


class Exchange(asyncio.Protocol):
    """A connection to the upstream; `send_request` begins an exchange on it.

    Attributes:
        deadline: seconds on the Clock after which what is awaited is too late; the pool looks at it.
        idle_life: seconds for which it is kept while it is not used.
        retire_at: seconds on the Clock after which it serves no further exchange.
        used: how many exchanges it has served.
        closing: tells whether it is closed, or about to be. The transport's own, without a frame of Python's.
    """

    __slots__ = (
        "_answer",
        "_done",
        "_little",
        "_pool",
        "_reader",
        "_rest",
        "_stalled",
        "_transport",
        "_upload",
        "closing",
        "deadline",
        "idle_life",
        "retire_at",
        "sent_at",
        "used",
    )

    def __init__(self, pool: Home) -> None:
        self._pool = pool
        self._done: asyncio.Future[None] | None = None
        self._upload: Upload | None = None
        self._reader = AnswerReader()
        self._rest = b""
        self._little = False  # it reads little at once
        self._stalled = 0  # bytes that wait for the upstream, while it does not read
        self.deadline = 0.0
        self.idle_life = IDLE_LIFE
        self.retire_at = 0.0
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
        self._reader.expect(self, relay, to_head=to_head)
        self.used += 1
        self.sent_at = now = pool.clock.now()
        self.deadline = now + limit
        self._done = over = pool.loop.create_future()
        self._transport.write(head)
        return over

    def send(self, chunk: bytes, *, last: bool) -> None:
        """The next piece of the request's body."""
        if self._done is None:
            return
        timeouts = self._pool.timeouts
        self.deadline = self._pool.clock.now() + (timeouts.response if last else timeouts.caller)
        self._transport.write(chunk)

    def go_on(self, relay: Relay) -> "asyncio.Future[None]":
        """Pass on a refusal that the relay held; as `send_request`.

        The connection may serve another request by now.
        """
        relay.release()
        over: asyncio.Future[None] = self._pool.loop.create_future()
        if self._answer is not relay or self._reader.complete:
            over.set_result(None)
        elif self._done is None:
            over.set_exception(
                ConnectionLost("it closed the connection in the middle of its answer.", stale=False)
            )
        else:
            self._done = over
            self.deadline = self._pool.clock.now() + self._pool.timeouts.idle
            if not relay.paused:
                self.resume_reading()
        return over

    def abort(self) -> None:
        """Stop at once, whatever is under way: the upstream must not take it for whole."""
        self._done = None
        self._rest = b""
        self._reader.done()
        self._let_go()
        self._transport.abort()

    def cancel(self, relay: Relay) -> None:
        """Stop, if the answer to this relay is still under way; the connection may serve another by now."""
        if self._done is not None and self._answer is relay:
            self.abort()

    def fail(self, error: Exception) -> None:
        """End the exchange with an error."""
        over = self._done
        self.abort()
        if over is not None and not over.done():
            over.set_exception(error)

    def expire(self) -> None:
        """The deadline has passed."""
        if self._done is None:
            self._close()
        elif self._uploading and self._upload is not None and not self._upload.held:
            self.fail(
                RequestRefused("request_timeout", "The request's body stopped coming (caller_timeout).")
            )
        elif self._reader.begun:
            self.fail(UpstreamTimeout("no byte of the answer's body came in time (idle_timeout)."))
        else:
            self.fail(UpstreamTimeout("no answer came in time (response_timeout)."))

    def stalled(self, now: float) -> float:
        """Seconds for which the caller has kept this exchange waiting; 0: it does not."""
        if self._done is None:
            return 0.0
        if self._uploading and self._upload is not None and not self._upload.held:
            return now - (self.deadline - self._pool.timeouts.caller)
        if self._reader.begun and self._answer.paused:
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
        self._stall(self._transport.get_write_buffer_size())
        if self._upload is not None:
            self._upload.pause()
            self.deadline = self._pool.clock.now() + self._pool.timeouts.idle  # the upstream is waited for

    def _stall(self, size: int) -> None:
        self._pool.memory.stalled += size - self._stalled
        self._stalled = size

    def resume_writing(self) -> None:
        self._stall(0)
        if self._upload is not None:
            self._upload.resume()
            if not self._upload.ended:
                self.deadline = self._pool.clock.now() + self._pool.timeouts.caller

    def data_received(self, data: bytes) -> None:
        if self._done is None:  # nobody asked: no answer to anything (RFC 9112 section 9.2)
            self._transport.abort()
            return
        if self._rest:  # reading was resumed by others, before its turn
            self._rest += data
            return
        if self._reader.pieces > FEW_PIECES and self._pool.share.left <= 0:
            self._read_later(data)
            return
        self._read(data)

    def _read(self, data: bytes) -> None:
        reader = self._reader
        if rest := reader.feed(data):
            self._read_later(rest)
        if reader.pieces > FEW_PIECES:
            self._pool.share.spend(reader.pieces)
        if reader.fault is not None and not reader.complete:
            self.fail(reader.fault)
            return
        if not reader.begun:
            return
        relay = self._answer
        relay.flush()
        if reader.complete:
            self._finish()
            return
        self.deadline = self._pool.clock.now() + self._pool.timeouts.idle
        if self._pool.memory.scarce and not self._little:
            self._little = True
            read_little(self._transport, self, little=True)
        over = self._done
        if relay.held and not relay.undecided and over is not None and not over.done():
            self._transport.pause_reading()
            over.set_result(None)

    def eof_received(self) -> None:
        self._read_rest()
        if self._done is not None and self._reader.feed_eof():
            self._answer.flush()
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        self._stall(0)
        self._read_rest()
        if self._done is not None and self._upload is not None:
            self._read_unread()
        self._pool.lost(self)
        over, self._done = self._done, None
        self._let_go()
        if over is not None and not over.done():
            over.set_exception(self._why_lost(error))

    def _why_lost(self, error: Exception | None) -> "ConnectionLost":
        received = self._reader.received
        stale = self.used > 1 and not received
        when = "in the middle of its answer" if received else "before it answered"
        if (tls := tls_error(error)) is not None:
            lost = ConnectionLost(f"{explain(tls)}.", stale=stale)
            lost.code = UpstreamTLS.code
        elif isinstance(error, OSError) and error.errno == errno.ETIMEDOUT:
            lost = ConnectionLost(f"it vanished {when}: no packet of it arrived any more.", stale=stale)
            lost.code = UpstreamTimeout.code
        else:
            lost = ConnectionLost(f"it closed the connection {when}.", stale=stale)
        return lost

    def answer_begins(self, status: int, fields: AnswerFields, end: AnswerEnd) -> None:
        """The head of the final answer has been read."""
        pool = self._pool
        pool.tally.response_seconds.observe(pool.clock.now() - self.sent_at)
        if fields.idle_life is not None:
            self.idle_life = min(IDLE_LIFE, max(fields.idle_life - MARGIN, fields.idle_life / 2))
        self._answer.begin(self, status, fields, end, more=self._uploading)

    # -- what waits for another turn of the event loop --

    def _read_later(self, data: bytes) -> None:
        self._rest = data
        self._transport.pause_reading()
        self._pool.share.later(self._rested)

    def _rested(self) -> None:
        if self._rest and not self.closing():
            rest, self._rest = self._rest, b""
            relay = self._answer
            if not relay.paused and (not relay.held or relay.undecided):
                self._transport.resume_reading()
            self._read(rest)

    def _read_rest(self) -> None:
        """The connection ends: what has come counts as it would have in its turn."""
        while self._rest and self._done is not None:
            rest, self._rest = self._rest, b""
            self._read(rest)

    def _read_unread(self) -> None:
        """Read what the system has received and the transport has not read.

        An upstream that refuses an upload answers and closes, so our next write fails, and a write that fails
        ends the transport. Its file is still open in here (RFC 9112 section 9.5).
        """
        sock = self._transport.get_extra_info("socket")
        while self._done is not None and sock is not None:
            if not (data := unread(sock.fileno())):
                return
            self._read(data)

    # -- the end --

    @property
    def _uploading(self) -> bool:
        return self._upload is not None and not self._upload.ended

    def _finish(self) -> None:
        over, self._done = self._done, None
        self._reader.done()
        # Were there a rest, it would be the answer to no request.
        keep = self._reader.keep and not self.closing() and not self._rest
        if self._little and keep:
            self._little = False
            read_little(self._transport, self, little=False)
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
