"""What one caller may take of time and memory."""

from typing import Final

from proxy.errors import RequestRefused
from proxy.gateway.caller_transport import CallerTransport, Port
from proxy.gateway.limit import MAX_BUFFERED, SILENT, SILENT_KEPT
from proxy.gateway.request_reader import RequestReader
from proxy.gateway.upload import Upload

HEAD_TIME: Final = 15.0
"""Seconds that a head may take from its first byte, against slowloris attacks."""

IDLE_TIME: Final = 75.0
"""Seconds a kept connection may be silent between two requests."""

LINGER_TIME: Final = 2.0
"""Seconds after a caller's last byte in which it may read our answer, before the connection is closed."""

LINGER_MAX: Final = 30.0
"""Seconds in all for that, as nginx has it (`lingering_time`)."""

MAX_PIPELINED: Final = 64 * 1024
"""Most bytes of pipelined requests that wait for the answer to the present one."""

MAX_REFUSED: Final = 32
"""So many callers over the limit get time to read why they are refused. The others may lose the answer."""


class LimitedCaller(CallerTransport):
    """A caller's connection with its limits of time and of unread bytes."""

    __slots__ = (
        "_charged",
        "_deaf",
        "_ended",
        "_fresh",
        "_now",
        "_reader",
        "_reading",
        "_since",
        "_uploading",
    )

    def __init__(self, port: Port, *, unix: bool) -> None:
        super().__init__(port, unix=unix)
        self._reader = RequestReader()
        self._uploading: Upload | None = None
        self._deaf = False  # further bytes are dropped
        self._ended = False  # there will be no more calls
        self._fresh = True  # there has been no call yet
        self._reading = False  # a part of a head was received
        self._now = port.clock.now  # looked up once
        self._since = self._now()  # start of the connection or of that head, or end of the last call
        self._charged = 0  # its share of the memory's `buffered`

    def _refuse(self, error: RequestRefused) -> None:
        """End the connection with an error, after the answer to a call that is under way."""
        raise NotImplementedError

    def _wake(self) -> None:
        """Let the task of the connection look at what has changed."""
        raise NotImplementedError

    def _charge(self, size: int) -> bool:
        """Count the unread bytes of this connection; return whether all connections keep to the budget."""
        memory = self._port.limit.memory
        memory.buffered += size - self._charged
        self._charged = size
        return memory.buffered <= MAX_BUFFERED

    def _keep_within_budget(self, size: int) -> None:
        if self._charge(size):
            return
        self._charge(0)
        error = RequestRefused("too_many_callers", "Too many callers have sent only a part of their request.")
        self._reader = RequestReader()
        self._refuse(error)
        if self._uploading is not None:
            self._uploading.discard()
            self._uploading.fail(error)

    def close_if_idle(self) -> None:
        """Close the connection unless a request is under way, or has begun to arrive.

        A stream of events that a GET has opened would never end. It is cut, and its client opens another.
        """
        call = self.call
        if call is None and self._reader.between_messages:
            self.transport.close()
        elif (
            call is not None and call.relay is not None and call.relay.endless and call.head.method == b"GET"
        ):
            self.reset()

    def gives_way(self) -> bool:
        """Close the connection in favour of a new one, if nothing has happened on it for a while."""
        silent = SILENT if self._fresh or self._reading else SILENT_KEPT
        if self.call is not None or self._deaf or self._now() - self._since < silent:
            return False
        self._deaf = True
        self.transport.abort()
        return True

    def look(self, now: float) -> None:
        """End the connection if a head, the next request or the reading of an answer takes too long, or if
        the caller has expired.

        The listener calls this every few seconds.
        """
        call = self.call
        if call is None and now - self._since >= self._allowed:
            self._overdue()
        elif call is not None and call.admission is not None and not self._port.service.admits(call):
            self.reset()
        if self._paused or self.transport.is_closing():
            self._look_at_unsent(now)

    @property
    def _allowed(self) -> float:
        """Seconds that the connection may wait for the caller now."""
        if self._reading:
            return HEAD_TIME
        return self._port.service.patience if self._fresh or self._uploading is not None else IDLE_TIME

    def _overdue(self) -> None:
        if self._reading and not self._deaf:
            self._refuse(RequestRefused("request_timeout", "The request's head did not arrive in time."))
        else:
            self._ended = True
            self._wake()
