"""The peers: how each is configured for a list of lanes, and started."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bench.behaviour import configurations
from bench.behaviour.lanes import CLIENT, SECRET, STATIC, Lane
from bench.peers import BENCH, envoy_program
from bench.process import Command

GO_PROXY: Final = BENCH / ".build" / "go-behaviour"
MCP_REMOTE: Final = BENCH / ".build" / "mcp-remote" / "node_modules" / "mcp-remote" / "dist" / "proxy.js"
"""Both are made by bench/conformance."""
OURS: Final = "ours"
_PATIENCE: Final = 180.0
"""Seconds until a peer that accepts no connection counts as one that did not start."""
_GLANCE: Final = 5.0
"""Seconds that a peer gets to accept connections where it need not, before its rows begin."""
_STARTING: Final = asyncio.Semaphore(3)
"""Few start at a time: else each would take long, and rows would measure that."""


class DidNotStart(Exception):
    """A peer accepts no connection; the text has the end of its output."""


@dataclass(frozen=True)
class Peer:
    """One proxy.

    Attributes:
        title: as the table names it.
        command: starts it for these lanes; its files go to the folder, the origins have this certificate.
        needs: a program or file without which it is left out.
        fetches: whether it gets tokens from a token endpoint itself.
        speaks: `http`: any HTTP client can use it; `mcp`: only one MCP client, on stdin and stdout.
        margin: seconds before a token's end at which it uses the token no more; rows get longer-lived tokens.
    """

    name: str
    title: str
    command: Callable[[Sequence[Lane], Path, Path], Command]
    needs: str
    fetches: bool = True
    speaks: Literal["http", "mcp"] = "http"
    margin: int = 0

    @property
    def available(self) -> bool:
        return shutil.which(self.needs) is not None or Path(self.needs).is_file()


def _file(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def _nginx(lanes: Sequence[Lane], folder: Path, certificate: Path) -> Command:
    text = configurations.nginx(lanes, folder, certificate)
    return Command(("nginx", "-e", "stderr", "-c", _file(folder, "nginx.conf", text)), folder)


def _haproxy(lanes: Sequence[Lane], folder: Path, certificate: Path) -> Command:
    text = configurations.haproxy(lanes, certificate)
    return Command(("haproxy", "-db", "-f", _file(folder, "haproxy.cfg", text)), folder)


def _envoy(lanes: Sequence[Lane], folder: Path, certificate: Path) -> Command:
    text = json.dumps(configurations.envoy(lanes, certificate))
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    return Command((envoy_program(), *options, "-c", _file(folder, "envoy.json", text)), folder)


def _go(lanes: Sequence[Lane], folder: Path, certificate: Path) -> Command:
    text = json.dumps(configurations.go(lanes, certificate))
    return Command((str(GO_PROXY), _file(folder, "lanes.json", text)), folder)


def _ours(lanes: Sequence[Lane], folder: Path, certificate: Path) -> Command:
    path = _file(folder, "ours.yaml", json.dumps(configurations.ours(lanes, certificate)))
    return Command((sys.executable, "-m", "proxy", "run", "--config", path), folder, workdir=BENCH.parent)


def _mcp_remote(lanes: Sequence[Lane], folder: Path, _certificate: Path) -> Command:
    (lane,) = lanes
    how: tuple[str, ...] = ("--header", f"Authorization: Bearer {STATIC}")
    if lane.token_url is not None:
        info = {"client_id": CLIENT, "client_secret": "${BEHAVIOUR_SECRET}"}
        how = ("--client-credentials", "--token-endpoint", lane.token_url)
        how += ("--static-oauth-client-info", json.dumps(info))
        how += ("--static-oauth-client-metadata", '{"token_endpoint_auth_method": "client_secret_post"}')
    arguments = ("node", str(MCP_REMOTE), f"http://{lane.authority}/mcp", "--allow-http")
    environment = {"MCP_REMOTE_CONFIG_DIR": str(folder / "kept"), "BEHAVIOUR_SECRET": SECRET}
    return Command((*arguments, "--transport", "http-only", *how), folder, environment=environment)


PEERS: Final = {
    peer.name: peer
    for peer in (
        Peer("nginx", "nginx", _nginx, "nginx", fetches=False),
        Peer("haproxy", "HAProxy", _haproxy, "haproxy", fetches=False),
        Peer("envoy", "Envoy, credential injector", _envoy, envoy_program()),
        Peer("go", "Go, x/oauth2", _go, str(GO_PROXY)),
        Peer("mcp-remote", "mcp-remote", _mcp_remote, str(MCP_REMOTE), speaks="mcp", margin=60),
        Peer(OURS, "ours", _ours, sys.executable),
    )
}


class Running:
    """A peer that was started.

    Attributes:
        process: its standard input and output are pipes for a peer that speaks MCP, else closed.
    """

    def __init__(self, process: asyncio.subprocess.Process, output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def ended(self) -> bool:
        return self.process.returncode is not None

    def said(self) -> str:
        """The end of what it wrote."""
        return self._output.read_text(encoding="utf-8", errors="replace")[-1500:]


@asynccontextmanager
async def started(
    peer: Peer, lanes: Sequence[Lane], folder: Path, certificate: Path, *, ready: bool = True
) -> AsyncIterator[Running]:
    """Run the peer until the block ends.

    Args:
        ready: wait until each lane accepts connections; else only a little.

    Raises:
        DidNotStart
    """
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 -- quick, and nothing else runs yet
    command = peer.command(lanes, folder, certificate)
    output = folder / "output"
    pipe = asyncio.subprocess.PIPE if peer.speaks == "mcp" else None
    process = None
    try:
        async with _STARTING:
            with output.open("ab") as sink:
                process = await asyncio.create_subprocess_exec(
                    *command.arguments,
                    cwd=command.workdir or folder,
                    env={**os.environ, **command.environment},
                    stdin=pipe or asyncio.subprocess.DEVNULL,
                    stdout=pipe or sink,
                    stderr=sink,
                )
            running = Running(process, output)
            patience = _PATIENCE if ready else _GLANCE
            accepts = peer.speaks != "http" or await _accepting(running, lanes, patience)
        if ready and not accepts:
            raise DidNotStart(running.said())
        yield running
    finally:
        if process is not None:
            await _end(process)


async def _accepting(running: Running, lanes: Sequence[Lane], patience: float) -> bool:
    """Whether each lane accepts connections, waited for."""
    end = asyncio.get_running_loop().time() + patience
    for lane in lanes:
        while not await _accepts(lane.listen):
            if running.ended or asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(0.02)
    return True


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.transport.abort()
    return True


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(10.0):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
