"""Logging in at the simulated Camunda of each version, and at servers that answer something else."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from proxy.credentials.as_session import BasicAsSession
from proxy.credentials.credential import Credential
from proxy.credentials.fixed import BasicLogin
from proxy.credentials.login import NoLogin
from proxy.credentials.outbound import Outbound
from proxy.credentials.secret import TextSecret
from proxy.credentials.session import LoginSettings, LoginSource
from proxy.demo import DIALECTS, LoginFault, SimulatedCamunda, simulated_camunda
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable
from tests.clock import FakeClock
from tests.token_server import TokenServer, raw_server, token_server

CANARY = "c4n4ry p&s=sword é"
NO_CSRF = {"operate-8.2", "operate-8.6-csrf-off"}
OLD = {name for name, dialect in DIALECTS.items() if dialect.login == "/api/login"}


@pytest.fixture
async def camunda() -> AsyncIterator[SimulatedCamunda]:
    async with simulated_camunda(clock=FakeClock()) as simulated:
        yield simulated
        assert simulated.complaints == []


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound()
    yield outbound
    await outbound.close()


def login_at(camunda: SimulatedCamunda, name: str, outbound: Outbound, **changes: Any) -> LoginSource:
    settings = LoginSettings(camunda.url(name), camunda.username, TextSecret(camunda.password))
    return LoginSource(replace(settings, **changes), outbound, FakeClock())


async def call(camunda: SimulatedCamunda, name: str, session: Credential, method: str) -> int:
    """The status of an API call under a session."""
    outbound = Outbound()
    headers = {key.decode(): value.decode() for key, value in session.fields}
    searched = {"tasklist": "/v1/tasks/search", "cluster-8.10": "/v2/process-instances/search"}
    kind = name if name in searched else name.partition("-")[0]
    url = camunda.url(name) + searched.get(kind, "/v1/process-definitions/search")
    if method == "GET":
        url = camunda.url(name) + "/v2/topology"
    answer = await outbound.send(
        method,
        url,
        to="the simulation",
        headers={**headers, "Content-Type": "application/json"},
        timeout=10.0,
        body=b"{}" if method == "POST" else None,
    )
    await outbound.close()
    return answer.status


@pytest.mark.parametrize("name", DIALECTS)
async def test_auto_logs_in_at_every_version(
    camunda: SimulatedCamunda, outbound: Outbound, name: str
) -> None:
    session = await login_at(camunda, name, outbound).fetch()
    stamped = dict(session.fields)
    assert session.session
    assert session.expires_at is None
    assert DIALECTS[name].cookie.encode() + b"=" in stamped[b"Cookie"]
    csrf = DIALECTS[name].csrf
    assert set(stamped) == {b"Cookie"} | ({csrf.encode()} if csrf is not None else set())
    assert await call(camunda, name, session, "POST") == 200
    assert await call(camunda, name, session, "GET") in (200, 404)
    assert camunda.sessions(name).count("ok") == 1
    assert not camunda.api(name).refusals["session"]


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_login_in_the_dialect_that_was_named(
    camunda: SimulatedCamunda, outbound: Outbound, name: str
) -> None:
    right, wrong = ("api-login", "login") if name in OLD else ("login", "api-login")
    assert (await login_at(camunda, name, outbound, dialect=right).fetch()).session
    with pytest.raises(NoLogin) as caught:
        await login_at(camunda, name, outbound, dialect=wrong).fetch()
    assert f"POST {'/login' if wrong == 'login' else '/api/login'} answered 4" in str(
        caught.value
    ) or "answered 302" in str(caught.value)


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_wrong_password_is_one_try_and_clearly_told(
    camunda: SimulatedCamunda, outbound: Outbound, name: str
) -> None:
    with pytest.raises(CredentialRejected) as caught:
        await login_at(camunda, name, outbound, password=TextSecret(CANARY)).fetch()
    assert ": it refused the user name or the password (401). Check username and password" in str(
        caught.value
    )
    assert camunda.sessions(name).count("wrong") == 1
    assert camunda.sessions(name).count("csrf") == 0


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_new_login_has_nothing_of_the_old_one(
    camunda: SimulatedCamunda, outbound: Outbound, name: str
) -> None:
    source = login_at(camunda, name, outbound)
    first = await source.fetch()
    camunda.sessions(name).restart()
    second = await source.fetch()
    assert dict(first.fields)[b"Cookie"] != dict(second.fields)[b"Cookie"]
    assert await call(camunda, name, second, "POST") == 200
    assert [login.outcome for login in camunda.sessions(name).logins] == ["ok", "ok"]


@pytest.mark.parametrize("name", DIALECTS)
async def test_logging_out_ends_the_session(camunda: SimulatedCamunda, outbound: Outbound, name: str) -> None:
    source = login_at(camunda, name, outbound)
    session = await source.fetch()
    assert camunda.sessions(name).live == 1
    await source.leave(session)
    assert (camunda.sessions(name).live, camunda.sessions(name).logouts) == (0, 1)


async def test_what_worked_is_remembered(camunda: SimulatedCamunda, outbound: Outbound) -> None:
    source = login_at(camunda, "tasklist-8.6", outbound)
    await source.fetch()
    await source.fetch()
    assert camunda.api("tasklist-8.6").statuses[405] == 1


async def test_a_server_that_is_upgraded_meanwhile_is_logged_in_at(outbound: Outbound) -> None:
    """8.8 answers 401 to `POST /api/login`, and that is no wrong password."""
    async with token_server() as server:
        source = LoginSource(
            LoginSettings(server.url.removesuffix("/oauth/token"), "demo", TextSecret(CANARY)),
            outbound,
            FakeClock(),
        )
        in_session = {"Set-Cookie": "S=1", "X-CSRF-TOKEN": "masked"}
        old = [
            web.Response(status=404),
            web.Response(status=405),
            web.Response(status=204, headers=in_session),
        ]
        server.script.extend(old)
        await source.fetch()
        problem = web.Response(status=401, body=b"{}", content_type="application/problem+json")
        new = [problem, web.Response(status=200), web.Response(status=204, headers=in_session)]
        server.script.extend(new)
        await source.fetch()
        server.script.extend([web.Response(status=200), web.Response(status=204, headers=in_session)])
        await source.fetch()
        assert [(asked.method, asked.path) for asked in server.asked] == [
            ("GET", "/login"),
            ("POST", "/login"),
            ("POST", "/api/login"),
            ("POST", "/api/login"),
            ("GET", "/login"),
            ("POST", "/login"),
            ("GET", "/login"),
            ("POST", "/login"),
        ]


# -- what is sent --


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    async with token_server() as server:
        yield server


def source_at(server: TokenServer, outbound: Outbound, **changes: Any) -> LoginSource:
    settings = LoginSettings(server.url.removesuffix("/oauth/token") + "/base", "démo", TextSecret(CANARY))
    return LoginSource(replace(settings, **changes), outbound, FakeClock())


async def test_the_password_goes_into_the_body_and_nowhere_else(
    server: TokenServer, outbound: Outbound
) -> None:
    answers = [
        web.Response(
            status=204, headers={"X-CSRF-TOKEN": "masked", "Set-Cookie": "X-CSRF-TOKEN=uuid; Path=/"}
        ),
        web.Response(status=204, headers={"Set-Cookie": "camunda-session=abc; HttpOnly"}),
    ]
    server.script.extend(answers)
    session = await source_at(server, outbound).fetch()
    ask, login = server.asked
    assert [(ask.method, ask.path), (login.method, login.path)] == [
        ("GET", "/base/login"),
        ("POST", "/base/login"),
    ]
    assert login.body == b"username=d%C3%A9mo&password=c4n4ry+p%26s%3Dsword+%C3%A9"
    assert login.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert (login.headers["X-CSRF-TOKEN"], login.headers["Cookie"]) == ("masked", "X-CSRF-TOKEN=uuid")
    assert {asked.headers["Accept"] for asked in (ask, login)} == {"application/json"}
    assert "Cookie" not in ask.headers
    assert session.fields == (
        (b"Cookie", b"X-CSRF-TOKEN=uuid; camunda-session=abc"),
        (b"X-CSRF-TOKEN", b"masked"),
    )
    assert "abc" not in repr(session)


async def test_a_csrf_refusal_of_the_login_is_answered_with_the_token_that_came(
    server: TokenServer, outbound: Outbound
) -> None:
    refusal = web.Response(status=403, headers={"X-CSRF-TOKEN": "m", "Set-Cookie": "X-CSRF-TOKEN=u"})
    done = web.Response(status=204, headers={"Set-Cookie": "S=1"})
    server.script.extend([web.Response(status=404), refusal, done])
    session = await source_at(server, outbound).fetch()
    assert dict(session.fields) == {b"Cookie": b"X-CSRF-TOKEN=u; S=1", b"X-CSRF-TOKEN": b"m"}


async def test_a_login_that_never_takes_its_own_token_is_tried_twice_and_no_more(
    server: TokenServer, outbound: Outbound
) -> None:
    server.script.append(web.Response(status=204, headers={"X-CSRF-TOKEN": "m0"}))
    for number in range(1, 9):
        server.script.append(web.Response(status=403, text="CSRF", headers={"X-CSRF-TOKEN": f"m{number}"}))
    with pytest.raises(NoLogin):
        await source_at(server, outbound).fetch()
    assert [asked.path for asked in server.asked] == ["/base/login"] * 3 + ["/base/api/login"] * 2


async def test_a_server_that_gives_its_token_with_an_api_answer_is_asked_for_it(
    server: TokenServer, outbound: Outbound
) -> None:
    answers = [
        web.Response(status=204, headers={"Set-Cookie": "TASKLIST-SESSION=1"}),
        web.Response(
            status=404, headers={"TASKLIST-X-CSRF-TOKEN": "m", "Set-Cookie": "TASKLIST-X-CSRF-TOKEN=u"}
        ),
    ]
    server.script.extend(answers)
    session = await source_at(server, outbound, dialect="api-login").fetch()
    assert [asked.path for asked in server.asked] == ["/base/api/login", "/base/v2/topology"]
    assert server.asked[1].headers["Cookie"] == "TASKLIST-SESSION=1"
    assert session.fields == (
        (b"Cookie", b"TASKLIST-SESSION=1; TASKLIST-X-CSRF-TOKEN=u"),
        (b"TASKLIST-X-CSRF-TOKEN", b"m"),
    )


async def test_a_look_for_a_token_cannot_lose_the_session(server: TokenServer, outbound: Outbound) -> None:
    answers = [
        web.Response(status=204, headers={"Set-Cookie": "OPERATE-SESSION=1"}),
        web.Response(status=401, headers={"Set-Cookie": "OPERATE-SESSION=; Max-Age=0"}),
    ]
    server.script.extend(answers)
    session = await source_at(server, outbound, dialect="api-login").fetch()
    assert session.fields == ((b"Cookie", b"OPERATE-SESSION=1"),)


# -- when it goes wrong --


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (LoginFault.DOWN, "it failed (503)"),
        (LoginFault.ERROR_500, "it failed (500)"),
        (LoginFault.RESET, "it closed the connection before it answered"),
        (LoginFault.HTML, "it has no login that we know"),
        (LoginFault.REDIRECT, "POST /api/login answered 302"),
        (LoginFault.MOVED, "POST /api/login answered 404"),
        (LoginFault.NO_COOKIE, "POST /api/login answered 204"),
    ],
)
async def test_whatever_else_is_answered_is_unavailable_and_says_so(
    camunda: SimulatedCamunda, outbound: Outbound, fault: LoginFault, message: str
) -> None:
    camunda.sessions("operate-8.6").fault = fault
    with pytest.raises(CredentialUnavailable) as caught:
        await login_at(camunda, "operate-8.6", outbound).fetch()
    assert message in str(caught.value)
    assert camunda.password not in repr(caught.value)


async def test_a_login_server_that_is_not_there_is_told(outbound: Outbound) -> None:
    async with token_server() as server:
        source = source_at(server, outbound)
    said = str(await failure(source))
    assert said.startswith("the login server at http://127.0.0.1:")
    assert "connection refused" in said
    async with raw_server(b"SSH-2.0-x\r\n") as url:
        source = LoginSource(LoginSettings(url, "demo", TextSecret(CANARY)), outbound, FakeClock())
        assert ": its answer is not HTTP/1.1." in str(await failure(source))


async def test_a_login_that_takes_too_long_is_given_up(server: TokenServer, outbound: Outbound) -> None:
    server.open.clear()
    error = await failure(source_at(server, outbound, timeout=0.05))
    assert "no answer came in time" in str(error)


async def test_a_limit_is_obeyed(server: TokenServer, outbound: Outbound) -> None:
    limited = web.Response(status=429, headers={"Retry-After": "7"})
    server.script.extend([web.Response(status=204), limited])
    error = await failure(source_at(server, outbound))
    assert (error.outcome, error.retry_after) == ("limited", 7.0)


async def test_logging_out_bothers_nobody(server: TokenServer, outbound: Outbound) -> None:
    session = Credential(((b"Cookie", b"S=1"), (b"X-CSRF-TOKEN", b"m")), 0.0, session=True)
    server.script.append(web.Response(status=500))
    await source_at(server, outbound, dialect="api-login").leave(session)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/base/api/logout")
    assert (asked.headers["Cookie"], asked.headers["X-CSRF-TOKEN"]) == ("S=1", "m")
    server.open.clear()
    async with asyncio.timeout(5.0):
        await source_at(server, outbound, timeout=0.05).leave(session)


async def failure(source: LoginSource) -> CredentialError:
    with pytest.raises(CredentialError) as caught:
        await source.fetch()
    assert "c4n4ry" not in repr(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


# -- Basic as a session --


def basic_at(camunda: SimulatedCamunda, name: str, outbound: Outbound) -> BasicAsSession:
    basic = BasicLogin(camunda.username, TextSecret(camunda.password), FakeClock())
    return BasicAsSession("login", login_at(camunda, name, outbound), basic)


@pytest.mark.parametrize("name", ["cluster-8.8", "cluster-8.10"])
async def test_basic_as_a_session_logs_in_once(
    camunda: SimulatedCamunda, outbound: Outbound, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    session = await basic_at(camunda, name, outbound).fetch()
    assert session.session
    assert await call(camunda, name, session, "POST") == 200
    assert caplog.records == []


@pytest.mark.parametrize("name", ["zeebe-basic", "zeebe-open"])
async def test_without_a_login_basic_goes_with_every_request_and_the_log_says_so_once(
    camunda: SimulatedCamunda, outbound: Outbound, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = basic_at(camunda, name, outbound)
    first, second = await source.fetch(), await source.fetch()
    assert first.fields == second.fields
    assert not first.session
    assert first.fields[0][1].startswith(b"Basic ")
    (record,) = caplog.records
    assert "user and password are sent with every request" in record.getMessage()
    assert camunda.password not in record.getMessage()


async def test_a_login_that_fails_is_no_reason_for_basic(
    camunda: SimulatedCamunda, outbound: Outbound
) -> None:
    camunda.sessions("cluster-8.8").fault = LoginFault.DOWN
    with pytest.raises(CredentialUnavailable):
        await basic_at(camunda, "cluster-8.8", outbound).fetch()
    camunda.sessions("cluster-8.8").fault = None
    camunda.password = "another"
    with pytest.raises(CredentialRejected):
        await basic_at(camunda, "cluster-8.8", outbound).fetch()
