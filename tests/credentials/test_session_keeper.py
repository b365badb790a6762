"""A session kept by a Keeper: it lapses unused, dies and is replaced, and changes under way."""

from asyncio import TaskGroup

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.credentials.credential import Credential
from proxy.credentials.keeper import Keeper
from proxy.credentials.logouts import MOST
from proxy.credentials.outbound import Outbound
from proxy.credentials.secret import TextSecret
from proxy.credentials.session import LoginSettings, LoginSource, pace
from proxy.demo import simulated_camunda
from proxy.errors import CredentialRejected, CredentialUnavailable, RepairDeclined
from tests.clock import FakeClock
from tests.credentials.sources import Notebook, ScriptedLogin, outcome, running
from tests.credentials.test_keeper import Written
from tests.examples import some

DOWN = CredentialUnavailable("the login server is down")
REFUSED = CredentialRejected("the login server refused the user name or the password (401)")
IDLE = 1500.0


def kept(login: ScriptedLogin, clock: FakeClock, notebook: Notebook | None = None) -> Keeper:
    return Keeper(
        "login",
        login,
        clock=clock,
        target="http://operate",
        sessions=login,
        policy=pace(IDLE),
        observer=notebook or Notebook(),
        random=lambda: 0.0,
    )


def in_use(keeper: Keeper) -> Credential:
    current = keeper.current
    assert current is not None
    return current


# -- idle --


async def test_a_session_that_is_used_lives_on() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock):
        assert keeper.wants_answers
        for _ in range(20):
            await clock.advance(IDLE - 1.0)
            keeper.note_accepted(in_use(keeper))
    assert len(login.begun) == 1


async def test_an_unused_session_lapses_and_nobody_logs_in_until_somebody_calls() -> None:
    clock, notebook = FakeClock(), Notebook()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock, notebook)
    async with running(keeper, clock) as group:
        first = in_use(keeper)
        await clock.advance(IDLE - 0.1)
        seen = [keeper.current]
        await clock.advance(0.1)
        assert [*seen, keeper.current] == [first, None]
        await clock.advance(100_000.0)
        status = keeper.snapshot()
        assert (status.usable, status.condition, status.reason) == (True, "good", "")
        assert (status.next_attempt, len(login.begun)) == (None, 1)
        requests = [group.create_task(outcome(keeper.get(10.0))) for _ in range(200)]
        await clock.settle()
        assert {await request for request in requests} == {keeper.current}
        assert in_use(keeper) is not first
    assert len(login.begun) == 2
    assert notebook.conditions == ["good"]


async def test_a_refusal_that_comes_after_the_session_lapsed_brings_a_login_too() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock) as group:
        used = in_use(keeper)
        await clock.advance(IDLE)
        request = group.create_task(outcome(keeper.replace(used, 10.0)))
        await clock.settle()
        assert await request is keeper.current
    assert len(login.begun) == 2


async def test_a_lapsed_session_is_not_ready_while_logins_fail_and_the_loop_sees_to_that() -> None:
    clock, notebook = FakeClock(), Notebook()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock, notebook)
    async with running(keeper, clock) as group:
        await clock.advance(IDLE)
        login.always = DOWN
        request = group.create_task(outcome(keeper.get(0.5)))
        await clock.settle()
        assert isinstance(await request, CredentialUnavailable)
        status = keeper.snapshot()
        assert (status.usable, status.condition) == (False, "unusable")
        assert status.reason == "the login server is down"
        login.always = None
        await clock.advance(30.0)
        assert keeper.snapshot().usable
    assert notebook.conditions == ["good", "unusable", "good"]


async def test_an_answer_to_an_old_session_keeps_no_new_one_alive() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock) as group:
        old = in_use(keeper)
        await clock.advance(100.0)
        replaced = group.create_task(keeper.replace(old, 10.0))
        await clock.settle()
        assert await replaced is keeper.current
        await clock.advance(IDLE - 1.0)
        keeper.note_accepted(old)
        await clock.advance(1.0)
        assert keeper.current is None


# -- logouts --


async def replaced(keeper: Keeper, clock: FakeClock, group: TaskGroup) -> Credential:
    """The session in use, after another one has taken its place."""
    old = in_use(keeper)
    request = group.create_task(keeper.replace(old, 10.0))
    await clock.settle()
    assert await request is keeper.current is not old
    return old


async def test_a_replaced_session_is_logged_out_a_while_later_and_the_new_one_is_not() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock) as group:
        await clock.advance(2.0)
        first = await replaced(keeper, clock, group)
        await clock.advance(2.0)
        keeper.note_accepted(in_use(keeper), repaired=True)
        second = await replaced(keeper, clock, group)
        await clock.advance(2.9)
        assert login.left == []  # what was sent with it may not have been let in yet
        await clock.advance(0.1)
        assert login.left == [first]
        await clock.advance(100.0)
        assert login.left == [first, second]


async def test_a_session_that_lapsed_is_logged_out_once_the_next_one_is_there() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock) as group:
        old = in_use(keeper)
        await clock.advance(IDLE + 60.0)
        assert login.left == []
        request = group.create_task(keeper.get(10.0))
        await clock.advance(5.0)
        assert await request is keeper.current
        assert login.left == [old]


async def test_a_login_that_brings_the_same_session_again_logs_nobody_out() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    fields = ((b"Cookie", b"S=1; X-CSRF-TOKEN=other"), (b"X-CSRF-TOKEN", b"masked 2"))

    async def fetch() -> Credential:
        return Credential(fields, clock.now(), session=True)

    async with running(keeper, clock) as group:
        await clock.advance(2.0)
        login.instead = fetch
        await replaced(keeper, clock, group)
        await clock.advance(10.0)
        assert in_use(keeper).fields == fields
        assert login.left == []


async def test_where_basic_takes_a_sessions_place_the_session_is_logged_out() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)

    async def fetch() -> Credential:
        return Credential(((b"Authorization", b"Basic x"),), clock.now())

    async with running(keeper, clock) as group:
        await clock.advance(2.0)
        login.instead = fetch
        old = await replaced(keeper, clock, group)
        await clock.advance(5.0)
        assert login.left == [old]


async def test_a_logout_that_fails_or_hangs_keeps_nothing_waiting() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock) as group:
        login.leaving = RuntimeError("a bug")
        for _ in range(3):
            await clock.advance(2.0)
            keeper.note_accepted(in_use(keeper), repaired=True)
            await replaced(keeper, clock, group)
        await clock.advance(10.0)
        assert len(login.left) == 3
        login.leaving = 3600.0
        for _ in range(100):
            await clock.advance(2.0)
            keeper.note_accepted(in_use(keeper), repaired=True)
            await replaced(keeper, clock, group)
        assert len(login.left) == 4
        assert keeper.logouts is not None
        assert keeper.logouts.waiting == MOST


async def test_at_the_end_all_that_wait_and_the_session_in_use_are_logged_out_at_once() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock) as group:
        await clock.advance(2.0)
        old = await replaced(keeper, clock, group)
        current = in_use(keeper)
    assert login.left == []
    await keeper.close()
    assert login.left == [old, current]


# -- passwords --


async def test_a_wrong_password_is_tried_at_most_six_times_an_hour() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock, takes=0.1)
    login.always = REFUSED
    keeper = kept(login, clock)
    async with running(keeper, clock):
        for _ in range(360):
            await clock.advance(100.0)
            assert isinstance(await outcome(keeper.get(1000.0)), CredentialRejected)
    for begun in login.begun:
        assert sum(begun <= other <= begun + 3600.0 for other in login.begun) <= 6
    assert len(login.begun) == 60


async def test_another_password_is_tried_at_once() -> None:
    clock, password = FakeClock(), Written()
    login = ScriptedLogin(clock)
    login.always = REFUSED
    keeper = Keeper("login", login, clock=clock, sessions=login, policy=pace(), secret=password)
    async with running(keeper, clock):
        await clock.advance(100.0)
        assert [at - 1000.0 for at in login.begun] == [0.0, 5.0, 15.0, 35.0]
        login.always, password.written = None, 1
        await clock.advance(5.0)
        assert keeper.current is not None
        await clock.advance(100.0)
        password.written = 2
        await clock.advance(5.0)
    assert len(login.begun) == 6


# -- refusals --


async def test_200_requests_whose_session_died_are_one_login() -> None:
    clock = FakeClock()
    outbound = Outbound()
    async with simulated_camunda(clock=clock) as camunda:
        sessions = camunda.sessions("operate-8.6")
        settings = LoginSettings(camunda.url("operate-8.6"), camunda.username, TextSecret(camunda.password))
        login = LoginSource(settings, outbound, clock)
        keeper = Keeper("login", login, clock=clock, sessions=login, policy=pace())
        async with running(keeper, clock) as group:
            used = await keeper.get(10.0)
            await clock.advance(10.0)
            sessions.kill()
            requests = [group.create_task(keeper.replace(used, 10.0)) for _ in range(200)]
            assert {await request for request in requests} == {keeper.current}
            assert in_use(keeper) is not used
            assert (sessions.count("ok"), sessions.live) == (2, 1)
        await keeper.close()
        assert sessions.live == 0
        await outbound.close()
        assert camunda.complaints == []


async def test_a_suspicion_brings_one_login_a_minute_and_widens_no_gap() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock) as group:
        for _ in range(180):
            await clock.advance(1.0)
            requests = [
                group.create_task(outcome(keeper.replace(in_use(keeper), 10.0, suspected=True)))
                for _ in range(3)
            ]
            await clock.settle()
            answers = [await request for request in requests]
            declined = [str(answer) for answer in answers if isinstance(answer, RepairDeclined)]
            assert declined in ([], ["too_soon"] * 3)
        assert [at - 1001.0 for at in login.begun[1:]] == [0.0, 60.0, 120.0]
        request = group.create_task(outcome(keeper.replace(in_use(keeper), 10.0)))
        await clock.settle()
        assert await request is keeper.current
    assert len(login.begun) == 5


@pytest.mark.parametrize("error", [DOWN, REFUSED])
async def test_a_suspicion_whose_login_fails_lets_the_answer_pass(error: CredentialUnavailable) -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock) as group:
        used = in_use(keeper)
        await clock.advance(10.0)
        login.always = error
        for _ in range(3):
            request = group.create_task(outcome(keeper.replace(used, 10.0, suspected=True)))
            await clock.settle()
            assert str(await request) == "too_soon"
        assert keeper.current is used
    assert len(login.begun) == 2


async def test_a_suspicion_whose_login_takes_too_long_lets_the_answer_pass() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock) as group:
        await clock.advance(10.0)
        login.takes = 30.0
        request = group.create_task(outcome(keeper.replace(in_use(keeper), 10.0, suspected=True)))
        await clock.advance(10.0)
        assert str(await request) == "too_soon"


async def test_a_refusal_is_repaired_right_after_a_suspicion() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock) as group:
        await clock.advance(10.0)
        for suspected in (True, False):
            await clock.advance(1.0)
            request = group.create_task(keeper.replace(in_use(keeper), 10.0, suspected=suspected))
            await clock.settle()
            assert await request is keeper.current
    assert len(login.begun) == 3


# -- what answers say --

ROLLED = [(b"set-cookie", b"X-CSRF-TOKEN=new; Path=/"), (b"x-csrf-token", b"mask of new")]


async def test_a_new_csrf_cookie_is_used_from_the_next_request_on_without_a_login() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock):
        used = in_use(keeper)
        keeper.note_session_fields(used, [(b"x-csrf-token", b"another mask")])
        assert keeper.current is used
        keeper.note_session_fields(used, ROLLED)
        assert in_use(keeper).fields == (
            (b"Cookie", b"S=1; X-CSRF-TOKEN=new"),
            (b"X-CSRF-TOKEN", b"mask of new"),
        )
        keeper.note_session_fields(used, [(b"set-cookie", b"X-CSRF-TOKEN=late")])  # asked before
        assert b"late" not in in_use(keeper).fields[0][1]
    assert len(login.begun) == 1


async def test_a_session_that_rolled_its_cookie_and_is_refused_is_still_logged_in_anew() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock) as group:
        used = in_use(keeper)
        keeper.note_session_fields(used, ROLLED)
        await clock.advance(10.0)
        request = group.create_task(keeper.replace(used, 10.0))
        await clock.settle()
        assert (await request).fields[0][1] == b"S=2; X-CSRF-TOKEN=c2"


async def test_cookies_of_a_replaced_session_change_nothing() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock) as group:
        old = in_use(keeper)
        await clock.advance(10.0)
        request = group.create_task(keeper.replace(old, 10.0))
        await clock.settle()
        new = await request
        keeper.note_session_fields(old, ROLLED)
        assert keeper.current is new


def test_everything_of_a_session_is_a_secret() -> None:
    fields = ((b"Cookie", b"S=one; X-CSRF-TOKEN=two"), (b"X-CSRF-TOKEN", b"three"))
    assert [*Credential(fields, 0.0, session=True).secrets()] == ["one", "two", "three"]
    assert [*Credential(((b"Authorization", b"Bearer four"),), 0.0).secrets()] == ["four"]


# -- whatever happens --

NEARLY_IDLE = st.floats(0.9 * IDLE, 1.1 * IDLE)
moves = st.one_of(
    st.tuples(
        st.just("advance"), st.floats(0.0, 3.0) | st.floats(0.0, 100.0) | st.floats(0.9 * IDLE, 1.1 * IDLE)
    ),
    st.tuples(st.sampled_from(["get", "replace", "suspect", "accepted", "heard"]), st.just(0.0)),
    st.tuples(st.sampled_from(["refused_again", "down", "wrong", "new"]), st.just(0.0)),
)


@settings(max_examples=some(60), deadline=None)
@given(st.lists(moves, max_size=20), st.sampled_from([0.0, 0.3, 3.0]))
async def test_no_session_is_trusted_too_long_and_logins_keep_their_distance(
    events: list[tuple[str, float]], takes: float
) -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock, takes=takes)
    keeper = kept(login, clock)
    brings: dict[str, Exception | None] = {"down": DOWN, "wrong": REFUSED, "new": None}
    used, used_at = Credential((), 0.0), clock.now()
    async with running(keeper, clock) as group:
        for event, seconds in events:
            used = keeper.current or used
            match event:
                case "advance":
                    await clock.advance(seconds)
                case "get":
                    group.create_task(outcome(keeper.get(10.0)))
                case "replace" | "suspect":
                    group.create_task(outcome(keeper.replace(used, 10.0, suspected=event == "suspect")))
                case "accepted":
                    keeper.note_accepted(used)
                    used_at = clock.now()
                case "heard":
                    keeper.note_session_fields(used, ROLLED)
                case "refused_again":
                    keeper.refused_again()
                case _:
                    login.always = brings[event]
            current = keeper.current
            if current is not None:
                assert clock.now() < max(current.fetched_at, used_at) + IDLE
        login.always, login.takes = None, 0.0
        await clock.advance(3700.0)  # at most six refused logins in any hour
        request = group.create_task(outcome(keeper.get(10.0)))
        await clock.settle()
        assert await request is keeper.current
        assert keeper.snapshot().condition == "good"
    for begun, ended in zip(login.begun[1:], login.ended, strict=False):
        assert begun >= ended + 1.0


# -- the end --


async def test_closing_logs_out_of_the_session_in_use_also_of_a_lapsed_one() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    keeper = kept(login, clock)
    async with running(keeper, clock):
        keeper.note_session_fields(in_use(keeper), ROLLED)
        session = in_use(keeper)
        await clock.advance(IDLE)
    await keeper.close()
    await keeper.close()
    assert login.left == [session]
    assert keeper.current is None


async def test_without_a_session_there_is_nothing_to_log_out_of() -> None:
    clock = FakeClock()
    login = ScriptedLogin(clock)
    await kept(login, clock).close()
    assert login.left == []
