"""Real servers of Valkey or Redis on free ports of loopback: one, behind Sentinels, or a cluster of six.

`STORE_SERVER` names the program; default: valkey-server, else redis-server.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = (
    os.environ.get("STORE_SERVER") or shutil.which("valkey-server") or shutil.which("redis-server") or ""
)
CLI = shutil.which("valkey-cli") or shutil.which("redis-cli") or ""

ACL = (
    "user default off\n"
    "user proxy on >hunter2 ~camunda-auth-proxy:* resetchannels"
    " +get +set +del +exists +incr +pexpire +pttl +eval +hello +auth +client|setname"
    " +cluster|slots +command +asking\n"
)
"""As docs/operations.md says."""


def free_ports(count: int, *, above: int = 0) -> list[int]:
    """Return ports that were free just now; a cluster's node needs the one that is 10,000 above, too."""
    held = []
    ports: list[int] = []
    while len(ports) < count:
        one = socket.socket()
        held.append(one)
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        if above and port + above > 65535:
            continue
        ports.append(port)
    for one in held:
        one.close()
    return ports


@dataclass
class Server:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes] = field(repr=False)
    options: Sequence[str] = ()

    def cli(self, *words: str, port: int | None = None) -> str:
        """Run a command of its command line client."""
        command = [CLI, "-p", str(port or self.port), *self.options, *words]
        said = subprocess.run(command, capture_output=True, timeout=10, check=False).stdout
        return said.decode(errors="replace").strip()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@asynccontextmanager
async def server(
    folder: Path, *options: str, port: int = 0, cli: Sequence[str] = (), ready: str = "PONG"
) -> AsyncIterator[Server]:
    """Run one server until the block ends. A `port` among the options counts first."""
    port = port or free_ports(1)[0]
    listen = ("--port", str(port)) if "--tls-port" not in options and "--sentinel" not in options else ()
    usual = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder))
    arguments = [*options] if "--sentinel" in options else [*listen, *usual, *options]
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, *arguments], stdout=log, stderr=log)
    one = Server(port, process, cli)
    try:
        async with asyncio.timeout(10):
            while one.cli("ping") != ready and process.poll() is None:
                await asyncio.sleep(0.02)
        assert process.poll() is None, (folder / f"{port}.log").read_text()
        yield one
    finally:
        one.resume()
        one.kill()


@dataclass
class Sentinels:
    """A master, its replica, and three Sentinels that watch them."""

    master: Server
    ports: list[int]


@asynccontextmanager
async def sentinels(folder: Path) -> AsyncIterator[Sentinels]:
    async with AsyncExitStack() as stack:
        first, second, *ports = free_ports(5)
        master = await stack.enter_async_context(server(folder, port=first))
        replica = ("--replicaof", f"127.0.0.1 {first}", "--repl-diskless-sync-delay", "0")
        await stack.enter_async_context(server(folder, *replica, port=second))
        for port in ports:
            file = folder / f"sentinel{port}.conf"
            file.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor m1 127.0.0.1 {first} 2\n"
                "sentinel down-after-milliseconds m1 1000\nsentinel failover-timeout m1 3000\n"
            )
            await stack.enter_async_context(server(folder, str(file), "--sentinel", port=port))
        async with asyncio.timeout(20):
            while any(_known(master, port) != ("2", "1") for port in ports):
                await asyncio.sleep(0.1)
        yield Sentinels(master, ports)


def _known(master: Server, port: int) -> tuple[str, str]:
    """Return how many other Sentinels and replicas this one knows."""
    words = master.cli("sentinel", "master", "m1", port=port).split("\n")
    facts = dict(zip(words[::2], words[1::2], strict=False))
    return facts.get("num-other-sentinels", ""), facts.get("num-slaves", "")


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[list[Server]]:
    """Three masters with a replica each; back when every replica has its first copy."""
    async with AsyncExitStack() as stack:
        nodes = []
        for port in free_ports(6, above=10000):
            options = ["--cluster-enabled", "yes", "--cluster-config-file", f"{port}.conf"]
            options += ["--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"]
            nodes.append(await stack.enter_async_context(server(folder, *options, port=port)))
        places = [f"127.0.0.1:{node.port}" for node in nodes]
        nodes[0].cli("--cluster", "create", *places, "--cluster-replicas", "1", "--cluster-yes")
        async with asyncio.timeout(30):
            while not all(_settled(node) for node in nodes):
                await asyncio.sleep(0.1)
        yield nodes


def _settled(node: Server) -> bool:
    replicates = node.cli("info", "replication")
    linked = "role:master" in replicates or "master_link_status:up" in replicates
    return "cluster_state:ok" in node.cli("cluster", "info") and linked
