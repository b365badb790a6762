import asyncio
import io
import json
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from proxy.demo import SimulatedCamunda
from tests.clock import FakeClock
from tests.demo.conftest import Caller

PING = b"""<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="ping-definitions">
  <process id="ping" isExecutable="true"><serviceTask id="work"><extensionElements>
    <zeebe:taskDefinition type="ping-work" retries="1"/>
  </extensionElements></serviceTask></process>
</definitions>"""


@pytest.fixture
async def token(caller: Caller) -> str:
    return await caller.token()


async def deploy(caller: Caller, token: str) -> tuple[int, str, aiohttp.ClientResponse]:
    form = aiohttp.FormData()
    form.add_field("resources", PING, filename="ping.bpmn", content_type="application/xml")
    url = caller.camunda.url("zeebe") + "/v2/deployments"
    return await caller.ask(url, token=token, method="POST", data=form)


async def post(caller: Caller, token: str, path: str, api: str = "zeebe", **members: Any) -> tuple[int, Any]:
    url = caller.camunda.url(api) + path
    status, text, answer = await caller.ask(url, token=token, method="POST", json=members)
    return status, json.loads(text) if "json" in answer.content_type else text


async def activate(caller: Caller, token: str, milliseconds: int) -> tuple[int, Any]:
    return await post(caller, token, "/v2/jobs/activation", type="ping-work", requestTimeout=milliseconds)


async def test_a_process_is_deployed_started_worked_on_and_found(
    camunda: SimulatedCamunda, caller: Caller, token: str
) -> None:
    assert (await deploy(caller, token))[0] == 200
    _, started = await post(caller, token, "/v2/process-instances", processDefinitionId="ping")
    status, answer = await activate(caller, token, 0)
    (job,) = answer["jobs"]
    assert (status, job["processInstanceKey"]) == (200, started["processInstanceKey"])
    url = f"{camunda.url('zeebe')}/v2/jobs/{job['jobKey']}/completion"
    assert (await caller.ask(url, token=token, method="POST", json={}))[0] == 204
    assert (await caller.ask(url, token=token, method="POST", json={}))[0] == 404
    _, found = await post(caller, token, "/v2/process-instances/search")
    assert [item["state"] for item in found["items"]] == ["COMPLETED"]
    url = f"{camunda.url('operate')}/v1/process-instances/{started['processInstanceKey']}"
    assert (await caller.ask(url, token=token))[0] == 200
    _, listed = await post(caller, token, "/v1/process-definitions/search", "operate")
    assert listed["total"] == 1


async def test_a_long_poll_ends_empty_when_its_time_is_over(
    camunda: SimulatedCamunda, caller: Caller, token: str, clock: FakeClock
) -> None:
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(activate(caller, token, 3000))
        await camunda.news.until(lambda: camunda.api("zeebe").polls == 1)
        await clock.advance(2.9)
        assert not poll.done()
        await clock.advance(0.1)
        assert await poll == (200, {"jobs": []})
    assert await activate(caller, token, -1) == (200, {"jobs": []})


async def test_a_long_poll_gets_the_job_that_comes_meanwhile_and_only_one_does(
    camunda: SimulatedCamunda, caller: Caller, token: str, clock: FakeClock
) -> None:
    await deploy(caller, token)
    async with asyncio.TaskGroup() as tasks:
        polls = [tasks.create_task(activate(caller, token, 20_000)) for _ in range(2)]
        await camunda.news.until(lambda: camunda.api("zeebe").polls == 2)
        await post(caller, token, "/v2/process-instances", processDefinitionId="ping")
        await camunda.news.until(lambda: camunda.api("zeebe").polls == 1)
        await clock.advance(20.0)
    assert sorted(len(poll.result()[1]["jobs"]) for poll in polls) == [0, 1]


async def test_a_long_poll_outlives_its_token(
    camunda: SimulatedCamunda, caller: Caller, clock: FakeClock
) -> None:
    camunda.rules = replace(camunda.rules, token_life=5.0)
    token = await caller.token()
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(activate(caller, token, 20_000))
        await camunda.news.until(lambda: camunda.api("zeebe").polls == 1)
        await clock.advance(20.0)
        assert (await poll)[0] == 200


async def test_a_poll_whose_caller_goes_is_counted(
    camunda: SimulatedCamunda, caller: Caller, token: str
) -> None:
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(activate(caller, token, 20_000))
        await camunda.news.until(lambda: camunda.api("zeebe").polls == 1)
        poll.cancel()
    await camunda.news.until(lambda: camunda.api("zeebe").cut == 1)
    assert camunda.api("zeebe").polls == 0


async def test_the_saas_ingress_ends_a_poll_that_takes_too_long(
    camunda: SimulatedCamunda, caller: Caller, clock: FakeClock
) -> None:
    token = await caller.saas_token()
    url = camunda.url("zeebe", saas=True) + "/v2/jobs/activation"
    ask = caller.ask(url, token=token, method="POST", json={"type": "ping-work", "requestTimeout": 90_000})
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(ask)
        await camunda.news.until(lambda: camunda.api("zeebe", saas=True).polls == 1)
        await clock.advance(60.0)
        assert (await poll)[0] == 504


async def test_awaiting_completion_may_take_too_long(
    camunda: SimulatedCamunda, caller: Caller, token: str, clock: FakeClock
) -> None:
    await deploy(caller, token)
    ask = post(
        caller,
        token,
        "/v2/process-instances",
        processDefinitionId="ping",
        awaitCompletion=True,
        requestTimeout=2000,
    )
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(ask)
        await camunda.engine.news.until(lambda: len(camunda.engine.jobs) == 1)
        await clock.advance(2.0)
        status, answer = await waiting
    assert (status, answer["title"]) == (504, "java.util.concurrent.TimeoutException")


async def test_old_names_and_bodies_that_are_no_json_are_bad_requests(caller: Caller, token: str) -> None:
    assert (await post(caller, token, "/v2/process-instances", bpmnProcessId="ping"))[0] == 400
    assert (await post(caller, token, "/v2/process-instances", processDefinitionId="unknown"))[0] == 404
    url = caller.camunda.url("zeebe") + "/v2/process-instances"
    assert (await caller.ask(url, token=token, method="POST", data=b"{"))[0] == 400


async def test_a_multipart_body_without_its_end_is_refused(caller: Caller, token: str) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    url = caller.camunda.url("zeebe") + "/v2/deployments"
    cut = b"--b\r\n\r\n" + PING
    for body, status in ((cut, 400), (cut + b"\r\n--b--\r\n", 200)):
        answer = await caller.ask(url, token=token, method="POST", headers=headers, data=body)
        assert answer[0] == status


async def test_unknown_paths_and_methods(camunda: SimulatedCamunda, caller: Caller, token: str) -> None:
    assert (await caller.ask(camunda.url("zeebe") + "/v2/nothing", token=token))[0] == 404
    _, _, answer = await caller.ask(camunda.url("zeebe") + "/v2/topology", token=token, method="DELETE")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    assert (await caller.ask(camunda.url("zeebe") + "/v2/topology", token=token, method="HEAD"))[:2] == (
        200,
        "",
    )


async def test_a_body_over_the_limit_is_too_large_but_only_with_a_token(
    camunda: SimulatedCamunda, caller: Caller, token: str
) -> None:
    url = camunda.url("zeebe") + "/v2/deployments"
    large = b"x" * (4 * 1024 * 1024 + 1)

    async def pieces() -> Any:
        for at in range(0, len(large), 1 << 20):
            yield large[at : at + (1 << 20)]

    status, text, answer = await caller.ask(
        url, token=token, method="POST", data=io.BytesIO(large), expect100=True
    )
    assert (status, text, answer.headers["Connection"]) == (413, "", "close")
    assert (await caller.ask(url, token=token, method="POST", data=pieces()))[0] == 413
    assert (await caller.ask(url, method="POST", data=io.BytesIO(large), expect100=True))[0] == 401
    status, _, _ = await caller.ask(
        url, token=token, method="POST", data=io.BytesIO(large[:-1]), expect100=True
    )
    assert status == 415


async def test_a_head_over_the_limit_is_a_bad_request_whoever_asks(
    camunda: SimulatedCamunda, caller: Caller, token: str
) -> None:
    url = camunda.url("zeebe") + "/v2/topology"
    for shown in (token, None):
        _, _, answer = await caller.ask(url, token=shown, headers={"X-Long": "x" * 8192})
        assert (answer.status, answer.content_type) == (400, "text/html")
        assert answer.headers["Connection"] == "close"
    assert (await caller.ask(url, token=token, headers={"X-Long": "x" * 6000}))[0] == 200


async def test_an_export_goes_on_where_it_stopped(
    camunda: SimulatedCamunda, caller: Caller, token: str
) -> None:
    url = camunda.url("optimize") + "/api/public/export/report/r1/result/json"
    page: dict[str, Any] = {"searchRequestId": "", "numberOfRecordsInResponse": -1}
    rows = []
    while page["numberOfRecordsInResponse"]:
        query = {"limit": "1000", "paginationTimeout": "60", "searchRequestId": page["searchRequestId"]}
        page = json.loads((await caller.ask(url, token=token, params=query))[1])
        rows += [row["processInstanceId"] for row in page["data"]]
    assert rows == [str(number) for number in range(page["totalNumberOfRecords"])]


@pytest.mark.parametrize(
    "begun", [b"Content-Length: 9\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"]
)
async def test_a_body_that_ends_too_early_is_never_answered(
    camunda: SimulatedCamunda, token: str, begun: bytes
) -> None:
    api = camunda.api("zeebe")
    host, port = api.host.split(":")
    head = f"POST /v2/process-instances HTTP/1.1\r\nHost: {api.host}\r\nAuthorization: Bearer {token}\r\n"
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode() + begun)
    await writer.drain()
    writer.close()
    await camunda.news.until(lambda: api.cut == 1)
    assert not api.statuses


async def test_a_job_that_fails_without_a_retry_is_an_incident_and_searches_have_pages(
    caller: Caller, token: str
) -> None:
    await deploy(caller, token)
    for _ in range(3):
        await post(caller, token, "/v2/process-instances", processDefinitionId="ping")
    _, answer = await post(caller, token, "/v2/jobs/activation", type="ping-work", maxJobsToActivate=3)
    for retries, job in zip((1, 0, 0), answer["jobs"], strict=True):
        url = f"{caller.camunda.url('zeebe')}/v2/jobs/{job['jobKey']}/failure"
        failure = {"retries": retries, "errorMessage": "no address"}
        assert (await caller.ask(url, token=token, method="POST", json=failure))[0] == 204
        assert (await caller.ask(url, token=token, method="POST", json=failure))[0] == 404
    _, first = await post(caller, token, "/v2/incidents/search", page={"limit": 1})
    after = {"limit": 1, "after": first["page"]["endCursor"]}
    _, second = await post(caller, token, "/v2/incidents/search", page=after)
    _, end = await post(caller, token, "/v2/incidents/search", page={"after": second["page"]["endCursor"]})
    found = [item["processInstanceKey"] for page in (first, second, end) for item in page["items"]]
    assert found == [job["processInstanceKey"] for job in answer["jobs"][1:]]
    assert end["page"] == {
        "totalItems": 2,
        "hasMoreTotalItems": False,
        "startCursor": None,
        "endCursor": None,
    }
    assert (await activate(caller, token, 0))[1]["jobs"][0]["jobKey"] == answer["jobs"][0]["jobKey"]
