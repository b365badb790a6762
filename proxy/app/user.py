"""Makes what a person's credential needs from its configuration: settings, store, source.

`credentials.user` is imported only if such a credential is configured.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from proxy.clock import Clock
from proxy.config.model import SecretRef, User
from proxy.credentials.discovery import ISSUER, Discovery
from proxy.credentials.outbound import Outbound
from proxy.credentials.secret import Secret, TextSecret
from proxy.credentials.token_answer import ENDPOINT
from proxy.errors import CredentialError, StartError

if TYPE_CHECKING:
    from proxy.credentials.user.logins import LoginStore, StoredLogin
    from proxy.credentials.user.settings import UserSettings
    from proxy.credentials.user.source import UserSource


def settings_of(config: User, secret_of: Callable[[SecretRef, str], Secret]) -> "UserSettings":
    """Return the settings of the requests for a person's tokens.

    Args:
        secret_of: makes the secret of a reference; gets the setting that names its file, too.
    """
    from proxy.credentials.user.settings import UserSettings

    secret, setting = config.client_secret, f"credentials.{config.name}.client_secret_file"
    return UserSettings(
        name=config.name,
        client_id=config.client_id,
        secret=secret_of(secret, setting) if secret is not None else None,
        auth_method=config.auth_method,
        issuer_url=config.issuer_url,
        token_url=config.token_url,
        authorization_url=config.authorization_url,
        device_authorization_url=config.device_authorization_url,
        revocation_url=config.revocation_url,
        scope=config.scope,
        audience=config.audience,
        resource=config.resource,
        parameters=tuple(config.parameters.items()),
        timeout=config.timeout,
        options=config.options,
    )


def store_of(config: User, settings: "UserSettings") -> "LoginStore":
    """Return the store of the person's login.

    Raises:
        StartError: a package is missing.
    """
    try:
        import filelock  # noqa: F401

        from proxy.credentials.user.logins import LoginStore
    except ImportError as error:
        raise StartError(
            f"credentials.{config.name}: the package {error.name} is missing: pip install {error.name}"
        ) from None
    return LoginStore(config.storage_dir, settings.key, config.name, config.storage, command=settings.command)


def source_of(config: User, settings: "UserSettings", outbound: Outbound, clock: Clock) -> "UserSource":
    """Return the source of the person's access tokens."""
    from proxy.credentials.user.source import UserSource

    endpoints = None
    store = store_of(config, settings)
    if settings.issuer_url is not None:
        endpoints = Discovery(settings.issuer_url, outbound, settings.timeout, store.wall)
    return UserSource(settings, store, outbound, clock, endpoints=endpoints)


def addresses_of(config: User) -> Mapping[str, str]:
    """Return the settings that hold the URLs of the identity provider, for messages; see `Outbound`."""
    section = f"credentials.{config.name}"
    found = f"found through {section}.issuer_url" if config.token_url is None else f"{section}.token_url"
    return {ENDPOINT: found, ISSUER: f"{section}.issuer_url"}


def login_of(config: User) -> "StoredLogin | None":
    """Return what is known of the stored login; None: there is none.

    Raises:
        StartError: a package is missing.
        CredentialUnavailable: the stored login cannot be used.
    """
    settings = settings_of(config, lambda ref, setting: TextSecret(""))
    return store_of(config, settings).look()


def who(config: User) -> str:
    """Return who is logged in, as the identity provider names this person; empty: not known."""
    try:
        login = login_of(config)
    except (CredentialError, StartError):
        return ""
    return "" if login is None or login.ended_at is not None else login.username or login.subject
