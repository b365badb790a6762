"""A clock that stands still until a test moves it."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

ROUNDS = 30
"""Turns of the loop given to those who woke; a chain from a timer to a settled task has about ten."""


class FakeTimer:
    """A callback that waits for its moment."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    """`proxy.clock.Clock` for tests: `await clock.advance(seconds)` instead of sleeping.

    Args:
        now: where it begins, in seconds.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now
        self._numbers = count()
        self._timers: list[tuple[float, int, FakeTimer]] = []

    def now(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object]) -> FakeTimer:
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (self._now + max(delay, 0.0), next(self._numbers), timer))
        return timer

    async def advance(self, seconds: float) -> None:
        """Move on, run every timer at its moment and in order; back when all who woke have settled.

        What waits for a socket has not settled: wait for an event there.
        """
        until = self._now + seconds
        await self.settle()
        while self._timers and self._timers[0][0] <= until:
            at, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                self._now = max(self._now, at)
                timer.callback()
                if not self._timers or self._timers[0][0] > at:
                    await self.settle()
        self._now = until

    def jump(self, seconds: float) -> None:
        """The machine was suspended: time passed, and no timer ran."""
        self._now += seconds
        self._timers = [(at + seconds, number, timer) for at, number, timer in self._timers]

    async def settle(self) -> None:
        """Let everybody run who can run now."""
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
