"""Pure: the settings of a person's credential, and the form that each of its requests sends."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import quote_plus, urlencode

from proxy.credentials.oauth2 import TokenRequest
from proxy.credentials.secret import Secret
from proxy.errors import CredentialUnavailable
from proxy.terms import UserAuthMethod

COMMAND = "camunda-auth-proxy login"
"""What a person runs to log in; the credential's name follows."""


@dataclass(frozen=True, slots=True)
class UserSettings:
    """What the requests for a person's tokens contain, and where they are sent.

    Attributes:
        name: of the credential.
        client_id: of the client, public or confidential.
        secret: None: the client is public (`auth_method` is `none`).
        issuer_url: without a trailing slash; None: the endpoints are configured.
        token_url: None: it and the next three are found through the issuer.
        authorization_url, device_authorization_url, revocation_url: None: not configured.
        scope, audience, resource: None: not sent.
        parameters: further ones to send; those that the proxy sends itself win.
        timeout: seconds for one request.
        options: with which another command reads the same configuration, after a space; empty: none.
    """

    name: str
    client_id: str
    secret: Secret | None = None
    auth_method: UserAuthMethod = "none"
    issuer_url: str | None = None
    token_url: str | None = field(default=None, repr=False)  # queries may hold a secret
    authorization_url: str | None = field(default=None, repr=False)
    device_authorization_url: str | None = field(default=None, repr=False)
    revocation_url: str | None = field(default=None, repr=False)
    scope: str | None = None
    audience: str | None = None
    resource: str | None = None
    parameters: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout: float = 45.0
    options: str = ""

    @property
    def command(self) -> str:
        """What the person runs to log in."""
        return f"{COMMAND} {self.name}{self.options}"

    @property
    def key(self) -> str:
        """The name under which the login is stored.

        It changes with every setting that decides what a token is good for, so that no refresh token is sent
        to another identity provider, or used for another client or scope, than it was issued for.
        """
        decides = [self.name, self.issuer_url, self.token_url, self.client_id, self.scope, self.audience]
        text = json.dumps([*decides, self.resource, sorted(self.parameters)])
        return f"{self.name}-{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def form_request(settings: UserSettings, fields: Mapping[str, str]) -> TokenRequest:
    """Build a POST of this client to one of the identity provider's endpoints.

    The client authenticates as `auth_method` says; `parameters` are added, but never replace `fields`.

    Raises:
        CredentialUnavailable: the client's secret cannot be read, or a value cannot be written as UTF-8.
    """
    secret = settings.secret.read() if settings.secret is not None else ""
    sent = dict(settings.parameters) | dict(fields)
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    try:
        if settings.auth_method == "client_secret_basic":
            # RFC 6749 section 2.3.1: both are form-encoded first.
            pair = f"{quote_plus(settings.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            sent["client_id"] = settings.client_id
            if settings.auth_method == "client_secret_post":
                sent["client_secret"] = secret
        return TokenRequest(headers, urlencode(sent).encode())
    except UnicodeError:  # not chained, because its message holds the text
        message = "the client's id, secret or parameters are not text"
        raise CredentialUnavailable(message, outcome="invalid") from None
