"""What systemd is told by the proxy as its user runs it."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.clock import monotonic_micros
from tests.app.command import Running, proxy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")


def configuration(**more: Any) -> str:
    zeebe = {"url": "http://127.0.0.1:9", "listen": "localhost:0", "credential": "open"}
    upstreams = {"zeebe": zeebe}
    return json.dumps(
        {
            "upstreams": upstreams,
            "credentials": {"open": {"type": "none"}},
            "admin": {"listen": "127.0.0.1:0"},
            **more,
        }
    )


class Systemd:
    """Hears what a service tells."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(address.replace("@", "\0"))

    async def told(self) -> dict[str, str]:
        async with asyncio.timeout(20):
            octets = await asyncio.get_running_loop().sock_recv(self._socket, 4096)
        return dict(line.split("=", 1) for line in octets.decode().splitlines())

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def service(folder: Path, address: str) -> AsyncIterator[tuple[Systemd, Running]]:
    systemd = Systemd(address)
    try:
        async with proxy(folder, configuration(), {"NOTIFY_SOCKET": address}) as sidecar:
            yield systemd, sidecar
        assert await systemd.told() == {"STOPPING": "1"}
    finally:
        systemd.close()


@pytest.mark.parametrize("abstract", [False, True])
async def test_systemd_hears_that_it_is_ready_and_that_it_stops(tmp_path: Path, *, abstract: bool) -> None:
    address = f"@{tmp_path.name}-{tmp_path.stat().st_ino}" if abstract else str(tmp_path / "notify")
    async with service(tmp_path, address) as (systemd, _):
        assert await systemd.told() == {"READY": "1"}


@pytest.mark.parametrize("good", [True, False])
async def test_systemd_hears_when_a_reload_begins_and_when_it_is_over(tmp_path: Path, *, good: bool) -> None:
    async with service(tmp_path, str(tmp_path / "notify")) as (systemd, sidecar):
        await systemd.told()
        document = configuration(log={"level": "debug"}) if good else "upstreams: none"
        (tmp_path / "camunda-auth-proxy.yaml").write_text(document, encoding="utf-8")
        asked_at = monotonic_micros()
        sidecar.signal(signal.SIGHUP)
        begun = await systemd.told()
        assert begun["RELOADING"] == "1"
        assert asked_at <= int(begun["MONOTONIC_USEC"]) <= monotonic_micros()
        assert await systemd.told() == {"READY": "1"}
        assert await sidecar.metric("config_reloads_total", outcome="ok" if good else "refused") == 1


async def test_ports_are_bound_when_systemd_hears_that_it_is_ready(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    document = configuration(admin={"listen": f"127.0.0.1:{port}"})
    systemd = Systemd(str(tmp_path / "notify"))
    try:
        async with proxy(tmp_path, document, {"NOTIFY_SOCKET": systemd.address}):
            assert await systemd.told() == {"READY": "1"}
            socket.create_connection(("127.0.0.1", port), 1).close()
    finally:
        systemd.close()


@pytest.mark.parametrize("address", ["vsock:2:1234", "/nowhere/notify"])
async def test_who_cannot_be_told_stops_nothing(tmp_path: Path, address: str) -> None:
    async with proxy(tmp_path, configuration(), {"NOTIFY_SOCKET": address}) as sidecar:
        assert (await sidecar.look("/health/live"))[0] == 200
