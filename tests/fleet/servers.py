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


@dataclass(frozen=True)
class Encryption:
    """PEM files of TLS between all of them: the CA, a certificate of it for 127.0.0.1, and its key."""

    ca: Path
    cert: Path
    key: Path

    @property
    def options(self) -> list[str]:
        return [
            "--tls-cert-file",
            str(self.cert),
            "--tls-key-file",
            str(self.key),
            "--tls-ca-cert-file",
            str(self.ca),
        ]

    def listening(self, port: int) -> list[str]:
        """Options of a server that takes no connections but encrypted ones."""
        return ["--tls-port", str(port), "--port", "0", *self.options, "--tls-replication", "yes"]

    @property
    def cli(self) -> list[str]:
        return ["--tls", "--cacert", str(self.ca), "--cert", str(self.cert), "--key", str(self.key)]


@asynccontextmanager
async def sentinels(folder: Path, tls: Encryption | None = None) -> AsyncIterator[Sentinels]:
    async with AsyncExitStack() as stack:
        first, second, *ports = free_ports(5)
        cli = tls.cli if tls else ()
        master = await stack.enter_async_context(
            server(folder, *(tls.listening(first) if tls else ()), port=first, cli=cli)
        )
        replica = ["--replicaof", "127.0.0.1", str(first), "--repl-diskless-sync-delay", "0"]
        replica += tls.listening(second) if tls else []
        await stack.enter_async_context(server(folder, *replica, port=second, cli=cli))
        for port in ports:
            file = folder / f"sentinel{port}.conf"
            file.write_text(
                f"{_listening(port, tls)}\nbind 127.0.0.1\ndir {folder}\n"
                f"sentinel monitor m1 127.0.0.1 {first} 2\n"
                "sentinel down-after-milliseconds m1 1000\nsentinel failover-timeout m1 3000\n"
            )
            await stack.enter_async_context(server(folder, str(file), "--sentinel", port=port, cli=cli))
        async with asyncio.timeout(20):
            while any(_known(master, port) != ("2", "1") for port in ports):
                await asyncio.sleep(0.1)
        yield Sentinels(master, ports)


def _listening(port: int, tls: Encryption | None) -> str:
    """Return lines of a Sentinel's file."""
    if tls is None:
        return f"port {port}"
    words = [each.removeprefix("--") for each in tls.listening(port)]
    return "\n".join(f"{key} {value}" for key, value in zip(words[::2], words[1::2], strict=True))


def _known(master: Server, port: int) -> tuple[str, str]:
    """Return how many other Sentinels and replicas this one knows."""
    words = master.cli("sentinel", "master", "m1", port=port).split("\n")
    facts = dict(zip(words[::2], words[1::2], strict=False))
    return facts.get("num-other-sentinels", ""), facts.get("num-slaves", "")


@asynccontextmanager
async def cluster(folder: Path, tls: Encryption | None = None) -> AsyncIterator[list[Server]]:
    """Three masters with a replica each; back when every replica has its first copy."""
    async with AsyncExitStack() as stack:
        nodes = []
        for port in free_ports(6, above=10000):
            options = ["--cluster-enabled", "yes", "--cluster-config-file", f"{port}.conf"]
            options += ["--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"]
            if tls:
                options += [*tls.listening(port), "--tls-cluster", "yes"]
            cli = tls.cli if tls else ()
            nodes.append(await stack.enter_async_context(server(folder, *options, port=port, cli=cli)))
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
