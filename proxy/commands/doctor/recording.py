"""Records what a credential's source sends and gets, while the source does its usual work."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from proxy.app.credentials import KeeperFactory
from proxy.app.tls import TlsContexts
from proxy.clock import Clock
from proxy.config.model import CredentialConfig, Tls, Upstream
from proxy.credentials.keeper import Keeper
from proxy.credentials.keepers import Keepers
from proxy.credentials.outbound import Outbound
from proxy.credentials.reply import Reply
from proxy.errors import CredentialUnavailable
from proxy.masking import masked
from proxy.net import HttpProxy
from proxy.outgoing.connect import Connector


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of a credential's source, and what came of it.

    Attributes:
        reply: None: there was no answer.
        error: says why; empty: there was an answer.
        seconds: from the start of the request to the end of the answer.
        ended: our time then, in seconds since 1970.
    """

    method: str
    url: str = field(repr=False)
    reply: Reply | None
    error: str
    seconds: float
    ended: float


def hidden(reply: Reply, secrets: Iterable[str]) -> Reply:
    """Return an answer with the secrets masked, because a server may repeat what it was sent."""
    known = tuple(secrets)
    fields = tuple((name, masked(value, known)) for name, value in reply.fields)
    return Reply(reply.status, masked_bytes(reply.body, known), fields)


def masked_bytes(body: bytes, secrets: Iterable[str]) -> bytes:
    """Return a body with the secrets masked."""
    return masked(body.decode("utf-8", "surrogateescape"), secrets).encode("utf-8", "surrogateescape")


class RecordingOutbound(Outbound):
    """Does as `Outbound`, and records each exchange in `exchanges`."""

    def __init__(
        self, exchanges: list[Exchange], clock: Clock, wall: Callable[[], float], **arguments: Any
    ) -> None:
        super().__init__(**arguments)
        self._exchanges = exchanges
        self._clock = clock
        self._wall = wall

    async def send(self, method: str, url: str, *args: Any, **arguments: Any) -> Reply:
        """Do as `Outbound.send`."""
        begun, reply, error = self._clock.now(), None, ""
        try:
            reply = await super().send(method, url, *args, **arguments)
        except CredentialUnavailable as failure:
            error = str(failure)
            raise
        finally:
            self._exchanges.append(
                Exchange(method, url, reply, error, self._clock.now() - begun, self._wall())
            )
        return reply


class RecordingFactory(KeeperFactory):
    """Makes the keepers that the running proxy would make.

    Each source has a list of its own, to which its exchanges are added.
    """

    def __init__(
        self,
        clock: Clock,
        contexts: TlsContexts,
        keepers: Keepers,
        connector: Connector,
        wall: Callable[[], float],
    ) -> None:
        super().__init__(clock, contexts, keepers, connector)
        self._wall = wall
        self._recorded: dict[Keeper, list[Exchange]] = {}
        self._begun: list[Exchange] = []

    def recorded(self, config: CredentialConfig, upstream: Upstream) -> tuple[Keeper, list[Exchange]]:
        """Return what `keeper` returns, and the list of its exchanges.

        Raises:
            StartError: as `keeper` does.
        """
        self._begun = []
        keeper = self.keeper(config, upstream)
        return keeper, self._recorded.setdefault(keeper, self._begun)

    def outbound(
        self,
        stack: AsyncExitStack,
        section: str,
        tls: Tls,
        http_proxy: HttpProxy | None,
        addresses: Mapping[str, str],
    ) -> Outbound:
        """Do as `KeeperFactory.outbound`."""
        outbound = RecordingOutbound(
            self._begun,
            self._clock,
            self._wall,
            tls=self._tls_contexts.context(tls, section),
            server_name=tls.server_name,
            http_proxy=http_proxy,
            connector=self._connector,
            section=section,
            addresses=addresses,
        )
        stack.push_async_callback(outbound.close)
        return outbound
