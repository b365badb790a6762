"""The composition root: the only place that builds the parts of the proxy.

`Proxy.apply` applies the first configuration and every later one. It first makes everything that is new, and
switches to it only if all of it could be made. Read `running` and `apply` for the order of starting, `drain`
and `close` for the order of stopping.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice

from proxy import __version__
from proxy.admin.recent import Recent
from proxy.admin.server import Admin
from proxy.admin.state import Facts, State
from proxy.app.audit import audit_writer
from proxy.app.callers import CallerToken, callers_of, tokens_of, views
from proxy.app.change import Change, Problems, what_changed
from proxy.app.credentials import KeeperFactory
from proxy.app.ports import POLL, Ports
from proxy.app.sockets import Bound, room_for_callers
from proxy.app.tls import TlsContexts
from proxy.app.upstream_log import UpstreamLog
from proxy.app.upstreams import Lasting, RunningUpstream, UpstreamPlan, names, plan, serve, view
from proxy.audit.log import AuditLog
from proxy.audit.writer import AuditWriter
from proxy.clock import Clock, pause, wall_time
from proxy.config.model import Config, Listen, OAuth2, Upstream, User
from proxy.credentials.keeper import Keeper
from proxy.credentials.keepers import Keepers
from proxy.errors import CredentialError, StartError
from proxy.gateway.callers import Caller, Callers, Token
from proxy.gateway.guard import Guard
from proxy.gateway.limit import ConnectionLimit, Memory, UpstreamLimit
from proxy.gateway.share import Share
from proxy.net import ContextMaker
from proxy.outgoing.connect import Connector

log = logging.getLogger("proxy")

ADMIN = "admin.listen"
PROBES = "admin.probe_listen"
MASKED_TOKENS = 512
"""Most tokens of callers that the log masks; it cannot mask those of which only the hash is known."""

ADMIN_CONNECTIONS = 64
"""Most connections to the admin ports at once; beyond it a new one takes the place of a silent one."""


class Proxy:
    """The running proxy.

    Attributes:
        config: the one that is applied; None before the first.
        served: its upstreams, in the order of the configuration.
        admin_address: `HOST:PORT` of the admin listener.
        state: for the admin ports.
    """

    def __init__(self, clock: Clock, tasks: asyncio.TaskGroup, wall: Callable[[], float] = wall_time) -> None:
        self.config: Config | None = None
        self.served: tuple[RunningUpstream, ...] = ()
        self.admin_address = ""
        self._audit = AuditLog(wall_time)
        self._clock = clock
        self._tasks = tasks
        self._tls_contexts = TlsContexts()
        self._connector = Connector(clock.now)
        self._keepers = Keepers(tasks)
        self._keeper_factory = KeeperFactory(clock, self._tls_contexts, self._keepers, self._connector)
        self._recent = Recent(clock)
        self.state = State(recent=self._recent, facts=self._facts)
        self.state.stores = self._keeper_factory.stores.tallies
        self._admin = Admin(self.state, clock, __version__, notes=UpstreamLog(self._recent))
        self._share = Share(asyncio.get_running_loop())
        self._admin_ports = Ports(clock, ConnectionLimit(ADMIN_CONNECTIONS), self._share)
        memory = Memory()
        self._caller_limit = ConnectionLimit(1, memory)  # each configuration sets the right number
        self._upstream_limit = UpstreamLimit(1, memory)
        self._ports = Ports(clock, self._caller_limit, self._share)
        self._callers = Callers(wall, log.warning)
        self._tokens: tuple[CallerToken, ...] = ()
        self._names: dict[str, Lasting] = {}
        self._leaving: list[RunningUpstream] = []
        self._seeing_off: set[asyncio.Task[None]] = set()

    @property
    def started(self) -> bool:
        """Whether every first fetch has ended, with or without success."""
        return bool(self.served) and all(served.keeper.snapshot().outcome for served in self.served)

    @property
    def busy(self) -> int:
        """Requests that are being answered."""
        return self._ports.busy

    def known_secrets(self) -> Iterator[str]:
        """Yield every secret that is known now, so that the log masks it."""
        for secret in self._keeper_factory.secrets:
            with suppress(CredentialError):
                yield secret.read()
        for keeper in self._keepers:
            if (current := keeper.current) is not None:
                yield from current.secrets()
        yield from (token.text for token in islice(self._tokens, MASKED_TOKENS) if token.text)
        yield from self._proxy_passwords()

    def _proxy_passwords(self) -> Iterator[str]:
        if self.config is None:
            return
        proxies = [upstream.http_proxy for upstream in self.config.upstreams]
        clients = [each for each in self.config.credentials.values() if isinstance(each, OAuth2 | User)]
        proxies += [each.http_proxy for each in clients]
        for http_proxy in proxies:
            if http_proxy is not None and http_proxy.user:
                yield http_proxy.user.partition(":")[2]

    async def first_fetches(self, until: "asyncio.Future[None]") -> None:
        """Wait until every first fetch has ended, or the future is done."""
        while not self.started and not until.done():
            await pause(self._clock, POLL, until)

    # -- from one configuration to the next --

    async def apply(self, config: Config) -> Change:
        """Switch to this configuration, to all of it or to nothing.

        Unchanged parts go on untouched. Running requests end under the configuration they began with.

        Raises:
            StartError: something cannot be made, for example because a port is taken; the error names every
                such problem. Nothing has changed then.
        """
        with ExitStack() as fresh:
            try:
                order = self._order(config, fresh)
            except Exception:
                await self._keepers.dismiss(self._in_use)
                raise
            fresh.pop_all()
        return await self._switch(order)

    def _order(self, config: Config, fresh: ExitStack) -> "_Order":
        """Bind new ports and make new parts.

        Args:
            fresh: closes the new ports, unless they are used.
        """
        problems = Problems()
        admin_listens = {ADMIN: config.admin.listen}
        if config.admin.probe_listen is not None:
            admin_listens[PROBES] = config.admin.probe_listen
        listens = {_setting(upstream): upstream.listen for upstream in config.upstreams}
        held = {**self._admin_ports.held, **self._ports.held}
        admin_bound = self._admin_ports.take(admin_listens, held, fresh, problems.note)
        bound = self._ports.take(listens, held, fresh, problems.note)
        self._keeper_factory.begin(config.store)
        callers = callers_of(config)
        known = self._callers if callers else None
        plans: list[UpstreamPlan] = []
        for upstream in config.upstreams:
            via = self._names.setdefault(upstream.name, Lasting()).via
            with problems.noted():
                keeper = self._keeper_factory.keeper(config.credentials[upstream.credential], upstream)
                plans.append(plan(config, upstream, keeper, self._tls_contexts, known, via))
        writer: AuditWriter | None = None
        with problems.noted():
            writer = self._audit_writer(config, fresh)
        problems.check()
        tokens = tuple(tokens_of(config))
        return _Order(config, admin_listens, admin_bound, listens, bound, plans, callers, tokens, writer)

    def _audit_writer(self, config: Config, fresh: ExitStack) -> AuditWriter | None:
        """Return the present writer if it has the right file, else a new one; None: no audit log."""
        wanted, present = config.audit, self.config.audit if self.config is not None else None
        if wanted is None:
            return None
        if present is not None and present.file == wanted.file:
            return self._audit.writer
        writer = audit_writer(wanted, self._clock.now)
        fresh.callback(writer.close)
        return writer

    async def _switch(self, order: "_Order") -> Change:
        """Switch to the new parts. This never fails, and all are in use before the first await, so that no
        request meets half of a configuration."""
        before, config = self.served, order.config
        self._caller_limit.places = self._upstream_limit.places = room_for_callers(len(config.upstreams))
        self._callers.switch(order.callers, order.tokens, self._clock.now())
        self._tokens = tuple(token for _, token in order.tokens if isinstance(token, CallerToken))
        self.served = tuple(self._serve(each, order.bound) for each in order.plans)
        self.state.callers = views(config)
        self.state.upstreams = tuple(view(served) for served in self.served)
        self._keeper_factory.settle()
        self._use_audit(order)
        services = {
            ADMIN: self._admin.service(Guard(names(config, config.admin.listen))),
            PROBES: self._admin.probe_service(),
        }
        forwarders = {_setting(served.upstream): served.forwarder for served in self.served}
        for port in self._admin_ports.switch(order.admin_listens, order.admin_bound, services):
            self._see_off(self._admin_ports.see_off(port, config.shutdown.grace))
        tls: dict[str, ContextMaker] = {
            _setting(plan.upstream): plan.listen_tls for plan in order.plans if plan.listen_tls is not None
        }
        for port in self._ports.switch(order.listens, order.bound, forwarders, tls):
            self._see_off(self._ports.see_off(port, config.shutdown.grace))
        self._ports.cut_removed()
        for served in before:
            if served not in self.served:
                self._leaving.append(served)
                self._see_off(self._close_when_idle(served))
        await self._admin_ports.start()
        await self._ports.start()
        self.admin_address = order.admin_bound[ADMIN].addresses[0]
        self.state.bound = True
        change = what_changed(before, self.served, self.config, config)
        self.config = config
        self.state.listed = config.admin.recent_requests
        if not self.state.listed:
            self._recent.requests.clear()
        return change

    def _use_audit(self, order: "_Order") -> None:
        audit = order.config.audit
        before = self._audit.use(order.audit, reads=audit is not None and audit.reads)
        self.state.audit = self._audit if order.audit is not None else None
        if before is not None:
            self._see_off(asyncio.to_thread(before.close))

    def _serve(self, plan: UpstreamPlan, bound: Mapping[str, Bound]) -> RunningUpstream:
        """Return the upstream that runs by this plan already, else a new one."""
        for served in self.served:
            if served.plan == plan:
                return served
        tally = self._names[plan.upstream.name].tally
        port = bound[_setting(plan.upstream)]
        return serve(
            plan,
            port,
            tally,
            self._clock,
            self._share,
            self._upstream_limit,
            self._connector,
            self._audit,
            self._recent,
        )

    def _facts(self) -> Mapping[str, Facts]:
        """Return what the configuration says, for the page."""
        from proxy.app.facts import facts  # only when a page is open

        return facts(self.config, self.served) if self.config is not None else {}

    def _see_off(self, leaving: Coroutine[None, None, None]) -> None:
        task = self._tasks.create_task(_seen_off(leaving))
        self._seeing_off.add(task)
        task.add_done_callback(self._seeing_off.discard)

    async def _close_when_idle(self, leaving: RunningUpstream) -> None:
        """Close an upstream's pool, and the keepers that are no longer used, after its last request."""
        await self._follow_successor(leaving)
        # A request may have been read at a given-up port but not have begun, so poll only after a while.
        await pause(self._clock, POLL)
        while leaving.forwarder.busy:
            await self._follow_successor(leaving)
            await pause(self._clock, POLL)
        leaving.pool.close()
        self._leaving.remove(leaving)
        await self._keepers.dismiss(self._in_use)

    async def _follow_successor(self, leaving: RunningUpstream) -> None:
        """Give running requests the credential of the keeper that fetches now.

        Otherwise two keepers would fetch from one token endpoint for one client, each at its own rate.
        """
        keeper = leaving.forwarder.keeper
        successor = self._keepers.successor(keeper)
        if successor is not None and successor.current is not None:
            leaving.forwarder.use(successor)
            keeper.hand_over(successor)
            await self._keepers.dismiss(self._in_use)

    @property
    def _in_use(self) -> list[Keeper]:
        """Keepers that requests of earlier configurations still use."""
        return [served.forwarder.keeper for served in self._leaving]

    # -- to the end --

    async def drain(self, hurry: "asyncio.Future[None]") -> bool:
        """Stop serving: accept for `shutdown.delay`, then wait up to `shutdown.grace` for running requests.

        Args:
            hurry: when it is done, do not wait any longer.

        Returns:
            Whether all requests have ended by themselves.
        """
        assert self.config is not None  # noqa: S101 -- it was applied
        shutdown = self.config.shutdown
        self.state.draining = True
        self._ports.end_connections()
        await pause(self._clock, shutdown.delay, hurry)
        self._ports.wind_down()
        give_up = self._clock.now() + shutdown.grace
        while self.busy and not hurry.done() and self._clock.now() < give_up:
            await pause(self._clock, POLL, hurry)
        return not self.busy

    async def close(self) -> None:
        """Cut off running requests and close everything, the admin ports last, so that probes see the end."""
        for task in self._seeing_off:
            task.cancel()
        await self._ports.close()
        for served in (*self.served, *self._leaving):
            served.pool.close()
        await self._keepers.close()
        await self._admin_ports.close()
        if self._audit.writer is not None:  # last, because requests that were cut off get lines too
            await asyncio.to_thread(self._audit.writer.close)


@asynccontextmanager
async def running(
    config: Config, clock: Clock, wall: Callable[[], float] = wall_time
) -> AsyncIterator[Proxy]:
    """Run the proxy with this configuration until the block ends.

    Raises:
        StartError: for example, a port is taken or a CA file cannot be used; it names every such problem.
    """
    refused: StartError | None = None
    async with asyncio.TaskGroup() as tasks:
        proxy = Proxy(clock, tasks, wall)
        try:
            await proxy.apply(config)
            yield proxy
        except StartError as error:
            refused = error  # raised below, because a TaskGroup would wrap it in an exception group
        finally:
            await proxy.close()
    if refused is not None:
        raise refused


@dataclass(frozen=True, slots=True)
class _Order:
    """A configuration whose parts could all be made, and those parts; ports by setting."""

    config: Config
    admin_listens: Mapping[str, Listen]
    admin_bound: Mapping[str, Bound]
    listens: Mapping[str, Listen]
    bound: Mapping[str, Bound]
    plans: Sequence[UpstreamPlan]
    callers: Sequence[Caller]
    tokens: Sequence[tuple[str, Token]]
    audit: AuditWriter | None


async def _seen_off(leaving: Coroutine[None, None, None]) -> None:
    """Await the closing of a part that is no longer used. A fault in it must not end the process."""
    try:
        await leaving
    except Exception:
        log.exception("a fault in the proxy while it closed what the new configuration no longer uses")


def _setting(upstream: Upstream) -> str:
    return f"upstreams.{upstream.name}.listen"
