"""Gets one credential for a whole fleet: the proxy that takes the lock fetches, and the others get its token.

The lock saves calls, it protects nothing: a lost lock costs one fetch, never a stale token. While the store
is in error each proxy goes on as without one, with its own limiter and back-off.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Final

from proxy.clock import Clock, pause
from proxy.credentials.credential import Credential, CredentialSource
from proxy.credentials.fleet.entry import LOCK, Answer, Entry, HostEntry, Starved, Store, StoreError
from proxy.credentials.fleet.identity import Identity
from proxy.credentials.fleet.seal import MARK, Sealer
from proxy.credentials.fleet.told import longer, told
from proxy.credentials.schedule import PACE, Policy
from proxy.credentials.sharing import StoreTally
from proxy.credentials.throttle import SPACING, HostThrottle
from proxy.errors import CredentialError, CredentialRejected

log = logging.getLogger("proxy")

HOLD: Final = 10.0
"""Seconds for which a fetch keeps the lock; a token endpoint that hangs must not hold up the fleet."""

LAST: Final = 0.95
"""Share of a life by which a proxy fetches for itself if the store stays in error."""

RETRY: Final = (0.5, 1.5)
"""Seconds between two calls of a store in error, or while the present credential is good."""

FIRST: Final = (1.5, 3.0)
"""Seconds after which a proxy without a credential fetches for itself if the store is in error."""

POLL: Final = (0.05, 0.25)
"""Seconds between two looks while another proxy fetches and we have no credential."""

PATIENCE: Final = (30.0, 45.0)
"""Seconds to wait for other proxies' fetches without a credential, before we fetch for ourselves."""

SHORT: Final = 2.0
"""Seconds: a shorter wait of the fleet is waited for, a longer one is told as a failure."""

CHECK: Final = (15.0, 30.0)
"""Seconds after the last call of the store before it is called to see whether it can be reached."""

REFUSED_FIRST: Final = 6.0
"""Seconds, shortest back-off of a fleet after a refusal of its client: at most four attempts in a minute."""

RETRY_FIRST: Final = 1.0
RETRY_MAX: Final = 30.0
"""Seconds, first and longest back-off of a fleet after other failures."""

STARVED: Final = 10.0
"""Seconds for which we go on asking the store if it is this process that is too slow."""

FOREIGN: Final = 3
"""Most values that do not open to be removed in one attempt."""


@dataclass(slots=True)
class Search:
    """An attempt to get another credential. Times are seconds on the Clock.

    Attributes:
        have: the present one, if it is still good.
        unwanted: mark of the token that does not help; "": any helps.
        alone_at: when to fetch for ourselves if the store is in error.
        patience: when to do so although another proxy has the lock.
        foreign: values that were removed.
    """

    entry: Entry
    have: Credential | None
    refused: bool
    unwanted: str
    alone_at: float
    patience: float
    foreign: int = 0


@dataclass(slots=True)
class _Hold:
    """A lock that is kept while a fetch runs, but not after `until`, in seconds on the Clock."""

    ended: "asyncio.Future[None]"
    until: float = inf


class FleetSource:
    """A `SharedSource` on a store.

    Args:
        source: gets the credential where the store has none.
        throttle: of the token host, for this proxy.
        host: its rate, for the fleet; None: it is not limited.
        policy: back-off after a refusal.
        random: returns a number between two others.
    """

    def __init__(
        self,
        name: str,
        source: CredentialSource,
        identity: Identity,
        store: Store,
        tally: StoreTally,
        *,
        clock: Clock,
        prefix: str,
        throttle: HostThrottle | None = None,
        host: HostEntry | None = None,
        policy: Policy = PACE,
        random: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.asked = False
        self._name = name
        self._source = source
        self._identity = identity
        self._store = store
        self._tally = tally
        self._clock = clock
        self._prefix = prefix
        self._throttle = throttle
        self._host = host
        self._policy = policy
        self._random = random
        self._owner = secrets.token_hex(16)
        self._read: tuple[str, str] | None = None
        self._entry: Entry | None = None
        self._unshared: tuple[Entry, Credential] | None = None
        self._check_at = -inf
        self._failing = False

    @property
    def restless(self) -> bool:
        return self._failing or self._unshared is not None or not self._tally.reachable

    # -- for the loop --

    async def fetch(self, have: Credential | None, *, refused: bool) -> Credential:
        """See `SharedSource.fetch`."""
        self.asked = False
        search = self._search(have, refused)
        if have is not None and refused:
            try:
                if not await search.entry.forget(search.unwanted):
                    return have
            except Starved:
                pass  # the next token takes its place in any case
            except StoreError:
                return await self._alone(search.entry)
        while (found := await self._step(search)) is None:
            pass
        return found

    async def look(self, have: Credential | None, *, failing: bool, until: float) -> Credential | None:
        """See `SharedSource.look`."""
        self._failing = failing
        now = self._clock.now()
        if not self.restless and now < self._check_at:
            return None
        self._check_at = now + self._random(*CHECK)
        try:
            if self._unshared is not None:
                await self._share(*self._unshared)
            entry = self._current_entry()
            answer = await self._look(entry, have, until)
        except (StoreError, CredentialError):
            return None
        if not failing or answer.kind != "value":
            return None
        found = self._opened(entry, answer, now)
        return found if found is not None and longer(found, have) else None

    async def _look(self, entry: Entry, have: Credential | None, until: float) -> Answer:
        return await entry.look(self._mark(entry, have))

    # -- one attempt --

    def _search(self, have: Credential | None, refused: bool) -> Search:
        entry, now = self._current_entry(), self._clock.now()
        if have is None or have.expires_at is None:
            # One error is not yet a store that is away.
            alone_at = now + self._random(*FIRST) if self._tally.reachable else now
        else:
            life = have.expires_at - have.fetched_at
            latest = have.expires_at - life * (1 - LAST)
            # Most outages are shorter than a quarter of the time that is left for a renewal.
            alone_at = self._random(now + (latest - now) / 4, latest) if latest > now and not refused else now
        patience = alone_at if have is not None and not refused else now + self._random(*PATIENCE)
        return Search(entry, have, refused, self._mark(entry, have), alone_at, patience)

    async def _step(self, search: Search) -> Credential | None:
        """Ask the store once; None: ask again."""
        now = self._clock.now()
        try:
            answer = await search.entry.acquire(search.unwanted)
        except StoreError as error:
            patience = STARVED if isinstance(error, Starved) else 0.0
            if now >= search.alone_at + patience:
                return await self._alone(search.entry)
            await pause(self._clock, self._random(*RETRY))
            return None
        self._check_at = now + self._random(*CHECK)
        match answer.kind:
            case "value":
                return await self._take(search, answer, now)
            case "acquired":
                self._tally.answers["acquired"] += 1
                return await self._fetch_for_all(search.entry, search.have)
            case "held":
                self._tally.answers["held"] += 1
                if now >= search.patience:
                    return await self._alone(search.entry)
                waiting = search.have is None or search.refused
                await pause(self._clock, self._random(*(POLL if waiting else RETRY)))
                return None
        self._tally.answers["wait"] += 1
        if answer.kind == "same" and search.have is not None:
            return search.have
        if answer.left > SHORT:
            raise self._told(answer)
        await pause(self._clock, answer.left + self._random(0.0, 0.2))
        return None

    async def _take(self, search: Search, answer: Answer, now: float) -> Credential | None:
        """Return the token that the store has, if it helps."""
        found = self._opened(search.entry, answer, now)
        if found is None:
            search.foreign += 1
            try:
                if search.foreign > FOREIGN:
                    return await self._alone(search.entry)
                await search.entry.remove(answer.value)
            except StoreError:
                return await self._alone(search.entry)
            return None
        if search.refused or longer(found, search.have):
            self._tally.answers["value"] += 1
            self._unshared = None
            return found
        search.unwanted = answer.value[MARK].decode("latin-1")  # ours lives longer, and is due
        return None

    def _opened(self, entry: Entry, answer: Answer, now: float) -> Credential | None:
        """Return the credential of a value; None: it does not open."""
        opened = entry.sealer.open(answer.value) if answer.left > 0 else None
        if opened is None:
            self._tally.ignored += 1
            log.warning(
                "store: the value of credentials.%s was changed by others or is damaged; it is ignored",
                self._name,
            )
            return None
        # What is left is counted by the store, so that no host's clock is compared with another's.
        expires_at = now + min(answer.left, opened.life)
        return Credential(opened.fields, expires_at - opened.life, expires_at)

    async def _fetch_for_all(self, entry: Entry, have: Credential | None) -> Credential:
        """Fetch while we have the lock, and put the token into the store."""
        hold = _Hold(asyncio.get_running_loop().create_future())
        holding = asyncio.ensure_future(self._keep_lock(entry, hold))  # noqa: TID251 -- it ends in here
        try:
            await self._turn()
            hold.until = self._clock.now() + HOLD
            credential = await self._ask_source()
            with suppress(StoreError):
                if have is not None and have.fields == credential.fields:
                    await self._share(entry, have, "same")  # of two expiries of one token the earlier counts
                else:
                    await self._share(entry, credential, "pace")
        except CredentialError as error:
            with suppress(StoreError):
                await self._tell(entry, error)
            raise
        finally:
            hold.ended.set_result(None)  # not cancelled, because that would close a connection
            await asyncio.wait([holding])
        return credential

    async def _alone(self, entry: Entry) -> Credential:
        """Fetch as without a store; the token is put there when it can be reached again."""
        credential = await self._ask_source()
        self._unshared = entry, credential
        return credential

    async def _ask_source(self) -> Credential:
        self.asked = True
        if self._throttle is None:
            return await self._source.fetch()
        await self._throttle.turn()
        limited = False
        try:
            return await self._source.fetch()
        except CredentialError as error:
            limited = error.outcome == "limited"
            raise
        finally:
            self._throttle.ended(limited=limited)

    # -- what the store is told --

    async def _share(self, entry: Entry, credential: Credential, lane: str = "") -> None:
        """Put a token into the store; if the store is in error, `look` does it later.

        Raises:
            StoreError
        """
        self._unshared = None
        if credential.expires_at is None or (left := credential.expires_at - self._clock.now()) <= 0:
            return
        life = credential.expires_at - credential.fetched_at
        # After the same token the fleet waits as long as `schedule.fetched_same`.
        seconds = max(SPACING, left / 2) if lane == "same" else SPACING if lane else 0.0
        self._unshared = entry, credential
        await entry.put(entry.sealer.seal(credential.fields, life), left, lane, seconds)
        self._unshared = None

    async def _tell(self, entry: Entry, error: CredentialError) -> None:
        """Let the fleet wait after a failed attempt."""
        least = min(max(error.retry_after or 0.0, 0.0), self._policy.retry_after_max)
        if isinstance(error, CredentialRejected):
            first = max(self._policy.refused_min, REFUSED_FIRST)
            await entry.end("rejected", least, first, self._policy.refused_max)
            return
        await entry.end(error.outcome, least, RETRY_FIRST, RETRY_MAX)
        if error.outcome == "limited" and self._host is not None:
            await self._host.limited()

    async def _turn(self) -> None:
        """Wait until the fleet may send a request to the token host."""
        if self._host is None:
            return
        with suppress(StoreError):
            until = self._clock.now() + PATIENCE[0]
            while (wait := await self._host.turn(SPACING)) > 0 and self._clock.now() < until:
                await pause(self._clock, wait + self._random(0.0, 0.1))

    async def _keep_lock(self, entry: Entry, hold: _Hold) -> None:
        with suppress(StoreError):
            while not await pause(self._clock, LOCK / 3, hold.ended) and self._clock.now() < hold.until:
                if not await entry.extend():
                    return

    def _told(self, answer: Answer) -> CredentialError:
        return told(answer)

    # -- names --

    def _current_entry(self) -> Entry:
        """Return the entry of the present secret: a changed secret has one of its own."""
        read = self._identity.read()
        if self._entry is None or read != self._read:
            proof, key = read
            sealer = Sealer(key, self._identity.facts(proof))
            self._entry, self._read = Entry(self._store, sealer, self._prefix, self._owner), read
            self._unshared = None
        return self._entry

    def _mark(self, entry: Entry, have: Credential | None) -> str:
        return entry.sealer.mark(have.fields) if have is not None else ""
