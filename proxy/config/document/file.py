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
    Name,
    Nothing,
    Origin,
    Port,
    Seconds,
    Tenant,
    Text,
    Timeout,
    Url,
    WayOut,
    choice,
)
from proxy.config.document.store import StoreDocument
from proxy.config.model import LogFormat, LogLevel


class ClusterDocument(Model):
    """A cluster of Camunda SaaS; each upstream without a `url` gets its URL from it."""

    region: Label
    """Its region, as in bru-2."""
    id: Label
    """Its id, as Console shows it."""


class UpstreamDocument(Model):
    """One Camunda API and its local port."""

    api: ApiName | None = None
    """Which API it is; default: the entry's name, if it is a preset, else `other`."""
    url: Url | None = None
    """Base URL; its path is put before every request's path; default: from `cluster`."""
    physical_tenant: Tenant | None = None
    """Physical tenant of Camunda 8.10: /physical-tenants/NAME comes before every path, the login's too."""
    listen: ListenAt | None = None
    """HOST:PORT, PORT or unix:/path; port 0 takes a free one; default: localhost and the preset's port."""
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


class AdminDocument(Model):
    """Status, health and metrics."""

    listen: Port | None = None
    """Status, health and metrics: HOST:PORT or PORT; default: localhost:19090."""
    probe_listen: Port | None = None
    """Health and metrics only, for a kubelet: 0.0.0.0:19091; default: no such port."""


class LogDocument(Model):
    """What is logged, and how."""

    level: Annotated[LogLevel, choice(get_args(LogLevel))] = "info"
    """The lowest level that is logged."""
    format: Annotated[LogFormat, choice(get_args(LogFormat))] = "auto"
    """`auto` is console on a terminal, else json."""
    requests: Flag = False
    """Whether to log a line for each request."""


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
    store: StoreDocument | None = None
    """A Valkey or Redis in which a fleet of proxies shares tokens."""
    guard: Annotated[GuardDocument, Nothing] = GuardDocument()
    """Which callers may use the proxy."""
    admin: Annotated[AdminDocument, Nothing] = AdminDocument()
    """Status, health and metrics."""
    log: Annotated[LogDocument, Nothing] = LogDocument()
    """What is logged, and how."""
    shutdown: Annotated[ShutdownDocument, Nothing] = ShutdownDocument()
    """How the proxy stops."""
