"""Whatever a configuration, a file of variables or the environment holds: a Config, or a ConfigError."""

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.camunda.variables import from_variables
from proxy.config.document import addresses, egress, units
from proxy.config.load import load
from proxy.config.written.env_file import EnvFile, read_env_file
from proxy.errors import ConfigError
from proxy.files import read_any
from tests.config.writing import BEARER, CLUSTER, SAAS, ZEEBE, refused
from tests.examples import some

KEYS = {
    "": "upstreams credentials callers guard admin log audit shutdown cluster store [key] x",
    "upstreams": "zeebe operate other c [key] basic",
    "credentials": "c zeebe basic oauth2 [key]",
    "cluster": "region id [key]",
    "guard": "allow_non_loopback allowed_hosts allowed_origins caller_token caller_token_file [key]",
    "callers": "c zeebe ci [key]",
    "caller": "token token_file token_sha256 certificate_san upstreams read_only allow deny rate expires "
    "[key]",
    "rate": "per_second burst [key]",
    "admin": "listen probe_listen [key]",
    "log": "level format requests [key]",
    "audit": "file reads [key]",
    "shutdown": "delay grace [key]",
    "store": "url sentinel_master cluster username password password_file prefix key_file tls [key]",
    "upstream": "api url listen credential audience tls http_proxy connect_timeout max_connections "
    "replay_buffer anonymous listen_tls [key]",
    "listen_tls": "cert_file key_file client_ca_file client_certificate [key]",
    "credential": "type token_url issuer_url client_id client_secret client_secret_file auth_method "
    "private_key_file certificate_file client_assertion_file client_assertion_type grant_type assertion_file "
    "subject_token_file subject_token_type parameters audience wait tls http_proxy timeout username password "
    "password_file login_url dialect max_idle token token_file as_session [key] basic",
    "tls": "ca_file cert_file key_file server_name [key]",
    "parameters": "a scope [key]",
}
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            *("oauth2", "basic", "bearer", "session", "none", "env", "true", "c", "bru-2", "-", "a-", "30s"),
            *("http://x", "http://[::1%25x]", "http://[", "https://-.x", "http://u:p@h:1", "http://%zz:1"),
            *(
                "http://h:99999",
                "http://h:" + "9" * 5000,
                "http://" + "a" * 300,
                "http://x/%00",
                "http://\u2100",
            ),
            *("localhost:1", "::1", "[::1]:0", "[fe80::1%\x1b]:80", "unix:/x", "unix:/\u0000", "99999"),
            *(
                "9" * 5000,
                "-1",
                "1e400",
                "1_0",
                "\u0665",
                "\ud800",
                "\x1b[2J",
                "${A}",
                "${A",
                "${",
                "${A:-}",
                "$${",
            ),
            *(
                "/etc",
                "/dev/zero",
                "/dev/null",
                "/proc/self/mem",
                "x" * 5000,
                "private_key_jwt",
                "tls_client_auth",
                "client_assertion",
                "jwt-bearer",
                "token-exchange",
            ),
        ]
    ),
)
LEAVES = st.one_of(
    TEXTS, st.none(), st.just([]), st.just({}), st.lists(TEXTS, max_size=2), st.just([[["a"]]])
)


def mapping(kind: str) -> st.SearchStrategy[dict[str, object]]:
    """A mapping that looks like the section of that name."""
    below = {"upstreams": "upstream", "credentials": "credential", "callers": "caller"}.get(kind)

    def value(key: str) -> st.SearchStrategy[object]:
        if below is not None:
            return st.one_of(mapping(below), LEAVES)
        return st.one_of(mapping(key), LEAVES) if key in KEYS and key else LEAVES

    names = KEYS[kind].split() + (["a b", "\x00", "x" * 100] if below else [])
    return st.lists(st.sampled_from(names), max_size=6, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries({key: value(key) for key in keys})
    )


def loaded(content: bytes, environ: Mapping[str, str]) -> None:
    """Load it; whatever else than ConfigError comes out is a failed test."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "c.yaml").write_bytes(content)
        with suppress(ConfigError):
            load(config=Path("c.yaml"), env_file=None, environ=environ, directory=folder)


@settings(deadline=None, max_examples=some(300))
@given(mapping(""), TEXTS)
def test_any_mapping_is_a_configuration_or_refused(tree: dict[str, object], variable: str) -> None:
    loaded(json.dumps(tree).encode(), {"A": variable})


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_any_bytes_are_a_configuration_or_refused(content: bytes) -> None:
    loaded(content, {})


OURS = ("LOG_LEVEL", "LOG_FORMAT", "ADMIN_LISTEN", "ALLOW_NON_LOOPBACK", "LISTEN_HOST")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([f"CAMUNDA_AUTH_PROXY_{name}" for name in OURS]), TEXTS), TEXTS)
def test_any_variables_of_ours_are_taken_or_refused(environ: dict[str, str], way_out: str) -> None:
    text = "upstreams: {zeebe: {url: 'https://x', http_proxy: env}}\n" + BEARER
    loaded(text.encode(), {**environ, "HTTPS_PROXY": way_out, "NO_PROXY": way_out})


NAMES = st.sampled_from(
    [
        "CAMUNDA_REST_ADDRESS",
        "CAMUNDA_OPERATE_BASE_URL",
        "CAMUNDA_CONSOLE_BASE_URL",
        "CAMUNDA_CLUSTER_ID",
        "CAMUNDA_CLUSTER_REGION",
        "CAMUNDA_CLIENT_ID",
        "CAMUNDA_CLIENT_SECRET",
        "CAMUNDA_OAUTH_URL",
        "CAMUNDA_ISSUER_URL",
        "CAMUNDA_WELL_KNOWN_CONFIGURATION_URL",
        "CAMUNDA_CREDENTIALS_SCOPES",
        "CAMUNDA_AUTH_STRATEGY",
        "CAMUNDA_BASIC_AUTH_USERNAME",
        "CAMUNDA_BASIC_AUTH_PASSWORD",
        "CAMUNDA_OAUTH_TOKEN",
        "CAMUNDA_COOKIE_AUTH_URL",
        "CAMUNDA_MTLS_CERT_PATH",
        "CAMUNDA_MTLS_KEY_PATH",
        "CAMUNDA_TOKEN_AUDIENCE",
        "CAMUNDA_CONSOLE_CLIENT_ID",
    ]
)


@settings(deadline=None, max_examples=some(200))
@given(st.dictionaries(NAMES, TEXTS))
def test_any_variables_of_camundas_clients_are_taken_or_refused(environ: dict[str, str]) -> None:
    with suppress(ConfigError):
        from_variables(environ, EnvFile("f", environ))
    with TemporaryDirectory() as name, suppress(ConfigError):
        load(config=None, env_file=None, environ=environ, directory=Path(name))


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["A", "=", "'", '"', "export", " ", "#", "\n"])).map("".join)
)
def test_any_text_is_a_file_of_variables_or_refused(text: str) -> None:
    with suppress(ConfigError):
        read_env_file(text, "f", {"A": "1"})


READERS = (
    *(units.seconds, units.positive_seconds, units.byte_count, units.count, units.flag),
    *(addresses.listen_at, addresses.listen, addresses.listen_host, addresses.base_url, addresses.token_url),
    *(addresses.login_url, addresses.issuer_url, addresses.origin, addresses.host_name),
    *(egress.way_out, egress.http_proxy),
)


@given(TEXTS | st.text(st.sampled_from("http://[]@:%.1aF-_?#\\ \u0665\x1f"), max_size=30))
def test_any_value_is_read_or_refused_in_a_sentence(text: str) -> None:
    for reader in READERS:
        try:
            reader(text)
        except ValueError as error:
            sentence = str(error)
        else:
            continue
        assert sentence.isprintable()
        assert len(text) < 20 or text not in sentence


# -- what was found, each once --


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('"[key]": 1\n' + ZEEBE + BEARER, "*** (line 1): is not a known key"),
        (ZEEBE + 'credentials: {c: {type: bearer, token: x, "[key]": 1}}', "is not a known key"),
        (ZEEBE + BEARER + 'guard: {"[key]": 1}', "is not a known key"),
        ('a: "\\UFFFFFFFF"\nb: 1', "is not valid YAML here"),
        ('a: "\\U00110000"', "is not valid YAML here"),
        (f"%YAML 1.{'9' * 5000}\n---\na: b", "is not valid YAML here"),
        ("cluster: {region: '-', id: a}\n" + BEARER + "upstreams: {zeebe: {}}", "letters, digits"),
        (
            CLUSTER.replace("bru-2", "bru-") + "upstreams: {zeebe: {}}\ncredentials:\n" + SAAS,
            "letters, digits",
        ),
        ("a: [" + "x, " * 340_000 + "]", "stands for more than 10000 values"),
        ("".join(f"k{n}: v\n" for n in range(90_000)), "stands for more than 10000 values"),
        (f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 100)}]", "more than 4 MiB of text"),
    ],
)
def test_what_used_to_be_a_traceback_or_took_long_is_a_sentence(tmp_path: Path, text: str, told: str) -> None:
    problems = refused(tmp_path, text)
    assert any(told in problem for problem in problems), problems


def test_variables_that_stand_for_billions_are_refused(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "a: [" + ", ".join(["'${A}'"] * 9000) + "]", {"A": "x" * 100_000})
    assert "more than 4 MiB of text" in problem


unix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")


@unix
def test_what_is_no_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
        told = {
            tmp_path / "directory": "is a directory",
            tmp_path / "socket": "cannot be read",
            Path("/dev/zero"): "is larger than 1MiB, so it is not a configuration",
        }
        for path, sentence in told.items():
            for arguments in ({"config": path, "env_file": None}, {"config": None, "env_file": path}):
                with pytest.raises(ConfigError) as caught:
                    load(**arguments, environ={}, directory=tmp_path)
                assert str(caught.value) == f"{path}: {sentence}"


@unix
def test_a_configuration_can_come_through_a_pipe(tmp_path: Path) -> None:
    """`--config <(sops --decrypt config.yaml)`."""
    reading, writing = os.pipe()
    os.write(writing, (ZEEBE + BEARER).encode())
    os.close(writing)
    config = load(config=Path(f"/dev/fd/{reading}"), env_file=None, environ={}, directory=tmp_path)
    os.close(reading)
    assert config.upstreams[0].name == "zeebe"


@unix
def test_a_silent_pipe_is_given_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TimeoutError):
        read_any(tmp_path / "pipe", 1, patience=0.0)


@unix
@pytest.mark.parametrize(
    "entries",
    [
        "client_secret_file: {0}",
        "client_secret: x, tls: {{ca_file: {0}}}",
        "client_secret: x, tls: {{cert_file: {0}, key_file: {0}}}",
        "auth_method: private_key_jwt, private_key_file: {0}",
        "auth_method: client_assertion, client_assertion_file: {0}",
        "auth_method: none, grant_type: jwt-bearer, assertion_file: {0}",
        "auth_method: none, grant_type: token-exchange, subject_token_file: {0}",
    ],
)
def test_a_named_file_that_is_a_pipe_or_a_device_is_not_read(tmp_path: Path, entries: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    oauth2 = "credentials: {{c: {{type: oauth2, client_id: a, token_url: 'http://x', {}}}}}"
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        problems = refused(tmp_path, ZEEBE + oauth2.format(entries.format(path)))
        assert all(f"names {path}, which is not a regular file" in problem for problem in problems), problems
