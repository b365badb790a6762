"""Client assertions, each answer as seen on a real Keycloak 26.7."""

import uuid
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from proxy.clock import wall_time
from proxy.demo import SigningKey, SimulatedCamunda
from proxy.demo.assertions import AVAILABLE, TYPE
from tests.demo.conftest import Caller

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs cryptography")

Claims = dict[str, Any]


@pytest.fixture(scope="module")
def key() -> SigningKey:
    """One for all: making it takes a moment."""
    from proxy.demo.assertions import new_signing_key

    return new_signing_key()


def claims(camunda: SimulatedCamunda, **changes: Any) -> Claims:
    now = int(wall_time())
    return {
        "iss": "signed",
        "sub": "signed",
        "aud": camunda.keycloak.url,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + 300,
        **changes,
    }


async def shown(caller: Caller, assertion: str, **more: str) -> tuple[int, dict[str, Any]]:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": TYPE,
        "client_assertion": assertion,
        **more,
    }
    async with caller.session.post(caller.camunda.keycloak.url, data=form) as answer:
        return answer.status, await answer.json()


def sign(camunda: SimulatedCamunda, payload: Claims, **header: str) -> str:
    private = camunda.keycloak.signing_key().private_key
    return jwt.encode(payload, private, algorithm="RS256", headers=header or None)


@pytest.fixture(autouse=True)
def one_key(camunda: SimulatedCamunda, key: SigningKey) -> None:
    camunda.keycloak.use_signing_key(key)


@pytest.mark.parametrize("header", [{}, {"x5t": "any"}, {"kid": "right"}])
async def test_an_assertion_for_token_url_or_issuer_is_taken(
    camunda: SimulatedCamunda, caller: Caller, key: SigningKey, header: dict[str, str]
) -> None:
    if "kid" in header:
        header = {"kid": key.key_id}
    for audience in (camunda.keycloak.url, camunda.keycloak.issuer):
        status, _ = await shown(caller, sign(camunda, claims(camunda, aud=audience), **header))
        assert status == 200
    assert camunda.keycloak.requests[-1].client == "signed"
    assert camunda.keycloak.count("issued") == 2


@pytest.mark.parametrize(
    ("changes", "header", "description"),
    [
        (lambda c: {"aud": [c.url, c.issuer]}, {}, "Multiple audiences not allowed"),
        (lambda c: {"aud": "elsewhere"}, {}, "Invalid token audience"),
        (lambda c: {"exp": int(wall_time()) - 1}, {}, "Token is not active"),
        (lambda c: {"nbf": int(wall_time()) + 30}, {}, "Token is not active"),
        (lambda c: {}, {"kid": "unknown"}, "Unable to load public key"),
        (lambda c: {"iss": "other"}, {}, "Invalid client or Invalid client credentials"),
    ],
)
async def test_each_wrong_assertion_has_its_words(
    camunda: SimulatedCamunda,
    caller: Caller,
    changes: Callable[[Any], Claims],
    header: dict[str, str],
    description: str,
) -> None:
    assertion = sign(camunda, claims(camunda, **changes(camunda.keycloak)), **header)
    answer = await shown(caller, assertion)
    assert answer == (400, {"error": "invalid_client", "error_description": description})


async def test_an_assertion_is_good_once(camunda: SimulatedCamunda, caller: Caller) -> None:
    assertion = sign(camunda, claims(camunda))
    assert (await shown(caller, assertion))[0] == 200
    status, members = await shown(caller, assertion)
    assert (status, members["error_description"]) == (400, "Token reuse detected")


async def test_a_foreign_key_a_secret_and_two_ways_are_refused(
    camunda: SimulatedCamunda, caller: Caller
) -> None:
    foreign = jwt.encode(claims(camunda), "x" * 40, algorithm="HS256")
    assert (await shown(caller, foreign))[0] == 400
    assert (await shown(caller, "garbage"))[0] == 401
    assert (await shown(caller, "garbage", client_id="signed"))[0] == 400
    assert (await shown(caller, sign(camunda, claims(camunda)), client_secret="x"))[0] == 400
    async with caller.session.post(camunda.keycloak.url, data=caller.keycloak_form("signed")) as answer:
        assert answer.status == 401


async def test_the_issuer_tells_its_token_endpoint(camunda: SimulatedCamunda, caller: Caller) -> None:
    status, text, answer = await caller.ask(camunda.keycloak.issuer + "/.well-known/openid-configuration")
    assert (status, answer.content_type) == (200, "application/json")
    assert f'"token_endpoint": "{camunda.keycloak.url}"' in text
    assert f'"issuer": "{camunda.keycloak.issuer}"' in text
    assert (camunda.keycloak.discoveries, camunda.keycloak.requests) == (1, [])
