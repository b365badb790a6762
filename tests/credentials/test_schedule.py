"""The pace of fetches: a table for each sentence of the reference, and the floor as a law."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.credentials import schedule
from proxy.credentials.fixed import AT_ONCE
from proxy.credentials.schedule import OFF_SAAS, PACE, Policy, RefreshState, due_at
from proxy.credentials.session import pace
from tests.examples import some

NEW = RefreshState()
LOGINS = pace()


def test_the_first_attempt_is_due_at_once() -> None:
    assert due_at(NEW, PACE) == -inf


@pytest.mark.parametrize(
    ("life", "chance", "due"),
    [
        (300.0, 0.0, 1225.0),
        (300.0, 0.999999, 1240.0),
        (86400.0, 0.5, 1000.0 + 86400.0 * 0.775),
        (5.0, 0.0, 1003.75),
        (1.0, 0.0, 1001.2),  # the floor, after an attempt that took 0.2 s
        (0.1, 0.0, 1001.2),
        (None, 0.0, inf),
    ],
)
def test_a_refresh_is_due_between_75_and_80_percent_of_the_life(
    life: float | None, chance: float, due: float
) -> None:
    expires_at = None if life is None else 1000.0 + life
    state = schedule.fetched(NEW, PACE, 1000.2, 1000.0, expires_at, chance)
    assert due_at(state, PACE) == pytest.approx(due, abs=0.001)


@pytest.mark.parametrize(("remains", "after"), [(600.0, 300.0), (3.0, 1.5), (1.0, 1.0), (0.2, 1.0)])
def test_the_same_token_is_due_again_at_half_of_what_remains(remains: float, after: float) -> None:
    state = schedule.fetched_same(NEW, PACE, 1000.0, 1000.0 + remains)
    assert due_at(state, PACE) == pytest.approx(1000.0 + after)


def test_the_same_token_for_ever_is_never_due_again() -> None:
    state = schedule.fetched_same(NEW, PACE, 1000.0, None)
    assert (due_at(state, PACE), state.outcome) == (inf, "same")


def test_after_a_success_the_floor_is_another_one_than_after_a_failure() -> None:
    policy = replace(PACE, retry_min=2.0, retry_first=5.0)
    fetched = schedule.fetched(NEW, policy, 1000.0, 1000.0, 1000.1, 0.0)
    assert due_at(fetched, policy) == 1002.0
    assert due_at(schedule.failed(NEW, policy, 1000.0, "invalid", None, 0.0), policy) == 1005.0


def test_failures_double_the_reach_of_the_dice_up_to_30_seconds() -> None:
    state, delays = NEW, []
    for _ in range(8):
        state = schedule.failed(state, PACE, 1000.0, "unavailable", None, 0.999999)
        delays.append(round(due_at(state, PACE) - 1000.0, 2))
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_back_off_has_an_end_however_many_attempts_have_failed() -> None:
    """2.0 ** 1024 raises OverflowError: some hours of an outage, and the loop would die."""
    often = replace(NEW, failures=1_000_000, refusals=1_000_000)
    failed = schedule.failed(often, PACE, 1000.0, "unavailable", None, 0.999999)
    assert due_at(failed, PACE) == pytest.approx(1030.0)
    assert due_at(schedule.refused(often, PACE, 1000.0, None), PACE) == 1300.0


def test_jitter_is_full_but_keeps_the_floor() -> None:
    state = NEW
    for _ in range(8):
        state = schedule.failed(state, PACE, 1000.0, "invalid", None, 0.0)
    assert due_at(state, PACE) == 1001.0


@pytest.mark.parametrize(("asked", "held"), [(7.0, 7.0), (299.0, 299.0), (86400.0, 300.0), (-3.0, 1.0)])
def test_retry_after_is_obeyed_up_to_five_minutes(asked: float, held: float) -> None:
    state = schedule.failed(NEW, PACE, 1000.0, "limited", asked, 0.0)
    assert due_at(state, PACE) == 1000.0 + held


def test_refusals_go_to_the_slow_lane() -> None:
    state, delays = NEW, []
    for _ in range(5):
        state = schedule.refused(state, PACE, 1000.0, None)
        delays.append(due_at(state, PACE) - 1000.0)
    assert delays == [60.0, 120.0, 240.0, 300.0, 300.0]


def test_off_saas_the_first_refusals_are_looked_at_again_after_seconds() -> None:
    state, delays = NEW, []
    for _ in range(9):
        state = schedule.refused(state, OFF_SAAS, 1000.0, None)
        delays.append(due_at(state, OFF_SAAS) - 1000.0)
    assert delays == [3.0, 6.0, 12.0, 24.0, 48.0, 96.0, 192.0, 300.0, 300.0]


def test_a_refused_password_is_tried_soon_and_then_six_times_an_hour() -> None:
    state, now, tried = NEW, 0.0, []
    for _ in range(12):
        tried.append(now)
        state = schedule.refused(state, LOGINS, now, None)
        now = due_at(state, LOGINS)
    assert tried == [0, 5, 15, 35, 635, 1235, 3600, 4200, 4800, 5400, 6000, 6600]


def test_after_a_quiet_hour_a_refused_password_is_tried_soon_again() -> None:
    state = schedule.refused(NEW, LOGINS, 0.0, None)
    assert due_at(schedule.refused(state, LOGINS, 4000.0, None), LOGINS) == 4005.0


def test_a_success_between_refusals_does_not_give_more_logins_in_an_hour() -> None:
    state, now = NEW, 0.0
    for _ in range(6):
        state = schedule.refused(state, LOGINS, now, None)
        now = due_at(state, LOGINS)
        state = schedule.fetched(state, LOGINS, now, now, None, 0.0)
    assert due_at(schedule.refused(state, LOGINS, now, None), LOGINS) >= 3600.0


@given(
    st.lists(st.tuples(st.floats(0.0, 2000.0), st.sampled_from(["refused", "fetched", "failed", "wanted"])))
)
def test_in_no_hour_are_more_than_six_logins_refused(events: list[tuple[float, str]]) -> None:
    """A loop as the keeper's, whatever happens between two attempts."""
    state, now, refused = NEW, 0.0, list[float]()
    for after, outcome in events:
        now += after
        if outcome == "wanted":
            state = schedule.wanted(state, now)
            continue
        due = due_at(state, LOGINS)
        if due == inf:
            state = schedule.wanted(state, now)
            due = due_at(state, LOGINS)
        now = max(now, due)
        match outcome:
            case "refused":
                refused.append(now)
                state = schedule.refused(state, LOGINS, now, None)
            case "fetched":
                state = schedule.fetched(state, LOGINS, now, now, None, 0.0)
            case _:
                state = schedule.failed(state, LOGINS, now, "unavailable", None, 0.0)
    assert all(later - at >= 3600.0 for at, later in zip(refused, refused[6:], strict=False))


def test_another_password_has_its_own_early_attempts() -> None:
    state, now = NEW, 0.0
    for _ in range(6):
        state = schedule.refused(state, LOGINS, now, None)
        now = due_at(state, LOGINS)
    state = schedule.secret_changed(state, 2000.0)
    assert due_at(schedule.refused(state, LOGINS, 2000.0, None), LOGINS) == 2005.0


def test_only_the_first_refusal_of_a_secret_that_has_worked_may_pass() -> None:
    worked = schedule.fetched(NEW, PACE, 1000.0, 1000.0, 1300.0, 0.0)
    once = schedule.refused(worked, PACE, 1225.0, None)
    assert once.may_pass
    assert not schedule.refused(once, PACE, 1285.0, None).may_pass
    assert not schedule.refused(NEW, PACE, 1000.0, None).may_pass
    assert not schedule.refused(schedule.secret_changed(worked, 1100.0), PACE, 1100.0, None).may_pass


def test_a_changed_secret_cuts_the_slow_lane_short() -> None:
    state = schedule.refused(schedule.refused(NEW, PACE, 1000.0, None), PACE, 1060.0, None)
    state = schedule.secret_changed(state, 1070.0)
    assert due_at(state, PACE) == 1070.0
    assert due_at(schedule.refused(state, PACE, 1070.0, None), PACE) == 1130.0


def test_a_changed_secret_makes_failures_and_refusals_begin_anew() -> None:
    failed = replace(NEW, planned_at=1030.0, ended_at=1000.0, failures=9)
    refused = replace(failed, planned_at=1300.0, refusals=9)
    for state in (failed, refused):
        state = schedule.secret_changed(state, 1020.0)
        assert (state.failures, state.refusals, state.failing) == (0, 0, False)
        assert due_at(state, PACE) == 1020.0


def test_an_attempt_that_was_given_up_counts_from_its_beginning() -> None:
    state = schedule.abandoned(replace(good(), planned_at=1050.0), 1100.0)
    assert due_at(state, PACE) == 1101.0


def test_no_wish_puts_off_what_is_planned() -> None:
    state = schedule.wanted(good(), 1100.0)
    assert state.planned_at == 1100.0
    assert schedule.wanted(state, 1150.0).planned_at == 1100.0
    assert schedule.secret_changed(state, 1150.0).planned_at == 1100.0


def test_failures_and_refusals_are_counted_apart() -> None:
    state = schedule.refused(schedule.refused(NEW, PACE, 1000.0, None), PACE, 1100.0, None)
    failed = schedule.failed(state, PACE, 1300.0, "unavailable", None, 0.999999)
    assert (failed.failures, failed.refusals) == (1, 2)
    assert due_at(failed, PACE) == pytest.approx(1301.0)
    failed = schedule.failed(failed, PACE, 1310.0, "unavailable", None, 0.999999)
    assert due_at(failed, PACE) == pytest.approx(1312.0)
    refused = schedule.refused(failed, PACE, 1320.0, None)
    assert (refused.failures, refused.refusals) == (2, 3)
    assert due_at(refused, PACE) == 1320.0 + 240.0


def test_a_changed_secret_does_not_cut_what_the_server_asked_for() -> None:
    state = schedule.failed(NEW, PACE, 1000.0, "limited", 100.0, 0.0)
    assert due_at(schedule.secret_changed(state, 1010.0), PACE) == 1100.0


def good(state: RefreshState = NEW, now: float = 1000.0, life: float = 300.0) -> RefreshState:
    return schedule.fetched(state, PACE, now, now, now + life, 0.0)


def test_a_repair_waits_until_a_second_after_the_last_fetch() -> None:
    assert schedule.repair_at(good(), PACE, 1000.1) == 1001.0
    assert schedule.repair_at(good(), PACE, 1001.0) == 1001.0
    assert due_at(schedule.repair_wanted(good(), 1001.0), PACE) == 1001.0


def test_the_gap_lies_between_repairs_and_not_after_a_refresh() -> None:
    refreshed = good(good(schedule.repair_wanted(good(), 1100.0), 1100.0), 1120.0)
    assert schedule.repair_at(refreshed, PACE, 1131.9, 1132.0) == inf
    assert schedule.repair_at(refreshed, PACE, 1120.5, 1121.0) == 1121.0
    assert schedule.repair_at(refreshed, PACE, 1132.0, 1132.0) == 1132.0


def test_two_repairs_have_a_gap_whatever_the_place() -> None:
    policy = replace(PACE, repair_min=20.0)
    state = good(schedule.repair_wanted(good(), 1100.0), 1100.0)
    assert schedule.repair_at(state, policy, 1100.5) == 1120.0
    assert schedule.repair_at(state, policy, 1130.0) == 1130.0


def test_a_repair_is_over_with_the_attempt_that_was_made_for_it() -> None:
    wanted = schedule.repair_wanted(schedule.suspected(good(), 1100.0), 1100.0)
    assert (wanted.repairing, wanted.suspecting) == (True, True)
    for ended in (
        schedule.fetched(wanted, PACE, 1101.0, 1100.0, None, 0.0),
        schedule.fetched_same(wanted, PACE, 1101.0, None),
        schedule.failed(wanted, PACE, 1101.0, "unavailable", None, 0.0),
        schedule.refused(wanted, PACE, 1101.0, None),
    ):
        assert (ended.repairing, ended.repaired_at) == (False, 1101.0)
        assert (ended.suspecting, ended.suspected_at) == (False, 1101.0)
        for later in (
            schedule.fetched(ended, PACE, 1201.0, 1200.0, None, 0.0),
            schedule.failed(ended, PACE, 1201.0, "unavailable", None, 0.0),
        ):
            assert (later.repaired_at, later.suspected_at) == (1101.0, 1101.0)


def test_a_success_leaves_nothing_of_what_failed_before_it() -> None:
    failed = schedule.failed(NEW, PACE, 1000.0, "limited", 200.0, 0.0)
    state = schedule.refused(failed, PACE, 1200.0, 300.0)
    state = schedule.fetched(state, PACE, 1250.0, 1250.0, 1260.0, 0.0)
    assert (state.failures, state.refusals, state.failing, state.outcome) == (0, 0, False, "ok")
    assert due_at(state, PACE) == 1257.5


def test_a_repair_does_not_cut_back_off_short() -> None:
    state = schedule.failed(good(), PACE, 1225.0, "limited", 60.0, 0.0)
    assert schedule.repair_at(state, PACE, 1230.0) == 1285.0
    assert due_at(schedule.repair_wanted(state, 1230.0), PACE) == 1285.0
    refused = schedule.refused(good(), PACE, 1225.0, None)
    assert due_at(schedule.repair_wanted(refused, 1230.0), PACE) == 1285.0


def test_a_look_at_a_file_has_no_floor_until_it_fails() -> None:
    state = schedule.fetched(NEW, AT_ONCE, 1000.0, 1000.0, None, 0.0)
    assert schedule.repair_at(state, AT_ONCE, 1000.0) == 1000.0
    failed = schedule.failed(NEW, AT_ONCE, 1000.0, "unavailable", None, 0.0)
    assert due_at(failed, AT_ONCE) == 1001.0


@pytest.mark.parametrize(
    ("session", "expires_at", "until"),
    [
        (True, None, 2500.0),
        (True, 1200.0, 1200.0),
        (True, 5000.0, 2500.0),
        (False, None, inf),
        (False, 1200.0, 1200.0),
    ],
)
def test_only_sessions_end_unused(session: bool, expires_at: float | None, until: float) -> None:
    assert schedule.good_until(Policy(max_idle=1500.0), 1000.0, expires_at, session) == until
    assert schedule.good_until(PACE, 1000.0, expires_at, session) == (expires_at or inf)


def test_a_suspicion_waits_a_minute_for_the_next_and_a_second_after_any_attempt() -> None:
    state = schedule.suspected(good(), 1100.0)
    assert due_at(state, PACE) == 1100.0
    state = good(state, 1100.5)
    assert not schedule.may_suspect(state, PACE, 1160.4)
    assert schedule.may_suspect(state, PACE, 1160.5)
    state = good(state, 1160.0)
    assert not schedule.may_suspect(state, PACE, 1160.9)
    assert schedule.may_suspect(state, PACE, 1161.0)


def test_a_suspicion_is_no_repair() -> None:
    state = good(schedule.suspected(good(), 1100.0), 1100.0)
    assert state.repaired_at == -inf


def test_nothing_is_suspected_while_logins_fail() -> None:
    failed = schedule.failed(schedule.suspected(good(), 1100.0), PACE, 1100.0, "unavailable", None, 0.0)
    refused = schedule.refused(good(), PACE, 1100.0, None)
    assert not schedule.may_suspect(failed, PACE, 9999.0)
    assert not schedule.may_suspect(refused, PACE, 9999.0)
    again = schedule.fetched(failed, PACE, 1102.0, 1102.0, None, 0.0)
    assert not schedule.may_suspect(again, PACE, 1159.9)
    assert schedule.may_suspect(again, PACE, 1160.0)


def test_a_session_is_never_due_until_it_is_wanted() -> None:
    state = schedule.fetched(NEW, PACE, 1000.0, 1000.0, None, 0.0)
    assert due_at(state, PACE) == inf
    assert due_at(schedule.wanted(state, 5000.0), PACE) == 5000.0
    assert due_at(schedule.wanted(state, 1000.5), PACE) == 1001.0
    refused = schedule.refused(state, PACE, 1100.0, None)
    assert schedule.wanted(refused, 1110.0) == refused


@dataclass(frozen=True)
class Event:
    """Something that happens `after` seconds; `act` says what it makes of the state."""

    after: float
    act: Callable[[RefreshState, float], RefreshState]


seconds = st.floats(0.0, 4000.0) | st.floats(0.0, 2.0)
chance = st.floats(0.0, 1.0, exclude_max=True)
asked = st.none() | st.floats(-10.0, 1e6)
lives = st.none() | st.floats(0.001, 86400.0)


def wishes() -> st.SearchStrategy[Callable[[RefreshState, float], RefreshState]]:
    def repair(state: RefreshState, now: float) -> RefreshState:
        allowed = schedule.repair_at(state, PACE, now) is not None
        return schedule.repair_wanted(state, now) if allowed else state

    def suspicion(state: RefreshState, now: float) -> RefreshState:
        return schedule.suspected(state, now) if schedule.may_suspect(state, PACE, now) else state

    return st.sampled_from(
        [
            repair,
            suspicion,
            schedule.wanted,
            schedule.secret_changed,
        ]
    )


@st.composite
def ends(draw: st.DrawFn) -> Callable[[RefreshState, float], RefreshState]:
    kind = draw(st.sampled_from(["fetched", "same", "failed", "refused"]))
    drawn, wait, life = draw(chance), draw(asked), draw(lives)

    def end(state: RefreshState, now: float) -> RefreshState:
        expires_at = None if life is None else now + life
        match kind:
            case "fetched":
                return schedule.fetched(state, PACE, now, now, expires_at, drawn)
            case "same":
                return schedule.fetched_same(state, PACE, now, expires_at)
            case "failed":
                return schedule.failed(state, PACE, now, "unavailable", wait, drawn)
        return schedule.refused(state, PACE, now, wait)

    return end


@settings(max_examples=some(200))
@given(
    st.lists(
        st.builds(Event, seconds, wishes()) | st.builds(Event, st.floats(0.0, 50.0), ends()), max_size=40
    )
)
def test_two_attempts_are_never_closer_than_the_floor(events: list[Event]) -> None:
    """A loop as the keeper's: an attempt starts when it is due, wishes come between."""
    state, now = NEW, 1000.0
    ended_at = -inf
    for event in events:
        if event.act.__name__ == "end":
            due = due_at(state, PACE)
            if due == inf:
                continue
            started = max(now, due)
            assert started >= ended_at + PACE.retry_min
            now = ended_at = started + event.after
        else:
            now += event.after
        state = event.act(state, now)
        assert due_at(state, PACE) >= ended_at + PACE.retry_min


@given(seconds, asked, chance)
def test_no_wait_is_longer_than_five_minutes_and_none_is_forgotten(
    now: float, wait: float | None, chance: float
) -> None:
    for state in (
        schedule.failed(NEW, PACE, now, "unavailable", wait, chance),
        schedule.refused(NEW, PACE, now, wait),
    ):
        assert now + 1.0 <= due_at(state, PACE) <= now + 300.0


@given(st.floats(5.0, 86400.0), chance, st.floats(0.0, 0.2))
def test_lives_from_five_seconds_up_are_refreshed_before_they_end(
    life: float, chance: float, took: float
) -> None:
    state = schedule.fetched(NEW, PACE, 1000.0 + took, 1000.0, 1000.0 + life, chance)
    assert 0.75 * life - 1e-6 <= due_at(state, PACE) - 1000.0 <= 0.80 * life + 1e-6


def test_a_policy_says_all_figures() -> None:
    assert (
        Policy(
            ahead=0.75,
            ahead_latest=0.8,
            retry_min=1.0,
            retry_first=1.0,
            retry_max=30.0,
            retry_after_max=300.0,
            refused_min=60.0,
            refused_max=300.0,
            refused_early=(),
            refused_per_hour=None,
            repair_min=1.0,
            repair_max=300.0,
            suspected_min=60.0,
            max_idle=inf,
        )
        == PACE
    )
