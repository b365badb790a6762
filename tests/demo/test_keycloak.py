"""Every answer as seen on a real Keycloak 26.7."""

import base64
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import aiohttp
import jwt
import pytest

from proxy.demo import SimulatedCamunda
from tests.demo.conftest import Caller

WRONG = "Invalid client or Invalid client credentials"


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


async def asked(
    caller: Caller, form: dict[str, str], headers: dict[str, str] | None = None
) -> tuple[int, dict[str, object]]:
    async with caller.session.post(caller.camunda.keycloak.url, data=form, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_a_good_answer_has_keycloaks_members(camunda: SimulatedCamunda, caller: Caller) -> None:
    status, answer = await asked(caller, caller.keycloak_form(audience="ignored", resource="ignored"))
    token = answer.pop("access_token")
    assert (status, answer) == (
        200,
        {
            "expires_in": 300,
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": "email profile",
        },
    )
    claims = jwt.decode(str(token), options={"verify_signature": False})
    assert claims["client_id"] == claims["azp"] == "orchestration"
    assert {"zeebe-api", "operate-api"} < set(claims["aud"])
    assert claims["exp"] - claims["iat"] == 300


async def test_each_token_is_new(caller: Caller) -> None:
    assert await caller.token() != await caller.token()


@pytest.mark.parametrize(
    ("changes", "status", "error", "description"),
    [
        ({"client_secret": "wrong"}, 401, "unauthorized_client", WRONG),
        ({"client_id": "nobody"}, 401, "invalid_client", WRONG),
        ({"client_id": ""}, 401, "invalid_client", WRONG),
        ({"scope": "foo"}, 400, "invalid_scope", "Invalid scopes: foo"),
        ({"grant_type": "magic"}, 400, "unsupported_grant_type", "Unsupported grant_type"),
    ],
)
async def test_each_wrong_parameter_has_its_error(
    caller: Caller, changes: dict[str, str], status: int, error: str, description: str
) -> None:
    answer = await asked(caller, caller.keycloak_form(**changes))
    assert answer == (status, {"error": error, "error_description": description})


async def test_a_json_body_lacks_the_form(camunda: SimulatedCamunda, caller: Caller) -> None:
    async with caller.session.post(camunda.keycloak.url, json=caller.keycloak_form()) as answer:
        assert (answer.status, await answer.json()) == (
            400,
            {"error": "invalid_request", "error_description": "Missing form parameter: grant_type"},
        )


async def test_get_and_unknown_realms_have_no_description(camunda: SimulatedCamunda, caller: Caller) -> None:
    status, text, _ = await caller.ask(camunda.keycloak.url)
    assert (status, text) == (405, '{"error": "HTTP 405 Method Not Allowed"}')
    unknown = camunda.keycloak.url.replace("camunda-platform", "other")
    status, text, _ = await caller.ask(unknown, method="POST", data={})
    assert (status, text) == (404, '{"error": "Realm does not exist"}')


@pytest.mark.parametrize("encode", [quote_plus, lambda text: quote(text, safe="")])
async def test_basic_takes_id_and_secret_form_encoded(
    camunda: SimulatedCamunda, caller: Caller, encode: Callable[[str], str]
) -> None:
    secret = camunda.keycloak.clients["odd:client +%"].secret
    form = {"grant_type": "client_credentials"}
    assert (await asked(caller, form, basic(encode("odd:client +%"), encode(secret))))[0] == 200


@pytest.mark.parametrize(
    ("name", "secret"),
    [("orchestration", "50%"), ("orchestration", "\u00e9"), ("odd%:client", "x")],
)
async def test_basic_refuses_what_is_not_form_encoded(caller: Caller, name: str, secret: str) -> None:
    answer = await asked(caller, {"grant_type": "client_credentials"}, basic(name, secret))
    assert answer == (
        400,
        {
            "error": "unauthorized_client",
            "error_description": "Unexpected error when authenticating client",
        },
    )


async def test_a_basic_only_client_refuses_its_secret_in_the_form(
    camunda: SimulatedCamunda, caller: Caller
) -> None:
    status, answer = await asked(caller, caller.keycloak_form("basic-only"))
    assert (status, answer["error"]) == (401, "unauthorized_client")
    headers = basic("basic-only", camunda.keycloak.clients["basic-only"].secret)
    assert (await asked(caller, {"grant_type": "client_credentials"}, headers))[0] == 200


async def test_a_secret_may_not_come_both_ways(camunda: SimulatedCamunda, caller: Caller) -> None:
    headers = basic("orchestration", camunda.keycloak.clients["orchestration"].secret)
    assert (await asked(caller, caller.keycloak_form(), headers))[0] == 400


async def test_it_has_no_limit_on_its_pace(camunda: SimulatedCamunda, session: aiohttp.ClientSession) -> None:
    caller = Caller(camunda, session)
    assert len({await caller.token() for _ in range(5)}) == 5
    assert camunda.keycloak.count("issued") == 5
