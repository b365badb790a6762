"""Callers and upstreams that do not read leave the proxy smaller than the container that deploy/ gives it."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.app.command import Running, proxy

EACH = 500
PIECE = bytes(64 * 1024)
LENGTH = 64 * 1024 * 1024
ROOT = Path(__file__).parents[2]

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Moved:
    """Counts the pieces that every side has got rid of."""

    def __init__(self) -> None:
        self.pieces = 0
        self.answers = 0
        self.uploads = 0
        self.open: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, writer: asyncio.StreamWriter) -> None:
        """Send LENGTH bytes, or until the peer is gone."""
        try:
            for _ in range(LENGTH // len(PIECE)):
                writer.write(PIECE)
                await writer.drain()
                self.pieces += 1
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.answers += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LENGTH)
        await self.send(writer)

    async def take_nothing(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.uploads += 1
        self.open.append((reader, writer))  # or they would be closed when they are collected
        reader._transport.pause_reading()  # type: ignore[attr-defined]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[dict[str, object]]:
    """The settings of an upstream that is answered like this."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0, limit=len(PIECE), backlog=EACH)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield {
            "api": "other",
            "url": url,
            "listen": "127.0.0.1:0",
            "credential": "token",
            "max_connections": EACH,
        }


def limit_of_the_container() -> int:
    """Bytes."""
    text = (ROOT / "deploy/kubernetes/component/sidecar.yaml").read_text()
    found = re.search(r"limits: \{memory: ([0-9]+)Mi\}", text)
    assert found is not None
    return int(found[1]) << 20


def largest(pid: int) -> int:
    """Bytes that the process has had resident at most."""
    found = re.search(r"VmHWM:\s+([0-9]+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) << 10


async def begin(url: str, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]), limit=1024)
    writer.write(request)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    return reader, writer


async def stand_still(sidecar: Running, moved: Moved) -> None:
    """Wait until all have begun and no piece has moved for many questions to the proxy in turn."""
    before, looks = -1, 0

    async def still() -> bool:
        nonlocal before, looks
        await sidecar.look("/health/live")
        begun = moved.answers == EACH and moved.uploads == EACH
        looks = looks + 1 if begun and moved.pieces == before else 0
        before = moved.pieces
        return looks > 100

    await sidecar.until(still)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
async def test_callers_and_upstreams_that_do_not_read_fit_into_the_container(tmp_path: Path) -> None:
    moved = Moved()
    get = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    post = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % LENGTH
    async with (
        serving(moved.answer) as down,
        serving(moved.take_nothing) as up,
        asyncio.TaskGroup() as tasks,
    ):
        config = {
            "upstreams": {"down": down, "up": up},
            "credentials": {"token": {"type": "bearer", "token": "canary-0123456789"}},
            "admin": {"listen": "127.0.0.1:0"},
        }
        async with proxy(tmp_path, config, files=8192, fresh=True) as sidecar:
            to_down, to_up = await sidecar.url("down"), await sidecar.url("up")
            for _ in range(EACH):
                moved.open.append(await begin(to_down, get))
                moved.open.append(await begin(to_up, post))
                tasks.create_task(moved.send(moved.open[-1][1]))
            await stand_still(sidecar, moved)
            assert largest(sidecar.pid) < limit_of_the_container()
            for _, writer in moved.open:
                writer.transport.abort()
