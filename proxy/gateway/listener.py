"""The local port: aiohttp's server with our tap on its octets.

A `Tap` owns the caller's connection. It reads strictly (`framing`), and for each request that it has judged
good it tells aiohttp's protocol so by one constant head. aiohttp then does what it does well: a task per
request that is cancelled when the caller goes, keep-alive and its time-out. None of the caller's octets ever
reach its parser, so there is nothing the two could read differently, and nothing it could echo or log.
"""

import asyncio
import socket
import struct
import sys
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Final, Protocol, cast

from aiohttp import StreamReader
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

# Not by way of `aiohttp.web`, which brings routes, files, WebSockets and argparse: 1.4 MiB nobody here needs.
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse
from aiohttp.web_server import Server

from proxy.clock import Clock, Timer, pause
from proxy.errors import RequestRefused
from proxy.gateway.exchange import Exchange
from proxy.gateway.framing import RequestHead, RequestReader
from proxy.gateway.relay import Relay, Relayed
from proxy.gateway.upload import Upload

HEAD_TIME: Final = 15.0
"""Seconds a head may take from its first octet; slowloris gets no more."""

IDLE_TIME: Final = 75.0
"""Seconds a kept connection may be silent."""

LINGER_TIME: Final = 2.0
"""Seconds for a caller to read our answer before octets it still sends meet a closed socket."""

MAX_DISCARDED: Final = 1024 * 1024
"""Bytes of a body that are read and dropped after an answer of ours, so that its connection can be kept."""

MAX_PIPELINED: Final = 64 * 1024
"""Octets of requests to come that wait for the answer to the present one."""

_NEXT_REQUEST: Final = b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
"""What aiohttp is told: a whole request without a body, and the one that its parser makes least of."""


MAX_REFUSED: Final = 24
"""Callers over the limit that may still read why they are refused, so that no reset takes the answer away."""


class Call:
    """One request of a caller.

    Attributes:
        head: as it came.
        upload: its body; None where there is none.
        tap: the connection it came on.
        started: seconds on the Clock.
        opening: fields that let the page which asked read the answer, ready to be sent.
        relay: what answers it, while an upstream does.
        connection: to the upstream, while its answer is under way.
        status: of the answer; 0: none yet.
        problem, request_id: of an answer of our own.
        sent: octets of an answer of our own.
        waited: seconds for a credential.
        repaired: whether it was sent again with a new one.
        keep_alive: whether its connection takes another request.
    """

    # No slots: nearly all of these stay what they are here, and are not set for each request.
    opening = b""
    relay: Relay | None = None
    connection: Exchange | None = None
    status = 0
    problem: str | None = None
    request_id = ""
    sent = 0
    waited = 0.0
    repaired = False
    keep_alive = False

    def __init__(self, head: RequestHead, upload: Upload | None, tap: "Tap", started: float) -> None:
        self.head = head
        self.upload = upload
        self.tap = tap
        self.started = started

    @property
    def unread(self) -> bool:
        """Whether octets of its body are still to come."""
        return self.upload is not None and not self.upload.ended

    @property
    def may_keep(self) -> bool:
        """Whether its connection can take another request after an answer of ours.

        Where a body is still to come, it has to be read first (RFC 9112 section 9.3): only a short one whose
        length is known is worth that. After `Expect` a caller may leave the body out.
        """
        if not self.head.keep_alive or self.upload is None or self.upload.ended:
            return self.head.keep_alive
        length = self.head.length
        if length is None or length - self.upload.size > MAX_DISCARDED:
            return False
        return not any(name == b"expect" for name, _ in self.head.notable)


class Service(Protocol):
    """What the listener's requests are for.

    Attributes:
        ending: answers are the last on their connections.
    """

    ending: bool

    async def forward(self, call: Call) -> Relayed:
        """Answer the call, by writing to its tap."""
        ...

    def refuse(self, tap: "Tap", error: RequestRefused) -> None:
        """Answer something that is no request."""
        ...

    def received(self, octets: int) -> None: ...

    @property
    def replay_buffer(self) -> int: ...


class Room:
    """Places for callers' connections, shared by listeners.

    Attributes:
        free: how many are left.
    """

    __slots__ = ("free",)

    def __init__(self, places: int) -> None:
        self.free = places


class Tap(asyncio.Protocol):
    """One caller's connection."""

    __slots__ = (
        "_ended",
        "_fault",
        "_inner",
        "_lingering",
        "_listener",
        "_paused",
        "_reader",
        "_resting",
        "_timer",
        "_uploading",
        "call",
        "request",
        "transport",
    )

    def __init__(self, listener: "Listener", inner: RequestHandler) -> None:
        self._listener = listener
        self._inner = inner
        self._reader = RequestReader()
        self._timer: Timer | None = None
        self._uploading: Upload | None = None
        self._ended = False  # no more will come, and yet it is not taken as gone
        self._fault: RequestRefused | None = None
        self._lingering: asyncio.Future[None] | None = None
        self.call: Call | None = None
        self.request: _Request | None = None
        self._paused = False  # the caller reads too slowly: its next request waits
        self._resting = False  # the rest of what has come is read in the next turn of the loop

    # -- what the connection says --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._listener.taps.add(self)
        self._inner.connection_made(transport)
        self._listener.room.free -= 1
        if self._listener.room.free < 0:
            self._fault = RequestRefused("too_many_callers", "The proxy has no room for another connection.")
            self._answer_fault(self._fault)
            if self._listener.room.free < -MAX_REFUSED:
                self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.taps.discard(self)
        self.request = None  # they know each other, and no collector is to look for them
        self._listener.room.free += 1
        self._stop_timer()
        self._end_linger()
        if self._uploading is not None:
            self._uploading.fail(_cut_short())
        self._inner.connection_lost(error)

    def eof_received(self) -> bool:
        """A caller that exits sends the same FIN as one that only stops sending: taken as gone.

        Not so where it has sent ahead: that is read to its end, for what comes before it is still answered.
        """
        refused = self._fault is not None or self._lingering is not None
        if self.call is not None and self._uploading is None and self._reader.buffered and not refused:
            self._ended = True
        elif not self._ended:
            self._inner.eof_received()
        return self._ended

    def pause_writing(self) -> None:
        self._paused = True
        self._inner.pause_writing()
        if self.call is not None and self.call.relay is not None:
            self.call.relay.pause()

    def resume_writing(self) -> None:
        self._paused = False
        self._inner.resume_writing()
        if self.call is None:
            self._next()
        elif self.call.relay is not None:
            self.call.relay.resume()

    def data_received(self, data: bytes) -> None:
        self._listener.service.received(len(data))
        if self._lingering is not None or self._fault is not None:
            return
        at_rest = self.call is None and self._uploading is None and not self._paused
        if at_rest and (head := self._reader.repeated(data)) is not None:
            self._begin(head)
            return
        self._reader.feed(data)
        if self._resting:
            self.transport.pause_reading()
        elif at_rest or self._uploading is not None:
            self._read()
        elif self._reader.buffered > MAX_PIPELINED:
            self.transport.pause_reading()

    # -- from octets to calls --

    def _read(self) -> None:
        try:
            if self._uploading is not None:
                self._read_body(self._uploading)
            if self.call is None and self._uploading is None and not self._paused:
                self._read_head()
        except RequestRefused as error:
            self._refuse(error)

    def _read_head(self) -> None:
        head = self._reader.head()
        if head is None:
            if self._timer is None and not self._reader.between_messages:
                self._timer = self._listener.clock.call_later(HEAD_TIME, self._too_slow)
            return
        self._begin(head)

    def _begin(self, head: RequestHead) -> None:
        if self._timer is not None:
            self._stop_timer()
        upload = None
        if head.has_body:
            keep = self._listener.service.replay_buffer
            self._uploading = upload = Upload(self, chunked=head.chunked, keep=keep)
        self.call = Call(head, upload, self, self._listener.clock.now())
        self._inner.data_received(_NEXT_REQUEST)
        if upload is not None:
            self._read_body(upload)
            if self._ended and not upload.ended:
                upload.fail(_cut_short())

    def _read_body(self, upload: Upload) -> None:
        octets, ended = self._reader.body()
        if ended:
            self._uploading = None
        elif self._reader.interrupted:
            self._rest()
        upload.feed(octets, last=ended)  # without octets too: a trailer that drips is no silence

    def _rest(self) -> None:
        """Let the other connections have their turn: libuv would read a ready stream 32 times in one."""
        self._resting = True
        self.transport.pause_reading()
        asyncio.get_running_loop().call_soon(self._rested)

    def _rested(self) -> None:
        self._resting = False
        upload = self._uploading
        if upload is None or self.transport.is_closing() or self._lingering is not None:
            return
        if not upload.held:
            self.transport.resume_reading()
        self._read()

    def _refuse(self, error: RequestRefused) -> None:
        """What cannot be read ends the connection; a request before it still gets its answer."""
        self._stop_timer()
        self._fault = error.with_traceback(None)
        if self._uploading is not None:
            self._uploading.fail(error)
        if self.call is None:
            self._answer_fault(error)

    def _answer_fault(self, error: RequestRefused) -> None:
        self._listener.service.refuse(self, error)
        self._begin_linger()
        self._timer = self._listener.clock.call_later(LINGER_TIME, self.transport.close)

    def _too_slow(self) -> None:
        self._timer = None
        self._refuse(RequestRefused("request_timeout", "The request's head did not arrive in time."))

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    # -- what the forwarder asks for --

    def write(self, octets: bytes) -> None:
        if not self.transport.is_closing():  # uvloop raises where the caller has just gone
            self.transport.write(octets)

    def hold_upload(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def release_upload(self) -> None:
        if not self._resting and not self.transport.is_closing():
            self.transport.resume_reading()

    @property
    def resets(self) -> bool:
        """Whether the caller sees it when its connection is cut: a Unix socket knows no RST."""
        sock = self.transport.get_extra_info("socket")
        return sock is not None and not _is_unix(sock)

    def reset(self) -> None:
        """Cut the connection so that nobody takes the answer for whole: RST, not FIN."""
        if self.resets:
            sock = self.transport.get_extra_info("socket")
            with suppress(OSError, ValueError):  # it is closed already
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def done(self, keep_alive: bool) -> None:
        """The call is answered; on with the next, if there is to be one."""
        if self.call is not None and self.call.upload is not None:
            self.call.upload.discard()
        self.call = None
        if self._reader.padded:
            self.transport.close()
        elif keep_alive and not self._paused and (self._ended or self._reader.buffered):
            self._next()

    def _next(self) -> None:
        if self._reader.buffered and self._lingering is None and not self.transport.is_closing():
            self.transport.resume_reading()
            self._read()
        if self._ended and self.call is None:
            self.transport.close()

    async def linger(self) -> None:
        """Let the caller read the answer to a request that it is still sending (RFC 9112 section 9.6)."""
        await pause(self._listener.clock, LINGER_TIME, self._begin_linger())

    def _begin_linger(self) -> "asyncio.Future[None]":
        self._lingering = asyncio.get_running_loop().create_future()
        self._uploading = None
        if self.transport.is_closing():
            self._lingering.set_result(None)
        else:
            self.transport.resume_reading()
            if self.transport.can_write_eof():
                self.transport.write_eof()
        return self._lingering

    def _end_linger(self) -> None:
        if self._lingering is not None and not self._lingering.done():
            self._lingering.set_result(None)


def _cut_short() -> RequestRefused:
    return RequestRefused("bad_request", "The request ended before its body did.")


def _is_unix(sock: socket.socket) -> bool:
    return sock.family == getattr(socket, "AF_UNIX", None)


class _Request(BaseRequest):
    """What aiohttp makes of the constant head: all would be alike, so a connection makes one.

    Attributes:
        tap: the connection.
    """

    tap: Tap


class Listener:
    """One upstream's port.

    Attributes:
        taps: its connections.
        room: for them, and those of the listeners it is shared with.
    """

    def __init__(self, service: Service, clock: Clock, room: Room | None = None) -> None:
        self.service = service
        self.room = room if room is not None else Room(sys.maxsize)
        self.clock = clock
        self.taps: set[Tap] = set()
        self._servers: list[asyncio.Server] = []
        self._factory = Server(
            self._handle,
            request_factory=self._request,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=IDLE_TIME,
        )

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept callers on bound sockets; from now on the event loop owns these."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            create = loop.create_unix_server if _is_unix(sock) else loop.create_server
            self._servers.append(await create(self._tap, sock=sock, backlog=1024))

    @property
    def sockets(self) -> list[socket.socket]:
        """Where callers are accepted."""
        return [sock for server in self._servers for sock in server.sockets]

    def _tap(self) -> Tap:
        return Tap(self, self._factory())

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> BaseRequest:
        tap = protocol.transport.get_protocol() if protocol.transport is not None else None
        if not isinstance(tap, Tap):
            raise ConnectionResetError
        if tap.request is None:
            tap.request = _Request(message, payload, protocol, writer, task, asyncio.get_running_loop())
            tap.request.tap = tap
        return tap.request

    def _handle(self, request: BaseRequest) -> Awaitable[StreamResponse]:
        if not isinstance(request, _Request) or request.tap.call is None:
            raise ConnectionResetError
        return self.service.forward(request.tap.call)

    def stop_accepting(self) -> None:
        for server in self._servers:
            server.close()

    def wind_down(self) -> None:
        """Close the connections on which nothing is under way; the others end with their next answer."""
        for tap in tuple(self.taps):
            if tap.call is None:
                tap.transport.close()
            elif tap.call.relay is not None and not tap.call.relay.begun:
                tap.call.relay.keep_alive = False

    @property
    def busy(self) -> int:
        """Calls that are being answered."""
        return sum(tap.call is not None for tap in self.taps)

    async def close(self) -> None:
        """Cut what is left."""
        self.stop_accepting()
        for tap in tuple(self.taps):
            tap.reset()
        await self._factory.shutdown(1.0)
