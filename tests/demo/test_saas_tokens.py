import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import jwt
import pytest

from proxy.demo import Fault, SimulatedCamunda, simulated_camunda
from tests.clock import FakeClock
from tests.demo.conftest import Caller


async def test_form_and_json_bodies_are_taken(camunda: SimulatedCamunda, caller: Caller) -> None:
    for kind in ("data", "json"):
        body: dict[str, Any] = {kind: caller.saas_form()}
        _, _, answer = await caller.ask(camunda.saas.url, method="POST", **body)
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
    assert [request.outcome for request in camunda.saas.requests] == ["issued", "same"]
    assert camunda.saas.requests[0].client == "saas-client"
    assert camunda.saas.requests[0].audience == "zeebe.camunda.io"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"audience": "api.cloud.camunda.io"}, (403, "access_denied")),
        ({"audience": ""}, (403, "access_denied")),
        ({"client_secret": "wrong"}, (401, "access_denied")),
        ({"client_id": "nobody"}, (401, "access_denied")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
    ],
)
async def test_each_wrong_parameter_has_its_refusal(
    camunda: SimulatedCamunda, caller: Caller, changes: dict[str, str], expected: tuple[int, str]
) -> None:
    async with caller.session.post(camunda.saas.url, data=caller.saas_form(**changes)) as answer:
        assert (answer.status, (await answer.json())["error"]) == expected
    assert camunda.saas.count(expected[1]) == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "GET"}, 405),
        (
            {
                "method": "POST",
                "data": b"a=1&a=2",
                "headers": {"Content-Type": "application/x-www-form-urlencoded"},
            },
            400,
        ),
        (
            {
                "method": "POST",
                "data": b"nonsense",
                "headers": {"Content-Type": "application/x-www-form-urlencoded"},
            },
            400,
        ),
        ({"method": "POST", "data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"method": "POST", "data": b"a=1", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"method": "POST", "params": {"client_secret": "seen in every log"}}, 400),
    ],
)
async def test_what_is_no_token_request_is_refused(
    camunda: SimulatedCamunda, caller: Caller, request_: dict[str, Any], status: int
) -> None:
    assert (await caller.ask(camunda.saas.url, **request_))[0] == status


async def test_a_repeated_parameter_is_refused(camunda: SimulatedCamunda, caller: Caller) -> None:
    form = [*caller.saas_form().items(), ("audience", "operate.camunda.io")]
    _, text, answer = await caller.ask(camunda.saas.url, method="POST", data=form)
    assert (answer.status, "Repeated parameter" in text) == (400, True)


async def test_one_request_a_second_is_taken_and_refused_ones_count(
    camunda: SimulatedCamunda, caller: Caller, clock: FakeClock
) -> None:
    camunda.rules = replace(camunda.rules, token_gap=1.0, retry_after="7")

    async def status(**changes: str) -> int:
        return (await caller.ask(camunda.saas.url, method="POST", data=caller.saas_form(**changes)))[0]

    assert await status(client_secret="wrong") == 401
    clock.jump(0.6)
    assert await status() == 429
    clock.jump(0.6)
    _, _, answer = await caller.ask(camunda.saas.url, method="POST", data=caller.saas_form())
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    clock.jump(1.0)
    assert await status() == 200
    assert [round(request.gap, 3) for request in camunda.saas.requests[1:]] == [0.6, 0.6, 1.0]


async def test_after_a_wrong_secret_the_same_one_waits_thirty_seconds(
    camunda: SimulatedCamunda, caller: Caller, clock: FakeClock
) -> None:
    wrong = caller.saas_form(client_secret="wrong")
    assert (await caller.ask(camunda.saas.url, method="POST", data=wrong))[0] == 401
    assert (await caller.ask(camunda.saas.url, method="POST", data=caller.saas_form()))[0] == 200

    async with asyncio.TaskGroup() as tasks:
        again = tasks.create_task(caller.ask(camunda.saas.url, method="POST", data=wrong))
        await camunda.news.until(lambda: len(camunda.saas.requests) == 3)
        await camunda.news.until(lambda: camunda.saas.requests[2].client == "saas-client")
        await clock.advance(29.9)
        assert camunda.saas.requests[-1].outcome == "pending"
        camunda.saas.change_secret("saas-client", "wrong")
        await clock.advance(0.1)
        assert (await again)[0] == 200


async def test_the_same_token_is_handed_out_until_shortly_before_its_expiry(
    camunda: SimulatedCamunda, caller: Caller, clock: FakeClock
) -> None:
    first = await caller.saas_token()
    clock.jump(269.5)
    async with caller.session.post(camunda.saas.url, data=caller.saas_form()) as answer:
        same = await answer.json()
    assert (same["access_token"], same["expires_in"]) == (first, 30)
    clock.jump(0.5)
    assert await caller.saas_token() != first
    assert [request.outcome for request in camunda.saas.requests] == ["issued", "same", "issued"]


async def test_each_audience_has_its_own_token(camunda: SimulatedCamunda, caller: Caller) -> None:
    tokens = [
        await caller.saas_token(audience=f"{name}.camunda.io") for name in ("zeebe", "operate", "optimize")
    ]
    audiences = [jwt.decode(token, options={"verify_signature": False})["aud"] for token in tokens]
    assert audiences == [["zeebe.camunda.io"], ["operate.camunda.io"], ["optimize.camunda.io"]]


async def test_a_life_may_be_shorter_than_a_second(
    camunda: SimulatedCamunda, caller: Caller, clock: FakeClock
) -> None:
    camunda.rules = replace(camunda.rules, token_life=0.5)
    token = await caller.saas_token()
    url = camunda.url("zeebe", saas=True) + "/v2/topology"
    clock.jump(0.4)
    assert (await caller.ask(url, token=token))[0] == 200
    clock.jump(0.1)
    assert (await caller.ask(url, token=token))[0] == 401


async def test_whole_seconds_take_up_to_one_off_the_life(
    caller: Caller, camunda: SimulatedCamunda, clock: FakeClock
) -> None:
    camunda.rules = replace(camunda.rules, token_life=20.0, whole_seconds=True)
    clock.jump(0.75)
    token = await caller.saas_token()
    clock.jump(19.3)
    assert (await caller.ask(camunda.url("zeebe", saas=True) + "/v2/topology", token=token))[0] == 401


async def test_a_revoked_token_may_be_handed_out_again(camunda: SimulatedCamunda, caller: Caller) -> None:
    first = await caller.saas_token()
    camunda.revoke("saas-client", forget=False)
    assert await caller.saas_token() == first
    camunda.revoke("saas-client")
    assert await caller.saas_token() != first


async def test_a_rejected_client_is_refused_with_the_right_secret(
    camunda: SimulatedCamunda, caller: Caller
) -> None:
    camunda.saas.rejected.add("saas-client")
    assert (await caller.ask(camunda.saas.url, method="POST", data=caller.saas_form()))[0] == 401


async def test_no_secret_shows_in_a_repr(camunda: SimulatedCamunda) -> None:
    shown = repr((camunda.saas.clients, camunda.keycloak.clients, camunda.apis))
    assert not [secret for secret in camunda.secrets if secret in shown]


async def test_it_stops_at_once_though_requests_are_waiting(session: aiohttp.ClientSession) -> None:
    async def ask(url: str) -> None:
        with pytest.raises(aiohttp.ClientError):
            await session.post(url)

    async with asyncio.TaskGroup() as tasks, asyncio.timeout(5), simulated_camunda() as camunda:
        camunda.saas.fault = Fault.HANG
        tasks.create_task(ask(camunda.saas.url))
        await camunda.news.until(lambda: len(camunda.saas.requests) == 1)
    assert camunda.saas.requests[0].outcome == "gone"
