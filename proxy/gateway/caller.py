"""A caller's connection: reads calls from it, one after the other, and answers each.

A `CallerConnection` owns the connection. It reads strictly (`request_reader`), and `serve` answers call after
call in the task that aiohttp made for the connection (see `listener`).
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from proxy.clock import pause
from proxy.errors import RequestRefused
from proxy.gateway.call import Call
from proxy.gateway.caller_limits import (
    LINGER_MAX,
    LINGER_TIME,
    MAX_PIPELINED,
    MAX_REFUSED,
    LimitedCaller,
)
from proxy.gateway.caller_transport import Port
from proxy.gateway.limit import KEPT_FREELY
from proxy.gateway.problems import GO_AWAY, HTTP2
from proxy.gateway.request_head import RequestHead
from proxy.gateway.request_reader import MAX_STEPS
from proxy.gateway.small_reads import read_little
from proxy.gateway.upload import Upload

log = logging.getLogger(__name__)


class Inner(Protocol):
    """aiohttp's protocol: it owns the task of `serve`, and cancels it when the connection is lost."""

    def connection_lost(self, exc: BaseException | None) -> None: ...


class CallerConnection(LimitedCaller):
    """One caller's connection.

    Args:
        begin: makes aiohttp run `serve` in a task of its own.
        unix: whether the connection is one of a Unix socket.

    Attributes:
        call: the call that is being answered; None: the connection waits for a request.
    """

    __slots__ = (
        "_awaited",
        "_begin",
        "_dropped",
        "_fault",
        "_inner",
        "_loop",
    )

    def __init__(
        self,
        port: Port,
        loop: asyncio.AbstractEventLoop,
        begin: "Callable[[CallerConnection], Inner]",
        *,
        unix: bool,
    ) -> None:
        super().__init__(port, unix=unix)
        self._loop = loop
        self._begin = begin
        self._inner: Inner | None = None
        self._awaited: asyncio.Future[None] | None = None  # `serve` waits for a call, or for the end
        self._fault: RequestRefused | None = None  # why the next bytes are not a request
        self._dropped = False  # bytes were dropped since it was set to False

    # -- what the connection says --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        port = self._port
        port.connections.add(self)
        if not port.limit.admit(self):
            error = RequestRefused("too_many_callers", "The proxy has no room for another connection.")
            self._refuse(error)
        elif port.limit.memory.scarce:
            self._little = True
            read_little(self.transport, self, little=True)
        self._inner = self._begin(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._port.connections.discard(self)
        self._port.limit.leave(self)
        self._stall(0)
        if self._charged:
            self._charge(0)
        if self._uploading is not None:
            self._uploading.fail(_cut_short())
        if self.call is not None and self.call.upload is not None:
            self.call.upload.discard()
        inner, self._inner = self._inner, None  # it refers to this connection
        if inner is not None:
            inner.connection_lost(error)

    def eof_received(self) -> bool:
        """A caller that exits sends the same FIN as one that only stops sending: it is taken as gone.

        There are two exceptions. If it has sent requests ahead, these are read and answered. And an answer of
        our own that needs no waiting is given, as nginx does (`printf ... | nc -N`).
        """
        if self.call is not None and self._uploading is None and not self._deaf:
            self._ended = self._ended or bool(self._reader.buffered)
            if not self._ended:
                self._loop.call_soon(self._close_after_eof)
            return True
        return self._ended

    def _close_after_eof(self, turns: int = 8) -> None:
        """Close after the last request has had its turn: an answer of our own is written by then."""
        if self.call is not None and self.call.relay is None and turns:
            self._loop.call_soon(self._close_after_eof, turns - 1)
        elif not self.transport.is_closing():
            self.transport.close()

    def resume_writing(self) -> None:
        self._paused = False
        self._stall(0)
        if self.call is None:
            self._read_on()
        elif self.call.relay is not None:
            self.call.relay.resume()

    def data_received(self, data: bytes) -> None:
        self._port.service.received(len(data))
        if self._deaf:
            self._dropped = True
            return
        self._reader.feed(data)
        if self._resting:
            self.transport.pause_reading()
        elif self._uploading is not None:
            if self._little is not self._port.limit.memory.scarce:
                self._little = not self._little
                read_little(self.transport, self, little=self._little)
            if self._reader.interrupted and self._port.share.left <= 0:
                self._rest()
            else:
                self._read_body(self._uploading)
        elif self.call is None and not self._paused:
            self._read_head()
        else:
            self._keep_sent_ahead()

    # -- call after call --

    async def serve(self) -> None:
        """Answer call after call, until the connection must end; then close it.

        Raises only when it is cancelled, because the caller has gone.
        """
        try:
            while (call := await self._next()) is not None:
                await self._port.service.forward(call)
                last = call.last or self._reader.padded
                if call.upload is not None:
                    call.upload.discard()
                if last and self._may_be_sending(call):
                    await self._linger()
                self.call = None
                self._since = call.ended or self._now()
                if self._charged:
                    self._charge(0)
                if last:
                    break
            if call is None and self._fault is not None:
                self._answer_fault(self._fault)
                await self._linger()
        except Exception:
            # It would end the task without an answer, and asyncio would log it when the task is collected.
            log.exception("a fault in the proxy, not in a request")
            self.reset()
        self.transport.close()

    async def _next(self) -> Call | None:
        """Wait for the next call. None: there will be none. Then `_fault` may say why."""
        if self._comes_at_once():
            await asyncio.sleep(0)  # let other connections have their turn first
        while self.call is None:
            if self._fault is not None:
                return None
            if not self._paused and (self._ended or (self._port.closing and self._reader.between_messages)):
                return None
            self._awaited = self._loop.create_future()
            await self._awaited
        return self.call

    def _answer_fault(self, fault: RequestRefused) -> None:
        """Answer bytes that are not a request, or arrive too slowly."""
        if HTTP2.match(self._reader.unread):
            self.write(GO_AWAY)
        else:
            fault = _tls_hello(self._reader.unread) or fault
            self._port.service.refuse(self, fault, self._reader.unread)

    def _may_be_sending(self, call: Call) -> bool:
        """Whether the caller may still send. Closing could then discard the answer before it is read.

        On a Unix socket any byte that arrives after the close does that.
        """
        return call.unread or self._reader.buffered > 0 or not self.resets

    async def _linger(self) -> None:
        """Drop what the caller still sends, so that it can read the answer (RFC 9112 section 9.6)."""
        self._deaf = True
        self._uploading = None
        if self._port.limit.free < -MAX_REFUSED or self.transport.is_closing():
            return
        self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        clock = self._port.clock
        until = clock.now() + LINGER_MAX
        self._dropped = True
        while self._dropped and (left := until - clock.now()) > 0:
            self._dropped = False
            await pause(clock, min(LINGER_TIME, left))

    # -- from bytes to calls --

    def _comes_at_once(self) -> bool:
        """Whether the next call was received while the last one was answered."""
        before = self.call
        if before is None and not self._paused:
            self._read_on()
        return self.call is not before

    def _read_on(self) -> None:
        """Continue with the bytes that the caller sent ahead."""
        if self._reader.buffered and not self._deaf and not self.transport.is_closing():
            self.transport.resume_reading()
            if self._uploading is None:
                self._read_head()
        elif self._ended:
            self._wake()

    def _read_head(self) -> None:
        """Begin the next call, if its head is complete."""
        try:
            head = self._reader.head()
        except RequestRefused as error:
            self._refuse(error)
            return
        if head is not None:
            self._begin_call(head)
            self._wake()
            if self._reader.buffered and self._uploading is None:
                self._keep_sent_ahead()
        elif self._ended:
            self._wake()
        elif not self._reader.between_messages:
            if not self._reading:
                self._reading = True
                self._since = self._now()
            self._keep_within_budget(self._reader.buffered)

    def _begin_call(self, head: RequestHead) -> None:
        self._reading = self._fresh = False
        upload = None
        if head.has_body:
            keep, memory = self._port.service.replay_buffer, self._port.limit.memory
            if head.length is not None and head.length > keep:  # it will not fit, so do not fill the memory
                keep = min(keep, KEPT_FREELY)
            upload = Upload(self, chunked=head.chunked, keep=keep, memory=memory)
            self._uploading = upload
        self.call = Call(head, upload, self, self._now())
        if self._charged:
            self._charge(0)
        if upload is not None:
            self._read_body(upload)
            if self._ended and not upload.ended:
                upload.fail(_cut_short())

    def _read_body(self, upload: Upload) -> None:
        try:
            chunk, ended = self._reader.body()
        except RequestRefused as error:  # the call gets this as its answer, because its body is broken
            self._refuse(error)
            upload.fail(error)
            return
        if ended:
            self._uploading = None
        elif self._reader.interrupted:
            self._port.share.spend(MAX_STEPS // 3)
            self._rest()
        upload.feed(chunk, last=ended)  # also without bytes, because a slow trailer is not silence
        if upload.waiting:
            self._keep_within_budget(upload.size)
        elif ended and self.call is None:  # it was dropped
            self._read_on()

    def _keep_sent_ahead(self) -> None:
        if self._reader.buffered > MAX_PIPELINED:
            self.transport.pause_reading()
        self._keep_within_budget(self._reader.buffered)

    def _rest(self) -> None:
        """Stop reading for this turn of the loop. libuv would read a ready stream up to 32 times in it."""
        self._resting = True
        self.transport.pause_reading()
        self._port.share.later(self._rested)

    def _rested(self) -> None:
        self._resting = False
        upload = self._uploading
        if upload is None or self.transport.is_closing():
            return
        if not upload.held:
            self.transport.resume_reading()
        self._read_body(upload)

    def _refuse(self, error: RequestRefused) -> None:
        """End the connection with an error, after the answer to a call that is under way."""
        self._fault = error.with_traceback(None)
        self._deaf = True
        self._wake()

    def refuse(self, error: RequestRefused, raw: bytes) -> None:
        """End the connection with an error; `raw` is what was received."""
        self._reader.feed(raw)
        self._refuse(error)

    def _wake(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)

    # -- what the forwarder asks for --

    @property
    def ends(self) -> bool:
        """Whether the connection must end with the present answer, because its port is closing. If a further
        request was sent ahead, that one is answered first."""
        return self._port.ending and (self._uploading is not None or self._reader.between_messages)


def _tls_hello(data: bytes) -> RequestRefused | None:
    """Return the error for a client that began a TLS handshake (RFC 8446 section 5.1); None: it did not."""
    if data[:2] != b"\x16\x03":
        return None
    return RequestRefused(
        "bad_request",
        "The client began a TLS handshake, but this port has no TLS: use http://, or set upstreams.NAME."
        "listen_tls.",
    )


def _cut_short() -> RequestRefused:
    return RequestRefused("bad_request", "The request ended before its body did.")
