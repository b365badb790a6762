"""The YAML as people write it: pydantic models, strict; an unknown key is an error.

Every value arrives as the text that was written (see `strict_yaml.py`), or as what the text means.
"""

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from proxy.config import addresses, units
from proxy.config.findings import nearest
from proxy.config.model import SHORTEST_TOKEN, AuthMethod, BaseUrl, Listen, LogFormat, LogLevel, RequestFormat
from proxy.config.presets import API_NAMES


class KeyProblem(ValueError):
    """A model's own rule is broken; `key` is where to say so."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def _printable(text: str) -> str:
    """No control characters, and no halves of surrogate pairs: they cannot be encoded."""
    if any(ord(char) < 0x20 or ord(char) == 0x7F or 0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise ValueError("holds a line end or another control character; look at its quotes")
    return text


def _visible_ascii(text: str) -> str:
    if not all(0x21 <= ord(char) <= 0x7E for char in text):
        raise ValueError("may only hold visible ASCII characters, as a header field does; no spaces")
    return text


def _hard_to_guess(text: str) -> str:
    if len(text) < SHORTEST_TOKEN:
        raise ValueError(f"must have at least {SHORTEST_TOKEN} characters; better 22 random ones or more")
    return text


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


def _empty_is_mapping(value: object) -> object:
    return {} if value is None else value


def _no_colon(text: str) -> str:
    if ":" in text:
        raise ValueError("must not hold a colon: HTTP Basic ends the user name there (RFC 7617)")
    return text


def _api_name(text: str) -> str:
    if text not in API_NAMES:
        raise ValueError(f"must be one of {', '.join(API_NAMES)}{nearest(text, API_NAMES)}")
    return text


def _schema(kind: str | list[str], **more: object) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, **more})


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
AnyText = Annotated[str, AfterValidator(_printable)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_printable)]
OptionalText = Annotated[Text | None, BeforeValidator(_empty_is_none)]
Token = Annotated[Text, AfterValidator(_visible_ascii)]
CallerToken = Annotated[Token, AfterValidator(_hard_to_guess)]
Flag = Annotated[bool, BeforeValidator(units.flag)]
Count = Annotated[int, BeforeValidator(units.count), _schema("integer", minimum=1)]
Seconds = Annotated[float, BeforeValidator(units.seconds), _schema(["string", "number"], examples=["30s"])]
Timeout = Annotated[
    float, BeforeValidator(units.positive_seconds), _schema(["string", "number"], examples=["30s"])
]
Octets = Annotated[int, BeforeValidator(units.octets), _schema(["string", "integer"], examples=["64KiB"])]
Port = Annotated[
    Listen, PlainValidator(addresses.listen), _schema(["string", "integer"], examples=["127.0.0.1:19090"])
]
ListenAt = Annotated[
    Listen, PlainValidator(addresses.listen_at), _schema(["string", "integer"], examples=["localhost:19080"])
]
Url = Annotated[BaseUrl, PlainValidator(addresses.base_url), _schema("string", format="uri")]
TokenUrl = Annotated[str, AfterValidator(addresses.token_url), _schema("string", format="uri")]
HostName = Annotated[str, AfterValidator(addresses.host_name)]
Origin = Annotated[str, AfterValidator(addresses.origin)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class _WithSecret(_Model):
    def _exactly_one(self, key: str) -> None:
        text, file = getattr(self, key), getattr(self, f"{key}_file")
        if text is None and file is None:
            raise KeyProblem(key, f"is missing: write {key} or {key}_file")
        if text is not None and file is not None:
            raise KeyProblem(key, f"is there next to {key}_file; keep one of them")


class ClusterDocument(_Model):
    """A cluster of Camunda SaaS; gives each upstream its URL."""

    region: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,63}$")]
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,63}$")]


class TlsDocument(_Model):
    """How the server's certificate is verified."""

    ca_file: Text | None = None
    server_name: HostName | None = None


class UpstreamDocument(_Model):
    """One Camunda API and its local port."""

    api: Annotated[Text, AfterValidator(_api_name)] | None = None
    url: Url | None = None
    listen: ListenAt | None = None
    credential: Text | None = None
    audience: AnyText | None = None
    tls: TlsDocument = TlsDocument()
    connect_timeout: Timeout = 5.0
    response_timeout: Timeout = 600.0
    idle_timeout: Timeout = 600.0
    max_connections: Count = 256
    replay_buffer: Octets = 64 * 1024


class OAuth2Document(_WithSecret):
    """OAuth 2.0 client credentials."""

    type: Literal["oauth2"]
    token_url: TokenUrl | None = None
    client_id: Text
    client_secret: Text | None = Field(default=None, repr=False)
    client_secret_file: Text | None = None
    auth_method: AuthMethod = "client_secret_post"
    audience: OptionalText = None
    scope: OptionalText = None
    resource: OptionalText = None
    parameters: dict[Text, AnyText] = Field(default={}, repr=False)
    wait: Seconds = 10.0
    request_format: RequestFormat = "form"
    tls: TlsDocument = TlsDocument()
    timeout: Timeout = 45.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self._exactly_one("client_secret")
        own = {"grant_type", "client_id", "client_secret", "audience", "scope", "resource"}
        if own & self.parameters.keys():
            raise KeyProblem(
                "parameters", f"must not hold what the proxy sends itself: {', '.join(sorted(own))}"
            )
        return self


class BearerDocument(_WithSecret):
    """A shared token."""

    type: Literal["bearer"]
    token: Token | None = Field(default=None, repr=False)
    token_file: Text | None = None
    wait: Seconds = 10.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self._exactly_one("token")
        return self


class BasicDocument(_WithSecret):
    """A user and a password, sent with every request."""

    type: Literal["basic"]
    username: Annotated[Text, AfterValidator(_no_colon)]
    password: Text | None = Field(default=None, repr=False)
    password_file: Text | None = None
    wait: Seconds = 10.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self._exactly_one("password")
        return self


class NoneDocument(_Model):
    """Nothing is injected; the caller's own credential passes."""

    type: Literal["none"]
    wait: Seconds = 10.0


CredentialDocument = OAuth2Document | BearerDocument | BasicDocument | NoneDocument
CREDENTIALS: dict[str, type[BaseModel]] = {
    "oauth2": OAuth2Document,
    "bearer": BearerDocument,
    "basic": BasicDocument,
    "none": NoneDocument,
}


class GuardDocument(_Model):
    """Who may talk to the proxy."""

    allow_non_loopback: Flag = False
    allowed_hosts: list[HostName] = []
    allowed_origins: list[Origin] = []
    caller_token: CallerToken | None = Field(default=None, repr=False)
    caller_token_file: Text | None = None

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.caller_token is not None and self.caller_token_file is not None:
            raise KeyProblem("caller_token", "is there next to caller_token_file; keep one of them")
        return self


class AdminDocument(_Model):
    """Status, health and metrics."""

    listen: Port | None = None
    probe_listen: Port | None = None


class LogDocument(_Model):
    """What is logged, and how."""

    level: LogLevel = "info"
    format: LogFormat = "auto"
    requests: Flag = False


class ShutdownDocument(_Model):
    """How the proxy stops."""

    delay: Seconds = 0.0
    grace: Seconds = 30.0


_Nothing = BeforeValidator(_empty_is_mapping)
_Upstream = Annotated[UpstreamDocument, _Nothing]
_Credential = Annotated[CredentialDocument, Field(discriminator="type")]


class Document(_Model):
    """The whole file."""

    cluster: ClusterDocument | None = None
    upstreams: Annotated[dict[Name, _Upstream], _Nothing] = {}
    credentials: Annotated[dict[Name, _Credential], _Nothing] = {}
    guard: Annotated[GuardDocument, _Nothing] = GuardDocument()
    admin: Annotated[AdminDocument, _Nothing] = AdminDocument()
    log: Annotated[LogDocument, _Nothing] = LogDocument()
    shutdown: Annotated[ShutdownDocument, _Nothing] = ShutdownDocument()
