import asyncio
import json

import aiohttp
import pytest

from proxy.demo import Fault, SimulatedCamunda, TokenEndpoint
from tests.demo.conftest import Caller

EXPECTED: dict[Fault, tuple[int, str]] = {
    Fault.DOWN: (503, "text/html"),
    Fault.ERROR_500: (500, "application/json"),
    Fault.HTML: (200, "text/html"),
    Fault.EMPTY: (200, "application/json"),
    Fault.BROKEN_JSON: (200, "application/json"),
    Fault.LIST: (200, "application/json"),
    Fault.REDIRECT: (307, "application/octet-stream"),
}
NO_ANSWER = {Fault.HANG, Fault.RESET}


def endpoints(caller: Caller) -> list[tuple[TokenEndpoint, dict[str, str]]]:
    camunda = caller.camunda
    return [(camunda.saas, caller.saas_form()), (camunda.keycloak, caller.keycloak_form())]


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in NO_ANSWER])
async def test_each_fault_comes_as_announced_and_goes(caller: Caller, fault: Fault) -> None:
    for endpoint, form in endpoints(caller):
        endpoint.fault = fault
        async with caller.session.post(endpoint.url, data=form, allow_redirects=False) as answer:
            assert (answer.status, answer.content_type) == EXPECTED.get(fault, (200, "application/json"))
            assert len(await answer.read()) > 1024 * 1024 or fault is not Fault.OVERSIZED
        endpoint.fault = None
        async with caller.session.post(endpoint.url, data=form) as answer:
            assert answer.status == 200
        assert endpoint.requests[0].outcome == fault.value


@pytest.mark.parametrize(
    ("fault", "member", "value"),
    [
        (Fault.ERROR_IN_200, "error", "invalid_client"),
        (Fault.NO_TOKEN, "access_token", None),
        (Fault.WRONG_TYPE, "token_type", "mac"),
        (Fault.EXPIRES_ZERO, "expires_in", 0),
        (Fault.EXPIRES_NEGATIVE, "expires_in", -300),
        (Fault.EXPIRES_TEXT, "expires_in", "soon"),
        (Fault.TOKEN_CR, "access_token", "e30.e30.AAAA\rX: y"),
        (Fault.TOKEN_LF, "access_token", "e30.e30.AAAA\nX: y"),
        (Fault.TOKEN_SPACE, "access_token", "e30.e30.AAAA AAAA"),
        (Fault.TOKEN_NON_ASCII, "access_token", "e30.e30.\u00e4\u00f6"),
    ],
)
async def test_a_spoiled_answer_is_wrong_in_one_member(
    caller: Caller, fault: Fault, member: str, value: object
) -> None:
    caller.camunda.keycloak.fault = fault
    async with caller.session.post(caller.camunda.keycloak.url, data=caller.keycloak_form()) as answer:
        assert (await answer.json())[member] == value


async def test_a_wrong_secret_is_refused_before_an_answer_is_spoiled(caller: Caller) -> None:
    caller.camunda.keycloak.fault = Fault.WRONG_TYPE
    form = caller.keycloak_form(client_secret="wrong")
    assert (await caller.ask(caller.camunda.keycloak.url, method="POST", data=form))[0] == 401


async def test_any_member_can_be_overridden(caller: Caller) -> None:
    caller.camunda.keycloak.override = {"expires_in": "60", "token_type": "bearer"}
    _, text, _ = await caller.ask(caller.camunda.keycloak.url, method="POST", data=caller.keycloak_form())
    assert (json.loads(text)["expires_in"], json.loads(text)["token_type"]) == ("60", "bearer")


async def test_a_followed_redirect_is_complained_of(camunda: SimulatedCamunda, caller: Caller) -> None:
    camunda.saas.fault = Fault.REDIRECT
    async with caller.session.post(camunda.saas.url, data=caller.saas_form()) as answer:
        assert answer.status == 400
    assert camunda.complaints == [("saas", "a redirect was followed")]


async def test_a_reset_leaves_no_answer(camunda: SimulatedCamunda, caller: Caller) -> None:
    camunda.saas.fault = Fault.RESET
    with pytest.raises(aiohttp.ClientError):
        await caller.session.post(camunda.saas.url, data=caller.saas_form())
    assert camunda.saas.count("reset") == 1


async def test_a_hung_request_ends_with_its_caller(camunda: SimulatedCamunda, caller: Caller) -> None:
    camunda.saas.fault = Fault.HANG
    async with asyncio.TaskGroup() as tasks:
        hung = tasks.create_task(caller.ask(camunda.saas.url, method="POST"))
        await camunda.news.until(lambda: camunda.saas.count("pending") == 1)
        hung.cancel()
    await camunda.news.until(lambda: camunda.saas.count("gone") == 1)
