"""Without a secret: a real Keycloak lets the proxy in by tokens of an issuer of ours (26.4 and later)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.clock import pause
from tests.federated import SUBJECT, projected
from tests.real.conftest import only
from tests.real.realm_admin import RealmAdmin, realm_admin
from tests.real.servers import Keycloak, StandIn
from tests.real.sidecar import sidecar
from tests.real.test_issuers import let_in
from tests.real.traffic import CLOCK, GOOD, eventually, tally, traffic
from tests.real.workload_issuer import WorkloadIssuer, workload_issuer

pytestmark = pytest.mark.real


@pytest.fixture
async def workload(keycloak: Keycloak) -> AsyncIterator[WorkloadIssuer]:
    async with workload_issuer(keycloak.keys / "signing.key") as issuer:
        yield issuer


@pytest.fixture
async def admin(keycloak: Keycloak) -> AsyncIterator[RealmAdmin]:
    async with realm_admin(keycloak) as admin:
        yield admin


def provider(it: WorkloadIssuer, kind: str, **config: str) -> dict[str, Any]:
    """An identity provider of the realm, as docs/credentials.md shows them."""
    unused = dict.fromkeys(("authorizationUrl", "tokenUrl"), f"{it.url}/unused")
    settings = {
        "kubernetes": {"issuer": it.url},
        "spiffe": {"trustDomain": f"spiffe://{it.name}.example", "bundleEndpoint": f"{it.url}/bundle"},
        "oidc": {
            "issuer": it.url,
            "useJwksUrl": "true",
            "jwksUrl": f"{it.url}/keys",
            "validateSignature": "true",
            "supportsClientAssertions": "true",
            "clientId": "unused",
            "clientSecret": "unused",
            **unused,
        },
    }[kind]
    return {"alias": it.name, "providerId": kind, "enabled": True, "config": settings | config}


def client(name: str, life: int = 300, attributes: dict[str, str] | None = None) -> dict[str, Any]:
    mapper = {"included.custom.audience": "zeebe-api", "access.token.claim": "true"}
    return {
        "clientId": name,
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
        "attributes": {"access.token.lifespan": str(life), **(attributes or {})},
        "protocolMappers": [
            {
                "name": "zeebe-api",
                "protocol": "openid-connect",
                "protocolMapper": "oidc-audience-mapper",
                "config": mapper,
            }
        ],
    }


async def federate(
    admin: RealmAdmin, it: WorkloadIssuer, kind: str, subject: str, life: int = 300, **config: str
) -> None:
    """A client without a secret, which tokens of our issuer authenticate."""
    await admin.create("identity-provider/instances", provider(it, kind, **config))
    attributes = {"jwt.credential.issuer": it.name, "jwt.credential.sub": subject}
    made = client(it.name, life, attributes)
    await admin.create("clients", made | {"clientAuthenticatorType": "federated-jwt"})


@asynccontextmanager
async def every_second(act: Callable[[int], object]) -> AsyncIterator[None]:
    """Inside, it is called with 1, 2, 3 and so on."""
    over = asyncio.get_running_loop().create_future()

    async def go_on() -> None:
        for number in count(1):
            act(number)
            if await pause(CLOCK, 1, until=over):
                return

    async with asyncio.TaskGroup() as group:
        group.create_task(go_on())
        try:
            yield
        finally:
            over.set_result(None)


@pytest.mark.parametrize("kind", ["kubernetes", "spiffe", "oidc"])
@only("8.10")
async def test_a_token_of_another_issuer_takes_the_place_of_a_secret(
    keycloak: Keycloak,
    standin: StandIn,
    workload: WorkloadIssuer,
    admin: RealmAdmin,
    kind: str,
    tmp_path: Path,
) -> None:
    subject = workload.spiffe_id if kind == "spiffe" else SUBJECT
    await federate(admin, workload, kind, subject)
    token = tmp_path / "token"
    token.write_text(f"{workload.token(keycloak.url, sub=subject)}\n")
    more: dict[str, Any] = (
        {"client_assertion_type": "jwt-spiffe"} if kind == "spiffe" else {"client_id": workload.name}
    )
    await let_in(
        *(keycloak, standin, tmp_path),
        auth_method="client_assertion",
        client_assertion_file=str(token),
        **more,
    )


@pytest.mark.waits
@pytest.mark.parametrize("kind", ["kubernetes", "spiffe"])
@only("8.10")
async def test_no_request_fails_while_the_file_is_replaced_and_tokens_live_for_five_seconds(
    keycloak: Keycloak,
    standin: StandIn,
    workload: WorkloadIssuer,
    admin: RealmAdmin,
    kind: str,
    tmp_path: Path,
) -> None:
    """Each token in the file is good for 5 s, so one that is kept beyond its replacement is soon refused."""
    subject = workload.spiffe_id if kind == "spiffe" else SUBJECT
    await federate(admin, workload, kind, subject, life=5)
    volume = tmp_path / "volume"

    def replace(number: int) -> Path:
        return projected(volume, f"..{number}", workload.token(keycloak.url, life=5, sub=subject))

    credential = {
        "type": "oauth2",
        "token_url": keycloak.token_url,
        "auth_method": "client_assertion",
        "client_assertion_file": str(replace(0)),
        "client_assertion_type": "jwt-spiffe" if kind == "spiffe" else "jwt-bearer",
    }
    async with every_second(replace), sidecar(tmp_path, standin.url("zeebe"), **credential) as proxy:
        await eventually(proxy.ready)
        async with traffic(proxy.call, every=0.05) as answers:
            await pause(CLOCK, 12)
        assert tally(answers) == {GOOD: len(answers)}
        assert await proxy.fetches() >= 3
        assert await proxy.metric("credential_fetches_total") == await proxy.fetches(), "none has failed"
        assert not any("was not replaced" in line for line in proxy.said)


@only("8.10")
async def test_a_token_that_may_be_sent_once_only_is_refused_with_the_setting_to_change(
    keycloak: Keycloak, standin: StandIn, workload: WorkloadIssuer, admin: RealmAdmin, tmp_path: Path
) -> None:
    """Keycloak's type OpenID Connect takes each assertion once, unless it is told otherwise."""
    await federate(admin, workload, "oidc", SUBJECT, life=4)
    token = tmp_path / "token"
    token.write_text(workload.token(keycloak.url))
    credential = {
        "type": "oauth2",
        "issuer_url": keycloak.url,
        "auth_method": "client_assertion",
        "client_assertion_file": str(token),
    }
    async with sidecar(tmp_path, standin.url("zeebe"), **credential) as proxy:
        await eventually(proxy.ready)

        async def refused() -> bool:
            return any("Token reuse detected" in line for line in proxy.said)

        await eventually(refused, within=20)
        before = await proxy.fetches()
        said = await proxy.doctor()
        assert "supportsClientAssertionReuse" in said.replace("\n", "")
        assert "private_key_jwt" in said, "what the issuer offers"
        (tmp_path / "new").write_text(workload.token(keycloak.url))
        (tmp_path / "new").rename(token)

        async def granted_again() -> bool:
            return await proxy.fetches() > before

        await eventually(granted_again, within=7)


@only("8.10")
async def test_the_grant_jwt_bearer_brings_the_token_of_a_linked_user(
    keycloak: Keycloak, standin: StandIn, workload: WorkloadIssuer, admin: RealmAdmin, tmp_path: Path
) -> None:
    granted = {
        "jwtAuthorizationGrantEnabled": "true",
        "jwtAuthorizationGrantAssertionReuseAllowed": "true",
    }
    await admin.create("identity-provider/instances", provider(workload, "oidc", **granted))
    attributes = {
        "oauth2.jwt.authorization.grant.enabled": "true",
        "oauth2.jwt.authorization.grant.idp": workload.name,
    }
    await admin.create("clients", client(workload.name, attributes=attributes) | {"secret": "secret"})
    link = {"identityProvider": workload.name, "userId": SUBJECT, "userName": "it"}
    user = {"username": workload.name, "enabled": True, "email": f"{workload.name}@example.org"}
    names = {"firstName": "A", "lastName": "B", "emailVerified": True}
    await admin.create("users", user | names | {"federatedIdentities": [link]})
    token = tmp_path / "token"
    token.write_text(f"{workload.token(keycloak.url)}\n")
    await let_in(
        *(keycloak, standin, tmp_path),
        client_id=workload.name,
        client_secret="secret",
        grant_type="jwt-bearer",
        assertion_file=str(token),
    )


@only("8.10")
async def test_a_token_in_a_file_is_exchanged(
    keycloak: Keycloak, standin: StandIn, workload: WorkloadIssuer, admin: RealmAdmin, tmp_path: Path
) -> None:
    """Keycloak exchanges access tokens of its own realm, if the client is in their audience."""
    name = workload.name
    await admin.create(
        "clients", client(name, attributes={"standard.token.exchange.enabled": "true"}) | {"secret": "secret"}
    )
    await admin.add_client(f"{name}-before", audience=name)
    form = {"grant_type": "client_credentials", "client_id": f"{name}-before", "client_secret": "secret"}
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.post(keycloak.token_url, data=form) as answer,
    ):
        (tmp_path / "token").write_text((await answer.json())["access_token"])
    await let_in(
        *(keycloak, standin, tmp_path),
        client_id=name,
        client_secret="secret",
        grant_type="token-exchange",
        subject_token_file=str(tmp_path / "token"),
        subject_token_type="access_token",
    )
