"""Examines a configuration: each credential, then each upstream, step by step, as the running proxy does it.

It binds no port, so it works beside a running proxy. Keepers, token sources, TLS contexts and connections are
the proxy's own (`proxy.app`, `proxy.outgoing`, `proxy.gateway.dial`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from proxy.app.ports import POLL
from proxy.app.tls import TlsContexts
from proxy.clock import pause
from proxy.commands.doctor import upstreams
from proxy.commands.doctor.credentials import Got, examine_credential
from proxy.commands.doctor.finding import Findings, Section, Step, Why, failed
from proxy.commands.doctor.places import Place, Surroundings, reach
from proxy.commands.doctor.recording import RecordingFactory
from proxy.commands.doctor.store import examine_store
from proxy.commands.doctor.targets import credential_place, upstream_place
from proxy.config.model import Basic, Config, OAuth2, Session, Upstream, User
from proxy.credentials.keeper import Keeper
from proxy.credentials.keepers import Keepers
from proxy.errors import CredentialError, StartError
from proxy.outgoing.causes import shown

SHORTEST = 8
"""Fewest characters of a further parameter, or of a value in a URL's query, that is masked."""

WORDS = "client_secret_basic password token audience issuer claims signature expired csrf login scope realm"
"""Words of settings and of servers' answers, which are needed to tell what is wrong."""

Tell = Callable[[str], None]


@dataclass(slots=True)
class Examined:
    """What came of it.

    Attributes:
        secrets: texts that no output may hold.
    """

    findings: Findings
    secrets: frozenset[str] = field(repr=False)


async def examine(config: Config, around: Surroundings, tell: Tell = lambda _: None) -> Examined:
    """Examine everything in the configuration.

    Args:
        tell: is told what is tried now, for a terminal.
    """
    doctor = _Doctor(config, around, tell)
    async with doctor.keeping():
        await doctor.credentials()
        await doctor.store()
        await doctor.upstreams()
        secrets = frozenset(doctor.secrets())
    return Examined(Findings(config.source, tuple(doctor.sections)), secrets)


class _Doctor:
    """Examines one configuration.

    Attributes:
        sections: so far.
        got: what came of each keeper.
    """

    def __init__(self, config: Config, around: Surroundings, tell: Tell) -> None:
        self.sections: list[Section] = [_configuration(config)]
        self.got: dict[Keeper, Got] = {}
        self._config = config
        self._around = around
        self._tell = tell
        self._contexts = TlsContexts()
        self._reached: dict[tuple[object, ...], tuple[Step, ...]] = {}
        self._keepers: Keepers
        self._factory: RecordingFactory
        self._keeper_of: dict[str, Keeper] = {}
        self._seen: set[str] = set()

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Hold the keepers; at the end they log out and close."""
        async with asyncio.TaskGroup() as tasks:
            self._keepers = Keepers(tasks)
            self._factory = RecordingFactory(
                self._around.clock,
                self._contexts,
                self._keepers,
                self._around.connector,
                self._around.wall,
            )
            try:
                yield
            finally:
                await self._keepers.close()

    # -- credentials --

    async def credentials(self) -> None:
        """Reach each token endpoint and login, then get all credentials, then say what came of each."""
        plans: dict[Keeper, _Plan] = {}
        self._factory.begin()
        for upstream in self._config.upstreams:
            await self._plan(upstream, plans)
        self._factory.settle()
        await self._first_attempts(list(plans))
        secrets = tuple(self.secrets())
        for keeper, plan in plans.items():
            self.got[keeper].secrets = secrets
            tokens = [] if failed(plan.steps) else await self._judged(keeper, plan)
            self.sections.append(Section(plan.subject, plan.title, (*plan.steps, *tokens)))
        await self._close_failed()

    async def _plan(self, upstream: Upstream, plans: "dict[Keeper, _Plan]") -> None:
        """Make the keeper of an upstream, unless its credential cannot be had for a reason that is known."""
        config = self._config.credentials[upstream.credential]
        subject = f"credentials.{config.name}"
        title = _credential_title(self._config, upstream)
        try:
            place = credential_place(config, upstream, self._contexts)
            steps = await self._reach(place) if place is not None else ()
            if any(step.mark in ("wrong", "skipped") for step in steps):
                if subject + title not in self._seen:
                    self.sections.append(Section(subject, title, steps))
                self._seen.add(subject + title)
                return
            keeper, exchanges = self._factory.recorded(config, upstream)
        except StartError as error:
            step = Step("files", "wrong", why=Why("files", str(error)))
            self.sections.append(Section(subject, title, (step,)))
            return
        self._keeper_of[upstream.name] = keeper
        if keeper not in plans:
            plans[keeper] = _Plan(upstream, subject, title, steps, place)
            self.got[keeper] = Got(exchanges)

    async def _judged(self, keeper: Keeper, plan: "_Plan") -> list[Step]:
        config = self._config.credentials[plan.upstream.credential]
        return await examine_credential(
            config, plan.upstream, keeper, self.got[keeper], plan.place, self._around
        )

    async def _first_attempts(self, keepers: list[Keeper]) -> None:
        """Wait until the first attempt of each keeper has ended, and note what came of it."""
        waiting, begun = list(keepers), self._around.clock.now()
        while waiting:
            names = ", ".join(dict.fromkeys(each.name for each in waiting))
            self._tell(f"getting credentials: {names} ({self._around.clock.now() - begun:.0f} s)")
            await pause(self._around.clock, POLL)
            for keeper in waiting:
                if keeper.snapshot().outcome is not None:
                    got = self.got[keeper]
                    got.credential, got.status = keeper.current, keeper.snapshot()
                    got.exchanges = list(got.exchanges)
            waiting = [each for each in waiting if self.got[each].status is None]

    async def _close_failed(self) -> None:
        """Close the keepers without a credential, because they would try again meanwhile."""
        self._factory.begin()
        for upstream in self._config.upstreams:
            keeper = self._keeper_of.get(upstream.name)
            if keeper is not None and self.got[keeper].credential is not None:
                self._factory.keeper(self._config.credentials[upstream.credential], upstream)
        secrets = self._factory.secrets
        self._factory.settle()
        self._factory.secrets = secrets
        await self._keepers.dismiss(())

    # -- the store --

    async def store(self) -> None:
        """Try the store of the fleet. The credentials were tried without it, so each was really fetched."""
        if self._config.store is None:
            return
        self._tell("trying the store")
        self.sections.append(await examine_store(self._config.store, self._factory, self._around.clock))

    # -- upstreams --

    async def upstreams(self) -> None:
        """Reach each upstream, and make its harmless calls."""
        for upstream in self._config.upstreams:
            subject = f"upstreams.{upstream.name}"
            title = f"{upstream.api} at {upstream.url} ({upstream.origins.get('url', '')})"
            try:
                if upstream.listen.tls is not None:
                    self._contexts.serving(upstream.listen.tls, subject)
                place = upstream_place(upstream, self._contexts)
            except StartError as error:
                step = Step("files", "wrong", why=Why("files", str(error)))
                self.sections.append(Section(subject, title, (step,)))
                continue
            steps = await self._reach(place)
            if not any(step.mark in ("wrong", "skipped") for step in steps):
                steps += await self._call(upstream, place)
            self.sections.append(Section(subject, title, steps))

    async def _call(self, upstream: Upstream, place: Place) -> tuple[Step, ...]:
        keeper = self._keeper_of.get(upstream.name)
        got = self.got[keeper] if keeper is not None else None
        if got is None or got.credential is None:
            return (
                Step("call", "skipped", f"there is no credential, see credentials.{upstream.credential}"),
            )
        config = self._config.credentials[upstream.credential]
        return await upstreams.examine_upstream(config, upstream, got, place, self._around, self._tell)

    # -- both --

    async def _reach(self, place: Place) -> tuple[Step, ...]:
        """Return the steps towards a place; if they were shown before, one step that says so."""
        tunnels = place.http_proxy is not None and place.tunnels
        key = (place.host, place.port, place.tls, place.server_name, place.http_proxy, tunnels)
        if key in self._reached:
            if failed(self._reached[key]):
                return (Step("connect", "skipped", f"{place.peer.url} cannot be reached, see above"),)
            return (Step("connect", "ok", f"{place.peer.url}, see above"),)
        self._tell(f"connecting to {place.peer.url}")
        self._reached[key] = await reach(place, self._around)
        return self._reached[key]

    def secrets(self) -> Iterator[str]:
        """Yield every text that no output may hold.

        A secret that is a word of our own, as Compose's `secret`, or of the configuration, as `demo` of the
        user `demo`, is none of them: it tells nothing there, and a mask would hide what is wrong.
        """
        public = f"{WORDS} {' '.join(_public(self._config))}"
        yield from (secret for secret in self._every_secret() if secret not in public)

    def _every_secret(self) -> Iterator[str]:
        for secret in self._factory.secrets:
            with suppress(CredentialError):
                yield secret.read()
        for got in self.got.values():
            if got.credential is not None:
                yield from got.credential.secrets()
        for keeper in self._keepers:
            if (current := keeper.current) is not None:
                yield from current.secrets()
        for each in (*self._config.upstreams, *self._config.credentials.values()):
            http_proxy = getattr(each, "http_proxy", None)
            if http_proxy is not None and http_proxy.user:
                yield http_proxy.user.partition(":")[2]
        for credential in self._config.credentials.values():
            if isinstance(credential, OAuth2 | User):
                query = parse_qsl(urlsplit(credential.token_url or "").query)
                values = (*credential.parameters.values(), *(value for _, value in query))
                yield from (value for value in values if len(value) >= SHORTEST)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a credential is shown, and where it comes from."""

    upstream: Upstream
    subject: str
    title: str
    steps: tuple[Step, ...]
    place: Place | None


def _public(config: Config) -> Iterator[str]:
    """Yield the texts of a configuration that findings show."""
    for upstream in config.upstreams:
        yield from (upstream.name, str(upstream.url), upstream.audience or "")
    for credential in config.credentials.values():
        yield credential.name
        match credential:
            case OAuth2() | User():
                yield from (
                    credential.client_id or "",
                    shown(credential.token_url or credential.issuer_url or ""),
                )
            case Session() | Basic():
                yield credential.username


def _configuration(config: Config) -> Section:
    counted = f"upstreams: {len(config.upstreams)}, credentials: {len(config.credentials)}"
    steps = [Step("file", "ok", counted)]
    steps += [Step("file", "notice", why=Why("notice", notice)) for notice in config.notices]
    return Section("configuration", config.source, tuple(steps))


def _credential_title(config: Config, upstream: Upstream) -> str:
    from proxy.commands.tables import kind

    credential = config.credentials[upstream.credential]
    parts = [kind(credential)]
    if isinstance(credential, OAuth2):
        parts.append(f"audience {upstream.audience}" if upstream.audience else "no audience")
    origin = config.origins.get(credential.name, "")
    at = config.origins.get(f"{credential.name}.at", "")
    parts += [origin] if origin else []
    parts += [f"address from {at}"] if at not in ("", "default", origin) else []
    return ", ".join(parts)
