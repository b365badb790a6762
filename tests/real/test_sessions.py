"""Sessions and CSRF tokens on every release, with real Spring Security on a real Tomcat, in real time."""

import asyncio
import io
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from proxy.clock import pause
from tests.real.conftest import shared
from tests.real.servers import HERE, StandIn
from tests.real.sidecar import Answer, Sidecar, sidecar
from tests.real.tap import Tap, tap
from tests.real.traffic import CLOCK, GOOD, eventually, kind_of, tally

pytestmark = pytest.mark.real

USER = {"type": "session", "username": "demo", "password": "demo"}
COOKIES = {"operate": "OPERATE-SESSION", "tasklist": "TASKLIST-SESSION"}  # others: camunda-session
APPS = [
    *[(release, app) for release in ("8.6", "8.7") for app in ("operate", "tasklist")],
    *[(release, "cluster") for release in ("8.8", "8.9", "8.10")],
    ("8.10", "tenant"),  # below /physical-tenants/acme
]


class At(NamedTuple):
    standin: StandIn
    app: str

    @property
    def url(self) -> str:
        return self.standin.url(self.app)

    @property
    def login(self) -> str:
        """Path of the login, below `url`."""
        return "/api/login" if self.app in COOKIES else "/login"


@pytest.fixture(params=APPS, ids=" ".join)
def at(request: pytest.FixtureRequest) -> At:
    release, app = request.param
    return At(shared(release), app)


@pytest.fixture
async def between(at: At) -> AsyncIterator[Tap]:
    async with tap(at.url, at.login) as opened:
        yield opened


@pytest.fixture
async def proxy(between: Tap, tmp_path: Path) -> AsyncIterator[Sidecar]:
    async with sidecar(tmp_path, between.url, **USER) as running:
        await eventually(running.ready)
        await pause(CLOCK, 1)  # what is refused sooner after a login is not repaired
        yield running


async def test_queries_and_changes_pass_under_one_session_of_which_the_caller_sees_nothing(
    at: At, proxy: Sidecar, between: Tap
) -> None:
    cookie = COOKIES.get(at.app, "camunda-session")
    bpmn = aiohttp.FormData()
    bpmn.add_field("resources", (HERE / "ping.bpmn").read_bytes(), filename="ping.bpmn")
    answers = [
        await proxy.call(headers={"Cookie": f"{cookie}=the-callers"}),
        await proxy.call("/v2/deployments", "POST", data=bpmn),
        await proxy.call("/v2/process-instances", "POST", json={"processDefinitionId": "ping"}),
        await search(proxy),
    ]
    assert tally(answers) == {GOOD: 4}
    assert not [name for answer in answers for name in answer.headers if "cookie" in name or "csrf" in name]
    assert f"{cookie}=" in between.cookies
    assert between.logins == 1
    assert await proxy.metric("repairs_total") == 0
    assert await at.standin.statuses(at.app, proxy.agent, 4) == {200: 4}


async def test_a_physical_tenant_may_be_named_instead_of_written_into_the_url(tmp_path: Path) -> None:
    url = shared("8.10").url("tenant").removesuffix("/physical-tenants/acme")
    async with sidecar(tmp_path, url, physical_tenant="acme", **USER) as proxy:
        await eventually(proxy.ready)
        assert tally([await proxy.call(), await search(proxy)]) == {GOOD: 2}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_session_killed_behind_the_proxys_back_is_healed_by_one_login(
    at: At, proxy: Sidecar, between: Tap, method: str
) -> None:
    ask = proxy.call if method == "GET" else partial(search, proxy)
    assert kind_of(await ask()) == GOOD
    await kill_session(at, between.cookies)
    assert kind_of(await ask()) == GOOD
    assert between.logins == 2
    assert await proxy.metric("repairs_total", outcome="ok") == 1


async def test_two_hundred_callers_whose_session_dies_cost_one_login_and_none_fails(
    at: At, proxy: Sidecar, between: Tap
) -> None:
    assert kind_of(await proxy.call()) == GOOD
    await kill_session(at, between.cookies)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(proxy.call()) for _ in range(100)]
        calls += [group.create_task(search(proxy)) for _ in range(100)]
    assert tally(call.result() for call in calls) == {GOOD: 200}
    assert between.logins == 2


async def test_a_csrf_token_that_the_server_refuses_is_healed_by_one_login(
    proxy: Sidecar, between: Tap
) -> None:
    assert kind_of(await search(proxy)) == GOOD
    between.spoil_csrf()
    assert kind_of(await search(proxy)) == GOOD
    assert between.logins == 2
    assert await proxy.metric("repairs_total", outcome="ok") == 1


async def test_basic_as_a_session_is_one_login(between: Tap, tmp_path: Path) -> None:
    async with sidecar(tmp_path, between.url, **USER | {"type": "basic"}, as_session=True) as proxy:
        await eventually(proxy.ready)
        assert tally([await proxy.call(), await proxy.call(), await search(proxy)]) == {GOOD: 3}
        assert between.logins == 1


@pytest.mark.waits
async def test_a_session_that_the_server_ends_after_a_minute_of_silence_is_not_noticed(
    between: Tap, tmp_path: Path
) -> None:
    async with (
        sidecar(tmp_path, between.url, **USER, max_idle="40s") as wary,
        sidecar(tmp_path, between.url, **USER) as trusting,
    ):
        for proxy in (wary, trusting):
            await eventually(proxy.ready)
            assert kind_of(await search(proxy)) == GOOD
        await pause(CLOCK, 65)
        for proxy in (wary, trusting):
            assert await proxy.ready()
            assert kind_of(await search(proxy)) == GOOD
        assert between.logins == 4
        assert await wary.metric("repairs_total") == 0
        assert await trusting.metric("repairs_total", outcome="ok") == 1


async def test_an_upload_over_four_megabytes_under_a_session_gets_the_servers_own_413(
    proxy: Sidecar, between: Tap
) -> None:
    form = aiohttp.FormData()
    form.add_field("resources", io.BytesIO(bytes(5 << 20)), filename="ping.bpmn")
    assert kind_of(await proxy.call("/v2/deployments", "POST", data=form)) == (413, "")
    assert kind_of(await search(proxy)) == GOOD
    assert between.logins == 1


async def search(proxy: Sidecar) -> Answer:
    return await proxy.call("/v2/process-instances/search", "POST", json={})


async def kill_session(at: At, cookies: str) -> None:
    """Another client with a session's cookies logs out: the session is dead at once."""
    logout = at.login.replace("login", "logout")
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.post(at.url + logout, headers={"Cookie": cookies}) as answer,
    ):
        assert answer.status == 204
