"""Every way to be let in by a real Keycloak 26.7, and what its operator changes while requests run."""

from pathlib import Path

import pytest

from proxy.clock import pause
from tests.real.conftest import Start
from tests.real.realm_admin import realm_admin
from tests.real.servers import Keycloak, TokenChecker
from tests.real.sidecar import sidecar
from tests.real.traffic import CLOCK, GOOD, eventually, kind_of, tally, traffic

pytestmark = pytest.mark.real


@pytest.mark.parametrize("auth_method", ["client_secret_post", "client_secret_basic"])
async def test_a_client_whose_name_and_secret_are_odd_is_let_in(
    start: Start, keycloak: Keycloak, auth_method: str
) -> None:
    client, secret = "odd:client +%", "p:a s+s%20&=é"
    before = keycloak.logins(client)
    async with start(client_id=client, client_secret=secret, auth_method=auth_method) as proxy:
        await eventually(proxy.live, within=10)
        assert kind_of(await proxy.call()) == GOOD
    assert keycloak.logins(client) == (before.granted + 1, before.refused)


async def test_a_client_that_may_only_come_by_http_basic_is_let_in(start: Start) -> None:
    async with start(
        client_id="basic-only", client_secret="secret", auth_method="client_secret_basic"
    ) as proxy:
        await eventually(proxy.live, within=10)
        assert kind_of(await proxy.call()) == GOOD


async def test_a_client_that_signs_its_own_assertions_is_let_in(start: Start, keycloak: Keycloak) -> None:
    before = keycloak.logins("signed")
    async with start(
        client_id="signed",
        auth_method="private_key_jwt",
        private_key_file=str(keycloak.signing_key),
        certificate_file=str(keycloak.certificate),
    ) as proxy:
        await eventually(proxy.live, within=10)
        assert kind_of(await proxy.call()) == GOOD
    assert keycloak.logins("signed") == (before.granted + 1, before.refused)


async def test_an_issuer_tells_where_its_tokens_are_had(
    keycloak: Keycloak, engine: TokenChecker, tmp_path: Path
) -> None:
    client = {"client_id": "orchestration", "client_secret": "secret"}
    async with sidecar(tmp_path, engine.url, type="oauth2", issuer_url=keycloak.url, **client) as proxy:
        await eventually(proxy.live, within=10)
        assert kind_of(await proxy.call()) == GOOD


async def test_a_client_secret_rotated_while_requests_run_fails_none_of_them(
    start: Start, keycloak: Keycloak, tmp_path: Path
) -> None:
    secret, new = tmp_path / "secret", tmp_path / "secret.new"
    secret.write_text("secret")
    async with (
        realm_admin(keycloak) as admin,
        start(client_id="rotated", client_secret_file=str(secret)) as proxy,
    ):
        await eventually(proxy.ready, within=10)
        async with traffic(proxy.call) as answers:
            await admin.set_secret("rotated", "another")

            async def refused() -> bool:
                return keycloak.logins("rotated").refused > 0

            await eventually(refused, within=34)  # its token of 36 s is still good then
            granted = keycloak.logins("rotated").granted
            new.write_text("another")
            new.rename(secret)

            async def granted_again() -> bool:
                return keycloak.logins("rotated").granted > granted

            await eventually(granted_again, within=7)
            await pause(CLOCK, 9)  # until the token from before is over
        assert tally(answers) == {GOOD: len(answers)}


async def test_realm_keys_rotated_while_requests_run_are_healed(start: Start, keycloak: Keycloak) -> None:
    async with (
        realm_admin(keycloak) as admin,
        start(client_id="short-lived", client_secret="secret") as proxy,
    ):
        await eventually(proxy.ready, within=10)
        async with traffic(proxy.call) as answers:
            fetches = await proxy.fetches()
            await admin.rotate_keys()

            async def fetched() -> bool:
                return await proxy.fetches() > fetches

            await eventually(fetched, within=18)
            await pause(CLOCK, 6)  # until the token of the old key is over
        assert tally(answers) == {GOOD: len(answers)}


async def test_a_token_of_a_key_that_the_engine_no_longer_knows_is_replaced(
    start: Start, keycloak: Keycloak, engine: TokenChecker
) -> None:
    async with (
        realm_admin(keycloak) as admin,
        start(client_id="orchestration", client_secret="secret") as proxy,
    ):
        await eventually(proxy.ready, within=10)
        await admin.rotate_keys()
        await engine.stop()
        await engine.start()
        assert kind_of(await proxy.call()) == GOOD
        assert await proxy.metric("repairs_total", outcome="ok") == 1
