"""Shared by the `login` and `logout` commands: the credential that is meant, and the parts that serve it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.app.tls import TlsContexts
from proxy.app.user import settings_of, store_of
from proxy.clock import Clock
from proxy.commands import log
from proxy.config.model import NoCredential, User
from proxy.credentials.discovery import ISSUER
from proxy.credentials.outbound import Outbound
from proxy.credentials.secret import FileSecret, Secret, TextSecret
from proxy.credentials.token_answer import ENDPOINT
from proxy.credentials.user.client import UserClient
from proxy.credentials.user.endpoints import AUTHORIZATION, DEVICE, REVOCATION
from proxy.credentials.user.logins import LoginStore
from proxy.credentials.user.settings import UserSettings
from proxy.errors import StartError
from proxy.outgoing.connect import Connector

if TYPE_CHECKING:
    from proxy.config.model import Config, SecretRef

_SETTINGS = {
    ENDPOINT: "token_url",
    AUTHORIZATION: "authorization_url",
    DEVICE: "device_authorization_url",
    REVOCATION: "revocation_url",
}


@dataclass(frozen=True, slots=True)
class Person:
    """What a login or logout works with."""

    config: User
    settings: UserSettings
    client: UserClient
    store: LoginStore
    clock: Clock


def meant(config: "Config", name: str | None, command: str) -> User:
    """Return the credential that a command is about.

    Args:
        name: None: the only one of type `user`.
        command: for messages: `login`.

    Raises:
        StartError: there is none, or several.
    """
    users = {each.name: each for each in config.credentials.values() if isinstance(each, User)}
    listed = ", ".join(users)
    if name is not None and name not in users:
        other = config.credentials.get(name)
        if other is not None:
            kind = "none" if isinstance(other, NoCredential) else type(other).__name__.lower()
            what = f"credentials.{name} is of type {kind}, for which no person logs in: the proxy does"
        else:
            what = f"no upstream uses a credential {name}"
        raise StartError(f"{what}. Of type user: {listed or 'none'}.")
    if not users:
        raise StartError(
            "No upstream uses a credential of type user, and only with such a one a person logs in:\n"
            "  credentials:\n    me:\n      type: user\n      issuer_url: https://login.example.com/realms/camunda\n"
            "      client_id: camunda-auth-proxy\n      scope: openid offline_access\n"
            "docs/as-yourself.md says what the identity provider needs for it."
        )
    if name is None and len(users) > 1:
        raise StartError(
            f"Name one of the credentials of type user: {listed}. Such as: {command} {next(iter(users))}"
        )
    return users[name if name is not None else listed]


@asynccontextmanager
async def person(config: User, clock: Clock) -> AsyncIterator[Person]:
    """Make the parts; at the end they are closed.

    Raises:
        StartError: a file of `tls` cannot be used.
    """
    section = f"credentials.{config.name}"
    by_issuer = config.issuer_url is not None
    addresses = {to: f"{section}.{'issuer_url' if by_issuer else key}" for to, key in _SETTINGS.items()}
    outbound = Outbound(
        tls=TlsContexts().context(config.tls, section),
        server_name=config.tls.server_name,
        http_proxy=config.http_proxy,
        connector=Connector(clock.now),
        section=section,
        addresses=addresses | {ISSUER: f"{section}.issuer_url"},
    )
    try:
        settings = settings_of(config, _secret)
        client = UserClient(settings, outbound)
        log.set_up("error", "console", log.Redactor(client.sent_secrets))
        yield Person(config, settings, client, store_of(config, settings), clock)
    finally:
        await outbound.close()


def _secret(ref: "SecretRef", setting: str) -> Secret:
    return FileSecret(ref.file, setting=setting) if ref.file is not None else TextSecret(ref.text or "")
