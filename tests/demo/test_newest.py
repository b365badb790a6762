"""The simulated Camunda 8.10."""

from typing import Any

import pytest

from proxy.demo import SimulatedCamunda
from tests.demo.conftest import Caller

NAME = "orchestration-8.10"
TENANT = "/physical-tenants/payments"


@pytest.mark.parametrize(
    ("client", "method", "path", "status"),
    [
        ("orchestration", "GET", "/v2/topology", 200),
        ("orchestration", "POST", "/v1/process-instances/search", 404),
        ("orchestration", "POST", "/v1/tasks/search", 404),
        ("payments", "GET", f"{TENANT}/v2/topology", 200),
        ("orchestration", "GET", f"{TENANT}/v2/topology", 401),
        ("payments", "GET", "/v2/topology", 401),
        ("payments", "GET", f"{TENANT}/v2/status", 404),
        ("cluster-admin", "GET", "/cluster/v2/topology", 200),
        ("orchestration", "GET", "/cluster/v2/topology", 401),
    ],
)
async def test_each_part_wants_its_own_token(
    client: str, method: str, path: str, status: int, camunda: SimulatedCamunda, caller: Caller
) -> None:
    token = await caller.token(client)
    body: dict[str, Any] = {"json": {}} if method == "POST" else {}
    assert (await caller.ask(camunda.url(NAME) + path, token=token, method=method, **body))[0] == status


@pytest.mark.parametrize("token", [None, "garbage"])
@pytest.mark.parametrize(
    "path",
    [
        "/cluster/v2/status",
        "/cluster/v2/status/upgrade",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp/cluster",
    ],
)
async def test_what_is_public_ignores_authorization(
    path: str, token: str | None, camunda: SimulatedCamunda, caller: Caller
) -> None:
    assert (await caller.ask(camunda.url(NAME) + path, token=token))[0] in (200, 204)


async def test_an_unknown_tenant_is_told_before_authentication(
    camunda: SimulatedCamunda, caller: Caller
) -> None:
    assert (await caller.ask(camunda.url(NAME) + "/physical-tenants/x/v2/topology"))[0] == 404


@pytest.mark.parametrize(
    ("token", "challenge"),
    [(None, "Bearer resource_metadata="), ("x", 'Bearer error="invalid_token", resource_metadata=')],
)
async def test_the_challenge_names_the_metadata(
    token: str | None, challenge: str, camunda: SimulatedCamunda, caller: Caller
) -> None:
    status, _, answer = await caller.ask(camunda.url(NAME) + "/v2/topology", token=token)
    assert status == 401
    assert answer.headers["WWW-Authenticate"].startswith(challenge)


async def test_hub_tells_a_missing_token_from_a_missing_permission(
    camunda: SimulatedCamunda, caller: Caller
) -> None:
    url = camunda.url("hub") + "/api/v2/files/search"
    allowed, other = await caller.token(), await caller.token("no-permission")
    answers = [await caller.ask(url, token=token, method="POST", json={}) for token in (None, other, allowed)]
    assert [status for status, _, _ in answers] == [401, 403, 200]


async def test_optimize_does_not_accept_the_shared_token(camunda: SimulatedCamunda, caller: Caller) -> None:
    url = camunda.url("optimize-8.10")
    token = await caller.token()
    assert (await caller.ask(f"{url}/api/public/dashboard", token=camunda.shared_token))[0] == 401
    assert (await caller.ask(f"{url}/api/public/dashboard", token=token))[0] == 200
    assert (await caller.ask(f"{url}/api/readyz", token="garbage"))[0] == 200
