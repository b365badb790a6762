"""A secret that stands in any place of a configuration, right or wrong, is told by no message."""

import copy
import json
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from proxy.commands.tables import configuration
from proxy.config.camunda.names import AGREEING, GROUP
from proxy.config.camunda.unread import UNREAD
from proxy.config.load import load
from proxy.errors import ConfigError
from tests.app.command import Running, command, proxy
from tests.config.writing import BEARER, ZEEBE, read, refused
from tests.federated import unsigned

CANARIES = (
    "k4n4ry~S3cret",
    "5c34c0a7-1111-4222-8333-944455556666",
    "p@ss:c4n4ry/word",
    "http://user:c4n4ry@host.example/",
    "/c4n4ry+abc/def==",
    "c4n4ry" * 20,
    "-----BEGIN c4n4ry",
)
TREE: dict[str, Any] = {
    "cluster": {"region": "bru-2", "id": "a"},
    "upstreams": {
        "zeebe": {"url": "https://a.example", "credential": "client", "audience": "x", "api": "zeebe"},
        "operate": {"url": "http://localhost:8081", "credential": "user", "http_proxy": "http://u:p@h:1"},
        "tasklist": {"url": "http://localhost:8082", "credential": "shared", "tls": {"server_name": "x"}},
        "optimize": {"url": "http://localhost:8083", "credential": "plain", "max_connections": 1},
        "console": {"url": "http://localhost:8084", "credential": "signed", "replay_buffer": "1KiB"},
        "modeler": {"url": "http://localhost:8085", "credential": "workload"},
        "hub": {"url": "http://localhost:8086", "credential": "me"},
    },
    "credentials": {
        "client": {
            "type": "oauth2",
            "client_id": "a",
            "client_secret": "b",
            "token_url": "https://b.example/t",
            "parameters": {"a": "b"},
            "scope": "c",
            "resource": "d",
            "auth_method": "client_secret_post",
            "wait": "1s",
            "tls": {"server_name": "x"},
            "http_proxy": "http://u:p@h:1",
        },
        "user": {"type": "session", "username": "u", "password": "p", "login_url": "http://x.example"},
        "me": {
            "type": "user",
            "client_id": "a",
            "client_secret": "b",
            "token_url": "https://b.example/t",
            "device_authorization_url": "https://b.example/d",
            "parameters": {"a": "b"},
            "login": "auto",
            "storage": "file",
        },
        "shared": {"type": "bearer", "token": "t"},
        "plain": {"type": "basic", "username": "u", "password_file": "secret", "as_session": "true"},
        "signed": {
            "type": "oauth2",
            "client_id": "a",
            "issuer_url": "https://c.example",
            "key_id": "k",
            "auth_method": "private_key_jwt",
            "private_key_file": "key.pem",
        },
        "workload": {
            "type": "oauth2",
            "issuer_url": "https://c.example",
            "auth_method": "client_assertion",
            "client_assertion_file": "jwt",
            "client_assertion_type": "jwt-bearer",
            "grant_type": "token-exchange",
            "subject_token_file": "jwt",
            "subject_token_type": "jwt",
        },
    },
    "store": {
        "url": "rediss://store.example",
        "username": "u",
        "password_file": "secret",
        "sentinel_master": "m",
        "sentinel_username": "u",
        "sentinel_password": "p",
        "prefix": "x:",
        "key_file": "token",
        "tls": {"server_name": "x"},
    },
    "guard": {"caller_token_file": "token", "allowed_hosts": ["a"], "allowed_origins": ["http://a"]},
    "callers": {
        "ci": {
            "token": ["u" * 20, "v" * 20],
            "token_file": "third",
            "upstreams": ["zeebe"],
            "allow": ["POST /v2/process-instances"],
            "deny": ["POST /v2/users"],
            "read_only": "true",
            "rate": {"per_second": "5", "burst": "20"},
            "expires": "2099-01-31T00:00:00Z",
        },
        "bi": {"token_sha256": "0123456789abcdef" * 4},
    },
    "admin": {"listen": "19090"},
    "log": {"level": "info"},
    "shutdown": {"grace": "1s"},
}
PUBLIC = frozenset(
    [
        "url",
        "audience",
        "token_url",
        "issuer_url",
        "login_url",
        "server_name",
        "ca_file",
        "cert_file",
        "region",
        "id",
    ]
)
"""What `check` shows on purpose, or what messages name since it is no secret's place."""


def leaves(tree: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Places of every text."""
    if not isinstance(tree, dict | list):
        yield path
        return
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from leaves(value, (*path, key))


def parent(tree: Any, path: tuple[str | int, ...]) -> Any:
    for part in path[:-1]:
        tree = tree[part]
    return tree


def said(tmp_path: Path, tree: Any, environ: dict[str, str] | None = None) -> str:
    """All that `check` says of it."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----")
    (tmp_path / "jwt").write_text(unsigned())
    (tmp_path / "token").write_text("t" * 20)
    (tmp_path / "third").write_text("w" * 20)
    (tmp_path / "c.yaml").write_text(json.dumps(tree))
    try:
        loaded = load(config=Path("c.yaml"), env_file=None, environ=environ or {}, directory=tmp_path)
    except ConfigError as error:
        return str(error)
    return configuration(loaded) + "\n".join(loaded.notices)


def told(canary: str, text: str) -> bool:
    parts = [part for part in ("c4n4ry", "5c34c0a7") if part in canary]
    return any(part in text for part in (*parts, json.dumps(canary)[1:-1]))


def test_the_tree_is_right(tmp_path: Path) -> None:
    assert "c.yaml is right." in said(tmp_path, TREE)


PLACES = list(leaves(TREE))
FIRST = CANARIES[0]


@pytest.mark.parametrize("section", TREE)
def test_a_secret_in_place_of_any_value_is_not_told(section: str, tmp_path: Path) -> None:
    values: list[tuple[str, object]] = [(canary, canary) for canary in CANARIES]
    values += [(FIRST, [FIRST]), (FIRST, {FIRST: FIRST}), (FIRST, {FIRST: None}), (FIRST, f"${{{FIRST}}}")]
    values += [(FIRST, "${CANARY}")]
    for path in PLACES:
        for canary, value in values:
            if path[0] != section or (path[-1] in PUBLIC and isinstance(value, str)):
                continue
            tree = copy.deepcopy(TREE)
            parent(tree, path)[path[-1]] = value
            text = said(tmp_path, tree, {"CANARY": canary})
            assert not told(canary, text), (path, value, text)


STRANGE = "c4n4ry S3cret%?#~"
"""It cannot be a name, a host, a label or an audience, so it may be told nowhere."""


@pytest.mark.parametrize("section", TREE)
def test_the_value_of_a_variable_is_told_at_no_key(section: str, tmp_path: Path) -> None:
    files = ("ca_file", "cert_file", "key_file", "certificate_file")
    for path in PLACES + [("upstreams", "zeebe", "tls", file) for file in files[:3]]:
        for value in ("${CANARY}", "https://${CANARY}", "/${CANARY}", "${NO:-c4n4ry S3cret%?}"):
            tree = copy.deepcopy(TREE)
            if path[0] != section:
                continue
            tree["upstreams"]["zeebe"].setdefault("tls", {})
            parent(tree, path)[path[-1]] = value
            text = said(tmp_path, tree, {"CANARY": STRANGE})
            assert not told(STRANGE, text), (path, value, text)


WHOLE = {
    "CAMUNDA_REST_ADDRESS": "https://a.example",
    "CAMUNDA_OPERATE_BASE_URL": "https://b.example",
    "CAMUNDA_CLIENT_ID": "id",
    "CAMUNDA_CLIENT_SECRET": "x",
    "CAMUNDA_OAUTH_URL": "https://c.example/token",
}
OWN = ("CONFIG", "LOG_LEVEL", "LOG_FORMAT", "ADMIN_LISTEN", "LISTEN_HOST", "ALLOW_NON_LOOPBACK")
NAMES = [
    *(*GROUP, *UNREAD, *AGREEING, "CAMUNDA_UNKNOWN", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "UNRELATED"),
    *(f"CAMUNDA_AUTH_PROXY_{name}" for name in OWN),
    *("XDG_CONFIG_HOME", "HOME", "camunda.client.auth.client-id", "CAMUNDA_CLIENT_AUTH_TOKEN-URL", "x-y.z"),
]
CREDENTIALS = [name for name, group in GROUP.items() if group == "credentials"]
STRATEGIES: dict[str, dict[str, str]] = {
    "oauth2": {},
    "nothing else": dict.fromkeys(WHOLE, ""),
    "basic": {"CAMUNDA_AUTH_STRATEGY": "BASIC"},
    "session": {"CAMUNDA_AUTH_STRATEGY": "COOKIE"},
    "bearer": {"CAMUNDA_AUTH_STRATEGY": "BEARER"},
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_value_of_no_variable_is_told(strategy: str, tmp_path: Path) -> None:
    """Of those that clients read, of our own, and of all others; in the environment and in a file."""
    for name in NAMES if strategy == "oauth2" else CREDENTIALS:
        for value in (STRANGE, f"https://{STRANGE}", f"http://u:{STRANGE}@x:1"):
            environ = {**WHOLE, **STRATEGIES[strategy], name: value}
            quoted = "".join(f"{key}='{it}'\n{key}-x=${{{STRANGE}\n" for key, it in environ.items())
            plain = "".join(f"{key}={it}\n" for key, it in environ.items())
            for text in (None, quoted, plain):
                (tmp_path / "f.env").write_text(text or "")
                around = {name: value, "CAMUNDA_CLIENT_SECRET": STRANGE}
                shown = of_variables(tmp_path, "f.env" if text else None, around if text else environ)
                assert "c4n4ry" not in shown, (name, value, text, shown)


def of_variables(folder: Path, file: str | None, environ: dict[str, str]) -> str:
    """All that `check` says."""
    env_file = None if file is None else Path(file)
    try:
        loaded = load(config=None, env_file=env_file, environ=environ, directory=folder)
    except ConfigError as error:
        return f"{error}{error.origin}"
    return configuration(loaded) + "\n".join(loaded.notices)


@pytest.mark.parametrize("section", TREE)
def test_a_secret_in_place_of_any_key_is_not_told(section: str, tmp_path: Path) -> None:
    """`client_secret:hunter2`, a space forgotten, is one key without a value."""
    for path in PLACES:
        keys = [(FIRST, FIRST, "x"), *((canary, canary, None) for canary in CANARIES[:3])]
        keys += [(FIRST, f"{path[-1]}{between}{FIRST}", None) for between in ":="]
        for canary, key, value in keys:
            tree = copy.deepcopy(TREE)
            place = parent(tree, path)
            if path[0] != section or isinstance(place, list):
                continue
            del place[path[-1]]
            place[key] = value
            text = said(tmp_path, tree)
            assert not told(canary, text), (path, key, text)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            "client_secret:hunter2",
            "a space is missing after the colon; write client_secret: VALUE",
        ),
        (
            "client_secret=hunter2",
            "a key ends with a colon and a space; write client_secret: VALUE",
        ),
        ("hunter:2", "a space is missing after the colon; write KEY: VALUE"),
    ],
)
def test_a_key_that_swallowed_its_value_is_told_what_is_missing(
    tmp_path: Path, entry: str, sentence: str
) -> None:
    problems = refused(tmp_path, ZEEBE + f"credentials: {{c: {{type: oauth2, client_id: x, {entry}}}}}")
    assert f"credentials.c.*** (line 3): is not a known key: {sentence}" in problems
    assert "hunter" not in "".join(problems).replace("write KEY", "")


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("lissten: 1", "listen"),
        ("something_else: 1", "something_else"),
        ("sesame", "***"),
        ("hunter2", "***"),
        ("hunter2: 1", "***"),
        ("listn", "listn"),
    ],
)
def test_of_an_unknown_key_only_what_looks_like_one_is_shown(tmp_path: Path, key: str, shown: str) -> None:
    (problem,) = refused(tmp_path, BEARER + f"upstreams: {{zeebe: {{url: 'http://x', {key}}}}}")
    assert f"upstreams.zeebe.{shown} (line" in problem or "did you mean listen?" in problem
    assert ("sesame" in problem, "hunter2" in problem) == (False, False)


def test_a_key_that_is_there_twice_is_not_shown_if_it_may_be_a_secret(tmp_path: Path) -> None:
    (problem, *_) = refused(tmp_path, ZEEBE + BEARER + "log: {hunter2: 1, hunter2: 2}")
    assert problem.startswith("log.*** (line 5): is there twice")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("${CLIENT_SECRET}", "${CLIENT_SECRET}"),
        ("${CLIENT_SECRET:-c4n4ry}", "${CLIENT_SECRET}"),
        ("/run/${CLIENT_SECRET}", "/run/${CLIENT_SECRET}"),
        ("c4n4ry", "a file in {folder}"),
        ("/c4n4ry/abc", "a file in {folder}"),
        ("c4n4ry/abc==", "a file in {folder}"),
        ("c4n4ry" * 100, "a file in {folder}"),
        ("/run/secrets/not-there", "/run/secrets/not-there"),
        ("here/not-there", "{folder}/here/not-there"),
    ],
)
def test_a_secret_in_the_place_of_its_file_is_not_told(tmp_path: Path, written: str, shown: str) -> None:
    (tmp_path / "here").mkdir()
    (problem,) = refused(
        tmp_path,
        ZEEBE + f"credentials: {{c: {{type: basic, username: a, password_file: '{written}'}}}}",
        {"CLIENT_SECRET": "c4n4ry"},
    )
    assert f"names {shown.replace('{folder}', str(tmp_path))}, which " in problem
    assert "c4n4ry" not in problem
    assert problem.endswith("if the value is the secret itself, write password instead of password_file") or (
        "cannot be read" in problem
    )


def test_a_lower_case_variable_that_is_not_set_may_be_a_piece_of_a_password(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, ZEEBE + "credentials: {c: {type: bearer, token: 'a${hunter}b'}}")
    assert "needs a variable that is not set" in problem
    assert "hunter" not in problem


CANARY = "c4n4ry-0815-secret"
RUNNING = {
    "upstreams": {"zeebe": {"url": "http://127.0.0.1:9", "listen": "localhost:0", "credential": "c"}},
    "credentials": {
        "c": {
            "type": "oauth2",
            "client_id": "a",
            "client_secret": "${SECRET}",
            "timeout": "1s",
            "token_url": "http://127.0.0.1:9/token",
            "parameters": {"p": CANARY},
        }
    },
    "admin": {"listen": "127.0.0.1:0"},
    "guard": {"caller_token": CANARY},
    "callers": {"ci": {"token": CANARY + "-of-ci"}},
    "log": {"level": "debug", "requests": "true"},
}


async def refusals(running: Running, wanted: int) -> bool:
    return await running.metric("config_reloads_total", outcome="refused") == wanted


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")
async def test_run_and_reload_tell_no_secret_at_debug(tmp_path: Path) -> None:
    async with proxy(
        tmp_path, RUNNING, {"SECRET": CANARY, "CAMUNDA_AUTH_PROXY_LOG_LEVEL": "debug"}
    ) as running:
        await running.message("no usable credential")
        path = tmp_path / "camunda-auth-proxy.yaml"
        oauth2 = f"{ZEEBE}credentials: {{c: {{type: oauth2, client_id: x, %s}}}}"
        entries = (
            "client_secret_file: '${SECRET}'",
            f"client_secret:{CANARY}",
            f"client_secret_file: {CANARY}",
        )
        texts = [
            '"[key]": 1',
            f'"{CANARY}": 1',
            f'a: "\\UFFFFFFFF{CANARY}"',
            *(oauth2 % entry for entry in entries),
        ]
        for number, text in enumerate(texts, 1):
            path.write_text(text)
            running.signal(signal.SIGHUP)
            await running.until(partial(refusals, running, number))
        assert CANARY not in running.said
        path.write_text(json.dumps(RUNNING))
    assert CANARY not in running.said


@pytest.mark.parametrize("verb", ["check", "run", "env"])
async def test_commands_tell_no_secret(verb: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        ZEEBE + "credentials: {c: {type: oauth2, client_id: x, client_secret_file: '${SECRET}'}}"
    )
    environ = {"SECRET": CANARY, "CAMUNDA_AUTH_PROXY_LOG_LEVEL": "debug"}
    code, out, err = await command(verb, "--config", "c.yaml", environ=environ, folder=tmp_path)
    assert code == 2
    assert "names ${SECRET}, which does not exist" in err
    assert CANARY not in out + err


def test_the_repr_of_what_was_read_tells_no_secret(tmp_path: Path) -> None:
    assert "c4n4ry" not in repr(read(tmp_path, ZEEBE + "credentials: {c: {type: bearer, token: c4n4ry}}"))
