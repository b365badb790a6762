"""Resolves `store`: the Valkey or Redis of a fleet."""

from collections.abc import Collection

from proxy.config.document.store import PORT, SENTINEL_PORT, StoreDocument
from proxy.config.model import CredentialConfig, OAuth2, SecretRef, Session, Store, StoreKind
from proxy.config.resolve.context import Context, named_file, notice_oddities, secret, tls
from proxy.config.written.files import caller_token_file_problem
from proxy.config.written.findings import KeyPath
from proxy.net import is_loopback


def store(credentials: Collection[CredentialConfig], context: Context) -> Store | None:
    """Resolve the store; None: none is configured.

    Args:
        credentials: those that upstreams use.
    """
    document, place = context.document.store, ("store",)
    if document is None:
        return None
    notice_oddities(document.username or "", (*place, "username"), context)
    usual = SENTINEL_PORT if document.sentinel_master is not None else PORT
    addresses = tuple((host, port or usual) for host, port in document.url.addresses)
    _check(document, credentials, context)
    key = None
    if document.key_file is not None:
        where: KeyPath = (*place, "key_file")
        key = SecretRef(file=named_file(document.key_file, where, context, caller_token_file_problem))
    other: StoreKind = "cluster" if document.cluster else "standalone"
    return Store(
        kind="sentinel" if document.sentinel_master is not None else other,
        addresses=addresses,
        encrypted=document.url.encrypted,
        database=document.url.database,
        master=document.sentinel_master or "",
        username=document.username,
        password=_password("password", document, context),
        sentinel_username=document.sentinel_username,
        sentinel_password=_password("sentinel_password", document, context),
        prefix=document.prefix,
        key=key,
        tls=tls(document.tls, place, context),
    )


def _password(key: str, document: StoreDocument, context: Context) -> SecretRef | None:
    text, file = getattr(document, key), getattr(document, f"{key}_file")
    if text is None and file is None:
        return None
    return secret(text, file, ("store", f"{key}_file"), context)


def _check(document: StoreDocument, credentials: Collection[CredentialConfig], context: Context) -> None:
    clients = [each for each in credentials if isinstance(each, OAuth2)]
    shared = [each for each in clients if each.client_assertion_file is None and each.subject_file is None]
    sessions = [each for each in credentials if isinstance(each, Session) and each.shared]
    if clients and not shared and not sessions:
        context.findings.notice("store has no effect: a token of another issuer is each proxy's own")
    elif not shared and not sessions:
        context.findings.notice(
            "store has no effect: no credential is of type oauth2, and no session has shared: true"
        )
    for each in shared:
        if each.client_secret is None and each.private_key is None and document.key_file is None:
            context.findings.add(
                ("store", "key_file"),
                f"is missing: credential `{each.name}` has no secret to derive a key from; "
                "name a file with the same random text for all proxies, as openssl rand -base64 32 makes it",
            )
            break
    hosts = [host for host, _ in document.url.addresses]
    if not document.url.encrypted and not all(is_loopback(host) or host == "localhost" for host in hosts):
        context.findings.notice(
            "store.url: connections are not encrypted: tokens are sealed, but the store's password is sent "
            "as it is; use rediss:// where you can"
        )
