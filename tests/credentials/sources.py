"""Scripted sources, an observer with a memory, and a keeper's loop for the length of a test."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from proxy.clock import pause
from proxy.credentials.cookies import note_session_fields
from proxy.credentials.credential import Credential
from proxy.credentials.keeper import Keeper
from proxy.credentials.report import CredentialStatus
from proxy.errors import FetchOutcome, ProxyError
from tests.clock import FakeClock


class ScriptedSource:
    """Hands out token after token, unless its script says otherwise.

    Attributes:
        script: what the next attempts bring: an error, or "same" for the token before; empty: new tokens.
        always: what all attempts bring once the script is empty; None: new tokens.
        life: seconds of each credential; None: for ever.
        takes: seconds of each attempt.
        begun, ended: moments of all attempts; one that is cancelled ends as it begins.
    """

    def __init__(self, clock: FakeClock, life: float | None = 300.0, takes: float = 0.0) -> None:
        self.life = life
        self.takes = takes
        self.script: deque[Exception | str] = deque()
        self.always: Exception | str | None = None
        self.begun: list[float] = []
        self.ended: list[float] = []
        self.clock = clock
        self._number = 0

    async def fetch(self) -> Credential:
        fetched_at = self.clock.now()
        self.begun.append(fetched_at)
        if self.takes:
            try:
                await pause(self.clock, self.takes)
            except asyncio.CancelledError:
                self.ended.append(fetched_at)
                raise
        self.ended.append(self.clock.now())
        brings = self.script.popleft() if self.script else self.always
        if isinstance(brings, Exception):
            raise brings
        if brings != "same":
            self._number += 1
        expires_at = None if self.life is None else fetched_at + self.life
        token = b"Bearer %d" % self._number
        return Credential(((b"Authorization", token),), fetched_at, expires_at)


class ScriptedLogin(ScriptedSource):
    """A ScriptedSource of sessions.

    Attributes:
        left: sessions that were logged out of.
        leaving: what a logout brings: an error, or the seconds that it takes.
        instead: what a login brings that is no session of ours; None: a session.
    """

    def __init__(self, clock: FakeClock, takes: float = 0.0) -> None:
        super().__init__(clock, life=None, takes=takes)
        self.left: list[Credential] = []
        self.leaving: Exception | float = 0.0
        self.instead: Callable[[], Awaitable[Credential]] | None = None

    async def fetch(self) -> Credential:
        if self.instead is not None:
            return await self.instead()
        token = await super().fetch()
        number = token.fields[0][1].removeprefix(b"Bearer ")
        cookies = b"S=" + number + b"; X-CSRF-TOKEN=c" + number
        fields = ((b"Cookie", cookies), (b"X-CSRF-TOKEN", b"masked " + number))
        return replace(token, fields=fields, session=True)

    def note_session_fields(
        self, used: Credential, fields: Sequence[tuple[bytes, bytes]]
    ) -> Credential | None:
        return note_session_fields(used, fields, 0.0)

    async def leave(self, session: Credential) -> None:
        self.left.append(session)
        if isinstance(self.leaving, Exception):
            raise self.leaving
        if self.leaving:
            await pause(self.clock, self.leaving)


class Notebook:
    """A FetchObserver that remembers."""

    def __init__(self) -> None:
        self.outcomes: list[FetchOutcome] = []
        self.changes: list[CredentialStatus] = []

    def fetched(self, name: str, target: str, outcome: FetchOutcome, seconds: float) -> None:
        self.outcomes.append(outcome)

    def changed(self, status: CredentialStatus) -> None:
        self.changes.append(status)

    @property
    def conditions(self) -> list[str]:
        return [status.condition for status in self.changes]


@asynccontextmanager
async def running(keeper: Keeper, clock: FakeClock) -> AsyncIterator[asyncio.TaskGroup]:
    """The keeper's loop and its logouts, settled, and a place for tasks of the test."""
    async with asyncio.TaskGroup() as group:
        loops = [group.create_task(keeper.run())]
        if keeper.logouts is not None:
            loops.append(group.create_task(keeper.logouts.run()))
        try:
            await clock.settle()
            yield group
        finally:
            for loop in loops:
                loop.cancel()


async def outcome(request: Coroutine[None, None, Credential]) -> Credential | ProxyError:
    """What a request gets, or the error it meets."""
    try:
        return await request
    except ProxyError as error:
        return error
