"""The servers that a configuration names, as places to reach."""

from dataclasses import replace
from urllib.parse import urlsplit

from proxy.app.tls import TlsContexts
from proxy.commands.doctor.places import Place
from proxy.config.model import Basic, CredentialConfig, OAuth2, Session, Tls, Upstream, User
from proxy.net import HttpProxy
from proxy.outgoing.causes import Peer, shown

CONNECT = 10.0
"""Seconds for a connection to a token endpoint or a login, as in `proxy.credentials.outbound`."""


def upstream_place(upstream: Upstream, contexts: TlsContexts) -> Place:
    """Return the place of an upstream.

    Raises:
        StartError: a file of its `tls` cannot be used.
    """
    section = f"upstreams.{upstream.name}"
    url = str(upstream.url)
    peer = Peer(f"upstream `{upstream.name}`", shown(url), f"{section}.url", section)
    return _place(
        peer, url, upstream.tls, upstream.http_proxy, upstream.connect_timeout, contexts, tunnels=True
    )


def credential_place(config: CredentialConfig, upstream: Upstream, contexts: TlsContexts) -> Place | None:
    """Return the place that a credential comes from; None: it comes from no server.

    Raises:
        StartError: a file of its `tls` cannot be used.
    """
    section = f"credentials.{config.name}"
    if isinstance(config, OAuth2 | User):
        url = config.token_url or config.issuer_url or ""
        name, key = (
            ("the token endpoint", "token_url")
            if config.token_url
            else ("the identity provider", "issuer_url")
        )
        peer = Peer(name, shown(url), f"{section}.{key}", section)
        return _place(peer, url, config.tls, config.http_proxy, CONNECT, contexts, tunnels=False)
    if isinstance(config, Session) or (isinstance(config, Basic) and config.as_session):
        base, setting = login_base(config, upstream)
        tls = upstream.tls if base == str(upstream.url) else replace(upstream.tls, server_name=None)
        peer = Peer("the login server", shown(base), setting, f"upstreams.{upstream.name}")
        return _place(peer, base, tls, upstream.http_proxy, CONNECT, contexts, tunnels=False)
    return None


def login_base(config: Session | Basic, upstream: Upstream) -> tuple[str, str]:
    """Return the base URL of a login, and the setting that holds it."""
    if isinstance(config, Session) and config.login_url is not None:
        return str(config.login_url), f"credentials.{config.name}.login_url"
    return str(upstream.url), f"upstreams.{upstream.name}.url"


def _place(
    peer: Peer,
    url: str,
    tls: Tls,
    http_proxy: HttpProxy | None,
    timeout: float,
    contexts: TlsContexts,
    *,
    tunnels: bool,
) -> Place:
    parts = urlsplit(url)
    secure = parts.scheme.lower() == "https"
    return Place(
        peer,
        parts.hostname or "",
        parts.port or (443 if secure else 80),
        contexts.context(tls, peer.section) if secure else None,
        tls.server_name,
        http_proxy,
        timeout,
        tunnels,
    )
