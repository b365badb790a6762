"""The main job on every release, with real Spring Security and a real Keycloak 26.7, in real time."""

import asyncio
import io
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from proxy.clock import pause
from tests.real.conftest import Start, only
from tests.real.realm_admin import realm_admin
from tests.real.servers import HERE, Keycloak, StandIn
from tests.real.sidecar import Answer, Sidecar
from tests.real.traffic import CLOCK, GOOD, eventually, kind_of, tally, ticks

pytestmark = pytest.mark.real


async def test_a_process_is_deployed_started_and_worked(start: Start, standin: StandIn) -> None:
    process = f"ping-{uuid4()}"
    async with start(client_id="orchestration") as proxy:
        await eventually(proxy.ready)
        topology = await proxy.call()
        assert kind_of(topology) == GOOD
        assert topology.json["brokers"]

        bpmn = (HERE / "ping.bpmn").read_text().replace("ping", process).encode()
        deployed = await proxy.call("/v2/deployments", "POST", data=resource(bpmn))
        assert kind_of(deployed) == GOOD
        assert deployed.json["deployments"][0]["processDefinition"]["processDefinitionId"] == process

        async with asyncio.TaskGroup() as group:
            poll = group.create_task(activate(proxy, f"{process}-work", request_timeout=20_000))
            await pause(CLOCK, 1)  # so that the poll is there first
            assert not poll.done()
            instance = await proxy.call(
                "/v2/process-instances", "POST", json={"processDefinitionId": process}
            )
            assert kind_of(instance) == GOOD
        (job,) = poll.result().json["jobs"]
        assert job["processInstanceKey"] == instance.json["processInstanceKey"]
        key = job["key" if standin.release == "8.6" else "jobKey"]
        completed = await proxy.call(f"/v2/jobs/{key}/completion", "POST", json={})
        assert (completed.status, completed.body) == (204, b"")
        assert await standin.statuses("zeebe", proxy.agent, 5) == {200: 4, 204: 1}


async def test_a_chunked_answer_and_an_event_stream_arrive_whole_and_in_time(start: Start) -> None:
    async with start(client_id="orchestration") as proxy:
        await eventually(proxy.ready)
        document = await proxy.call("/v2/documents/page")
        assert kind_of(document) == GOOD
        assert document.body == b"".join(b"page%d\n" % piece * 1000 for piece in range(3))

        moments = [moment async for moment in proxy.pieces("/mcp/cluster?events=3&pause=1000", "POST")]
        assert [event for event, _ in moments] == [f"data:event {number}\n\n" for number in range(3)]
        assert moments[2][1] - moments[0][1] > 1.5


@pytest.mark.parametrize("expect", [False, True], ids=["at once", "after 100 Continue"])
async def test_an_upload_over_four_megabytes_gets_the_servers_own_413(start: Start, expect: bool) -> None:
    async with start(client_id="orchestration") as proxy:
        await eventually(proxy.ready)
        for size in (5 << 20, 40 << 20):
            refused = await proxy.call(
                "/v2/deployments", "POST", data=resource(bytes(size)), expect100=expect
            )
            assert kind_of(refused) == (413, "")
        assert kind_of(await proxy.call()) == GOOD


@pytest.mark.waits
@only("8.10")
async def test_a_wrong_secret_is_told_to_every_caller_and_shown_to_keycloak_ever_more_rarely(
    start: Start, keycloak: Keycloak, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("wrong")
    async with realm_admin(keycloak) as admin:
        client = await admin.add_client(f"wrong-{uuid4()}")
    async with start(client_id=client, client_secret_file=str(secret)) as proxy:
        await eventually(proxy.live)
        assert (await proxy.call()).ours == "credential_rejected"
        before = keycloak.logins(client)
        assert before.refused <= 2  # a file just written is looked at twice
        answers = [await proxy.call() async for _ in ticks(rate=10, seconds=20)]
        assert tally(answers) == {(502, "credential_rejected"): 200}
        # After 3, 6 and 12 s (docs/reference.md); 200 callers do not change that.
        assert keycloak.logins(client).refused <= before.refused + 3
        ready = await proxy.health("ready")
        assert (ready.status, ready.json["ready"]) == (503, False)
        assert await proxy.live()

        secret.write_text("secret")
        await eventually(proxy.ready)  # the slow lane is cut short
        assert kind_of(await proxy.call()) == GOOD


@pytest.mark.waits
async def test_a_wrong_audience_stays_the_servers_401_and_never_becomes_a_fetch_a_second(
    start: Start, keycloak: Keycloak
) -> None:
    async with realm_admin(keycloak) as admin:
        client = await admin.add_client(f"other-audience-{uuid4()}", audience="other-api")
    async with start(client_id=client) as proxy:
        await eventually(proxy.ready)
        answers = [await proxy.call() async for _ in ticks(rate=10, seconds=30)]
        assert tally(answers) == {(401, ""): 300}
        assert all("aud" in answer.json["detail"] for answer in answers)
        assert await proxy.metric("repairs_total", outcome="refused_again") >= 1
    assert 2 <= keycloak.logins(client).granted <= 8


@pytest.mark.waits
async def test_a_minute_of_traffic_never_meets_the_end_of_a_twenty_second_token(
    start: Start, keycloak: Keycloak, standin: StandIn
) -> None:
    async with realm_admin(keycloak) as admin:
        client = await admin.add_client(f"short-lived-{uuid4()}", life=20)
    async with start(client_id=client) as proxy:
        await eventually(proxy.ready)
        assert kind_of(await proxy.call()) == GOOD
        waits, granted = await proxy.waits(), keycloak.logins(client).granted
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(proxy.call()) async for _ in ticks(rate=50, seconds=62)]
        assert tally(call.result() for call in calls) == {GOOD: 3100}
        assert await proxy.waits() == waits
        assert 3 <= keycloak.logins(client).granted - granted <= 5
        assert await standin.statuses("zeebe", proxy.agent, 3101) == {200: 3101}  # none refused and repaired


@pytest.mark.waits
async def test_a_job_poll_that_outlives_its_token_is_answered(start: Start, keycloak: Keycloak) -> None:
    async with realm_admin(keycloak) as admin:
        client = await admin.add_client(f"short-lived-{uuid4()}", life=20)
    async with start(client_id=client) as proxy:
        await eventually(proxy.ready)
        begun = CLOCK.now()
        poll = await activate(proxy, "nobodys-work", request_timeout=25_000)
        assert CLOCK.now() - begun > 24
        assert (kind_of(poll), poll.json) == (GOOD, {"jobs": []})
        assert await proxy.fetches() == 2


def resource(content: bytes) -> aiohttp.FormData:
    """The multipart body of a deployment."""
    form = aiohttp.FormData()
    form.add_field("resources", io.BytesIO(content), filename="ping.bpmn")
    return form


async def activate(proxy: Sidecar, kind: str, request_timeout: int) -> Answer:
    """A long poll for one job, of `request_timeout` milliseconds."""
    wish = {"type": kind, "maxJobsToActivate": 1, "timeout": 60_000, "requestTimeout": request_timeout}
    return await proxy.call("/v2/jobs/activation", "POST", json=wish)
