"""The composition root: builds everything, once, and nothing else does.

Read `running` from the top for the order of starting, from the bottom for the order of stopping.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from proxy import __version__
from proxy.admin.server import Admin
from proxy.admin.state import State, UpstreamView
from proxy.clock import Clock, pause
from proxy.config.model import (
    SHORTEST_TOKEN,
    Basic,
    Bearer,
    Config,
    Listen,
    OAuth2,
    Upstream,
)
from proxy.credentials.keeper import Keeper
from proxy.credentials.secret import Secret
from proxy.desk import CredentialDesk
from proxy.errors import CredentialError, CredentialUnavailable, StartError
from proxy.gateway.fields import Address
from proxy.gateway.forwarder import Forwarded, Forwarder, Rules
from proxy.gateway.guard import LOOPBACK_NAMES, Guard
from proxy.gateway.listener import Listener, Room
from proxy.gateway.pool import Endpoint, Pool, Timeouts
from proxy.gateway.sockets import Bound, bind, bind_unix, room_for_callers
from proxy.gateway.tally import Tally
from proxy.trust import Trust

log = logging.getLogger("proxy")

LOOK = 0.05
"""Seconds between two looks at what has started, or still runs while we stop."""


@dataclass(frozen=True, slots=True)
class Served:
    """One upstream, as it runs.

    Attributes:
        upstream: as it was configured.
        bound: its port.
        keeper: its credential.
        listener, forwarder: who serves it.
    """

    upstream: Upstream
    bound: Bound
    keeper: Keeper
    listener: Listener
    forwarder: Forwarder


class Proxy:
    """The running proxy.

    Attributes:
        served: its upstreams.
        admin_address: `HOST:PORT` of the admin listener.
        state: what admin shows.
        secrets: of all credentials, and the caller token.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        self.served: tuple[Served, ...] = ()
        self.admin_address = ""
        self.state = State()
        self.secrets: Sequence[Secret] = ()
        self._config = config
        self._clock = clock

    @property
    def started(self) -> bool:
        """Whether every first fetch has ended, well or not."""
        return bool(self.served) and all(served.keeper.snapshot().outcome for served in self.served)

    @property
    def busy(self) -> int:
        """Requests that are being answered."""
        return sum(served.listener.busy for served in self.served)

    def known_secrets(self) -> Iterator[str]:
        """Every secret that is known now, for the log's redaction."""
        for secret in self.secrets:
            with suppress(CredentialError):
                yield secret.read()
        for served in self.served:
            current = served.keeper.current
            for _, value in current.fields if current is not None else ():
                yield value.decode("latin-1").rpartition(" ")[2]

    async def first_fetches(self, until: "asyncio.Future[None]") -> None:
        """Wait until every first fetch has ended, or the future is done."""
        while not self.started and not until.done():
            await pause(self._clock, LOOK, until)

    async def drain(self, hurry: "asyncio.Future[None]") -> bool:
        """Stop serving: keep accepting for `shutdown.delay`, then let what runs end within `shutdown.grace`.

        Args:
            hurry: when done, what still runs is cut at once.

        Returns:
            Whether everything ended by itself.
        """
        self.state.draining = True
        for served in self.served:
            served.forwarder.ending = True
        await pause(self._clock, self._config.shutdown.delay, hurry)
        for served in self.served:
            served.forwarder.draining = True
            served.listener.stop_accepting()
            served.listener.wind_down()
        give_up = self._clock.now() + self._config.shutdown.grace
        while self.busy and not hurry.done() and self._clock.now() < give_up:
            await pause(self._clock, LOOK, hurry)
        return not self.busy


@asynccontextmanager
async def running(config: Config, clock: Clock) -> AsyncIterator[Proxy]:
    """Everything that the configuration asks for, until the block ends.

    Raises:
        StartError: a port is taken, a CA file makes no sense: every such problem at once.
    """
    proxy = Proxy(config, clock)
    async with AsyncExitStack() as stack:
        ports = _take_ports(config, stack)
        trust = Trust()
        endpoints = [_endpoint(upstream, trust) for upstream in config.upstreams]
        desk = CredentialDesk(clock, trust, stack)
        keepers = [
            desk.keeper(config.credentials[upstream.credential], upstream.audience)
            for upstream in config.upstreams
        ]
        token = None
        if config.guard.caller_token is not None:
            token = _caller_token(desk.secret(config.guard.caller_token, shortest=SHORTEST_TOKEN))
        room = Room(room_for_callers())
        proxy.served = tuple(
            _served(
                config, upstream, ports.upstreams[upstream.name], keeper, endpoint, token, clock, room, stack
            )
            for upstream, keeper, endpoint in zip(config.upstreams, keepers, endpoints, strict=True)
        )
        proxy.secrets = tuple(desk.secrets)
        proxy.state.upstreams = tuple(_view(served) for served in proxy.served)
        admin = Admin(proxy.state, clock, Guard(_names(config, config.admin.listen)), __version__)
        proxy.admin_address = ports.admin.addresses[0]
        stack.push_async_callback(admin.close)
        await admin.start(ports.admin.sockets, ports.probe.sockets if ports.probe is not None else ())
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        for keeper in desk.keepers:
            task = tasks.create_task(keeper.run(), name=f"refresh {keeper.name} {keeper.target}")
            stack.callback(task.cancel)
        for served in proxy.served:
            stack.push_async_callback(served.listener.close)
            await served.listener.start(served.bound.sockets)
        proxy.state.bound = True
        yield proxy


# -- ports --


@dataclass(frozen=True, slots=True)
class _Ports:
    upstreams: dict[str, Bound]
    admin: Bound
    probe: Bound | None


def _take_ports(config: Config, stack: AsyncExitStack) -> _Ports:
    """All of them, before anything else starts.

    Raises:
        StartError: every one that cannot be had.
    """
    problems: list[str] = []

    def take(listen: Listen, setting: str) -> Bound | None:
        try:
            if listen.path:
                bound = bind_unix(listen.path, setting)
            else:
                bound = bind(listen.addresses, listen.port, setting)
        except StartError as error:
            problems.append(str(error))
            return None
        stack.callback(bound.close)
        if bound.notice:
            log.warning(bound.notice)
        return bound

    upstreams = {each.name: take(each.listen, f"upstreams.{each.name}.listen") for each in config.upstreams}
    admin = take(config.admin.listen, "admin.listen")
    probe = None
    if config.admin.probe_listen is not None:
        probe = take(config.admin.probe_listen, "admin.probe_listen")
    if problems or admin is None:
        raise StartError("\n".join(problems))
    return _Ports({name: bound for name, bound in upstreams.items() if bound is not None}, admin, probe)


def _names(config: Config, listen: Listen) -> frozenset[str]:
    """Host names that a listener answers to: localhost's, its own address, and what the operator allowed."""
    wildcard = listen.host in ("0.0.0.0", "::")  # noqa: S104 -- these reach loopback too, so they are no names
    more = config.guard.allowed_hosts if wildcard else (*config.guard.allowed_hosts, listen.host)
    return LOOPBACK_NAMES | {f"[{host}]" if ":" in host else host for host in more}


def _guard(config: Config, listen: Listen, token: Callable[[], bytes] | None) -> Guard:
    """Of an upstream's listener; no browser can reach a Unix socket."""
    return Guard(
        _names(config, listen),
        origins=frozenset(origin.encode("ascii") for origin in config.guard.allowed_origins),
        browsers=not listen.path,
        token=token,
    )


def _caller_token(secret: Secret) -> Callable[[], bytes]:
    """What callers must show, as it is now; empty where its file has gone before it was ever read."""

    def now() -> bytes:
        try:
            return secret.read().encode()
        except CredentialUnavailable:
            return b""

    return now


# -- upstreams --


def _endpoint(upstream: Upstream, trust: Trust) -> Endpoint:
    tls = (
        trust.context(upstream.tls, f"upstreams.{upstream.name}") if upstream.url.scheme == "https" else None
    )
    return Endpoint(upstream.url.host, upstream.url.port, tls, upstream.tls.server_name)


def _served(
    config: Config,
    upstream: Upstream,
    bound: Bound,
    keeper: Keeper,
    endpoint: Endpoint,
    token: Callable[[], bytes] | None,
    clock: Clock,
    room: Room,
    stack: AsyncExitStack,
) -> Served:
    credential = config.credentials[upstream.credential]
    tally = Tally()
    timeouts = Timeouts(upstream.connect_timeout, upstream.response_timeout, upstream.idle_timeout)
    pool = Pool(endpoint, timeouts, upstream.max_connections, clock, tally)
    stack.callback(pool.close)
    address = Address(
        origin=f"{upstream.url.scheme}://{upstream.url.authority}".encode("ascii"),
        authority=upstream.url.authority.encode("ascii"),
        prefix=upstream.url.path.encode("ascii"),
        via=f"camunda-auth-proxy-{secrets.token_hex(4)}".encode("ascii"),
        injects=isinstance(credential, OAuth2 | Bearer | Basic),
    )
    forwarder = Forwarder(
        Rules(
            upstream=upstream.name,
            credential=upstream.credential,
            wait=credential.wait if isinstance(credential, OAuth2 | Bearer | Basic) else 0.0,
            open_paths=tuple(path.encode("ascii") for path in upstream.open_paths),
            replay_buffer=upstream.replay_buffer,
        ),
        address,
        _guard(config, upstream.listen, token),
        pool,
        keeper,
        clock,
        tally,
        observer=RequestLog() if config.log.requests else None,
    )
    return Served(upstream, bound, keeper, Listener(forwarder, clock, room), forwarder)


def _view(served: Served) -> UpstreamView:
    upstream = served.upstream
    return UpstreamView(
        name=upstream.name,
        api=upstream.api,
        url=str(upstream.url),
        listen=served.bound.addresses,
        credential=upstream.credential,
        keeper=served.keeper,
        tally=served.forwarder.tally,
    )


class RequestLog:
    """A line per request (`log.requests`)."""

    def forwarded(self, details: Forwarded) -> None:
        log.info(
            "request",
            extra={
                "request_id": details.request_id,
                "upstream": details.upstream,
                "method": details.method,
                "path": details.path,
                "status": details.status,
                "received": details.received,
                "sent": details.sent,
                "seconds": round(details.seconds, 6),
                "waited": round(details.waited, 6),
                "repaired": details.repaired,
                "problem": details.problem,
            },
        )
