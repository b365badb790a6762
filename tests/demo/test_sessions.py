"""Every dialect, row by row: what was observed on real servers, what sources and documentation say."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from proxy.demo import DIALECTS, LoginFault, SimulatedCamunda
from tests.clock import FakeClock
from tests.demo.visitor import SEARCH, Visitor

WITH_CSRF = [name for name, dialect in DIALECTS.items() if dialect.csrf is not None]
WITHOUT = [name for name in DIALECTS if name not in WITH_CSRF]
NAMELESS = (401, '{"message":""}')
Enter = Callable[..., Visitor]


@pytest.fixture
async def enter(camunda: SimulatedCamunda) -> AsyncIterator[Enter]:
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as client:

        def visitor(name: str, **more: Any) -> Visitor:
            return Visitor(camunda, client, name, **more)

        yield visitor


# -- every dialect --


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_login_opens_get_and_post(camunda: SimulatedCamunda, enter: Enter, name: str) -> None:
    visitor = enter(name)
    assert (await visitor.log_in()).status == 204
    assert (await visitor.get()).status in (200, 404)
    assert (await visitor.post()).status == 200
    sessions = camunda.sessions(name)
    assert ([login.outcome for login in sessions.logins], sessions.live) == (["ok"], 1)
    assert camunda.complaints == []


@pytest.mark.parametrize("name", DIALECTS)
async def test_strangers_and_wrong_passwords_get_401(
    camunda: SimulatedCamunda, enter: Enter, name: str
) -> None:
    seen = await enter(name).get()
    assert (seen.status, "WWW-Authenticate" in seen.headers) == (401, False)
    assert (await enter(name).log_in("wrong")).status == 401
    assert camunda.sessions(name).count("wrong") == 1
    assert camunda.sessions(name).live == 0


@pytest.mark.parametrize("name", DIALECTS)
async def test_idle_life_slides(enter: Enter, clock: FakeClock, name: str) -> None:
    visitor = enter(name)
    await visitor.log_in()
    for _ in range(3):
        clock.jump(1799)
        assert (await visitor.get()).status in (200, 404)
    clock.jump(1800)
    assert (await visitor.get()).status == 401


@pytest.mark.parametrize("name", DIALECTS)
async def test_killed_sessions_are_strangers(camunda: SimulatedCamunda, enter: Enter, name: str) -> None:
    visitor = enter(name)
    await visitor.log_in()
    assert (await visitor.get()).status in (200, 404)
    camunda.sessions(name).kill()
    assert (await visitor.get()).status == 401
    # CSRF pairs live on, so it is the session that is missed.
    assert (await visitor.post()).status == 401


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_logout_ends_the_session_and_deletes_its_cookies(
    camunda: SimulatedCamunda, enter: Enter, name: str
) -> None:
    visitor = enter(name)
    await visitor.log_in()
    before = dict(visitor.jar)
    seen = await visitor.ask("POST", visitor.dialect.logout, csrf=False)
    assert (seen.status, visitor.jar, camunda.sessions(name).logouts) == (204, {}, 1)
    assert (await enter(name, jar=before).get()).status == 401
    assert (await enter(name).ask("POST", visitor.dialect.logout)).status == 204
    assert camunda.sessions(name).logouts == 1


@pytest.mark.parametrize("name", WITH_CSRF)
async def test_only_a_masked_token_of_its_own_cookie_makes_a_pair(enter: Enter, name: str) -> None:
    visitor = enter(name)
    await visitor.log_in()
    await visitor.get()
    status = (await visitor.post(csrf=False)).status
    assert status == (401 if name == "cluster-8.8" else 403)
    token, visitor.token = visitor.token, visitor.jar[visitor.dialect.csrf]
    assert (await visitor.post()).status == status  # the cookie's own value
    visitor.token = token
    assert (await visitor.post()).status == 200
    cookie = visitor.jar.pop(visitor.dialect.csrf)
    assert (await visitor.post()).status == status
    visitor.jar[visitor.dialect.csrf] = cookie
    assert (await visitor.post()).status == 200


@pytest.mark.parametrize("name", WITH_CSRF)
async def test_every_get_masks_the_token_anew_and_all_of_them_stay_good(enter: Enter, name: str) -> None:
    visitor = enter(name)
    await visitor.log_in()
    await visitor.get()
    cookie = visitor.jar[visitor.dialect.csrf]
    tokens = {(await visitor.get()).headers[visitor.dialect.csrf] for _ in range(3)}
    missing = await visitor.ask("GET", "/v1/nowhere")
    tokens.add(missing.headers[visitor.dialect.csrf])
    assert (len(tokens), {len(token) for token in tokens}, missing.status) == (4, {96}, 404)
    assert visitor.jar[visitor.dialect.csrf] == cookie
    for token in tokens:
        visitor.token = token
        seen = await visitor.post()
        assert (seen.status, visitor.dialect.csrf in seen.headers) == (200, False)
    assert visitor.dialect.csrf not in (await visitor.ask("HEAD", "/v1/nowhere")).headers


@pytest.mark.parametrize("name", WITH_CSRF)
async def test_a_session_alone_is_given_a_csrf_cookie(enter: Enter, name: str) -> None:
    visitor = enter(name)
    await visitor.log_in()
    visitor.jar.pop(visitor.dialect.csrf, None)
    seen = await visitor.get()
    assert seen.set_cookies == [visitor.dialect.csrf]
    assert (await visitor.post()).status == 200


@pytest.mark.parametrize("name", WITH_CSRF)
async def test_spoilt_pairs_are_refused_until_a_get_brings_new_ones(
    camunda: SimulatedCamunda, enter: Enter, name: str
) -> None:
    visitor = enter(name)
    await visitor.log_in()
    await visitor.get()
    camunda.sessions(name).spoil_csrf()
    assert (await visitor.post()).status in (401, 403)
    assert camunda.api(name).refusals == {"csrf": 1}
    assert (await visitor.get()).status in (200, 404)
    assert (await visitor.post()).status == 200


@pytest.mark.parametrize("name", WITH_CSRF)
async def test_the_swagger_page_needs_no_csrf(camunda: SimulatedCamunda, enter: Enter, name: str) -> None:
    visitor = enter(name)
    await visitor.log_in()
    referer = {"Referer": camunda.url(name) + "/swagger-ui/index.html"}
    assert (await visitor.post(csrf=False, headers=referer)).status == 200


@pytest.mark.parametrize("name", WITHOUT)
async def test_without_csrf_a_cookie_is_enough(enter: Enter, name: str) -> None:
    visitor = enter(name)
    assert (await visitor.log_in()).set_cookies == ["OPERATE-SESSION"]
    seen = await visitor.post()
    assert seen.status == 200
    assert not [field for field in seen.headers if "CSRF" in field.upper()]


# -- Operate --


async def test_operate_8_6_logs_in_as_observed(camunda: SimulatedCamunda, enter: Enter) -> None:
    visitor = enter("operate-8.6")
    seen = await visitor.log_in()
    assert (seen.status, seen.text, seen.set_cookies) == (204, "", ["OPERATE-SESSION", "X-CSRF-TOKEN"])
    assert (len(visitor.jar["OPERATE-SESSION"]), len(seen.headers["X-CSRF-TOKEN"])) == (32, 96)
    assert all("HttpOnly; SameSite=Lax" in line for line in seen.headers.getall("Set-Cookie"))
    wrong = await enter("operate-8.6").log_in("wrong")
    assert ((wrong.status, wrong.text), wrong.set_cookies) == (NAMELESS, [])
    body = {"username": camunda.username, "password": camunda.password}
    in_json = await enter("operate-8.6").ask("POST", "/api/login", json=body)
    assert (in_json.status, in_json.text) == NAMELESS
    multipart = aiohttp.FormData(body, default_to_multipart=True)
    assert (await enter("operate-8.6").ask("POST", "/api/login", data=multipart)).status == 204
    assert camunda.complaints == []


async def test_a_login_with_live_cookies_ends_the_session_before(
    camunda: SimulatedCamunda, enter: Enter
) -> None:
    visitor = enter("operate-8.6")
    await visitor.log_in()
    before = dict(visitor.jar)
    seen = await visitor.log_in()
    assert seen.set_cookies == ["OPERATE-SESSION", "-X-CSRF-TOKEN", "X-CSRF-TOKEN"]
    assert (await visitor.post()).status == 200
    assert (await enter("operate-8.6", jar=before).get()).status == 401
    assert camunda.complaints == [("operate-8.6", "a login that ends a live session")]


async def test_operate_8_6_asks_for_csrf_before_it_asks_who(camunda: SimulatedCamunda, enter: Enter) -> None:
    stranger = enter("operate-8.6")
    seen = await stranger.post()
    members = json.loads(seen.text)
    assert seen.status == members.pop("status") == 403
    assert members.pop("timestamp")
    assert members == {"error": "Forbidden", "path": SEARCH}
    assert (seen.set_cookies, "X-CSRF-TOKEN" in seen.headers) == (["X-CSRF-TOKEN"], False)
    assert (await stranger.post()).set_cookies == []  # it has one now
    visitor = enter("operate-8.6")
    await visitor.log_in()
    camunda.sessions("operate-8.6").kill()
    seen = await visitor.post()
    assert (seen.status, seen.text) == NAMELESS
    seen = await visitor.post(csrf=False)
    assert (seen.status, "csrf" in seen.text.lower()) == (403, False)


async def test_after_a_restart_operate_8_6_says_nothing_but_forbidden(
    camunda: SimulatedCamunda, enter: Enter
) -> None:
    visitor = enter("operate-8.6")
    await visitor.log_in()
    camunda.sessions("operate-8.6").restart()
    assert (await visitor.post()).status == 403
    assert (await visitor.get()).status == 401


async def test_a_bearer_turns_operates_csrf_off_and_lets_nobody_in(enter: Enter) -> None:
    stranger = enter("operate-8.6")
    seen = await stranger.post(headers={"Authorization": "Bearer x"})
    assert (seen.status, seen.text) == NAMELESS
    seen = await enter("operate-8.6").ask("GET", "/v2/topology", headers={"Authorization": "Basic ZDpk"})
    assert (seen.status, seen.text) == NAMELESS


@pytest.mark.parametrize(
    ("name", "method", "path", "status", "location"),
    [
        ("operate-8.6", "POST", "/login", 403, None),  # CSRF again
        ("operate-8.6", "GET", "/login", 302, "/operate/login"),
        ("operate-8.6", "GET", "/", 302, "/operate"),
        ("operate-8.6", "GET", "/operate", 200, None),
        ("operate-8.6", "GET", "/api/login", 404, None),
        ("operate-8.2", "POST", "/login", 302, "/api/login"),
        ("operate-8.2", "GET", "/login", 302, "/api/login"),
        ("operate-8.5", "POST", "/login", 403, None),
        ("operate-8.5", "GET", "/somewhere", 302, "/api/login"),
        ("tasklist-8.6", "POST", "/login", 405, None),
        ("tasklist-8.6", "GET", "/login", 200, None),
        ("cluster-8.8", "GET", "/login", 200, None),
        ("cluster-8.8", "POST", "/api/login", 401, None),
        ("cluster-8.8", "GET", "/nowhere", 404, None),
    ],
)
async def test_paths_beside_the_apis(
    camunda: SimulatedCamunda,
    enter: Enter,
    name: str,
    method: str,
    path: str,
    status: int,
    location: str | None,
) -> None:
    seen = await enter(name).ask(method, path)
    assert seen.status == status
    assert seen.headers.get("Location") == (location and camunda.url(name) + location)


async def test_operate_8_2_gives_strangers_the_cookie_of_a_dead_session(enter: Enter) -> None:
    visitor = enter("operate-8.2")
    seen = await visitor.get()
    assert (seen.status, seen.set_cookies) == (401, ["OPERATE-SESSION"])
    assert (await visitor.get()).status == 401


async def test_operate_8_5_names_its_own_token(enter: Enter) -> None:
    visitor = enter("operate-8.5")
    seen = await visitor.log_in()
    assert seen.set_cookies == ["OPERATE-SESSION", "OPERATE-X-CSRF-TOKEN"]
    seen = await visitor.post(csrf=False)
    assert (seen.status, json.loads(seen.text)["message"]) == (403, "Forbidden")


# -- Tasklist --


@pytest.mark.parametrize("name", ["tasklist-8.5", "tasklist-8.6"])
async def test_tasklist_names_csrf_and_asks_live_sessions_alone(
    camunda: SimulatedCamunda, enter: Enter, name: str
) -> None:
    assert (await enter(name).post()).status == 401
    visitor = enter(name)
    await visitor.log_in()
    seen = await visitor.post(csrf=False)
    assert (seen.status, seen.text) == (403, '{"error": "Access denied due to invalid CSRF token."}')
    new = [] if name == "tasklist-8.6" else [visitor.dialect.csrf]  # 8.5's login brought none
    assert seen.set_cookies == new
    camunda.sessions(name).restart()
    assert (await visitor.post()).status == 401


async def test_tasklist_8_5_brings_its_token_with_a_get(enter: Enter) -> None:
    visitor = enter("tasklist-8.5")
    seen = await visitor.log_in()
    assert (seen.set_cookies, visitor.token) == (["TASKLIST-SESSION"], None)
    seen = await visitor.ask("GET", "/v1/tasks")
    assert seen.set_cookies == ["TASKLIST-X-CSRF-TOKEN"]
    assert (await visitor.post()).status == 200


# -- the cluster of 8.8 and later --


async def test_8_8_refuses_in_problem_json_and_names_csrf(camunda: SimulatedCamunda, enter: Enter) -> None:
    visitor = enter("cluster-8.8")
    assert (await visitor.log_in()).set_cookies == ["camunda-session", "X-CSRF-TOKEN"]
    seen = await visitor.post(csrf=False)
    assert (seen.status, seen.headers["Content-Type"]) == (401, "application/problem+json;charset=UTF-8")
    assert "Invalid CSRF Token 'null'" in json.loads(seen.text)["detail"]
    camunda.sessions("cluster-8.8").restart()
    seen = await visitor.post()
    assert (seen.status, "CSRF" in seen.text) == (401, False)


@pytest.mark.parametrize("name", ["cluster-8.8", "cluster-8.10"])
async def test_basic_makes_no_session_and_a_session_asks_basic_for_csrf(
    camunda: SimulatedCamunda, enter: Enter, name: str
) -> None:
    authorization = aiohttp.encode_basic_auth(camunda.username, camunda.password)
    visitor = enter(name)
    assert (await visitor.post(headers={"Authorization": authorization})).status == 200
    assert visitor.jar == {}
    await visitor.log_in()
    refused = (await visitor.post(csrf=False, headers={"Authorization": authorization})).status
    assert refused == (401 if name == "cluster-8.8" else 403)
    wrong = {"Authorization": aiohttp.encode_basic_auth(camunda.username, "wrong")}
    assert (await enter(name).post(headers=wrong)).status == 401
    assert camunda.complaints == []


@pytest.mark.parametrize("name", ["cluster-8.8", "cluster-8.10"])
async def test_a_get_without_a_session_gets_the_cookie_of_a_session_without_a_user(
    enter: Enter, name: str
) -> None:
    stranger = enter(name)
    seen = await stranger.get()
    assert (seen.status, seen.set_cookies) == (401, ["camunda-session"])
    assert (await stranger.get()).status == 401
    assert (await enter(name).post()).set_cookies == []
    wrong = {"Authorization": "Basic eA=="}
    assert (await enter(name).ask("GET", "/v2/topology", headers=wrong)).set_cookies == []


@pytest.mark.parametrize("name", ["cluster-8.8", "cluster-8.10"])
async def test_the_license_is_for_everybody(enter: Enter, name: str) -> None:
    assert (await enter(name).ask("GET", "/v2/license")).status == 200
    assert (
        await enter(name).ask("GET", "/v2/license", headers={"Authorization": "Basic eA=="})
    ).status == 401


async def test_the_newest_login_wants_a_token_itself(camunda: SimulatedCamunda, enter: Enter) -> None:
    visitor = enter("cluster-8.10")
    form = {"username": camunda.username, "password": camunda.password}
    seen = await visitor.ask("POST", "/login", data=form)
    assert (seen.status, "CSRF" in seen.text, seen.set_cookies) == (403, True, ["X-CSRF-TOKEN"])
    seen = await visitor.ask("GET", "/login")
    assert (seen.status, seen.set_cookies, len(seen.headers["X-CSRF-TOKEN"])) == (
        204,
        [],
        96,
    )  # it has the cookie
    navigated = await visitor.ask("GET", "/login", headers={"Sec-Fetch-Mode": "navigate"})
    assert navigated.status == 302
    seen = await visitor.ask("POST", "/login", data=form)
    assert seen.set_cookies == ["camunda-session", "-X-CSRF-TOKEN", "X-CSRF-TOKEN"]
    assert (await visitor.post()).status == 200
    assert [login.outcome for login in camunda.sessions("cluster-8.10").logins] == ["csrf", "ok"]


# -- faults and complaints --


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (LoginFault.DOWN, 503),
        (LoginFault.HTML, 200),
        (LoginFault.ERROR_500, 500),
        (LoginFault.REDIRECT, 302),
        (LoginFault.MOVED, 404),
        (LoginFault.NO_COOKIE, 204),
        (LoginFault.DEAD_COOKIE, 204),
    ],
)
async def test_a_login_fails_as_it_is_told(
    camunda: SimulatedCamunda, enter: Enter, fault: LoginFault, status: int
) -> None:
    sessions = camunda.sessions("operate-8.6")
    sessions.fault = fault
    visitor = enter("operate-8.6")
    assert (await visitor.log_in()).status == status
    assert (await visitor.get()).status == 401
    assert sessions.count(fault) == 1
    sessions.fault = None
    assert (await enter("operate-8.6").log_in()).status == 204


async def test_a_login_that_hangs_or_is_reset_has_no_answer(camunda: SimulatedCamunda, enter: Enter) -> None:
    sessions = camunda.sessions("operate-8.6")
    sessions.fault = LoginFault.RESET
    with pytest.raises(aiohttp.ClientError):
        await enter("operate-8.6").log_in()
    sessions.fault = LoginFault.HANG
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(enter("operate-8.6").log_in())
        await camunda.news.until(lambda: len(sessions.logins) == 2)
        waiting.cancel()
    await camunda.news.until(lambda: sessions.logins[1].outcome == "gone")


@pytest.mark.parametrize(
    ("headers", "complaint"),
    [
        ({"Cookie": "OPERATE-SESSION=mine"}, "a Cookie that is the caller's"),
        ({"Cookie": "theme=dark"}, "a Cookie that is the caller's"),
        ({"X-CSRF-TOKEN": "mine"}, "a CSRF header that is the caller's"),
        ({"OPERATE-X-CSRF-TOKEN": "mine"}, "a CSRF header that is the caller's"),
    ],
)
async def test_what_is_the_callers_is_complained_of(
    camunda: SimulatedCamunda, enter: Enter, headers: dict[str, str], complaint: str
) -> None:
    assert (await enter("operate-8.6").ask("GET", "/v2/topology", headers=headers)).status == 400
    assert camunda.complaints == [("operate-8.6", complaint)]


async def test_a_good_session_with_something_beside_it_is_complained_of(
    camunda: SimulatedCamunda, enter: Enter
) -> None:
    visitor = enter("operate-8.6")
    await visitor.log_in()
    token, session = visitor.token, visitor.jar["OPERATE-SESSION"]
    url = camunda.url("operate-8.6") + "/v2/topology"
    cookie = ("Cookie", f"OPERATE-SESSION={session}")
    for fields in (
        [cookie, ("Authorization", "Bearer x")],
        [cookie, cookie],
        [("Cookie", f"OPERATE-SESSION={session}; OPERATE-SESSION={session}")],
        [cookie, ("X-CSRF-TOKEN", str(token)), ("X-CSRF-TOKEN", str(token))],
        [cookie, ("TASKLIST-X-CSRF-TOKEN", str(token))],
    ):
        async with visitor.client.get(url, headers=fields) as answer:
            assert answer.status == 400
    assert [what for _, what in camunda.complaints] == [
        "a Bearer beside a session",
        "more than one Cookie",
        "a cookie twice",
        "a CSRF header twice",
        "a CSRF header that is the caller's",
    ]


async def test_logins_by_query_too_soon_and_too_often_wrong_are_complained_of(
    camunda: SimulatedCamunda, enter: Enter, clock: FakeClock
) -> None:
    query = {"username": camunda.username, "password": camunda.password}
    assert (await enter("operate-8.2").ask("POST", "/api/login", params=query)).status == 204
    assert camunda.complaints.pop() == ("operate-8.2", "a password in the query")
    for _ in range(6):
        clock.jump(500)
        await enter("operate-8.6").log_in("wrong")
    assert camunda.complaints == []
    clock.jump(500)
    await enter("operate-8.6").log_in("wrong")
    assert camunda.complaints.pop() == ("operate-8.6", "more than 6 wrong passwords an hour")
    camunda.rules = replace(camunda.rules, login_gap=1.0)
    await enter("operate-8.6").log_in()
    assert camunda.complaints == [("operate-8.6", "a login too soon after another")]


async def test_a_redirect_that_is_followed_is_complained_of(camunda: SimulatedCamunda, enter: Enter) -> None:
    await enter("operate-8.6").ask("GET", "/elsewhere")
    assert camunda.complaints == [("operate-8.6", "a redirect was followed")]


@pytest.mark.parametrize("path", ["/login", "/api/login"])
async def test_basic_of_8_6_has_no_login(
    camunda: SimulatedCamunda, session: aiohttp.ClientSession, path: str
) -> None:
    """Observed: strangers get a session everywhere, which lets nobody in."""
    form = {"username": camunda.username, "password": camunda.password}
    headers = {"Cookie": "JSESSIONID=0123"}
    async with session.post(camunda.url("zeebe-basic") + path, data=form, headers=headers) as answer:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="Realm"')
        assert answer.headers["Set-Cookie"].startswith("JSESSIONID=")
    assert camunda.complaints == []
