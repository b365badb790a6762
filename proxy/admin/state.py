"""Holds the state of the proxy for the admin ports: the app writes it, admin only reads it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from proxy.admin.recent import Recent
from proxy.admin.status import CallerStatus, CallerView, CredentialProof, Seen, Snapshot, UpstreamStatus
from proxy.credentials.keeper import Keeper
from proxy.credentials.sharing import StoreTally
from proxy.gateway.callers import Outcome
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
        certificate_ends: returns seconds since 1970 until which the listener's certificate is valid, or None;
            None: the listener has no TLS.
        certificate: returns the certificate of its last connection; see `Pool.certificate`.
    """

    name: str
    api: str
    url: str
    credential: str
    listen: tuple[str, ...]
    keeper: Keeper
    tally: Tally
    watch: UpstreamWatch
    certificate_ends: Callable[[], float | None] | None = None
    certificate: Callable[[], Any] = lambda: None


class AuditCounts(Protocol):
    """Lines of the audit log since the start of the process."""

    @property
    def written(self) -> int: ...

    @property
    def lost(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What the configuration says of an upstream, for people; without a secret.

    Attributes:
        address: for callers: `http://localhost:19080`, or `unix:/run/zeebe.sock`.
        account: as whom the proxy calls the upstream: `as client zeebe-client`, `with a shared token`.
        kind: type of its credential, as in the configuration.
        example: a command for a shell that makes a call.
    """

    address: str
    account: str
    kind: str
    example: str


def _no_facts() -> Mapping[str, Facts]:
    return {}


@dataclass(slots=True)
class State:
    """The proxy as it is now.

    Attributes:
        upstreams, callers: in the order of the configuration.
        bound: whether all their listeners are bound.
        draining: whether the proxy is shutting down.
        reloads: of the configuration, by outcome.
        audit: counts of the audit log; None: there is none.
        recent: the last requests and problems; None: they are not kept.
        listed: whether requests are kept in `recent`.
        facts: returns what the configuration says, by the upstream's name. Called only for the page.
        stores: counts of the stores that a fleet shares, by address; mostly empty.
    """

    upstreams: tuple[UpstreamView, ...] = ()
    callers: tuple[CallerView, ...] = ()
    bound: bool = False
    draining: bool = False
    reloads: Counter[Literal["ok", "refused"]] = field(default_factory=Counter)
    audit: AuditCounts | None = None
    recent: Recent | None = None
    listed: bool = True
    facts: Callable[[], Mapping[str, Facts]] = _no_facts
    stores: Mapping[str, StoreTally] = field(default_factory=dict)

    def snapshot(self, now: float) -> Snapshot:
        """Return the state at `now`, seconds on the Clock."""
        return Snapshot(
            now=now,
            upstreams=tuple(_status(upstream) for upstream in self.upstreams),
            callers=tuple(self._caller(caller) for caller in self.callers),
            bound=self.bound,
            draining=self.draining,
        )

    def _caller(self, caller: CallerView) -> CallerStatus:
        requests: Counter[tuple[str, Outcome]] = Counter()
        for upstream in self.upstreams:
            for (name, outcome), count in upstream.tally.callers.items():
                if name == caller.name:
                    requests[upstream.name, outcome] += count
        return CallerStatus(caller, requests)


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
        tls=upstream.certificate_ends is not None,
        certificate_ends=upstream.certificate_ends() if upstream.certificate_ends is not None else None,
    )


def _seen(watch: UpstreamWatch) -> Seen:
    credential: CredentialProof = "accepted" if watch.accepted else "untried"
    if watch.state == "refuses":
        credential = "refused"
    return Seen(watch.state, watch.since, watch.requests, credential, watch.problem)
