"""Types of the values that keys may have, and the base class of every model of the YAML.

A validator gets either the text that was written (see `written/yaml_reader.py`) or the value read from it.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)

from proxy.config.document import addresses, egress, units
from proxy.config.model import SHORTEST_TOKEN, BaseUrl, Listen
from proxy.config.presets import API_NAMES
from proxy.config.written.findings import nearest
from proxy.net import HttpProxy

MOST_RULES = 500
"""Of `allow`, and of `deny`: each is compared with each other one."""


class KeyProblem(ValueError):
    """A rule of a model is broken. `key` is the key to name; `tls.cert_file` is a key of a nested model."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def _printable(text: str) -> str:
    """Refuse control characters, and halves of surrogate pairs, because those cannot be encoded."""
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


VARIABLE = r"\$\{"
"""Pattern of a scalar with a variable. Any scalar may hold one, and its value is known only at the start."""


def _schema(*types: str, text: str | None = None, **more: object) -> WithJsonSchema:
    """Make the JSON Schema of a type, for editors.

    Args:
        text: pattern of the value if it is a text.
    """
    pattern = {} if text is None else {"pattern": f"{text}|{VARIABLE}"}
    return WithJsonSchema({"type": [*types], **pattern, **more})


def choice(known: Iterable[str]) -> WithJsonSchema:
    """Make the JSON Schema of one of `known`, as pydantic takes it."""
    return WithJsonSchema(one_of(known))


def one_of(known: Iterable[str]) -> dict[str, object]:
    """Make the JSON Schema of one of `known`."""
    return {"anyOf": [{"enum": [*known]}, {"type": "string", "pattern": VARIABLE}]}


_SCALAR = ("string", "number", "boolean")  # every scalar is taken as the text that was written
_DURATION = r"^[0-9]{1,9}(\.[0-9]{1,9})?\s?[smh]?$"
_PORT = r"[0-9]{1,5}$"

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
_LABEL = "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
Label = Annotated[str, Field(pattern=_LABEL), _schema("string", "number", text=_LABEL)]
"""A label of a host name (RFC 1123 section 2.1)."""
_TENANT = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"
Tenant = Annotated[str, Field(pattern=_TENANT), _schema("string", "number", text=_TENANT)]
"""Name of a physical tenant, as a segment of a path."""
AnyText = Annotated[str, AfterValidator(_printable), _schema(*_SCALAR)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_printable), _schema(*_SCALAR, minLength=1)]
OptionalText = Annotated[Text | None, BeforeValidator(_empty_is_none), _schema(*_SCALAR, "null")]
BasicUser = Annotated[Text, AfterValidator(_no_colon), _schema(*_SCALAR, text="^[^:]+$")]
ApiName = Annotated[Text, AfterValidator(_api_name), choice(API_NAMES)]
Token = Annotated[Text, AfterValidator(_visible_ascii), _schema(*_SCALAR, text="^[!-~]+$")]
CallerToken = Annotated[
    Token, AfterValidator(_hard_to_guess), _schema(*_SCALAR, text=f"^[!-~]{{{SHORTEST_TOKEN},}}$")
]
Sha256 = Annotated[
    bytes, PlainValidator(units.sha256_digest), _schema("string", "number", text="^[0-9A-Fa-f]{64}$")
]
San = Annotated[Text, AfterValidator(units.certificate_san), _schema("string", text="^(DNS|URI|email):.+$")]
PerSecond = Annotated[
    float,
    BeforeValidator(units.per_second),
    _schema("number", "string", text=r"^[0-9]{1,6}(\.[0-9]{1,9})?$", minimum=0.001, maximum=100000),
]
Moment = Annotated[
    float,
    BeforeValidator(units.moment),
    _schema(
        "string",
        text=r"^[0-9]{4}(-[0-9]{2}){2}[Tt ][0-9:.]{5,15}([Zz]|[+-][0-9:]{5})$",
        examples=["2027-01-31T00:00:00Z"],
    ),
]
Flag = Annotated[
    bool, BeforeValidator(units.flag), _schema("boolean", "string", text="^([Tt]rue|TRUE|[Ff]alse|FALSE)$")
]
Count = Annotated[
    int,
    BeforeValidator(units.count),
    _schema("integer", "string", text="^[0-9]{1,5}$", minimum=1, maximum=65536),
]
Seconds = Annotated[
    float,
    BeforeValidator(units.seconds),
    _schema("string", "number", text=_DURATION, minimum=0, examples=["30s", "5m", "1h", 30]),
]
Timeout = Annotated[
    float,
    BeforeValidator(units.positive_seconds),
    _schema("string", "number", text=_DURATION, exclusiveMinimum=0, examples=["30s", "5m", "1h", 30]),
]
Bytes = Annotated[
    int,
    BeforeValidator(units.byte_count),
    _schema(
        "string",
        "integer",
        text=r"^[0-9]{1,10}\s?(B|KiB|MiB|GiB)?$",
        minimum=0,
        examples=["64KiB", "8MiB", 65536],
    ),
]
Port = Annotated[
    Listen,
    PlainValidator(addresses.listen),
    _schema(
        "string", "integer", text=rf"^(\S+:)?{_PORT}", minimum=0, maximum=65535, examples=["127.0.0.1:19090"]
    ),
]
ListenAt = Annotated[
    Listen,
    PlainValidator(addresses.listen_at),
    _schema(
        "string",
        "integer",
        text=rf"^unix:/.+|^(\S+:)?{_PORT}",
        minimum=0,
        maximum=65535,
        examples=["localhost:19080", 19080, "unix:/run/user/1000/zeebe.sock"],
    ),
]
_HTTP = "[Hh][Tt][Tt][Pp]"
_URL = _schema("string", text=rf"^{_HTTP}[Ss]?://[^@#/?\s]+(/[^#?\s]*)?$")
Url = Annotated[BaseUrl, PlainValidator(addresses.base_url), _URL]
LoginUrl = Annotated[BaseUrl, PlainValidator(addresses.login_url), _URL]
TokenUrl = Annotated[
    str,
    AfterValidator(addresses.token_url),
    _schema("string", text=rf"^{_HTTP}[Ss]?://[^@#/?\s]+([/?][^#\s]*)?$"),
]
IssuerUrl = Annotated[str, AfterValidator(addresses.issuer_url), _URL]
WayOut = Annotated[
    HttpProxy | Literal["env"],
    PlainValidator(egress.way_out),
    _schema(
        "string",
        text=rf"^env$|^{_HTTP}://[^/?#\s]+:[0-9]{{1,5}}/?$",
        examples=["env", "http://proxy.example:3128"],
    ),
]
HostName = Annotated[str, AfterValidator(addresses.host_name), _schema("string", text=r"^[^/*\s]+$")]
Origin = Annotated[
    str,
    AfterValidator(addresses.origin),
    _schema("string", text=r"^[A-Za-z][A-Za-z0-9+.-]*://[^/*\s]+$", examples=["http://localhost:3000"]),
]
Rule = Annotated[
    Text,
    _schema("string", text=r"^(\*|[A-Z][A-Z-]*)[ \t]+/\S*$", examples=["POST /v2/process-instances"]),
]
"""`resolve/access.py` reads it, so that one run finds every wrong rule of a list."""
Rules = Annotated[list[Rule], Field(min_length=1, max_length=MOST_RULES)]
Nothing = BeforeValidator(_empty_is_mapping)


def _one_is_list(value: object) -> object:
    return [value] if isinstance(value, str | int | float) else value


OneOrMore = BeforeValidator(_one_is_list)
"""A list may be written as its only entry."""


class Model(BaseModel):
    """A mapping of known keys; an unknown one is an error."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        strict=True,
        use_attribute_docstrings=True,
    )


class WithSecret(Model):
    """A mapping with secrets; each is written as `x` or as `x_file`."""

    def exactly_one(self, key: str) -> None:
        """Raise KeyProblem unless exactly one of `key` and `key_file` is there."""
        text, file = getattr(self, key), getattr(self, f"{key}_file")
        if text is None and file is None:
            raise KeyProblem(key, f"is missing: write {key} or {key}_file")
        if text is not None and file is not None:
            raise KeyProblem(key, f"is there next to {key}_file; keep one of them")
