"""Every row of the mission: an API, a version, a kind of credential; each let in, nothing left to see."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy.config.presets import PRESETS, api_named
from proxy.demo import DIALECTS, Fault, Rules, SimulatedCamunda, simulated_camunda
from proxy.demo.assertions import AVAILABLE
from proxy.demo.federated import Federation, Kind
from proxy.demo.webapps import TASK
from tests.federated import SPIFFE_ID, SUBJECT, projected
from tests.federated import signed as signed_token
from tests.mission.before_camunda import house

Settings = Mapping[str, Any]
CALLS: dict[str, tuple[tuple[str, str], ...]] = {
    "zeebe": (("POST", "/v2/process-instances/search"), ("GET", "/v2/topology")),
    "operate": (("POST", "/v1/process-definitions/search"), ("GET", "/v1/process-instances/{instance}")),
    "tasklist": (("POST", "/v1/tasks/search"), ("GET", f"/v1/tasks/{TASK['id']}")),
    "optimize": (
        ("GET", "/api/public/dashboard?collectionId=x"),
        ("GET", "/api/public/export/report/r1/result/json?limit=10"),
    ),
    "console": (("GET", "/clusters"),),
    "modeler": (("GET", "/v1/info"),),
    "hub": (("POST", "/api/v2/files/search"),),
    "cluster-admin": (("GET", "/cluster/v2/topology"),),
}


@dataclass(frozen=True, slots=True)
class Row:
    """Attributes:
    api: preset of the upstream.
    behind: name of the simulated API.
    credential: its settings.
    audience: what must have been asked of the token endpoint; None: no token was.
    more: further settings of the upstream.
    calls: which of CALLS; empty: those of the API.
    """

    name: str
    api: str
    behind: str
    credential: Callable[[SimulatedCamunda, Path], Settings]
    audience: str | None = None
    saas: bool = False
    more: tuple[tuple[str, str], ...] = ()
    calls: str = ""

    def __str__(self) -> str:
        return self.name


def saas(request_format: str = "form", client: str = "saas-client") -> Callable[..., Settings]:
    return lambda camunda, _: {
        "type": "oauth2",
        "token_url": camunda.saas.url,
        "client_id": client,
        "client_secret": camunda.saas.clients[client].secret,
        "request_format": request_format,
    }


def identity(client: str = "orchestration", **more: str) -> Callable[..., Settings]:
    return lambda camunda, _: {
        "type": "oauth2",
        "token_url": camunda.keycloak.url,
        "client_id": client,
        "client_secret": camunda.keycloak.clients[client].secret,
        **more,
    }


def discovered(camunda: SimulatedCamunda, folder: Path) -> Settings:
    settings = {**identity()(camunda, folder), "issuer_url": camunda.keycloak.issuer}
    return {name: value for name, value in settings.items() if name != "token_url"}


def signed(camunda: SimulatedCamunda, folder: Path) -> Settings:
    key = camunda.keycloak.signing_key()
    file, certificate = folder / "signing.key", folder / "signing.crt"
    file.write_text(key.private_key, encoding="utf-8")
    certificate.write_text(key.certificate, encoding="utf-8")
    return {
        "type": "oauth2",
        "issuer_url": camunda.keycloak.issuer,
        "client_id": "signed",
        "auth_method": "private_key_jwt",
        "private_key_file": str(file),
        "key_id": key.key_id,
        "certificate_file": str(certificate),
    }


def shared(camunda: SimulatedCamunda, _: Path) -> Settings:
    return {"type": "bearer", "token": camunda.shared_token}


def user(kind: str, **more: Any) -> Callable[..., Settings]:
    return lambda camunda, _: {
        "type": kind,
        "username": camunda.username,
        "password": camunda.password,
        **more,
    }


def nothing(camunda: SimulatedCamunda, _: Path) -> Settings:
    return {"type": "none"}


def saas_row(api: str, audience: str, *, how: str = "form", client: str = "saas-client") -> Row:
    return Row(f"{api}, SaaS, {how}", api, api, saas(how, client), audience, saas=True)


TENANT = (("physical_tenant", "payments"),)
CONSOLE = "api.cloud.camunda.io"
SAAS = (
    saas_row("zeebe", "zeebe.camunda.io"),
    saas_row("operate", "operate.camunda.io"),
    saas_row("tasklist", "tasklist.camunda.io"),
    saas_row("optimize", "optimize.camunda.io"),
    saas_row("optimize", "optimize.camunda.io", how="json"),
    saas_row("console", CONSOLE, client="console-client"),
    saas_row("modeler", CONSOLE, client="console-client"),
    saas_row("hub", CONSOLE, client="console-client"),
    Row("zeebe, SaaS, 8.10", "zeebe", "orchestration-8.10", saas(), "zeebe.camunda.io", saas=True),
)
SELF_MANAGED = (
    Row("optimize, Self-Managed, Identity token", "optimize", "optimize", identity(), ""),
    Row("optimize, Self-Managed, shared token", "optimize", "optimize-shared", shared),
    Row("operate, 8.6, Identity token", "operate", "operate", identity(), ""),
    Row("tasklist, 8.6, Identity token", "tasklist", "tasklist", identity(), ""),
    Row("zeebe, 8.6, Identity token", "zeebe", "zeebe", identity(), ""),
    Row("zeebe, 8.6, client_secret_basic", "zeebe", "zeebe", identity(auth_method="client_secret_basic"), ""),
    Row("zeebe, 8.6, token by discovery", "zeebe", "zeebe", discovered, ""),
    Row("zeebe, 8.8, OIDC token", "zeebe", "orchestration", identity(), ""),
    Row("operate, 8.8, OIDC token", "operate", "orchestration", identity(), ""),
    Row("tasklist, 8.8, OIDC token", "tasklist", "orchestration", identity(), ""),
    Row("zeebe, 8.10, OIDC token", "zeebe", "orchestration-8.10", identity(), ""),
    Row("physical tenant, 8.10", "zeebe", "orchestration-8.10", identity("payments"), "", more=TENANT),
    Row(
        "cluster-admin, 8.10",
        "zeebe",
        "orchestration-8.10",
        identity("cluster-admin"),
        "",
        calls="cluster-admin",
    ),
    Row("hub, Self-Managed, Identity token", "hub", "hub", identity(), ""),
    Row("optimize, 8.10, Identity token", "optimize", "optimize-8.10", identity(), ""),
    Row("console, Self-Managed, Identity token", "console", "console", identity(), ""),
    Row("modeler, Self-Managed, Identity token", "modeler", "modeler", identity(), ""),
    Row("zeebe, 8.6, Basic", "zeebe", "zeebe-basic", user("basic")),
    Row(
        "zeebe, 8.6, Basic as session: there is none", "zeebe", "zeebe-basic", user("basic", as_session=True)
    ),
    Row("zeebe, open", "zeebe", "zeebe-open", nothing),
)
BASIC = tuple(
    Row(f"zeebe, {name}, Basic", "zeebe", name, user("basic")) for name in ("cluster-8.8", "cluster-8.10")
)
AS_SESSION = tuple(
    Row(f"zeebe, {name}, Basic as session", "zeebe", name, user("basic", as_session=True))
    for name in ("operate-8.6", "cluster-8.8", "cluster-8.10")
)
APIS_OF = {
    **dict.fromkeys(DIALECTS, ("zeebe", "operate", "tasklist")),
    "operate-8.2": ("operate",),
    "operate-8.5": ("operate",),
    "tasklist-8.5": ("tasklist",),
    "cluster-8.10": ("zeebe",),  # no V1
}
COOKIE = tuple(
    Row(f"{api}, {name}, cookie", api, name, user("session")) for name in DIALECTS for api in APIS_OF[name]
)
SIGNED = Row("zeebe, 8.6, private_key_jwt", "zeebe", "zeebe", signed, "")


def federated(kind: Kind) -> Callable[..., Settings]:
    """A client without a secret: a token of another issuer, whose key Keycloak knows, lets it in."""

    def settings(camunda: SimulatedCamunda, folder: Path) -> Settings:
        key = camunda.keycloak.signing_key()
        spiffe = kind == "spiffe"
        issuer, subject = (
            ("spiffe://example.org", SPIFFE_ID) if spiffe else ("https://issuer.example", SUBJECT)
        )
        camunda.keycloak.federations.append(
            Federation(kind, issuer, key.public_key, {subject: "orchestration"})
        )
        changes = {"iss": None if spiffe else issuer, "sub": subject, "aud": camunda.keycloak.issuer}
        path = projected(folder / "volume", "..first", f"{signed_token(key.private_key, **changes)}\n")
        return {
            "type": "oauth2",
            "issuer_url": camunda.keycloak.issuer,
            "auth_method": "client_assertion",
            "client_assertion_file": str(path),
            "client_assertion_type": "jwt-spiffe" if spiffe else "jwt-bearer",
        }

    return settings


KINDS: tuple[Kind, ...] = ("kubernetes", "spiffe", "oidc")
FEDERATED = tuple(Row(f"zeebe, 8.6, {kind} token", "zeebe", "zeebe", federated(kind), "") for kind in KINDS)


@pytest.fixture
async def camunda() -> AsyncIterator[SimulatedCamunda]:
    async with simulated_camunda(rules=Rules(token_gap=0.0, login_gap=0.9)) as simulated:
        yield simulated


async def walk(row: Row, camunda: SimulatedCamunda, folder: Path, *, back: bool = False) -> None:
    """Every call of the row's API, first one first, or last one first."""
    upstream = {
        "api": row.api,
        "url": camunda.url(row.behind, saas=row.saas),
        "credential": "mine",
        **({"audience": row.audience} if row.audience else {}),
        **dict(row.more),
    }
    calls = CALLS[row.calls or row.api]
    async with house(folder, camunda, {"row": upstream}, {"mine": row.credential(camunda, folder)}) as home:
        for method, path in reversed(calls) if back else calls:
            answer = await home.ask("row", method, path)
            assert answer.status == 200, answer.text
            assert answer.leaks == [] or row in BASIC
    assert camunda.complaints == []


@pytest.mark.parametrize("row", SAAS, ids=str)
async def test_saas(row: Row, camunda: SimulatedCamunda, tmp_path: Path) -> None:
    await walk(row, camunda, tmp_path)
    assert {(asked.audience, asked.outcome) for asked in camunda.saas.requests} == {(row.audience, "issued")}
    assert PRESETS[api_named(row.api)].audience == row.audience  # what is asked of the real one by itself


@pytest.mark.parametrize("row", SELF_MANAGED, ids=str)
async def test_self_managed(row: Row, camunda: SimulatedCamunda, tmp_path: Path) -> None:
    await walk(row, camunda, tmp_path)
    assert [asked.audience for asked in camunda.keycloak.requests] == (
        [row.audience] if row.audience is not None else []
    )


async def test_self_managed_by_private_key(camunda: SimulatedCamunda, tmp_path: Path) -> None:
    await walk(SIGNED, camunda, tmp_path)
    assert [asked.client for asked in camunda.keycloak.requests] == ["signed"]


@pytest.mark.skipif(not AVAILABLE, reason="needs cryptography")
@pytest.mark.parametrize("row", FEDERATED, ids=str)
async def test_self_managed_by_a_token_of_another_issuer(
    row: Row, camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    await walk(row, camunda, tmp_path)
    assert [asked.client for asked in camunda.keycloak.requests] == ["orchestration"]


@pytest.mark.parametrize("row", COOKIE, ids=str)
@pytest.mark.parametrize("back", [False, True], ids=["POST first", "GET first"])
async def test_cookie(row: Row, back: bool, camunda: SimulatedCamunda, tmp_path: Path) -> None:
    await walk(row, camunda, tmp_path, back=back)
    sessions = camunda.sessions(row.behind)
    assert (sessions.count("ok"), sessions.count("wrong"), sessions.logouts, sessions.live) == (1, 0, 1, 0)


@pytest.mark.parametrize("row", BASIC, ids=str)
async def test_basic_of_8_8(row: Row, camunda: SimulatedCamunda, tmp_path: Path) -> None:
    await walk(row, camunda, tmp_path)
    assert (camunda.sessions(row.behind).logins, camunda.sessions(row.behind).let_in) == ([], {"basic": 2})


@pytest.mark.parametrize("row", AS_SESSION, ids=str)
async def test_basic_as_session_hashes_the_password_once(
    row: Row, camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    await walk(row, camunda, tmp_path)
    assert (camunda.sessions(row.behind).count("ok"), camunda.sessions(row.behind).let_in["basic"]) == (1, 0)


@pytest.mark.parametrize("saas_too", [False, True], ids=["Self-Managed", "SaaS"])
async def test_optimize_is_ready_without_a_credential(
    saas_too: bool, camunda: SimulatedCamunda, tmp_path: Path
) -> None:
    camunda.saas.fault = camunda.keycloak.fault = Fault.DOWN
    credential = {**(saas() if saas_too else identity())(camunda, tmp_path), "wait": 0.1}
    upstream = {"url": camunda.url("optimize", saas=saas_too), "audience": "optimize.camunda.io"}
    async with house(tmp_path, camunda, {"optimize": upstream}, {"mine": credential}) as home:
        assert (await home.ask("optimize", "GET", "/api/readyz")).status == 200
        answer = await home.ask("optimize", "GET", "/api/public/dashboard")
        assert (answer.status, answer.code) == (503, "credential_unavailable")
    assert camunda.complaints == []
