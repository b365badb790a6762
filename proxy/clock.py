"""The only reader of time. Everything else is handed a Clock.

Seconds count time that the machine was suspended (CLOCK_BOOTTIME on Linux), so a token does not look
fresh after a laptop slept through its expiry.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from typing import Any, Protocol


class Timer(Protocol):
    """A callback that is still to come."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Seconds since an arbitrary moment, and callbacks after some of them."""

    def now(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer: ...


class SystemClock:
    """The machine's clock.

    `call_later` uses the event loop's clock, which stops in suspend: whoever waits long wakes up now and
    then and looks at `now()` again (see `pause`).
    """

    __slots__ = ()

    if sys.platform == "linux":
        # Without a frame of Python's own: it is asked several times for each request.
        now = staticmethod(partial(time.clock_gettime, time.CLOCK_BOOTTIME))
    else:
        now = staticmethod(time.monotonic)  # noqa: TID251 -- counts suspended time on macOS and Windows

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)


def wall_time() -> float:
    """Seconds since 1970. It may jump: only for dates that people and other machines read or wrote."""
    return time.time()  # noqa: TID251 -- the only reader of time


def monotonic_micros() -> int:
    """Microseconds of CLOCK_MONOTONIC, which stops in suspend: systemd compares them with its own."""
    return time.monotonic_ns() // 1000


async def pause(clock: Clock, delay: float, until: "asyncio.Future[Any] | None" = None) -> bool:
    """Wait `delay` seconds, or until the future is done if that is sooner; True if it is done.

    The future is never cancelled: it may be shared by many who wait.
    """
    woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    if until is not None:
        if until.done():
            return True
        until.add_done_callback(wake)
    timer = clock.call_later(delay, wake)
    try:
        await woken
    finally:
        timer.cancel()
        if until is not None:
            until.remove_done_callback(wake)
    return until is not None and until.done()


def http_date() -> str:
    """Now, as the Date field of an answer of ours (RFC 9110 section 5.6.7)."""
    return formatdate(usegmt=True)
