"""The `demo` command: runs a simulated Camunda and the proxy on loopback, and prints what happens."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from errno import EADDRINUSE
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import aiohttp
import click

from proxy.app.proxy import Proxy, running
from proxy.clock import SystemClock, pause
from proxy.commands import log
from proxy.commands.loop import run_loop
from proxy.commands.show_guide import guide
from proxy.commands.shown import OPERATE, SHOWS, ZEEBE, Shown, configuration, local_url, upstream_of
from proxy.commands.tables import table
from proxy.config.load import load
from proxy.demo import Rules, SimulatedCamunda, simulated_camunda
from proxy.errors import StartError

if TYPE_CHECKING:
    from proxy.app.upstreams import RunningUpstream

TOKEN_LIFE = 3.0
EXPIRY_SHOWN = 6.0
PACE = 0.02
AT_ONCE = 50
STAYING_LIFE = 300.0
FIRST_PORT, SERVERS, PORTS = 19180, 20, 50
"""Ports of `--stay`: the demo's admin port, its upstreams, from the 20th on the simulated servers."""

SOON = 1.1
"""Seconds. A repair within one second of a fetch or login is declined, so that no server is hammered."""


def show(stay: int | None) -> int:
    """Run the demo; return exit code 0 if every call was answered 200.

    Args:
        stay: keep everything running afterwards, on this port and those after it; None: end at once.

    Raises:
        StartError: a port is taken.
    """
    try:
        return run_loop(_show(stay))
    except OSError as error:
        if stay is None or error.errno != EADDRINUSE:
            raise
        raise StartError(
            f"The demo needs the ports {stay} to {stay + PORTS - 1}, and one of them is taken, perhaps by "
            "another `demo --stay`. --port names others."
        ) from None


async def _show(stay: int | None) -> int:
    redact = log.Redactor()
    log.set_up("error", "console", redact)
    rules = Rules(token_life=TOKEN_LIFE, reissue_before=TOKEN_LIFE, token_gap=0.0)
    clock = SystemClock()
    servers = 0 if stay is None else stay + SERVERS
    async with (
        simulated_camunda(clock=clock, rules=rules, first_port=servers) as camunda,
        _proxy(camunda, redact, stay) as (proxy, document),
    ):
        click.echo("A simulated Camunda and its token servers run on loopback, with the proxy before them.\n")
        async with aiohttp.ClientSession() as session:
            good = await _every_kind(proxy, session)
            good = await _expiry(proxy, camunda, session, clock) and good
            good = await _revocation(proxy, camunda, session) and good
            good = await _ended_session(proxy, camunda, session) and good
        if stay is not None:
            camunda.rules = replace(rules, token_life=STAYING_LIFE)
            click.echo(guide(proxy, camunda, document))
            await _interrupted()
    click.echo("\nEverything was answered." if good else "\nA call was not answered 200; see above.")
    return 0 if good else 1


@asynccontextmanager
async def _proxy(
    camunda: SimulatedCamunda, redact: log.Redactor, first_port: int | None
) -> AsyncIterator[tuple[Proxy, dict[str, Any]]]:
    """Run the proxy, configured by a file as usual; yield its configuration too."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "camunda-auth-proxy.yaml")
        document, environ = configuration(camunda, Path(folder), first_port)
        path.write_text(json.dumps(document), encoding="utf-8")  # noqa: ASYNC240 -- no request waits yet
        config = load(config=path, env_file=None, environ=environ, directory=Path(folder))
        async with running(config, SystemClock()) as proxy:
            redact.known = proxy.known_secrets
            yield proxy, document


async def _call(proxy: Proxy, session: aiohttp.ClientSession, shown: Shown) -> tuple[str, int, float]:
    clock, url = SystemClock(), local_url(upstream_of(proxy, shown), shown.path)
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
    served = upstream_of(proxy, ZEEBE)
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
    served = upstream_of(proxy, ZEEBE)
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
    await _settled(upstream_of(proxy, OPERATE))
    logins = sessions.count("ok")
    sessions.kill()
    answers = await asyncio.gather(*(_call(proxy, session, OPERATE) for _ in range(AT_ONCE)))
    good = sum(status == 200 for _, status, _ in answers)
    click.echo(
        f"session     Operate lost every session, as after a restart. {AT_ONCE} calls were made at once:\n"
        f"            {good} answered 200, {sessions.count('ok') - logins} login for all of them."
    )
    return good == AT_ONCE


async def _settled(served: "RunningUpstream") -> None:
    """Wait until a repair is possible."""
    clock = SystemClock()
    while clock.now() - (served.keeper.snapshot().last_success or 0.0) < SOON:
        await pause(clock, PACE)


async def _interrupted() -> None:
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()

    def asked() -> None:
        if not stop.done():
            stop.set_result(None)

    if sys.platform == "win32":
        signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(asked))
    else:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, asked)
    await stop
