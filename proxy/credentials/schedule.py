"""When is a refresh due, what may a request do now: pure arithmetic, no clock, no chance, no tasks.

All figures stand in `Policy`, all that the loop remembers in `RefreshState`. Moments are seconds on the
Clock, chance lie in [0, 1). The loop and the request path ask the same functions, so they cannot disagree.
"""

from dataclasses import dataclass, replace
from math import inf

from proxy.errors import FetchOutcome


@dataclass(frozen=True, slots=True)
class Policy:
    """The pace of fetches, in seconds where nothing else is said.

    Attributes:
        ahead, ahead_latest: shares of a credential's life between which its refresh falls.
        retry_min: the floor: from the end of an attempt to the start of the next, whatever it brought.
        retry_first, retry_max: back-off after failures: where it begins (and their own floor), where it ends.
        retry_after_max: longest wait that a server may ask for.
        refused_min, refused_max: slow lane of a refused client.
        repair_min, repair_max: gap between repairs; those that do not help double it (see `repairs.py`).
        suspected_min: gap between logins for answers that only may be refusals.
        max_idle: a session unused for so long is not trusted: its server's patience may be over.
    """

    ahead: float = 0.75
    ahead_latest: float = 0.80
    retry_min: float = 1.0
    retry_first: float = 1.0
    retry_max: float = 30.0
    retry_after_max: float = 300.0
    refused_min: float = 60.0
    refused_max: float = 300.0
    repair_min: float = 1.0
    repair_max: float = 300.0
    suspected_min: float = 60.0
    max_idle: float = inf


PACE = Policy()


@dataclass(frozen=True, slots=True)
class RefreshState:
    """What the past means for the next attempt.

    Attributes:
        planned_at: when the next attempt is wanted; floor and hold come on top (see `due_at`).
        held_until: a server's Retry-After; nothing cuts it short.
        ended_at: end of the last attempt.
        outcome: of the last attempt; None: there was none.
        failures: attempts in a row that failed without a refusal of our client.
        refusals: attempts that refused our client, since the last success or change of its secret.
        repairing: somebody waits for a credential other than the one in use.
        repaired_at: end of the last attempt that was made for a repair.
        suspecting: somebody waits for another session, since his answer may have been a refusal.
        suspected_at: end of the last attempt that was made for that.
    """

    planned_at: float = -inf
    held_until: float = -inf
    ended_at: float = -inf
    outcome: FetchOutcome | None = None
    failures: int = 0
    refusals: int = 0
    repairing: bool = False
    repaired_at: float = -inf
    suspecting: bool = False
    suspected_at: float = -inf

    @property
    def failing(self) -> bool:
        return self.failures + self.refusals > 0


def due_at(state: RefreshState, policy: Policy) -> float:
    """When the next attempt starts; never sooner than `retry_min` after the last, whatever it brought."""
    floor = policy.retry_first if state.failing else policy.retry_min
    return max(state.planned_at, state.held_until, state.ended_at + floor)


def good_until(policy: Policy, used_at: float, expires_at: float | None, session: bool) -> float:
    """When a credential that was last used at `used_at` is no longer to be stamped; of a session each use
    moves it on."""
    expiry = inf if expires_at is None else expires_at
    return min(expiry, used_at + policy.max_idle) if session else expiry


def repair_at(state: RefreshState, policy: Policy, now: float, gap_ends: float = -inf) -> float:
    """When the refused credential in use can be replaced, seconds on the Clock, `now` at the earliest.

    It is infinite if the place that the refusal came from has to wait longer than all others: a place that
    refuses every credential must not make its callers wait.

    Args:
        gap_ends: seconds on the Clock, end of the gap of the place that the refusal came from.
    """
    if state.failing:
        return due_at(state, policy)
    floor = max(state.ended_at + policy.retry_min, state.repaired_at + policy.repair_min, now)
    return floor if gap_ends <= floor else inf


def may_suspect(state: RefreshState, policy: Policy, now: float) -> bool:
    """Whether a new login is worth a try after an answer that names no reason. Not while logins fail."""
    soonest = max(state.ended_at + policy.retry_min, state.suspected_at + policy.suspected_min)
    return not state.failing and now >= soonest


def fetched(
    state: RefreshState,
    policy: Policy,
    now: float,
    fetched_at: float,
    expires_at: float | None,
    chance: float,
) -> RefreshState:
    """A new credential: due again at 75 % of its life, later by chance, so that many proxies spread out.

    Args:
        expires_at: None: it lives for ever.
    """
    share = policy.ahead + (policy.ahead_latest - policy.ahead) * chance
    planned_at = inf if expires_at is None else fetched_at + (expires_at - fetched_at) * share
    return _succeeded(state, now, "ok", planned_at)


def fetched_same(state: RefreshState, policy: Policy, now: float, expires_at: float | None) -> RefreshState:
    """The source returned the credential that we have: neither a failure nor news.

    Camunda SaaS hands the same token out until 30 s before its expiry (JS SDK issue 125).
    """
    planned_at = inf if expires_at is None else now + max(policy.retry_min, (expires_at - now) / 2)
    return _succeeded(state, now, "same", planned_at)


def failed(
    state: RefreshState,
    policy: Policy,
    now: float,
    outcome: FetchOutcome,
    retry_after: float | None,
    chance: float,
) -> RefreshState:
    """No credential, for now: back-off with full jitter, and what the server asked for.

    Args:
        retry_after: seconds; None: it did not say.
    """
    delay = chance * doubled(policy.retry_first, state.failures, policy.retry_max)
    state = replace(state, failures=state.failures + 1)
    return _ended(state, policy, now, outcome, now + delay, retry_after)


def refused(state: RefreshState, policy: Policy, now: float, retry_after: float | None) -> RefreshState:
    """Our client was refused: the slow lane, since only a human can change that."""
    delay = doubled(policy.refused_min, state.refusals, policy.refused_max)
    state = replace(state, refusals=state.refusals + 1)
    return _ended(state, policy, now, "rejected", now + delay, retry_after)


def wanted(state: RefreshState, now: float) -> RefreshState:
    """A request found none that is good. Back-off is not cut short by it."""
    return replace(state, planned_at=state.planned_at if state.failing else min(state.planned_at, now))


def repair_wanted(state: RefreshState, now: float) -> RefreshState:
    """An upstream refused the credential in use; ask `repair_at` first."""
    return replace(wanted(state, now), repairing=True)


def suspected(state: RefreshState, now: float) -> RefreshState:
    """An upstream may have refused the session in use; ask `may_suspect` first. Counts as no repair."""
    return replace(wanted(state, now), suspecting=True)


def abandoned(state: RefreshState, begun: float) -> RefreshState:
    """An attempt was given up because its secret has changed. The floor counts from its start."""
    return replace(state, ended_at=begun)


def secret_changed(state: RefreshState, now: float) -> RefreshState:
    """Another secret, another chance: every lane is cut short; the floor and a Retry-After stay."""
    return replace(state, planned_at=min(state.planned_at, now), failures=0, refusals=0)


def _succeeded(state: RefreshState, now: float, outcome: FetchOutcome, planned_at: float) -> RefreshState:
    return RefreshState(
        planned_at=planned_at,
        ended_at=now,
        outcome=outcome,
        repaired_at=now if state.repairing else state.repaired_at,
        suspected_at=now if state.suspecting else state.suspected_at,
    )


def _ended(
    state: RefreshState,
    policy: Policy,
    now: float,
    outcome: FetchOutcome,
    planned_at: float,
    retry_after: float | None,
) -> RefreshState:
    hold = min(max(retry_after or 0.0, 0.0), policy.retry_after_max)
    return replace(
        state,
        planned_at=planned_at,
        held_until=now + hold,
        ended_at=now,
        outcome=outcome,
        repairing=False,
        repaired_at=now if state.repairing else state.repaired_at,
        suspecting=False,
        suspected_at=now if state.suspecting else state.suspected_at,
    )


def doubled(first: float, times: int, most: float) -> float:
    """`first`, doubled so often, at most `most`; 2 to the 16th is beyond every limit here."""
    return min(most, first * 2.0 ** min(times, 16))
