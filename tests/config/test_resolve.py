"""What a configuration means, and everything that can be wrong with it."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config.document.credentials import OAuth2Document, SessionDocument
from proxy.config.document.file import Document
from proxy.config.model import BaseUrl, Basic, Bearer, OAuth2, SecretRef, Session
from proxy.config.presets import SAAS_TOKEN_URL
from proxy.errors import ConfigError
from proxy.net import HttpProxy
from tests.config.mistakes import CLIENT, CRED, ISSUED, MISTAKES, SESSION, UP
from tests.config.writing import BEARER, CLUSTER, SAAS, ZEEBE, read, refused
from tests.examples import some
from tests.federated import unsigned

ROOT = Path(__file__).parents[2]
OAUTH2 = (
    "{type: oauth2, client_id: id, client_secret: canary-secret, token_url: 'https://login.example/token'}"
)


def test_a_cluster_gives_each_upstream_its_url_port_audience_and_token_endpoint(tmp_path: Path) -> None:
    names = "{zeebe: , operate: {}, tasklist: {}, optimize: {}, console: {}, modeler: {}, hub: {}}"
    config = read(tmp_path, f"{CLUSTER}upstreams: {names}\ncredentials:\n{SAAS}")
    place = "camunda.io/5c34c0a7-0000-0000-0000-000000000000"
    assert [(str(u.url), u.listen.port, u.audience) for u in config.upstreams] == [
        (f"https://bru-2.api.{place}", 19080, "zeebe.camunda.io"),
        (f"https://bru-2.api.{place}", 19081, "operate.camunda.io"),
        (f"https://bru-2.api.{place}", 19082, "tasklist.camunda.io"),
        (f"https://bru-2.optimize.{place}", 19083, "optimize.camunda.io"),
        ("https://api.cloud.camunda.io", 19087, "api.cloud.camunda.io"),
        ("https://modeler.cloud.camunda.io/api", 19070, "api.cloud.camunda.io"),
        ("https://hub.cloud.camunda.io", 19088, "api.cloud.camunda.io"),
    ]
    credential = config.credentials["saas"]
    assert isinstance(credential, OAuth2)
    assert (credential.token_url, credential.wait, credential.timeout) == (SAAS_TOKEN_URL, 10.0, 45.0)
    assert config.upstreams[0].origins == {
        "url": "line 1",
        "listen": "preset zeebe",
        "credential": "the only one",
        "audience": "preset zeebe",
    }
    assert [notice[:18] for notice in config.notices] == ["upstream `operate`", "upstream `tasklist"]  # gone


def test_what_is_written_replaces_what_is_preset(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    text = f"""
upstreams:
  mine:
    api: orchestration
    url: https://camunda.example/base/
    listen: 127.0.0.1:0
    audience: mine
    tls: {{ca_file: ca.pem, server_name: Other.Example}}
    connect_timeout: 1m
    response_timeout: 1h
    idle_timeout: 2.5
    max_connections: 7
    replay_buffer: 1MiB
credentials: {{c: {OAUTH2}}}
"""
    (upstream,) = read(tmp_path, text).upstreams
    assert (upstream.api, upstream.url.path, upstream.listen.port, upstream.audience) == (
        "zeebe",
        "/base",
        0,
        "mine",
    )
    assert (upstream.tls.ca_file, upstream.tls.server_name) == (tmp_path / "ca.pem", "other.example")
    assert (upstream.connect_timeout, upstream.response_timeout, upstream.idle_timeout) == (60, 3600, 2.5)
    assert (upstream.max_connections, upstream.replay_buffer) == (7, 1048576)
    assert "/v2/license" in upstream.open_paths


@pytest.mark.parametrize(
    ("url", "upstream", "credential", "audience"),
    [
        ("https://r.zeebe.camunda.io/ID", "up", "cred", "up"),
        ("https://r.zeebe.camunda.io/ID", None, "cred", "cred"),
        ("https://r.zeebe.camunda.io/ID", None, None, None),  # its tokens are not Camunda's
        ("https://r.zeebe.camunda.io/ID", "''", "cred", None),
        ("https://camunda.example", None, None, None),
        ("https://camunda.io.example", None, None, None),
        ("https://evilcamunda.io", None, None, None),
    ],
)
def test_the_nearest_audience_counts(
    tmp_path: Path, url: str, upstream: str | None, credential: str | None, audience: str | None
) -> None:
    one = f", audience: {upstream}" if upstream else ""
    two = f", audience: {credential}" if credential else ""
    text = f"upstreams: {{zeebe: {{url: '{url}'{one}}}}}\ncredentials: {{c: {OAUTH2[:-1]}{two}}}}}"
    assert read(tmp_path, text).upstreams[0].audience == audience


def test_no_secret_goes_to_a_token_endpoint_nobody_named(tmp_path: Path) -> None:
    text = (
        CLUSTER + "upstreams: {operate: {}, zeebe: {url: 'https://camunda.example'}}\ncredentials:\n" + SAAS
    )
    (problem,) = refused(tmp_path, text)
    assert problem.startswith(
        "credentials.saas.token_url (line 4): is missing: upstream `zeebe` is not on Camunda SaaS"
    )


def test_a_secret_is_its_text_or_the_path_of_its_file_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("canary-file\n")
    two = "  file: {type: bearer, token_file: token}\n"
    text = "upstreams: {zeebe: {url: 'http://a', credential: shared}, "
    text += "operate: {url: 'http://a', credential: file}}\n"
    config = read(tmp_path, text + BEARER + two)
    shared, file = config.credentials["shared"], config.credentials["file"]
    assert isinstance(shared, Bearer)
    assert isinstance(file, Bearer)
    assert (shared.token, file.token) == (SecretRef(text="canary-token"), SecretRef(file=tmp_path / "token"))
    assert "canary" not in repr(config) + str(shared.token)


def test_a_secret_that_looks_like_a_number_is_not_changed(tmp_path: Path) -> None:
    text = ZEEBE + "credentials: {c: {type: basic, username: 0777, password: 1_000}}"
    assert read(tmp_path, text).credentials["c"].password == SecretRef(text="1_000")  # type: ignore[union-attr]


def test_no_model_shows_a_secret() -> None:
    client = OAuth2Document(
        type="oauth2",
        client_id="i",
        client_secret="canary",
        parameters={"p": "canary"},
        http_proxy="http://u:canary@x:1",  # type: ignore[arg-type]
    )
    session = SessionDocument(type="session", username="u", password="canary")
    assert "canary" not in repr(client) + repr(session)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\r\n", "is empty"),
        (b"x" * 70_000, "is larger than 64KiB"),
    ],
)
def test_a_secret_file_must_hold_a_secret_at_start(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "token").write_bytes(content)
    assert refused(tmp_path, ZEEBE + "credentials: {c: {type: bearer, token_file: token}}") == [
        f"credentials.c.token_file (line 3): names {tmp_path / 'token'}, which {why}"
    ]


def test_a_ca_file_must_hold_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("canary")
    (problem,) = refused(tmp_path, BEARER + "upstreams: {zeebe: {url: 'https://a', tls: {ca_file: ca.pem}}}")
    assert "upstreams.zeebe.tls.ca_file" in problem
    assert "holds no certificate in PEM form" in problem
    assert "canary" not in problem


CERTIFICATE = "-----BEGIN CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\n"


def pem(folder: Path) -> None:
    for name, content in (("cert.pem", CERTIFICATE), ("key.pem", KEY), ("both.pem", CERTIFICATE + KEY)):
        (folder / name).write_text(content)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("key.pem", None, "which does not exist"),
        ("key.pem", CERTIFICATE, "holds no private key in PEM form"),
        (
            "key.pem",
            KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"),
            "is encrypted; name one without a passphrase",
        ),
        (
            "key.pem",
            KEY.replace("PRIVATE", "RSA PRIVATE") + "Proc-Type: 4,ENCRYPTED\n",
            "is encrypted; name one without a passphrase",
        ),
        ("cert.pem", "canary", "holds no certificate in PEM form"),
    ],
)
def test_a_certificate_and_its_key_are_looked_at_before_the_start(
    tmp_path: Path, name: str, content: str | None, sentence: str
) -> None:
    pem(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    shown = "tls: {cert_file: cert.pem, key_file: key.pem}"
    for text, place in (
        (f"{BEARER}upstreams: {{zeebe: {{url: 'https://a', {shown}}}}}", "upstreams.zeebe.tls."),
        (
            f"{ZEEBE}credentials: {{c: {{{CLIENT}, auth_method: tls_client_auth, {shown}}}}}",
            "credentials.c.tls.",
        ),
    ):
        (problem,) = refused(tmp_path, text)
        assert problem.startswith(place + name.replace(".pem", "_file"))
        assert sentence in problem
        assert "canary" not in problem


def test_a_client_may_sign_instead_of_sending_a_secret(tmp_path: Path) -> None:
    pem(tmp_path)
    text = f"{ZEEBE}credentials:\n  c: {{{CLIENT}, auth_method: private_key_jwt, private_key_file: key.pem"
    credential = read(tmp_path, f"{text}}}").credentials["c"]
    assert isinstance(credential, OAuth2)
    assert (credential.auth_method, credential.client_secret) == ("private_key_jwt", None)
    assert credential.private_key == SecretRef(file=tmp_path / "key.pem")
    credential = read(tmp_path, f"{text}, key_id: k, certificate_file: cert.pem}}").credentials["c"]
    assert isinstance(credential, OAuth2)
    assert (credential.key_id, credential.certificate_file) == ("k", tmp_path / "cert.pem")
    (problem,) = refused(tmp_path, text.replace("key.pem", "cert.pem") + "}")
    assert problem.startswith("credentials.c.private_key_file (line 4): names ")


def test_a_token_of_another_issuer_may_take_the_place_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "jwt").write_text(unsigned())
    text = f"{ZEEBE}credentials: {{c: {{type: oauth2, token_url: 'http://x', auth_method: client_assertion, "
    credential = read(tmp_path, f"{text}client_assertion_file: jwt}}}}").credentials["c"]
    assert isinstance(credential, OAuth2)
    assert (credential.client_id, credential.client_secret) == (None, None)
    assert (credential.client_assertion_file, credential.client_assertion_type) == (
        tmp_path / "jwt",
        "jwt-bearer",
    )
    spiffe = "client_assertion_file: jwt, client_assertion_type: jwt-spiffe, client_id: it}}"
    credential = read(tmp_path, f"{text}{spiffe}").credentials["c"]
    assert isinstance(credential, OAuth2)
    assert (credential.client_id, credential.client_assertion_type) == ("it", "jwt-spiffe")


def test_a_token_of_another_issuer_may_be_exchanged(tmp_path: Path) -> None:
    (tmp_path / "jwt").write_text(unsigned())
    (tmp_path / "opaque").write_text("opaque")
    text = f"{ZEEBE}credentials: {{c: {{{CLIENT}, client_secret: s, grant_type: %s}}}}"
    credential = read(tmp_path, text % "jwt-bearer, assertion_file: jwt").credentials["c"]
    assert isinstance(credential, OAuth2)
    assert (credential.grant_type, credential.subject_file) == ("jwt-bearer", tmp_path / "jwt")
    exchange = "token-exchange, subject_token_file: opaque, subject_token_type: access_token"
    credential = read(tmp_path, text % exchange).credentials["c"]
    assert isinstance(credential, OAuth2)
    assert (credential.subject_file, credential.subject_token_type) == (tmp_path / "opaque", "access_token")
    (problem,) = refused(tmp_path, text % "token-exchange, subject_token_file: opaque")
    assert "which holds no JWT (three parts with a dot between them)" in problem


def test_a_client_may_show_a_certificate_instead_of_a_secret(tmp_path: Path) -> None:
    pem(tmp_path)
    shown = "tls: {cert_file: both.pem, key_file: both.pem}"
    text = f"{ZEEBE}credentials: {{c: {{{CLIENT}, auth_method: tls_client_auth, {shown}}}}}"
    credential = read(tmp_path, text).credentials["c"]
    assert isinstance(credential, OAuth2)
    assert (credential.client_secret, credential.private_key) == (None, None)
    assert (credential.tls.cert_file, credential.tls.key_file) == (
        tmp_path / "both.pem",
        tmp_path / "both.pem",
    )


def test_an_issuer_takes_the_place_of_the_token_endpoint_on_saas_too(tmp_path: Path) -> None:
    issuer = f"credentials: {{c: {{{ISSUED}, issuer_url: 'https://login.example/realm/'}}}}"
    for text in (ZEEBE + issuer, f"{CLUSTER}upstreams: {{zeebe: {{}}}}\n{issuer}"):
        credential = read(tmp_path, text).credentials["c"]
        assert isinstance(credential, OAuth2)
        assert (credential.token_url, credential.issuer_url) == (None, "https://login.example/realm")


def test_a_session_is_a_user_who_logs_in_at_the_upstream_or_elsewhere(tmp_path: Path) -> None:
    credential = read(tmp_path, CRED % SESSION).credentials["c"]
    assert credential == Session("c", None, "a", SecretRef(text="canary"), "auto", 1500.0, 10.0)
    more = "login_url: 'http://identity.example/base/', dialect: login, max_idle: 5m, wait: 1s"
    config = read(tmp_path, CRED % f"{SESSION}, {more}")
    place = BaseUrl("http", "identity.example", 80, "/base")
    assert config.credentials["c"] == Session("c", place, "a", SecretRef(text="canary"), "login", 300.0, 1.0)
    assert config.notices == ("credential `c` is sent unencrypted to http://identity.example; use https://",)
    assert "canary" not in repr(config)


def test_an_audience_counts_for_nothing_under_a_session(tmp_path: Path) -> None:
    config = read(tmp_path, UP.replace(BEARER, CRED.removeprefix(ZEEBE) % SESSION) % "audience: x")
    (notice,) = config.notices
    assert notice == "upstream `zeebe`: its audience has no effect: credential `c` is not oauth2"


def test_basic_may_log_in_once(tmp_path: Path) -> None:
    config = read(tmp_path, CRED % "type: basic, username: a, password: canary, as_session: true")
    assert config.credentials["c"] == Basic("c", "a", SecretRef(text="canary"), as_session=True, wait=10.0)


def test_each_way_out_is_its_own(tmp_path: Path) -> None:
    proxy = "http_proxy: 'http://user:canary@proxy.example:3128'"
    ways = {"zeebe": proxy, "operate": "http_proxy: env", "tasklist": "http_proxy: env", "optimize": ""}
    ups = ", ".join(f"{name}: {{url: 'https://{name}.example', {way}}}" for name, way in ways.items())
    text = f"upstreams: {{{ups}}}\ncredentials: {{c: {{{CLIENT}, client_secret: canary, http_proxy: env}}}}"
    environ = {"HTTPS_PROXY": "http://other:canary@[::1]:8", "NO_PROXY": "tasklist.example"}
    config = read(tmp_path, text, environ)
    assert [upstream.http_proxy for upstream in config.upstreams] == [
        HttpProxy("proxy.example", 3128, "user:canary"),
        HttpProxy("::1", 8, "other:canary"),
        None,
        None,
    ]
    assert config.credentials["c"].http_proxy == HttpProxy("::1", 8, "other:canary")  # type: ignore[union-attr]
    assert "canary" not in repr(config)
    assert read(tmp_path, text).upstreams[1].http_proxy is None


def test_a_variable_that_names_no_proxy_is_said_so_where_it_is_meant(tmp_path: Path) -> None:
    text = BEARER + "upstreams: {zeebe: {url: 'https://a.example', http_proxy: env}}"
    (problem,) = refused(tmp_path, text, {"https_proxy": "socks5://u:canary@x:1"})
    assert problem.startswith("upstreams.zeebe.http_proxy (line 3): is env, and https_proxy must be")
    assert "canary" not in problem


@pytest.mark.parametrize(("text", "place", "sentence"), MISTAKES)
def test_each_mistake_is_one_problem_with_its_place_and_its_remedy(
    tmp_path: Path, text: str, place: str, sentence: str
) -> None:
    (problem,) = refused(tmp_path, text)
    assert problem.startswith(place)
    assert sentence in problem
    assert "canary" not in problem


def test_all_mistakes_of_every_kind_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """
upstreams:
  zeebe: {url: 'http://u:canary@x', lisen: 1}
  operate: {url: http://operate:8080, credential: tokn}
  tasklist: {url: http://tasklist:8080, listen: 19090, credential: token}
  optimize: {url: http://optimize:8090, credential: sm, listen: 19081}
credentials:
  token: {type: bearer, token_file: missing}
  sm: {type: oauth2, client_id: x, client_secret: canary}
"""
    problems = refused(tmp_path, text)
    assert [problem.split(":")[0] for problem in problems] == [
        "admin.listen",
        "upstreams.zeebe.url (line 3)",
        "upstreams.zeebe.lisen (line 3)",
        "upstreams.zeebe.credential (line 3)",
        "upstreams.operate.credential (line 4)",
        "upstreams.optimize.listen (line 6)",
        "credentials.token.token_file (line 8)",
        "credentials.sm.token_url (line 9)",
    ]
    assert "canary" not in str(problems)


def test_a_credential_that_crosses_in_clear_is_named_once(tmp_path: Path) -> None:
    urls = {
        "zeebe": "http://camunda:8080",
        "operate": "http://camunda:8080",
        "optimize": "http://127.0.0.1:1",
    }
    text = f"upstreams: {json.dumps({name: {'url': url} for name, url in urls.items()})}\n"
    config = read(tmp_path, text + f"credentials: {{sm: {OAUTH2.replace('https', 'http')}}}")
    assert tuple(notice for notice in config.notices if "8.10" not in notice) == (
        "credential `sm` is sent unencrypted to http://camunda:8080; use https://",
        "credential `sm` is sent unencrypted to http://login.example; use https://",
    )


def test_a_listener_off_loopback_is_allowed_with_a_notice(tmp_path: Path) -> None:
    text = ZEEBE.replace("}", ", listen: '0.0.0.0:19080'}") + BEARER + "guard: {allow_non_loopback: true}"
    config = read(tmp_path, text)
    (notice,) = config.notices
    assert notice.startswith(
        "listening on 0.0.0.0:19080: anyone who can reach it acts with credential `shared`; set guard.caller_"
    )
    (notice,) = read(tmp_path, text.replace("true}", f"true, caller_token: {'x' * 16}}}")).notices
    assert "without TLS: requests, tokens and answers cross the network unencrypted" in notice


def test_a_unix_socket_is_on_this_machine_whatever_host_is_to_be_listened_on(tmp_path: Path) -> None:
    (upstream,) = read(
        tmp_path,
        ZEEBE.replace("}", ", listen: 'unix:/run/x'}") + BEARER,
        {"CAMUNDA_AUTH_PROXY_LISTEN_HOST": "0.0.0.0"},
    ).upstreams
    assert str(upstream.listen) == "unix:/run/x"
    assert upstream.origins["listen"] == "line 2"


@pytest.mark.parametrize(
    ("content", "good"),
    [
        (b"x" * 16, True),
        (b"x" * 16 + b"\r\n", True),
        (b"x" * 15 + b"\n", False),
        (b"canary canary canary", False),
        (b"\xff" * 16, False),
    ],
)
def test_a_caller_token_in_a_file_is_hard_to_guess_too(tmp_path: Path, content: bytes, good: bool) -> None:
    (tmp_path / "token").write_bytes(content)
    text = ZEEBE + BEARER + "guard: {caller_token_file: token}"
    if good:
        assert read(tmp_path, text).guard.caller_token == SecretRef(file=tmp_path / "token")
        return
    (problem,) = refused(tmp_path, text)
    assert problem.startswith("guard.caller_token_file (line 5): names ")
    assert "must hold 16 or more visible ASCII characters and nothing else" in problem
    assert "canary" not in problem


def test_a_callers_token_is_not_shown(tmp_path: Path) -> None:
    guard = "guard: {caller_token: canary-canary-canary, allowed_origins: ['HTTP://App.example:80']}"
    config = read(tmp_path, ZEEBE + BEARER + guard)
    assert config.guard.caller_token == SecretRef(text="canary-canary-canary")
    assert config.guard.allowed_origins == ("http://app.example",)
    assert "canary" not in repr(config)


def test_a_probe_listener_may_be_anywhere(tmp_path: Path) -> None:
    config = read(tmp_path, ZEEBE + BEARER + "admin: {probe_listen: '0.0.0.0:19091'}")
    assert str(config.admin.probe_listen) == "0.0.0.0:19091"


def test_a_credential_nobody_uses_is_left_out_with_a_notice(tmp_path: Path) -> None:
    config = read(tmp_path, ZEEBE.replace("}", ", credential: shared}") + BEARER + SAAS)
    assert (list(config.credentials), config.notices) == (
        ["shared"],
        ("credential `saas` is used by no upstream",),
    )


def schema_keys() -> set[str]:
    schema = Document.model_json_schema()
    return {key for model in (schema, *schema["$defs"].values()) for key in model["properties"]}


def test_the_reference_names_every_key() -> None:
    reference = (ROOT / "docs/reference.md").read_text()
    table = reference[reference.index("## Configuration") : reference.index("## Admin")]
    assert {"upstreams", "replay_buffer", "ca_file", "token_file", "grace"} <= schema_keys()
    missing = {
        key for key in schema_keys() if not re.search(rf"\b{key.removesuffix('_file')}\b|\b{key}\b", table)
    }
    assert missing == set()


def test_the_example_shows_every_key() -> None:
    example = (ROOT / "config.example.yaml").read_text()
    assert {key for key in schema_keys() if not re.search(rf"\b{key}:", example)} == set()


LEAF = st.sampled_from(
    ["canary", "", "true", "19080", "30s", "http://localhost:8080", "oauth2", "none", "zeebe", "c", None]
)
KEYS = sorted(schema_keys() - {"ca_file", "token_file", "password_file", "client_secret_file"} | {"unknown"})
TREES = st.recursive(
    LEAF, lambda below: st.dictionaries(st.sampled_from(KEYS), below) | st.lists(below), max_leaves=8
)
GOOD_URL = st.just({"url": "http://localhost:8080"})
UPSTREAMS = st.dictionaries(st.sampled_from(["zeebe", "operate", "gateway"]), st.just({}) | GOOD_URL | TREES)
CREDENTIALS = st.dictionaries(st.just("c"), st.just({"type": "none"}) | TREES)
SECTIONS = st.fixed_dictionaries(
    {"upstreams": UPSTREAMS | TREES, "credentials": CREDENTIALS | TREES},
    optional=dict.fromkeys(
        ("cluster", "callers", "guard", "admin", "log", "audit", "shutdown", "store", "unknown"),
        st.none() | TREES,
    ),
)


@given(SECTIONS)
@settings(
    max_examples=some(150), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_whatever_is_written_is_taken_whole_or_refused_without_its_values(
    tmp_path: Path, tree: dict[str, object]
) -> None:
    try:
        config = read(tmp_path, json.dumps(tree))
    except ConfigError as error:
        said = "\n".join(problem.message for problem in error.problems)
    else:
        said = "\n".join(config.notices)
        assert [upstream.name for upstream in config.upstreams] == list(tree["upstreams"])  # type: ignore[call-overload]
    assert "canary" not in said
