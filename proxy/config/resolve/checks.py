"""Checks rules between the parts: which listener has which port, which credential is sent unencrypted."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import combinations

from proxy.config.document.addresses import token_host
from proxy.config.model import (
    Admin,
    BaseUrl,
    CredentialConfig,
    GuardConfig,
    Listen,
    NoCredential,
    OAuth2,
    Session,
    Upstream,
    User,
)
from proxy.config.written.findings import Findings, KeyPath, dotted


def check_listeners(
    listens: Mapping[str, Listen | None],
    upstreams: Sequence[Upstream],
    admin: Admin,
    guard: GuardConfig,
    findings: Findings,
    *,
    callers: bool = False,
) -> None:
    """Check that each port is used once, is on loopback unless allowed, and is not an upstream of ours."""
    places: dict[KeyPath, Listen] = {
        ("upstreams", name, "listen"): listen for name, listen in listens.items() if listen is not None
    }
    _refuse_networks(places, upstreams, guard, findings, callers=callers)
    places["admin", "listen"] = admin.listen
    if not (admin.listen.loopback or guard.allow_non_loopback):
        findings.add(
            ("admin", "listen"),
            f"refusing to listen on {admin.listen}: use admin.probe_listen for probes and metrics, "
            "or set guard.allow_non_loopback: true",
        )
    if admin.probe_listen is not None:
        places["admin", "probe_listen"] = admin.probe_listen
    for (first, one), (second, other) in combinations(places.items(), 2):
        if overlap(one, other):
            what = str(other) if other.path else f"port {other.port}"
            findings.add(second, f"{what} is already taken by {dotted(first)}; choose another")
    for upstream in upstreams:
        for place, listen in places.items():
            if upstream.url.loopback and overlap(_as_listener(upstream.url), listen):
                findings.add(
                    ("upstreams", upstream.name, "url"),
                    f"leads back to this proxy: {dotted(place)} is that port; write Camunda's own address",
                )


def _refuse_networks(
    places: Mapping[KeyPath, Listen],
    upstreams: Sequence[Upstream],
    guard: GuardConfig,
    findings: Findings,
    *,
    callers: bool,
) -> None:
    used = {upstream.name: upstream.credential for upstream in upstreams}
    for place, listen in places.items():
        if listen.loopback:
            continue
        name = used.get(str(place[1]))
        credential = f"credential `{name}`" if name else "its credential"
        if not guard.allow_non_loopback:
            findings.add(
                place,
                f"refusing to listen on {listen}: anyone who can reach it acts with {credential}; "
                "set guard.allow_non_loopback: true if you want that",
            )
        else:
            tokens = callers or guard.caller_token is not None
            for notice in _crossing(place, listen, credential, tokens=tokens):
                findings.notice(notice)


def _crossing(place: KeyPath, listen: Listen, credential: str, *, tokens: bool) -> Iterator[str]:
    """Yield what the network can do with a listener that it reaches: use it, and read what crosses."""
    setting = dotted((*place[:-1], "listen_tls"))
    clear = f"requests{', tokens' if tokens else ''} and answers cross the network unencrypted"
    if not tokens and not (listen.tls is not None and listen.tls.only_certified):
        more = "" if listen.tls is not None else f". Without {setting}, {clear}"
        yield (
            f"listening on {listen}: anyone who can reach it acts with {credential}; "
            f"set guard.caller_token or callers, so that callers must send a token{more}"
        )
    elif listen.tls is None:
        yield f"listening on {listen} without TLS: {clear}; set {setting}"


def _as_listener(url: BaseUrl) -> Listen:
    """Return the listener that a URL on this machine leads to."""
    return Listen("localhost" if "localhost" in url.host else url.host, url.port)


def overlap(one: Listen, other: Listen) -> bool:
    """Tell whether the two cannot both be bound. Port 0 never overlaps, as it means any free port."""
    if one.path or other.path:
        return one.path == other.path
    if one.port != other.port or one.port == 0:
        return False
    return any(_same(a, b) for a in one.addresses for b in other.addresses)


def _same(one: str, other: str) -> bool:
    """Tell whether both are equal, or one means all of its family; asyncio binds `::` to IPv6 only."""
    a, b = ip_address(one), ip_address(other)
    return a.version == b.version and (a == b or a.is_unspecified or b.is_unspecified)


def notice_clear_text(
    upstreams: Sequence[Upstream], credentials: Mapping[str, CredentialConfig], findings: Findings
) -> None:
    """Add a notice for each credential and each host that it is sent to without TLS, except this machine."""
    for name, url in _destinations(upstreams, credentials):
        if url.scheme == "http" and not url.loopback:
            findings.notice(
                f"credential `{name}` is sent unencrypted to http://{url.authority}; use https://"
            )


def _destinations(
    upstreams: Sequence[Upstream], credentials: Mapping[str, CredentialConfig]
) -> Iterator[tuple[str, BaseUrl]]:
    for upstream in upstreams:
        if not isinstance(credentials.get(upstream.credential), NoCredential):
            yield upstream.credential, upstream.url
    for name, credential in credentials.items():
        if isinstance(credential, OAuth2 | User):
            yield name, token_host(credential.token_url or credential.issuer_url or "")
        elif isinstance(credential, Session) and credential.login_url is not None:
            yield name, credential.login_url
