"""Defines words of protocols that the configuration and the rooms below it must spell in the same way."""

import re
from typing import Final, Literal

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Name of an upstream, a credential or a caller."""

CALLER_TOKEN_PREFIX: Final = "cap_"  # noqa: S105 -- no token, only how one begins
"""The first characters of each token that `camunda-auth-proxy token new` makes."""

AuthMethod = Literal[
    "client_secret_post",
    "client_secret_basic",
    "private_key_jwt",
    "client_assertion",
    "tls_client_auth",
    "none",
]
"""How a client authenticates to its token endpoint (OpenID Connect Core 1.0 section 9, RFC 8705).

`client_assertion` sends an assertion that another issuer has signed, from a file (RFC 7521 section 4.2).
"""

GrantType = Literal["client_credentials", "jwt-bearer", "token-exchange"]
"""How a token is requested: RFC 6749 section 4.4, RFC 7523 section 2.1, RFC 8693."""

GRANT_TYPES: Final[dict[GrantType, str]] = {
    "client_credentials": "client_credentials",
    "jwt-bearer": "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "token-exchange": "urn:ietf:params:oauth:grant-type:token-exchange",
}
"""The value of the parameter `grant_type` for each."""

ClientAssertionType = Literal["jwt-bearer", "jwt-spiffe"]
"""What a client assertion is: any JWT (RFC 7523 section 2.2), or a JWT-SVID of SPIFFE."""

SubjectTokenType = Literal["jwt", "access_token", "id_token"]
"""What a subject token is (RFC 8693 section 3)."""

UserAuthMethod = Literal["none", "client_secret_post", "client_secret_basic"]
"""How the client authenticates to the token endpoint when a person logs in: most are public (`none`)."""

LoginFlow = Literal["auto", "browser", "device"]
"""How a person logs in: in a browser on this machine (RFC 8252), or with a code on any device (RFC 8628).
`auto`: in the browser if there is a display."""

LoginStorage = Literal["auto", "keyring", "file"]
"""Where the refresh token of a person is stored. `auto`: the keyring if one works, else a file."""

RequestFormat = Literal["form", "json"]
"""Body of a token request; RFC 6749 has only the form."""

Dialect = Literal["login", "api-login"]
"""How the user of a session logs in: `POST /login` or, in 8.2 to 8.7, `POST /api/login`."""

DialectChoice = Literal["auto", "login", "api-login"]
"""`auto` tries both in turn."""

DISCOVERY: Final = "/.well-known/openid-configuration"
"""Path below an issuer (OpenID Connect Discovery 1.0 section 4)."""

CSRF_NAMES: Final = frozenset((b"x-csrf-token", b"operate-x-csrf-token", b"tasklist-x-csrf-token"))
"""Camunda's names of CSRF headers and cookies: since 8.6; Operate 8.5.1; Tasklist before 8.6."""

WITHOUT_CREDENTIALS = {
    "CAMUNDA_AUTH_STRATEGY": "NONE",
    "CAMUNDA_CLIENT_MODE": "self-managed",  # so that Spring does not derive addresses from a cluster's id
    "CAMUNDA_CLIENT_AUTH_METHOD": "none",
}
"""Variables for Camunda's own clients, so that they send no credential: the proxy adds it."""
