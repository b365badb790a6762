"""Client assertions of other issuers, each answer as seen on a real Keycloak 26.7."""

import uuid
from typing import Any

import jwt
import pytest

from proxy.clock import wall_time
from proxy.demo import SigningKey, SimulatedCamunda
from proxy.demo.assertions import AVAILABLE, TYPE
from proxy.demo.federated import SPIFFE_TYPE, Federation, Kind
from tests.demo.conftest import Caller
from tests.federated import SPIFFE_ID, SUBJECT, signed

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs cryptography")

ISSUER = "https://issuer.example"
PLAIN = (401, "Invalid client or Invalid client credentials")


@pytest.fixture(scope="module")
def key() -> SigningKey:
    from proxy.demo.assertions import new_signing_key

    return new_signing_key()


async def answered(caller: Caller, assertion: str, kind: Kind, **more: str) -> tuple[int, str]:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": SPIFFE_TYPE if kind == "spiffe" else TYPE,
        "client_assertion": assertion,
        **more,
    }
    async with caller.session.post(caller.camunda.keycloak.url, data=form) as answer:
        return answer.status, (await answer.json()).get("error_description", "")


def federation(camunda: SimulatedCamunda, key: SigningKey, kind: Kind, **more: Any) -> Federation:
    issuer, subject = ("spiffe://example.org", SPIFFE_ID) if kind == "spiffe" else (ISSUER, SUBJECT)
    made = Federation(kind, issuer, key.public_key, {subject: "orchestration"}, **more)
    camunda.keycloak.federations.append(made)
    return made


def token(camunda: SimulatedCamunda, key: SigningKey, kind: Kind, **changes: Any) -> str:
    """Times in `changes` are seconds from now."""
    usual = {"aud": camunda.keycloak.issuer, "sub": SPIFFE_ID if kind == "spiffe" else SUBJECT}
    now = int(wall_time())
    times = {name: now + changes[name] for name in ("exp", "iat", "nbf") if changes.get(name) is not None}
    return signed(key.private_key, **(usual | changes | times))


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        *(((each, {}, (200, ""))) for each in ("oidc", "kubernetes", "spiffe")),
        ("spiffe", {"iss": None, "jti": None}, (200, "")),
        ("oidc", {"jti": None}, (400, "Token jti claim is required")),
        ("kubernetes", {"jti": None}, (200, "")),
        ("kubernetes", {"aud": "elsewhere"}, (400, "Invalid token audience")),
        ("kubernetes", {"aud": None}, (400, "Invalid token audience")),
        ("kubernetes", {"aud": ["a", "b"]}, (400, "Multiple audiences not allowed")),
        ("kubernetes", {"exp": -1}, (400, "Token is not active")),
        ("kubernetes", {"nbf": 100}, (400, "Token is not active")),
        ("kubernetes", {"exp": None}, (400, "Token exp claim is required")),
        ("oidc", {"iat": -350}, (400, "Token was issued too far in the past to be used now")),
        ("kubernetes", {"iat": -3000}, (200, "")),
        ("kubernetes", {"iat": -3900}, (400, "Token was issued too far in the past to be used now")),
        ("spiffe", {"iat": -350}, (400, "Token was issued too far in the past to be used now")),
        ("oidc", {"iat": 60}, (400, "Token was issued in the future")),
        ("kubernetes", {"sub": "system:serviceaccount:camunda:another"}, PLAIN),
        ("kubernetes", {"iss": "https://another.example"}, PLAIN),
        ("spiffe", {"sub": "spiffe://another.example/camunda/proxy"}, PLAIN),
    ],
)
async def test_each_assertion_gets_keycloaks_answer(
    camunda: SimulatedCamunda,
    caller: Caller,
    key: SigningKey,
    kind: Kind,
    changes: dict[str, Any],
    expected: tuple[int, str],
) -> None:
    federation(camunda, key, kind)
    assert await answered(caller, token(camunda, key, kind, **changes), kind) == expected


@pytest.mark.parametrize(
    ("kind", "reuse", "again"), [("oidc", False, 400), ("oidc", True, 200), ("kubernetes", False, 200)]
)
async def test_only_the_type_openid_connect_takes_an_assertion_once(
    camunda: SimulatedCamunda, caller: Caller, key: SigningKey, kind: Kind, reuse: bool, again: int
) -> None:
    federation(camunda, key, kind, reuse=reuse)
    assertion = token(camunda, key, kind)
    assert (await answered(caller, assertion, kind))[0] == 200
    status, said = await answered(caller, assertion, kind)
    assert (status, said) == (again, "Token reuse detected" if again == 400 else "")


async def test_a_foreign_signature_a_line_end_and_another_client_are_refused(
    camunda: SimulatedCamunda, caller: Caller, key: SigningKey
) -> None:
    federation(camunda, key, "kubernetes")
    assertion = token(camunda, key, "kubernetes")
    foreign = jwt.encode({"iss": ISSUER, "sub": SUBJECT, "jti": str(uuid.uuid4())}, "x" * 32, "HS256")
    assert await answered(caller, foreign, "kubernetes") == PLAIN
    assert await answered(caller, f"{assertion}\n", "kubernetes") == PLAIN
    assert await answered(caller, assertion, "spiffe") == PLAIN
    said = await answered(caller, assertion, "kubernetes", client_id="basic-only")
    assert said == (400, "client_id parameter does not match authenticated client")
    assert (await answered(caller, assertion, "kubernetes", client_id="orchestration"))[0] == 200
