"""An admin port before real keepers, and a caller that speaks bytes."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from proxy.admin.server import Admin
from proxy.admin.state import State, UpstreamView
from proxy.credentials.credential import Credential
from proxy.credentials.keeper import Keeper
from proxy.gateway.guard import Guard
from proxy.gateway.listener import Listener
from proxy.gateway.tally import Tally
from proxy.gateway.watch import UpstreamWatch
from proxy.outgoing.causes import Peer
from tests.clock import FakeClock
from tests.credentials.sources import ScriptedSource, running

CANARY = "canary-7f3a-never-to-be-seen"
NO_FIELDS: Mapping[str, str] = MappingProxyType({})
UNIX_TIME = 1_700_000_000.0
"""Seconds since 1970, while the clock of the tests says 1000."""


class CanarySource(ScriptedSource):
    """Its credentials hold a secret that must not come out anywhere."""

    async def fetch(self) -> Credential:
        credential = await super().fetch()
        stamped = ((b"Authorization", b"Bearer " + CANARY.encode()),)
        return Credential(stamped, credential.fetched_at, credential.expires_at)


@dataclass(frozen=True)
class Reply:
    """What came back, until the connection ended."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


CERTIFICATE_ENDS = 2_000_000_000.0
"""When the certificate of each listener expires, in seconds since 1970."""


def view(
    name: str,
    keeper: Keeper,
    tally: Tally | None = None,
    credential: str = "saas",
    watch: UpstreamWatch | None = None,
) -> UpstreamView:
    """An upstream that nobody serves."""
    return UpstreamView(
        name=name,
        api=name,
        url=f"http://{name}.test",
        credential=credential,
        listen=("127.0.0.1:19080", "[::1]:19080"),
        keeper=keeper,
        tally=tally or Tally(),
        watch=watch or UpstreamWatch(Peer(name)),
        certificate_ends=lambda: CERTIFICATE_ENDS,
    )


class House:
    """An admin port and what stands behind it.

    Attributes:
        scrapes: how often the time since 1970 was asked for: once per scrape.
    """

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.source = CanarySource(self.clock)
        self.keeper = Keeper("saas", self.source, clock=self.clock, target="zeebe.camunda.io")
        self.tally = Tally()
        self.state = State((view("zeebe", self.keeper, self.tally),), bound=True)
        self.scrapes = 0
        self.port = 0
        self.probe_port = 0

    def wall(self) -> float:
        self.scrapes += 1
        return UNIX_TIME + self.clock.now() - 1000.0

    async def get(self, path: str, fields: Mapping[str, str] = NO_FIELDS, *, probe: bool = False) -> Reply:
        return await self.ask("GET", path, fields, probe=probe)

    async def ask(
        self, method: str, path: str, fields: Mapping[str, str] = NO_FIELDS, *, probe: bool = False
    ) -> Reply:
        """One request on a connection of its own; `fields` in place of, or beside, those of every request."""
        port = self.probe_port if probe else self.port
        all_fields = {"Host": f"localhost:{port}", "Connection": "close", **fields}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in all_fields.items())]
        return reply(await exchange(port, "\r\n".join((*lines, "", "")).encode()))

    async def fetched(self) -> None:
        """One fetch, begun and ended."""
        async with running(self.keeper, self.clock):
            await self.clock.settle()


async def exchange(port: int, octets: bytes) -> bytes:
    """Everything that comes back until the other side ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(octets)
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def reply(octets: bytes) -> Reply:
    """The one answer in some bytes."""
    head, _, body = octets.partition(b"\r\n\r\n")
    start, *lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return Reply(int(start.split(" ")[1]), fields, body)


@asynccontextmanager
async def open_house() -> AsyncIterator[House]:
    """Both ports, listening."""
    house = House()
    admin = Admin(house.state, house.clock, "9.8.7", house.wall)
    sock, probe_sock = _bound(), _bound()
    house.port, house.probe_port = sock.getsockname()[1], probe_sock.getsockname()[1]
    async with AsyncExitStack() as stack:
        for bound, service in ((sock, admin.service(Guard())), (probe_sock, admin.probe_service())):
            listener = Listener(service, house.clock)
            stack.push_async_callback(listener.close)
            await listener.start([bound])
        yield house


def _bound() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock
