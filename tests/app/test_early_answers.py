"""An upstream that refuses an upload answers at its head and closes: the answer reaches the caller."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.app.command import PATIENCE, proxy
from tests.certificates import certificate, serving

LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge"

pytestmark = pytest.mark.slow


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(LARGE)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()  # with bytes of the body unread, so this is a reset


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("size", [1 << 20, 20 << 20], ids=["1M", "20M"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_early_answer_is_not_lost_to_a_write_that_fails(
    tmp_path: Path, scheme: str, size: int, chunked: bool
) -> None:
    pki = certificate(tmp_path / "pki", "127.0.0.1")
    tls = serving(pki) if scheme == "https" else None
    server = await asyncio.start_server(refuse, "127.0.0.1", 0, ssl=tls)
    upstream: dict[str, Any] = {
        "api": "other",
        "url": f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        "listen": "127.0.0.1:0",
        "credential": "token",
        "tls": {"ca_file": str(pki[0])} if tls is not None else {},
    }
    config = {
        "upstreams": {"site": upstream},
        "credentials": {"token": {"type": "bearer", "token": "canary-0123456789"}},
        "admin": {"listen": "127.0.0.1:0"},
    }
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, bytes(size)) if chunked else bytes(size)
    async with server, proxy(tmp_path, config) as sidecar:
        port = int((await sidecar.url("site")).rpartition(":")[2])
        for _ in range(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n" % framing)
            writer.write(body)
            async with asyncio.timeout(PATIENCE):
                await writer.drain()
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
            writer.transport.abort()
