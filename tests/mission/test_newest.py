"""Camunda 8.10: what is below a physical tenant and what is not, and what has gone."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.demo import Rules, SimulatedCamunda, simulated_camunda
from tests.mission.before_camunda import house
from tests.mission.test_rows import identity, shared, user


@pytest.fixture
async def camunda() -> AsyncIterator[SimulatedCamunda]:
    async with simulated_camunda(rules=Rules(token_gap=0.0)) as simulated:
        yield simulated


def tenant(camunda: SimulatedCamunda, name: str, inside: str = "payments") -> dict[str, Any]:
    return {"api": "zeebe", "url": camunda.url(name), "physical_tenant": inside, "credential": "mine"}


@pytest.mark.parametrize("kind", ["session", "as_session"])
async def test_a_tenant_has_a_session_of_its_own(
    kind: str, camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    credential = user("session") if kind == "session" else user("basic", as_session=True)
    upstreams = {
        "tenant": tenant(camunda, "cluster-8.10"),
        "all": {"api": "zeebe", "url": camunda.url("cluster-8.10"), "credential": "mine"},
    }
    async with house(tmp_path, camunda, upstreams, {"mine": credential(camunda, tmp_path)}) as home:
        for name in upstreams:
            for method, path in (("GET", "/v2/topology"), ("POST", "/v2/process-instances/search")):
                answer = await home.ask(name, method, path)
                assert (answer.status, answer.leaks) == (200, [])
            assert (await home.ask(name, "GET", "/v2/status")).status == 204
    inner = camunda.api("cluster-8.10").parts["/physical-tenants/payments"].sessions
    assert inner is not None
    assert (inner.count("ok"), inner.logouts) == (1, 1)
    assert camunda.sessions("cluster-8.10").count("ok") == 1
    assert camunda.complaints == []


async def test_the_status_of_the_server_is_asked_outside_the_tenant_and_bare(
    camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    """The tenant's identity provider may be unknown to the rest of the server: its token gets a 401 there."""
    credentials = {"mine": identity("payments")(camunda, tmp_path)}
    upstreams = {"tenant": tenant(camunda, "orchestration-8.10")}
    async with house(tmp_path, camunda, upstreams, credentials) as home:
        assert (await home.ask("tenant", "GET", "/v2/topology")).status == 200
        for path in ("/v2/status", "/cluster/v2/status", "/cluster/v2/status/upgrade?x=1"):
            assert (await home.ask("tenant", "GET", path)).status == 204, path
        assert (await home.ask("tenant", "GET", "/v2/statuses")).status == 404
    assert camunda.api("orchestration-8.10").refusals == {}
    assert camunda.complaints == []


async def test_an_unknown_tenant_and_the_rest_of_the_cluster_admin_api_stay_below_it(
    camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    credentials = {"mine": identity("payments")(camunda, tmp_path)}
    upstreams = {"tenant": tenant(camunda, "orchestration-8.10", "nobody")}
    async with house(tmp_path, camunda, upstreams, credentials) as home:
        for path in ("/v2/topology", "/cluster/v2/topology"):
            answer = await home.ask("tenant", "GET", path)
            assert (answer.status, "no such physical tenant" in answer.text) == (404, True)


async def test_the_cluster_admin_api_has_a_credential_of_its_own(
    camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    credentials = {
        "mine": user("session")(camunda, tmp_path),
        "admin": {"type": "basic", "username": camunda.administrator, "password": camunda.password},
    }
    url = camunda.url("cluster-8.10")
    upstreams = {
        "zeebe": {"url": url, "credential": "mine"},
        "cluster-admin": {"api": "zeebe", "url": url, "credential": "admin"},
    }
    async with house(tmp_path, camunda, upstreams, credentials) as home:
        assert (await home.ask("cluster-admin", "GET", "/cluster/v2/topology")).status == 200
        assert (await home.ask("zeebe", "GET", "/v2/topology")).status == 200


@pytest.mark.parametrize(
    ("api", "behind", "path", "status", "instead"),
    [
        ("operate", "orchestration-8.10", "/v1/process-instances/1", 404, "use `zeebe`"),
        ("tasklist", "orchestration-8.10", "/v1/tasks/1", 404, "use `zeebe`"),
        ("optimize", "optimize-8.10", "/api/public/dashboard", 401, "type oauth2"),
    ],
)
async def test_what_has_gone_is_said_in_the_log_once_and_in_each_request_line(
    api: str,
    behind: str,
    path: str,
    status: int,
    instead: str,
    camunda: SimulatedCamunda,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    credential = shared if api == "optimize" else identity()
    upstreams = {api: {"url": camunda.url(behind), "credential": "mine"}}
    async with house(
        tmp_path, camunda, upstreams, {"mine": credential(camunda, tmp_path)}, log={"requests": True}
    ) as home:
        for _ in range(2):
            assert (await home.ask(api, "GET", path)).status == status
    warnings = [
        record.getMessage() for record in caplog.records if "answered a request with" in record.getMessage()
    ]
    hints = [record.__dict__["hint"] for record in caplog.records if record.getMessage() == "request"]
    assert len(warnings) == 1
    assert len(hints) == 2
    assert all(instead in sentence for sentence in (*warnings, *hints))


async def test_other_answers_have_no_hint(
    camunda: SimulatedCamunda, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    upstreams = {"operate": {"url": camunda.url("operate"), "credential": "mine"}}
    credentials = {"mine": identity()(camunda, tmp_path)}
    async with house(tmp_path, camunda, upstreams, credentials, log={"requests": True}) as home:
        assert (await home.ask("operate", "POST", "/v1/process-definitions/search")).status == 200
        assert (await home.ask("operate", "PUT", "/v1/process-definitions/search")).status == 405
    hints = [record.__dict__["hint"] for record in caplog.records if record.getMessage() == "request"]
    assert hints == [None, None]
