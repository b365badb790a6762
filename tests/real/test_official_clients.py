"""Camunda's own clients with the variables that our command `env` prints (docs/clients.md): what each can do
at a real engine with credentials of its own, it can do through the proxy without them."""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tests.real.conftest import Start
from tests.real.servers import HERE, Engine, Keycloak
from tests.real.traffic import eventually

pytestmark = pytest.mark.real

OPERATIONS = {"topology", "deploy", "create", "activate", "complete", "wait", "publish", "cancel", "search"}
CALLER_TOKEN = "what-callers-show-here"


class Client(NamedTuple):
    """One of those that clients/clients.sh fetches."""

    name: str
    fails: set[str]  # at an engine of 8.6.0; the other operations work
    needs: Mapping[str, str] = MappingProxyType({})  # variables that `env` does not print


# `cancel` is of an instance that has ended, `search` asks an engine that has no such thing: a 404 each.
TYPESCRIPT = Client("orchestration-cluster-api", {"cancel", "search"})
JAVASCRIPT = Client("sdk", {"cancel", "search"})
# It takes the rest of what 8.6 answers, with a 200, for malformed.
PYTHON = Client("orchestration_sdk", OPERATIONS - {"complete", "wait"})
# It does not see the key of 8.6's jobs, so completes none, and the instance is still there to be cancelled.
JAVA = Client("camunda-client-java", {"complete", "search"})
# It gives an empty poll up just before the engine's answer.
JAVA_8_6 = Client(
    "zeebe-client-java",
    {"wait", "cancel", "search"},
    {"ZEEBE_PREFER_REST": "true", "ZEEBE_INSECURE_CONNECTION": "true"},
)


@pytest.mark.parametrize(
    "client", [TYPESCRIPT, JAVASCRIPT, PYTHON, JAVA, JAVA_8_6], ids=lambda client: client.name
)
async def test_what_an_official_client_can_do_with_credentials_it_can_do_through_the_proxy_without(
    client: Client, start: Start, keycloak: Keycloak, engine: Engine, tmp_path: Path
) -> None:
    directly = await outcomes(client, tmp_path, own_credentials(keycloak, engine, tmp_path))
    assert directly.keys() == OPERATIONS
    assert failures(directly) == client.fails

    logins = keycloak.logins("orchestration")
    async with start(client_id="orchestration", client_secret="secret") as proxy:
        await eventually(proxy.ready, within=10)
        assert await outcomes(client, tmp_path, proxy.environment()) == directly
        assert await proxy.metric("requests_total") >= len(OPERATIONS)
        assert await proxy.metric("problems_total") == 0
        assert await proxy.metric("repairs_total") == 0
    assert keycloak.logins("orchestration") == (logins.granted + 1, logins.refused)


async def test_the_official_workers_polls_outlive_the_token(
    start: Start, engine: Engine, tmp_path: Path
) -> None:
    workers = [TYPESCRIPT, JAVASCRIPT, PYTHON, JAVA_8_6]
    async with start(client_id="short-lived", client_secret="secret") as proxy:
        await eventually(proxy.ready, within=10)
        refused = engine.requests("401")
        runs = await asyncio.gather(
            *(outcomes(client, tmp_path, proxy.environment(), "work") for client in workers)
        )
        assert [run["work"]["ok"] for run in runs] == [True] * len(workers)
        assert await proxy.metric("problems_total") == 0
        assert await proxy.fetches() >= 2
        assert engine.requests("401") == refused


async def test_the_official_clients_show_a_caller_token_as_a_basic_password(
    start: Start, tmp_path: Path
) -> None:
    shown = {
        "CAMUNDA_AUTH_STRATEGY": "BASIC",
        "CAMUNDA_BASIC_AUTH_USERNAME": "any",
        "CAMUNDA_BASIC_AUTH_PASSWORD": CALLER_TOKEN,
    }
    clients = [TYPESCRIPT, JAVASCRIPT, PYTHON, JAVA]  # Java's of 8.6 knows no Basic
    secret = {"client_id": "orchestration", "client_secret": "secret", "caller_token": CALLER_TOKEN}
    async with start(**secret) as proxy:
        await eventually(proxy.ready, within=10)
        runs = await asyncio.gather(
            *(outcomes(client, tmp_path, proxy.environment() | shown) for client in clients)
        )
        assert [failures(run) for run in runs] == [client.fails for client in clients]
        assert await proxy.metric("problems_total") == 0


def own_credentials(keycloak: Keycloak, engine: Engine, folder: Path) -> dict[str, str]:
    """What the clients want in order to log in themselves, and to keep tokens out of the home folder."""
    settings = {
        "CLIENT_ID": "orchestration",
        "CLIENT_SECRET": "secret",
        "TOKEN_AUDIENCE": "zeebe-api",
        "REST_ADDRESS": engine.url,
        "AUTHORIZATION_SERVER_URL": keycloak.token_url,  # Java's name for it
        "CLIENT_CONFIG_PATH": str(folder / "java-tokens"),
    }
    return {f"{family}_{name}": settings[name] for family in ("CAMUNDA", "ZEEBE") for name in settings} | {
        "CAMUNDA_AUTH_STRATEGY": "OAUTH",
        "CAMUNDA_OAUTH_URL": keycloak.token_url,
        "CAMUNDA_TOKEN_DISK_CACHE_DISABLE": "true",
    }


async def outcomes(
    client: Client, folder: Path, settings: dict[str, str], mode: str = "operations"
) -> dict[str, Any]:
    """What its program says of each operation; keys, ports and times, all digits in fact, are left out."""
    process = folder / f"{client.name}.bpmn"  # of its own, so that no other takes its jobs
    process.write_text((HERE / "ping.bpmn").read_text().replace("ping", client.name))
    running = await asyncio.create_subprocess_exec(
        HERE / "clients/clients.sh",
        *("run", client.name, mode, process),
        env=bare_environment() | settings | dict(client.needs),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        said, _ = await asyncio.wait_for(running.communicate(), 90)
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    assert running.returncode == 0
    lines = [json.loads(line) for line in said.decode().splitlines()]
    return {line.pop("op"): line | {"detail": without_digits(line["detail"])} for line in lines}


def failures(outcomes: dict[str, Any]) -> set[str]:
    return {op for op, outcome in outcomes.items() if not outcome["ok"]}


def bare_environment() -> dict[str, str]:
    """Ours, less what a client might take for its own settings, or for a way out to localhost."""
    foreign = re.compile("CAMUNDA_|ZEEBE_|https?_proxy|all_proxy", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not foreign.match(name)}


def without_digits(detail: object) -> str:
    return re.sub("[0-9]+", "0", json.dumps(detail, sort_keys=True))
