"""Makes the JSON Schema of the YAML (draft 2020-12), for editors.

It is as strict as a schema can be. Only `check` finds mistakes that one value alone does not show: a missing
file, a name that is not defined, two listeners on one port.
"""

from typing import Any

from proxy.config.document.credentials import (
    ASSERTION,
    CREDENTIALS,
    ENDPOINTS,
    FLOWS,
    NAMELESS,
    SECRET,
    SENT_BY_US,
    SENT_FOR_USER,
    SIGNING,
    SUBJECT,
    USED,
)
from proxy.config.document.file import CallerDocument, Document
from proxy.config.document.kinds import OneOrMore, one_of

Schema = dict[str, Any]

ID = "urn:camunda-auth-proxy:configuration"


def schema() -> Schema:
    """Return the schema, as JSON values."""
    tree = Document.model_json_schema()
    for name, model in tree["$defs"].items():
        _tidy(model)
        model.update(_RULES.get(name, {}))
    _allow_only_entries(tree["$defs"][CallerDocument.__name__])
    _tidy(tree)
    sections = tree["properties"]
    for name in ("callers", "guard", "admin", "log", "shutdown"):
        sections[name] = _or_nothing(sections[name])
    caller = sections["callers"]["anyOf"][0]
    caller["additionalProperties"] = _or_nothing(caller["additionalProperties"])
    upstream = sections["upstreams"]["additionalProperties"]
    sections["upstreams"] |= {"additionalProperties": _or_nothing(upstream), "minProperties": 1}
    sections["credentials"] |= {"additionalProperties": _by_type(), "minProperties": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "camunda-auth-proxy",
        "description": "Configuration of camunda-auth-proxy; docs/reference.md has the details.",
        "type": "object",
        "required": ["upstreams", "credentials"],
        **{key: tree[key] for key in ("properties", "additionalProperties", "$defs")},
    }


def _tidy(model: Schema) -> None:
    """Remove what pydantic adds without use: titles made of names, and defaults that are no single values."""
    model.pop("title", None)
    for key, value in model["properties"].items():
        value.pop("title", None)
        if isinstance(value.get("default"), dict | list | None):
            value.pop("default", None)
        if (names := value.pop("patternProperties", None)) is not None:
            ((pattern, below),) = names.items()
            value |= {"propertyNames": {"pattern": pattern}, "additionalProperties": below}
        match value.get("anyOf"):
            case [{"type": list() as types, **more}, {"type": "null"}]:
                del value["anyOf"]
                value |= {"type": [*types, "null"], **more}
        model["properties"][key] = value


def _allow_only_entries(model: Schema) -> None:
    """Allow a list of a caller to be written as its only entry."""
    for key, field in CallerDocument.model_fields.items():
        if OneOrMore in field.metadata:
            value = model["properties"][key]
            description = value.pop("description")
            array = value if "items" in value else value["anyOf"][0]
            if key == "upstreams":
                array["minItems"] = 1
            model["properties"][key] = {"description": description, "anyOf": [array["items"], array]}


def _or_nothing(value: Schema) -> Schema:
    """Allow a section to be empty, because all its settings may be commented out."""
    return {"anyOf": [value, {"type": "null"}]}


def _by_type() -> Schema:
    """Make the schema of a credential, whose type decides its keys."""
    return {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"description": "How to get the credential.", **one_of(CREDENTIALS)}},
        "allOf": [
            {"if": _is("type", name), "then": {"$ref": f"#/$defs/{model.__name__}"}}
            for name, model in CREDENTIALS.items()
        ],
    }


def _is(key: str, value: str) -> Schema:
    return {"required": [key], "properties": {key: {"const": value}}}


def _secret(key: str) -> Schema:
    return {"oneOf": [{"required": [key]}, {"required": [f"{key}_file"]}]}


def _without(*keys: str) -> Schema:
    return dict.fromkeys(keys, False)


_GRANTS = [
    {
        "if": {"properties": {"grant_type": {"const": "client_credentials"}}},
        "then": {"properties": _without(*SUBJECT["jwt-bearer"], *SUBJECT["token-exchange"])},
    },
    {
        "if": _is("grant_type", "jwt-bearer"),
        "then": {"required": ["assertion_file"], "properties": _without(*SUBJECT["token-exchange"])},
    },
    {
        "if": _is("grant_type", "token-exchange"),
        "then": {"required": ["subject_token_file"], "properties": _without(*SUBJECT["jwt-bearer"])},
    },
]

_ENDPOINTS = {
    "oneOf": [
        {"required": ["issuer_url"], "properties": _without(*ENDPOINTS)},
        {
            "required": ["token_url"],
            "properties": _without("issuer_url"),
            "anyOf": [{"required": [key]} for key in FLOWS.values()],
            "allOf": [{"if": _is("login", flow), "then": {"required": [key]}} for flow, key in FLOWS.items()],
        },
    ]
}

_RULES: dict[str, Schema] = {
    "TlsDocument": {"dependentRequired": {"cert_file": ["key_file"], "key_file": ["cert_file"]}},
    "GuardDocument": {"not": {"required": ["caller_token", "caller_token_file"]}},
    "SessionDocument": _secret("password"),
    "BearerDocument": _secret("token"),
    "BasicDocument": _secret("password"),
    "UserDocument": {
        **_ENDPOINTS,
        "not": {"required": list(SECRET)},
        "allOf": [
            {"properties": {"parameters": {"propertyNames": {"not": {"enum": sorted(SENT_FOR_USER)}}}}},
            {"if": _is("auth_method", "none"), "then": {"properties": _without(*SECRET)}},
            {
                "if": {
                    "required": ["auth_method"],
                    "properties": {"auth_method": {"pattern": "^client_secret_"}},
                },
                "then": _secret("client_secret"),
            },
        ],
    },
    "OAuth2Document": {
        "allOf": [
            {"not": {"required": ["token_url", "issuer_url"]}},
            {"properties": {"parameters": {"propertyNames": {"not": {"enum": sorted(SENT_BY_US)}}}}},
            {
                "if": {"properties": {"auth_method": {"pattern": "^client_secret_"}}},
                "then": {**_secret("client_secret"), "properties": _without(*SIGNING, *ASSERTION)},
            },
            {
                "if": _is("auth_method", "private_key_jwt"),
                "then": {"required": ["private_key_file"], "properties": _without(*SECRET, *ASSERTION)},
            },
            {
                "if": _is("auth_method", "client_assertion"),
                "then": {"required": ["client_assertion_file"], "properties": _without(*SECRET, *SIGNING)},
            },
            {
                "if": {
                    "properties": {"auth_method": {"enum": [each for each in USED if each not in NAMELESS]}}
                },
                "then": {"required": ["client_id"]},
            },
            {
                "if": _is("auth_method", "none"),
                "then": {
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"not": {"const": "client_credentials"}},
                        **_without(*SECRET, *SIGNING, *ASSERTION),
                    },
                },
            },
            *_GRANTS,
            {
                "if": _is("auth_method", "tls_client_auth"),
                "then": {
                    "required": ["tls"],
                    "properties": {
                        "tls": {"required": ["cert_file"]},
                        **_without(*SECRET, *SIGNING, *ASSERTION),
                    },
                },
            },
        ]
    },
}
"""Rules that the models check in functions, by the model's name."""
