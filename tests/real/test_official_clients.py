"""Camunda's own clients with the variables that our command `env` prints (docs/clients.md): what each can do
at a release with credentials of its own, it can do through the proxy without them."""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from tests.real.conftest import shared
from tests.real.realm_admin import realm_admin
from tests.real.servers import HERE, Keycloak, StandIn
from tests.real.sidecar import sidecar
from tests.real.traffic import eventually

pytestmark = pytest.mark.real

OPERATIONS = {"topology", "deploy", "create", "activate", "complete", "wait", "publish", "cancel", "search"}
CALLER_TOKEN = "what-callers-show-here"


class Client(NamedTuple):
    """One of those that clients/clients.sh fetches."""

    name: str
    release: str  # that it is run against
    fails: frozenset[str] = frozenset({"cancel"})  # of an instance that has ended: 404; the others work
    needs: Mapping[str, str] = MappingProxyType({})  # variables that `env` does not print


TYPESCRIPT = Client("orchestration-cluster-api", "8.10")
JAVASCRIPT = Client("sdk", "8.8")
PYTHON = Client("orchestration_sdk", "8.10")
JAVA_8_8 = Client("camunda-client-java-8.8", "8.8")
JAVA_8_9 = Client("camunda-client-java-8.9", "8.9")
JAVA_8_6 = Client(
    "zeebe-client-java",
    "8.6",
    # It gives an empty poll up just before the answer; its search is of an early version.
    frozenset({"cancel", "search", "wait"}),
    needs={"ZEEBE_PREFER_REST": "true", "ZEEBE_INSECURE_CONNECTION": "true"},
)
CLIENTS = [TYPESCRIPT, JAVASCRIPT, PYTHON, JAVA_8_8, JAVA_8_9, JAVA_8_6]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_an_official_client_can_do_without_credentials_what_it_can_do_with_them(
    client: Client, keycloak: Keycloak, tmp_path: Path
) -> None:
    standin = shared(client.release)
    async with realm_admin(keycloak) as admin:
        name = await admin.add_client(f"official-{uuid4()}")
    directly = await outcomes(client, tmp_path, own_credentials(keycloak, standin, name, tmp_path))
    assert directly.keys() == OPERATIONS
    assert failures(directly) == client.fails

    logins = keycloak.logins(name)
    assert logins.granted >= 1
    async with sidecar(tmp_path, standin.url("zeebe"), **oauth(keycloak, name)) as proxy:
        await eventually(proxy.ready)
        assert await outcomes(client, tmp_path, proxy.environment()) == directly
        assert await proxy.metric("requests_total") >= len(OPERATIONS)
        assert await proxy.metric("problems_total") == 0
        assert await proxy.metric("repairs_total") == 0
    assert keycloak.logins(name) == (logins.granted + 1, logins.refused)


@pytest.mark.waits
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_the_official_workers_polls_outlive_the_token(
    client: Client, keycloak: Keycloak, tmp_path: Path
) -> None:
    standin = shared(client.release)
    async with sidecar(tmp_path, standin.url("zeebe"), **oauth(keycloak, "short-lived")) as proxy:
        await eventually(proxy.ready)
        run = await outcomes(client, tmp_path, proxy.environment(), "work")
        assert run["work"]["ok"]
        assert await proxy.metric("problems_total") == 0
        assert await proxy.metric("repairs_total") == 0
        assert await proxy.fetches() >= 2


@pytest.mark.parametrize(
    "client",
    [TYPESCRIPT, JAVASCRIPT, PYTHON, JAVA_8_9],  # Java's of 8.6 knows no Basic
    ids=lambda client: client.name,
)
async def test_the_official_clients_show_a_caller_token_as_a_basic_password(
    client: Client, keycloak: Keycloak, tmp_path: Path
) -> None:
    shown = {
        "CAMUNDA_AUTH_STRATEGY": "BASIC",
        "CAMUNDA_BASIC_AUTH_USERNAME": "any",
        "CAMUNDA_BASIC_AUTH_PASSWORD": CALLER_TOKEN,
    }
    credential = oauth(keycloak, "orchestration")
    url = shared(client.release).url("zeebe")
    async with sidecar(tmp_path, url, caller_token=CALLER_TOKEN, **credential) as proxy:
        await eventually(proxy.ready)
        run = await outcomes(client, tmp_path, proxy.environment() | shown)
        assert failures(run) == client.fails
        assert await proxy.metric("problems_total") == 0


def oauth(keycloak: Keycloak, client: str) -> dict[str, str]:
    return {
        "type": "oauth2",
        "token_url": keycloak.token_url,
        "client_id": client,
        "client_secret": "secret",
    }


def own_credentials(keycloak: Keycloak, standin: StandIn, client: str, folder: Path) -> dict[str, str]:
    """What the clients want in order to log in themselves, and to keep tokens out of the home folder."""
    settings = {
        "CLIENT_ID": client,
        "CLIENT_SECRET": "secret",
        "TOKEN_AUDIENCE": "zeebe-api",
        "REST_ADDRESS": standin.url("zeebe"),
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
    name = f"{client.name}-{abs(hash(folder))}"  # of its own, so that no other takes its jobs
    process = folder / f"{name}.bpmn"
    process.write_text((HERE / "ping.bpmn").read_text().replace("ping", name))
    running = await asyncio.create_subprocess_exec(
        HERE / "clients/clients.sh",
        *("run", client.name, mode, process),
        env=bare_environment() | settings | dict(client.needs),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        said, _ = await asyncio.wait_for(running.communicate(), 120)
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    assert running.returncode == 0
    lines = [json.loads(line) for line in said.decode().splitlines()]
    for line in lines:
        found_others_too = line["op"] == "search" and line["ok"]  # other tests' instances
        line["detail"] = None if found_others_too else without_digits(line["detail"])
    return {line.pop("op"): line for line in lines}


def failures(outcomes: dict[str, Any]) -> set[str]:
    return {op for op, outcome in outcomes.items() if not outcome["ok"]}


def bare_environment() -> dict[str, str]:
    """Ours, less what a client might take for its own settings, or for a way out to localhost."""
    foreign = re.compile("CAMUNDA_|ZEEBE_|https?_proxy|all_proxy", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not foreign.match(name)}


def without_digits(detail: object) -> str:
    return re.sub("[0-9]+", "0", json.dumps(detail, sort_keys=True))
