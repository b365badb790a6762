"""Models of credentials as people write them, one for each type."""

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, Field, model_validator

from proxy.config.document.kinds import (
    AnyText,
    BasicUser,
    Flag,
    HostName,
    IssuerUrl,
    KeyProblem,
    LoginUrl,
    Model,
    OptionalText,
    Seconds,
    Text,
    Timeout,
    Token,
    TokenUrl,
    WayOut,
    WithSecret,
    choice,
)
from proxy.terms import (
    AuthMethod,
    ClientAssertionType,
    DialectChoice,
    GrantType,
    LoginFlow,
    LoginStorage,
    RequestFormat,
    SubjectTokenType,
    UserAuthMethod,
)

_OURS = ("audience", "client_assertion", "client_assertion_type", "client_id", "client_secret", "grant_type")
_SUBJECT = ("assertion", "subject_token", "subject_token_type")
SENT_BY_US = frozenset((*_OURS, *_SUBJECT, "resource", "scope"))
_LOGIN = ("code", "code_challenge", "code_challenge_method", "code_verifier", "device_code", "nonce")
_LOGIN_ANSWER = ("redirect_uri", "refresh_token", "response_mode", "response_type", "state")
SENT_FOR_USER = SENT_BY_US | {*_LOGIN, *_LOGIN_ANSWER}
SECRET = ("client_secret", "client_secret_file")
SIGNING = ("private_key_file", "key_id", "certificate_file")
ASSERTION = ("client_assertion_file", "client_assertion_type")
USED: dict[AuthMethod, tuple[str, ...]] = {
    "client_secret_post": SECRET,
    "client_secret_basic": SECRET,
    "private_key_jwt": SIGNING,
    "client_assertion": ASSERTION,
    "tls_client_auth": (),
    "none": (),
}
"""The keys of each method, of SECRET, SIGNING and ASSERTION."""
NAMELESS: tuple[AuthMethod, ...] = ("client_assertion", "none")
"""Methods that need no `client_id`."""
SUBJECT: dict[GrantType, tuple[str, ...]] = {
    "client_credentials": (),
    "jwt-bearer": ("assertion_file",),
    "token-exchange": ("subject_token_file", "subject_token_type"),
}
"""The keys of each grant; the first one is required."""


FLOWS: dict[LoginFlow, str] = {
    "browser": "authorization_url",
    "device": "device_authorization_url",
}
"""The endpoint that each kind of login needs."""
ENDPOINTS = ("token_url", *FLOWS.values(), "revocation_url")
"""The keys of a `user` that `issuer_url` makes superfluous."""


class TlsDocument(Model):
    """How the server's certificate is verified (it always is), and which one is presented to it."""

    ca_file: Text | None = None
    """PEM file with the CAs to trust instead of the system's."""
    server_name: HostName | None = None
    """Name in the certificate, if it is not the URL's host."""
    cert_file: Text | None = None
    """PEM file with the certificate that the proxy presents (mTLS), and those between it and its CA."""
    key_file: Text | None = None
    """PEM file with the key of `cert_file`, not encrypted."""

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.cert_file is None) is not (self.key_file is None):
            raise KeyProblem("cert_file", "and key_file go together; write both or none")
        return self


class OAuth2Document(WithSecret):
    """OAuth 2.0 for a client: a token that is refreshed ahead of its expiry."""

    type: Literal["oauth2"]
    token_url: TokenUrl | None = Field(default=None, repr=False)
    """The token endpoint. Camunda SaaS's is the default only if every upstream is on SaaS."""
    issuer_url: IssuerUrl | None = None
    """Instead of `token_url`: the issuer, whose OpenID Connect discovery document names the endpoint."""
    client_id: Text | None = None
    """Name of the client; may be left out if the assertion names it, or with `none`."""
    client_secret: Text | None = Field(default=None, repr=False)
    """Secret of the client; better `client_secret_file`."""
    client_secret_file: Text | None = None
    """File with the client's secret, read again whenever it changes."""
    auth_method: Annotated[AuthMethod, choice(get_args(AuthMethod))] = "client_secret_post"
    """How the client authenticates to the token endpoint."""
    client_assertion_file: Text | None = None
    """For `client_assertion`: file with a JWT of another issuer (Kubernetes, SPIFFE), read anew each time."""
    client_assertion_type: Annotated[ClientAssertionType | None, choice(get_args(ClientAssertionType))] = None
    """For `client_assertion`: `jwt-bearer` (default), or `jwt-spiffe` for a JWT-SVID."""
    grant_type: Annotated[GrantType, choice(get_args(GrantType))] = "client_credentials"
    """How the token is requested: for the client itself, or for a token of another issuer."""
    assertion_file: Text | None = None
    """For `jwt-bearer`: file with the assertion (RFC 7523 section 2.1), read anew each time."""
    subject_token_file: Text | None = None
    """For `token-exchange`: file with the token to exchange (RFC 8693), read anew each time."""
    subject_token_type: Annotated[SubjectTokenType | None, choice(get_args(SubjectTokenType))] = None
    """For `token-exchange`: what that token is; default: `jwt`."""
    private_key_file: Text | None = None
    """For `private_key_jwt`: PEM file with the key that signs assertions, not encrypted."""
    key_id: Text | None = None
    """For `private_key_jwt`: the key's id (`kid`), if the identity provider wants one."""
    certificate_file: Text | None = None
    """For `private_key_jwt`: PEM file with the key's certificate, if its thumbprint is wanted (`x5t`)."""
    audience: OptionalText = None
    """Audience of the token, sent as it is; an upstream's own `audience` wins."""
    scope: OptionalText = None
    """Scope of the token, sent as it is."""
    resource: OptionalText = None
    """Resource of the token (RFC 8707), sent as it is."""
    parameters: dict[Text, AnyText] = Field(default={}, repr=False)
    """Further parameters of the token request, sent as they are."""
    wait: Seconds = 10.0
    """How long a request waits if there is no usable token yet."""
    request_format: Annotated[RequestFormat, choice(get_args(RequestFormat))] = "form"
    """Body of the token request."""
    tls: TlsDocument = TlsDocument()
    """TLS towards the token endpoint."""
    http_proxy: WayOut | None = None
    """CONNECT proxy towards the token endpoint: `http://HOST:PORT`, or `env` for HTTPS_PROXY and NO_PROXY."""
    timeout: Timeout = 45.0
    """How long a token request may take."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.token_url is not None and self.issuer_url is not None:
            raise KeyProblem("issuer_url", "is there next to token_url; keep one of them")
        if self.client_id is None and self.auth_method not in NAMELESS:
            raise KeyProblem("client_id", "is missing")
        self._authenticates()
        self._grants()
        if own := SENT_BY_US & self.parameters.keys():
            raise KeyProblem(
                "parameters", f"must not hold those that the proxy sends itself: {', '.join(sorted(own))}"
            )
        return self

    def _authenticates(self) -> None:
        """Raise KeyProblem for a key that the method does not use, or lacks."""
        for key in SECRET + SIGNING + ASSERTION:
            if key not in USED[self.auth_method] and getattr(self, key) is not None:
                raise KeyProblem(key, f"has no effect with auth_method {self.auth_method}; leave it out")
        match self.auth_method:
            case "private_key_jwt" if self.private_key_file is None:
                raise KeyProblem("private_key_file", "is missing: private_key_jwt signs with that key")
            case "client_assertion" if self.client_assertion_file is None:
                message = "is missing: client_assertion sends the JWT in that file"
                raise KeyProblem("client_assertion_file", message)
            case "tls_client_auth" if self.tls.cert_file is None:
                message = "is missing: tls_client_auth presents that certificate; write it and key_file"
                raise KeyProblem("tls.cert_file", message)
            case "none" if self.grant_type == "client_credentials":
                message = "none is for grant_type jwt-bearer and token-exchange; a client has to authenticate"
                raise KeyProblem("auth_method", message)
            case "client_secret_post" | "client_secret_basic":
                self.exactly_one("client_secret")

    def _grants(self) -> None:
        """Raise KeyProblem for a key that the grant does not use, or lacks."""
        used = SUBJECT[self.grant_type]
        for key in SUBJECT["jwt-bearer"] + SUBJECT["token-exchange"]:
            if key not in used and getattr(self, key) is not None:
                raise KeyProblem(key, f"has no effect with grant_type {self.grant_type}; leave it out")
        if used and getattr(self, used[0]) is None:
            message = f"is missing: grant_type {self.grant_type} sends the token in that file"
            raise KeyProblem(used[0], message)


class UserDocument(WithSecret):
    """OAuth 2.0 for a person, who logs in once with `camunda-auth-proxy login`."""

    type: Literal["user"]
    issuer_url: IssuerUrl | None = None
    """The issuer, whose discovery document names the endpoints; or write `token_url` and those below."""
    token_url: TokenUrl | None = Field(default=None, repr=False)
    """The token endpoint, instead of `issuer_url`."""
    authorization_url: TokenUrl | None = Field(default=None, repr=False)
    """With `token_url`: the authorization endpoint, for a login in the browser."""
    device_authorization_url: TokenUrl | None = Field(default=None, repr=False)
    """With `token_url`: the device authorization endpoint, for a login with a code."""
    revocation_url: TokenUrl | None = Field(default=None, repr=False)
    """With `token_url`: the revocation endpoint, for `logout`."""
    client_id: Text
    """Name of the client; a public one that may use the device or the code flow."""
    client_secret: Text | None = Field(default=None, repr=False)
    """Secret of the client, if the identity provider demands one; better `client_secret_file`."""
    client_secret_file: Text | None = None
    """File with the client's secret, read again whenever it changes."""
    auth_method: Annotated[UserAuthMethod | None, choice(get_args(UserAuthMethod))] = None
    """How the client authenticates; default: `none`, with a secret `client_secret_post`."""
    scope: OptionalText = None
    """Scope of the token, sent as it is; most identity providers want `offline_access` in it."""
    audience: OptionalText = None
    """Audience of the token, sent as it is."""
    resource: OptionalText = None
    """Resource of the token (RFC 8707), sent as it is."""
    parameters: dict[Text, AnyText] = Field(default={}, repr=False)
    """Further parameters of each request to these endpoints, sent as they are."""
    login: Annotated[LoginFlow, choice(get_args(LoginFlow))] = "auto"
    """How `login` asks: in the browser if there is a display, else with a code; or always one of them."""
    storage: Annotated[LoginStorage, choice(get_args(LoginStorage))] = "auto"
    """Where the refresh token is stored: the keyring if one works, else a file; or always one of them."""
    storage_dir: Text | None = None
    """Folder of stored logins; default: `camunda-auth-proxy` in the user's own folder for state."""
    wait: Seconds = 10.0
    """How long a request waits if there is no usable token yet."""
    tls: TlsDocument = TlsDocument()
    """TLS towards the identity provider."""
    http_proxy: WayOut | None = None
    """CONNECT proxy towards it: `http://HOST:PORT`, or `env` for HTTPS_PROXY and NO_PROXY."""
    timeout: Timeout = 45.0
    """How long a request to it may take."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self._endpoints()
        secret = self.client_secret is not None or self.client_secret_file is not None
        if self.auth_method == "none" and secret:
            key = "client_secret" if self.client_secret is not None else "client_secret_file"
            raise KeyProblem(key, "has no effect with auth_method none; leave it out")
        if secret or self.auth_method not in (None, "none"):
            self.exactly_one("client_secret")
        if own := SENT_FOR_USER & self.parameters.keys():
            raise KeyProblem(
                "parameters", f"must not hold those that the proxy sends itself: {', '.join(sorted(own))}"
            )
        return self

    def _endpoints(self) -> None:
        """Raise KeyProblem for an endpoint that is missing, or that the issuer names."""
        if self.issuer_url is not None:
            for key in ENDPOINTS:
                if getattr(self, key) is not None:
                    raise KeyProblem(key, "is there next to issuer_url, which names it; keep one of them")
            return
        if self.token_url is None:
            raise KeyProblem(
                "issuer_url", "is missing: write issuer_url, or token_url and the other endpoints"
            )
        for flow, key in FLOWS.items():
            if self.login == flow and getattr(self, key) is None:
                raise KeyProblem(key, f"is missing: login {flow} needs it")
        if all(getattr(self, key) is None for key in FLOWS.values()):
            message = f"is missing: a login needs it, or {FLOWS['browser']}"
            raise KeyProblem(FLOWS["device"], message)


class SessionDocument(WithSecret):
    """The session of a user: a cookie and a CSRF token on every request."""

    type: Literal["session"]
    login_url: LoginUrl | None = None
    """Base URL to log in at, without /login or /api/login; default: the upstream's `url`."""
    username: Text
    """Name of the user."""
    password: Text | None = Field(default=None, repr=False)
    """Password of the user; better `password_file`."""
    password_file: Text | None = None
    """File with the password, read again whenever it changes."""
    dialect: Annotated[DialectChoice, choice(get_args(DialectChoice))] = "auto"
    """How to log in: POST /login (8.8 and later), POST /api/login (8.2 to 8.7), or the one that answers."""
    max_idle: Timeout = 1500.0
    """A session that is idle for longer counts as expired, so the next request logs in."""
    wait: Seconds = 10.0
    """How long a request waits for the login."""
    shared: Flag = False
    """Whether the proxies of a fleet share one session through `store`; needs `store.key_file`."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self.exactly_one("password")
        return self


class BearerDocument(WithSecret):
    """A token that was issued elsewhere, sent with every request."""

    type: Literal["bearer"]
    token: Token | None = Field(default=None, repr=False)
    """The token; better `token_file`."""
    token_file: Text | None = None
    """File with the token, read again whenever it changes."""
    wait: Seconds = 10.0
    """How long a request waits if there is no usable token."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self.exactly_one("token")
        return self


class BasicDocument(WithSecret):
    """A user and a password, sent with every request."""

    type: Literal["basic"]
    username: BasicUser
    """Name of the user."""
    password: Text | None = Field(default=None, repr=False)
    """Password of the user; better `password_file`."""
    password_file: Text | None = None
    """File with the password, read again whenever it changes."""
    as_session: Flag = False
    """Log in once with them, so that Camunda does not hash the password for every request."""
    wait: Seconds = 10.0
    """How long a request waits if there is no usable password."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self.exactly_one("password")
        return self


class NoneDocument(Model):
    """Nothing is injected; the caller's own Authorization and Cookie are forwarded."""

    type: Literal["none"]
    wait: Seconds = 10.0
    """Has no effect here."""


CredentialDocument = (
    OAuth2Document | UserDocument | SessionDocument | BearerDocument | BasicDocument | NoneDocument
)
CREDENTIALS: dict[str, type[BaseModel]] = {
    "oauth2": OAuth2Document,
    "user": UserDocument,
    "session": SessionDocument,
    "bearer": BearerDocument,
    "basic": BasicDocument,
    "none": NoneDocument,
}
