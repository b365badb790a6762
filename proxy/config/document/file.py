"""Strict pydantic models of the YAML file as people write it; an unknown key is an error."""

from typing import Annotated, Self, get_args

from pydantic import Field, model_validator

from proxy.config.document.credentials import CredentialDocument, TlsDocument
from proxy.config.document.kinds import (
    AnyText,
    ApiName,
    Bytes,
    CallerToken,
    Count,
    Flag,
    HostName,
    KeyProblem,
    Label,
    ListenAt,
    Model,
    Moment,
    Name,
    Nothing,
    OneOrMore,
    Origin,
    PerSecond,
    Port,
    Rules,
    San,
    Seconds,
    Sha256,
    Tenant,
    Text,
    Timeout,
    Url,
    WayOut,
    choice,
)
from proxy.config.document.store import StoreDocument
from proxy.config.model import ClientCertificate, LogFormat, LogLevel


class ClusterDocument(Model):
    """A cluster of Camunda SaaS; each upstream without a `url` gets its URL from it."""

    region: Label
    """Its region, as in bru-2."""
    id: Label
    """Its id, as Console shows it."""


class ListenTlsDocument(Model):
    """TLS of a listener: callers use https://."""

    cert_file: Text
    """PEM file with the listener's certificate, and those between it and its CA."""
    key_file: Text
    """PEM file with the key of `cert_file`, not encrypted."""
    client_ca_file: Text | None = None
    """PEM file with the CAs whose certificates clients may present; default: clients need none."""
    client_certificate: Annotated[ClientCertificate, choice(get_args(ClientCertificate))] | None = None
    """With `client_ca_file`: `required` (default), or `optional` if callers may also send a token."""

    @model_validator(mode="after")
    def _needs_ca(self) -> Self:
        if self.client_certificate is not None and self.client_ca_file is None:
            raise KeyProblem("client_certificate", "needs client_ca_file, the CAs of these certificates")
        return self


class AccessDocument(Model):
    """Which requests may pass."""

    read_only: Flag = False
    """Whether only operations that read pass, and what `allow` names."""
    allow: Rules = Field(default=[])
    """What passes, beside reads with `read_only`: METHOD /path; * is a segment, /** at the end all below."""
    deny: Rules = Field(default=[])
    """What does not pass, whatever else is allowed; written as in `allow`."""


class UpstreamDocument(AccessDocument):
    """One Camunda API and its local port."""

    api: ApiName | None = None
    """Which API it is; default: the entry's name, if it is a preset, else `other`."""
    url: Url | None = None
    """Base URL; its path is put before every request's path; default: from `cluster`."""
    physical_tenant: Tenant | None = None
    """Physical tenant of Camunda 8.10: /physical-tenants/NAME comes before every path, the login's too."""
    listen: ListenAt | None = None
    """HOST:PORT, PORT or unix:/path; port 0 takes a free one; default: localhost and the preset's port."""
    listen_tls: ListenTlsDocument | None = None
    """TLS of the listener: callers use https://; default: none."""
    credential: Text | None = None
    """Name under `credentials`; default: the only one, if there is one."""
    audience: AnyText | None = None
    """Audience of its tokens; default: the credential's own, else the preset's on SaaS, else none."""
    tls: TlsDocument = TlsDocument()
    """TLS towards this upstream."""
    http_proxy: WayOut | None = None
    """CONNECT proxy towards this upstream: `http://HOST:PORT`, or `env` for HTTPS_PROXY and NO_PROXY."""
    connect_timeout: Timeout = 5.0
    """How long connecting may take, TCP and TLS."""
    response_timeout: Timeout = 600.0
    """How long the upstream may take until the response head; long polls need minutes."""
    idle_timeout: Timeout = 600.0
    """How long may pass between two bytes of a body."""
    caller_timeout: Timeout = 60.0
    """How long a caller may be silent: before its first request, in a body, and while it does not read."""
    max_connections: Count = 256
    """Most connections to this upstream; further requests wait 10 s, then they are answered 503."""
    anonymous: Text | None = None
    """Name under `callers` for requests without a token; default: they are refused, if there are callers."""
    replay_buffer: Bytes = 4 * 1024 * 1024
    """A body up to this size can be sent again for a repair."""


class GuardDocument(Model):
    """Which callers may use the proxy."""

    allow_non_loopback: Flag = False
    """Must be true if a listener is not on loopback."""
    allowed_hosts: list[HostName] = Field(default=[])
    """Host names that requests may use, beyond localhost's own."""
    allowed_origins: list[Origin] = Field(default=[])
    """Web pages that may use the listeners: scheme://host or scheme://host:port."""
    caller_token: CallerToken | None = Field(default=None, repr=False)
    """Token that callers must send in X-Proxy-Token; better `caller_token_file`."""
    caller_token_file: Text | None = None
    """File with the caller token, read again whenever it changes."""

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.caller_token is not None and self.caller_token_file is not None:
            raise KeyProblem("caller_token", "is there next to caller_token_file; keep one of them")
        return self


class RateDocument(Model):
    """How many requests a caller may send."""

    per_second: PerSecond
    """Requests per second in the long run, as in 5 or 0.5."""
    burst: Count | None = None
    """Most requests at once; default: those of one second, at least 1."""


class CallerDocument(AccessDocument):
    """A caller, how it proves who it is, and what it may do."""

    token: Annotated[list[CallerToken], OneOrMore] = Field(default=[], repr=False)
    """Its token, or a list of them; better `token_sha256`."""
    token_file: Annotated[list[Text], OneOrMore] = Field(default=[])
    """File with its token, read again whenever it changes, or a list of them."""
    token_sha256: Annotated[list[Sha256], OneOrMore] = Field(default=[], repr=False)
    """SHA-256 of its token, or a list of them: what `camunda-auth-proxy token new` prints."""
    certificate_san: Annotated[list[San], OneOrMore] = Field(default=[])
    """Name in its client certificate (`listen_tls.client_ca_file`), or a list: URI:spiffe://..., DNS:x."""
    upstreams: Annotated[list[Text] | None, OneOrMore] = None
    """Names of the upstreams that it may use; default: all."""
    rate: RateDocument | None = None
    """How many requests it may send; default: no limit."""
    expires: Moment | None = None
    """Time from which it is refused, as 2027-01-31T00:00:00Z; default: never."""


class AdminDocument(Model):
    """The page, status, health and metrics."""

    listen: Port | None = None
    """The page, status, health and metrics: HOST:PORT or PORT; default: localhost:19090."""
    probe_listen: Port | None = None
    """Health and metrics only, for a kubelet: 0.0.0.0:19091; default: no such port."""
    recent_requests: Flag = True
    """Whether the page lists the last hundred requests (path without query); default: true."""


class LogDocument(Model):
    """What is logged, and how."""

    level: Annotated[LogLevel, choice(get_args(LogLevel))] = "info"
    """The lowest level that is logged."""
    format: Annotated[LogFormat, choice(get_args(LogFormat))] = "auto"
    """`auto` is console on a terminal, else json."""
    requests: Flag = False
    """Whether to log a line for each request."""


class AuditDocument(Model):
    """A line of JSON for each request that changes something."""

    file: Text
    """File that the lines are appended to, or `-` for stdout."""
    reads: Flag = False
    """Whether requests that change nothing get a line too."""


class ShutdownDocument(Model):
    """How the proxy stops."""

    delay: Seconds = 0.0
    """How long to go on accepting after the signal to stop."""
    grace: Seconds = 30.0
    """How long running requests then have to end."""


_Upstream = Annotated[UpstreamDocument, Nothing]
_Credential = Annotated[CredentialDocument, Field(discriminator="type")]


class Document(Model):
    """The whole file."""

    cluster: ClusterDocument | None = None
    """A cluster of Camunda SaaS; each upstream without a `url` gets its URL from it."""
    upstreams: Annotated[dict[Name, _Upstream], Nothing] = Field(default={})
    """An entry for each Camunda API; presets: zeebe, operate, tasklist, optimize, console, modeler, hub."""
    credentials: Annotated[dict[Name, _Credential], Nothing] = Field(default={})
    """Ways of getting a credential, by name."""
    callers: Annotated[dict[Name, Annotated[CallerDocument, Nothing]], Nothing] = Field(default={})
    """Callers that may use the proxy, by name; default: every program that reaches a port."""
    store: StoreDocument | None = None
    """A Valkey or Redis in which a fleet of proxies shares tokens."""
    guard: Annotated[GuardDocument, Nothing] = GuardDocument()
    """Which callers may use the proxy."""
    admin: Annotated[AdminDocument, Nothing] = AdminDocument()
    """Status, health and metrics."""
    log: Annotated[LogDocument, Nothing] = LogDocument()
    """What is logged, and how."""
    audit: AuditDocument | None = None
    """A line of JSON for each request that changes something; default: none."""
    shutdown: Annotated[ShutdownDocument, Nothing] = ShutdownDocument()
    """How the proxy stops."""
