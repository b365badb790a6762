"""Logs out of replaced sessions, so that they do not accumulate at the server."""

import asyncio
import logging
from collections import deque
from typing import Final, NoReturn

from proxy.clock import Clock, pause
from proxy.credentials.cookies import same_session
from proxy.credentials.credential import Credential, Sessions

DELAY: Final = 5.0
"""Seconds until a logout; by then the server has accepted the requests sent with the old session."""

MOST: Final = 16
"""Most sessions that wait for their logout; the server has to end further ones by itself."""

log = logging.getLogger(__name__)


class Logouts:
    """Logs out in the background, one session after another. A logout may fail, and never delays a login.

    Args:
        name: of the credential, for the log.
        sessions: logs in and out.
    """

    def __init__(self, name: str, sessions: Sessions, clock: Clock) -> None:
        self._name = name
        self._sessions = sessions
        self._clock = clock
        self._waiting: deque[tuple[float, Credential]] = deque()
        self._news = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Sessions that wait for their logout."""
        return len(self._waiting)

    def replaced(self, old: Credential, new: Credential) -> None:
        """Log out of `old` after DELAY, unless `new` is the same session to the server."""
        if len(self._waiting) < MOST and not same_session(old.fields, new.fields):
            self._waiting.append((self._clock.now() + DELAY, old))
            self._news.set()

    async def run(self) -> NoReturn:
        """Log out of replaced sessions until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                due, session = self._waiting[0]
                await pause(self._clock, due - self._clock.now())
                self._waiting.popleft()
                await self._leave(session)

    async def close(self, current: Credential | None) -> None:
        """Log out of all waiting sessions and of the one in use, at once, after `run` was cancelled."""
        leaving = [session for _, session in self._waiting]
        self._waiting.clear()
        await asyncio.gather(*map(self._leave, leaving if current is None else [*leaving, current]))

    async def _leave(self, session: Credential) -> None:
        try:
            await self._sessions.leave(session)
        except Exception:  # a session left behind is no reason to stop
            log.exception("a session could not be logged out", extra={"credential": self._name})
