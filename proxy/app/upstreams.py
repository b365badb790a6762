"""Makes the parts that serve one upstream from its configuration."""

import logging
import secrets
from dataclasses import dataclass, field, replace
from typing import Final

from proxy.access.operations import Operations
from proxy.access.rules import MEMO_ENTRIES, AccessRules
from proxy.admin.recent import Recent
from proxy.admin.state import UpstreamView
from proxy.app.sockets import Bound
from proxy.app.tls import ServingContext, TlsContexts
from proxy.app.upstream_log import UpstreamLog, refusal
from proxy.audit.log import AuditLog, UpstreamAudit
from proxy.clock import Clock
from proxy.config.model import Access, Config, Listen, NoCredential, Upstream
from proxy.credentials.keeper import Keeper
from proxy.gateway.callers import Callers
from proxy.gateway.dial import Endpoint
from proxy.gateway.fields import HeadRewriter
from proxy.gateway.forwarder import Forwarder
from proxy.gateway.guard import LOOPBACK_NAMES, Guard
from proxy.gateway.limit import UpstreamLimit
from proxy.gateway.pool import Pool
from proxy.gateway.records import Removed, RequestRecord, UpstreamRules
from proxy.gateway.share import Share
from proxy.gateway.tally import Tally
from proxy.gateway.timeouts import Timeouts
from proxy.net import bracketed
from proxy.outgoing.causes import Peer, shown
from proxy.outgoing.connect import Connector

log = logging.getLogger("proxy")

OUTSIDE_TENANTS: Final = frozenset((b"/v2/status", b"/cluster/v2/status", b"/cluster/v2/status/upgrade"))
"""Paths of the whole server, which has none of them below a physical tenant (Camunda 8.10)."""


@dataclass(frozen=True, slots=True, eq=False)
class Lasting:
    """What stays under an upstream's name over all configurations.

    Attributes:
        tally: its counts.
        via: our name in the Via field; random, so that we take only our own loops for loops.
    """

    tally: Tally = field(default_factory=Tally)
    via: bytes = field(default_factory=lambda: f"camunda-auth-proxy-{secrets.token_hex(4)}".encode("ascii"))


@dataclass(frozen=True, slots=True)
class UpstreamPlan:
    """Everything that decides how an upstream is served. If a new plan is equal, nothing needs to change.

    Attributes:
        upstream: its configuration, without the origins of the values.
        logged: whether its requests are logged.
        audited: whether there is an audit log.
        listen_tls: makes the contexts of its listener; None: that is plain.
        listed: whether its requests are kept for the admin page.
    """

    upstream: Upstream
    endpoint: Endpoint
    address: HeadRewriter
    rules: UpstreamRules
    guard: Guard
    keeper: Keeper
    logged: bool
    listed: bool
    audited: bool = False
    listen_tls: ServingContext | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RunningUpstream:
    """One upstream, as it runs.

    Attributes:
        bound: its port.
        pool, forwarder: the parts that serve it.
    """

    plan: UpstreamPlan
    bound: Bound
    pool: Pool
    forwarder: Forwarder

    @property
    def upstream(self) -> Upstream:
        return self.plan.upstream

    @property
    def keeper(self) -> Keeper:
        return self.plan.keeper


def plan(
    config: Config,
    upstream: Upstream,
    keeper: Keeper,
    contexts: TlsContexts,
    callers: Callers | None,
    via: bytes,
) -> UpstreamPlan:
    """Make the plan for an upstream.

    Raises:
        StartError: a file of its `tls` or `listen_tls` cannot be used.
    """
    credential, url, gone = config.credentials[upstream.credential], upstream.url, upstream.gone
    injects = not isinstance(credential, NoCredential)
    listen_tls = upstream.listen.tls
    return UpstreamPlan(
        upstream=replace(upstream, origins={}),
        endpoint=_endpoint(upstream, contexts),
        address=HeadRewriter(
            origin=f"{url.scheme}://{url.authority}".encode("ascii"),
            authority=url.authority.encode("ascii"),
            prefix=url.path.encode("ascii"),
            via=via,
            injects=injects,
            tenant=upstream.tenant_path.encode("ascii"),
            outside=OUTSIDE_TENANTS if upstream.tenant_path else frozenset(),
        ),
        rules=UpstreamRules(
            upstream=upstream.name,
            credential=upstream.credential,
            wait=0.0 if isinstance(credential, NoCredential) else credential.wait,
            open_paths=tuple(path.encode("ascii") for path in upstream.open_paths),
            replay_buffer=upstream.replay_buffer,
            patience=upstream.caller_timeout,
            removed=None if gone is None else Removed(frozenset(gone.statuses), gone.sentence),
            refused=refusal(credential, upstream.audience),
            access=access_rules(upstream.access, upstream, f"upstreams.{upstream.name}"),
        ),
        guard=Guard(
            names(config, upstream.listen),
            origins=frozenset(origin.encode("ascii") for origin in config.guard.allowed_origins),
            browsers=not upstream.listen.path,
            scheme=b"http" if listen_tls is None else b"https",
            callers=callers,
            anonymous=upstream.anonymous or "",
        ),
        keeper=keeper,
        logged=config.log.requests,
        audited=config.audit is not None,
        listed=config.admin.recent_requests,
        listen_tls=contexts.serving(listen_tls, f"upstreams.{upstream.name}") if listen_tls else None,
    )


def operations_of(upstream: Upstream) -> Operations:
    """Return the operations of an upstream's API below its base URL."""
    return Operations.below(upstream.api, upstream.url.path, upstream.tenant_path)


def access_rules(
    access: Access | None, upstream: Upstream, place: str, remembered: int = MEMO_ENTRIES
) -> AccessRules | None:
    """Make the rules for requests to one upstream; None: there are none.

    Args:
        access: of the upstream, or of a caller.
        place: where they are in the configuration, for messages.
        remembered: most decisions that are remembered.
    """
    if access is None:
        return None
    return AccessRules(
        place, operations_of(upstream), access.read_only, access.allow, access.deny, remembered
    )


def serve(
    plan: UpstreamPlan,
    bound: Bound,
    tally: Tally,
    clock: Clock,
    share: Share,
    limit: UpstreamLimit,
    connector: Connector,
    audit: AuditLog,
    recent: Recent,
) -> RunningUpstream:
    """Make the parts that serve an upstream by that plan. Its port still has to get the forwarder."""
    upstream = plan.upstream
    timeouts = Timeouts(
        upstream.connect_timeout,
        upstream.response_timeout,
        upstream.idle_timeout,
        min(upstream.caller_timeout, upstream.idle_timeout),
    )
    pool = Pool(plan.endpoint, timeouts, upstream.max_connections, clock, tally, share, limit, connector)
    forwarder = Forwarder(
        plan.rules,
        plan.address,
        plan.guard,
        pool,
        plan.keeper,
        clock,
        tally,
        observer=RequestLog() if plan.logged else None,
        notes=UpstreamLog(recent),
        audit=UpstreamAudit(audit, operations_of(upstream)) if plan.audited else None,
        recent=recent.requests if plan.listed else None,
    )
    return RunningUpstream(plan, bound, pool, forwarder)


def view(served: RunningUpstream) -> UpstreamView:
    """Return the view of an upstream for the admin ports."""
    upstream = served.upstream
    return UpstreamView(
        name=upstream.name,
        api=upstream.api,
        url=str(upstream.url),
        listen=served.bound.addresses,
        credential=upstream.credential,
        keeper=served.keeper,
        tally=served.forwarder.tally,
        watch=served.forwarder.watch,
        certificate_ends=None if served.plan.listen_tls is None else served.plan.listen_tls.ends,
        certificate=lambda: served.pool.certificate,
    )


def names(config: Config, listen: Listen) -> frozenset[str]:
    """Return the host names that a listener accepts: localhost's, its address, and the allowed ones."""
    wildcard = listen.host in ("0.0.0.0", "::")  # noqa: S104 -- these reach loopback too, so they are no names
    more = config.guard.allowed_hosts if wildcard else (*config.guard.allowed_hosts, listen.host)
    return LOOPBACK_NAMES | {bracketed(host) for host in more}


def _endpoint(upstream: Upstream, contexts: TlsContexts) -> Endpoint:
    url = upstream.url
    tls = contexts.context(upstream.tls, f"upstreams.{upstream.name}") if url.scheme == "https" else None
    section = f"upstreams.{upstream.name}"
    peer = Peer(upstream.name, shown(str(url)), f"{section}.url", section)
    return Endpoint(url.host, url.port, tls, upstream.tls.server_name, upstream.http_proxy, peer)


class RequestLog:
    """Logs a line per request (`log.requests`)."""

    def forwarded(self, details: RequestRecord) -> None:
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
                "hint": details.hint,
                "caller": details.caller,
            },
        )
