"""Prints tables on a terminal."""

import re
from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING, Final

from proxy.clock import date_of
from proxy.commands.blocks import Block, blocks, command_lines, sentence
from proxy.config.model import Basic, Bearer, NoCredential, OAuth2, Session, User
from proxy.net import authority

if TYPE_CHECKING:
    from proxy.app.proxy import Proxy
    from proxy.app.upstreams import RunningUpstream
    from proxy.config.model import Config, CredentialConfig
    from proxy.net import HttpProxy

EXAMPLES: Final = {
    "zeebe": ("/v2/topology", ""),
    "operate": ("/v1/process-definitions/search", '{"size":1}'),
    "tasklist": ("/v1/tasks/search", '{"pageSize":1}'),
    "optimize": ("/api/readyz", ""),
    "console": ("/clusters", ""),
    "modeler": ("/v1/info", ""),
    "hub": ("/api/v2/projects/search", "{}"),
}
"""By API, a path and a JSON body (empty: it is a GET) that change nothing (Camunda docs, 8.2 to 8.10)."""

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
    if (store := config.store) is not None:
        scheme = "rediss" if store.encrypted else "redis"
        places = ",".join(authority(host, port) for host, port in store.addresses)
        parts.append(f"store  {scheme}://{places} ({store.kind})")
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
        case OAuth2() | User():
            url = (credential.token_url or f"{credential.issuer_url} (issuer)").partition("?")[0]
            return _via(url, credential.http_proxy)
        case Session():
            shared = ", shared by the fleet" if credential.shared else ""
            return f"{credential.login_url or 'the upstream'}, dialect {credential.dialect}{shared}"
        case Basic(as_session=True):
            return "the upstream, as a session"
    return ""


def _via(url: str, proxy: "HttpProxy | None") -> str:
    return url if proxy is None else f"{url} via {proxy}"


def running_table(proxy: "Proxy") -> str:
    """Return what `run` prints once on a terminal: a block per upstream, an example, and the page's URL."""
    standings = [served.keeper.snapshot() for served in proxy.served]
    lines = [blocks(_block(proxy, served) for served in proxy.served), ""]
    # A block breaks its lines, so the command cannot be copied from there.
    lines += [f"login {command}" for command in sorted({each.command for each in standings if each.command})]
    if words := _example(proxy):
        lines += command_lines(words, "try   ")
    lines.append(f"page  {_page(proxy)}")
    if not all(each.usable for each in standings):
        options = "" if proxy.config is None else proxy.config.options
        lines.append(f"why   camunda-auth-proxy doctor{options}")
    return "\n".join(lines)


def _block(proxy: "Proxy", served: "RunningUpstream") -> Block:
    upstream, status = served.upstream, served.keeper.snapshot()
    state, reasons = "ready" if status.usable else "not ready", [status.reason] if status.reason else []
    if not (status.usable or reasons):
        state, reasons = "starting", ["The first answer to a request for a credential is still awaited."]
    credential = None if proxy.config is None else proxy.config.credentials[upstream.credential]
    static = isinstance(credential, Bearer) or (isinstance(credential, Basic) and not credential.as_session)
    if status.usable and static and not served.forwarder.watch.accepted:
        state = "ready; the credential is not tried yet"
    if upstream.access is not None:
        state += f"; {upstream.access}"
    if not status.usable:
        again = (
            "The proxy notices a login by itself." if status.command else "The proxy tries again by itself."
        )
        reasons.append(again)
    return Block(
        name=upstream.name,
        url=_address(served),
        to=_via(str(upstream.url), upstream.http_proxy),
        whom=upstream.credential if credential is None else _whom(credential, status.target),
        state=state,
        reasons=tuple(map(sentence, reasons)),
    )


def _whom(credential: "CredentialConfig", target: str) -> str:
    """Return as whom the proxy calls an upstream, and the name and the type of the credential."""
    match credential:
        case NoCredential():
            return f"no one: credential {credential.name} (none)"
        case OAuth2():
            who = f"client {credential.client_id or 'named by its assertion'}"
        case User():
            from proxy.app.user import who as name_of

            who = name_of(credential) or "the person who logs in"
        case Session() | Basic():
            who = f"user {credential.username}"
        case Bearer():
            who = "the owner of a shared token"
    for_what = f", audience {target}" if isinstance(credential, OAuth2) and target else ""
    return f"{who}: credential {credential.name} ({kind(credential)}{for_what})"


def _example(proxy: "Proxy") -> list[str]:
    """Return the words of a call that the API answers with 200; empty: none is known."""
    known = [served for served in proxy.served if served.upstream.api in EXAMPLES]
    if not known:
        return []
    served = min(known, key=lambda each: (not each.keeper.snapshot().usable, bool(each.bound.path)))
    path, content = EXAMPLES[served.upstream.api]
    socket, url = served.bound.path, _address(served)
    words = ["curl", *([f"--unix-socket {quote(socket)}"] if socket else [])]
    config = proxy.config
    if config is not None and (config.guard.caller_token is not None or config.callers):
        words.append('-H "X-Proxy-Token: $TOKEN"')
    if content:
        words += ["-H 'Content-Type: application/json'", f"-d '{content}'"]
    return [*words, f"{'http://localhost' if socket else url}{path}"]


def _page(proxy: "Proxy") -> str:
    listen = None if proxy.config is None else proxy.config.admin.listen
    port = proxy.admin_address.rpartition(":")[2]
    host = "localhost" if listen is None or listen.addresses[0] in ("127.0.0.1", "0.0.0.0") else None  # noqa: S104
    return f"http://{host}:{port}/" if host is not None else f"http://{proxy.admin_address}/"


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
    User: "user",
    Session: "session",
    Bearer: "bearer",
    Basic: "basic",
    NoCredential: "none",
}
