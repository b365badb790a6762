"""Sends the state to the pages that are open, as server-sent events (WHATWG HTML, "Server-sent events").

Each second there is one event, which is made once for all of them. Nothing is sent and nothing is made while
no page is open.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Final

from proxy.admin.documents import PLAIN
from proxy.admin.status import Json
from proxy.clock import Clock, Timer
from proxy.errors import RequestRefused
from proxy.gateway.call import AnswerSink, Call
from proxy.gateway.problems import own_head

STREAMS: Final = 16
"""Most pages at once."""

EACH: Final = 1.0
"""Seconds between two events."""

SLOW: Final = 10
"""Events that a caller may leave unread, before its stream is cut."""

KEPT: Final = 300
"""Seconds that sampling goes on when the last page was closed, so that the next one shows what was before."""


class Events:
    """The streams of all open pages.

    Args:
        sample: is called each second while a page is open, and KEPT seconds after that.
        whole: makes an event that a new page can begin with.
        news: makes an event for pages that have got all events before it.
        forget: is called when the sampling ends.
    """

    def __init__(
        self,
        clock: Clock,
        sample: Callable[[], object],
        whole: Callable[[], Json],
        news: Callable[[], Json],
        forget: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._sample = sample
        self._whole = whole
        self._news = news
        self._forget = forget
        self._readers: set[_Reader] = set()
        self._timer: Timer | None = None
        self._unread_for = 0
        self._made: bytes | None = None  # the event that a new page begins with, until the next tick

    def check(self) -> None:
        """Refuse another stream if there are too many.

        Raises:
            RequestRefused: `too_many_callers`.
        """
        if len(self._readers) >= STREAMS:
            raise RequestRefused(
                "too_many_callers",
                f"{STREAMS} pages are open already. Close one; a page in a hidden tab does not count.",
            )

    async def answer(self, call: Call, date: str) -> None:
        """Send events until the caller leaves or the port closes; see `Stream`."""
        head = call.head
        call.last = True
        chunked = head.minor == 1
        coding = ("Transfer-Encoding: chunked",) if chunked else ()
        lines = ("Content-Type: text/event-stream", *coding, *PLAIN)
        begin = own_head(200, date, *lines, keep_alive=False, minor=head.minor) + b"\r\n"
        call.caller.write(begin)
        if head.method == b"HEAD":
            return
        reader = _Reader(call.caller, asyncio.get_running_loop().create_future(), chunked=chunked)
        self._readers.add(reader)
        if self._timer is None:
            self._tick()
        else:
            reader.send(self._whole_event())
        try:
            await reader.ended
        finally:
            self._readers.discard(reader)

    def _tick(self) -> None:
        # Set before anything can fail, because without it no page would get another event.
        self._timer = self._clock.call_later(EACH, self._tick)
        self._made = None
        self._sample()
        self._unread_for = 0 if self._readers else self._unread_for + 1
        if self._unread_for > KEPT:
            self._timer.cancel()
            self._timer = None
            self._forget()
        if not self._readers:
            return
        news = _event(self._news())
        for reader in tuple(self._readers):
            if reader.ready():
                reader.send(self._whole_event() if reader.missed else news)

    def _whole_event(self) -> bytes:
        if self._made is None:
            self._made = _event(self._whole())
        return self._made


class _Reader:
    """One stream.

    Attributes:
        ended: done when it has to end.
        missed: whether it lacks an event before the next one.
    """

    def __init__(self, caller: AnswerSink, ended: "asyncio.Future[None]", *, chunked: bool) -> None:
        self.ended = ended
        self.missed = True
        self._caller = caller
        self._chunked = chunked
        self._unread = 0

    def ready(self) -> bool:
        """Tell whether the stream can take an event now; end it if its port closes, cut it if it is slow."""
        if self.ended.done():
            return False
        if self._caller.ends:
            if self._chunked:
                self._caller.write(b"0\r\n\r\n")
            self.ended.set_result(None)
            return False
        if not self._caller.paused:
            self._unread = 0
            return True
        self.missed = True
        self._unread += 1
        if self._unread >= SLOW:
            self._caller.reset()
            self.ended.set_result(None)
        return False

    def send(self, event: bytes) -> None:
        self.missed = False
        self._caller.write(b"%x\r\n%b\r\n" % (len(event), event) if self._chunked else event)


def _event(document: Json) -> bytes:
    return b"data: %b\n\n" % json.dumps(document, separators=(",", ":")).encode()
