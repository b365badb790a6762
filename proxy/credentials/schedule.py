"""Decides when a refresh is due and what a request may do now. Pure: no clock, no chance, no tasks.

`Policy` holds all figures, `RefreshState` all that the loop remembers. All times are seconds on the Clock;
`chance` is a random number in [0, 1). The loop and the request path call the same functions, so they cannot
disagree.
"""

from dataclasses import dataclass, replace
from math import inf

from proxy.errors import FetchOutcome


@dataclass(frozen=True, slots=True)
class Policy:
    """The rate of fetches; all but the shares in seconds.

    Attributes:
        ahead, ahead_latest: shares of a credential's life between which its refresh starts.
        retry_min: shortest time from the end of any attempt to the start of the next.
        retry_first, retry_max: first and longest back-off after failures; the first is also the shortest
            time between an attempt and the next while attempts fail.
        retry_after_max: longest wait that a server may ask for.
        refused_min, refused_max: first and longest back-off after a refusal of our client.
        refused_early: back-offs after the first refusals of an hour, before those.
        refused_per_hour: most attempts in an hour that may be refused; None: as many as the back-off allows.
        repair_min, repair_max: gap between repairs; each repair that does not help doubles it (see
            `repairs.py`).
        suspected_min: gap between logins for answers that may be refusals.
        max_idle: a session unused for so long counts as expired, because its server may have ended it.
    """

    ahead: float = 0.75
    ahead_latest: float = 0.80
    retry_min: float = 1.0
    retry_first: float = 1.0
    retry_max: float = 30.0
    retry_after_max: float = 300.0
    refused_min: float = 60.0
    refused_max: float = 300.0
    refused_early: tuple[float, ...] = ()
    refused_per_hour: int | None = None
    repair_min: float = 1.0
    repair_max: float = 300.0
    suspected_min: float = 60.0
    max_idle: float = inf


PACE = Policy()
"""Of token endpoints of Camunda SaaS, which delay a refused client by 30 s and count failed requests."""

OFF_SAAS = Policy(refused_min=3.0)
"""Of all other token endpoints: a refusal is looked at again soon, because it often passes by itself, while a
client is being created, or while an identity provider restarts."""

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class RefreshState:
    """The past, as far as it matters for the next attempt.

    Attributes:
        planned_at: when the next attempt is planned; it may have to start later (see `due_at`).
        held_until: end of a server's Retry-After; no attempt starts before.
        ended_at: end of the last attempt.
        outcome: of the last attempt; None: there was none.
        failures: attempts in a row that failed without a refusal of our client.
        refusals: attempts that refused our client, since the last success or change of its secret.
        repairing: whether a request waits for a credential other than the one in use.
        repaired_at: end of the last attempt that was made for a repair.
        suspecting: whether a request waits for another session, because its answer may have been a refusal.
        suspected_at: end of the last attempt that was made for that.
        refused_at: ends of the refused attempts of the last hour, if a policy limits these.
        worked: whether the present secret has ever brought a credential.
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
    refused_at: tuple[float, ...] = ()
    worked: bool = False

    @property
    def failing(self) -> bool:
        return self.failures + self.refusals > 0

    @property
    def may_pass(self) -> bool:
        """Whether a refusal may pass by itself: it is the first one, and this secret has worked before."""
        return self.worked and self.refusals == 1 and self.outcome != "login_needed"


def due_at(state: RefreshState, policy: Policy) -> float:
    """Return when the next attempt starts; never sooner than `retry_min` after the end of the last one."""
    floor = policy.retry_first if state.failing else policy.retry_min
    return max(state.planned_at, state.held_until, state.ended_at + floor)


def good_until(policy: Policy, used_at: float, expires_at: float | None, session: bool) -> float:
    """Return when a credential that was last used at `used_at` must no longer be injected.

    Each use of a session extends its time.
    """
    expiry = inf if expires_at is None else expires_at
    return min(expiry, used_at + policy.max_idle) if session else expiry


def repair_at(state: RefreshState, policy: Policy, now: float, gap_ends: float = -inf) -> float:
    """Return when the refused credential in use can be replaced, seconds on the Clock, `now` at the earliest.

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
    """Tell whether to try a new login after an answer that may be a refusal. Not while logins fail."""
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
    """Record a new credential. The next is due at 75 to 80 % of its life, at random, to spread many proxies.

    Args:
        expires_at: None: it never expires.
    """
    share = policy.ahead + (policy.ahead_latest - policy.ahead) * chance
    planned_at = inf if expires_at is None else fetched_at + (expires_at - fetched_at) * share
    return _succeeded(state, now, "ok", planned_at)


def fetched_same(state: RefreshState, policy: Policy, now: float, expires_at: float | None) -> RefreshState:
    """Record that the source returned the credential that we have, which is no failure.

    Camunda SaaS returns the same token until 30 s before its expiry (JS SDK issue 125).
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
    """Record a failure that may pass: back off with full jitter, and wait as long as the server asked for.

    Args:
        retry_after: seconds; None: the server did not say.
    """
    delay = chance * doubled(policy.retry_first, state.failures, policy.retry_max)
    state = replace(state, failures=state.failures + 1)
    return _ended(state, policy, now, outcome, now + delay, retry_after)


def refused(
    state: RefreshState,
    policy: Policy,
    now: float,
    retry_after: float | None,
    outcome: FetchOutcome = "rejected",
) -> RefreshState:
    """Record a refusal of our client: try again ever more slowly, because it seldom passes by itself."""
    delay, recent = doubled(policy.refused_min, state.refusals, policy.refused_max), state.refused_at
    if policy.refused_early or policy.refused_per_hour is not None:
        recent = (*(at for at in recent if now - at < HOUR), now)
        if len(recent) <= len(policy.refused_early):
            delay = policy.refused_early[len(recent) - 1]
        if policy.refused_per_hour is not None and len(recent) >= policy.refused_per_hour:
            delay = max(delay, recent[-policy.refused_per_hour] + HOUR - now)
    state = replace(state, refusals=state.refusals + 1, refused_at=recent)
    return _ended(state, policy, now, outcome, now + delay, retry_after)


def wanted(state: RefreshState, now: float) -> RefreshState:
    """Record that a request found no usable credential. This does not shorten a back-off."""
    return replace(state, planned_at=state.planned_at if state.failing else min(state.planned_at, now))


def repair_wanted(state: RefreshState, now: float) -> RefreshState:
    """Record that an upstream refused the credential in use; call `repair_at` first."""
    return replace(wanted(state, now), repairing=True)


def suspected(state: RefreshState, now: float) -> RefreshState:
    """Record that an upstream may have refused the session in use, which is no repair; call `may_suspect`
    first."""
    return replace(wanted(state, now), suspecting=True)


def abandoned(state: RefreshState, begun: float) -> RefreshState:
    """Record that an attempt was given up because its secret changed; `retry_min` counts from its start."""
    return replace(state, ended_at=begun)


def secret_changed(state: RefreshState, now: float) -> RefreshState:
    """Record a changed secret: try at once, without back-off, but keep `retry_min` and a Retry-After."""
    planned_at = min(state.planned_at, now)
    return replace(state, planned_at=planned_at, failures=0, refusals=0, refused_at=(), worked=False)


def _succeeded(state: RefreshState, now: float, outcome: FetchOutcome, planned_at: float) -> RefreshState:
    return RefreshState(
        planned_at=planned_at,
        ended_at=now,
        outcome=outcome,
        repaired_at=now if state.repairing else state.repaired_at,
        suspected_at=now if state.suspecting else state.suspected_at,
        refused_at=state.refused_at,
        worked=True,
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
    """Return `first`, doubled so often, at most `most`; 2 to the 16th is beyond every limit here."""
    return min(most, first * 2.0 ** min(times, 16))
