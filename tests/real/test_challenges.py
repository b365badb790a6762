"""A token that the server refuses is replaced: 403 with a challenge at Operate of 8.6 and 8.7, else 401."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from proxy.clock import pause
from tests.real.conftest import shared
from tests.real.servers import RELEASES, Keycloak, StandIn
from tests.real.sidecar import Answer, Sidecar, sidecar
from tests.real.traffic import CLOCK, GOOD, eventually, kind_of, tally, traffic

pytestmark = pytest.mark.real

APPS = [(release, "zeebe") for release in RELEASES] + [("8.6", "operate-tokens"), ("8.7", "operate-tokens")]


@pytest.fixture(params=APPS, ids=" ".join)
def at(request: pytest.FixtureRequest) -> tuple[StandIn, str]:
    release, app = request.param
    return shared(release), app


@pytest.mark.waits
async def test_a_token_that_ends_before_its_time_is_replaced_and_no_caller_sees_it(
    at: tuple[StandIn, str], keycloak: Keycloak, tmp_path: Path
) -> None:
    standin, app = at
    client = {"type": "oauth2", "client_id": "short-lived", "client_secret": "secret"}
    async with (
        boasting(keycloak.token_url) as token_url,
        sidecar(tmp_path, standin.url(app), token_url=token_url, **client) as proxy,
    ):
        await eventually(proxy.ready)
        async with traffic(proxy.call, partial(search, proxy)) as answers:
            await pause(CLOCK, 23)
        assert tally(answers) == {GOOD: len(answers)}
        assert await proxy.fetches() == 2
        repaired = await proxy.metric("repairs_total", outcome="ok")
        assert repaired >= 1
        refusal = 403 if app == "operate-tokens" else 401
        seen = await standin.statuses(app, proxy.agent, len(answers) + int(repaired))
        assert seen == {200: len(answers), refusal: repaired}


async def test_a_shared_token_that_is_refused_is_read_again(
    at: tuple[StandIn, str], keycloak: Keycloak, tmp_path: Path
) -> None:
    standin, app = at
    token, new = tmp_path / "token", tmp_path / "token.new"
    good = await token_of(keycloak, "orchestration")
    token.write_text(good[:-20] + good[-20:][::-1])  # its signature is broken
    new.write_text(good)
    async with sidecar(tmp_path, standin.url(app), type="bearer", token_file=str(token)) as proxy:
        await eventually(proxy.ready)
        refused = await proxy.call()
        if app == "operate-tokens":
            assert (refused.status, refused.body) == (403, b"")
            assert refused.headers["www-authenticate"] == "Bearer"
        else:
            assert kind_of(refused) == (401, "")
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
