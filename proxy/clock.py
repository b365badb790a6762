"""The only module that reads the time. All others are given a Clock.

The Clock also counts the time while the machine is suspended (CLOCK_BOOTTIME on Linux), so that a token does
not look fresh if a laptop was asleep when it expired.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from functools import partial
from typing import Any, Protocol


class Timer(Protocol):
    """A callback that has not run yet."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Gives seconds since an arbitrary time, and calls back after some seconds."""

    def now(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer: ...


class SystemClock:
    """The machine's clock.

    `call_later` uses the event loop's clock, which stops while the machine is suspended. So code that waits
    long has to wake up now and then and compare with `now()` again (see `pause`).
    """

    __slots__ = ()

    if sys.platform == "linux":
        # No Python function, because each request calls it several times.
        now = staticmethod(partial(time.clock_gettime, time.CLOCK_BOOTTIME))
    else:
        now = staticmethod(time.monotonic)  # noqa: TID251 -- counts suspended time on macOS and Windows

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)


def wall_time() -> float:
    """Return seconds since 1970. They may jump, so use them only for dates of people and other machines."""
    return time.time()  # noqa: TID251 -- the only reader of time


def monotonic_micros() -> int:
    """Return microseconds of CLOCK_MONOTONIC, which stops in suspend; systemd compares them with its own."""
    return time.monotonic_ns() // 1000


async def pause(clock: Clock, delay: float, until: "asyncio.Future[Any] | None" = None) -> bool:
    """Wait `delay` seconds, or until the future is done if that is sooner; return whether it is done.

    The future is never cancelled, because others may wait for it too.
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
    """Return the present time for the Date field of our answers (RFC 9110 section 5.6.7)."""
    return formatdate(usegmt=True)


def date_of(seconds: float) -> str:
    """Return seconds since 1970 as the configuration has them: `2027-01-31T00:00:00Z` (RFC 3339)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
