"""Makes the keeper of a credential from its configuration.

Each kind has a key, a configuration to compare and a function that makes the keeper; see `Keepers.obtain`.
"""

import logging
from collections.abc import Hashable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from proxy.app.oauth2 import proof_of, settings_of, watched
from proxy.app.stores import Stores, StoreSecrets, shared, shared_sessions
from proxy.app.tls import TlsContexts
from proxy.app.user import addresses_of, source_of, store_of
from proxy.app.user import settings_of as user_settings_of
from proxy.clock import Clock
from proxy.config.model import (
    SHORTEST_TOKEN,
    Basic,
    Bearer,
    CredentialConfig,
    OAuth2,
    SecretRef,
    Session,
    Store,
    Tls,
    Upstream,
    User,
)
from proxy.credentials.as_session import BasicAsSession
from proxy.credentials.assertion import can_sign
from proxy.credentials.credential import CredentialSource
from proxy.credentials.discovery import ISSUER
from proxy.credentials.fixed import AT_ONCE, Anonymous, BasicLogin, SharedToken
from proxy.credentials.keeper import Keeper
from proxy.credentials.keepers import Keepers
from proxy.credentials.login import SERVER
from proxy.credentials.oauth2 import OAuth2Source, key_of
from proxy.credentials.outbound import Outbound
from proxy.credentials.report import CredentialStatus
from proxy.credentials.schedule import OFF_SAAS, PACE, Policy
from proxy.credentials.secret import FileSecret, Secret, TextSecret
from proxy.credentials.session import MAX_IDLE, LoginSettings, LoginSource, pace
from proxy.credentials.store import TokenSlot, TokenStore, token_store
from proxy.credentials.throttle import HostThrottle, counts_per_address
from proxy.credentials.token_answer import ENDPOINT
from proxy.credentials.token_file import TokenFile
from proxy.errors import FetchOutcome, StartError
from proxy.net import HttpProxy
from proxy.outgoing.connect import Connector

if TYPE_CHECKING:
    from proxy.credentials.fleet.client import StoreClient

log = logging.getLogger("proxy")


class KeeperFactory:
    """Makes keepers of each kind, and holds what several configurations share, as `keepers` does.

    Attributes:
        secrets: of the configuration in use.
        stores: that a fleet shares.
    """

    def __init__(self, clock: Clock, contexts: TlsContexts, keepers: Keepers, connector: Connector) -> None:
        self.keepers = keepers
        self._clock = clock
        self._tls_contexts = contexts
        self._connector = connector
        self._store: TokenStore = token_store(clock)
        self.stores = Stores(clock, contexts)
        self._shared_store: Store | None = None
        self._throttles: dict[str, HostThrottle] = {}
        self.secrets: tuple[Secret, ...] = ()
        self._asked: dict[tuple[SecretRef, int], Secret] = {}
        self._token_files: list[TokenFile] = []
        self._logins: list[Secret] = []

    def begin(self, store: Store | None = None) -> None:
        """Begin to try another configuration; call `settle` if all of it could be made.

        Args:
            store: its store; None: it has none.
        """
        self._asked = {}
        self._shared_store = store
        self._token_files = []
        self.keepers.begin()

    def settle(self) -> None:
        self.secrets = (*self._asked.values(), *self._token_files, *self._logins)
        self.keepers.settle()

    def keeper(self, config: CredentialConfig, upstream: Upstream) -> Keeper:
        """Get or make the keeper of a credential for an upstream.

        Raises:
            StartError: a file cannot be used, or a package is missing.
        """
        if isinstance(config, OAuth2):
            return self._oauth2(config, upstream.audience)
        if isinstance(config, User):
            return self._user(config)
        if isinstance(config, Bearer):
            token = self.secret(config.token, f"credentials.{config.name}.token_file")
            return self._read(("bearer", token), config.name, SharedToken(token, self._clock), token)
        if isinstance(config, Session):
            base = config.login_url or upstream.url
            password = self.secret(config.password, f"credentials.{config.name}.password_file")
            name = f"credentials.{config.name}"
            settings = LoginSettings(str(base), config.username, password, config.dialect, section=name)
            return self._session(replace(config, wait=0.0), settings, config.max_idle, upstream)
        if isinstance(config, Basic) and config.as_session:
            password = self.secret(config.password, f"credentials.{config.name}.password_file")
            name = f"credentials.{config.name}"
            settings = LoginSettings(str(upstream.url), config.username, password, section=name)
            return self._session(replace(config, wait=0.0), settings, MAX_IDLE, upstream)
        if isinstance(config, Basic):
            password = self.secret(config.password, f"credentials.{config.name}.password_file")
            source = BasicLogin(config.username, password, self._clock)
            return self._read(("basic", config.username, password), config.name, source, password)
        return self._read(("none",), config.name, Anonymous(self._clock), None)

    def _read(self, key: Hashable, name: str, source: CredentialSource, secret: Secret | None) -> Keeper:
        """Get or make the keeper of a credential that is read from a file or from the configuration."""

        def make(_: AsyncExitStack) -> Keeper:
            return Keeper(
                name,
                source,
                clock=self._clock,
                policy=AT_ONCE,
                observer=Narrator(
                    "credential is there; it is not tried yet" if secret else "no credential is needed"
                ),
                secret=secret,
                tally=self.keepers.tally(name, ""),
            )

        return self.keepers.obtain(key, name, make)

    def _session(
        self, config: Session | Basic, settings: LoginSettings, max_idle: float, upstream: Upstream
    ) -> Keeper:
        """Get or make the keeper of a session.

        It logs in at the upstream, or at `login_url` with the upstream's TLS files and HTTP proxy.
        """
        tls = upstream.tls
        if settings.base_url != str(upstream.url):
            tls = replace(tls, server_name=None)
        store = self._shared_store if isinstance(config, Session) and config.shared else None
        secrets = self._checked(store) if store is not None else None
        key = ("session", type(config), settings, max_idle, tls, upstream.http_proxy, store is None)

        def make(stack: AsyncExitStack) -> Keeper:
            section = f"upstreams.{upstream.name}"
            by_login_url = isinstance(config, Session) and config.login_url is not None
            setting = f"credentials.{config.name}.login_url" if by_login_url else f"{section}.url"
            outbound = self.outbound(stack, section, tls, upstream.http_proxy, {SERVER: setting})
            login = LoginSource(settings, outbound, self._clock)
            source: CredentialSource = login
            if isinstance(config, Basic):
                basic = BasicLogin(config.username, settings.password, self._clock)
                source = BasicAsSession(config.name, login, basic)
            fleet = None
            if store is not None and secrets is not None:
                client = self.stores.client(store, secrets, stack)
                fleet = shared_sessions(
                    config.name,
                    login,
                    client,
                    settings,
                    store,
                    secrets.key,
                    clock=self._clock,
                    policy=pace(max_idle),
                )
            return Keeper(
                config.name,
                source,
                clock=self._clock,
                target=settings.base_url,
                sessions=fleet or login,
                policy=pace(max_idle),
                observer=Narrator(),
                secret=settings.password,
                shared=fleet,
                tally=self.keepers.tally(config.name, settings.base_url),
            )

        return self.keepers.obtain(key, (config, store), make)

    def secret(self, ref: SecretRef, setting: str, *, shortest: int = 1) -> Secret:
        """Make a secret. The log masks it as soon as `settle` is called.

        Args:
            setting, shortest: see `FileSecret`.
        """
        asked = ref, shortest
        if asked not in self._asked:
            self._asked[asked] = _secret(ref, shortest, setting)
        return self._asked[asked]

    def outbound(
        self,
        stack: AsyncExitStack,
        section: str,
        tls: Tls,
        http_proxy: HttpProxy | None,
        addresses: Mapping[str, str],
    ) -> Outbound:
        """Make the HTTP client for a token endpoint or a login.

        Args:
            stack: of the keeper; it closes the client.
            section, addresses: for messages, see `Outbound`.

        Raises:
            StartError: a file of `tls` cannot be used.
        """
        outbound = Outbound(
            tls=self._tls_contexts.context(tls, section),
            server_name=tls.server_name,
            http_proxy=http_proxy,
            connector=self._connector,
            section=section,
            addresses=addresses,
        )
        stack.push_async_callback(outbound.close)
        return outbound

    def _oauth2(self, config: OAuth2, audience: str | None) -> Keeper:
        if config.auth_method == "private_key_jwt" and not can_sign():
            raise StartError(
                f"credentials.{config.name}: auth_method private_key_jwt needs a package to sign with:"
                " pip install 'PyJWT[crypto]'"
            )
        settings = settings_of(config, audience, self.secret)
        foreign = [each for each in (settings.client_assertion, settings.subject) if each is not None]
        self._token_files += foreign
        key = ("oauth2", key_of(settings), config.tls, config.http_proxy)
        url = config.token_url or config.issuer_url or ""
        # A token of another issuer is each proxy's own, so what it brings is not shared.
        store = self._shared_store if not foreign else None
        secrets = self._checked(store) if store is not None else None

        def make(stack: AsyncExitStack) -> Keeper:
            section = f"credentials.{config.name}"
            addresses = {ENDPOINT: f"{section}.token_url", ISSUER: f"{section}.issuer_url"}
            if config.token_url is None:
                addresses[ENDPOINT] = f"found through {section}.issuer_url"
            outbound = self.outbound(stack, section, config.tls, config.http_proxy, addresses)
            source = OAuth2Source(settings, outbound, self._clock, credential=f"{section}.{proof_of(config)}")
            proof = watched(settings, config.tls)
            fleet = None
            if store is not None and secrets is not None:
                fleet = shared(
                    config.name,
                    source,
                    self.stores.client(store, secrets, stack),
                    settings,
                    store,
                    secrets.key,
                    proof,
                    clock=self._clock,
                    host=_host(url),
                    throttle=self._throttle(url),
                    policy=_pace(url),
                )
            return Keeper(
                config.name,
                source,
                clock=self._clock,
                target=audience or "",
                policy=_pace(url),
                observer=Narrator(),
                secret=proof,
                file_end=source.file_end if foreign else None,
                throttle=self._throttle(url) if fleet is None else None,
                shared=fleet,
                slot=TokenSlot(self._store, key),
                tally=self.keepers.tally(config.name, audience or ""),
            )

        return self.keepers.obtain(key, (replace(config, wait=0.0), audience, store), make)

    def _user(self, config: User) -> Keeper:
        """Get or make the keeper of a person's credential.

        It passes no credential to its successor, because the person may have logged out meanwhile.
        """
        settings = user_settings_of(config, self.secret)
        store_of(config, settings)
        key = ("user", replace(settings, timeout=0.0), config.storage_dir, config.tls, config.http_proxy)
        url = config.token_url or config.issuer_url or ""

        def make(stack: AsyncExitStack) -> Keeper:
            section = f"credentials.{config.name}"
            outbound = self.outbound(stack, section, config.tls, config.http_proxy, addresses_of(config))
            source = source_of(config, settings, outbound, self._clock)
            self._logins.append(source.login)
            stack.callback(self._logins.remove, source.login)
            return Keeper(
                config.name,
                source,
                clock=self._clock,
                policy=_pace(url),
                observer=Narrator(),
                secret=source.login,
                file_end=source.login.end,
                throttle=self._throttle(url),
                tally=self.keepers.tally(config.name, ""),
            )

        return self.keepers.obtain(key, replace(config, wait=0.0), make)

    def store_client(self, store: Store, stack: AsyncExitStack) -> "StoreClient":
        """Get or make the client of a store; see `Stores.check` and `Stores.client`."""
        return self.stores.client(store, self._checked(store), stack)

    def _checked(self, store: Store) -> StoreSecrets:
        self.stores.check(store)

        def one(ref: SecretRef | None, key: str, shortest: int = 1) -> Secret | None:
            return self.secret(ref, f"store.{key}", shortest=shortest) if ref is not None else None

        return StoreSecrets(
            one(store.password, "password_file"),
            one(store.sentinel_password, "sentinel_password_file"),
            one(store.key, "key_file", SHORTEST_TOKEN),
        )

    def _throttle(self, url: str) -> HostThrottle:
        host = _host(url)
        if host not in self._throttles:
            self._throttles[host] = HostThrottle(self._clock, always=counts_per_address(host))
        return self._throttles[host]


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").removesuffix(".")


def _pace(url: str) -> Policy:
    """Return the policy of a token endpoint or issuer."""
    return PACE if counts_per_address(_host(url)) else OFF_SAAS


def _secret(ref: SecretRef, shortest: int, setting: str) -> Secret:
    return (
        FileSecret(ref.file, shortest, setting=setting)
        if ref.file is not None
        else TextSecret(ref.text or "")
    )


class Narrator:
    """Logs when the state of a credential changes.

    Args:
        good: what to say of one that can be used.
    """

    def __init__(self, good: str = "credential is good") -> None:
        self._good = good

    def fetched(self, name: str, target: str, outcome: FetchOutcome, seconds: float) -> None:
        log.debug(
            "fetch ended",
            extra={"credential": name, "target": target, "outcome": outcome, "seconds": round(seconds, 3)},
        )

    def changed(self, status: CredentialStatus) -> None:
        extra = {"credential": status.name, "target": status.target}
        match status.condition:
            case "good" if status.reason:
                log.warning("credential: %s", status.reason, extra=extra)
            case "good":
                log.info(self._good, extra=extra)
            case "failing":
                log.warning("refresh fails, the credential is still good: %s", status.reason, extra=extra)
            case "unusable":
                log.error("no usable credential: %s", status.reason, extra=extra)
