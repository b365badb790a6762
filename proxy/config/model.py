"""The configuration as the rest of the proxy sees it: resolved, frozen, plain values.

`document/` holds the YAML as people write it; `load.py` turns one into the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Literal

from proxy.net import HttpProxy, authority, bracketed, is_loopback
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

Api = Literal["zeebe", "operate", "tasklist", "optimize", "console", "modeler", "hub", "other"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "console", "json"]
ClientCertificate = Literal["required", "optional"]

SHORTEST_TOKEN = 16
"""Fewest characters of a caller token: a shorter one could be guessed."""


@dataclass(frozen=True, slots=True, repr=False)
class SecretRef:
    """Where a secret is; never printed. Exactly one of the two is set.

    Attributes:
        text: the secret itself.
        file: an absolute path; the credential's source reads it, and again whenever it changes.
    """

    text: str | None = None
    file: Path | None = None

    def __repr__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """A base URL in parts, in the form in which we connect to them and send them.

    Attributes:
        scheme: `http` or `https`.
        host: lower case, an IPv6 address without brackets.
        port: the scheme's own if none was written.
        path: prefix of every request's path, exactly as written, but without a trailing slash; often empty.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str = ""

    @property
    def authority(self) -> str:
        """Value of the Host field (RFC 9110 section 7.2): no default port, IPv6 in brackets."""
        usual = self.port == (443 if self.scheme == "https" else 80)
        return bracketed(self.host) if usual else authority(self.host, self.port)

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def saas(self) -> bool:
        """Whether Camunda itself runs it. Only then are its token endpoint and audiences the default."""
        return self.host.removesuffix(".").endswith(".camunda.io")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True)
class ListenTls:
    """TLS of a listener.

    Attributes:
        cert_file, key_file: PEM files of its certificate, with those between it and its CA, and of its key.
        client_ca_file: PEM file with the CAs of clients' certificates; None: clients need none.
        client_certificate: whether clients must have one, if `client_ca_file` is set.
    """

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    client_certificate: ClientCertificate = "required"

    @property
    def only_certified(self) -> bool:
        """Whether no client can connect without a certificate."""
        return self.client_ca_file is not None and self.client_certificate == "required"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a listener is bound.

    Attributes:
        host: `localhost` or an IP address without brackets.
        port: 0 means any free one.
        path: of a Unix socket; if set, host and port have no meaning.
        tls: None: the listener is plain.
    """

    host: str
    port: int
    path: str = ""
    tls: ListenTls | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """IP addresses to bind; `localhost` is both loopback addresses."""
        return ("127.0.0.1", "::1") if self.host == "localhost" else (self.host,)

    @property
    def loopback(self) -> bool:
        return bool(self.path) or is_loopback(self.host)

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else authority(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Tls:
    """How a server's certificate is verified (it always is), and the certificate that we present.

    Attributes:
        ca_file: PEM file with the CAs to trust instead of the system's.
        server_name: name to verify and to send as SNI instead of the URL's host.
        cert_file, key_file: PEM files of the certificate that we present (mTLS); both or none.
    """

    ca_file: Path | None = None
    server_name: str | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """What a newer version of Camunda has removed.

    Attributes:
        statuses: of answers that may mean it.
        sentence: what is gone, since which version, and what to use instead; without a full stop.
    """

    statuses: tuple[int, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Access:
    """Which requests may pass: rules as written, `METHOD /path`.

    Attributes:
        read_only: only operations that read, and what `allow` names.
        allow: what passes; empty: with `read_only` reads, else everything.
        deny: what does not, whatever else is allowed.
    """

    read_only: bool = False
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = ["read-only"] if self.read_only else []
        parts += [f"{len(self.allow)} allowed"] if self.allow else []
        parts += [f"{len(self.deny)} denied"] if self.deny else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Upstream:
    """One Camunda API and its local port.

    Attributes:
        url: base URL; ends with `tenant_path`.
        credential: name in `Config.credentials`.
        audience: to request a token for; None: the token request names none.
        connect_timeout: seconds, TLS included.
        response_timeout: seconds until the response head.
        idle_timeout: seconds between two bytes of a body.
        caller_timeout: seconds that a caller may be silent: before its first request, between two bytes of a
            request's body, and while it does not read its answer.
        replay_buffer: bytes of a request's body that are kept, to send it again with a new credential.
        open_paths: paths the API answers without a credential, under `url.path`; a trailing `/**` stands for
            everything below. If no credential is usable, requests for these are forwarded without one
            instead of being refused.
        anonymous: name of the caller for requests without a token; None: they are refused, if there are
            callers.
        tenant_path: path of its physical tenant, `/physical-tenants/NAME`; empty: it has none.
        gone: what Camunda 8.10 has removed of it; None: nothing.
        access: which requests may pass; None: all.
        origins: where each value came from, for people: `line 4`, `preset zeebe`, `CAMUNDA_REST_ADDRESS`,
            `default`; keys `url`, `listen`, `credential`, `audience`.
    """

    name: str
    api: Api
    url: BaseUrl
    listen: Listen
    credential: str
    audience: str | None
    tls: Tls
    http_proxy: HttpProxy | None
    connect_timeout: float
    response_timeout: float
    idle_timeout: float
    caller_timeout: float
    max_connections: int
    replay_buffer: int
    open_paths: tuple[str, ...]
    tenant_path: str
    gone: Gone | None
    access: Access | None
    origins: Mapping[str, str]
    anonymous: str | None = None


@dataclass(frozen=True, slots=True)
class OAuth2:
    """A token for a client (RFC 6749 section 4.4), or for a token of another issuer (RFC 7523, RFC 8693).

    Attributes:
        token_url: as written; may have a query (RFC 6749 section 3.2). None: found through `issuer_url`.
        issuer_url: as written, without a trailing slash (OpenID Connect Discovery 1.0 section 4).
        client_id: None: the assertion names the client, or there is none.
        client_secret: None with other methods than `client_secret_post` and `client_secret_basic`.
        client_assertion_file: with `client_assertion`: file with the JWT of another issuer; else None.
        subject_file: the assertion of `jwt-bearer`, or the subject token of `token-exchange`; else None.
        private_key: PEM file of the key that signs assertions (RFC 7523); None with other methods.
        key_id: `kid` of the assertion's header.
        certificate_file: PEM file; its thumbprints go into the assertion's header.
        audience: the default of the upstreams that use it; a token is requested for `Upstream.audience`.
        parameters: further parameters of the token request, sent as they are.
        wait: seconds a request waits if there is no usable token yet.
        timeout: seconds for one token request.
    """

    name: str
    token_url: str | None = field(repr=False)
    issuer_url: str | None
    client_id: str | None
    client_secret: SecretRef | None
    private_key: SecretRef | None
    key_id: str | None
    certificate_file: Path | None
    auth_method: AuthMethod
    client_assertion_file: Path | None
    client_assertion_type: ClientAssertionType
    grant_type: GrantType
    subject_file: Path | None
    subject_token_type: SubjectTokenType
    audience: str | None
    scope: str | None
    resource: str | None
    parameters: Mapping[str, str] = field(repr=False)
    request_format: RequestFormat
    tls: Tls
    http_proxy: HttpProxy | None
    timeout: float
    wait: float

    @property
    def subject_key(self) -> str:
        """The setting that names `subject_file`."""
        return "assertion_file" if self.grant_type == "jwt-bearer" else "subject_token_file"


@dataclass(frozen=True, slots=True)
class User:
    """A token for a person, who logs in with `camunda-auth-proxy login` (RFC 8252, RFC 8628).

    Attributes:
        token_url: as written. None: it and the three below are found through `issuer_url`.
        issuer_url: as written, without a trailing slash (RFC 8414, OpenID Connect Discovery 1.0 section 4).
        authorization_url: None: the person cannot log in in a browser on this machine.
        device_authorization_url: None: the person cannot log in with a code.
        revocation_url: None: `logout` cannot revoke the refresh token.
        client_secret: None: a public client (`auth_method` is `none`).
        parameters: further parameters of each request to the endpoints, sent as they are.
        login: how `login` asks the person, if no option says so.
        storage: where the refresh token is stored.
        storage_dir: absolute; the folder of stored logins.
        wait: seconds a request waits if there is no usable token yet.
        timeout: seconds for one request to an endpoint.
        options: see `Config.options`; part of the command that the person is told to run.
    """

    name: str
    token_url: str | None = field(repr=False)
    issuer_url: str | None
    authorization_url: str | None = field(repr=False)
    device_authorization_url: str | None = field(repr=False)
    revocation_url: str | None = field(repr=False)
    client_id: str
    client_secret: SecretRef | None
    auth_method: UserAuthMethod
    scope: str | None
    audience: str | None
    resource: str | None
    parameters: Mapping[str, str] = field(repr=False)
    login: LoginFlow
    storage: LoginStorage
    storage_dir: Path
    tls: Tls
    http_proxy: HttpProxy | None
    timeout: float
    wait: float
    options: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """The session of a user: a cookie and a CSRF token on every request.

    Attributes:
        login_url: base URL to log in at; None: the upstream's own.
        max_idle: seconds without use, after which a session counts as expired.
        wait: seconds a request waits for a login.
        shared: whether the proxies of a fleet share it through the store.
    """

    name: str
    login_url: BaseUrl | None
    username: str
    password: SecretRef
    dialect: DialectChoice
    max_idle: float
    wait: float
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Bearer:
    """A shared token. `wait` in seconds."""

    name: str
    token: SecretRef
    wait: float


@dataclass(frozen=True, slots=True)
class Basic:
    """A user and a password on every request (RFC 7617). `wait` in seconds.

    Attributes:
        as_session: log in once with them, if the server has sessions.
    """

    name: str
    username: str
    password: SecretRef
    as_session: bool
    wait: float


@dataclass(frozen=True, slots=True)
class NoCredential:
    """Nothing is injected."""

    name: str


StoreKind = Literal["standalone", "sentinel", "cluster"]


@dataclass(frozen=True, slots=True)
class Store:
    """A Valkey or Redis in which a fleet of proxies shares tokens and sessions.

    Attributes:
        addresses: host and port of the server, of the Sentinels, or of nodes of the cluster.
        encrypted: whether it is reached by TLS.
        master: name of the master that the Sentinels watch; empty: there are none.
        prefix: of the names of all keys.
        key: the secret that tokens are sealed with; None: it is derived from the client's secret.
    """

    kind: StoreKind
    addresses: tuple[tuple[str, int], ...]
    encrypted: bool
    database: int
    master: str
    username: str | None
    password: SecretRef | None
    sentinel_username: str | None
    sentinel_password: SecretRef | None
    prefix: str
    key: SecretRef | None
    tls: Tls


CredentialConfig = OAuth2 | User | Session | Bearer | Basic | NoCredential


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """Which callers may use the listeners.

    Attributes:
        allowed_hosts: names beyond localhost's own, in lower case, IPv6 addresses without brackets.
        allowed_origins: of pages that may use the listeners, as browsers write them in Origin.
        caller_token: callers must send it in X-Proxy-Token; None: they need not.
    """

    allow_non_loopback: bool = False
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    caller_token: SecretRef | None = None


@dataclass(frozen=True, slots=True)
class RateConfig:
    """Requests `per_second` in the long run, at most `burst` at once."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class CallerConfig:
    """A caller, and what it may do.

    Attributes:
        tokens: each of them is its token.
        token_sha256: SHA-256 of further tokens, 32 bytes each.
        certificate_san: names in its client certificate, as `DNS:a.example`.
        upstreams: names of those that it may use; None: all.
        access: which of the requests that the upstream lets pass may be its; None: all.
        rate: None: no limit.
        expires: seconds since 1970; None: never.
    """

    name: str
    tokens: tuple[SecretRef, ...] = ()
    token_sha256: tuple[bytes, ...] = field(default=(), repr=False)
    upstreams: tuple[str, ...] | None = None
    access: Access | None = None
    rate: RateConfig | None = None
    expires: float | None = None
    certificate_san: tuple[str, ...] = ()

    @property
    def token_count(self) -> int:
        return len(self.tokens) + len(self.token_sha256)


@dataclass(frozen=True, slots=True)
class Admin:
    """Port of the page, status, health and metrics.

    Attributes:
        probe_listen: port of health and metrics only; None: there is none.
        recent_requests: whether the page lists the last requests.
    """

    listen: Listen = Listen("localhost", 19090)
    probe_listen: Listen | None = None
    recent_requests: bool = True


@dataclass(frozen=True, slots=True)
class Log:
    level: LogLevel = "info"
    format: LogFormat = "auto"
    requests: bool = False


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit log.

    Attributes:
        file: an absolute path; None: stdout.
        reads: whether requests that change nothing get a line too.
    """

    file: Path | None
    reads: bool = False


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Seconds to go on accepting (`delay`), and then for running requests to end (`grace`)."""

    delay: float = 0.0
    grace: float = 30.0


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the proxy needs to start.

    Attributes:
        source: where it came from, for people: a file name, `--env-file NAME`, `environment`.
        origin: the same in words, with the option or variable that named it.
        credentials: by name; only those that an upstream uses.
        notices: sentences to log once at start, without secrets.
        callers: in the order of the configuration; empty: every program that reaches a port may use it,
            unless there is a `guard.caller_token`.
        store: shared by the proxies of a fleet; None: there is none.
        origins: where each credential came from (key: its name), and where the address of its login or token
            endpoint came from (key: `NAME.at`); for people, as `Upstream.origins`.
        private_variables: names of variables of the environment that may hold a part of a credential.
        audit: None: there is no audit log.
        written: paths of the keys that were written, without their values.
    """

    source: str
    upstreams: tuple[Upstream, ...]
    credentials: Mapping[str, CredentialConfig]
    guard: GuardConfig
    admin: Admin
    log: Log
    shutdown: Shutdown
    notices: tuple[str, ...]
    origins: Mapping[str, str]
    origin: str = ""
    private_variables: frozenset[str] = frozenset()
    callers: tuple[CallerConfig, ...] = ()
    audit: Audit | None = None
    store: Store | None = None
    written: frozenset[tuple[str, ...]] = field(default=frozenset(), repr=False, compare=False)

    @property
    def options(self) -> str:
        """The options with which another command reads the same configuration, after a space; empty: none."""
        if self.source.startswith("--env-file "):
            return f" --env-file {quote(self.source.removeprefix('--env-file '))}"
        return f" --config {quote(self.source)}" if "named by --config" in self.origin else ""
