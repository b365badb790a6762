"""A read-only proxy before the simulated Camunda: nothing changes there, in whatever spelling it is asked."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.access.operations import APIS, operations
from proxy.config.load import load
from proxy.demo import Rules, SimulatedCamunda, simulated_camunda
from tests.access.spellings import JSON, PARTS, Spelled, overridden, spelled
from tests.clock import FakeClock
from tests.gateway.wire import Wire
from tests.mission.before_camunda import BPMN, House, house
from tests.mission.test_rows import identity

START = json.dumps({"processDefinitionId": "mission"}).encode()
TAKE = json.dumps({"type": "work", "maxJobsToActivate": 1, "requestTimeout": -1}).encode()
DEPLOYMENT = b"--x\r\n\r\n%b\r\n--x--\r\n" % BPMN.replace(b"mission", b"another")


@pytest.fixture
async def camunda() -> AsyncIterator[SimulatedCamunda]:
    async with simulated_camunda(clock=FakeClock(), rules=Rules(token_life=86_400.0)) as simulated:
        yield simulated


@asynccontextmanager
async def before(camunda: SimulatedCamunda, folder: Path, **rules: Any) -> AsyncIterator[House]:
    upstream = {"url": camunda.url("orchestration"), "credential": "identity", **rules}
    async with house(folder, camunda, {"zeebe": upstream}, {"identity": identity()(camunda, folder)}) as home:
        assert (await home.ask("zeebe", "GET", "/v2/topology")).status == 200
        yield home


def changes(job: int) -> Iterator[Spelled]:
    yield from spelled("POST", "/v2/process-instances", START, JSON)
    yield from spelled("POST", "/v2/jobs/activation", TAKE, JSON)
    yield from spelled("POST", f"/v2/jobs/{job}/completion", b"{}", JSON)
    yield from spelled("POST", "/v2/deployments", DEPLOYMENT, PARTS)
    yield from overridden("DELETE", "/v2/process-instances/search")


def state(camunda: SimulatedCamunda) -> tuple[object, ...]:
    engine = camunda.engine
    done = [each.completed for each in engine.instances.values()]
    return len(engine.processes), len(engine.instances), done, sorted(engine.jobs), sorted(engine.taken)


def taken_job(camunda: SimulatedCamunda) -> int:
    """The key of a job that a worker has."""
    camunda.engine.start(camunda.engine.processes["mission"])
    (key,) = camunda.engine.take("work", 1)
    return key


async def send_all(home: House, requests: Iterator[Spelled]) -> list[tuple[Spelled, int, bool]]:
    """Send each on a connection of its own; return the status of each, and whether Camunda answered."""
    port, answers = home.served("zeebe").bound.port, []

    async def one(request: Spelled, *, chunked: bool) -> tuple[Spelled, int, bool]:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
        wire.send(request.encoded(chunked=chunked))
        head = await wire.head()
        wire.cut()
        return request, head.status, head.get(b"proxy-status") is None

    for number, request in enumerate(requests):
        answers.append(await one(request, chunked=number % 3 == 0))
    return answers


async def test_under_read_only_nothing_changes(camunda: SimulatedCamunda, tmp_path: Path) -> None:
    async with before(camunda, tmp_path, read_only=True) as home:
        job = taken_job(camunda)
        was = state(camunda)
        answers = await send_all(home, changes(job))
        assert len(answers) > 1500
        assert state(camunda) == was
        # What Camunda saw of them: only reads, with a query or an absolute form
        passed = {request.target for request, _, forwarded in answers if forwarded}
        assert not passed
    assert camunda.complaints == []


async def test_without_rules_the_same_requests_do_change_something(
    camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    """Else the test above would show nothing."""
    async with before(camunda, tmp_path) as home:
        taken_job(camunda)
        answers = await send_all(home, spelled("POST", "/v2/process-instances", START, JSON))
        assert len(camunda.engine.instances) > 40
        assert sum(forwarded for _, _, forwarded in answers) > 300


async def test_deny_refuses_every_spelling_too(camunda: SimulatedCamunda, tmp_path: Path) -> None:
    deny = ["POST /v2/process-instances", "* /v2/jobs/**", "POST /v2/deployments"]
    async with before(camunda, tmp_path, deny=deny) as home:
        job = taken_job(camunda)
        was = state(camunda)
        await send_all(home, changes(job))
        assert state(camunda) == was
        assert (await home.ask("zeebe", "GET", "/v2/topology")).status == 200


async def test_every_operation_that_reads_is_forwarded(camunda: SimulatedCamunda, tmp_path: Path) -> None:
    async with before(camunda, tmp_path, read_only=True) as home:
        for each in operations("zeebe"):
            if each.kind == "reads" and each.name != "mcp":
                answer = await home.ask("zeebe", each.method, re.sub(r"\{\w+\}", "4711", each.path))
                assert not answer.ours, each
            elif each.name != "mcp":
                answer = await home.ask("zeebe", each.method, re.sub(r"\{\w+\}", "4711", each.path))
                assert answer.ours, each
                assert answer.status in (403, 405)


async def test_a_change_that_allow_names_is_carried_out(camunda: SimulatedCamunda, tmp_path: Path) -> None:
    allow = ["POST /v2/process-instances"]
    async with before(camunda, tmp_path, read_only=True, allow=allow) as home:
        taken_job(camunda)
        was = len(camunda.engine.instances)
        ((_, status, forwarded),) = await send_all(
            home, iter((Spelled("POST", "/v2/process-instances", (JSON,), START),))
        )
        assert (status, forwarded, len(camunda.engine.instances)) == (200, True, was + 1)
        assert (await home.ask("zeebe", "POST", "/v2/jobs/activation")).code == "not_permitted"


async def test_a_tenant_and_a_cluster_id_belong_to_the_base_url(
    camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    upstreams: dict[str, dict[str, Any]] = {
        "zeebe": {"url": camunda.url("zeebe", saas=True)},
        "tenant": {"api": "zeebe", "url": camunda.url("orchestration-8.10"), "physical_tenant": "payments"},
        "modeler": {"url": camunda.url("modeler", saas=True)},
    }
    upstreams = {name: {"credential": "any", "read_only": True, **each} for name, each in upstreams.items()}
    any_token = {"any": {"type": "bearer", "token": "any"}}
    async with house(tmp_path, camunda, upstreams, any_token) as home:
        for name, method, path in (
            ("zeebe", "POST", "/v2/process-instances/search"),
            ("tenant", "POST", "/v2/process-instances/search"),
            ("tenant", "GET", "/v2/status"),
            ("tenant", "GET", "/cluster/v2/status"),
            ("modeler", "POST", "/v1/files/search"),
        ):
            assert not (await home.ask(name, method, path)).ours, path
        for name, method, path in (
            ("zeebe", "POST", "/v2/process-instances"),
            ("tenant", "POST", "/v2/process-instances"),
            ("tenant", "POST", "/physical-tenants/other/v2/process-instances/search"),
            ("modeler", "POST", "/v1/files"),
        ):
            assert (await home.ask(name, method, path)).code == "not_permitted", path


def test_each_api_has_operations_that_read_and_that_change() -> None:
    for api in APIS:
        assert {each.kind for each in operations(api)} >= {"reads", "changes"}, api


async def test_a_reload_changes_the_rules_of_requests_that_begin_afterwards(
    camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    async with before(camunda, tmp_path) as home:
        taken_job(camunda)
        wire = Wire(*await asyncio.open_connection("127.0.0.1", home.served("zeebe").bound.port))
        start = Spelled("POST", "/v2/process-instances", (JSON,), START).encoded()
        read = Spelled("POST", "/v2/process-instances/search", (JSON,), b"{}").encoded()
        changes: list[tuple[dict[str, Any], int]] = [
            *(({}, 200), ({"read_only": True}, 403), ({"allow": ["POST /v2/process-instances"]}, 200)),
            ({"allow": ["GET /v2/topology"]}, 403),
        ]
        for rules, status in changes:
            path = tmp_path / "camunda-auth-proxy.yaml"
            tree = json.loads(path.read_text(encoding="utf-8"))
            for key in ("read_only", "allow"):
                tree["upstreams"]["zeebe"].pop(key, None)
            tree["upstreams"]["zeebe"] |= rules
            path.write_text(json.dumps(tree), encoding="utf-8")
            await home.proxy.apply(load(config=path, env_file=None, environ={}, directory=tmp_path))
            wire.send(start)  # on the same connection
            assert (await wire.message()).status == status
        assert home.served("zeebe").upstream.access is not None
        wire.send(read)
        assert (await wire.message()).status == 403
        wire.cut()
