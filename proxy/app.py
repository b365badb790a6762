"""The composition root: builds everything, once, and nothing else does.

Read `running` from the top for the order of starting, from the bottom for the order of stopping.
"""

import asyncio
import logging
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy import __version__
from proxy.admin.server import Admin
from proxy.admin.state import State, UpstreamView
from proxy.clock import Clock, pause
from proxy.config.model import (
    SHORTEST_TOKEN,
    Basic,
    Bearer,
    Config,
    CredentialConfig,
    Listen,
    OAuth2,
    SecretRef,
    Tls,
    Upstream,
)
from proxy.credentials.credential import CredentialSource
from proxy.credentials.fixed import AT_ONCE, BasicLogin, NoCredential, SharedToken
from proxy.credentials.keeper import Keeper
from proxy.credentials.oauth2 import OAuth2Settings, OAuth2Source, key_of, token_session
from proxy.credentials.report import CredentialStatus
from proxy.credentials.schedule import Policy
from proxy.credentials.secret import FileSecret, Secret, TextSecret
from proxy.credentials.store import TokenStore, token_store
from proxy.credentials.throttle import HostThrottle, counts_per_address
from proxy.errors import CredentialError, CredentialUnavailable, FetchOutcome, StartError
from proxy.gateway.fields import Address
from proxy.gateway.forwarder import Forwarded, Forwarder, Rules
from proxy.gateway.guard import LOOPBACK_NAMES, Guard
from proxy.gateway.listener import Listener, Room
from proxy.gateway.pool import Endpoint, Pool, Timeouts
from proxy.gateway.sockets import Bound, bind, bind_unix, room_for_callers
from proxy.gateway.tally import Tally

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
        trust = _Trust()
        endpoints = [_endpoint(upstream, trust) for upstream in config.upstreams]
        desk = _CredentialDesk(clock, trust, stack)
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


# -- credentials --


class _Trust:
    """TLS contexts; the system's CAs are read once, and only if somebody needs them."""

    def __init__(self) -> None:
        self._system: ssl.SSLContext | None = None

    def context(self, tls: Tls, setting: str) -> ssl.SSLContext:
        """Raises StartError where the CA file is none."""
        if tls.ca_file is None:
            if self._system is None:
                self._system = ssl.create_default_context()
            return self._system
        try:
            return ssl.create_default_context(cafile=str(tls.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise StartError(
                f"{setting}.tls.ca_file: {tls.ca_file} holds no certificates in PEM form; name another file."
            ) from error


class _CredentialDesk:
    """Makes keepers; equal keys share one."""

    def __init__(self, clock: Clock, trust: _Trust, stack: AsyncExitStack) -> None:
        self._clock = clock
        self._trust = trust
        self._stack = stack
        self._store: TokenStore = token_store(clock)
        self._throttles: dict[str, HostThrottle] = {}
        self._keepers: dict[Hashable, Keeper] = {}
        self.secrets: list[Secret] = []

    @property
    def keepers(self) -> Sequence[Keeper]:
        return tuple(self._keepers.values())

    def keeper(self, config: CredentialConfig, audience: str | None) -> Keeper:
        """The keeper of a credential for an audience."""
        if isinstance(config, OAuth2):
            return self._oauth2(config, audience)
        if isinstance(config, Bearer):
            token = self.secret(config.token)
            source: CredentialSource = SharedToken(token, self._clock)
            return self._kept(("bearer", token), config.name, source, token)
        if isinstance(config, Basic):
            password = self.secret(config.password)
            source = BasicLogin(config.username, password, self._clock)
            return self._kept(("basic", config.username, password), config.name, source, password)
        return self._kept(("none",), config.name, NoCredential(self._clock), None)

    def _kept(self, key: Hashable, name: str, source: CredentialSource, secret: Secret | None) -> Keeper:
        if key not in self._keepers:
            self._keepers[key] = Keeper(
                name, source, clock=self._clock, policy=AT_ONCE, observer=Narrator(), secret=secret
            )
        return self._keepers[key]

    def secret(self, ref: SecretRef, *, shortest: int = 1) -> Secret:
        """A secret that the log masks from now on; see `FileSecret` for `shortest`."""
        secret = FileSecret(ref.file, shortest) if ref.file is not None else TextSecret(ref.text or "")
        self.secrets.append(secret)
        return secret

    def _oauth2(self, config: OAuth2, audience: str | None) -> Keeper:
        secret = self.secret(config.client_secret)
        settings = OAuth2Settings(
            token_url=config.token_url,
            client_id=config.client_id,
            secret=secret,
            auth_method=config.auth_method,
            request_format=config.request_format,
            audience=audience,
            scope=config.scope,
            resource=config.resource,
            parameters=tuple(config.parameters.items()),
            timeout=config.timeout,
        )
        key = key_of(settings)
        if key not in self._keepers:
            context = self._trust.context(config.tls, f"credentials.{config.name}")
            session = token_session(context)
            self._stack.push_async_callback(session.close)
            host = urlsplit(config.token_url).hostname or ""
            if host not in self._throttles:
                self._throttles[host] = HostThrottle(self._clock, always=counts_per_address(host))
            self._keepers[key] = Keeper(
                config.name,
                OAuth2Source(settings, session, self._clock, server_name=config.tls.server_name),
                clock=self._clock,
                target=audience or "",
                policy=Policy(),
                observer=Narrator(),
                secret=secret,
                throttle=self._throttles[host],
                store=self._store,
                key=key,
            )
        return self._keepers[key]


class Narrator:
    """Tells the log when the state of a credential changes."""

    def fetched(self, name: str, target: str, outcome: FetchOutcome, seconds: float) -> None:
        log.debug(
            "fetch ended",
            extra={"credential": name, "target": target, "outcome": outcome, "seconds": round(seconds, 3)},
        )

    def changed(self, status: CredentialStatus) -> None:
        extra = {"credential": status.name, "target": status.target}
        match status.condition:
            case "good":
                log.info("credential is good", extra=extra)
            case "failing":
                log.warning("refresh fails, the credential is still good: %s", status.reason, extra=extra)
            case "unusable":
                log.error("no usable credential: %s", status.reason, extra=extra)


# -- upstreams --


def _endpoint(upstream: Upstream, trust: _Trust) -> Endpoint:
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
