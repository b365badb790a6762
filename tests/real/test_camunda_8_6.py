"""The main job, with a real Keycloak 26.7 and a real Camunda 8.6 engine, in real time: scripts/test-real."""

import asyncio
import io
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import aiohttp
import pytest

from proxy.clock import pause
from tests.real.conftest import Start
from tests.real.servers import HERE, Engine, Keycloak
from tests.real.sidecar import Answer, Sidecar
from tests.real.traffic import CLOCK, GOOD, eventually, kind_of, tally, ticks, traffic

pytestmark = pytest.mark.real

UNAVAILABLE = (503, "credential_unavailable")


async def test_a_process_is_deployed_started_and_worked(start: Start) -> None:
    async with start(client_id="orchestration", client_secret="secret") as proxy:
        await eventually(proxy.ready, within=10)
        topology = await proxy.call()
        assert kind_of(topology) == GOOD
        assert topology.json["brokers"]

        deployed = await proxy.call(
            "/v2/deployments", "POST", data=resource((HERE / "ping.bpmn").read_bytes())
        )
        assert kind_of(deployed) == GOOD
        assert deployed.json["deployments"][0]["processDefinition"]["processDefinitionId"] == "ping"

        async with asyncio.TaskGroup() as group:
            poll = group.create_task(activate(proxy, "ping-work", request_timeout=20_000))
            await pause(CLOCK, 1)  # so that the poll is there first
            assert not poll.done()
            instance = await proxy.call("/v2/process-instances", "POST", json={"processDefinitionId": "ping"})
            assert kind_of(instance) == GOOD
        (job,) = poll.result().json["jobs"]
        assert job["processInstanceKey"] == instance.json["processInstanceKey"]
        completed = await proxy.call(f"/v2/jobs/{job['key']}/completion", "POST", json={})
        assert (completed.status, completed.body) == (204, b"")


@pytest.mark.parametrize("expect", [False, True], ids=["at once", "after 100 Continue"])
async def test_an_upload_over_four_megabytes_gets_the_engines_own_413(start: Start, expect: bool) -> None:
    async with start(client_id="orchestration", client_secret="secret") as proxy:
        await eventually(proxy.live, within=10)
        for size in (5 << 20, 40 << 20):
            refused = await proxy.call(
                "/v2/deployments", "POST", data=resource(bytes(size)), expect100=expect
            )
            assert kind_of(refused) == (413, "")
        assert kind_of(await proxy.call()) == GOOD


async def test_a_wrong_secret_is_told_to_every_caller_and_shown_to_keycloak_once(
    start: Start, keycloak: Keycloak, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("wrong")
    async with start(client_id="orchestration", client_secret_file=str(secret)) as proxy:
        await eventually(proxy.live, within=10)
        assert (await proxy.call()).ours == "credential_rejected"
        before = keycloak.logins("orchestration")
        assert before.refused <= 2  # a file just written is looked at twice
        answers = [await proxy.call() async for _ in ticks(rate=10, seconds=20)]
        assert tally(answers) == {(502, "credential_rejected"): 200}
        assert keycloak.logins("orchestration").refused <= before.refused + 1
        ready = await proxy.health("ready")
        assert (ready.status, ready.json["ready"]) == (503, False)
        assert await proxy.live()

        secret.write_text("secret")
        await eventually(proxy.ready, within=15)  # the slow lane is cut short
        assert kind_of(await proxy.call()) == GOOD


async def test_a_wrong_audience_stays_the_engines_401_and_never_becomes_a_fetch_a_second(
    start: Start, keycloak: Keycloak
) -> None:
    async with start(client_id="other-audience", client_secret="secret") as proxy:
        await eventually(proxy.ready, within=10)
        answers = [await proxy.call() async for _ in ticks(rate=10, seconds=30)]
        assert tally(answers) == {(401, ""): 300}
        assert {answer.json["detail"] for answer in answers} == {"the provided claims are invalid"}
        assert await proxy.metric("repairs_total", outcome="refused_again") >= 1
    assert 2 <= keycloak.logins("other-audience").granted <= 8


async def test_three_minutes_of_traffic_never_meet_the_end_of_a_twenty_second_token(
    start: Start, keycloak: Keycloak, engine: Engine
) -> None:
    async with start(client_id="short-lived", client_secret="secret") as proxy:
        await eventually(proxy.ready, within=10)
        assert kind_of(await proxy.call()) == GOOD
        waits, fetches = await proxy.waits(), await proxy.fetches()
        refused, granted = engine.requests("401"), keycloak.logins("short-lived").granted

        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(proxy.call()) async for _ in ticks(rate=50, seconds=180)]
        assert tally(call.result() for call in calls) == {GOOD: 9000}

        assert await proxy.waits() == waits
        assert 8 <= await proxy.fetches() - fetches <= 14
        assert 8 <= keycloak.logins("short-lived").granted - granted <= 14
        assert engine.requests("401") == refused


async def test_a_job_poll_that_outlives_its_token_is_answered(start: Start) -> None:
    async with start(client_id="short-lived", client_secret="secret") as proxy:
        await eventually(proxy.ready, within=10)
        begun = CLOCK.now()
        poll = await activate(proxy, "nobodys-work", request_timeout=25_000)
        assert CLOCK.now() - begun > 24
        assert (kind_of(poll), poll.json) == (GOOD, {"jobs": []})
        assert await proxy.fetches() == 2


async def test_an_outage_of_keycloak_longer_than_a_token_is_survived_without_a_restart(
    start: Start, keycloak: Keycloak, engine: Engine
) -> None:
    client = {"client_id": "short-lived", "client_secret": "secret", "wait": "1s"}
    async with AsyncExitStack() as stack:
        early = await stack.enter_async_context(start(**client))
        await eventually(early.ready, within=10)
        async with traffic(early.call) as answers:
            async with keycloak.outage():
                gone = CLOCK.now()
                expiry = await early.metric("credential_expiry_timestamp_seconds")
                await eventually(lambda: is_answered(early, UNAVAILABLE), within=25)
                # Keycloak and the engine count from the whole second in which the token was made.
                assert seconds_until(expiry) < 2
                await pause(CLOCK, seconds_until(expiry))

                late = await stack.enter_async_context(start(**client))
                await eventually(late.live, within=10)
                reached = engine.requests()
                await pause(CLOCK, gone + 23 - CLOCK.now())
                for proxy in (early, late):
                    assert await proxy.live()
                    assert not await proxy.ready()
                    assert kind_of(await proxy.call()) == UNAVAILABLE
                assert engine.requests() == reached
            for proxy in (early, late):
                await eventually(proxy.ready, within=30)
                assert kind_of(await proxy.call()) == GOOD
    assert [kind for kind, _ in groupby(answers, kind_of)] == [GOOD, UNAVAILABLE, GOOD]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status == 503)


def seconds_until(unix: float) -> float:
    return unix - datetime.now(UTC).timestamp()


def resource(content: bytes) -> aiohttp.FormData:
    """The multipart body of a deployment."""
    form = aiohttp.FormData()
    form.add_field("resources", io.BytesIO(content), filename="ping.bpmn")
    return form


async def activate(proxy: Sidecar, kind: str, request_timeout: int) -> Answer:
    """A long poll for one job, of `request_timeout` milliseconds."""
    wish = {"type": kind, "maxJobsToActivate": 1, "timeout": 60_000, "requestTimeout": request_timeout}
    return await proxy.call("/v2/jobs/activation", "POST", json=wish)


async def is_answered(proxy: Sidecar, kind: tuple[int, str]) -> bool:
    return kind_of(await proxy.call()) == kind
