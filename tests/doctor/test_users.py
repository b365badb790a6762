"""Faults of sessions and of HTTP Basic: the doctor names the cause of each."""

from pathlib import Path

import pytest
import trustme

from proxy.demo import LoginFault, simulated_camunda
from tests.certificates import certificate, serving
from tests.doctor.rig import Said, as_json, diagnose, page, problem, scripted, user

NO_LOGIN = Said(404)
LOGGED_IN = Said(
    204, b"", {"Set-Cookie": "camunda-session=canary-session; Path=/", "X-CSRF-TOKEN": "canary-csrf"}
)


@pytest.mark.parametrize(
    "name", ["operate-8.2", "operate-8.6", "tasklist-8.6", "cluster-8.8", "cluster-8.10"]
)
async def test_a_wrong_password_of_a_session(tmp_path: Path, name: str) -> None:
    async with simulated_camunda() as camunda:
        found = await diagnose(tmp_path, user(camunda.url(name), "session"))
    assert found.causes == [("credentials.login", "login_password")]
    assert "`demo`" in found.printed


@pytest.mark.parametrize("name", ["operate-8.2", "operate-8.6", "cluster-8.8", "cluster-8.10"])
async def test_a_session_is_good_and_is_ended(tmp_path: Path, name: str) -> None:
    async with simulated_camunda() as camunda:
        api = "operate" if name.startswith("operate") else "zeebe"
        document = user(camunda.url(name), "session", upstream={"api": api})
        document["credentials"]["login"]["password"] = camunda.password
        found = await diagnose(tmp_path, document, canaries=(camunda.password,))
        sessions = camunda.sessions(name)
        assert not found.causes
        assert (sessions.count("ok"), sessions.logouts) == (1, 1)
        assert not camunda.complaints


async def test_a_password_of_basic(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        found = await diagnose(tmp_path, user(camunda.url("zeebe-basic"), "basic"))
    assert found.causes == [("upstreams.zeebe", "password")]
    assert "credentials.login.password" in found.printed


async def test_a_password_of_basic_of_8_8(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        found = await diagnose(tmp_path, user(camunda.url("cluster-8.8"), "basic"))
    assert found.causes == [("upstreams.zeebe", "password")]


async def test_basic_at_an_operate_that_has_sessions(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        document = user(camunda.url("operate-8.6-csrf-off"), "basic", upstream={"api": "zeebe"})
        found = await diagnose(tmp_path, document)
    assert found.causes == [("upstreams.zeebe", "wants_session")]


async def test_basic_at_a_server_with_an_identity_provider(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        found = await diagnose(tmp_path, user(camunda.url("orchestration"), "basic"))
    assert found.causes == [("upstreams.zeebe", "wants_oidc")]


async def test_basic_on_saas(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        found = await diagnose(tmp_path, user(camunda.url("zeebe", saas=True), "basic"))
    assert found.causes == [("upstreams.zeebe", "wants_oidc")]


async def test_a_session_at_a_server_with_an_identity_provider(tmp_path: Path) -> None:
    away = Said(302, b"", {"Location": "https://sso.example/realms/camunda/auth?state=x"})
    async with scripted({"POST /login": away, "POST /api/login": away}, otherwise=NO_LOGIN) as server:
        found = await diagnose(tmp_path, user(server.url, "session"))
    assert found.causes == [("credentials.login", "login_wants_oidc")]
    assert "sso.example" in found.printed
    assert "state=" not in found.printed


async def test_a_session_at_a_server_with_basic(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        found = await diagnose(tmp_path, user(camunda.url("zeebe-basic"), "session"))
    assert found.causes == [("credentials.login", "login_wants_basic")]


async def test_a_session_at_a_server_without_a_login(tmp_path: Path) -> None:
    async with scripted(otherwise=NO_LOGIN) as server:
        found = await diagnose(tmp_path, user(server.url, "session"))
    assert found.causes == [("credentials.login", "login_path")]
    assert "upstreams.zeebe.url" in found.printed


async def test_a_login_url_that_is_wrong(tmp_path: Path) -> None:
    async with scripted() as server, scripted(otherwise=NO_LOGIN) as login:
        found = await diagnose(tmp_path, user(server.url, "session", login_url=login.url))
    assert found.causes == [("credentials.login", "login_path")]
    assert "credentials.login.login_url" in found.printed


async def test_the_name_in_the_certificate_of_the_upstream_is_not_that_of_the_login(tmp_path: Path) -> None:
    authority = trustme.CA()
    zeebe = certificate(tmp_path / "zeebe", "zeebe.example", authority)
    login = certificate(tmp_path / "login", "127.0.0.1", authority)
    answers = {"POST /login": LOGGED_IN, "GET /login": Said(204)}
    async with scripted(tls=serving(zeebe)) as server, scripted(answers, tls=serving(login)) as other:
        url, login_url = (f"https://127.0.0.1:{each.port}" for each in (server, other))
        tls = {"ca_file": str(zeebe[0]), "server_name": "zeebe.example"}
        document = user(url, "session", login_url=login_url, upstream={"tls": tls})
        found = await diagnose(tmp_path, document)
    assert not found.causes


async def test_a_login_with_the_wrong_dialect(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        found = await diagnose(tmp_path, user(camunda.url("cluster-8.8"), "session", dialect="api-login"))
    assert [subject for subject, _ in found.causes] == ["credentials.login"]
    assert "credentials.login.dialect" in " ".join(found.printed.split())


async def test_a_login_whose_user_store_is_down(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        camunda.sessions("cluster-8.8").fault = LoginFault.DOWN
        found = await diagnose(tmp_path, user(camunda.url("cluster-8.8"), "session"))
    assert found.causes == [("credentials.login", "login_failed")]


async def test_a_login_behind_a_gateway_that_removes_its_csrf_header(tmp_path: Path) -> None:
    refused = problem(403, "Invalid CSRF Token 'null' was found")
    async with scripted({"POST /login": refused, "GET /login": Said(204)}, otherwise=NO_LOGIN) as server:
        found = await diagnose(tmp_path, user(server.url, "session"))
    assert found.causes == [("credentials.login", "login_csrf")]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (problem(401, "An Authentication object was not found"), "session_refused"),
        (problem(401, "Invalid CSRF Token 'null' was found"), "csrf"),
        (as_json(403, {"error": "Access denied due to invalid CSRF token."}), "csrf"),
        (as_json(403, {"status": 403, "error": "Forbidden"}), "csrf"),
        (Said(302, b"", {"Location": "/login"}), "redirect_to_login"),
        (page(200), "page"),
    ],
)
async def test_a_session_that_the_api_does_not_accept(tmp_path: Path, answer: Said, cause: str) -> None:
    answers = {"POST /login": LOGGED_IN, "GET /login": Said(204)}
    async with scripted(answers, otherwise=answer) as server:
        document = user(server.url, "session", upstream={"api": "operate"})
        found = await diagnose(tmp_path, document, canaries=("canary-session", "canary-csrf"))
    assert found.causes == [("upstreams.zeebe", cause)]


async def test_basic_as_session_where_there_are_none_gets_a_notice(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        document = user(camunda.url("zeebe-basic"), "basic", as_session=True)
        document["credentials"]["login"]["password"] = camunda.password
        found = await diagnose(tmp_path, document, canaries=(camunda.password,))
    assert not found.causes
    assert found.notices() == ["no_session"]
