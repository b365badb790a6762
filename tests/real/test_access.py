"""A read-only proxy before real Spring: nothing changes there, in whatever spelling it is asked."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from proxy.access.operations import Operations, table
from scripts.operations_table import Found, in_folder, of_cluster_api, of_python, of_sdk
from tests.access.spellings import JSON, PARTS, Spelled, overridden, spelled
from tests.gateway.wire import Wire
from tests.real.conftest import only
from tests.real.servers import HERE, RUN, Keycloak, StandIn
from tests.real.sidecar import Sidecar, sidecar
from tests.real.test_tokens import resource
from tests.real.traffic import eventually

pytestmark = pytest.mark.real


def changes(process: str, job: int) -> Iterator[Spelled]:
    bpmn = (HERE / "ping.bpmn").read_text().replace("ping", f"{process}-more")
    part = 'Content-Disposition: form-data; name="resources"; filename="a.bpmn"'
    yield from spelled("POST", "/v2/process-instances", encoded({"processDefinitionId": process}), JSON)
    take = {"type": f"{process}-work", "maxJobsToActivate": 1, "requestTimeout": -1, "timeout": 600_000}
    yield from spelled("POST", "/v2/jobs/activation", encoded(take), JSON)
    yield from spelled("POST", f"/v2/process-instances/{job}/cancellation", b"{}", JSON)
    yield from spelled("POST", "/v2/deployments", f"--x\r\n{part}\r\n\r\n{bpmn}\r\n--x--\r\n".encode(), PARTS)
    yield from overridden("DELETE", "/v2/process-instances/search")


def encoded(members: dict[str, Any]) -> bytes:
    return json.dumps(members).encode()


async def send_all(url: str, requests: Iterator[Spelled]) -> list[tuple[Spelled, int, bool]]:
    """Status of each, and whether the server answered and not the proxy."""
    where = urlsplit(url)

    async def one(request: Spelled, *, chunked: bool) -> tuple[Spelled, int, bool]:
        wire = Wire(*await asyncio.open_connection(where.hostname, where.port))
        wire.send(request.encoded(chunked=chunked))
        head = await wire.head()
        wire.cut()
        return request, head.status, head.get(b"proxy-status") is None

    return [await one(request, chunked=number % 3 == 0) for number, request in enumerate(requests)]


async def started(proxy: Sidecar, process: str) -> int:
    return (await proxy.call("/v2/process-instances", "POST", json={"processDefinitionId": process})).status


@only("8.6", "8.8", "8.10")
async def test_under_read_only_nothing_changes(keycloak: Keycloak, standin: StandIn, tmp_path: Path) -> None:
    process = f"readonly-{uuid4()}"
    client = {"type": "oauth2", "token_url": keycloak.token_url, "client_secret": "secret"}
    client |= {"client_id": "orchestration"}
    url = standin.url("zeebe")
    async with (
        sidecar(tmp_path, url, **client) as writing,
        sidecar(tmp_path, url, rules={"read_only": True}, **client) as reading,
    ):
        await eventually(writing.ready)
        await eventually(reading.ready)
        bpmn = (HERE / "ping.bpmn").read_text().replace("ping", process).encode()
        assert (await writing.call("/v2/deployments", "POST", data=resource(bpmn))).status == 200
        instance = await writing.call("/v2/process-instances", "POST", json={"processDefinitionId": process})
        key = int(instance.json["processInstanceKey"])

        answers = await send_all(reading.url, changes(process, key))
        assert len(answers) > 1500
        assert {request.target for request, _, forwarded in answers if forwarded} == set()
        assert (await reading.call("/v2/topology")).status == 200
        assert (await reading.call("/v2/process-instances/search", "POST", json={})).status == 200

        take = {"type": f"{process}-work", "maxJobsToActivate": 9, "requestTimeout": -1, "timeout": 1000}
        jobs = await writing.call("/v2/jobs/activation", "POST", json=take)
        assert len(jobs.json["jobs"]) == 1  # neither locked, nor gone with its instance, nor one of several
        assert await started(writing, f"{process}-more") == 404  # not deployed


@only("8.6", "8.8", "8.10")
async def test_without_rules_the_same_requests_do_change_something(
    keycloak: Keycloak, standin: StandIn, tmp_path: Path
) -> None:
    """Else the test above would show nothing."""
    process = f"writable-{uuid4()}"
    client = {"type": "oauth2", "token_url": keycloak.token_url, "client_secret": "secret"}
    async with sidecar(tmp_path, standin.url("zeebe"), client_id="orchestration", **client) as proxy:
        await eventually(proxy.ready)
        bpmn = (HERE / "ping.bpmn").read_text().replace("ping", process).encode()
        assert (await proxy.call("/v2/deployments", "POST", data=resource(bpmn))).status == 200
        wish = encoded({"processDefinitionId": process})
        answers = await send_all(proxy.url, spelled("POST", "/v2/process-instances", wish, JSON))
        assert len([1 for _, status, forwarded in answers if forwarded and status == 200]) > 5
        take = {"type": f"{process}-work", "maxJobsToActivate": 999, "requestTimeout": -1, "timeout": 1000}
        jobs = (await proxy.call("/v2/jobs/activation", "POST", json=take)).json["jobs"]
        assert len(jobs) > 5


API = {
    "operate-v1": "operate",
    "tasklist-v1": "tasklist",
    "modeler-v1": "modeler",
    "administration": "console",
}
MISTAKES = {
    ("GET", "/api/report"),
    ("GET", "/api/public/import"),
}  # of @camunda8/sdk; see scripts/operations.tsv


def of_the_clients() -> Iterator[Found]:
    """What the clients that these tests use can do."""
    (python,) = (RUN / "clients/python/lib").glob("python3*/site-packages/camunda_orchestration_sdk")
    yield from of_python(in_folder(python, "camunda_orchestration_sdk"), "")
    javascript = RUN / "clients/javascript/node_modules/@camunda8"
    yield from of_cluster_api(in_folder(javascript / "orchestration-cluster-api", "package"), "")
    yield from of_sdk(in_folder(javascript / "sdk", "package"), "")


def test_every_operation_of_the_clients_is_in_one_class() -> None:
    found = set(of_the_clients())
    assert len(found) > 300
    unknown = set()
    for each in found:
        api = API.get(each.api, each.api if each.api == "optimize" else "zeebe")
        target = re.sub(r"\{\w+\}", "4711", each.path).encode()
        operation = Operations(api).of(each.method.encode(), target)
        if operation is None:
            unknown.add((each.method, each.path))
        else:
            rows = [row for row in table() if (row.method, row.path) == (operation.method, operation.path)]
            assert len({row.kind for row in rows}) == 1, each
    assert unknown <= MISTAKES
