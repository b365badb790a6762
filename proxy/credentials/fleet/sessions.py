"""Shares sessions as `source` shares tokens: one proxy of the fleet logs in, and the others take its session.

A session has no expiry, so the store keeps it until no proxy has used it for `max_idle`. Each proxy keeps for
itself what answers change in its cookies and its CSRF token, because servers accept the pair of the login for
as long as its session lives. So a session is recognized by the mark of its login.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from proxy.clock import Clock
from proxy.credentials.credential import Credential, CredentialSource, Sessions
from proxy.credentials.fleet.entry import Answer, Entry, Store
from proxy.credentials.fleet.identity import Identity
from proxy.credentials.fleet.seal import MARK
from proxy.credentials.fleet.source import PATIENCE, FleetSource, Search
from proxy.credentials.fleet.told import told
from proxy.credentials.login import SERVER
from proxy.credentials.schedule import HOUR, Policy
from proxy.credentials.sharing import StoreTally
from proxy.credentials.throttle import SPACING
from proxy.errors import CredentialError, CredentialRejected

ANY: Final = 1e9
"""Seconds that no value lasts: the session of the lock's owner replaces every other one."""

NO: Final = 0.0
"""A session that a proxy got alone replaces no other one."""


def waits(policy: Policy) -> list[float]:
    """Return the seconds after each refusal; then no hour has more of them than the policy allows."""
    each = policy.refused_max
    found = [*policy.refused_early]
    if policy.refused_per_hour is not None:
        found += [each] * (policy.refused_per_hour - 1 - len(found))
        found.append(max(each, HOUR - sum(found)))
    return [*found, each]


class Login(CredentialSource, Sessions, Protocol):
    """Logs in and out."""


class FleetSessions(FleetSource):
    """A `SharedSource` of sessions, and the `Sessions` of their keeper.

    Args:
        login: logs in where the store has no session.
        policy: its `max_idle` ends a session, and it limits the logins that are refused.
        others: see `FleetSource`.
    """

    def __init__(
        self,
        name: str,
        login: Login,
        identity: Identity,
        store: Store,
        tally: StoreTally,
        *,
        clock: Clock,
        prefix: str,
        policy: Policy,
        random: Callable[[float, float], float] = random.uniform,
    ) -> None:
        super().__init__(
            name, login, identity, store, tally, clock=clock, prefix=prefix, policy=policy, random=random
        )
        self._login = login
        self._until = 0.0
        self._own: set[str] = set()  # logins whose session is not known to be in the store

    # -- Sessions --

    def note_session_fields(
        self, used: Credential, fields: Sequence[tuple[bytes, bytes]]
    ) -> Credential | None:
        """See `Sessions.note_session_fields`."""
        return self._login.note_session_fields(used, fields)

    async def leave(self, session: Credential) -> None:
        """Log out, but not of a session that other proxies may use."""
        if session.login in self._own:
            self._own.discard(session.login)
            await self._login.leave(session)

    # -- what differs from tokens --

    async def look(self, have: Credential | None, *, failing: bool, until: float) -> Credential | None:
        """See `SharedSource.look`. The session in use lasts in the store as long as it does here."""
        self._until = until
        return await super().look(have, failing=failing, until=until)

    async def _look(self, entry: Entry, have: Credential | None, until: float) -> Answer:
        if have is None:
            return await entry.look("")
        return await entry.keep(have.login, until - self._clock.now())

    def _search(self, have: Credential | None, refused: bool) -> Search:
        search = super()._search(have, refused)
        if have is not None:  # sessions are never renewed ahead, so a request waits, and any other one helps
            search.refused, search.patience = True, self._clock.now() + self._random(*PATIENCE)
        return search

    def _opened(self, entry: Entry, answer: Answer, now: float) -> Credential | None:
        found = super()._opened(entry, answer, now)
        if found is None:
            return None
        return replace(found, expires_at=None, session=True, login=answer.value[MARK].decode("latin-1"))

    async def _ask_source(self) -> Credential:
        found = await super()._ask_source()
        login = self._current_entry().sealer.mark(found.fields)
        self._own.add(login)
        return replace(found, login=login)

    async def _share(self, entry: Entry, credential: Credential, lane: str = "") -> None:
        self._unshared = None
        life, login = self._policy.max_idle, credential.login
        left = (credential.fetched_at + life if lane else self._until) - self._clock.now()
        if left <= 0:
            return
        self._unshared = entry, credential
        value = entry.sealer.seal(credential.fields, life, login)
        written = await entry.put(value, left, lane, SPACING if lane else 0.0, ANY if lane else NO)
        # The store may have written it the last time, too, when its answer was lost.
        if written or (await entry.keep(login, left)).kind == "none":
            self._own.discard(login)
        self._unshared = None

    async def _tell(self, entry: Entry, error: CredentialError) -> None:
        """As one proxy: a refused password is tried a few times an hour, so that no account is locked."""
        if not isinstance(error, CredentialRejected):
            await super()._tell(entry, error)
            return
        policy = self._policy
        least = min(max(error.retry_after or 0.0, 0.0), policy.retry_after_max)
        await entry.refused(least, waits(policy))

    def _told(self, answer: Answer) -> CredentialError:
        return told(answer, SERVER, "the user name or the password", "session")

    def _mark(self, entry: Entry, have: Credential | None) -> str:
        return have.login if have is not None else ""
