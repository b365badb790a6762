"""Prints tables on a terminal."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from proxy.clock import date_of
from proxy.config.model import Basic, Bearer, NoCredential, OAuth2, Session

if TYPE_CHECKING:
    from proxy.app.proxy import Proxy
    from proxy.app.upstreams import RunningUpstream
    from proxy.config.model import Config, CredentialConfig
    from proxy.net import HttpProxy

_AUDIENCE = re.compile(r"[A-Za-z0-9._:/-]{1,200}", re.ASCII)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Format rows as columns of the width they need; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def configuration(config: "Config") -> str:
    """Return what `check` prints: upstreams and credentials, and where their values came from."""
    parts = [
        f"{config.source} is right. The configuration comes from {config.origin}.",
        table(_upstreams(config)),
        table(_credentials(config)),
        *([table(_callers(config))] if config.callers else []),
        f"admin  http://{config.admin.listen}",
    ]
    return "\n\n".join(parts)


def _upstreams(config: "Config") -> list[tuple[str, ...]]:
    rules = any(upstream.access for upstream in config.upstreams)
    heading = ("listener", "API", "upstream", "credential", "audience", "access")
    rows: list[tuple[str, ...]] = [heading]
    for upstream in config.upstreams:
        url = _via(str(upstream.url), upstream.http_proxy)
        credential = f"{upstream.credential} ({kind(config.credentials[upstream.credential])})"
        may = str(upstream.access or "all")
        listener = f"{upstream.listen} (TLS)" if upstream.listen.tls is not None else str(upstream.listen)
        rows.append((listener, upstream.api, url, credential, _audience(upstream.audience), may))
        origins = upstream.origins
        rows.append(
            (
                f"  {origins.get('listen', '')}",
                "",
                f"  {origins.get('url', '')}",
                f"  {origins.get('credential', '')}",
                f"  {origins.get('audience', '')}",
                "",
            )
        )
    return rows if rules else [row[:-1] for row in rows]


def _audience(audience: str | None) -> str:
    """Return an audience for people. A text that is no usual audience may be a secret at the wrong place."""
    if audience is None:
        return "-"
    return audience if _AUDIENCE.fullmatch(audience) else "***"


def _credentials(config: "Config") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("credential", "type", "got at")]
    for name, credential in config.credentials.items():
        how, where = kind(credential), _where(credential)
        if isinstance(credential, OAuth2):
            how += f", {credential.auth_method}"
        rows.append((name, how, where or "-"))
        rows.append((f"  {config.origins[name]}", "", f"  {config.origins[f'{name}.at']}" if where else ""))
    return rows


def _callers(config: "Config") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("caller", "upstreams", "access", "rate", "expires", "known by")]
    for caller in config.callers:
        upstreams = "all" if caller.upstreams is None else ", ".join(caller.upstreams)
        rate = "-" if caller.rate is None else f"{caller.rate.per_second:g}/s, burst {caller.rate.burst}"
        expires = "never" if caller.expires is None else date_of(caller.expires)
        known = [f"{count} token{'s' * (count > 1)}"] if (count := caller.token_count) else []
        known += [
            f"anonymous at {upstream.name}"
            for upstream in config.upstreams
            if upstream.anonymous == caller.name
        ]
        access = str(caller.access or "all")
        rows.append((caller.name, upstreams, access, rate, expires, ", ".join(known)))
    if config.guard.caller_token is not None:
        rows.append(("(no name)", "all", "all", "-", "never", "guard.caller_token"))
    return rows


def _where(credential: "CredentialConfig") -> str:
    """Return where the proxy gets a credential; empty: the configuration holds it."""
    match credential:
        case OAuth2():
            url = (credential.token_url or f"{credential.issuer_url} (issuer)").partition("?")[0]
            return _via(url, credential.http_proxy)
        case Session():
            return f"{credential.login_url or 'the upstream'}, dialect {credential.dialect}"
        case Basic(as_session=True):
            return "the upstream, as a session"
    return ""


def _via(url: str, proxy: "HttpProxy | None") -> str:
    return url if proxy is None else f"{url} via {proxy}"


def running_table(proxy: "Proxy") -> str:
    """Return what `run` prints once on a terminal."""
    rows: list[tuple[str, ...]] = [("listener", "API", "upstream", "credential", "access", "state")]
    for served in proxy.served:
        upstream = served.upstream
        status = served.keeper.snapshot()
        credential = f"{upstream.credential} {status.target}".rstrip()
        state = "ready" if status.usable else status.reason
        if proxy.config is not None:
            configured = proxy.config.credentials[upstream.credential]
            credential += f" ({kind(configured)})"
            static = isinstance(configured, Bearer) or (
                isinstance(configured, Basic) and not configured.as_session
            )
            if status.usable and static and not served.forwarder.watch.accepted:
                state = f"{status.reason or 'ready'}; the credential is not tried yet"
        may = str(upstream.access or "all")
        rows.append((_address(served), upstream.api, str(upstream.url), credential, may, state))
    if not any(served.upstream.access for served in proxy.served):
        rows = [(*row[:4], row[5]) for row in rows]
    return f"{table(rows)}\nadmin  http://{proxy.admin_address}"


def kind(credential: "CredentialConfig") -> str:
    """Return the type of a credential, as people write it."""
    return KINDS[type(credential)]


def _address(served: "RunningUpstream") -> str:
    """Return the address for callers: a URL, or the path of a Unix socket."""
    bound = served.bound
    if bound.path:
        return bound.addresses[0]
    scheme = "http" if served.plan.listen_tls is None else "https"
    if served.upstream.listen.host == "localhost":
        return f"{scheme}://localhost:{bound.port}"
    return f"{scheme}://{bound.addresses[0]}"


KINDS: dict[type, str] = {
    OAuth2: "oauth2",
    Session: "session",
    Bearer: "bearer",
    Basic: "basic",
    NoCredential: "none",
}
