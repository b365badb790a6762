"""Resolves the written document into the `Config`, one upstream at a time: presets, defaults, references."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from proxy.config.document.addresses import token_host
from proxy.config.document.credentials import OAuth2Document, UserDocument
from proxy.config.document.file import Document
from proxy.config.model import (
    Admin,
    Api,
    BaseUrl,
    Config,
    GuardConfig,
    Listen,
    Log,
    SecretRef,
    Shutdown,
    Upstream,
)
from proxy.config.presets import PRESETS, api_named
from proxy.config.resolve.access import access
from proxy.config.resolve.audit import audit_log
from proxy.config.resolve.base_urls import resolved_url, tenant_path
from proxy.config.resolve.callers import callers
from proxy.config.resolve.checks import check_listeners, notice_clear_text
from proxy.config.resolve.context import Context, ListenHost, http_proxy, listen_tls, secret, tls
from proxy.config.resolve.credentials import credential
from proxy.config.resolve.gone import gone
from proxy.config.resolve.store import store
from proxy.config.written.files import caller_token_file_problem
from proxy.config.written.findings import Findings, KeyPath, Written, looks_like_a_key, nearest


def resolve(
    document: Document,
    written: Written,
    findings: Findings,
    *,
    source: str,
    folder: Path,
    environ: Mapping[str, str],
    listen_host: ListenHost | None,
) -> Config:
    """Make the configuration; use it only if `findings` has no problems afterwards.

    Args:
        source: where it came from, for people.
        folder: relative file names start here.
        environ: environment that `http_proxy: env` reads.
    """
    context = Context(document, written, findings, folder, environ, listen_host)
    if not written.tree.get("upstreams"):
        findings.add(("upstreams",), "is missing: name at least one API, as in upstreams: {zeebe: {}}")
    apis = {name: api_named(upstream.api or name) for name, upstream in document.upstreams.items()}
    listens = {name: _listen(name, api, context) for name, api in apis.items()}
    found = [_upstream(name, api, listens[name], context) for name, api in apis.items()]
    upstreams = tuple(upstream for upstream in found if upstream is not None)
    credentials = {name: credential(name, upstreams, context) for name in document.credentials}
    used = {upstream.credential for upstream in upstreams}
    for name in credentials:
        if name not in used:
            findings.notice(f"credential `{name}` is used by no upstream")
    guard = _guard(context)
    admin = Admin(
        document.admin.listen or Admin().listen,
        document.admin.probe_listen,
        document.admin.recent_requests,
    )
    known = callers(upstreams, apis, guard, context)
    check_listeners(listens, upstreams, admin, guard, findings, callers=bool(known))
    audit = audit_log(context)
    notice_clear_text(upstreams, credentials, findings)
    shared = store([credentials[name] for name in credentials if name in used], context)
    return Config(
        source=source,
        upstreams=upstreams,
        credentials=MappingProxyType({name: credentials[name] for name in credentials if name in used}),
        guard=guard,
        callers=known,
        admin=admin,
        log=Log(document.log.level, document.log.format, document.log.requests),
        shutdown=Shutdown(document.shutdown.delay, document.shutdown.grace),
        notices=tuple(findings.notices),
        origins=MappingProxyType(_credential_origins(used, context)),
        audit=audit,
        store=shared,
    )


def _upstream(name: str, api: Api, listen: Listen | None, context: Context) -> Upstream | None:
    """Resolve one upstream. None: something necessary is missing, which `findings` names."""
    document = context.document.upstreams[name]
    place: KeyPath = ("upstreams", name)
    described = context.written.described
    url = resolved_url(name, api, context)
    credential_name = _credential_name(name, context)
    trust = tls(document.tls, place, context)
    if url is None or listen is None or credential_name is None:
        return None
    removed = gone(api, url, context.document.credentials.get(credential_name))
    if removed is not None:
        context.findings.notice(f"upstream `{name}`: {removed.sentence}")
    audience, audience_origin = _audience(name, api, url, credential_name, context)
    return Upstream(
        name=name,
        api=api,
        url=url,
        listen=listen,
        credential=credential_name,
        audience=audience,
        tls=trust,
        http_proxy=http_proxy(document.http_proxy, url, place, context),
        connect_timeout=document.connect_timeout,
        response_timeout=document.response_timeout,
        idle_timeout=document.idle_timeout,
        caller_timeout=document.caller_timeout,
        max_connections=document.max_connections,
        replay_buffer=document.replay_buffer,
        open_paths=PRESETS[api].open_paths if api in PRESETS else (),
        tenant_path=tenant_path(document.physical_tenant),
        gone=removed,
        access=access(document, place, (api,), context.findings),
        anonymous=document.anonymous,
        origins=MappingProxyType(
            {
                "url": described((*place, "url")) or described(("cluster",)) or "default",
                "listen": (context.listen_host.origin if context.listen_host and not listen.path else None)
                or described((*place, "listen"))
                or f"preset {api}",
                "credential": described((*place, "credential")) or "the only one",
                "audience": audience_origin,
            }
        ),
    )


def _credential_origins(names: Iterable[str], context: Context) -> dict[str, str]:
    described = context.written.described
    found: dict[str, str] = {}
    for name in names:
        place = ("credentials", name)
        found[name] = described(place) or ""
        written = (described((*place, key)) for key in ("token_url", "issuer_url", "login_url"))
        found[f"{name}.at"] = next((origin for origin in written if origin is not None), "default")
    return found


def _guard(context: Context) -> GuardConfig:
    document = context.document.guard
    token = None
    if document.caller_token_file is not None:
        place: KeyPath = ("guard", "caller_token_file")
        token = secret(None, document.caller_token_file, place, context, caller_token_file_problem)
    elif document.caller_token is not None:
        token = SecretRef(text=document.caller_token)
    return GuardConfig(
        document.allow_non_loopback, tuple(document.allowed_hosts), tuple(document.allowed_origins), token
    )


def _listen(name: str, api: Api, context: Context) -> Listen | None:
    listen = context.document.upstreams[name].listen
    if listen is None and api == "other":
        context.findings.add(("upstreams", name, "listen"), "is missing: write the port, as in listen: 19100")
        return None
    if listen is None:
        listen = Listen("localhost", PRESETS[api].port)
    tls = listen_tls(name, context)
    if tls is not None and listen.path:
        place = ("upstreams", name, "listen_tls")
        context.findings.add(place, "is for ports; only its owner can use a Unix socket, so leave it off")
    if context.listen_host is None or listen.path:
        return replace(listen, tls=tls)
    return Listen(context.listen_host.host, listen.port, tls=tls)


def _credential_name(name: str, context: Context) -> str | None:
    written = context.written.tree.get("credentials")
    every = list(written) if isinstance(written, dict) else []
    names = [each for each in every if looks_like_a_key(each, name=True)]
    chosen = context.document.upstreams[name].credential
    place = ("upstreams", name, "credential")
    if chosen is None and len(every) == 1:
        return str(every[0])
    if not every:
        context.findings.add(("credentials",), "is missing: write at least one credential, with its type")
    elif chosen is None:
        context.findings.add(place, f"is missing: choose one of the credentials: {', '.join(names)}")
    elif chosen not in every:
        known = ", ".join(names)
        context.findings.add(place, f"names no credential; there are {known}{nearest(chosen, names)}")
    else:
        return chosen
    return None


def _audience(name: str, api: Api, url: BaseUrl, credential: str, context: Context) -> tuple[str | None, str]:
    """Return the audience to request a token for, and its origin; an empty text in the file means none."""
    own = context.document.upstreams[name].audience
    document = context.document.credentials.get(credential)
    described = context.written.described
    if not isinstance(document, OAuth2Document):
        if own is not None and document is not None:
            why = f"credential `{credential}` is not oauth2"
            if isinstance(document, UserDocument):
                why = f"one login has one audience; write it as credentials.{credential}.audience"
            context.findings.notice(f"upstream `{name}`: its audience has no effect: {why}")
        return None, "none"
    if own is not None:
        return own or None, described(("upstreams", name, "audience")) or "none"
    if document.audience is not None:
        return document.audience, described(("credentials", credential, "audience")) or "none"
    if url.saas and api in PRESETS and _at_camunda(document):
        return PRESETS[api].audience, f"preset {api}"
    return None, "none"


def _at_camunda(document: OAuth2Document) -> bool:
    """Tell whether Camunda's own identity provider issues the tokens. A customer's own does not know the
    audiences of Camunda SaaS (Camunda 8.10.1)."""
    where = document.token_url or document.issuer_url
    return where is None or token_host(where).saas
