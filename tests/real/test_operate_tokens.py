"""Bearer tokens at a real Camunda 8.6 with Operate: it refuses them by 403 and a challenge."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from proxy.clock import pause
from tests.real.servers import Camunda, Keycloak, started
from tests.real.sidecar import Answer, Sidecar, sidecar
from tests.real.traffic import CLOCK, GOOD, eventually, kind_of, tally, ticks, traffic

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def operate(keycloak: Keycloak) -> Iterator[Camunda]:
    with started(Camunda("broker,operate,identity-auth")) as server:
        yield server


async def test_a_minute_of_traffic_never_meets_the_end_of_a_twenty_second_token(
    operate: Camunda, keycloak: Keycloak, tmp_path: Path
) -> None:
    client = {"type": "oauth2", "client_id": "short-lived", "client_secret": "secret"}
    async with sidecar(tmp_path, operate.url, token_url=keycloak.token_url, **client) as proxy:
        await eventually(proxy.ready, within=10)
        waits, fetches = await proxy.waits(), await proxy.fetches()
        async with asyncio.TaskGroup() as group:
            calls = []
            async for _ in ticks(rate=5, seconds=62):
                calls += [group.create_task(proxy.call()), group.create_task(search(proxy))]
        assert tally(call.result() for call in calls) == {GOOD: 620}
        assert await proxy.waits() == waits
        assert 3 <= await proxy.fetches() - fetches <= 5
        assert await proxy.metric("repairs_total") == 0


async def test_a_token_that_ends_before_its_time_is_replaced_and_no_caller_sees_it(
    operate: Camunda, keycloak: Keycloak, tmp_path: Path
) -> None:
    client = {"type": "oauth2", "client_id": "short-lived", "client_secret": "secret"}
    async with (
        boasting(keycloak.token_url) as token_url,
        sidecar(tmp_path, operate.url, token_url=token_url, **client) as proxy,
    ):
        await eventually(proxy.ready, within=10)
        async with traffic(proxy.call, partial(search, proxy)) as answers:
            await pause(CLOCK, 23)
        assert tally(answers) == {GOOD: len(answers)}
        assert await proxy.fetches() == 2
        assert await proxy.metric("repairs_total", outcome="ok") >= 1


async def test_a_shared_token_that_operate_refuses_is_read_again(
    operate: Camunda, keycloak: Keycloak, tmp_path: Path
) -> None:
    token, new = tmp_path / "token", tmp_path / "token.new"
    token.write_text(await token_of(keycloak, "other-audience"))
    new.write_text(await token_of(keycloak, "orchestration"))
    async with sidecar(tmp_path, operate.url, type="bearer", token_file=str(token)) as proxy:
        await eventually(proxy.ready, within=10)
        refused = await proxy.call()
        assert (refused.status, refused.body) == (403, b"")
        assert refused.headers["www-authenticate"] == "Bearer"
        new.rename(token)
        assert kind_of(await search(proxy)) == GOOD


async def search(proxy: Sidecar) -> Answer:
    return await proxy.call("/v1/process-definitions/search", "POST", json={})


async def token_of(keycloak: Keycloak, client: str) -> str:
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": "secret"}
    async with aiohttp.ClientSession() as session, session.post(keycloak.token_url, data=form) as answer:
        return str((await answer.json())["access_token"])


@asynccontextmanager
async def boasting(token_url: str) -> AsyncIterator[str]:
    """A token endpoint with the tokens of the one at `token_url`, which it says live five minutes."""
    async with aiohttp.ClientSession() as session:

        async def token(request: web.Request) -> web.Response:
            async with session.post(token_url, data=await request.post()) as answer:
                return web.json_response(await answer.json() | {"expires_in": 300}, status=answer.status)

        app = web.Application()
        app.router.add_post("/token", token)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/token"
        finally:
            await runner.cleanup()
