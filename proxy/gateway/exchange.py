"""One request and its answer on one connection to the upstream.

Anything that is not exactly one good answer means that the connection is never used again.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from proxy.errors import RequestRefused
from proxy.gateway.answer_head import AnswerEnd, AnswerFields
from proxy.gateway.answer_reader import AnswerReader
from proxy.gateway.lost import ConnectionLost, too_late, unread, why_lost
from proxy.gateway.relay import Relay
from proxy.gateway.small_reads import read_little
from proxy.gateway.upload import Upload
from proxy.gateway.upstream_transport import Home, UpstreamTransport

IDLE_LIFE: Final = 15.0
"""Seconds that an unused connection is kept: less than Tomcat's 20, or a POST might get a closed one."""

MARGIN: Final = 1.0
"""Seconds before the end that the upstream's Keep-Alive names; half of them, if there are fewer than 2."""

FEW_PIECES: Final = 16
"""So many pieces in one read are not counted against the share."""


class Exchange(UpstreamTransport):
    """A connection to the upstream; `send_request` begins an exchange on it.

    Attributes:
        deadline: seconds on the Clock at which the present wait times out; the pool checks it.
        idle_life: seconds for which it is kept while it is not used.
        retire_at: seconds on the Clock after which it serves no further exchange.
        used: how many exchanges it has served.
        read_at: seconds on the Clock at which bytes were last read.
        closing: tells whether it is closed or closing.
    """

    __slots__ = (
        "_answer",
        "_done",
        "_memory",
        "_new_future",
        "_now",
        "_reader",
        "_timeouts",
        "_upload",
        "deadline",
        "idle_life",
        "read_at",
        "retire_at",
        "sent_at",
        "used",
    )

    def __init__(self, pool: Home) -> None:
        super().__init__(pool)
        self._done: asyncio.Future[float] | None = None
        self._upload: Upload | None = None
        self._reader = AnswerReader()
        # Kept here, because looking them up costs each request as much as a tenth of its parsing.
        self._now = pool.clock.now
        self._new_future: Callable[[], asyncio.Future[float]] = pool.loop.create_future
        self._timeouts = pool.timeouts
        self._memory = pool.memory
        self.deadline = 0.0
        self.idle_life = IDLE_LIFE
        self.retire_at = 0.0
        self.sent_at = 0.0
        self.read_at = 0.0
        self.used = 0

    # -- what the forwarder asks for --

    def send_request(
        self, head: bytes, relay: Relay, upload: Upload | None, to_head: bool, now: float
    ) -> "asyncio.Future[float]":
        """Send a request; its answer goes to the relay. `now` is in seconds on the Clock.

        Returns:
            Done when the answer is complete, or its head is a refusal that the relay holds; the result is
            when that was read, in seconds on the Clock. Fails with an UpstreamError, or with the
            RequestRefused of a body that turned out to be invalid.

        Raises:
            RequestRefused: as above, found before anything was sent.
        """
        limit = self._timeouts.response
        if upload is not None:
            try:
                head += upload.attach(self)
            except RequestRefused:
                self._pool.release(self, now)
                raise
            if not upload.ended:
                limit = self._timeouts.caller
        self._upload = upload
        self._answer = relay
        self._reader.expect(self, relay, to_head=to_head)
        self.used += 1
        self.sent_at = now
        self.deadline = now + limit
        self._done = over = self._new_future()
        self._transport.write(head)
        return over

    def send(self, chunk: bytes, *, last: bool) -> None:
        """Send the next piece of the request's body."""
        if self._done is None:
            return
        timeouts = self._timeouts
        self.deadline = self._now() + (timeouts.response if last else timeouts.caller)
        self._transport.write(chunk)

    def go_on(self, relay: Relay) -> "asyncio.Future[float]":
        """Forward a refusal that the relay held; returns as `send_request` does.

        The connection may serve another request by now.
        """
        relay.release()
        over = self._new_future()
        if self._answer is not relay or self._reader.complete:
            over.set_result(self._now())
        elif self._done is None:
            over.set_exception(
                ConnectionLost("it closed the connection in the middle of its answer.", stale=False)
            )
        else:
            self._done = over
            self.deadline = self._now() + self._timeouts.idle
            if not relay.paused:
                self.resume_reading()
        return over

    def abort(self) -> None:
        """Stop at once, so that the upstream does not take a request for whole."""
        self._done = None
        self._rest = b""
        self._reader.done()
        self._let_go()
        self._transport.abort()

    def cancel(self, relay: Relay) -> None:
        """Stop if the answer to this relay is under way. The connection may serve another one by now."""
        if self._done is not None and self._answer is relay:
            self.abort()

    def fail(self, error: Exception) -> None:
        """End the exchange with an error."""
        over = self._done
        self.abort()
        if over is not None and not over.done():
            over.set_exception(error)

    def expire(self) -> None:
        """Time out, because the deadline has passed."""
        if self._done is None:
            self._close()
        elif self._uploading and self._upload is not None and not self._upload.held:
            self.fail(
                RequestRefused("request_timeout", "The request's body stopped coming (caller_timeout).")
            )
        elif self._reader.begun:
            self.fail(too_late("body_timeout", self._pool.peer, "idle_timeout"))
        else:
            self.fail(too_late("answer_timeout", self._pool.peer, "response_timeout"))

    def stalled(self, now: float) -> float:
        """Return the seconds for which this exchange has waited for its caller; 0: it does not wait."""
        if self._done is None:
            return 0.0
        if self._uploading and self._upload is not None and not self._upload.held:
            return now - (self.deadline - self._timeouts.caller)
        if self._reader.begun and self._answer.paused:
            return now - (self.deadline - self._timeouts.idle)
        return 0.0

    # -- what the connection says --

    def pause_writing(self) -> None:
        self._stall(self._transport.get_write_buffer_size())
        if self._upload is not None:
            self._upload.pause()
            self.deadline = self._now() + self._timeouts.idle  # it waits for the upstream now

    def resume_writing(self) -> None:
        self._stall(0)
        if self._upload is not None:
            self._upload.resume()
            if not self._upload.ended:
                self.deadline = self._now() + self._timeouts.caller

    def data_received(self, data: bytes) -> None:
        if self._done is None:  # it answers no request (RFC 9112 section 9.2)
            self._transport.abort()
            return
        if self._rest:  # another object resumed reading before the turn
            self._rest += data
            return
        if self._reader.pieces > FEW_PIECES and self._pool.share.left <= 0:
            self._read_later(data)
            return
        self._read(data)

    def _read(self, data: bytes) -> None:
        self.read_at = now = self._now()  # read once, because each reading takes 1 % of a request
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
        self.deadline = math.inf if relay.endless else now + self._timeouts.idle
        if self._memory.scarce and not self._little:
            self._little = True
            read_little(self._transport, self, little=True)
        over = self._done
        if relay.held and not relay.undecided and over is not None and not over.done():
            self._transport.pause_reading()
            over.set_result(now)

    def eof_received(self) -> None:
        self._read_rest()
        if self._done is not None and self._reader.feed_eof():
            self.read_at = self._now()
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
            over.set_exception(
                why_lost(error, self._pool.peer, received=self._reader.received, used=self.used)
            )

    def answer_begins(self, status: int, fields: AnswerFields, end: AnswerEnd) -> None:
        """Begin to forward the final answer, whose head was read."""
        self._pool.tally.response_seconds.observe(self.read_at - self.sent_at)
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
        """Read what waits for a later turn, because the connection ends."""
        while self._rest and self._done is not None:
            rest, self._rest = self._rest, b""
            self._read(rest)

    def _read_unread(self) -> None:
        """Read the bytes that the system has received and the transport has not read.

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
        # Further bytes would be an answer without a request.
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
            self._pool.release(self, self.read_at)
        else:
            self._close()
        if over is not None and not over.done():
            over.set_result(self.read_at)

    def _let_go(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.detach()
