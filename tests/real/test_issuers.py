"""Every way to be let in by three unrelated identity providers, and what operators change under traffic.

Keycloak 26.7 signs with RS256, oidc-provider 9 with ES256, Spring Authorization Server 1.5 with RS512.
"""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.clock import pause
from tests.real.conftest import only
from tests.real.realm_admin import realm_admin
from tests.real.servers import Issuer, Keycloak, StandIn
from tests.real.sidecar import sidecar
from tests.real.traffic import CLOCK, GOOD, eventually, kind_of, tally, traffic

pytestmark = pytest.mark.real

ODD = "odd:client +%"


def odd_secret(issuer: Issuer) -> str:
    """oidc-provider takes ASCII only."""
    return "p:a s+s%20&=%" if type(issuer).__name__ == "OidcProvider" else "p:a s+s%20&=é"


async def let_in(issuer: Issuer, standin: StandIn, folder: Path, **credential: Any) -> None:
    """The first request is answered, by the first token: none is refused."""
    client = {"type": "oauth2", "token_url": issuer.token_url} | credential
    settings = {name: value for name, value in client.items() if value is not None}
    async with sidecar(folder, standin.url("zeebe"), **settings) as proxy:
        await eventually(proxy.live)
        assert kind_of(await proxy.call()) == GOOD
        assert await proxy.fetches() == 1
        assert await standin.statuses("zeebe", proxy.agent, 1) == {200: 1}


async def test_every_release_takes_every_providers_tokens(
    issuer: Issuer, standin: StandIn, tmp_path: Path
) -> None:
    secret = issuer.secret("orchestration")
    await let_in(issuer, standin, tmp_path, client_id="orchestration", client_secret=secret)


@pytest.mark.parametrize("auth_method", ["client_secret_post", "client_secret_basic"])
@only("8.10")
async def test_a_client_whose_name_and_secret_are_odd_is_let_in(
    issuer: Issuer, standin: StandIn, tmp_path: Path, auth_method: str
) -> None:
    await let_in(
        issuer,
        standin,
        tmp_path,
        client_id=ODD,
        client_secret=odd_secret(issuer),
        auth_method=auth_method,
    )


@only("8.10")
async def test_a_client_that_may_only_come_by_http_basic_is_let_in(
    keycloak: Keycloak, standin: StandIn, tmp_path: Path
) -> None:
    client = {"client_id": "basic-only", "client_secret": "secret", "auth_method": "client_secret_basic"}
    await let_in(keycloak, standin, tmp_path, **client)


@only("8.10")
async def test_a_client_that_signs_its_own_assertions_is_let_in(
    issuer: Issuer, standin: StandIn, tmp_path: Path
) -> None:
    await let_in(
        issuer,
        standin,
        tmp_path,
        client_id="signed",
        auth_method="private_key_jwt",
        private_key_file=str(issuer.keys / "signing.key"),
        certificate_file=str(issuer.keys / "signing.crt"),
    )


@only("8.10")
async def test_a_client_that_shows_a_certificate_is_let_in(
    issuer: Issuer, standin: StandIn, tmp_path: Path
) -> None:
    await let_in(
        issuer,
        standin,
        tmp_path,
        token_url=issuer.tls_token_url,
        client_id="tls",
        auth_method="tls_client_auth",
        tls={
            "ca_file": str(issuer.keys / "ca.crt"),
            "cert_file": str(issuer.keys / "chain.crt"),
            "key_file": str(issuer.keys / "signing.key"),
        },
    )


@only("8.10")
async def test_an_issuer_tells_where_its_tokens_are_had(
    issuer: Issuer, standin: StandIn, tmp_path: Path
) -> None:
    client = {"client_id": "orchestration", "client_secret": issuer.secret("orchestration")}
    await let_in(issuer, standin, tmp_path, token_url=None, issuer_url=issuer.url, **client)


@pytest.mark.waits
@only("8.10")
async def test_a_client_secret_rotated_while_requests_run_fails_none_of_them(
    issuer: Issuer, standin: StandIn, tmp_path: Path
) -> None:
    secret, new = tmp_path / "secret", tmp_path / "secret.new"
    secret.write_text(issuer.secret("rotated"))
    client = {"type": "oauth2", "client_id": "rotated", "client_secret_file": str(secret)}
    async with sidecar(tmp_path, standin.url("zeebe"), token_url=issuer.token_url, **client) as proxy:
        await eventually(proxy.ready)
        async with traffic(proxy.call) as answers:
            await set_secret(issuer, "rotated", "another")

            async def refused() -> bool:
                return await proxy.metric("credential_fetches_total", outcome="rejected") > 0

            await eventually(refused, within=34)  # its token of 36 s is still good then
            before = await proxy.fetches()
            new.write_text("another")
            new.rename(secret)

            async def granted_again() -> bool:
                return await proxy.fetches() > before

            await eventually(granted_again, within=7)
            await pause(CLOCK, 9)  # until the token from before is over
        assert tally(answers) == {GOOD: len(answers)}


@pytest.mark.waits
@pytest.mark.xdist_group("rotating")  # as in test_restarts
@only("8.10")
async def test_signing_keys_rotated_while_requests_run_are_healed(
    issuer: Issuer, standin: StandIn, tmp_path: Path
) -> None:
    if isinstance(issuer, Keycloak):
        issuer = Keycloak("rotating")
    client = {"client_id": "short-lived", "client_secret": issuer.secret("short-lived"), "type": "oauth2"}
    async with sidecar(tmp_path, standin.url("zeebe"), token_url=issuer.token_url, **client) as proxy:
        await eventually(proxy.ready)
        async with traffic(proxy.call) as answers:
            fetches = await proxy.fetches()
            await rotate_keys(issuer)

            async def fetched() -> bool:
                return await proxy.fetches() > fetches

            await eventually(fetched, within=18)
            await pause(CLOCK, 6)  # until the token of the old key is over
        assert tally(answers) == {GOOD: len(answers)}


async def set_secret(issuer: Issuer, client: str, secret: str) -> None:
    """From now on no other secret counts; tokens that are out stay good."""
    if isinstance(issuer, Keycloak):
        async with realm_admin(issuer) as admin:
            await admin.set_secret(client, secret)
    else:
        await operate(issuer, "PUT", f"clients/{client}", secret)


async def rotate_keys(issuer: Issuer) -> None:
    """A new key signs, and the ones before it are no longer published."""
    if isinstance(issuer, Keycloak):
        async with realm_admin(issuer) as admin:
            await admin.rotate_keys()
    else:
        await operate(issuer, "POST", "keys", "")


async def operate(issuer: Issuer, method: str, what: str, body: str) -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        url = f"{issuer.url}/operator/{what}"
        await session.request(method, url, data=body, headers={"Content-Type": "text/plain"})
