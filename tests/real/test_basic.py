"""HTTP Basic on every release, with Spring Security's own slow password hash."""

from pathlib import Path

import pytest

from tests.real.conftest import only
from tests.real.servers import StandIn
from tests.real.sidecar import Sidecar, sidecar
from tests.real.traffic import GOOD, eventually, kind_of

pytestmark = pytest.mark.real

USER = {"type": "basic", "username": "demo", "password": "demo"}
APPS = {"8.6": "basic", "8.7": "basic", "8.8": "cluster", "8.9": "cluster", "8.10": "cluster"}


async def test_a_user_with_a_password_is_let_in(standin: StandIn, tmp_path: Path) -> None:
    app = APPS[standin.release]
    async with sidecar(tmp_path, standin.url(app), **USER) as proxy:
        await eventually(proxy.ready)
        assert (await proxy.call()).json["brokers"]
        assert await searches(proxy)
        assert await standin.statuses(app, proxy.agent, 2) == {200: 2}


async def test_a_wrong_password_stays_the_servers_401(standin: StandIn, tmp_path: Path) -> None:
    app = APPS[standin.release]
    async with sidecar(tmp_path, standin.url(app), **USER | {"password": "wrong"}) as proxy:
        await eventually(proxy.ready)
        refused = await proxy.call()
        assert kind_of(refused) == (401, "")
        challenge = 'Basic realm="Realm"' if app == "basic" else None  # 8.8 and later send none
        assert refused.headers.get("www-authenticate") == challenge


@only("8.6", "8.7")
async def test_without_a_login_basic_goes_with_every_request_and_the_log_says_so_once(
    standin: StandIn, tmp_path: Path
) -> None:
    async with sidecar(tmp_path, standin.url("basic"), **USER, as_session=True) as proxy:
        await eventually(proxy.ready)
        for _ in range(3):
            assert kind_of(await proxy.call()) == GOOD
        assert await searches(proxy)
        assert len([line for line in proxy.said if "the server offers no session" in line]) == 1


async def searches(proxy: Sidecar) -> bool:
    return kind_of(await proxy.call("/v2/users/search", "POST", json={})) == GOOD
