"""Makes the settings of a token request from the configuration of a credential."""

from collections.abc import Callable

from proxy.config.model import OAuth2, SecretRef, Tls
from proxy.credentials.oauth2 import OAuth2Settings
from proxy.credentials.secret import FileSecret, Secret
from proxy.credentials.token_file import BothSecrets, TokenFile


def settings_of(
    config: OAuth2, audience: str | None, secret_of: Callable[[SecretRef, str], Secret]
) -> OAuth2Settings:
    """Return the settings for an audience.

    Token files are new ones, because each keeper remembers which token has failed.

    Args:
        secret_of: makes the secret of a reference; gets the setting that names its file, too.
    """
    section = f"credentials.{config.name}"
    signs = config.auth_method == "private_key_jwt"
    secret = config.private_key if signs else config.client_secret
    key = "private_key_file" if signs else "client_secret_file"
    certificate = config.certificate_file
    assertion, subject = config.client_assertion_file, config.subject_file
    subject_key = f"{section}.{config.subject_key}"
    opaque = config.grant_type == "token-exchange" and config.subject_token_type == "access_token"  # noqa: S105
    return OAuth2Settings(
        token_url=config.token_url,
        issuer_url=config.issuer_url,
        client_id=config.client_id,
        secret=secret_of(secret, f"{section}.{key}") if secret is not None else None,
        auth_method=config.auth_method,
        key_id=config.key_id,
        certificate=FileSecret(certificate) if certificate is not None else None,
        client_assertion=TokenFile(assertion, f"{section}.client_assertion_file") if assertion else None,
        client_assertion_type=config.client_assertion_type,
        grant_type=config.grant_type,
        subject=TokenFile(subject, subject_key, only_jwt=not opaque) if subject else None,
        subject_token_type=config.subject_token_type,
        request_format=config.request_format,
        audience=audience,
        scope=config.scope,
        resource=config.resource,
        parameters=tuple(config.parameters.items()),
        timeout=config.timeout,
    )


def proof_of(config: OAuth2) -> str:
    """Return the setting that proves who the client is."""
    match config.auth_method:
        case "private_key_jwt":
            return "private_key_file"
        case "client_assertion":
            return "client_assertion_file"
        case "tls_client_auth":
            return "tls.cert_file"
        case "none":
            return config.subject_key
    return "client_secret"


def watched(settings: OAuth2Settings, tls: Tls) -> Secret | None:
    """Return what is watched, so that a refused client is tried again at once when it changes.

    Without a secret, as with `tls_client_auth`, the certificate file is watched.
    """
    secret = settings.secret or settings.client_assertion
    if secret is None and tls.cert_file is not None:
        secret = FileSecret(tls.cert_file)
    if secret is None or settings.subject is None:
        return secret or settings.subject
    return BothSecrets(secret, settings.subject)
