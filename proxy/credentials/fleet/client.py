"""Calls the store: Valkey or Redis, one server, behind Sentinel, or a cluster.

Each call is bounded in time, and a store in error is left alone for a moment, so that no keeper hammers it.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from valkey.asyncio import Valkey
from valkey.asyncio.cluster import ClusterNode, ValkeyCluster
from valkey.asyncio.connection import Connection, ConnectionPool, SSLConnection
from valkey.asyncio.retry import Retry
from valkey.asyncio.sentinel import Sentinel, SentinelManagedConnection
from valkey.backoff import NoBackoff
from valkey.credentials import CredentialProvider
from valkey.exceptions import ValkeyClusterException, ValkeyError

from proxy.clock import Clock
from proxy.credentials.fleet.entry import Starved, StoreError
from proxy.credentials.fleet.store_causes import cause
from proxy.credentials.secret import Secret
from proxy.credentials.sharing import StoreTally
from proxy.errors import CredentialError
from proxy.net import ContextMaker, authority
from proxy.outgoing.causes import Peer

log = logging.getLogger("proxy")

PATIENCE: Final = 0.4
"""Seconds for each step of a call: connecting with TLS, an answer."""

BOUND: Final = 0.5
"""Seconds for a whole call; more than `PATIENCE`, because a cancelled call closes its connection."""

LATE: Final = 0.1
"""Seconds more than `BOUND` after which a call shows that this process had no CPU, as when all pods of a node
start together."""

LEFT_ALONE: Final = (0.5, 1.5)
"""Seconds, at random, for which a store in error is not called."""

CONNECTIONS: Final = 4

ERRORS: Final = (ValkeyError, ValkeyClusterException, OSError, TimeoutError, asyncio.IncompleteReadError)
"""Of a call. valkey's own are no OSError in spite of their names, and the cluster's is no ValkeyError."""

Kind = Literal["standalone", "sentinel", "cluster"]


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where a store is, and who we are there.

    Attributes:
        addresses: of the server, of the Sentinels, or of some nodes of the cluster.
        master: name of the master that the Sentinels watch.
        tls: makes the context of each connection; None: connections are not encrypted.
        server_name: name to verify instead of the host's.
        sentinel_password: None: the Sentinels ask for none.
    """

    kind: Kind
    addresses: tuple[tuple[str, int], ...]
    database: int = 0
    master: str = ""
    username: str | None = None
    password: Secret | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: Secret | None = field(default=None, repr=False)
    tls: ContextMaker | None = None
    server_name: str | None = None

    @property
    def peer(self) -> Peer:
        """The store as messages name it."""
        scheme = "redis" if self.tls is None else "rediss"
        places = ",".join(authority(host, port) for host, port in self.addresses)
        return Peer("the store", f"{scheme}://{places}", "store.url", "store")


class StoreClient:
    """A `Store` (see `entry.py`). Nothing is connected before the first call."""

    def __init__(
        self,
        settings: StoreSettings,
        tally: StoreTally,
        clock: Clock,
        random: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.tally = tally
        self._settings = settings
        self._clock = clock
        self._random = random
        self._closers: list[Callable[[], Any]] = []
        self._client: Any = None
        self._places = asyncio.Semaphore(CONNECTIONS)  # valkey's pool raises where it is full
        self._left_alone_until = -1.0
        self._errors = 0

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        """See `Store.run`."""
        if self._clock.now() < self._left_alone_until:
            raise StoreError(self.tally.reason or "it was in error just now")
        begun = self._clock.now()
        try:
            if self._client is None:
                self._client = self._connectable()
            async with asyncio.timeout(BOUND), self._places:
                answer = await self._client.eval(script, len(keys), *keys, *args)
        except CredentialError as error:  # of a password's file
            raise self._failed(str(error)) from None
        except ERRORS as error:
            if self._clock.now() - begun > BOUND + LATE:
                raise Starved("this process has too little CPU to ask it in time") from None
            raise self._failed(cause(error, self._settings.peer)) from None
        self._succeeded()
        return answer

    async def close(self) -> None:
        """Close all connections; at most a second."""
        for close in self._closers:
            try:
                async with asyncio.timeout(BOUND):
                    await close()
            except ERRORS as error:
                log.debug("store: closing a connection failed: %s", type(error).__name__)
        self._closers, self._client = [], None

    def _failed(self, reason: str) -> StoreError:
        """Count an error. Two in a row, and not one, mean that the store cannot be reached."""
        self._errors += 1
        self.tally.answers["error"] += 1
        self._left_alone_until = self._clock.now() + self._random(*LEFT_ALONE)
        if self._errors >= 2:
            if self.tally.reachable:
                log.warning(
                    "%s: %s; until then each proxy fetches its own tokens", self._settings.peer, reason
                )
            self.tally.reachable, self.tally.reason = False, reason
        return StoreError(reason)

    def _succeeded(self) -> None:
        if not self.tally.reachable:
            log.info("%s: it can be used again", self._settings.peer)
        self._errors, self.tally.reachable, self.tally.reason = 0, True, ""

    # -- clients --

    def _connectable(self) -> Any:
        settings = self._settings
        options: dict[str, Any] = {
            "socket_timeout": PATIENCE,
            "socket_connect_timeout": PATIENCE,
            "retry": Retry(NoBackoff(), 0),
            "lib_name": None,  # Redis 6.2 and 7.0 know no CLIENT SETINFO
            "lib_version": None,
        }
        own = _identity(settings.username, settings.password)
        match settings.kind:
            case "cluster":
                return self._cluster(options | own)
            case "sentinel":
                return self._behind_sentinel(options, own)
        client = Valkey.from_pool(_pool(settings, options | own | {"db": settings.database}))
        self._closers = [client.aclose]
        return client

    def _cluster(self, options: Mapping[str, Any]) -> Any:
        settings = self._settings
        cluster = ValkeyCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in settings.addresses],
            cluster_error_retry_attempts=1,
            connection_error_retry_attempts=0,
            reinitialize_steps=1,
            max_connections=CONNECTIONS,
            require_full_coverage=False,
            **options,
        )
        if settings.tls is not None:  # it takes no class of connections, but each node has one
            encrypted = _encrypted(settings.tls, settings.server_name)
            cluster.connection_kwargs["connection_class"] = encrypted
            for node in cluster.nodes_manager.startup_nodes.values():
                node.connection_class = encrypted
        self._closers = [cluster.aclose]
        return cluster

    def _behind_sentinel(self, options: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
        settings = self._settings
        theirs = dict(options) | _identity(settings.sentinel_username, settings.sentinel_password)
        make: Any = Sentinel  # it has no types
        sentinel = make(settings.addresses, sentinel_kwargs=theirs)
        managed: type[Connection] = SentinelManagedConnection
        if settings.tls is not None:
            encrypted = _encrypted(settings.tls, settings.server_name)
            managed = type("Encrypted", (SentinelManagedConnection, encrypted), {})
            for each in sentinel.sentinels:
                each.connection_pool.connection_class = encrypted
        client = sentinel.master_for(
            settings.master,
            connection_class=managed,
            max_connections=CONNECTIONS,
            db=settings.database,
            **options,
            **own,
        )
        self._closers = [client.aclose, *(each.aclose for each in sentinel.sentinels)]
        return client


def _pool(settings: StoreSettings, options: Mapping[str, Any]) -> ConnectionPool:
    [(host, port)] = settings.addresses
    kind = Connection if settings.tls is None else _encrypted(settings.tls, settings.server_name)
    return ConnectionPool(connection_class=kind, max_connections=CONNECTIONS, host=host, port=port, **options)


def _encrypted(context: ContextMaker, server_name: str | None) -> type[SSLConnection]:
    """Return a class of connections with our own context.

    valkey's trusts the system's CAs beside ours, checks no host name by default, and is made for each
    connection, which takes 20 ms.
    """

    class Encrypted(SSLConnection):
        def _connection_arguments(self) -> Mapping[str, Any]:
            arguments = dict(Connection._connection_arguments(self))  # noqa: SLF001 -- meant to be overridden
            arguments["ssl"] = context()
            if server_name is not None:
                arguments["server_hostname"] = server_name
            return arguments

    return Encrypted


class _Password(CredentialProvider):
    """Reads user name and password for each new connection, so that they can be changed."""

    def __init__(self, username: str | None, password: Secret) -> None:
        self._username = username
        self._password = password

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._password.read()
        return (password,) if self._username is None else (self._username, password)


def _identity(username: str | None, password: Secret | None) -> dict[str, Any]:
    return {} if password is None else {"credential_provider": _Password(username, password)}
