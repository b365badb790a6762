"""The proxy as its user runs it: a command, a file, two ports."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import randrange
from typing import Any, NamedTuple
from uuid import uuid4

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from proxy.clock import SystemClock

COMMAND = Path(sys.executable).with_name("camunda-auth-proxy")
GIVEN: set[int] = set()
"""Ports that `free_ports` has returned lately."""
PROBLEM = "urn:camunda-auth-proxy:"
SECRET = re.compile("eyJ|SESSION=")  # how every JWT begins; cookies


class Answer(NamedTuple):
    """What a caller got."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def ours(self) -> str:
        """The code, where the proxy itself answered; else empty: Camunda did."""
        if "proxy-status" not in self.headers:
            return ""
        assert self.headers["content-type"].startswith("application/problem+json")
        return str(self.json["type"]).removeprefix(PROBLEM)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Sidecar:
    """A running proxy and one caller of it."""

    def __init__(
        self, url: str, api: aiohttp.ClientSession, admin: aiohttp.ClientSession, config: Path, log: Path
    ) -> None:
        self.agent = api.headers["User-Agent"]  # of its caller, unlike any other's
        self.url = url
        self._api = api
        self._admin = admin
        self._config = config
        self._log = log

    @property
    def said(self) -> list[str]:
        """The lines of its log so far."""
        return self._log.read_text().splitlines()

    def environment(self) -> dict[str, str]:
        """What our command `env` prints: the variables for Camunda's own clients."""
        command = (COMMAND, "env", "--config", self._config, "--format", "json")
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return dict(json.loads(done.stdout))

    async def doctor(self) -> str:
        """What our command `doctor` prints about this proxy's configuration."""
        command = (COMMAND, "doctor", "--config", self._config)
        done = await asyncio.to_thread(
            subprocess.run, command, check=False, stdout=subprocess.PIPE, text=True
        )
        return str(done.stdout)

    async def call(self, path: str = "/v2/topology", method: str = "GET", **how: Any) -> Answer:
        """One request, without any credential; `how` as aiohttp's `request` takes it."""
        return await _answer(self._api, method, path, **how)

    async def pieces(self, path: str, method: str) -> AsyncIterator[tuple[str, float]]:
        """The events of a stream, each with the moment when it was whole, in seconds on SystemClock."""
        clock, event = SystemClock(), b""
        async with self._api.request(method, path) as response:
            async for line in response.content:
                event += line
                if line == b"\n":
                    yield event.decode(), clock.now()
                    event = b""

    async def look(self, path: str) -> Answer:
        """One request to its admin port."""
        return await _answer(self._admin, "GET", path)

    async def health(self, kind: str) -> Answer:
        return await self.look(f"/health/{kind}")

    async def live(self) -> bool:
        return await self._is("live")

    async def ready(self) -> bool:
        return await self._is("ready")

    async def _is(self, kind: str) -> bool:
        try:
            return (await self.health(kind)).status == 200
        except aiohttp.ClientConnectorError:
            return False  # it has only just been started

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels; 0 where there is none."""
        families = text_string_to_metric_families((await self.look("/metrics")).body.decode())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == f"camunda_auth_proxy_{name}" and labels.items() <= sample.labels.items()
        )

    async def fetches(self) -> float:
        """Tokens had so far."""
        return await self.metric("credential_fetches_total", outcome="ok")

    async def waits(self) -> float:
        """Requests that had to wait for a token so far."""
        return await self.metric("credential_wait_seconds_count")


async def _answer(session: aiohttp.ClientSession, method: str, path: str, **how: Any) -> Answer:
    async with session.request(method, path, **how) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, await response.read())


@asynccontextmanager
async def sidecar(
    folder: Path,
    url: str,
    *,
    caller_token: str = "",
    physical_tenant: str | None = None,
    rules: Any = None,
    more: Any = None,
    **credential: Any,
) -> AsyncIterator[Sidecar]:
    """A proxy before the API at `url`, with a credential of these settings, and access rules; `more` replaces
    keys of its file.

    It starts, and ends with exit code 0 and without a token or a cookie in anything it has said.
    """
    api, admin = (f"127.0.0.1:{port}" for port in free_ports(2))
    file, log = folder / f"{api}.yaml", folder / f"{api}.log"
    of_upstream = {**(rules or {}), **({"physical_tenant": physical_tenant} if physical_tenant else {})}
    config = {
        "upstreams": {"zeebe": {"url": url, "listen": api, "credential": "the-one", **of_upstream}},
        "credentials": {"the-one": credential},
        "guard": {"caller_token": caller_token} if caller_token else {},
        "admin": {"listen": admin},
    } | (more or {})
    file.write_text(json.dumps(config))  # JSON is YAML
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            COMMAND, "run", "--config", file, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said
        )
    try:
        async with _session(api) as of_api, _session(admin) as of_admin:
            yield Sidecar(f"http://{api}", of_api, of_admin, file, log)
    finally:
        code = await _stop(process)
        sys.stderr.write(log.read_text())
    assert code == 0
    assert not SECRET.search(log.read_text())


def _session(authority: str) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(
        f"http://{authority}",
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=60),
        headers={"User-Agent": f"caller-{uuid4()}"},
    )


async def _stop(process: Process) -> int:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        return await asyncio.wait_for(process.wait(), 40)
    except TimeoutError:
        process.kill()
        return await process.wait()


def free_ports(number: int) -> list[int]:
    """Below those of outgoing connections, which take any that is free a moment later; and out of a range for
    each test process, because they would take each other's."""
    ports: list[int] = []
    first = 10_000 + 1000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while len(ports) < number:
        try:
            with socket.create_server(("127.0.0.1", randrange(first, first + 1000))) as free:
                port = free.getsockname()[1]
        except OSError:
            continue
        if port not in GIVEN:  # one that was given a moment ago may not be bound yet
            GIVEN.add(port)
            ports.append(port)
        if len(GIVEN) > 500:
            GIVEN.clear()
    return ports
