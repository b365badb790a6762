"""Resolves the section of one credential into its configuration."""

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from proxy.config.document.addresses import token_host
from proxy.config.document.credentials import (
    BasicDocument,
    BearerDocument,
    OAuth2Document,
    SessionDocument,
    UserDocument,
)
from proxy.config.model import (
    Basic,
    Bearer,
    CredentialConfig,
    NoCredential,
    OAuth2,
    SecretRef,
    Session,
    Upstream,
    User,
)
from proxy.config.presets import SAAS_TOKEN_URL
from proxy.config.resolve.context import Context, http_proxy, named_file, notice_oddities, secret, tls
from proxy.config.resolve.state_folder import state_folder
from proxy.config.written.files import (
    certificate_file_problem,
    jwt_file_problem,
    key_file_problem,
    secret_file_problem,
)
from proxy.config.written.findings import KeyPath


def credential(name: str, upstreams: Sequence[Upstream], context: Context) -> CredentialConfig:
    """Resolve the credential of that name; add its problems to the findings."""
    document = context.document.credentials[name]
    place: KeyPath = ("credentials", name)
    used = [upstream for upstream in upstreams if upstream.credential == name]
    for key in ("client_id", "username", "scope", "audience"):
        notice_oddities(getattr(document, key, None) or "", (*place, key), context)
    match document:
        case OAuth2Document():
            return _oauth2(name, document, used, context)
        case UserDocument():
            return _user(name, document, context)
        case SessionDocument():
            _refuse_saas(name, document, used, context)
            _check_shared(document, (*place, "shared"), context)
            return Session(
                name,
                document.login_url,
                document.username,
                secret(document.password, document.password_file, (*place, "password_file"), context),
                document.dialect,
                document.max_idle,
                document.wait,
                document.shared,
            )
        case BearerDocument():
            token = secret(document.token, document.token_file, (*place, "token_file"), context)
            return Bearer(name, token, document.wait)
        case BasicDocument():
            password = secret(document.password, document.password_file, (*place, "password_file"), context)
            return Basic(name, document.username, password, document.as_session, document.wait)
        case _:
            return NoCredential(name)


def _oauth2(name: str, document: OAuth2Document, used: Sequence[Upstream], context: Context) -> OAuth2:
    place: KeyPath = ("credentials", name)
    token_url = document.token_url
    if token_url is None and document.issuer_url is None:
        token_url = SAAS_TOKEN_URL
        if context.written.described((*place, "issuer_url")) is None:
            _refuse_default(name, used, context)
    client_secret = private_key = certificate_file = None
    if document.auth_method in {"client_secret_post", "client_secret_basic"}:
        file = (*place, "client_secret_file")
        client_secret = secret(document.client_secret, document.client_secret_file, file, context)
    if document.private_key_file is not None:
        file = (*place, "private_key_file")
        private_key = SecretRef(file=named_file(document.private_key_file, file, context, key_file_problem))
    if document.certificate_file is not None:
        file = (*place, "certificate_file")
        certificate_file = named_file(document.certificate_file, file, context, certificate_file_problem)
    return OAuth2(
        name=name,
        token_url=token_url,
        issuer_url=document.issuer_url,
        client_id=document.client_id,
        client_secret=client_secret,
        private_key=private_key,
        key_id=document.key_id,
        certificate_file=certificate_file,
        auth_method=document.auth_method,
        client_assertion_file=_token_file(
            document.client_assertion_file, "client_assertion_file", place, context
        ),
        client_assertion_type=document.client_assertion_type or "jwt-bearer",
        grant_type=document.grant_type,
        subject_file=_token_file(document.assertion_file, "assertion_file", place, context)
        or _token_file(
            document.subject_token_file,
            "subject_token_file",
            place,
            context,
            jwt=document.subject_token_type != "access_token",  # noqa: S105 -- no password
        ),
        subject_token_type=document.subject_token_type or "jwt",
        audience=document.audience,
        scope=document.scope,
        resource=document.resource,
        parameters=MappingProxyType(document.parameters),
        request_format=document.request_format,
        tls=tls(document.tls, place, context),
        http_proxy=http_proxy(
            document.http_proxy, token_host(token_url or document.issuer_url or ""), place, context
        ),
        timeout=document.timeout,
        wait=document.wait,
    )


def _user(name: str, document: UserDocument, context: Context) -> User:
    place: KeyPath = ("credentials", name)
    client_secret = None
    if document.client_secret is not None or document.client_secret_file is not None:
        file = (*place, "client_secret_file")
        client_secret = secret(document.client_secret, document.client_secret_file, file, context)
    if document.storage_dir is not None:
        folder: Path | None = context.folder.absolute() / document.storage_dir
    else:
        folder = state_folder(context.environ)
        if folder is None:
            message = "is missing: this user has no home folder; name a folder that only this user can use"
            context.findings.add((*place, "storage_dir"), message)
    return User(
        name=name,
        token_url=document.token_url,
        issuer_url=document.issuer_url,
        authorization_url=document.authorization_url,
        device_authorization_url=document.device_authorization_url,
        revocation_url=document.revocation_url,
        client_id=document.client_id,
        client_secret=client_secret,
        auth_method=document.auth_method or ("none" if client_secret is None else "client_secret_post"),
        scope=document.scope,
        audience=document.audience,
        resource=document.resource,
        parameters=MappingProxyType(document.parameters),
        login=document.login,
        storage=document.storage,
        storage_dir=folder or context.folder.absolute(),
        tls=tls(document.tls, place, context),
        http_proxy=http_proxy(
            document.http_proxy, token_host(document.token_url or document.issuer_url or ""), place, context
        ),
        timeout=document.timeout,
        wait=document.wait,
    )


def _token_file(
    name: str | None, key: str, place: KeyPath, context: Context, *, jwt: bool = True
) -> Path | None:
    """Return the path of a file with a token of another issuer.

    Args:
        jwt: whether the token has to be a JWT.
    """
    if name is None:
        return None
    return named_file(name, (*place, key), context, jwt_file_problem if jwt else secret_file_problem)


def _refuse_default(name: str, used: Sequence[Upstream], context: Context) -> None:
    """Refuse the default token endpoint for upstreams elsewhere: Camunda SaaS must not get their secret."""
    for upstream in used:
        if not upstream.url.saas:
            context.findings.add(
                ("credentials", name, "token_url"),
                f"is missing: upstream `{upstream.name}` is not on Camunda SaaS, so there is no default; "
                "write your identity provider's token endpoint, or its issuer_url, "
                "so that no secret goes to the wrong place",
            )
            break


def _refuse_saas(name: str, document: SessionDocument, used: Sequence[Upstream], context: Context) -> None:
    """Refuse a session on Camunda SaaS, which has no login with a password (Camunda 8.2 to 8.10)."""
    remedy = "Camunda SaaS has no login with a password; use a credential of type oauth2"
    if document.login_url is not None and document.login_url.saas:
        context.findings.add(("credentials", name, "login_url"), f"is on Camunda SaaS: {remedy}")
    for upstream in used:
        if upstream.url.saas:
            place = ("upstreams", upstream.name, "credential")
            context.findings.add(place, f"`{name}` is a session, but {remedy}")


def _check_shared(document: SessionDocument, place: KeyPath, context: Context) -> None:
    """Refuse to share a session without a store, or with a key derived from a password.

    Client secrets are random. A password can be guessed, and who reads the store could try guesses on its
    values.
    """
    store = context.document.store
    if not document.shared:
        return
    if store is None:
        context.findings.add(
            place,
            "needs a store, through which proxies share the session; write `store`, or leave shared out",
        )
    elif store.key_file is None:
        context.findings.add(
            place,
            "needs store.key_file: a key derived from a password could be guessed by readers of the store; "
            "name a file with the same random text for all proxies, as openssl rand -base64 32 makes it",
        )
