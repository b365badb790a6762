"""The JSON Schema says of a file what we say of it, as far as a schema can."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from proxy.config.document.credentials import CREDENTIALS
from proxy.config.document.schema import schema
from proxy.errors import ConfigError
from tests.config.mistakes import MISTAKES
from tests.config.test_resolve import SECTIONS
from tests.config.writing import read
from tests.examples import some

ROOT = Path(__file__).parents[2]
SCHEMA = schema()
VALIDATOR = Draft202012Validator(SCHEMA)

ONLY_CHECK_FINDS = (
    "there are shared",
    "choose one of the credentials",
    "bytes at most",
    "is already taken by",
    "taken by admin.listen",
    "does not exist",
    "refusing to listen",
    "leads back to this proxy",
    "use admin.probe_listen",
    "localhost or an IP address",
    "`cluster` with region and id",
    "needs url and listen",
    "write the port",
    "credentials.c.password: control character",
    "leave off /login or /api/login",
    "leave off /.well-known/openid-configuration",
    "Camunda SaaS has no login",
    "which is not set",
    "has no token",
    "of an empty text",
    "has the same token as",
    "names no upstream",
    "names no caller",
    "denies everything",
    "did you mean POST /v2/proc",
    "callers.ci.expires: must be a time with its zone, as",
    "callers.ci.rate: is empty",
    "callers.ci.expires: is empty",
    "for listeners on loopback",
    "names several hosts",
    "names a database",
    "next to sentinel_master",
    "no effect on redis://",
    "store.password: next to password_file",
    "a username needs",
    "no Sentinel is asked",
    "must not hold { or }",
    "its hosts are written as HOST:PORT",
)
"""Parts of sentences about what one value alone cannot show, or not to a pattern worth reading."""


class CoreLoader(yaml.SafeLoader):
    """Reads scalars as editors do, by the core schema of YAML 1.2: `yes` is a text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 -- as the base class has it


for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?[0-9]+\.[0-9]*", list("-+0123456789")),
):
    CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), first)


def documents() -> list[str]:
    example = (ROOT / "config.example.yaml").read_text(encoding="utf-8")
    whole = re.sub(r"^( +)# (?=( *)[a-z_]+:(?: |$))", r"\1", example, flags=re.MULTILINE)
    deployed = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "deploy").rglob("config.yaml"))]
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    snippets = [
        text
        for page in pages
        for text in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        if "upstreams:" in text
    ]
    return [example, whole, *deployed, *snippets]


def mistakes(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(yaml.load(text, CoreLoader))]


def test_it_is_a_schema_that_names_no_host_of_ours() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"].startswith("urn:")


@pytest.mark.parametrize("text", documents())
def test_what_the_pages_show_is_right_by_the_schema(text: str) -> None:
    assert mistakes(text) == []


@pytest.mark.parametrize(("text", "place", "sentence"), MISTAKES)
def test_a_mistake_that_one_value_shows_is_one_by_the_schema(text: str, place: str, sentence: str) -> None:
    hidden = any(part in f"{place}: {sentence}" for part in ONLY_CHECK_FINDS)
    assert (mistakes(text) == []) is hidden, place


def test_every_exception_is_needed() -> None:
    said = "\n".join(f"{place}: {sentence}" for _, place, sentence in MISTAKES)
    assert [part for part in ONLY_CHECK_FINDS if part not in said] == []


@given(SECTIONS)
@settings(
    max_examples=some(150), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_what_we_take_is_right_by_the_schema(tmp_path: Path, tree: dict[str, object]) -> None:
    try:
        read(tmp_path, json.dumps(tree))
    except ConfigError:
        return
    assert [error.message for error in VALIDATOR.iter_errors(tree)] == []


@pytest.mark.parametrize("value", ["${LISTEN}", "x${A:-b}y"])
def test_a_variable_may_stand_for_any_scalar(value: str) -> None:
    credentials: dict[str, Any] = {
        kind: {
            key: value
            for key in model.model_fields
            if not key.endswith("_file")
            and key not in {"tls", "parameters", "issuer_url", "key_id", "client_assertion_type"}
        }
        | {"type": kind}
        for kind, model in CREDENTIALS.items()
    }
    credentials["oauth2"] |= {"auth_method": "client_secret_post"}
    upstream: dict[str, Any] = dict.fromkeys(SCHEMA["$defs"]["UpstreamDocument"]["properties"], value)
    del upstream["tls"], upstream["listen_tls"]
    upstream |= {"allow": [value], "deny": [value]}
    guard = {"allow_non_loopback": value, "allowed_hosts": [value], "caller_token": value}
    caller: dict[str, Any] = dict.fromkeys(SCHEMA["$defs"]["CallerDocument"]["properties"], value)
    caller |= {"allow": [value], "deny": [value], "rate": {"per_second": value, "burst": value}}
    tree = {
        "cluster": {"region": value, "id": value},
        "upstreams": {"zeebe": upstream},
        "credentials": credentials,
        "guard": guard,
        "callers": {"ci": caller, "bi": {**caller, "token": [value, value]}},
        **{
            section.lower(): dict.fromkeys(SCHEMA["$defs"][f"{section}Document"]["properties"], value)
            for section in ("Admin", "Log", "Audit", "Shutdown")
        },
    }
    assert [error.message for error in VALIDATOR.iter_errors(tree)] == []


def test_every_key_is_described() -> None:
    bare = [
        f"{name}.{key}"
        for name, model in {"Document": SCHEMA, **SCHEMA["$defs"]}.items()
        for key, value in model["properties"].items()
        if "description" not in value and key != "type" and "anyOf" not in value
    ]
    assert bare == []
