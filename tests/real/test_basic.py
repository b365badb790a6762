"""HTTP Basic at a real Camunda 8.6, in its profile `auth-basic`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.servers import BasicEngine, started
from tests.real.sidecar import sidecar
from tests.real.traffic import GOOD, eventually, kind_of

pytestmark = pytest.mark.real

USER = {"type": "basic", "username": "demo", "password": "demo"}


@pytest.fixture(scope="module")
def engine() -> Iterator[BasicEngine]:
    with started(BasicEngine()) as server:
        yield server


async def test_a_user_with_a_password_is_let_in(engine: BasicEngine, tmp_path: Path) -> None:
    async with sidecar(tmp_path, engine.url, **USER) as proxy:
        await eventually(proxy.ready, within=10)
        assert (await proxy.call()).json["brokers"]
        assert kind_of(await proxy.call("/v2/users/search", "POST", json={})) == GOOD


async def test_a_wrong_password_stays_the_engines_401(engine: BasicEngine, tmp_path: Path) -> None:
    async with sidecar(tmp_path, engine.url, **USER | {"password": "wrong"}) as proxy:
        await eventually(proxy.ready, within=10)
        refused = await proxy.call()
        assert kind_of(refused) == (401, "")
        assert refused.headers["www-authenticate"] == 'Basic realm="Realm"'


async def test_where_no_session_can_be_had_basic_goes_with_every_request_and_the_log_says_so_once(
    engine: BasicEngine, tmp_path: Path
) -> None:
    async with sidecar(tmp_path, engine.url, **USER, as_session=True) as proxy:
        await eventually(proxy.ready, within=10)
        for _ in range(3):
            assert kind_of(await proxy.call()) == GOOD
        assert kind_of(await proxy.call("/v2/users/search", "POST", json={})) == GOOD
        assert len([line for line in proxy.said if "no session can be had" in line]) == 1
