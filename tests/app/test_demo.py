"""The `demo` command, and a proxy of one's own before its simulated Camunda."""

import asyncio
import socket
from pathlib import Path

import yaml

from proxy.commands.show import PORTS
from tests.app.command import command, proxy
from tests.app.terminal import terminal


def free_ports(wanted: int) -> int:
    """The first of so many free ports, below those that the system gives to others."""
    for first in range(20_000, 30_000, wanted):
        try:
            for port in range(first, first + wanted):
                with socket.socket() as sock:
                    sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


async def test_the_demo_shows_everything_answered_and_stays_for_a_proxy_of_ones_own(tmp_path: Path) -> None:
    port = free_ports(PORTS)
    with terminal("demo", "--stay", "--port", str(port), folder=tmp_path) as screen:
        shown = (await asyncio.to_thread(screen.until, "\r\npassword ")).replace("\r\n", "\n")
        assert " 0 waited for a token" in shown
        assert "1 request sent again" in shown
        assert "50 answered 200, 1 login for all of them." in shown
        for name in ("zeebe-saas", "operate-8.6", "cluster-8.10"):
            assert f"\n  {name} " in shown
        runs, own = shown.split("What the demo's proxy runs:\n\n")[1].split("\n\nTo point a proxy")
        running = yaml.safe_load(runs)
        assert running["admin"]["listen"] == port
        assert running["upstreams"]["zeebe-saas"]["listen"] == port + 1
        assert running["credentials"]["saas"]["client_secret"] == "${SAAS_SECRET}"
        text = own.partition("\n\n")[2].partition("\n\nclient id")[0]
        document = yaml.safe_load(text)
        assert document["credentials"]["demo"]["client_secret"] in own.partition("client secret")[2]
        document["upstreams"]["zeebe"]["listen"] = 0
        document["admin"] = {"listen": "localhost:0"}
        async with proxy(tmp_path, document) as mine:
            assert (await mine.get("zeebe", "/v2/topology"))[0] == 200
        code, _, err = await command("demo", "--stay", "--port", str(port))
        assert code == 2
        assert f"ports {port} to {port + PORTS - 1}, and one of them is taken" in err
        screen.type("\x03")
        await asyncio.to_thread(screen.until, "Everything was answered.")
        assert await asyncio.to_thread(screen.ended) == 0


async def test_a_port_without_stay_is_told() -> None:
    code, out, err = await command("demo", "--port", "19180")
    assert (code, out) == (2, "")
    assert "--port is for --stay only" in err
