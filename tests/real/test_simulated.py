"""The simulated Camunda against real Spring Security, and both against the official client's schemas."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import pytest

from proxy.demo import SimulatedCamunda, simulated_camunda
from proxy.demo.gate import Jwt
from tests.real import probes
from tests.real.conftest import only, shared
from tests.real.servers import HERE, Keycloak, StandIn
from tests.real.test_challenges import token_of

pytestmark = pytest.mark.real

USER = {"username": "demo", "password": "demo"}
SESSIONS = [
    *[(release, app, f"{app}-8.6") for release in ("8.6", "8.7") for app in ("operate", "tasklist")],
    ("8.8", "cluster", "cluster-8.8"),
    ("8.9", "cluster", "cluster-8.8"),
    ("8.10", "cluster", "cluster-8.10"),
    ("8.10", "tenant", "cluster-8.10"),
]
BASIC = [
    ("8.6", "basic", "zeebe-basic"),
    ("8.7", "basic", "zeebe-basic"),
    ("8.8", "cluster", "cluster-8.8"),
    ("8.9", "cluster", "cluster-8.8"),
    ("8.10", "cluster", "cluster-8.10"),
]
TOKENS = [
    *[(release, "zeebe", "zeebe") for release in ("8.6", "8.7")],
    *[(release, "operate-tokens", "operate") for release in ("8.6", "8.7")],
    *[(release, "zeebe", "orchestration") for release in ("8.8", "8.9", "8.10")],
]


@pytest.fixture
async def camunda() -> AsyncIterator[SimulatedCamunda]:
    async with simulated_camunda() as simulated:
        yield simulated


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as opened:
        yield opened


@pytest.mark.parametrize(("release", "app", "simulated"), SESSIONS)
async def test_sessions_are_simulated_as_real_spring_has_them(
    release: str, app: str, simulated: str, camunda: SimulatedCamunda, session: aiohttp.ClientSession
) -> None:
    login = camunda.sessions(simulated).dialect.login
    real = probes.Visitor(session, shared(release).url(app))
    own = {"username": camunda.username, "password": camunda.password}
    seen = await probes.of_sessions(real, login, USER)
    assert await probes.of_sessions(probes.Visitor(session, camunda.url(simulated)), login, own) == seen


@pytest.mark.parametrize(("release", "app", "simulated"), BASIC)
async def test_basic_is_simulated_as_real_spring_has_it(
    release: str, app: str, simulated: str, camunda: SimulatedCamunda, session: aiohttp.ClientSession
) -> None:
    real = probes.Visitor(session, shared(release).url(app))
    seen = await probes.of_basic(real, "demo", "demo")
    visitor = probes.Visitor(session, camunda.url(simulated))
    assert await probes.of_basic(visitor, camunda.username, camunda.password) == seen


@pytest.mark.parametrize(("release", "app", "simulated"), TOKENS)
async def test_tokens_are_refused_as_real_spring_refuses_them(
    release: str,
    app: str,
    simulated: str,
    keycloak: Keycloak,
    camunda: SimulatedCamunda,
    session: aiohttp.ClientSession,
) -> None:
    search = "/v1/process-definitions/search" if app != "zeebe" else "/v2/process-instances/search"
    gate = camunda.api(simulated).gate
    assert isinstance(gate, Jwt)
    real = probes.Visitor(session, shared(release).url(app))
    good = await token_of(keycloak, "orchestration")
    claims = jwt.decode(good, options={"verify_signature": False})
    claims["iss"] = keycloak.url.replace("camunda-platform", "master")  # nobody trusts that one
    seen = await probes.of_tokens(real, good, jwt.encode(claims, "another key " * 4), search)

    visitor = probes.Visitor(session, camunda.url(simulated))
    good, foreign = (camunda.mint.issue("any", [each], 300) for each in (gate.audience, "other-api"))
    assert await probes.of_tokens(visitor, good, foreign, search) == seen


@only("8.7", "8.8", "8.9", "8.10")
async def test_requests_and_answers_of_the_stand_in_fit_the_official_schemas(
    standin: StandIn, keycloak: Keycloak, session: aiohttp.ClientSession
) -> None:
    session.headers["Authorization"] = f"Bearer {await token_of(keycloak, 'orchestration')}"
    assert (
        await findings(await conversation(session, standin.url("zeebe"), f"schemas-{standin.release}")) == []
    )


async def test_requests_and_answers_of_the_simulated_camunda_fit_the_official_schemas(
    camunda: SimulatedCamunda, session: aiohttp.ClientSession
) -> None:
    session.headers["Authorization"] = f"Bearer {camunda.mint.issue('any', ['orchestration-api'], 300)}"
    assert await findings(await conversation(session, camunda.url("orchestration"), "ping")) == []


async def conversation(session: aiohttp.ClientSession, url: str, process: str) -> list[dict[str, Any]]:
    """Requests and answers of one process, from deployment to end, as clients/schemas.mjs takes them."""
    lines: list[dict[str, Any]] = []

    async def call(op: str, method: str, path: str, wish: Any = None, **how: Any) -> Any:
        if wish is not None:
            lines.append({"op": op, "part": "Data", "value": wish})
            how["json"] = wish["body"]
        async with session.request(method, url + path, **how) as answer:
            assert answer.status in (200, 204), await answer.text()
            value = await answer.json() if answer.status == 200 else None
        if value is not None:
            lines.append({"op": op, "part": "Response", "value": value})
        return value

    await call("getTopology", "GET", "/v2/topology")
    await call("getLicense", "GET", "/v2/license")
    form = aiohttp.FormData()
    bpmn = (HERE / "ping.bpmn").read_text().replace("ping", process)
    form.add_field("resources", bpmn.encode(), filename="ping.bpmn")
    await call("createDeployment", "POST", "/v2/deployments", data=form)
    start = {"processDefinitionId": process, "variables": {"word": "größer"}}
    await call("createProcessInstance", "POST", "/v2/process-instances", {"body": start})
    wish = {"type": f"{process}-work", "timeout": 60_000, "maxJobsToActivate": 1, "requestTimeout": 1000}
    (job,) = (await call("activateJobs", "POST", "/v2/jobs/activation", {"body": wish}))["jobs"]
    await call("searchProcessInstances", "POST", "/v2/process-instances/search", {"body": {}})
    done = {"path": {"jobKey": job["jobKey"]}, "body": {}}
    await call("completeJob", "POST", f"/v2/jobs/{job['jobKey']}/completion", done)
    return lines


async def findings(lines: list[dict[str, Any]]) -> list[str]:
    """What the schemas find wrong."""
    running = await asyncio.create_subprocess_exec(
        HERE / "clients/clients.sh",
        "schemas",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await running.communicate("".join(json.dumps(line) + "\n" for line in lines).encode())
    assert running.returncode == 0
    found = [json.loads(line) for line in said.splitlines()]
    assert len(found) == len(lines)
    return [
        f"{line['op']} {line['part']} {each}" for line, of in zip(lines, found, strict=True) for each in of
    ]
