"""From what the operator wrote about a credential to the keeper that keeps it fresh."""

import logging
from collections.abc import Hashable, Sequence
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from proxy.clock import Clock
from proxy.config.model import Basic, Bearer, CredentialConfig, OAuth2, SecretRef
from proxy.credentials.credential import CredentialSource
from proxy.credentials.fixed import AT_ONCE, BasicLogin, NoCredential, SharedToken
from proxy.credentials.keeper import Keeper
from proxy.credentials.oauth2 import OAuth2Settings, OAuth2Source, key_of, token_session
from proxy.credentials.report import CredentialStatus
from proxy.credentials.schedule import Policy
from proxy.credentials.secret import FileSecret, Secret, TextSecret
from proxy.credentials.store import TokenStore, token_store
from proxy.credentials.throttle import HostThrottle, counts_per_address
from proxy.errors import FetchOutcome
from proxy.trust import Trust

log = logging.getLogger("proxy")


class CredentialDesk:
    """Makes keepers; equal keys share one."""

    def __init__(self, clock: Clock, trust: Trust, stack: AsyncExitStack) -> None:
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
        assert config.client_secret is not None  # noqa: S101
        assert config.token_url is not None  # noqa: S101
        assert config.auth_method in ("client_secret_post", "client_secret_basic")  # noqa: S101
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
