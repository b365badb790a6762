"""Forwards a request's body to the upstream, and keeps a part of it so that it can be sent again."""

import asyncio
from typing import Protocol

from proxy.errors import RequestRefused
from proxy.gateway.limit import KEPT_FREELY, Memory

UNSENT_LIMIT = 64 * 1024
"""Most bytes that wait for an upstream connection before the caller is paused; fewer if memory is scarce."""

COLLECTED = 1024 * 1024
"""Most bytes of a body that are waited for after its request has failed (`Upload.collect`)."""


class Sink(Protocol):
    """The upstream connection that the body is written to."""

    def send(self, data: bytes, *, last: bool) -> None: ...

    def fail(self, error: Exception) -> None: ...


class Flow(Protocol):
    """The caller's connection: pauses and resumes its sending."""

    def hold_upload(self) -> None: ...

    def release_upload(self) -> None: ...


class Upload:
    """A body. `feed` takes pieces and writes them to the sink at once; nothing is copied twice.

    Attributes:
        ended: whether the body was received to its end.
        fault: why the rest cannot be received; None: nothing is wrong.
        held: whether the caller is paused because the sink is full.
        size: bytes received so far.
    """

    __slots__ = (
        "_charged",
        "_chunked",
        "_collector",
        "_discarded",
        "_flow",
        "_keep",
        "_kept",
        "_memory",
        "_most",
        "_sink",
        "ended",
        "fault",
        "held",
        "size",
    )

    def __init__(self, flow: Flow, *, chunked: bool, keep: int, memory: Memory) -> None:
        self._flow = flow
        self._chunked = chunked
        self._keep = keep
        self._memory = memory
        self._charged = 0  # its part of the memory's `kept`
        self._kept: list[bytes] | None = []
        self.size = 0
        self._sink: Sink | None = None
        self._discarded = False
        self._most = COLLECTED
        self._collector: asyncio.Future[None] | None = None
        self.ended = False
        self.fault: RequestRefused | None = None
        self.held = False

    @property
    def replayable(self) -> bool:
        """Whether all bytes received so far are still kept."""
        return self._kept is not None

    @property
    def waiting(self) -> bool:
        """Whether it waits for a sink."""
        return self._sink is None and not self._discarded

    def feed(self, data: bytes, *, last: bool) -> None:
        """Take the next piece, decoded, from the caller."""
        wire = self._framed(data, last=last)
        self.ended = last
        self.size += len(data)
        if self._kept is not None and wire:
            if self._sink is None or self._may_keep(len(data)):
                self._kept.append(wire)
            else:
                self._drop_kept()
        if self._collector is not None:
            if last or self._kept is None or self.size > self._most:
                self._collected()
        elif self._sink is not None:
            self._sink.send(wire, last=last)
        elif (self.size > UNSENT_LIMIT or self._memory.scarce) and not self._discarded:
            self._flow.hold_upload()

    def _may_keep(self, size: int) -> bool:
        if self.size <= min(self._keep, KEPT_FREELY):
            return True
        if self.size > self._keep or not self._memory.keep(size):
            return False
        self._charged += size
        return True

    def _drop_kept(self) -> None:
        self._kept = None
        self._memory.kept -= self._charged
        self._charged = 0

    def _framed(self, data: bytes, *, last: bool) -> bytes:
        if not self._chunked:
            return data
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return chunk + b"0\r\n\r\n" if last else chunk

    def attach(self, sink: Sink) -> bytes:
        """Write to this sink from now on; return the earlier bytes, to be sent with the head.

        Raises:
            RequestRefused: the body turned out to be no valid one.
        """
        if self.fault is not None:
            raise self.fault
        if self._kept is None:
            raise AssertionError("a body that is no longer whole was to be sent again")
        before = b"".join(self._kept)
        if not (self._charged or self._may_keep(self.size)):
            self._drop_kept()
        self._sink = sink
        self.resume()
        return before

    def detach(self) -> None:
        """Stop writing. Further pieces are kept for a replay if all earlier ones were, else dropped."""
        self._sink = None
        self.resume()

    def collect(self, done: "asyncio.Future[None]", most: int = COLLECTED) -> None:
        """Keep the rest of the body instead of sending it; set `done` when it is received, or is too long.

        Args:
            most: bytes that are not too long.
        """
        self._sink = None
        self._most = most
        if self.ended or self._kept is None or self.size > most or self.fault is not None:
            done.set_result(None)
        else:
            self._collector = done
        self.resume()

    def _collected(self) -> None:
        if self._collector is not None and not self._collector.done():
            self._collector.set_result(None)

    @property
    def whole(self) -> bytes | None:
        """The body, without its framing; None: not all of it was received, or not all is kept."""
        if self._kept is None or not self.ended:
            return None
        return b"".join(map(_unframed, self._kept) if self._chunked else self._kept)

    def discard(self) -> None:
        """Drop all bytes, also further ones, and let the caller send, because the request is answered."""
        self._drop_kept()
        self._discarded = True
        self.resume()

    def fail(self, error: RequestRefused) -> None:
        """The rest cannot be received: end the upstream request so that it does not look complete."""
        self.fault = error
        self._collected()
        if self._sink is not None:
            self._sink.fail(error)

    def pause(self) -> None:
        """Pause the caller, because the sink is full."""
        self.held = True
        self._flow.hold_upload()

    def resume(self) -> None:
        self.held = False
        self._flow.release_upload()


def _unframed(chunk: bytes) -> bytes:
    """Return the data of one chunk that `_framed` has made, or of the last one, which has none."""
    size, _, rest = chunk.partition(b"\r\n")
    return rest[: int(size, 16)]
