"""Who gets in where, and how each server says no."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import jwt
import pytest

from proxy.demo import SimulatedCamunda
from tests.clock import FakeClock
from tests.demo.conftest import Caller

ONE_CALL = {
    "zeebe": "/v2/topology",
    "orchestration": "/v2/topology",
    "operate": "/v1/process-instances/1",
    "tasklist": "/v1/tasks/search",
    "optimize": "/api/public/dashboard",
    "console": "/clusters",
    "modeler": "/v1/info",
}
SAAS = ["zeebe", "operate", "tasklist", "optimize", "console", "modeler"]


def method_of(name: str) -> str:
    return "POST" if name == "tasklist" else "GET"


async def saas_token(caller: Caller, name: str) -> str:
    if name not in ("console", "modeler"):
        return await caller.saas_token(audience=f"{name}.camunda.io")
    secret = caller.camunda.saas.clients["console-client"].secret
    return await caller.saas_token(
        client_id="console-client", client_secret=secret, audience="api.cloud.camunda.io"
    )


async def call(caller: Caller, name: str, token: str | None, *, saas: bool = False) -> tuple[int, str]:
    url = caller.camunda.url(name, saas=saas) + ONE_CALL[name]
    body: dict[str, Any] = {"json": {}} if name == "tasklist" else {}
    status, text, _ = await caller.ask(url, token=token, method=method_of(name), **body)
    return status, text


@pytest.mark.parametrize("name", list(ONE_CALL))
async def test_every_self_managed_api_takes_keycloaks_token(caller: Caller, name: str) -> None:
    assert (await call(caller, name, await caller.token()))[0] == (404 if name == "operate" else 200)
    assert not caller.camunda.api(name).refusals


@pytest.mark.parametrize("name", SAAS)
async def test_every_saas_api_takes_the_token_of_its_audience(caller: Caller, name: str) -> None:
    token = await saas_token(caller, name)
    assert (await call(caller, name, token, saas=True))[0] == (404 if name == "operate" else 200)


@pytest.mark.parametrize("name", SAAS)
async def test_the_saas_ingress_refuses_with_a_page(caller: Caller, clock: FakeClock, name: str) -> None:
    api = caller.camunda.api(name, saas=True)
    token = await saas_token(caller, name)
    other = await saas_token(caller, "tasklist" if name == "zeebe" else "zeebe")
    clock.jump(300)
    for refused in (None, token, other, "garbage"):
        status, text = await call(caller, name, refused, saas=True)
        assert (status, "<center>nginx</center>" in text) == (401, True)
    assert api.refusals == {"missing": 1, "expired": 1, "audience": 1, "garbage": 1}
    assert api.statuses == {401: 4}


async def test_another_cluster_id_is_not_found(camunda: SimulatedCamunda, caller: Caller) -> None:
    url = camunda.url("zeebe", saas=True).replace("5c34c0a7", "5c34c0a8") + "/v2/topology"
    assert (await caller.ask(url, token=await caller.saas_token()))[0] == 404


async def engine_details(caller: Caller, authorization: str | None) -> str:
    headers = {"Authorization": authorization} if authorization else {}
    url = caller.camunda.url("zeebe") + "/v2/topology"
    async with caller.session.get(url, headers=headers) as answer:
        members = await answer.json(content_type="application/problem+json")
        assert answer.status == members["status"] == 401
        assert members["title"] == "Unauthorized"
        assert members["instance"] == "/v2/topology"
        assert "WWW-Authenticate" not in answer.headers
        return str(members["detail"])


async def test_the_engine_says_in_detail_why(
    camunda: SimulatedCamunda, caller: Caller, clock: FakeClock
) -> None:
    token = await caller.token()
    assert await engine_details(caller, None) == "Access Denied"
    assert await engine_details(caller, "Bearer garbage") == "error decoding jwt"
    assert await engine_details(caller, f"bearer {token}") == "error decoding jwt"
    assert await engine_details(caller, "Basic ZGVtbzpkZW1v") == "error decoding jwt"
    other = await caller.token("other-audience")
    assert await engine_details(caller, f"Bearer {other}") == "the provided claims are invalid"
    forged = jwt.encode(
        jwt.decode(token, options={"verify_signature": False}), "another key " * 4, algorithm="HS256"
    )
    assert await engine_details(caller, f"Bearer {forged}") == "the token signature is invalid"
    unsigned = jwt.encode(jwt.decode(token, options={"verify_signature": False}), "", algorithm="none")
    assert await engine_details(caller, f"Bearer {unsigned}") == "error decoding jwt"
    camunda.api("zeebe").keys_lost = True
    assert await engine_details(caller, f"Bearer {token}") == "JWKS error"
    camunda.api("zeebe").keys_lost = False
    clock.jump(300)
    assert await engine_details(caller, f"Bearer {token}") == "the token has expired"


async def test_there_is_no_leeway(camunda: SimulatedCamunda, caller: Caller, clock: FakeClock) -> None:
    camunda.rules = replace(camunda.rules, token_life=20.0)
    token = await caller.token()
    clock.jump(19.99)
    assert (await call(caller, "zeebe", token))[0] == 200
    clock.jump(0.01)
    assert (await call(caller, "zeebe", token))[0] == 401


async def test_revoking_spares_new_tokens_and_other_clients(
    camunda: SimulatedCamunda, caller: Caller
) -> None:
    mine, others = await caller.token(), await caller.token("odd:client +%")
    camunda.revoke("orchestration")
    assert (await call(caller, "zeebe", mine))[0] == 401
    assert (await call(caller, "zeebe", others))[0] == 200
    assert (await call(caller, "zeebe", await caller.token()))[0] == 200
    camunda.revoke()
    assert (await call(caller, "zeebe", others))[0] == 401
    assert camunda.api("zeebe").refusals == {"revoked": 2}


async def test_operate_answers_bad_tokens_with_403_and_a_challenge(
    camunda: SimulatedCamunda, caller: Caller
) -> None:
    url = camunda.url("operate") + "/v1/process-definitions/search"
    for bad in ("garbage", await caller.token("other-audience")):
        status, text, answer = await caller.ask(url, method="POST", json={}, token=bad)
        assert (status, text, answer.headers["WWW-Authenticate"]) == (403, "", "Bearer")
    status, text, answer = await caller.ask(url, method="POST", json={})
    assert (status, "WWW-Authenticate" in answer.headers) == (403, False)
    assert "X-CSRF-TOKEN=" in answer.headers["Set-Cookie"]
    assert (await caller.ask(url))[:2] == (401, '{"message": ""}')
    headers = {"Authorization": f"bearer {await caller.token()}"}
    assert (await caller.ask(url, method="POST", json={}, headers=headers))[0] == 200


async def test_optimize_refuses_without_a_body_and_is_ready_for_anybody(
    camunda: SimulatedCamunda, caller: Caller
) -> None:
    assert await call(caller, "optimize", None) == (401, "")
    for saas in (False, True):
        url = camunda.url("optimize", saas=saas) + "/api/readyz"
        assert (await caller.ask(url))[0] == 200
        assert (await caller.ask(url, token="garbage"))[0] == 401


async def test_a_shared_token_opens_optimize(camunda: SimulatedCamunda, caller: Caller) -> None:
    url = camunda.url("optimize-shared") + "/api/public/dashboard"
    assert (await caller.ask(url, token=camunda.shared_token))[0] == 200
    assert (await caller.ask(url, token=await caller.token()))[:2] == (401, "")
    assert (await caller.ask(url, headers={"Authorization": camunda.shared_token}))[0] == 401
    assert (await caller.ask(url))[0] == 401


async def test_the_resource_server_of_8_8_challenges(camunda: SimulatedCamunda, caller: Caller) -> None:
    url = camunda.url("orchestration")
    _, _, answer = await caller.ask(url + "/v2/topology", token="garbage")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
    assert (await caller.ask(url + "/v2/topology"))[2].headers["WWW-Authenticate"] == "Bearer"
    assert (await caller.ask(url + "/v2/license"))[0] == 200
    assert (await caller.ask(url + "/v2/license", token="garbage"))[0] == 401
    camunda.api("orchestration").keys_lost = True
    assert (await caller.ask(url + "/v2/topology", token=await caller.token()))[0] == 500
    assert (await caller.ask(camunda.url("zeebe") + "/v2/license"))[0] == 401


async def test_basic_is_checked_and_strangers_get_a_session(
    camunda: SimulatedCamunda, caller: Caller
) -> None:
    url = camunda.url("zeebe-basic") + "/v2/topology"

    def shown(password: str, scheme: str = "Basic") -> dict[str, str]:
        return {
            "Authorization": f"{scheme} "
            + base64.b64encode(f"{camunda.username}:{password}".encode()).decode()
        }

    assert (await caller.ask(url, headers=shown(camunda.password)))[0] == 200
    assert (await caller.ask(url, headers=shown(camunda.password, "basic")))[0] == 200
    for headers in (shown("wrong"), {"Authorization": "Basic %%%"}):
        _, text, answer = await caller.ask(url, headers=headers)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="Realm"')
        assert '"error": "Unauthorized"' in text
        assert "Set-Cookie" not in answer.headers
    assert "JSESSIONID=" in (await caller.ask(url))[2].headers["Set-Cookie"]


async def test_the_open_one_takes_anybody_with_cookies_too(camunda: SimulatedCamunda, caller: Caller) -> None:
    url = camunda.url("zeebe-open") + "/v2/topology"
    assert (await caller.ask(url))[0] == 200
    assert (await caller.ask(url, headers={"Cookie": "a=b", "Authorization": "Mine own"}))[0] == 200
    assert not camunda.complaints


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ([("Cookie", "OPERATE-SESSION=1")], "a Cookie that is the caller's"),
        ([("Authorization", "Basic eDp5")], "more than one Authorization"),
        ([("Proxy-Authorization", "Basic eDp5")], "proxy-authorization was not removed"),
        ([("Keep-Alive", "timeout=5")], "keep-alive was not removed"),
        ([("Proxy-Connection", "close")], "proxy-connection was not removed"),
        ([("TE", "trailers")], "te was not removed"),
        ([("HTTP2-Settings", "AAMAAABk")], "http2-settings was not removed"),
        ([("X-Proxy-Token", "x")], "x-proxy-token was not removed"),
        ([("Proxy_Authorization", "x")], "a look-alike of proxy-authorization"),
        ([("Content_Length", "5")], "a look-alike of content-length"),
        ([("Connection", "keep-alive, X-Mine")], "Connection names fields"),
        ([("Host", "localhost:19080")], "Host is not this server's"),
    ],
)
async def test_what_a_proxy_must_not_send_is_complained_of(
    camunda: SimulatedCamunda, caller: Caller, fields: list[tuple[str, str]], complaint: str
) -> None:
    token = await caller.token()
    lines = [("Authorization", f"Bearer {token}"), *fields]
    if fields[0][0] != "Host":
        lines.insert(0, ("Host", camunda.api("zeebe").host))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    host, port = camunda.api("zeebe").host.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /v2/topology HTTP/1.1\r\n{head}\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    await writer.wait_closed()
    assert camunda.complaints == [("zeebe", complaint)]
