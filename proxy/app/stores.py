"""Makes the clients of the stores that a fleet shares, and what keepers ask of them.

`fleet` is imported only if a store is configured.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from proxy.app.tls import TlsContexts
from proxy.clock import Clock
from proxy.config.model import Store
from proxy.credentials.credential import CredentialSource
from proxy.credentials.oauth2 import OAuth2Settings
from proxy.credentials.schedule import Policy
from proxy.credentials.secret import Secret
from proxy.credentials.session import LoginSettings, LoginSource
from proxy.credentials.sharing import SharedSource, StoreTally
from proxy.credentials.throttle import HostThrottle, counts_per_address
from proxy.errors import StartError

if TYPE_CHECKING:
    from proxy.credentials.fleet.client import StoreClient
    from proxy.credentials.fleet.sessions import FleetSessions

SECTION = "store"


class Stores:
    """The clients of all stores that keepers use: one for each configuration of a store, for all keepers.

    Attributes:
        tallies: of all stores that are in use, by their addresses.
    """

    def __init__(self, clock: Clock, contexts: TlsContexts) -> None:
        self.tallies: dict[str, StoreTally] = {}
        self._clock = clock
        self._contexts = contexts
        self._open: dict[Store, tuple[StoreClient, list[object]]] = {}

    def check(self, store: Store) -> None:
        """Check that a client can be made.

        Raises:
            StartError: a package is missing, or a file of `store.tls` cannot be used.
        """
        try:
            import proxy.credentials.fleet.client
            import proxy.credentials.fleet.source  # noqa: F401
        except ImportError as error:
            raise StartError(
                f"store: the package {error.name} is missing: pip install 'camunda-auth-proxy[fleet]'"
            ) from None
        self._contexts.context(store.tls, SECTION)

    def client(self, store: Store, secrets: "StoreSecrets", stack: AsyncExitStack) -> "StoreClient":
        """Get or make the client of a checked store; the last of the stacks that got it closes it."""
        if store not in self._open:
            self._open[store] = self._made(store, secrets), []
        client, users = self._open[store]
        users.append(stack)
        stack.push_async_callback(self._left, store, stack)
        return client

    def _made(self, store: Store, secrets: "StoreSecrets") -> "StoreClient":
        from proxy.credentials.fleet.client import StoreClient, StoreSettings

        settings = StoreSettings(
            kind=store.kind,
            addresses=store.addresses,
            database=store.database,
            master=store.master,
            username=store.username,
            password=secrets.password,
            sentinel_username=store.sentinel_username,
            sentinel_password=secrets.sentinel_password,
            tls=self._contexts.context(store.tls, SECTION) if store.encrypted else None,
            server_name=store.tls.server_name,
        )
        tally = self.tallies[settings.peer.url] = StoreTally(settings.peer.url)
        return StoreClient(settings, tally, self._clock)

    async def _left(self, store: Store, stack: object) -> None:
        client, users = self._open[store]
        users.remove(stack)
        if not users:
            del self._open[store]
            if self.tallies.get(client.tally.where) is client.tally:
                del self.tallies[client.tally.where]
            await client.close()


@dataclass(frozen=True, slots=True)
class StoreSecrets:
    """The secrets of a store; None: it has no such secret."""

    password: Secret | None
    sentinel_password: Secret | None
    key: Secret | None


def shared(
    name: str,
    source: CredentialSource,
    client: "StoreClient",
    settings: OAuth2Settings,
    store: Store,
    key: Secret | None,
    proof: Secret | None,
    *,
    clock: Clock,
    host: str,
    throttle: HostThrottle,
    policy: Policy,
) -> SharedSource:
    """Return what gets the tokens of these settings for the whole fleet.

    Args:
        key: the secret to derive the sealing key from; None: `proof`.
        proof: the client's secret, private key or certificate.
        host: of the token endpoint.
    """
    from proxy.credentials.fleet.entry import HostEntry
    from proxy.credentials.fleet.identity import Identity
    from proxy.credentials.fleet.key import Facts
    from proxy.credentials.fleet.source import FleetSource

    sealing = key or proof
    assert sealing is not None  # noqa: S101 -- the configuration was checked
    facts = partial(
        Facts,
        settings.token_url or settings.issuer_url or "",
        settings.client_id or "",
        audience=settings.audience,
        scope=settings.scope,
        resource=settings.resource,
        auth_method=settings.auth_method,
        others=settings.parameters,
    )
    return FleetSource(
        name,
        source,
        Identity(lambda text: facts(proof=text), proof, sealing),
        client,
        client.tally,
        clock=clock,
        prefix=store.prefix,
        throttle=throttle,
        host=HostEntry(client, store.prefix, host, always=counts_per_address(host)),
        policy=policy,
    )


def shared_sessions(
    name: str,
    login: LoginSource,
    client: "StoreClient",
    settings: LoginSettings,
    store: Store,
    key: Secret | None,
    *,
    clock: Clock,
    policy: Policy,
) -> "FleetSessions":
    """Return what gets the sessions of these settings for the whole fleet; arguments as those of `shared`."""
    from proxy.credentials.fleet.identity import Identity
    from proxy.credentials.fleet.key import Facts
    from proxy.credentials.fleet.sessions import FleetSessions

    assert key is not None  # noqa: S101 -- the configuration was checked
    facts = partial(
        Facts,
        settings.base_url,
        settings.username,
        audience=None,
        scope=None,
        resource=None,
        auth_method="session",
        others=(("max_idle", str(policy.max_idle)),),
    )
    return FleetSessions(
        name,
        login,
        Identity(lambda text: facts(proof=text), settings.password, key),
        client,
        client.tally,
        clock=clock,
        prefix=store.prefix,
        policy=policy,
    )
