"""The `demo` command: everything at once, on loopback, and what happened in words."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import aiohttp
import click

from proxy import log
from proxy.app import Proxy, Served, running
from proxy.clock import SystemClock, pause
from proxy.commands.tables import table
from proxy.config.load import load
from proxy.demo import Rules, SimulatedCamunda, simulated_camunda
from proxy.errors import StartError
from proxy.loop import run_loop

TOKEN_LIFE = 3.0
EXPIRY_SHOWN = 6.0
PACE = 0.02


class Shown(NamedTuple):
    """One upstream of the show: its name, what is called there, and what lets it in."""

    upstream: str
    path: str
    kind: str


SHOWS = (
    Shown("zeebe-saas", "/v2/topology", "OAuth, form body (SaaS)"),
    Shown("operate-saas", "/v1/process-definitions/search", "OAuth, JSON body (SaaS)"),
    Shown("optimize-saas", "/api/public/dashboard?collectionId=x", "OAuth, form body (SaaS)"),
    Shown("zeebe", "/v2/topology", "OAuth, client_secret_basic"),
    Shown("optimize", "/api/public/dashboard?collectionId=x", "shared token"),
    Shown("zeebe-basic", "/v2/topology", "Basic"),
    Shown("zeebe-open", "/v2/topology", "none"),
)
POSTED = frozenset({"operate-saas"})


def show(*, stay: bool) -> int:
    """Run the demo; the exit code: 0 if every call was answered 200."""
    return run_loop(_show(stay=stay))


async def _show(*, stay: bool) -> int:
    redact = log.Redactor()
    log.set_up("error", "console", redact)
    rules = Rules(token_life=TOKEN_LIFE, reissue_before=TOKEN_LIFE, token_gap=0.0)
    clock = SystemClock()
    async with simulated_camunda(clock=clock, rules=rules) as camunda, _proxy(camunda, redact) as proxy:
        click.echo("A simulated Camunda and its token servers run on loopback, the proxy before them.\n")
        async with aiohttp.ClientSession() as session:
            good = await _every_kind(proxy, session)
            good = await _expiry(proxy, camunda, session, clock) and good
            good = await _revocation(proxy, camunda, session) and good
        if stay:
            await _until_interrupted(proxy)
    click.echo("\nEverything was answered." if good else "\nSomething was not answered 200; see above.")
    return 0 if good else 1


@asynccontextmanager
async def _proxy(camunda: SimulatedCamunda, redact: log.Redactor) -> AsyncIterator[Proxy]:
    """The proxy, configured by a file as everybody's is."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "camunda-auth-proxy.yaml")
        path.write_text(_configuration(camunda), encoding="utf-8")  # noqa: ASYNC240 -- nobody waits yet
        environ = {
            "SAAS_SECRET": camunda.saas.clients["saas-client"].secret,
            "KEYCLOAK_SECRET": camunda.keycloak.clients["orchestration"].secret,
            "SHARED_TOKEN": camunda.shared_token,
            "PASSWORD": camunda.password,
        }
        config = load(config=path, env_file=None, environ=environ, directory=Path(folder))
        async with running(config, SystemClock()) as proxy:
            redact.known = proxy.known_secrets
            yield proxy


def _configuration(camunda: SimulatedCamunda) -> str:
    def upstream(name: str, api: str, url: str, credential: str, audience: str = "") -> str:
        line = f"  {name}: {{api: {api}, url: '{url}', listen: 'localhost:0', credential: {credential}"
        return line + (f", audience: {audience}}}" if audience else "}")

    saas = (
        f"{{type: oauth2, token_url: '{camunda.saas.url}', client_id: saas-client,"
        " client_secret: '${SAAS_SECRET}', request_format: "
    )
    keycloak = (
        f"{{type: oauth2, token_url: '{camunda.keycloak.url}', client_id: orchestration,"
        " client_secret: '${KEYCLOAK_SECRET}', auth_method: client_secret_basic}"
    )
    lines = [
        "upstreams:",
        upstream("zeebe-saas", "zeebe", camunda.url("zeebe", saas=True), "saas", "zeebe.camunda.io"),
        upstream(
            "operate-saas", "operate", camunda.url("operate", saas=True), "saas-json", "operate.camunda.io"
        ),
        upstream(
            "optimize-saas", "optimize", camunda.url("optimize", saas=True), "saas", "optimize.camunda.io"
        ),
        upstream("zeebe", "zeebe", camunda.url("zeebe"), "keycloak"),
        upstream("optimize", "optimize", camunda.url("optimize-shared"), "shared"),
        upstream("zeebe-basic", "zeebe", camunda.url("zeebe-basic"), "basic"),
        upstream("zeebe-open", "zeebe", camunda.url("zeebe-open"), "nothing"),
        "credentials:",
        f"  saas: {saas}form}}",
        f"  saas-json: {saas}json}}",
        f"  keycloak: {keycloak}",
        "  shared: {type: bearer, token: '${SHARED_TOKEN}'}",
        f"  basic: {{type: basic, username: {camunda.username}, password: '${{PASSWORD}}'}}",
        "  nothing: {type: none}",
        "admin: {listen: '127.0.0.1:0'}",
    ]
    return "\n".join(lines)


def _url(served: Served, path: str) -> str:
    return f"http://localhost:{served.bound.port}{path}"


async def _call(proxy: Proxy, session: aiohttp.ClientSession, shown: Shown) -> tuple[str, int, float]:
    served = next(each for each in proxy.served if each.upstream.name == shown.upstream)
    clock, url = SystemClock(), _url(served, shown.path)
    method = "POST" if shown.upstream in POSTED else "GET"
    begun = clock.now()
    async with session.request(method, url, json={} if method == "POST" else None) as response:
        await response.read()
    return url, response.status, clock.now() - begun


async def _every_kind(proxy: Proxy, session: aiohttp.ClientSession) -> bool:
    rows: list[tuple[str, ...]] = [("credential", "asked without one", "answer", "after")]
    good = True
    for shown in SHOWS:
        url, status, seconds = await _call(proxy, session, shown)
        good = good and status == 200
        rows.append((shown.kind, url.partition("?")[0], str(status), f"{seconds * 1000:.0f} ms"))
    click.echo(table(rows))
    return good


async def _expiry(
    proxy: Proxy, camunda: SimulatedCamunda, session: aiohttp.ClientSession, clock: SystemClock
) -> bool:
    served = next(each for each in proxy.served if each.upstream.name == "zeebe")
    shown = next(each for each in SHOWS if each.upstream == "zeebe")
    fetched, waited = camunda.keycloak.count("issued"), sum(served.keeper.tally.wait_seconds.counts)
    calls = good = 0
    until = clock.now() + EXPIRY_SHOWN
    while clock.now() < until:
        _, status, _ = await _call(proxy, session, shown)
        calls += 1
        good += status == 200
        await pause(clock, PACE)
    fetched = camunda.keycloak.count("issued") - fetched
    waited = sum(served.keeper.tally.wait_seconds.counts) - waited
    click.echo(
        f"\nexpiry      Tokens live {TOKEN_LIFE:.0f} s here. In {EXPIRY_SHOWN:.0f} s {calls} calls were made:"
        f" {good} answered 200,"
        f"\n            {waited} waited for a token, {fetched} tokens fetched ahead of expiry."
    )
    return calls == good


async def _revocation(proxy: Proxy, camunda: SimulatedCamunda, session: aiohttp.ClientSession) -> bool:
    served = next(each for each in proxy.served if each.upstream.name == "zeebe")
    shown = next(each for each in SHOWS if each.upstream == "zeebe")
    clock = SystemClock()
    # A repair within a second of a fetch would be declined: the token endpoint is never hammered.
    while clock.now() - (served.keeper.snapshot().last_success or 0.0) < 1.1:
        await pause(clock, PACE)
    camunda.revoke()
    _, status, seconds = await _call(proxy, session, shown)
    click.echo(
        f"revocation  Every token was revoked at the server. The next call was answered {status} after "
        f"{seconds * 1000:.0f} ms:\n            {served.forwarder.tally.repairs['ok']} request sent again"
        " with a new token, unseen by the caller."
    )
    return status == 200


async def _until_interrupted(proxy: Proxy) -> None:
    stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def asked() -> None:
        if not stop.done():
            stop.set_result(None)

    if sys.platform == "win32":
        raise StartError("--stay needs a system with POSIX signals; leave it out.")
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked)
    click.echo("\nStill up; try these, and end with Ctrl-C:")
    for shown in SHOWS:
        served = next(each for each in proxy.served if each.upstream.name == shown.upstream)
        extra = " -X POST -H 'content-type: application/json' -d '{}'" if shown.upstream in POSTED else ""
        click.echo(f"  curl{extra} '{_url(served, shown.path)}'")
    click.echo(f"  curl http://{proxy.admin_address}/status.json")
    await stop
