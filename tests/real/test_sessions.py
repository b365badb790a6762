"""Sessions and CSRF tokens at a real Camunda 8.6, with Operate and with Tasklist, in real time."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from proxy.clock import pause
from tests.real.servers import HERE, Camunda, started
from tests.real.sidecar import Answer, Sidecar, sidecar
from tests.real.tap import Tap, tap
from tests.real.traffic import CLOCK, GOOD, eventually, kind_of, tally, traffic

pytestmark = pytest.mark.real

USER = {"type": "session", "username": "demo", "password": "demo"}
SEARCHES = {"operate": "/v1/process-definitions/search", "tasklist": "/v1/tasks/search"}
only_at_operate = pytest.mark.parametrize("app", ["operate"], indirect=True)


@pytest.fixture(scope="module", params=["operate", "tasklist"])
def app(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def camunda(app: str) -> Iterator[Camunda]:
    with started(Camunda(f"broker,{app},auth", idle_life="1m")) as server:
        yield server


@pytest.fixture
async def between(camunda: Camunda) -> AsyncIterator[Tap]:
    async with tap(camunda.url) as opened:
        yield opened


@pytest.fixture
async def proxy(between: Tap, tmp_path: Path) -> AsyncIterator[Sidecar]:
    async with sidecar(tmp_path, between.url, **USER) as running:
        await eventually(running.ready, within=15)
        await pause(CLOCK, 1)  # what is refused sooner after a login is not repaired
        yield running


async def test_queries_and_changes_pass_under_one_session_of_which_the_caller_sees_nothing(
    app: str, proxy: Sidecar, between: Tap
) -> None:
    bpmn = aiohttp.FormData()
    bpmn.add_field("resources", (HERE / "ping.bpmn").read_bytes(), filename="ping.bpmn")
    answers = [
        await proxy.call(headers={"Cookie": f"{app.upper()}-SESSION=the-callers"}),
        await proxy.call("/v2/deployments", "POST", data=bpmn),
        await proxy.call("/v2/process-instances", "POST", json={"processDefinitionId": "ping"}),
        await search(proxy, app),
    ]
    assert tally(answers) == {GOOD: 4}
    assert not [name for answer in answers for name in answer.headers if "cookie" in name or "csrf" in name]
    assert between.cookies.startswith(f"{app.upper()}-SESSION=")
    assert between.logins == 1
    assert await proxy.metric("repairs_total") == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_session_killed_behind_the_proxys_back_is_healed_by_one_login(
    app: str, camunda: Camunda, proxy: Sidecar, between: Tap, method: str
) -> None:
    ask = proxy.call if method == "GET" else partial(search, proxy, app)
    assert kind_of(await ask()) == GOOD
    await kill_session(camunda, between.cookies)
    assert kind_of(await ask()) == GOOD
    assert between.logins == 2
    assert await proxy.metric("repairs_total", outcome="ok") == 1


async def test_two_hundred_callers_whose_session_dies_cost_one_login_and_none_of_them_fails(
    app: str, camunda: Camunda, proxy: Sidecar, between: Tap
) -> None:
    assert kind_of(await proxy.call()) == GOOD
    await kill_session(camunda, between.cookies)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(proxy.call()) for _ in range(100)]
        calls += [group.create_task(search(proxy, app)) for _ in range(100)]
    assert tally(call.result() for call in calls) == {GOOD: 200}
    assert between.logins == 2


async def test_a_csrf_token_that_camunda_refuses_is_healed_by_one_login(
    app: str, proxy: Sidecar, between: Tap
) -> None:
    assert kind_of(await search(proxy, app)) == GOOD
    between.spoil_csrf()
    assert kind_of(await search(proxy, app)) == GOOD
    assert between.logins == 2
    assert await proxy.metric("repairs_total", outcome="ok") == 1


async def test_basic_as_a_session_is_one_login(app: str, between: Tap, tmp_path: Path) -> None:
    async with sidecar(tmp_path, between.url, **USER | {"type": "basic"}, as_session=True) as proxy:
        await eventually(proxy.ready, within=15)
        assert tally([await proxy.call(), await proxy.call(), await search(proxy, app)]) == {GOOD: 3}
        assert between.logins == 1


@only_at_operate
async def test_a_session_that_camunda_ends_after_a_minute_of_silence_is_not_noticed(
    app: str, between: Tap, tmp_path: Path
) -> None:
    async with (
        sidecar(tmp_path, between.url, **USER, max_idle="40s") as wary,
        sidecar(tmp_path, between.url, **USER) as trusting,
    ):
        for proxy in (wary, trusting):
            await eventually(proxy.ready, within=15)
            assert kind_of(await search(proxy, app)) == GOOD
        await pause(CLOCK, 65)
        for proxy in (wary, trusting):
            assert await proxy.ready()
            assert kind_of(await search(proxy, app)) == GOOD
        assert between.logins == 4
        assert await wary.metric("repairs_total") == 0
        assert await trusting.metric("repairs_total", outcome="ok") == 1


@only_at_operate
async def test_a_restart_of_camunda_is_healed_and_nobody_fails_once_it_is_up(
    app: str, camunda: Camunda, tmp_path: Path
) -> None:
    async with sidecar(tmp_path, camunda.url, **USER) as proxy:
        await eventually(proxy.ready, within=15)
        async with traffic(proxy.call, partial(search, proxy, app)) as answers:
            await camunda.restart()
            seen = len(answers)
            await pause(CLOCK, 3)
        assert set(map(kind_of, answers[:seen])) == {GOOD, (502, "upstream_unreachable")}
        assert tally(answers[seen:]) == {GOOD: len(answers) - seen}
        assert await proxy.fetches() == 2


async def search(proxy: Sidecar, app: str) -> Answer:
    return await proxy.call(SEARCHES[app], "POST", json={})


async def kill_session(camunda: Camunda, cookies: str) -> None:
    """A login that shows a session's cookies ends it at once (8.6)."""
    user = {"username": "demo", "password": "demo"}
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.post(f"{camunda.url}/api/login", data=user, headers={"Cookie": cookies}) as answer,
    ):
        assert answer.status == 204
