"""The proxy in a network of its own: names that come, go and move, silent servers, peers that vanish.

Root runs it as `unshare --net --mount python -m tests.outgoing.namespace SCENARIO`, and `test_namespace.py`
does: there, no name server and no address is anything but ours.
"""

import asyncio
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from proxy.clock import SystemClock, pause
from tests.app.command import Running, proxy

ONE, OTHER, DEAD = "192.0.2.1", "192.0.2.2", "192.0.2.9"
DEAD6 = "2001:db8::9"
PORT = 8080
CLOCK = SystemClock()


def system(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def build_network(folder: Path) -> None:
    """Two addresses that work, one that swallows packets, in each family, and a name server of ours alone."""
    system("ip", "link", "set", "lo", "up")
    for address in (f"{ONE}/32", f"{OTHER}/32", f"{DEAD}/32", f"{DEAD6}/128"):
        system("ip", "addr", "add", address, "dev", "lo")
    swallow(DEAD)
    system("ip6tables", "-A", "INPUT", "-d", DEAD6, "-j", "DROP")
    for name, text in (
        ("resolv.conf", "nameserver 127.0.0.1\nsearch cluster.test\noptions ndots:2 timeout:20 attempts:1\n"),
        ("hosts", "127.0.0.1 localhost\n"),
        ("nsswitch.conf", "hosts: files dns\n"),
    ):
        (folder / name).write_text(text)
        system("mount", "--bind", str(folder / name), str(Path("/etc", name).resolve()))


def swallow(address: str) -> None:
    system("iptables", "-A", "INPUT", "-d", address, "-j", "DROP")


class NameServer(asyncio.DatagramProtocol):
    """A DNS server (RFC 1035).

    Attributes:
        addresses: by name; a name that is not there does not exist.
        silent: names that get no answer.
        asked: names that it was asked for.
    """

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.silent: set[str] = set()
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, sender: Any) -> None:
        labels, at = [], 12
        while size := data[at]:
            labels.append(data[at + 1 : at + 1 + size].decode())
            at += 1 + size
        name, kind = ".".join(labels).lower(), int.from_bytes(data[at + 1 : at + 3])
        self.asked.append(name)
        if name in self.silent:
            return
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        known = self.addresses.get(name, [])
        answers = [each for each in known if (":" in each) == (family == socket.AF_INET6) and family]
        flags = b"\x81\x80" if known else b"\x81\x83"
        counts = b"\0\1" + len(answers).to_bytes(2) + b"\0\0\0\0"
        records = b""
        for each in answers:
            raw = socket.inet_pton(socket.AF_INET6 if ":" in each else socket.AF_INET, each)
            records += b"\xc0\x0c" + data[at + 1 : at + 5] + b"\0\0\0\0" + len(raw).to_bytes(2) + raw
        self._transport.sendto(data[:2] + flags + counts + data[12 : at + 5] + records, sender)


async def token(_: web.Request) -> web.Response:
    return web.json_response({"access_token": "t", "expires_in": 5})


class World:
    """Attributes:
    names: the DNS server.
    sidecar: the proxy.
    held: while this is not set, `/held` is not answered.
    """

    def __init__(self, names: NameServer) -> None:
        self.names = names
        self.held = asyncio.Event()
        self.sidecar: Running

    async def status(self, upstream: str, path: str = "/", method: str = "GET") -> tuple[int, str, float]:
        """Status, body (the address that answered), seconds."""
        begun = CLOCK.now()
        status, body, _ = await self.sidecar.get(upstream, path, method)
        return status, body, CLOCK.now() - begun


async def _serve(stack: AsyncExitStack, address: str, world: World) -> None:
    async def where(request: web.Request) -> web.Response:
        if request.path == "/held":
            await world.held.wait()
        return web.Response(text=address)

    app = web.Application()
    app.router.add_post("/token", token)
    app.router.add_route("*", "/{path:.*}", where)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=3600, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, address, PORT).start()


@asynccontextmanager
async def world(**hosts: list[str]) -> AsyncIterator[World]:
    """A proxy with an upstream for each name, at `NAME.test`; its tokens live for five seconds."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        build_network(folder)
        async with AsyncExitStack() as stack:
            loop = asyncio.get_running_loop()
            transport, names = await loop.create_datagram_endpoint(NameServer, ("127.0.0.1", 53))
            stack.callback(transport.close)
            made = World(names)
            for address in (ONE, OTHER):
                await _serve(stack, address, made)
            names.addresses = {f"{name}.test": addresses for name, addresses in hosts.items()}
            names.addresses["login.test"] = [OTHER]
            config = {
                "upstreams": {
                    name: {
                        "url": f"http://{name}.test:{PORT}",
                        "api": "other",
                        "listen": "localhost:0",
                        "credential": "saas",
                    }
                    for name in hosts
                },
                "credentials": {
                    "saas": {
                        "type": "oauth2",
                        "token_url": f"http://login.test:{PORT}/token",
                        "client_id": "x",
                        "client_secret": "y",
                    }
                },
                "admin": {"listen": "127.0.0.1:0"},
            }
            made.sidecar = await stack.enter_async_context(proxy(folder, config))
            await made.sidecar.admin()
            yield made


# -- what must be true --


async def hanging_name() -> None:
    """A name whose server is silent harms neither another upstream nor the credential of both."""
    async with world(good=[ONE], bad=[ONE]) as here:
        assert (await here.status("good"))[:2] == (200, ONE)
        here.names.silent.add("bad.test")
        async with asyncio.TaskGroup() as group:
            hung = [group.create_task(here.status("bad")) for _ in range(20)]
            for _ in range(8):  # longer than a token lives, and than the connections are kept
                status, body, seconds = await here.status("good")
                assert (status, body) == (200, ONE)
                assert seconds < 1.0, seconds
                await pause(CLOCK, 1.0)
        for each in hung:
            status, body, _ = each.result()
            assert status == 504, body
            assert "its name was not resolved in time" in body
        assert here.names.asked.count("bad.test") <= 2, "one lookup is shared: A and AAAA"
        here.names.silent.clear()

        async def back() -> bool:
            return (await here.status("bad"))[0] == 200

        await here.sidecar.until(back)


async def moving_name() -> None:
    """A name is followed where it goes while requests come every second, and when it is gone and back."""
    async with world(moving=[ONE]) as here:
        assert (await here.status("moving"))[:2] == (200, ONE)
        here.names.addresses["moving.test"] = [OTHER]
        begun = CLOCK.now()
        while (await here.status("moving"))[1] == ONE:
            assert CLOCK.now() - begun < 125, "the old address is used for ever"
            await pause(CLOCK, 1.0)
        del here.names.addresses["moving.test"]
        await pause(CLOCK, 16.0)  # idle connections have been closed
        status, body, _ = await here.status("moving")
        assert (status, "its name has no address in DNS" in body) == (502, True), body
        here.names.addresses["moving.test"] = [ONE]
        assert (await here.status("moving"))[:2] == (200, ONE)


async def swallowing_address() -> None:
    """An address that swallows packets costs a quarter second once, whatever its family."""
    async with world(first=[DEAD, ONE], six=[DEAD6, OTHER]) as here:
        for name, alive in (("first", ONE), ("six", OTHER)):
            status, body, seconds = await here.status(name)
            assert (status, body) == (200, alive)
            assert seconds < 1.0, seconds
        async with asyncio.TaskGroup() as group:
            again = [group.create_task(here.status("six")) for _ in range(20)]
        assert all(each.result()[:2] == (200, OTHER) for each in again)


async def vanishing_peer() -> None:
    """A peer whose packets are dropped is noticed after about 30 s, in a silent wait too."""
    async with world(lost=[ONE]) as here:
        assert (await here.status("lost"))[:2] == (200, ONE)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(here.status("lost", "/held", "POST"))
            await pause(CLOCK, 1.0)
            swallow(ONE)
            sent = group.create_task(here.status("lost"))  # on a new connection, which cannot be made
        status, body, seconds = waiting.result()
        assert (status, "it vanished" in body) == (504, True), body
        assert 20 < seconds < 60, seconds
        assert sent.result()[0] == 504


async def search_domain() -> None:
    """Search domains and `ndots` count, and so does a dot at the end."""
    async with world(short=[ONE]) as here:
        here.names.addresses["short.test.cluster.test"] = [OTHER]
        assert (await here.status("short"))[:2] == (200, OTHER), "ndots:2 asks below the search domain first"


SCENARIOS: dict[str, Callable[[], Awaitable[None]]] = {
    each.__name__: each
    for each in (hanging_name, moving_name, swallowing_address, vanishing_peer, search_domain)
}

if __name__ == "__main__":
    asyncio.run(SCENARIOS[sys.argv[1]]())  # type: ignore[arg-type]
