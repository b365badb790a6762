"""A server that starts again: its sessions are gone, and so are the keys that it knew."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from proxy.clock import pause
from tests.real.realm_admin import realm_admin
from tests.real.servers import RELEASES, Keycloak, StandIn
from tests.real.sidecar import Answer, Sidecar, sidecar
from tests.real.traffic import CLOCK, GOOD, eventually, kind_of, tally, traffic

pytestmark = pytest.mark.real

USER = {"type": "session", "username": "demo", "password": "demo"}


@pytest.fixture(params=RELEASES)
def own(request: pytest.FixtureRequest, keycloak: Keycloak) -> Iterator[StandIn]:
    standin = StandIn(request.param, name=f"restarted-{request.param}-{uuid4()}").up()
    try:
        yield standin
    finally:
        standin.down()


@pytest.mark.waits
@pytest.mark.xdist_group("rotating")  # keys are rotated in one realm by one test at a time
async def test_a_restart_is_healed_and_no_request_fails_once_the_server_is_up(
    own: StandIn, tmp_path: Path
) -> None:
    rotating = Keycloak("rotating")
    app = "operate" if own.release in ("8.6", "8.7") else "cluster"
    client = {"type": "oauth2", "client_id": "orchestration", "client_secret": "secret"}
    async with (
        sidecar(tmp_path, own.url(app), **USER) as session,
        sidecar(tmp_path, own.url("zeebe"), token_url=rotating.token_url, **client) as tokens,
        realm_admin(rotating) as admin,
    ):
        for proxy in (session, tokens):
            await eventually(proxy.ready)
            assert kind_of(await proxy.call()) == GOOD
        async with traffic(session.call, partial(search, session), tokens.call) as answers:
            await admin.rotate_keys()  # the server will know the new key alone
            await own.restart()
            seen = len(answers)
            await pause(CLOCK, 3)
        # A POST that the server has received as it stops is not sent again.
        kinds = set(map(kind_of, answers[:seen])) - {(502, "upstream_protocol")}
        assert kinds == {GOOD, (502, "upstream_unreachable")}
        assert tally(answers[seen:]) == {GOOD: len(answers) - seen}
        assert await session.fetches() == 2
        assert await tokens.fetches() == 2
        assert await tokens.metric("repairs_total", outcome="ok") >= 1


async def search(proxy: Sidecar) -> Answer:
    return await proxy.call("/v2/process-instances/search", "POST", json={})
