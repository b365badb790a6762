"""The gateway before an origin: built by hand, on a clock that the test moves."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from proxy.access.rules import AccessRules
from proxy.app.sockets import bind, bind_unix
from proxy.credentials.credential import CredentialSource, Sessions
from proxy.credentials.keeper import Keeper
from proxy.credentials.schedule import PACE, Policy
from proxy.gateway.dial import Endpoint
from proxy.gateway.fields import HeadRewriter
from proxy.gateway.forwarder import Forwarder
from proxy.gateway.guard import Guard
from proxy.gateway.limit import ConnectionLimit, UpstreamLimit
from proxy.gateway.listener import Listener
from proxy.gateway.pool import Pool
from proxy.gateway.records import RequestRecord, UpstreamObserver, UpstreamRules
from proxy.gateway.tally import Tally
from proxy.gateway.timeouts import Timeouts
from proxy.outgoing.causes import Peer
from proxy.outgoing.connect import Connector
from proxy.outgoing.names import GetAddrInfo
from tests.clock import FakeClock
from tests.credentials.sources import ScriptedSource
from tests.gateway.wire import PATIENCE, Origin, Wire

VIA = b"us-1"


class Notes:
    """A RequestObserver that remembers."""

    def __init__(self) -> None:
        self.all: list[RequestRecord] = []

    def forwarded(self, details: RequestRecord) -> None:
        self.all.append(details)


@dataclass(frozen=True)
class Rig:
    clock: FakeClock
    source: CredentialSource
    keeper: Keeper
    pool: Pool
    tally: Tally
    forwarder: Forwarder
    listener: Listener
    notes: Notes
    port: int
    path: str
    trust: ssl.SSLContext | None
    group: asyncio.TaskGroup
    stack: AsyncExitStack

    async def caller(self) -> Wire:
        """A connection of a caller."""
        wire = Wire(
            *(
                await asyncio.open_unix_connection(self.path, limit=1 << 20)
                if self.path
                else await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20, ssl=self.trust)
            )
        )
        self.stack.callback(wire.cut)
        return wire

    async def call(self, octets: bytes) -> Wire:
        """A connection on which this has been sent."""
        wire = await self.caller()
        wire.send(octets)
        return wire

    async def until(self, fact: Callable[[], bool]) -> None:
        """Turn the loop until it is so."""
        async with asyncio.timeout(PATIENCE):
            while not fact():
                await asyncio.sleep(0)


@asynccontextmanager
async def gateway(
    site: Origin | int,
    *,
    source: CredentialSource | None = None,
    sessions: Sessions | None = None,
    policy: Policy = PACE,
    prefix: bytes = b"",
    injects: bool = True,
    endpoint: Endpoint | None = None,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 -- frozen
    max_connections: int = 256,
    replay_buffer: int = 64 * 1024,
    open_paths: tuple[bytes, ...] = (),
    path: str = "",
    limit: ConnectionLimit | None = None,
    upstream_limit: UpstreamLimit | None = None,
    getaddrinfo: GetAddrInfo = socket.getaddrinfo,
    guard: Guard | None = None,
    lines: UpstreamObserver | None = None,
    tls: ssl.SSLContext | None = None,
    trust: ssl.SSLContext | None = None,
    access: AccessRules | None = None,
) -> AsyncIterator[Rig]:
    """A listener, a forwarder, a pool and a keeper whose loop runs; with `path`, on a Unix socket there.

    Args:
        tls: of the listener; None: it is plain.
        trust: of its callers.
    """
    port = site if isinstance(site, int) else site.port
    clock, tally, notes = FakeClock(), Tally(), Notes()
    source = source or ScriptedSource(clock)
    if isinstance(source, ScriptedSource):
        source.clock = clock
    keeper = Keeper("saas", source, clock=clock, sessions=sessions, policy=policy, random=lambda: 0.0)
    pool = Pool(
        replace(endpoint or Endpoint("127.0.0.1", port), peer=Peer("zeebe")),
        timeouts,
        max_connections,
        clock,
        tally,
        limit=upstream_limit,
        connector=Connector(clock.now, getaddrinfo),
    )
    address = HeadRewriter(b"http://origin:%d" % port, b"origin:%d" % port, prefix, VIA, injects)
    rules = UpstreamRules("zeebe", "saas", open_paths=open_paths, replay_buffer=replay_buffer, access=access)
    forwarder = Forwarder(rules, address, guard or Guard(), pool, keeper, clock, tally, notes, lines)
    listener = Listener(forwarder, clock, limit, tls=None if tls is None else lambda: tls)
    bound = bind_unix(path, "listen") if path else bind(("127.0.0.1",), 0, "listen")
    await listener.start(bound.sockets)
    async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
        loop = group.create_task(keeper.run())
        await clock.settle()
        rig = Rig(
            clock,
            source,
            keeper,
            pool,
            tally,
            forwarder,
            listener,
            notes,
            bound.port,
            path,
            trust,
            group,
            stack,
        )
        try:
            yield rig
        finally:
            await stack.aclose()
            await listener.close()
            bound.close()
            await rig.until(lambda: not listener.connections and not tally.in_flight)
            assert (listener.limit.memory.kept, listener.limit.memory.stalled) == (0, 0)
            pool.close()
            await rig.until(lambda: not any(pool.counts().values()))
            loop.cancel()


def get(path: str = "/", *lines: str, method: str = "GET", host: str = "localhost") -> bytes:
    """A request without a body."""
    return "\r\n".join((f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", "")).encode("latin-1")


def post(body: bytes, *lines: str, path: str = "/") -> bytes:
    """A request with a counted body."""
    return get(path, f"Content-Length: {len(body)}", *lines, method="POST") + body
