"""Upstreams that share a credential, where one of them refuses whatever it is shown."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.demo import Rules, SimulatedCamunda, simulated_camunda
from tests.clock import FakeClock
from tests.mission.before_camunda import house
from tests.mission.test_rows import identity


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def camunda(clock: FakeClock) -> AsyncIterator[SimulatedCamunda]:
    async with simulated_camunda(clock=clock, rules=Rules(token_life=86_400.0)) as simulated:
        yield simulated


async def test_an_upstream_that_always_refuses_is_no_fetch_a_second_and_delays_no_other(
    camunda: SimulatedCamunda, clock: FakeClock, tmp_path: Path
) -> None:
    upstreams = {
        "zeebe": {"url": camunda.url("zeebe"), "credential": "identity"},
        "orchestration": {
            "api": "other",
            "url": camunda.url("orchestration"),
            "credential": "identity",
        },
    }
    camunda.api("zeebe").keys_lost = True
    async with house(tmp_path, camunda, upstreams, {"identity": identity()(camunda, tmp_path)}) as home:
        assert (await home.ask("orchestration", "GET", "/v2/topology")).status == 200  # the token is there
        for _ in range(300):
            clock.jump(1.0)
            assert (await home.ask("zeebe", "GET", "/v2/topology")).status == 401
            assert (await home.ask("orchestration", "GET", "/v2/topology")).status == 200
        assert len(camunda.keycloak.requests) <= 11
        clock.jump(2.0)
        camunda.revoke()
        assert (await home.ask("orchestration", "GET", "/v2/topology")).status == 200
    assert camunda.complaints == []
