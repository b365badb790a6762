"""MCP's Python SDK and npm's mcp-remote, through the proxy, at a real MCP server that refuses old tokens.

As that of Camunda 8.10, the server's challenge leads into an OAuth discovery that cannot succeed: a client
that gets it once gives the server up. The proxy never forwards it.
"""

import asyncio
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.real.servers import HERE, RUN
from tests.real.sidecar import free_ports, sidecar
from tests.real.traffic import eventually

pytestmark = pytest.mark.real

CLIENTS = HERE / "clients/clients.sh"
LIFE = 4
SLOW = {"tool": "slow", "arguments": {"seconds": 6}}
ADD = {"tool": "add", "arguments": {"a": 1, "b": 2}}
SUM = {"result": "3", "progress": 0}


class McpServer:
    """The MCP server, which can be restarted."""

    def __init__(self, port: int, life: float) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._arguments = (str(port), str(life))
        self._process: Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(CLIENTS, "mcp", "server", *self._arguments)
        await eventually(self._answers)

    async def stop(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def _answers(self) -> bool:
        try:
            await self.seen()
        except aiohttp.ClientError:
            return False
        return True

    async def seen(self) -> dict[str, int]:
        """What was asked since its start, by outcome."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/seen") as answer:
            return dict(await answer.json())

    async def revoke(self) -> None:
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}/revoke"):
            pass


class McpClient:
    """A client: one tool call at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def call(self, wish: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wish).encode() + b"\n")
        return await self.said()

    async def said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        return dict(json.loads(line))


@asynccontextmanager
async def mcp_client(kind: str, url: str, home: Path) -> AsyncIterator[McpClient]:
    process = await asyncio.create_subprocess_exec(
        CLIENTS,
        "mcp",
        kind,
        url,
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "HOME": str(home), "REAL_DIR": str(RUN)},
    )
    try:
        yield McpClient(process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


@pytest.fixture
async def server() -> AsyncIterator[McpServer]:
    (port,) = free_ports(1)
    running = McpServer(port, LIFE)
    await running.start()
    yield running
    await running.stop()


def credential(kind: str, server: McpServer) -> dict[str, Any]:
    if kind == "session":
        return {"type": "session", "username": "demo", "password": "demo"}
    return {"type": "oauth2", "token_url": f"{server.url}/token", "client_id": "a", "client_secret": "b"}


@pytest.mark.waits
@pytest.mark.parametrize("kind", ["bearer", "session"])
@pytest.mark.parametrize("client", ["client", "remote"])
@pytest.mark.parametrize("path", ["/mcp/cluster", "/mcp/processes"])
async def test_a_client_survives_expiry_revocation_and_a_restart(
    path: str, client: str, kind: str, server: McpServer, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(sidecar(tmp_path, server.url, **credential(kind, server)))
        await eventually(proxy.ready)
        caller = await stack.enter_async_context(mcp_client(client, f"{proxy.url}{path}", tmp_path))
        assert await caller.said() == {"connected": True}
        assert await caller.call(ADD) == SUM
        assert await caller.call(SLOW) == {"result": "done", "progress": 3}  # its token has ended meanwhile
        await server.revoke()
        assert await caller.call(ADD) == SUM
        seen = await server.seen()
        assert sum(seen.get(each, 0) for each in ("refused token", "refused session")) >= 1
        assert seen.get("discovery", 0) == 0

        await server.stop()
        told = await caller.call(ADD)
        assert "error" in told
        if client == "client":
            assert "connection refused" in told["error"]
        await server.start()

        async def serves() -> bool:
            told = await caller.call(ADD)
            return told == SUM or (await caller.said() == {"connected": True} and False)

        await eventually(serves)
        assert (await server.seen()).get("discovery", 0) == 0


async def test_a_refusal_that_cannot_be_repaired_is_a_sentence_and_no_discovery(
    server: McpServer, tmp_path: Path
) -> None:
    wrong = {"type": "bearer", "token": "a-token-that-the-server-does-not-know"}
    async with sidecar(tmp_path, server.url, **wrong) as proxy:
        await eventually(proxy.ready)
        async with mcp_client("client", f"{proxy.url}/mcp/cluster", tmp_path) as caller:
            assert "zeebe refuses the credential" in (await caller.said())["error"]
    assert (await server.seen()).get("discovery", 0) == 0


@pytest.mark.parametrize("client", ["client", "remote"])
@pytest.mark.parametrize("kind", ["bearer", "session"])
async def test_a_client_with_read_only_rights_lists_and_reads_and_is_told_what_it_may_not(
    client: str, kind: str, server: McpServer, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        there = sidecar(tmp_path, server.url, rules={"read_only": True}, **credential(kind, server))
        proxy = await stack.enter_async_context(there)
        await eventually(proxy.ready)
        caller = await stack.enter_async_context(mcp_client(client, f"{proxy.url}/mcp/cluster", tmp_path))
        assert await caller.said() == {"connected": True}
        listed = await caller.call({"list": True})
        assert {"getTopology", "resolveIncident", "add"} <= set(listed["tools"])
        for _ in range(2):  # it goes on after a refusal
            read = await caller.call({"tool": "getTopology", "arguments": {}})
            assert read["result"] == "the topology"
            change = await caller.call({"tool": "resolveIncident", "arguments": {"incident": 7}})
            assert "upstreams.zeebe is read-only" in change["error"]
            assert "the tool resolveIncident changes something" in change["error"]
            assert "does not know this tool" in (await caller.call(ADD))["error"]
    assert "changes" not in await server.seen()


async def test_without_read_only_the_same_tool_does_change_something(
    server: McpServer, tmp_path: Path
) -> None:
    async with sidecar(tmp_path, server.url, **credential("bearer", server)) as proxy:
        await eventually(proxy.ready)
        async with mcp_client("client", f"{proxy.url}/mcp/cluster", tmp_path) as caller:
            assert await caller.said() == {"connected": True}
            done = await caller.call({"tool": "resolveIncident", "arguments": {"incident": 7}})
            assert done["result"] == "resolved 7"
    assert (await server.seen())["changes"] == 1


async def test_without_the_proxy_the_same_server_leads_into_a_discovery(
    server: McpServer, tmp_path: Path
) -> None:
    """The trap is real: else the tests above would show nothing."""
    async with mcp_client("remote", f"{server.url}/mcp/cluster", tmp_path) as caller:
        assert "error" in await caller.said()
    assert (await server.seen())["discovery"] >= 1
