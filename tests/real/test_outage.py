"""Keycloak is gone for longer than its tokens live; every release is looked at meanwhile."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pytest

from proxy.clock import pause
from tests.real.conftest import shared
from tests.real.servers import RELEASES, Keycloak, StandIn
from tests.real.sidecar import Sidecar, sidecar
from tests.real.traffic import CLOCK, GOOD, eventually, kind_of, traffic

pytestmark = [pytest.mark.real, pytest.mark.alone]

SPRING_LACKS_KEYS = (500, "")
UNAVAILABLE = (503, "credential_unavailable")
LIFE = 20.0


async def test_an_outage_longer_than_a_token_is_survived_without_a_restart(
    keycloak: Keycloak, tmp_path: Path
) -> None:
    gone, back = asyncio.Event(), asyncio.Event()
    steps = [Steps(keycloak, shared(release), tmp_path, gone, back) for release in RELEASES]
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(each.run()) for each in steps]
        for each in steps:
            await each.begun.wait()
        async with keycloak.outage():
            gone.set()
            for each in steps:
                await each.seen.wait()
        back.set()
    assert all(run.done() for run in runs)


class Steps:
    """What is looked at, at one release.

    Attributes:
        begun: requests are answered; Keycloak may go.
        seen: what there is to see while Keycloak is gone; it may come back.
    """

    def __init__(
        self, keycloak: Keycloak, standin: StandIn, folder: Path, gone: asyncio.Event, back: asyncio.Event
    ) -> None:
        self.begun = asyncio.Event()
        self.seen = asyncio.Event()
        self._standin = standin
        self._folder = folder
        self._gone = gone
        self._back = back
        self._client = {
            "type": "oauth2",
            "token_url": keycloak.token_url,
            "client_id": "short-lived",
            "client_secret": "secret",
            "wait": "1s",
        }

    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            early = await stack.enter_async_context(self._proxy())
            await eventually(early.ready)
            async with traffic(early.call) as answers:
                self.begun.set()
                await self._gone.wait()
                since = CLOCK.now()
                expiry = await early.metric("credential_expiry_timestamp_seconds")
                await eventually(lambda: is_answered(early, UNAVAILABLE), within=LIFE + 5)
                # Keycloak and the server count from the whole second in which the token was made.
                assert seconds_until(expiry) < 2
                await pause(CLOCK, seconds_until(expiry))

                late = await stack.enter_async_context(self._proxy())
                await eventually(late.live)
                reached = len(self._standin.log("zeebe"))
                await pause(CLOCK, since + LIFE + 3 - CLOCK.now())
                for proxy in (early, late):
                    assert await proxy.live()
                    assert not await proxy.ready()
                    assert kind_of(await proxy.call()) == UNAVAILABLE
                assert len(self._standin.log("zeebe")) == reached  # nothing was forwarded
                self.seen.set()
                await self._back.wait()
                for proxy in (early, late):
                    await eventually(proxy.ready)
                    assert kind_of(await proxy.call()) == GOOD

                async def answered_again() -> bool:
                    return kind_of(answers[-1]) == GOOD

                await eventually(answered_again)
        # Every 5 minutes Spring asks Keycloak for its keys again. If it gets none, it answers 500.
        ours = [answer for answer in answers if kind_of(answer) != SPRING_LACKS_KEYS]
        assert [kind for kind, _ in groupby(ours, kind_of)] == [GOOD, UNAVAILABLE, GOOD]
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status == 503)

    def _proxy(self) -> AbstractAsyncContextManager[Sidecar]:
        return sidecar(self._folder, self._standin.url("zeebe"), **self._client)


def seconds_until(unix: float) -> float:
    return unix - datetime.now(UTC).timestamp()


async def is_answered(proxy: Sidecar, kind: tuple[int, str]) -> bool:
    return kind_of(await proxy.call()) == kind
