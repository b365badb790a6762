"""One credential kept fresh: what requests see, and what the token endpoint sees."""

import weakref
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.credentials.credential import Credential
from proxy.credentials.fixed import AT_ONCE, SharedToken
from proxy.credentials.keeper import Keeper
from proxy.credentials.schedule import OFF_SAAS, PACE
from proxy.credentials.secret import SECRET_WATCH, FileSecret, HiddenSecret
from proxy.credentials.store import TokenSlot, token_store
from proxy.credentials.throttle import HostThrottle
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable, RepairDeclined
from tests.clock import FakeClock
from tests.credentials.sources import Notebook, ScriptedLogin, ScriptedSource, outcome, running
from tests.examples import some

DOWN = CredentialUnavailable("the token endpoint is down")
REFUSED = CredentialRejected("the token endpoint refused our client")


def keeper_of(source: ScriptedSource, clock: FakeClock, notebook: Notebook | None = None) -> Keeper:
    return Keeper("saas", source, clock=clock, observer=notebook or Notebook(), random=lambda: 0.0)


# -- the first credential --


async def test_500_requests_before_the_first_token_are_one_fetch() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, takes=2.0)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        requests = [group.create_task(outcome(keeper.get(10.0))) for _ in range(500)]
        await clock.advance(2.0)
        assert {await task for task in requests} == {keeper.current}
        assert await keeper.get(0.0) is keeper.current
    assert len(source.begun) == 1
    assert sum(keeper.tally.wait_seconds.counts) == 500
    assert keeper.tally.wait_seconds.total == pytest.approx(1000.0)


async def test_a_cancelled_request_cancels_no_fetch() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, takes=2.0)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        gone = group.create_task(outcome(keeper.get(10.0)))
        stays = group.create_task(outcome(keeper.get(10.0)))
        await clock.advance(1.0)
        gone.cancel()
        await clock.advance(1.0)
        assert await stays is keeper.current
    assert len(source.begun) == 1


async def test_a_request_waits_for_its_patience_and_a_late_answer_is_used() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, takes=30.0)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        request = group.create_task(outcome(keeper.get(10.0)))
        await clock.advance(10.0)
        error = await request
        assert isinstance(error, CredentialUnavailable)
        assert error.retry_after == 1.0
        await clock.advance(20.0)
        assert keeper.current is not None
    assert len(source.begun) == 1


async def test_a_request_waits_through_a_short_back_off() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    source.script.extend([DOWN, DOWN])
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        request = group.create_task(outcome(keeper.get(10.0)))
        await clock.advance(2.0)
        assert await request is keeper.current
    assert source.begun == [1000.0, 1001.0, 1002.0]


async def test_in_a_long_back_off_requests_fail_at_once_and_the_endpoint_hears_nothing() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    source.script.append(CredentialUnavailable("limited", outcome="limited", retry_after=120.0))
    keeper = keeper_of(source, clock)
    async with running(keeper, clock):
        await clock.advance(20.0)
        with pytest.raises(CredentialUnavailable) as caught:
            await keeper.get(10.0)
        assert (caught.value.outcome, caught.value.retry_after) == ("limited", 100.0)
        assert len(source.begun) == 1
        await clock.advance(100.0)
        assert keeper.current is not None
    assert sum(keeper.tally.wait_seconds.counts) == 0


async def test_a_refused_client_is_told_at_once_however_patient_the_request() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    source.always = REFUSED
    keeper = keeper_of(source, clock)
    async with running(keeper, clock):
        await clock.advance(5.0)
        with pytest.raises(CredentialRejected) as caught:
            await keeper.get(1000.0)
        assert caught.value.retry_after == 55.0
        await clock.advance(1000.0)
    assert [at - 1000.0 for at in source.begun] == [0.0, 60.0, 180.0, 420.0, 720.0]


async def test_requests_wait_for_the_next_attempt_if_a_secret_that_worked_is_refused_once() -> None:
    """Tokens of 12 s; the second fetch is refused once, as by a server that restarts."""
    clock = FakeClock()
    source = ScriptedSource(clock, life=12.0)
    keeper = Keeper("saas", source, clock=clock, policy=OFF_SAAS, random=lambda: 0.999999)
    async with running(keeper, clock) as group:
        await clock.advance(9.0)
        source.script.append(REFUSED)
        await clock.advance(3.3)  # refused at 9.6 s, expired at 12 s
        request = group.create_task(keeper.get(10.0))
        await clock.settle()
        assert not request.done()
        await clock.advance(1.0)
        assert await request is keeper.current
    assert len(source.begun) == 3


# -- refresh ahead --


@pytest.mark.parametrize("error", [DOWN, REFUSED, CredentialError("of a kind yet unknown")])
async def test_a_valid_credential_outlives_a_failed_refresh(error: CredentialError) -> None:
    clock, notebook = FakeClock(), Notebook()
    source = ScriptedSource(clock)
    keeper = keeper_of(source, clock, notebook)
    async with running(keeper, clock):
        first = keeper.current
        source.always = error
        await clock.advance(299.9)
        assert len(source.begun) > 1
        assert keeper.current is first
        assert await keeper.get(0.0) is first
        await clock.advance(0.1)
        assert not keeper.snapshot().usable
        source.always = None
        await clock.advance(300.0)
        assert keeper.current is not None
    assert notebook.conditions == ["good", "failing", "unusable", "good"]


async def test_one_event_for_each_change_of_state() -> None:
    clock, notebook = FakeClock(), Notebook()
    source = ScriptedSource(clock)
    source.script.extend([DOWN] * 5 + [REFUSED])
    keeper = keeper_of(source, clock, notebook)
    assert keeper.snapshot().condition == "starting"
    async with running(keeper, clock):
        await clock.advance(1000.0)
    assert notebook.conditions == ["unusable", "unusable", "good"]
    assert [status.outcome for status in notebook.changes] == ["unavailable", "rejected", "ok"]
    assert [status.reason for status in notebook.changes] == [str(DOWN), str(REFUSED), ""]


@pytest.mark.parametrize(
    ("life", "seconds", "fewest", "most"),
    [
        (1.0, 200.0, 190, 200),
        (5.0, 400.0, 100, 108),
        (20.0, 600.0, 39, 41),
        (300.0, 9000.0, 39, 41),
        (86400.0, 172800.0, 3, 3),
    ],
)
async def test_lives_of_any_length_are_kept_fresh_at_the_promised_pace(
    life: float, seconds: float, fewest: int, most: int
) -> None:
    clock, notebook = FakeClock(), Notebook()
    source = ScriptedSource(clock, life=life, takes=0.02)
    keeper = keeper_of(source, clock, notebook)
    step = max(life / 40, 0.05) if life < 10_000 else 900.0
    late = 0
    async with running(keeper, clock):
        await clock.advance(0.02)
        for _ in range(int(seconds / step)):
            await clock.advance(step)
            late += keeper.current is None
    assert fewest <= len(source.begun) <= most
    assert late == 0 or life == 1.0
    assert notebook.conditions == ["good"]


async def test_with_lives_of_a_second_requests_wait_and_never_fail() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, life=1.0, takes=0.1)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        requests = []
        for _ in range(300):
            requests.append(group.create_task(outcome(keeper.get(10.0))))
            await clock.advance(0.1)
        await clock.advance(2.0)
        assert all([isinstance(await task, Credential) for task in requests])
    assert len(source.begun) <= 30


async def test_the_floor_is_measured_from_the_end_of_an_attempt() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, takes=3.0)
    source.always = DOWN
    keeper = keeper_of(source, clock)
    async with running(keeper, clock):
        await clock.advance(60.0)
    gaps = [begun - ended for begun, ended in zip(source.begun[1:], source.ended, strict=False)]
    assert min(gaps) == 1.0


async def test_after_a_suspend_the_first_request_refreshes_first() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, life=3600.0)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        await clock.advance(60.0)
        old = keeper.current
        clock.jump(7200.0)
        assert keeper.current is None
        request = group.create_task(outcome(keeper.get(10.0)))
        await clock.settle()
        new = await request
        assert isinstance(new, Credential)
        assert new is not old
        assert new.fetched_at == clock.now()
    assert len(source.begun) == 2


async def test_a_woken_laptop_decides_again_within_30_seconds_by_itself() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, life=3600.0)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock):
        clock.jump(7200.0)
        await clock.advance(30.0)
        assert keeper.current is not None


@pytest.mark.parametrize("fault", [ZeroDivisionError(), OSError("x"), KeyError("x"), RuntimeError("x")])
async def test_a_fault_in_a_source_is_one_failed_attempt_with_its_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    source.script.append(fault)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock):
        assert keeper.snapshot().outcome == "invalid"
        with pytest.raises(CredentialUnavailable, match="the proxy itself failed"):
            await keeper.get(0)
        (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
        assert record.exc_info is not None
        assert record.exc_info[0] is type(fault)
        await clock.advance(30.0)
        assert keeper.current is not None
    assert keeper.tally.outcomes == {"invalid": 1, "ok": 1}


class Socket:
    """What an attempt holds while it runs."""


class FailingWithASocket(ScriptedSource):
    """Attributes:
    sockets: of its attempts, as far as they are alive.
    """

    sockets: ClassVar[list[weakref.ref[Socket]]] = []

    async def fetch(self) -> Credential:
        mine = Socket()
        self.sockets.append(weakref.ref(mine))
        raise CredentialUnavailable("the connection broke") from ConnectionResetError()


async def test_a_failure_that_is_kept_keeps_nothing_of_its_attempt_alive() -> None:
    clock = FakeClock()
    keeper = keeper_of(FailingWithASocket(clock), clock)
    async with running(keeper, clock):
        assert keeper.snapshot().reason == "the connection broke"
        assert [alive() for alive in FailingWithASocket.sockets] == [None]


# -- the same token back --


async def test_the_same_token_is_neither_failure_nor_news() -> None:
    clock, notebook = FakeClock(), Notebook()
    source = ScriptedSource(clock, life=300.0)
    keeper = keeper_of(source, clock, notebook)
    async with running(keeper, clock):
        first = keeper.current
        source.always = "same"
        await clock.advance(299.0)
        assert keeper.current is first
        assert [at - 1000.0 for at in source.begun[:4]] == [0.0, 225.0, 262.5, 281.25]
        source.always = None
        await clock.advance(1.0)
        assert keeper.current is not None
        assert keeper.current is not first
    assert notebook.conditions == ["good"]
    assert set(notebook.outcomes) == {"ok", "same"}


async def test_the_same_token_with_an_earlier_expiry_expires_earlier() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, life=300.0)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock):
        used = keeper.current
        assert used is not None
        source.always, source.life = "same", 10.0
        await clock.advance(226.0)
        assert keeper.snapshot().expires_at == 1235.0
        with pytest.raises(RepairDeclined) as caught:
            await keeper.replace(used, 10.0)
        assert caught.value.outcome == "same_credential"


# -- repair --


async def test_500_refused_requests_are_one_fetch() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, takes=0.5)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        await clock.advance(100.0)
        used = keeper.current
        assert used is not None
        refused = [group.create_task(outcome(keeper.replace(used, 10.0))) for _ in range(250)]
        await clock.advance(0.2)
        assert keeper.current is used
        refused += [group.create_task(outcome(keeper.replace(used, 10.0))) for _ in range(250)]
        await clock.advance(0.3)
        news = {await task for task in refused}
        assert news == {keeper.current}
        assert used not in news
        assert await keeper.replace(used, 10.0) is keeper.current
    assert len(source.begun) == 2


async def test_repairs_within_a_second_of_the_last_fetch_wait_for_the_rest_of_it() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        used = keeper.current
        assert used is not None
        waiting = [group.create_task(keeper.replace(used, 10.0)) for _ in range(30)]
        await clock.advance(0.9)
        assert len(source.begun) == 1
        await clock.advance(0.1)
        assert {await task for task in waiting} == {keeper.current}
        assert keeper.current is not used
    assert len(source.begun) == 2


async def test_a_repair_that_may_not_wait_so_long_is_declined() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock):
        used = keeper.current
        assert used is not None
        with pytest.raises(RepairDeclined) as caught:
            await keeper.replace(used, 0.5)
    assert caught.value.outcome == "too_soon"
    assert len(source.begun) == 1


async def test_a_place_that_refuses_every_credential_makes_nobody_wait() -> None:
    clock, place = FakeClock(), ("zeebe", b"GET /bad")
    source = ScriptedSource(clock)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock):
        used = keeper.current
        assert used is not None
        await clock.advance(5.0)
        again = await keeper.replace(used, 10.0, place=place)
        keeper.refused_again(place)
        with pytest.raises(RepairDeclined):
            await keeper.replace(again, 10.0, place=place)
    assert len(source.begun) == 2


async def test_a_changed_secret_ends_an_attempt_with_the_old_one() -> None:
    clock, secret = FakeClock(), Written()
    source = ScriptedSource(clock)
    keeper = Keeper("saas", source, clock=clock, secret=secret, random=lambda: 0.0)
    async with running(keeper, clock) as group:
        used = keeper.current
        assert used is not None
        await clock.advance(10.0)
        source.takes = 30.0
        waiting = group.create_task(keeper.replace(used, 10.0))
        await clock.advance(0.0)
        assert len(source.begun) == 2
        source.takes = 0.0
        secret.written += 1
        await clock.advance(1.0)
        assert await waiting is keeper.current
        assert keeper.current is not used
        assert keeper.snapshot().condition == "good"
    assert source.begun == [1000.0, 1010.0, 1011.0]
    assert keeper.tally.outcomes == {"ok": 2, "unavailable": 1}


async def test_a_request_sees_at_once_that_the_secret_changed_during_an_attempt() -> None:
    clock, secret = FakeClock(), Written()
    source = ScriptedSource(clock)
    keeper = Keeper("saas", source, clock=clock, secret=secret, random=lambda: 0.0)
    async with running(keeper, clock) as group:
        used = keeper.current
        assert used is not None
        await clock.advance(10.0)
        source.takes = 30.0
        group.create_task(keeper.replace(used, 10.0))
        await clock.advance(0.5)
        source.takes = 0.0
        secret.written += 1
        second = group.create_task(keeper.replace(used, 10.0))
        await clock.advance(0.0)
        assert len(source.ended) == 2  # the old one is ended
        await clock.advance(0.5)
        assert await second is keeper.current
    assert source.begun == [1000.0, 1010.0, 1011.0]


async def test_requests_that_wait_are_served_by_the_keeper_that_fetches_from_now_on() -> None:
    clock = FakeClock()
    slow, source = ScriptedSource(clock, takes=30.0), ScriptedSource(clock)
    before, after = keeper_of(slow, clock), keeper_of(source, clock)
    async with running(before, clock) as group:
        waiting = group.create_task(before.get(10.0))
        repair = group.create_task(before.replace(Credential((), 0.0), 10.0))
        async with running(after, clock):
            before.hand_over(after)
            await clock.advance(0.0)
            assert await waiting is after.current
            assert await repair is after.current
            assert await before.get(10.0) is after.current
    assert len(source.begun) == 1


async def test_a_repair_that_brings_the_same_token_is_declined_and_widens_the_gap() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, life=86400.0)
    source.always = "same"
    keeper = keeper_of(source, clock)
    declined: list[str] = []
    async with running(keeper, clock) as group:
        for _ in range(400):
            await clock.advance(1.0)
            used = keeper.current
            assert used is not None
            request = group.create_task(outcome(keeper.replace(used, 10.0)))
            await clock.settle()
            declined.append(str(await request))
    assert declined[0] == "same_credential"
    assert declined.count("same_credential") == len(source.begun) - 1 <= 10


async def test_a_wrong_audience_never_becomes_a_fetch_a_second() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, life=86400.0)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        for _ in range(600):
            await clock.advance(1.0)
            used = keeper.current
            assert used is not None
            request = group.create_task(outcome(keeper.replace(used, 10.0)))
            await clock.settle()
            repaired = await request
            if isinstance(repaired, Credential):
                for _ in range(50):
                    keeper.refused_again()
        gaps = [later - earlier for earlier, later in zip(source.begun[1:], source.begun[2:], strict=False)]
        assert gaps == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]
        assert keeper.wants_answers
        used = keeper.current
        assert used is not None
        keeper.note_accepted(used)
        request = group.create_task(outcome(keeper.replace(used, 10.0)))
        await clock.settle()
        assert await request is not used


@pytest.mark.parametrize("retry_after", [5.0, 100.0])
async def test_retry_after_holds_against_repairs_too(retry_after: float) -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        used = keeper.current
        assert used is not None
        source.script.append(CredentialUnavailable("limited", outcome="limited", retry_after=retry_after))
        await clock.advance(10.0)
        request = group.create_task(outcome(keeper.replace(used, 10.0)))
        await clock.settle()
        got = None
        if retry_after < 10.0:
            await clock.advance(retry_after)
            got = await request
            assert isinstance(got, Credential)
        else:
            got = await request
            assert isinstance(got, CredentialUnavailable)
            assert got.retry_after == 100.0
            assert keeper.current is used
        assert source.begun[1:] == ([1010.0, 1015.0] if retry_after < 10.0 else [1010.0])


async def test_a_refused_credential_stays_in_use_until_a_new_one_is_there() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        await clock.advance(10.0)
        used = keeper.current
        assert used is not None
        source.always = REFUSED
        request = group.create_task(outcome(keeper.replace(used, 10.0)))
        await clock.settle()
        assert isinstance(await request, CredentialRejected)
        assert await keeper.get(0.0) is used


async def test_a_refused_request_joins_a_refresh_that_runs_even_inside_the_gap() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, takes=0.5)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        await clock.advance(200.0)
        used = keeper.current
        assert used is not None
        group.create_task(outcome(keeper.replace(used, 10.0)))
        await clock.advance(0.5)
        keeper.refused_again()
        for _ in range(7):  # each gap is twice as long: 256 s after the last
            await clock.advance(200.0)
            used = keeper.current
            assert used is not None
            group.create_task(outcome(keeper.replace(used, 10.0)))
            await clock.advance(0.5)
            keeper.refused_again()
        before = len(source.begun)
        await clock.advance(224.7)
        assert len(source.begun) == before + 1  # a refresh, within the gap
        used = keeper.current
        assert used is not None
        request = group.create_task(outcome(keeper.replace(used, 10.0)))
        await clock.advance(0.5)
        assert isinstance(await request, Credential)
    assert len(source.begun) == before + 1


async def test_a_repair_that_is_due_at_the_deadline_is_made() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        await clock.advance(0.5)
        used = keeper.current
        assert used is not None
        request = group.create_task(outcome(keeper.replace(used, 0.5)))
        await clock.advance(1.0)
        assert not isinstance(await request, RepairDeclined)
    assert source.begun == [1000.0, 1001.0]


async def test_a_repair_waits_for_the_gap_between_repairs() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    policy = replace(PACE, repair_min=20.0)
    keeper = Keeper("saas", source, clock=clock, policy=policy, random=lambda: 0.0)
    async with running(keeper, clock) as group:
        await clock.advance(5.0)
        for timeout, got in ((10.0, Credential), (5.0, RepairDeclined), (30.0, Credential)):
            used = keeper.current
            assert used is not None
            request = group.create_task(outcome(keeper.replace(used, timeout)))
            await clock.advance(timeout)
            assert isinstance(await request, got)
            keeper.note_accepted(used, repaired=True)
    assert source.begun == [1000.0, 1005.0, 1025.0]


async def test_a_repair_waits_only_for_its_patience() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        await clock.advance(10.0)
        used = keeper.current
        assert used is not None
        source.takes = 30.0
        request = group.create_task(outcome(keeper.replace(used, 10.0)))
        await clock.advance(10.0)
        error = await request
        assert isinstance(error, CredentialUnavailable)
        assert str(error)


# -- secrets in files --


async def test_a_changed_secret_cuts_the_slow_lane_short(tmp_path: Path) -> None:
    clock = FakeClock()
    path = tmp_path / "secret"
    path.write_text("wrong")
    source = ScriptedSource(clock)
    source.script.append(REFUSED)
    keeper = Keeper("saas", source, clock=clock, secret=FileSecret(path), random=lambda: 0.0)
    async with running(keeper, clock):
        await clock.advance(20.0)
        assert len(source.begun) == 1
        (tmp_path / "new").write_text("right")
        (tmp_path / "new").rename(path)
        await clock.advance(5.0)
        assert keeper.current is not None


async def test_a_changed_secret_leaves_no_gap_between_repairs() -> None:
    clock, secret = FakeClock(), Written()
    source = ScriptedSource(clock, life=86400.0)
    keeper = Keeper("saas", source, clock=clock, secret=secret, random=lambda: 0.0)
    async with running(keeper, clock) as group:
        for _ in range(200):
            await clock.advance(1.0)
            used = keeper.current
            assert used is not None
            request = group.create_task(outcome(keeper.replace(used, 10.0)))
            await clock.settle()
            if isinstance(await request, Credential):
                keeper.refused_again()
        before = len(source.begun)
        doubted = keeper.doubtful
        secret.written += 1
        await clock.advance(SECRET_WATCH)
        assert len(source.begun) == before + 1
        assert (doubted, keeper.doubtful) == (True, False)
        await clock.advance(1.0)
        used = keeper.current
        assert used is not None
        request = group.create_task(outcome(keeper.replace(used, 10.0)))
        await clock.settle()
        assert isinstance(await request, Credential)


async def test_a_secret_that_was_not_looked_at_before_has_not_changed() -> None:
    clock, secret = FakeClock(), Written()
    secret.written = 7
    source = ScriptedSource(clock)
    keeper = Keeper("saas", source, clock=clock, secret=secret, random=lambda: 0.0)
    async with running(keeper, clock):
        await clock.advance(100.0)
    assert len(source.begun) == 1


async def test_only_the_first_refusal_in_a_row_waits_for_a_secret_to_be_written_whole() -> None:
    clock, secret, notebook = FakeClock(), Written(), Notebook()
    source = ScriptedSource(clock)
    source.script.extend([REFUSED, REFUSED, DOWN])
    source.always = REFUSED
    keeper = Keeper("saas", source, clock=clock, secret=secret, observer=notebook, random=lambda: 0.0)
    looks = []
    async with running(keeper, clock):
        for _ in range(400):
            await clock.advance(0.5)
            if keeper.snapshot().next_attempt is None:
                looks.append(clock.now())
    assert looks == [1000.5]  # the second look, half way


async def test_a_failure_after_a_refusal_does_not_wait_for_a_secret_to_be_written_whole() -> None:
    clock, secret = FakeClock(), Written()
    source = ScriptedSource(clock)
    source.script.extend([REFUSED, DOWN])
    keeper = Keeper("saas", source, clock=clock, secret=secret, random=lambda: 0.0)
    async with running(keeper, clock):
        await clock.advance(60.0)
        assert source.begun == [1000.0, 1060.0]
        assert keeper.snapshot().next_attempt == 1061.0


class Rotating(ScriptedSource):
    """While its first attempt is refused, the secret changes."""

    def __init__(self, clock: FakeClock, secret: "Written") -> None:
        super().__init__(clock)
        self.script.append(REFUSED)
        self._secret = secret

    async def fetch(self) -> Credential:
        if self.script:
            self._secret.written += 1
        return await super().fetch()


async def test_a_secret_that_changed_while_it_was_refused_is_tried_without_a_wait() -> None:
    clock, secret = FakeClock(), Written()
    source = Rotating(clock, secret)
    keeper = Keeper("saas", source, clock=clock, secret=secret, policy=AT_ONCE, random=lambda: 0.0)
    async with running(keeper, clock):
        assert source.begun == [1000.0, 1000.0]
        assert keeper.current is not None


async def test_a_new_session_counts_as_used_when_its_login_began() -> None:
    clock = FakeClock()
    source = ScriptedLogin(clock, takes=2.0)
    keeper = Keeper("login", source, clock=clock, sessions=source, policy=replace(PACE, max_idle=100.0))
    async with running(keeper, clock):
        await clock.advance(99.9)
        session = keeper.current
        assert session is not None
        await clock.advance(0.1)
        assert keeper.current is not session


async def test_a_secret_that_was_written_while_it_was_refused_is_tried_at_once() -> None:
    clock, secret = FakeClock(), Written()
    source = ScriptedSource(clock, takes=0.5)
    source.script.append(REFUSED)
    keeper = Keeper("saas", source, clock=clock, secret=secret, random=lambda: 0.0)
    async with running(keeper, clock):
        secret.written += 1
        await clock.advance(5.0)
    assert source.begun == [1000.0, 1001.5]


async def test_a_secret_is_looked_at_before_each_attempt() -> None:
    clock, secret = FakeClock(), Written()
    source = ScriptedSource(clock)
    throttle = HostThrottle(clock, always=True)
    other = Keeper("other", ScriptedSource(clock), clock=clock, throttle=throttle)
    keeper = Keeper("saas", source, clock=clock, secret=secret, throttle=throttle, random=lambda: 0.0)
    async with running(other, clock), running(keeper, clock):
        secret.written += 1  # while it waits for its turn
        await clock.advance(20.0)
    assert len(source.begun) == 1


async def test_a_refused_request_looks_at_the_secret_at_once(tmp_path: Path) -> None:
    clock = FakeClock()
    path = tmp_path / "secret"
    path.write_text("wrong")
    source = ScriptedSource(clock)
    keeper = Keeper("saas", source, clock=clock, secret=FileSecret(path), random=lambda: 0.0)
    async with running(keeper, clock) as group:
        source.script.append(REFUSED)
        await clock.advance(250.0)
        used = keeper.current
        assert used is not None
        path.write_text("the right one")
        request = group.create_task(outcome(keeper.replace(used, 10.0)))
        await clock.settle()
        assert isinstance(await request, Credential)


async def test_a_secret_in_the_middle_of_being_written_is_looked_at_again(tmp_path: Path) -> None:
    clock, notebook = FakeClock(), Notebook()
    path = tmp_path / "secret"
    path.write_text("half of")
    source = ScriptedSource(clock)
    source.script.append(REFUSED)
    keeper = Keeper("saas", source, clock=clock, secret=FileSecret(path), observer=notebook)
    async with running(keeper, clock) as group:
        request = group.create_task(outcome(keeper.get(10.0)))
        await clock.settle()
        path.write_text("half of the whole secret")
        await clock.advance(1.0)
        assert isinstance(await request, Credential)
    assert notebook.outcomes == ["rejected", "ok"]
    assert notebook.conditions == ["good"]


async def test_a_refusal_of_a_finished_secret_counts_after_the_second_look(tmp_path: Path) -> None:
    clock = FakeClock()
    path = tmp_path / "secret"
    path.write_text("wrong")
    source = ScriptedSource(clock)
    source.always = REFUSED
    keeper = Keeper("saas", source, clock=clock, secret=FileSecret(path))
    async with running(keeper, clock) as group:
        request = group.create_task(outcome(keeper.get(10.0)))
        await clock.advance(1.0)
        assert isinstance(await request, CredentialRejected)
        await clock.advance(58.0)
        path.write_text("")
        assert len(source.begun) == 1


async def test_a_shared_token_changes_with_its_file_and_at_once_when_it_was_refused(tmp_path: Path) -> None:
    clock = FakeClock()
    path = tmp_path / "token"
    path.write_text("one\n")
    secret = FileSecret(path)
    keeper = Keeper("shared", SharedToken(secret, clock), clock=clock, secret=secret, policy=AT_ONCE)
    async with running(keeper, clock) as group:
        one = keeper.current
        assert one is not None
        assert one.fields == ((b"Authorization", b"Bearer one"),)
        request = group.create_task(outcome(keeper.replace(one, 10.0)))
        await clock.settle()
        assert str(await request) == "same_credential"
        path.write_text("number-two\n")
        repair = group.create_task(outcome(keeper.replace(one, 10.0)))
        await clock.settle()
        two = await repair
        assert isinstance(two, Credential)
        assert two.fields == ((b"Authorization", b"Bearer number-two"),)
        path.write_text("number-three\n")
        await clock.advance(5.0)
        three = keeper.current
        assert three is not None
        assert three.fields == ((b"Authorization", b"Bearer number-three"),)


async def test_a_missing_token_file_is_waited_for(tmp_path: Path) -> None:
    clock = FakeClock()
    path = tmp_path / "token"
    secret = FileSecret(path)
    keeper = Keeper("shared", SharedToken(secret, clock), clock=clock, secret=secret, policy=AT_ONCE)
    async with running(keeper, clock):
        await clock.advance(60.0)
        assert keeper.snapshot().condition == "unusable"
        path.write_text("late")
        await clock.advance(5.0)
        assert keeper.current is not None
    assert keeper.tally.outcomes["unavailable"] <= 61


# -- keys beside each other --


async def test_keys_of_a_limited_host_take_turns() -> None:
    clock = FakeClock()
    sources = [ScriptedSource(clock) for _ in range(3)]
    throttle = HostThrottle(clock, always=True)
    keepers = [Keeper(str(n), source, clock=clock, throttle=throttle) for n, source in enumerate(sources)]
    async with running(keepers[0], clock), running(keepers[1], clock), running(keepers[2], clock):
        await clock.advance(3.0)
        assert all(keeper.current for keeper in keepers)
    assert [round(source.begun[0] - 1000.0, 2) for source in sources] == [0.0, 1.05, 2.1]


async def test_a_429_makes_the_other_keys_of_the_host_take_turns() -> None:
    clock = FakeClock()
    sources = [ScriptedSource(clock, life=100.0) for _ in range(3)]
    throttle = HostThrottle(clock)
    keepers = [
        Keeper(str(n), source, clock=clock, throttle=throttle, random=lambda: 0.0)
        for n, source in enumerate(sources)
    ]
    async with running(keepers[0], clock), running(keepers[1], clock), running(keepers[2], clock):
        sources[0].script.append(CredentialUnavailable("limited", outcome="limited"))
        await clock.advance(80.0)
    begun = sorted(moment for source in sources for moment in source.begun)
    assert [round(at - 1000.0, 2) for at in begun] == [0.0, 0.0, 0.0, 75.0, 76.05, 77.1, 78.15]


async def test_a_credential_in_the_store_outlives_its_keeper() -> None:
    clock = FakeClock()
    source, store = ScriptedSource(clock), token_store(clock)
    before = Keeper("saas", source, clock=clock, slot=TokenSlot(store, "a"), random=lambda: 0.0)
    async with running(before, clock):
        await clock.advance(100.0)
    after = Keeper("saas", source, clock=clock, slot=TokenSlot(store, "a"), random=lambda: 0.0)
    async with running(after, clock):
        assert after.current is before.current
        assert len(source.begun) == 1
        await clock.advance(125.0)
        assert len(source.begun) == 2


async def test_a_keeper_that_takes_over_knows_when_its_credential_was_fetched() -> None:
    clock = FakeClock()
    slot = TokenSlot(token_store(clock), "a")
    slot.put(Credential(((b"Authorization", b"Bearer old"),), 900.0, 1300.0))
    source = ScriptedSource(clock)
    keeper = Keeper("saas", source, clock=clock, slot=slot, random=lambda: 0.0)
    keeper.adopt()
    status = keeper.snapshot()
    assert (status.last_success, status.expires_at, status.next_attempt) == (900.0, 1300.0, 1200.0)
    assert (status.outcome, status.usable, status.reason) == ("ok", True, "")
    async with running(keeper, clock) as group:
        used = keeper.current
        assert used is not None
        request = group.create_task(outcome(keeper.replace(used, 10.0)))  # no attempt was made just now
        await clock.settle()
        assert isinstance(await request, Credential)
        newer = keeper.current
        slot.put(used)
        keeper.adopt()
        assert keeper.current is newer


async def test_a_session_that_is_taken_over_was_used_when_it_began() -> None:
    clock = FakeClock()
    slot = TokenSlot(token_store(clock), "a")
    slot.put(Credential((), clock.now() - 60.0, None, session=True))
    policy = replace(PACE, max_idle=100.0)
    keeper = Keeper("login", ScriptedSource(clock), clock=clock, slot=slot, policy=policy)
    keeper.adopt()
    await clock.advance(39.9)
    assert keeper.current is not None
    await clock.advance(0.1)
    assert keeper.current is None


async def test_an_expired_credential_cannot_be_taken_out_of_the_store() -> None:
    clock = FakeClock()
    store = token_store(clock)
    store["a"] = Credential((), clock.now(), clock.now() + 5.0)
    store["b"] = Credential((), clock.now(), None)
    await clock.advance(4.0)
    assert "a" in store
    await clock.advance(1.0)
    assert "a" not in store
    assert "b" in store


async def test_a_snapshot_says_how_it_stands() -> None:
    clock = FakeClock()
    keeper = Keeper("saas", ScriptedSource(clock), clock=clock, target="operate", random=lambda: 0.0)
    async with running(keeper, clock):
        await clock.advance(10.0)
        status = keeper.snapshot()
    assert (status.name, status.target, status.usable, status.outcome) == ("saas", "operate", True, "ok")
    assert (status.expires_at, status.last_success, status.next_attempt) == (1300.0, 1000.0, 1225.0)
    assert (status.failures, status.reason) == (0, "")
    assert "Bearer" not in repr(status)


async def test_a_snapshot_counts_failures_and_refusals_and_tells_no_expiry_that_is_over() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, life=10.0)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock):
        source.script.extend([DOWN, DOWN])
        source.always = REFUSED
        await clock.advance(8.6)
        status = keeper.snapshot()
        assert (status.failures, status.expires_at) == (2, 1010.0)
        await clock.advance(5.0)
        status = keeper.snapshot()
        assert (status.failures, status.expires_at, status.usable) == (3, None, False)
        assert (status.last_success, status.outcome) == (1000.0, "rejected")


async def test_a_snapshot_plans_nothing_while_an_attempt_runs() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, takes=2.0)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock):
        assert keeper.snapshot().next_attempt is None
        await clock.advance(2.0)
        assert keeper.snapshot().last_success == 1002.0
        assert keeper.snapshot().next_attempt == 1225.0


async def test_a_credential_is_no_longer_stamped_at_its_expiry() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, life=300.0)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock):
        source.always = DOWN
        clock.jump(299.999)
        assert keeper.current is not None
        clock.jump(0.001)
        assert keeper.current is None


async def test_a_closed_keeper_stamps_nothing_and_logs_out_of_no_token() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = Keeper("basic", ScriptedSource(clock), clock=clock, sessions=login)
    async with running(keeper, clock):
        used = keeper.current
        assert used is not None
        assert not keeper.wants_answers
    await keeper.close()
    assert keeper.current is not used
    assert (login.left, keeper.snapshot().usable) == ([], False)


async def test_a_request_waits_for_an_attempt_that_is_due_at_its_deadline() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    source.script.append(CredentialUnavailable("limited", outcome="limited", retry_after=10.0))
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        request = group.create_task(outcome(keeper.get(10.0)))
        await clock.advance(9.9)
        assert not request.done()
        late = group.create_task(outcome(keeper.get(0.05)))
        await clock.settle()
        assert isinstance(await late, CredentialUnavailable)
        await clock.advance(0.1)
        await request


async def test_a_refused_client_is_asked_again_at_once_if_it_became_due_during_a_suspend() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    source.script.append(REFUSED)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        clock.jump(100.0)
        request = group.create_task(outcome(keeper.get(10.0)))
        await clock.settle()
        assert isinstance(await request, Credential)


async def test_a_refusal_is_told_though_attempts_failed_before_and_only_once() -> None:
    clock, notebook = FakeClock(), Notebook()
    source = ScriptedSource(clock)
    source.script.extend([DOWN, REFUSED, REFUSED, DOWN, DOWN])
    keeper = keeper_of(source, clock, notebook)
    async with running(keeper, clock):
        await clock.advance(250.0)
    told = [(status.condition, status.outcome) for status in notebook.changes]
    assert told == [
        ("unusable", "unavailable"),
        ("unusable", "rejected"),
        ("unusable", "unavailable"),
        ("good", "ok"),
    ]
    assert notebook.outcomes == ["unavailable", "rejected", "rejected", "unavailable", "unavailable", "ok"]
    assert keeper.tally.outcomes == {"unavailable": 3, "rejected": 2, "ok": 1}
    assert sum(keeper.tally.fetch_seconds.counts) == 6


async def test_a_refused_clients_retry_after_holds() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock)
    source.script.append(CredentialRejected("the token endpoint refused our client", retry_after=200.0))
    keeper = keeper_of(source, clock)
    async with running(keeper, clock):
        await clock.advance(300.0)
    assert source.begun == [1000.0, 1200.0]


async def test_a_token_without_an_expiry_gets_the_one_that_it_is_returned_with() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, life=None)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        await clock.advance(10.0)
        used = keeper.current
        assert used is not None
        source.always, source.life = "same", 100.0
        request = group.create_task(outcome(keeper.replace(used, 10.0)))
        await clock.settle()
        assert str(await request) == "same_credential"
        assert keeper.snapshot().expires_at == 1110.0
        source.life = 500.0
        await clock.advance(50.0)
        assert len(source.begun) == 3
        assert keeper.snapshot().expires_at == 1110.0


async def test_a_request_that_is_refused_after_the_same_token_came_back_asks_again_once() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, life=86400.0)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        source.script.append("same")
        for at, expected in ((10.0, "same_credential"), (10.0, None)):
            await clock.advance(at)
            used = keeper.current
            assert used is not None
            request = group.create_task(outcome(keeper.replace(used, 10.0)))
            await clock.settle()
            got = await request
            assert isinstance(got, Credential) if expected is None else str(got) == expected


async def test_requests_that_wait_for_one_repair_are_one_wish_however_long_it_takes() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, life=86400.0)
    keeper = keeper_of(source, clock)
    async with running(keeper, clock) as group:
        await clock.advance(10.0)
        used = keeper.current
        assert used is not None
        source.script.extend([DOWN, DOWN, DOWN])
        request = group.create_task(outcome(keeper.replace(used, 30.0)))
        await clock.advance(5.0)
        assert isinstance(await request, Credential)
        await clock.advance(2.0)
        used = keeper.current
        assert used is not None
        again = group.create_task(outcome(keeper.replace(used, 30.0)))  # the gap is 2 s, not 16
        await clock.settle()
        assert isinstance(await again, Credential)


moves = st.one_of(
    st.tuples(st.just("advance"), st.floats(0.0, 3.0) | st.floats(0.0, 70.0)),
    st.tuples(st.just("jump"), st.floats(0.0, 4000.0)),
    st.tuples(st.sampled_from(["get", "replace", "refused_again", "accepted", "write"]), st.just(0.0)),
    st.tuples(st.sampled_from(["same", "down", "refused", "new"]), st.just(0.0)),
)


@settings(max_examples=some(40), deadline=None)
@given(
    st.lists(moves, max_size=25), st.sampled_from([0.5, 1.0, 5.0, 300.0]), st.sampled_from([0.0, 0.3, 3.0])
)
async def test_whatever_happens_attempts_keep_their_distance(
    events: list[tuple[str, float]], life: float, takes: float
) -> None:
    clock, secret = FakeClock(), Written()
    source = ScriptedSource(clock, life=life, takes=takes)
    keeper = Keeper("saas", source, clock=clock, secret=secret, random=lambda: 0.0)
    brings: dict[str, Exception | str | None] = {
        "same": "same",
        "down": DOWN,
        "refused": REFUSED,
        "new": None,
    }
    async with running(keeper, clock) as group:
        used = Credential((), 0.0)
        for event, seconds in events:
            used = keeper.current or used
            match event:
                case "advance":
                    await clock.advance(seconds)
                case "jump":
                    clock.jump(seconds)
                case "get":
                    group.create_task(outcome(keeper.get(10.0)))
                case "replace":
                    group.create_task(outcome(keeper.replace(used, 10.0)))
                case "refused_again":
                    keeper.refused_again()
                case "accepted":
                    keeper.note_accepted(used)
                case "write":
                    secret.written += 1
                case _:
                    source.always = brings[event]
        source.always, source.life, source.takes = None, 1000.0, 0.0
        await clock.advance(310.0)
        assert keeper.snapshot().condition == "good"
    for begun, ended in zip(source.begun[1:], source.ended, strict=False):
        assert begun >= ended + 1.0


class Written(HiddenSecret):
    """A secret whose versions the test counts."""

    may_change: ClassVar[bool] = True

    def __init__(self) -> None:
        self.written = 0

    def read(self) -> str:
        return str(self.written)

    def version(self) -> int:
        return self.written
