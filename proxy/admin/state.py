"""Holds the state of the proxy for the admin ports: the app writes it, admin only reads it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from proxy.admin.status import CredentialProof, Seen, Snapshot, UpstreamStatus
from proxy.credentials.keeper import Keeper
from proxy.credentials.sharing import StoreTally
from proxy.gateway.tally import Tally
from proxy.gateway.watch import UpstreamWatch


@dataclass(frozen=True, slots=True, eq=False)
class UpstreamView:
    """One upstream, its keeper and its counts.

    Attributes:
        name, api, credential: as in the configuration.
        url: its base URL, without user information.
        listen: addresses its listener is bound to, as `127.0.0.1:19080`.
        keeper: of its credential; equal credentials share it, under the name of one of them.
        tally: counts of its requests.
        watch: what its last answers say.
    """

    name: str
    api: str
    url: str
    credential: str
    listen: tuple[str, ...]
    keeper: Keeper
    tally: Tally
    watch: UpstreamWatch


@dataclass(slots=True)
class State:
    """The proxy as it is now.

    Attributes:
        upstreams: in the order of the configuration.
        bound: whether all their listeners are bound.
        draining: whether the proxy is shutting down.
        reloads: of the configuration, by outcome.
        stores: counts of the stores that a fleet shares, by address; mostly empty.
    """

    upstreams: tuple[UpstreamView, ...] = ()
    bound: bool = False
    draining: bool = False
    reloads: Counter[Literal["ok", "refused"]] = field(default_factory=Counter)
    stores: Mapping[str, StoreTally] = field(default_factory=dict)

    def snapshot(self, now: float) -> Snapshot:
        """Return the state at `now`, seconds on the Clock."""
        return Snapshot(
            now=now,
            upstreams=tuple(_status(upstream) for upstream in self.upstreams),
            bound=self.bound,
            draining=self.draining,
        )


def _status(upstream: UpstreamView) -> UpstreamStatus:
    return UpstreamStatus(
        name=upstream.name,
        api=upstream.api,
        url=upstream.url,
        credential=upstream.credential,
        listen=upstream.listen,
        status=upstream.keeper.snapshot(),
        requests=upstream.tally.requests,
        in_flight=upstream.tally.in_flight,
        seen=_seen(upstream.watch),
    )


def _seen(watch: UpstreamWatch) -> Seen:
    credential: CredentialProof = "accepted" if watch.accepted else "untried"
    if watch.state == "refuses":
        credential = "refused"
    return Seen(watch.state, watch.since, watch.requests, credential, watch.problem)
