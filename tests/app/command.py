"""The proxy as its user runs it: a command, a file, a log on stderr."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.app.template import Copied, Template

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("CAMUNDA_", "ZEEBE_"))}


async def command(
    *arguments: str, environ: Mapping[str, str] | None = None, folder: Path | None = None
) -> tuple[int, str, str]:
    """Run a command to its end: exit code, stdout, stderr."""
    process = await _begin(arguments, environ, folder)
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


_template = Template()


async def _begin(
    arguments: Sequence[str],
    environ: Mapping[str, str] | None,
    folder: Path | None,
    files: int | None = None,
    *,
    fresh: bool = False,
) -> asyncio.subprocess.Process | Copied:
    """Begin `python -m proxy`; as a copy of a Python that has imported it, where that is the same.

    Args:
        fresh: it shall be a Python of its own.
    """
    everything = {**CLEAN, "PYTHONPATH": str(ROOT), **(environ or {})}
    speaks_to_python = any(name.startswith("PYTHON") for name in environ or {})
    if sys.platform == "linux" and not fresh and not speaks_to_python:
        return await _template.begin(arguments, everything, folder or Path.cwd(), files)
    limit = ("prlimit", f"--nofile={files}") if files is not None else ()
    return await asyncio.create_subprocess_exec(
        *limit,
        sys.executable,
        "-m",
        "proxy",
        *arguments,
        env=everything,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


class Running:
    """A proxy that runs, and what it says.

    Attributes:
        events: parsed lines of its log, so far.
        exit_code: once it has ended.
    """

    def __init__(self, process: asyncio.subprocess.Process | Copied, session: aiohttp.ClientSession) -> None:
        self.events: list[dict[str, Any]] = []
        self.said = ""
        self.pid = process.pid
        self._process = process
        self._session = session
        self._news = asyncio.Condition()

    async def listen(self) -> None:
        """Read what it says, to the end."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            async with self._news:
                self.said += line.decode()
                self.events.append(json.loads(line) if line.startswith(b"{") else {"message": line.decode()})
                self._news.notify_all()

    async def event(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event that is wanted, waited for."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: any(wanted(event) for event in self.events))
        return next(event for event in self.events if wanted(event))

    async def message(self, text: str) -> dict[str, Any]:
        return await self.event(lambda event: text in event["message"])

    async def url(self, upstream: str) -> str:
        event = await self.event(lambda event: event.get("upstream") == upstream and "listen" in event)
        return f"http://localhost:{event['listen'][0].rpartition(':')[2]}"

    async def admin(self) -> str:
        return f"http://{(await self.message('admin listening'))['listen']}"

    async def get(self, upstream: str, path: str, method: str = "GET", **how: Any) -> tuple[int, str, Any]:
        """Status, body, fields."""
        return await self._ask(method, await self.url(upstream) + path, **how)

    async def look(self, path: str) -> tuple[int, str, Any]:
        """The same of the admin port."""
        return await self._ask("GET", await self.admin() + path)

    async def _ask(self, method: str, url: str, **how: Any) -> tuple[int, str, Any]:
        async with self._session.request(method, url, **how) as response:
            return response.status, await response.text(), response.headers

    async def metric(self, name: str, **labels: str) -> float:
        _, text, _ = await self.look("/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"camunda_auth_proxy_{name}" and labels.items() <= sample.labels.items()
        )

    async def until(self, true: Callable[[], Any]) -> None:
        """Ask again and again; over sockets, so each look gives the proxy its turn."""
        async with asyncio.timeout(PATIENCE):
            while not await true():
                pass

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()


@asynccontextmanager
async def proxy(
    folder: Path,
    config: Mapping[str, Any] | str,
    environ: Mapping[str, str] | None = None,
    *arguments: str,
    files: int | None = None,
    fresh: bool = False,
) -> AsyncIterator[Running]:
    """`run` with this configuration (JSON is YAML) until the block ends; then SIGTERM, and exit code 0.

    Args:
        files: limit of its open files; None: the limit of the tests.
        fresh: it shall be a Python of its own, as its user starts it.
    """
    options = list(arguments)
    if config:
        path = folder / "camunda-auth-proxy.yaml"
        path.write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
        options += ["--config", str(path)]
    process = await _begin(("run", *options), environ, folder, files, fresh=fresh)
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        running = Running(process, session)
        listening = tasks.create_task(running.listen())
        try:
            yield running
            if process.returncode is None:
                running.signal()
                assert await running.ended() == 0, running.said
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await listening
