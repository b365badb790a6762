"""One credential kept fresh for all who use it: what requests ask of it.

A request records that it needs a credential, wakes the loop (`refresh.py`) and waits until an attempt has
finished. Cancelling the request does not cancel the attempt.
"""

import asyncio
from collections.abc import Callable, Sequence

from proxy.clock import pause
from proxy.credentials import schedule
from proxy.credentials.credential import Credential, same_credential
from proxy.credentials.refresh import RefreshLoop
from proxy.credentials.repairs import ANYWHERE, Place
from proxy.errors import CredentialError, RepairDeclined


class _HandedOver(Exception):
    """Another keeper fetches now."""

    def __init__(self, successor: "Keeper") -> None:
        super().__init__()
        self.successor = successor


class Keeper(RefreshLoop):
    """One credential, kept fresh. Arguments and attributes: see `RefreshLoop`."""

    _successor: "Keeper | None" = None

    @property
    def doubtful(self) -> bool:
        """Whether the last repair of some place has not helped: `note_accepted` then needs the place."""
        return bool(self._gaps.doubts)

    @property
    def wants_answers(self) -> bool:
        """Whether `note_accepted` must be called, because a repair is in doubt or a session is in use."""
        if self._gaps.doubts:
            return True
        return self._credential is not None and self._credential.session

    async def get(self, timeout: float) -> Credential:  # noqa: ASYNC109 -- measured on our clock
        """Return the credential; wait only if there is none.

        Args:
            timeout: seconds. If the next attempt is due later, the error is raised at once.

        Raises:
            CredentialRejected: the token endpoint or login refused us; at once where that is known.
            CredentialUnavailable: none can be had in time.
        """
        deadline = self._now() + timeout
        try:
            return self.current or await self._wait(deadline, self._current_or_wish)
        except _HandedOver as over:
            successor = over.successor
        return await successor.get(deadline - self._now())

    async def replace(
        self,
        used: Credential,
        timeout: float,  # noqa: ASYNC109 -- likewise
        *,
        suspected: bool = False,
        place: Place = ANYWHERE,
    ) -> Credential:
        """Return another credential than `used`, which an upstream refused.

        Args:
            place: where the refusal came from.
            suspected: the refusal named no reason, so that it may have been about permission. There is one
                login a minute for these; if it fails, the answer passes (`too_soon`).

        Raises:
            RepairDeclined: `too_soon` after the last fetch or repair; `same_credential` came back.
            CredentialRejected, CredentialUnavailable: as `get`.
        """
        self._look_at_secret()
        deadline = self._now() + timeout

        def wanted(ended: bool) -> Credential | None:
            return self._replacement_for(used, ended, suspected, place, deadline)

        try:
            return await self._wait(deadline, wanted)
        except _HandedOver as over:
            successor = over.successor
        except CredentialError:
            if suspected:  # more likely than not it was about permission
                raise RepairDeclined("too_soon") from None
            raise
        left = deadline - self._now()
        return await successor.replace(used, left, suspected=suspected, place=place)

    def hand_over(self, successor: "Keeper") -> None:
        """Requests that wait for a credential get the successor's, which fetches from now on."""
        self._successor = successor
        self._end_attempt()

    def refused_again(self, place: Place = ANYWHERE) -> None:
        """The replacement was refused as well: wait longer before the next repair at this place."""
        self._gaps.refused_again(place)

    def note_accepted(
        self, credential: Credential, place: Place = ANYWHERE, *, repaired: bool = False
    ) -> None:
        """An answer was no refusal: end the doubt about this place, start a session's idle time anew.

        Args:
            repaired: whether its request had been sent again.
        """
        now = self._now()
        if self._gaps.doubts:
            self._gaps.note_accepted(place, now, repaired=repaired)
        if credential is self._credential:
            self._used(credential, now)

    def note_session_fields(self, used: Credential, fields: Sequence[tuple[bytes, bytes]]) -> None:
        """Update the session in use with fields of an answer to one of its requests.

        Fields of an answer to an earlier session change nothing. See `Sessions.note_session_fields`.
        """
        if self._sessions is not None and used is self._credential:
            self._credential = self._sessions.note_session_fields(used, fields) or used

    # -- waiting --

    async def _wait(self, deadline: float, wanted: Callable[[bool], Credential | None]) -> Credential:
        """Return what `wanted` returns: call it now (with False), then after each attempt (with True)."""
        self._raise_if_handed_over()
        if (credential := wanted(False)) is not None:
            return credential
        self._fail_if_too_late(deadline)
        begun = self._now()
        try:
            while await self._wait_for_attempt(deadline):
                self._raise_if_handed_over()
                if (credential := wanted(True)) is not None:
                    return credential
                self._fail_if_too_late(deadline)
        finally:
            self.tally.wait_seconds.observe(self._now() - begun)
        raise self._error()

    def _raise_if_handed_over(self) -> None:
        if self._successor is not None:
            raise _HandedOver(self._successor)

    def _current_or_wish(self, ended: bool) -> Credential | None:
        """Return the credential to stamp now; if there is none, record the wish, and return None.

        Without a wish the loop would not log in again after a session has lapsed.
        """
        current = self.current
        if current is None:
            self._state = schedule.wanted(self._state, self._now())
        return current

    def _replacement_for(
        self, used: Credential, ended: bool, suspected: bool, place: Place, deadline: float
    ) -> Credential | None:
        """Return the credential in use if it is not `used`; else record the wish for another, return None.

        Raises:
            RepairDeclined
        """
        current = self._current_or_wish(ended)
        if current is None or not same_credential(current, used):
            return current
        if ended and self._state.outcome == "same":
            raise RepairDeclined("same_credential")
        now = self._now()
        if suspected:
            allowed, repair_at = schedule.may_suspect(self._state, self._policy, now), now
        else:
            gap_ends = self._gaps.soonest(place, self._state.repaired_at, now)
            repair_at = schedule.repair_at(self._state, self._policy, now, gap_ends)
            allowed = repair_at <= deadline or self._state.failing
            allowed = allowed or self._state.repairing  # another request asked for it
        if not allowed and not self._attempting:
            raise RepairDeclined("too_soon")
        if not suspected and not ended:
            self._gaps.asked(place, now, self._state.ended_at)
        wish = schedule.suspected if suspected else schedule.repair_wanted
        self._state = wish(self._state, repair_at if repair_at <= deadline else now)
        return None

    def _fail_if_too_late(self, deadline: float) -> None:
        """Raise the last attempt's error if the next attempt starts after the deadline."""
        now = self._now()
        due = schedule.due_at(self._state, self._policy)
        hopeless = self._standing.refused and not self._state.may_pass
        if not self._attempting and due > now and (due > deadline or hopeless):
            raise self._error()

    async def _wait_for_attempt(self, deadline: float) -> bool:
        """Wait until the present or next attempt has ended; False: it did not end in time."""
        if self._awake is not None and not self._awake.done():
            self._awake.set_result(None)
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        return await pause(self._clock, deadline - self._now(), self._ended)
