"""Limits how many very small chunks all connections together read in one turn of the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

PIECES_A_TURN: Final = 2048
"""Most chunks in a turn; they take about 5 ms. Further chunks wait for the next turn."""


class Share:
    """The limit, shared by all connections of an event loop.

    Attributes:
        left: chunks that may still be read in this turn.
    """

    __slots__ = ("_loop", "_scheduled", "_waiting", "left")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()
        self._scheduled = False
        self.left = PIECES_A_TURN

    def spend(self, pieces: int) -> None:
        """Record that so many chunks have been read."""
        self.left -= pieces
        self._schedule()

    def later(self, read: Callable[[], None]) -> None:
        """Call `read` in a later turn, after the calls that already wait."""
        self._waiting.append(read)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self.left = PIECES_A_TURN
        while self._waiting and self.left > 0:
            self._waiting.popleft()()
        if self._waiting:
            self._schedule()
