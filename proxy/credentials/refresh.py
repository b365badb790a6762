"""The loop that keeps a credential fresh. It alone fetches, so there is one fetch at a time at most."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from math import inf, isfinite
from typing import NoReturn

from proxy.clock import Clock, pause
from proxy.credentials import schedule
from proxy.credentials.credential import Credential, CredentialSource, Sessions
from proxy.credentials.fetching import SecretChanged, result_of
from proxy.credentials.logouts import Logouts
from proxy.credentials.repairs import RepairGaps
from proxy.credentials.report import (
    UNOBSERVED,
    Condition,
    CredentialStatus,
    Failure,
    FetchObserver,
    FetchTally,
)
from proxy.credentials.schedule import PACE, Policy, RefreshState
from proxy.credentials.secret import Secret, SecretWatch
from proxy.credentials.sharing import SharedSource
from proxy.credentials.standing import Ending, FileEnd, Standing
from proxy.credentials.store import TokenSlot
from proxy.credentials.throttle import HostThrottle
from proxy.errors import (
    CredentialError,
    CredentialRejected,
    CredentialUnavailable,
    FetchOutcome,
    LoginNeeded,
)

log = logging.getLogger(__name__)

LONGEST_SLEEP = 30.0
"""Seconds. Timers stop while a machine is suspended; so a laptop that wakes up decides again soon."""

HALF_WRITTEN = 1.0
"""Seconds after a refusal before a secret's file is read again, because it may have been half written."""

SHARED_LOOK = (1.0, 2.0)
"""Seconds, at random, between two looks at a store while it may bring a credential or be in error."""

FAULT = "the proxy itself failed while it fetched the credential; its log has the reason"


class RefreshLoop:
    """Fetches one credential, ahead of its expiry and when a request records that it needs one.

    Attributes:
        logouts: logs out of sessions that were replaced; its `run` runs beside ours. None: no sessions.

    Args:
        name, target: as in the configuration and the metrics; `target` is the audience, or where we log in.
        sessions: reads answers and logs out, if the source logs in; None: it does not.
        secret: is watched; when it changes, the next attempt is due at once. None: there is nothing to watch.
        file_end: returns when the token expires that the source sends to get ours; gets the time on the
            Clock. The end is warned of. None: the source sends none.
        throttle: of the token host; None: there is no limit.
        shared: gets the credential for a fleet, in place of `source` and `throttle`; None: there is none.
        slot: holds the credential over a reload; None: it is not held.
        tally: counts go on from it; None: from zero.
        random: a number in [0, 1), for jitter.
    """

    def __init__(
        self,
        name: str,
        source: CredentialSource,
        *,
        clock: Clock,
        target: str = "",
        sessions: Sessions | None = None,
        policy: Policy = PACE,
        observer: FetchObserver = UNOBSERVED,
        secret: Secret | None = None,
        file_end: Callable[[float], FileEnd | None] | None = None,
        throttle: HostThrottle | None = None,
        shared: SharedSource | None = None,
        slot: TokenSlot | None = None,
        tally: FetchTally | None = None,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.target = target
        self.tally = tally if tally is not None else FetchTally()
        self._source = source
        self._sessions = sessions
        self.logouts = Logouts(name, sessions, clock) if sessions is not None else None
        self._clock = clock
        self._now = clock.now  # looked up once, because each request asks
        self._policy = policy
        self._observer = observer
        self._secret = SecretWatch(secret) if secret is not None and secret.may_change else None
        self._file_end = file_end
        self._throttle = throttle
        self._shared = shared
        self._slot = slot
        self._random = random
        self._state = RefreshState()
        self._credential: Credential | None = None
        self._good_until = -inf
        self._succeeded_at: float | None = None
        self._failure: Failure | None = None
        self._gaps = RepairGaps(policy)
        self._reported: tuple[Condition, bool, Ending] = ("starting", False, "")
        self._attempting = False
        self._fetching: asyncio.Future[Credential] | None = None
        self._awake: asyncio.Future[object] | None = None
        self._ended: asyncio.Future[object] | None = None

    @property
    def current(self) -> Credential | None:
        """The credential to stamp now; None: there is none, it has expired, or it is a session that was not
        used for too long. No await, no lock."""
        return self.current_at(self._now())

    def current_at(self, now: float) -> Credential | None:
        """Return `current` at `now`, seconds on the Clock: for requests, which have just read it."""
        return self._credential if now < self._good_until else None

    def adopt(self) -> None:
        """Take over the credential that an earlier keeper has left in the slot.

        `run` does so; call it before, if requests may come before `run` does.
        """
        credential = self._slot.get() if self._slot is not None else None
        if credential is not None and self._credential is None:
            self._credential = credential
            self._used(credential, credential.fetched_at)
            self._succeeded_at = credential.fetched_at
            self._state = schedule.fetched(
                self._state,
                self._policy,
                credential.fetched_at,
                credential.fetched_at,
                credential.expires_at,
                self._random(),
            )

    async def run(self) -> NoReturn:
        """Refresh ahead until cancelled. After a failed attempt there is another one, however it failed."""
        self.adopt()
        while True:
            self._look_at_secret()
            self._report()
            if self._shared is not None:
                await self._look_at_store(self._shared)
            delay = schedule.due_at(self._state, self._policy) - self._now()
            if delay > 0:
                await self._sleep(delay)
            else:
                await self._attempt()

    async def close(self) -> None:
        """Log out, also of sessions that were replaced: best effort, within a second.

        Call it after `run` has been cancelled.
        """
        credential, self._credential, self._good_until = self._credential, None, -inf
        if self.logouts is not None:
            await self.logouts.close(credential if credential is not None and credential.session else None)

    def snapshot(self) -> CredentialStatus:
        """How the credential stands now."""
        now, standing = self._now(), self._standing
        current, file = self.current, standing.file
        due = schedule.due_at(self._state, self._policy)
        return CredentialStatus(
            name=self.name,
            target=self.target,
            condition=standing.condition(now, self._reported[0]),
            usable=standing.usable(now),
            expires_at=current.expires_at if current is not None else None,
            last_success=self._succeeded_at,
            outcome=self._state.outcome,
            next_attempt=due if isfinite(due) and not self._attempting else None,
            failures=self._state.failures + self._state.refusals,
            reason=standing.reason(now),
            ends_at=self._credential.ends_at if self._credential is not None else None,
            file_ends_at=file.ends_at if file is not None and not file.command else None,
            login_ends_at=file.ends_at if file is not None and file.command else None,
            command=self._failure.command if self._failure is not None else "",
        )

    # -- attempts --

    async def _sleep(self, delay: float) -> None:
        longest = LONGEST_SLEEP if self._secret is None else self._secret.interval
        if self._shared is not None and self._shared.restless:
            longest = SHARED_LOOK[0] + (SHARED_LOOK[1] - SHARED_LOOK[0]) * self._random()
        self._awake = asyncio.get_running_loop().create_future()
        await pause(self._clock, min(delay, longest), self._awake)

    async def _attempt(self) -> None:
        self._attempting = True
        try:
            if self._throttle is not None:
                await self._throttle.turn()
            await self._fetch()
        finally:
            self._attempting = False
        self._report()
        self._end_attempt()

    def _end_attempt(self) -> None:
        if self._ended is not None:
            self._ended.set_result(None)
            self._ended = None

    async def _fetch(self) -> None:
        self._look_at_secret()
        begun = self._now()
        try:
            self._store_fetched(await self._fetched())
        except SecretChanged:
            self._state = schedule.abandoned(self._state, begun)
            self._count("unavailable", self._now() - begun)
            return
        except CredentialError as error:
            self._note_failure(error)
        except Exception:
            # A fault of a library, or ours, is one failed attempt. It must not end the process.
            log.exception("a fault in the proxy while it fetched credentials.%s", self.name)
            self._note_failure(CredentialUnavailable(FAULT, outcome="invalid"))
        self._count(self._state.outcome or "ok", self._now() - begun)
        if self._state.refusals == 1 and self._state.outcome == "rejected":
            await self._look_again()

    async def _fetched(self) -> Credential:
        """Fetch, but give up when the secret changes meanwhile: the answer would be about the old one.

        Raises:
            SecretChanged
        """
        if self._secret is None:
            return await self._fetch_once()
        self._fetching = asyncio.ensure_future(self._fetch_once())  # noqa: TID251 -- it ends in here
        try:
            return await result_of(self._fetching, self._clock, self._look_at_secret)
        finally:
            self._fetching = None

    async def _fetch_once(self) -> Credential:
        if self._shared is None:
            return await self._source.fetch()
        return await self._shared.fetch(self.current, refused=self._state.repairing)

    async def _look_at_store(self, shared: SharedSource) -> None:
        """Take a credential that another proxy of the fleet has fetched, while our own attempts fail."""
        found = await shared.look(self.current, failing=self._state.failing, until=self._good_until)
        if found is not None:
            self._store_fetched(found)
            self._report()
            self._end_attempt()

    def _count(self, outcome: FetchOutcome, seconds: float) -> None:
        if self._shared is not None and not self._shared.asked:
            return  # another proxy's attempt, which that one counts
        self.tally.outcomes[outcome] += 1
        self.tally.fetch_seconds.observe(seconds)
        self._observer.fetched(self.name, self.target, outcome, seconds)
        if self._throttle is not None:
            self._throttle.ended(limited=outcome == "limited")

    def _store_fetched(self, new: Credential) -> None:
        now = self._now()
        old = self.current
        if old is not None and old.fields == new.fields:
            # The answer may state a new expiry for an old token: the earlier one counts.
            if new.expires_at is not None and (old.expires_at is None or new.expires_at < old.expires_at):
                old = replace(old, expires_at=new.expires_at)
            self._credential = old
            self._state = schedule.fetched_same(self._state, self._policy, now, old.expires_at)
        else:
            if self.logouts is not None and self._credential is not None and self._credential.session:
                self.logouts.replaced(self._credential, new)
            self._credential = new
            self._state = schedule.fetched(
                self._state, self._policy, now, new.fetched_at, new.expires_at, self._random()
            )
        self._used(self._credential, self._credential.fetched_at)
        self._succeeded_at = now
        self._failure = None
        if self._slot is not None:
            self._slot.put(self._credential)

    def _used(self, credential: Credential, at: float) -> None:
        self._good_until = schedule.good_until(self._policy, at, credential.expires_at, credential.session)

    def _note_failure(self, error: CredentialError) -> None:
        now = self._now()
        command = error.command if isinstance(error, LoginNeeded) else ""
        self._failure = Failure(now, error.outcome, str(error), error.detail, command)
        if isinstance(error, CredentialRejected):
            self._state = schedule.refused(self._state, self._policy, now, error.retry_after, error.outcome)
        else:
            self._state = schedule.failed(
                self._state, self._policy, now, error.outcome, error.retry_after, self._random()
            )

    def _look_at_secret(self) -> bool:
        """Make the next attempt due at once if the secret has changed since the last look; return whether."""
        if self._secret is None or not self._secret.changed():
            return False
        self._state = schedule.secret_changed(self._state, self._now())
        self._gaps.clear()
        if self._secret.ends_credential:
            self._credential, self._good_until = None, -inf
        if self._fetching is not None:
            self._fetching.cancel()
        return True

    async def _look_again(self) -> None:
        """Look once more at the secret's file: if it was half written, the refusal means nothing."""
        if self._secret is not None and not self._look_at_secret():
            await pause(self._clock, HALF_WRITTEN)
            self._look_at_secret()

    # -- how it stands --

    @property
    def _standing(self) -> Standing:
        file = self._file_end(self._clock.now()) if self._file_end is not None else None
        return Standing(
            self._credential, self._good_until, self._succeeded_at, self._failure, self._state, file
        )

    def _report(self) -> None:
        standing = self._standing
        now = self._now()
        report = standing.condition(now, self._reported[0]), standing.refused, standing.ending(now)
        if report != self._reported:
            self._reported = report
            self._observer.changed(self.snapshot())

    def _error(self) -> CredentialError:
        now = self._now()
        return self._standing.error(now, schedule.due_at(self._state, self._policy))
