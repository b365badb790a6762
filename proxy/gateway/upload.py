"""A request's body on its way upstream, and what is kept of it so that it can be sent again."""

from typing import Protocol

from proxy.errors import RequestRefused
from proxy.gateway.limit import KEPT_FREELY, Memory

UNSENT_LIMIT = 64 * 1024
"""Bytes that may wait for an upstream connection before the caller is told to wait."""


class Sink(Protocol):
    """Where the body goes: a connection to the upstream."""

    def send(self, data: bytes, *, last: bool) -> None: ...

    def fail(self, error: Exception) -> None: ...


class Flow(Protocol):
    """The caller's connection, as far as the speed of its sending goes."""

    def hold_upload(self) -> None: ...

    def release_upload(self) -> None: ...


class Upload:
    """Pieces come in with `feed` and leave through the sink in the same step; nothing is copied twice.

    Attributes:
        ended: whether all of the body has come.
        fault: why no more of it will come; None: nothing is wrong.
        held: whether the sink takes no more at the moment.
        size: bytes that have come so far.
    """

    __slots__ = (
        "_charged",
        "_chunked",
        "_discarded",
        "_flow",
        "_keep",
        "_kept",
        "_memory",
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
        self.ended = False
        self.fault: RequestRefused | None = None
        self.held = False

    @property
    def replayable(self) -> bool:
        """Whether everything that has come so far is still here."""
        return self._kept is not None

    @property
    def waiting(self) -> bool:
        """Whether it is kept because there is no sink yet."""
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
        if self._sink is not None:
            self._sink.send(wire, last=last)
        elif self.size > UNSENT_LIMIT and not self._discarded:
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
        """From now on to this sink; what has come before is returned, to be sent along with the head.

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
        """The sink is gone; what comes is kept, or dropped where the beginning is gone already."""
        self._sink = None
        self.resume()

    def discard(self) -> None:
        """The request is answered: drop what has come and what still comes, and let the caller send on."""
        self._drop_kept()
        self._discarded = True
        self.resume()

    def fail(self, error: RequestRefused) -> None:
        """No more will come: what was sent upstream must not end as if it were whole."""
        self.fault = error
        if self._sink is not None:
            self._sink.fail(error)

    def pause(self) -> None:
        """The sink takes no more: let the caller wait."""
        self.held = True
        self._flow.hold_upload()

    def resume(self) -> None:
        self.held = False
        self._flow.release_upload()
