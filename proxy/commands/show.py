"""The `demo` command: runs a simulated Camunda and the proxy on loopback, and prints what happens."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import aiohttp
import click

from proxy.app.proxy import Proxy, running
from proxy.app.upstreams import RunningUpstream
from proxy.clock import SystemClock, pause
from proxy.commands import log
from proxy.commands.loop import run_loop
from proxy.commands.tables import table
from proxy.config.load import load
from proxy.demo import Rules, SimulatedCamunda, simulated_camunda
from proxy.demo.assertions import AVAILABLE
from proxy.errors import StartError

TOKEN_LIFE = 3.0
EXPIRY_SHOWN = 6.0
PACE = 0.02
AT_ONCE = 50
SOON = 1.1
"""Seconds. A repair within one second of a fetch or login is declined, so that no server is hammered."""


class Shown(NamedTuple):
    """One upstream of the demo.

    Attributes:
        name: of the upstream, and of the simulated API unless `behind` names that.
        api: its preset.
        path: of the call; a search is sent with POST.
        credential: name of its credential.
        kind: of the credential, in words.
    """

    name: str
    api: str
    path: str
    credential: str
    kind: str
    behind: str = ""
    saas: bool = False

    @property
    def method(self) -> str:
        return "POST" if self.path.endswith("/search") else "GET"

    def url(self, camunda: SimulatedCamunda) -> str:
        return camunda.url(self.behind or self.name, saas=self.saas)


TOPOLOGY, DASHBOARD = "/v2/topology", "/api/public/dashboard?collectionId=x"
DEFINITIONS, INSTANCES = "/v1/process-definitions/search", "/v2/process-instances/search"
ZEEBE = Shown("zeebe", "zeebe", TOPOLOGY, "keycloak", "OAuth, client_secret_basic")
OPERATE = Shown("operate-8.6", "operate", DEFINITIONS, "login", "session and CSRF (8.6)")
SIGNED = Shown("zeebe-signed", "zeebe", TOPOLOGY, "signed", "OAuth, private_key_jwt", "zeebe")
SHOWS = (
    Shown("zeebe-saas", "zeebe", TOPOLOGY, "saas", "OAuth, form body (SaaS)", "zeebe", saas=True),
    Shown("operate-saas", "operate", DEFINITIONS, "json", "OAuth, JSON body (SaaS)", "operate", saas=True),
    Shown("optimize-saas", "optimize", DASHBOARD, "saas", "OAuth, form body (SaaS)", "optimize", saas=True),
    ZEEBE,
    *((SIGNED,) if AVAILABLE else ()),
    Shown("optimize-shared", "optimize", DASHBOARD, "shared", "shared token"),
    Shown("operate-8.2", "operate", DEFINITIONS, "login", "session (8.2)"),
    OPERATE,
    Shown("cluster-8.10", "zeebe", INSTANCES, "login", "session and CSRF (8.10)"),
    Shown("cluster-8.8", "zeebe", INSTANCES, "as-session", "Basic as session (8.8)"),
    Shown("zeebe-basic", "zeebe", TOPOLOGY, "basic", "Basic (8.6)"),
    Shown("zeebe-open", "zeebe", TOPOLOGY, "nothing", "none"),
)


def show(*, stay: bool) -> int:
    """Run the demo; return exit code 0 if every call was answered 200."""
    return run_loop(_show(stay=stay))


async def _show(*, stay: bool) -> int:
    redact = log.Redactor()
    log.set_up("error", "console", redact)
    rules = Rules(token_life=TOKEN_LIFE, reissue_before=TOKEN_LIFE, token_gap=0.0)
    clock = SystemClock()
    async with simulated_camunda(clock=clock, rules=rules) as camunda, _proxy(camunda, redact) as proxy:
        click.echo("A simulated Camunda and its token servers run on loopback, with the proxy before them.\n")
        async with aiohttp.ClientSession() as session:
            good = await _every_kind(proxy, session)
            good = await _expiry(proxy, camunda, session, clock) and good
            good = await _revocation(proxy, camunda, session) and good
            good = await _ended_session(proxy, camunda, session) and good
        if stay:
            await _until_interrupted(proxy)
    click.echo("\nEverything was answered." if good else "\nA call was not answered 200; see above.")
    return 0 if good else 1


@asynccontextmanager
async def _proxy(camunda: SimulatedCamunda, redact: log.Redactor) -> AsyncIterator[Proxy]:
    """Run the proxy, configured by a file as usual."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "camunda-auth-proxy.yaml")
        configuration, environ = _configuration(camunda, Path(folder))
        path.write_text(json.dumps(configuration), encoding="utf-8")  # noqa: ASYNC240 -- no request waits yet
        config = load(config=path, env_file=None, environ=environ, directory=Path(folder))
        async with running(config, SystemClock()) as proxy:
            redact.known = proxy.known_secrets
            yield proxy


def _configuration(camunda: SimulatedCamunda, folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the configuration (JSON is YAML), and the variables it names."""
    secrets = {
        "SAAS_SECRET": camunda.saas.clients["saas-client"].secret,
        "KEYCLOAK_SECRET": camunda.keycloak.clients["orchestration"].secret,
        "SHARED_TOKEN": camunda.shared_token,
        "PASSWORD": camunda.password,
    }
    saas = {
        "type": "oauth2",
        "token_url": camunda.saas.url,
        "client_id": "saas-client",
        "client_secret": "${SAAS_SECRET}",
    }
    user = {"username": camunda.username, "password": "${PASSWORD}"}
    credentials: dict[str, dict[str, Any]] = {
        "saas": saas,
        "json": {**saas, "request_format": "json"},
        "keycloak": {
            "type": "oauth2",
            "token_url": camunda.keycloak.url,
            "client_id": "orchestration",
            "client_secret": "${KEYCLOAK_SECRET}",
            "auth_method": "client_secret_basic",
        },
        "shared": {"type": "bearer", "token": "${SHARED_TOKEN}"},
        "login": {"type": "session", **user},
        "as-session": {"type": "basic", "as_session": True, **user},
        "basic": {"type": "basic", **user},
        "nothing": {"type": "none"},
    }
    if AVAILABLE:
        credentials["signed"] = _signed(camunda, folder)
    upstreams = {
        shown.name: {
            "api": shown.api,
            "url": shown.url(camunda),
            "listen": "localhost:0",
            "credential": shown.credential,
            **({"audience": f"{shown.api}.camunda.io"} if shown.saas else {}),
        }
        for shown in SHOWS
    }
    admin = {"listen": "127.0.0.1:0"}
    return {"upstreams": upstreams, "credentials": credentials, "admin": admin}, secrets


def _signed(camunda: SimulatedCamunda, folder: Path) -> dict[str, str]:
    key, file = camunda.keycloak.signing_key(), folder / "signing.key"
    file.write_text(key.private_key, encoding="utf-8")
    return {
        "type": "oauth2",
        "issuer_url": camunda.keycloak.issuer,
        "client_id": "signed",
        "auth_method": "private_key_jwt",
        "private_key_file": str(file),
        "key_id": key.key_id,
    }


def _served(proxy: Proxy, shown: Shown) -> RunningUpstream:
    return next(each for each in proxy.served if each.upstream.name == shown.name)


def _url(served: RunningUpstream, path: str) -> str:
    return f"http://localhost:{served.bound.port}{path}"


async def _call(proxy: Proxy, session: aiohttp.ClientSession, shown: Shown) -> tuple[str, int, float]:
    clock, url = SystemClock(), _url(_served(proxy, shown), shown.path)
    begun = clock.now()
    body: dict[str, Any] | None = {} if shown.method == "POST" else None
    async with session.request(shown.method, url, json=body) as response:
        await response.read()
    return url, response.status, clock.now() - begun


async def _every_kind(proxy: Proxy, session: aiohttp.ClientSession) -> bool:
    rows: list[tuple[str, ...]] = [("credential", "request without one", "status", "after")]
    good = True
    for shown in SHOWS:
        url, status, seconds = await _call(proxy, session, shown)
        good = good and status == 200
        asked = f"{shown.method:4} {url.partition('?')[0]}"
        rows.append((shown.kind, asked, str(status), f"{seconds * 1000:.0f} ms"))
    click.echo(table(rows))
    return good


async def _expiry(
    proxy: Proxy, camunda: SimulatedCamunda, session: aiohttp.ClientSession, clock: SystemClock
) -> bool:
    served = _served(proxy, ZEEBE)
    fetched, waited = _fetched(camunda), sum(served.keeper.tally.wait_seconds.counts)
    calls = good = 0
    until = clock.now() + EXPIRY_SHOWN
    while clock.now() < until:
        _, status, _ = await _call(proxy, session, ZEEBE)
        calls += 1
        good += status == 200
        await pause(clock, PACE)
    fetched = _fetched(camunda) - fetched
    waited = sum(served.keeper.tally.wait_seconds.counts) - waited
    click.echo(
        f"\nexpiry      Tokens live {TOKEN_LIFE:.0f} s here. In {EXPIRY_SHOWN:.0f} s {calls} calls were made:"
        f" {good} answered 200,"
        f"\n            {waited} waited for a token, {fetched} tokens fetched ahead of expiry."
    )
    return calls == good


def _fetched(camunda: SimulatedCamunda) -> int:
    asked = camunda.keycloak.requests
    return sum(each.client == "orchestration" and each.outcome == "issued" for each in asked)


async def _revocation(proxy: Proxy, camunda: SimulatedCamunda, session: aiohttp.ClientSession) -> bool:
    served = _served(proxy, ZEEBE)
    await _settled(served)
    camunda.revoke()
    _, status, seconds = await _call(proxy, session, ZEEBE)
    click.echo(
        f"revocation  Every token was revoked at the server. The next call was answered {status} after "
        f"{seconds * 1000:.0f} ms:\n            {served.forwarder.tally.repairs['ok']} request sent again"
        " with a new token, unseen by the caller."
    )
    return status == 200


async def _ended_session(proxy: Proxy, camunda: SimulatedCamunda, session: aiohttp.ClientSession) -> bool:
    sessions = camunda.sessions(OPERATE.name)
    await _settled(_served(proxy, OPERATE))
    logins = sessions.count("ok")
    sessions.kill()
    answers = await asyncio.gather(*(_call(proxy, session, OPERATE) for _ in range(AT_ONCE)))
    good = sum(status == 200 for _, status, _ in answers)
    click.echo(
        f"session     Operate lost every session, as after a restart. {AT_ONCE} calls were made at once:\n"
        f"            {good} answered 200, {sessions.count('ok') - logins} login for all of them."
    )
    return good == AT_ONCE


async def _settled(served: RunningUpstream) -> None:
    """Wait until a repair is possible."""
    clock = SystemClock()
    while clock.now() - (served.keeper.snapshot().last_success or 0.0) < SOON:
        await pause(clock, PACE)


async def _until_interrupted(proxy: Proxy) -> None:
    stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def asked() -> None:
        if not stop.done():
            stop.set_result(None)

    if sys.platform == "win32":
        raise StartError("--stay needs a system with POSIX signals; leave it out.")
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked)
    click.echo("\nEverything keeps running; try these, and stop with Ctrl-C:")
    for shown in SHOWS:
        extra = " -H 'content-type: application/json' -d '{}'" if shown.method == "POST" else ""
        click.echo(f"  curl{extra} '{_url(_served(proxy, shown), shown.path)}'")
    click.echo(f"  curl http://{proxy.admin_address}/status.json")
    await stop
