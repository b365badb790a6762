"""Sessions that die while the proxy holds them, in every dialect: healed, unseen, and nobody is hammered."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.demo import DIALECTS, LoginFault, Rules, SimulatedCamunda, simulated_camunda
from tests.clock import FakeClock
from tests.mission.before_camunda import Answer, House, house
from tests.mission.test_rows import APIS_OF, CALLS

PARALLEL = 200
LATER = 5.0
"""Seconds; within one of a login there is no other."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def camunda(clock: FakeClock) -> AsyncIterator[SimulatedCamunda]:
    async with simulated_camunda(clock=clock, rules=Rules(login_gap=0.9)) as simulated:
        yield simulated


@asynccontextmanager
async def logged_in(folder: Path, camunda: SimulatedCamunda, name: str, **more: Any) -> AsyncIterator[House]:
    """The proxy with a session that was used once, a while ago; at the end nothing is complained of."""
    api = APIS_OF[name][0]
    upstream = {"api": api, "url": camunda.url(name), "credential": "login"}
    login = {"type": "session", "username": camunda.username, "password": camunda.password, **more}
    async with house(folder, camunda, {api: upstream}, {"login": login}) as home:
        for method in ("POST", "GET"):
            answer = await call(home, name, method)
            assert answer.status == 200, answer.text
        later(camunda)
        yield home
    assert camunda.complaints == []


def later(camunda: SimulatedCamunda, seconds: float = LATER) -> None:
    assert isinstance(camunda.clock, FakeClock)
    camunda.clock.jump(seconds)


async def call(home: House, name: str, method: str) -> Answer:
    """The API's GET or POST."""
    api = APIS_OF[name][0]
    path = next(path for known, path in CALLS[api] if known == method)
    answer = await home.ask(api, method, path)
    assert answer.leaks == []
    return answer


def brings_csrf(name: str) -> bool:
    return DIALECTS[name].csrf is not None and DIALECTS[name].login_brings_csrf


def repairs(home: House) -> int:
    return sum(served.forwarder.tally.repairs["ok"] for served in home.proxy.served)


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_session_dies_under_200_parallel_requests(
    name: str, camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    async with logged_in(tmp_path, camunda, name) as home:
        sessions, api = camunda.sessions(name), camunda.api(name)
        let_in = sessions.let_in["session"]
        sessions.dies_after = PARALLEL // 4
        async with asyncio.TaskGroup() as tasks:
            asked = [
                tasks.create_task(call(home, name, "POST" if number % 2 else "GET"))
                for number in range(PARALLEL)
            ]
        assert [task.result().status for task in asked] == [200] * PARALLEL
        assert sessions.count("ok") == 2
        # Each was let in once, what was refused is all that was sent again; and a login looks around once
        # where it brings no CSRF token.
        assert sessions.let_in["session"] - let_in - PARALLEL == (0 if brings_csrf(name) else 1)
        assert repairs(home) == api.refusals["session"] > 0


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_camunda_restarts_while_a_session_is_held(
    name: str, method: str, camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    async with logged_in(tmp_path, camunda, name) as home:
        camunda.sessions(name).restart()
        assert (await call(home, name, method)).status == 200
        assert (camunda.sessions(name).count("ok"), repairs(home)) == (2, 1)


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.csrf])
async def test_a_csrf_token_that_is_no_longer_good_is_replaced(
    name: str, camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    async with logged_in(tmp_path, camunda, name) as home:
        camunda.sessions(name).spoil_csrf()
        assert (await call(home, name, "POST")).status == 200


@pytest.mark.parametrize("name", DIALECTS)
async def test_after_25_idle_minutes_the_next_request_logs_in_and_nobody_else(
    name: str, camunda: SimulatedCamunda, clock: FakeClock, tmp_path: Path
) -> None:
    async with logged_in(tmp_path, camunda, name) as home:
        sessions = camunda.sessions(name)
        for _ in range(3):  # in use, it lives on
            clock.jump(1490)
            assert (await call(home, name, "GET")).status == 200
        assert len(sessions.logins) == 1
        await clock.advance(3600)
        assert len(sessions.logins) == 1
        assert (await home.admin("/health/ready")).status == 200
        asked = await asyncio.gather(*(call(home, name, "POST") for _ in range(20)))
        assert [answer.status for answer in asked] == [200] * 20
        # It was not tried and refused: nobody trusted it.
        assert (sessions.count("ok"), repairs(home)) == (2, 0)


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_wrong_password_is_a_502_and_at_most_6_logins_an_hour(
    name: str, camunda: SimulatedCamunda, clock: FakeClock, tmp_path: Path
) -> None:
    api, sessions = APIS_OF[name][0], camunda.sessions(name)
    method, path = CALLS[api][0]
    upstream = {"api": api, "url": camunda.url(name), "credential": "login"}
    login = {"type": "session", "username": camunda.username, "password": "wrong"}
    async with house(tmp_path, camunda, {api: upstream}, {"login": login}) as home:
        for _ in range(60):
            answer = await home.ask(api, method, path)
            assert (answer.status, answer.code) == (502, "credential_rejected")
            await clock.advance(59)
        assert 2 <= sessions.count("wrong") <= 6
        assert (await home.admin("/health/ready")).status == 503
    assert camunda.complaints == []


async def test_a_corrected_password_file_cuts_the_slow_lane_short(
    camunda: SimulatedCamunda, clock: FakeClock, tmp_path: Path
) -> None:
    file, sessions = tmp_path / "password", camunda.sessions("operate-8.6")
    file.write_text("wrong", encoding="utf-8")
    upstream = {"url": camunda.url("operate-8.6")}
    login = {"type": "session", "username": camunda.username, "password_file": str(file)}
    async with house(tmp_path, camunda, {"zeebe": upstream}, {"login": login}) as home:
        await camunda.news.until(lambda: sessions.count("wrong") == 1)
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(call(home, "operate-8.6", "GET"))
            await clock.advance(5)  # the file may be half written: it is looked at once more
        assert asked.result().code == "credential_rejected"
        file.write_text(camunda.password, encoding="utf-8")
        await clock.advance(10)
        await camunda.news.until(lambda: sessions.count("ok") == 1)
        assert (await call(home, "operate-8.6", "GET")).status == 200
    assert camunda.complaints == []


@pytest.mark.parametrize(
    "fault", [each for each in LoginFault if each not in (LoginFault.HANG, LoginFault.DEAD_COOKIE)]
)
@pytest.mark.parametrize(
    "name", ["operate-8.2", "operate-8.6", "tasklist-8.6", "cluster-8.8", "cluster-8.10"]
)
async def test_a_login_that_fails_is_a_503_until_it_works_again(
    name: str, fault: LoginFault, camunda: SimulatedCamunda, clock: FakeClock, tmp_path: Path
) -> None:
    api, sessions = APIS_OF[name][0], camunda.sessions(name)
    sessions.fault = fault
    method, path = CALLS[api][0]
    upstream = {"api": api, "url": camunda.url(name), "credential": "login"}
    login = {"type": "session", "username": camunda.username, "password": camunda.password, "wait": 0}
    async with house(tmp_path, camunda, {api: upstream}, {"login": login}) as home:
        await camunda.news.until(lambda: sessions.count(fault) >= 1)
        answer = await home.ask(api, method, path)
        assert (answer.status, answer.code) == (503, "credential_unavailable")
        assert camunda.password not in json.dumps([answer.text, *answer.headers.items()])
        sessions.fault = None
        await clock.advance(60)
        await camunda.news.until(lambda: sessions.count("ok") == 1)
        await clock.settle()
        assert (await home.ask(api, method, path)).status == 200
    assert camunda.complaints == []


async def test_a_login_that_hangs_holds_up_nobody_for_longer_than_they_wait(
    camunda: SimulatedCamunda, clock: FakeClock, tmp_path: Path
) -> None:
    async with logged_in(tmp_path, camunda, "operate-8.6") as home:
        sessions = camunda.sessions("operate-8.6")
        sessions.fault = LoginFault.HANG
        sessions.kill()
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(call(home, "operate-8.6", "GET"))
            await camunda.news.until(lambda: len(sessions.logins) == 2)
            await clock.advance(11)
        answer = asked.result()
        assert (answer.status, answer.code) == (503, "credential_unavailable")


async def test_sessions_that_never_work_are_not_asked_for_without_end(
    camunda: SimulatedCamunda, clock: FakeClock, tmp_path: Path
) -> None:
    async with logged_in(tmp_path, camunda, "operate-8.6") as home:
        sessions = camunda.sessions("operate-8.6")
        sessions.fault = LoginFault.DEAD_COOKIE
        sessions.kill()
        for _ in range(600):
            answer = await call(home, "operate-8.6", "GET")
            assert (answer.status, answer.ours) == (401, False)
            clock.jump(1)
        assert len(sessions.logins) < 15  # gaps of 1, 2, 4 ... 300 s
        sessions.fault = None
        clock.jump(300)
        assert (await call(home, "operate-8.6", "GET")).status == 200


async def test_a_refusal_that_names_nothing_is_believed_once_a_minute(
    camunda: SimulatedCamunda, clock: FakeClock, tmp_path: Path
) -> None:
    """Operate 8.6: it may be CSRF, or a permission that is missing."""
    async with logged_in(tmp_path, camunda, "operate-8.6") as home:
        sessions = camunda.sessions("operate-8.6")
        for expected in (200, 403, 403):
            sessions.spoil_csrf()
            answer = await call(home, "operate-8.6", "POST")
            assert (answer.status, answer.ours) == (expected, False)
            clock.jump(20)
        assert sessions.count("ok") == 2
        clock.jump(20)
        assert (await call(home, "operate-8.6", "POST")).status == 200
        assert sessions.count("ok") == 3


@pytest.mark.parametrize("name", ["tasklist-8.6", "cluster-8.8", "cluster-8.10"])
async def test_a_refusal_that_names_csrf_is_repaired_every_time(
    name: str, camunda: SimulatedCamunda, clock: FakeClock, tmp_path: Path
) -> None:
    async with logged_in(tmp_path, camunda, name) as home:
        for _ in range(3):
            camunda.sessions(name).spoil_csrf()
            assert (await call(home, name, "POST")).status == 200
            clock.jump(20)


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.csrf])
async def test_a_csrf_cookie_that_comes_with_an_answer_is_taken_and_not_shown(
    name: str, camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    async with logged_in(tmp_path, camunda, name) as home:
        camunda.sessions(name).spoil_csrf()
        for method in ("GET", "POST"):
            assert (await call(home, name, method)).status == 200
        assert (camunda.sessions(name).count("ok"), repairs(home)) == (1, 0)


async def test_one_login_serves_both_apis_of_the_single_application(
    camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    upstreams = {api: {"url": camunda.url("operate-8.6")} for api in APIS_OF["operate-8.6"]}
    login = {"type": "session", "username": camunda.username, "password": camunda.password}
    async with house(tmp_path, camunda, upstreams, {"login": login}) as home:
        for api in upstreams:
            for method, path in CALLS[api]:
                assert (await home.ask(api, method, path)).status == 200
    assert camunda.sessions("operate-8.6").count("ok") == 1
    assert camunda.complaints == []


@pytest.mark.parametrize("name", DIALECTS)
async def test_sessions_that_were_replaced_do_not_pile_up_at_the_server(
    name: str, camunda: SimulatedCamunda, clock: FakeClock, tmp_path: Path
) -> None:
    async with logged_in(tmp_path, camunda, name) as home:
        sessions = camunda.sessions(name)
        keeper = home.served(APIS_OF[name][0]).keeper
        for _ in range(3):
            used = keeper.current
            assert used is not None
            await keeper.replace(used, 10.0)
            keeper.note_accepted(used, repaired=True)
            later(camunda)
        assert sessions.live == 4
        await clock.advance(6)
        await camunda.news.until(lambda: sessions.live == 1)
        assert sessions.logouts == 3
        assert (await call(home, name, "POST")).status == 200
        assert sessions.count("ok") == 4


DOORS = ("/login", "/logout", "/%6cogin", "/log%69n;x=1", "/x/../logout", "//login", "/;a=b/./logout")


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_callers_own_login_or_logout_never_reaches_the_server_under_our_session(
    name: str, camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    dialect = DIALECTS[name]
    async with logged_in(tmp_path, camunda, name) as home:
        sessions = camunda.sessions(name)
        for path in (
            *DOORS,
            dialect.login,
            dialect.logout,
            f"{dialect.logout};x",
            "/physical-tenants/t/login",
        ):
            for method in ("POST", "GET"):
                answer = await home.ask(APIS_OF[name][0], method, path)
                assert (answer.status, answer.code) == (403, "not_allowed"), path
        assert (sessions.count("ok"), len(sessions.logins), sessions.logouts) == (1, 1, 0)
        assert (await call(home, name, "POST")).status == 200
