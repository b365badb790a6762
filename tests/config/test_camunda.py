"""The variables of Camunda's own clients."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.config.camunda.unread import UNREAD
from proxy.config.load import load
from proxy.config.model import Basic, Bearer, Config, OAuth2, SecretRef, Session, Tls
from proxy.config.presets import SAAS_TOKEN_URL
from proxy.errors import ConfigError

CONSOLE_FILE = Path(__file__).parent / "data/console-credentials.txt"
ID = "5c34c0a7-0000-0000-0000-000000000000"
OAUTH = {
    "CAMUNDA_CLIENT_ID": "id",
    "CAMUNDA_CLIENT_SECRET": "canary",
    "CAMUNDA_OAUTH_URL": "https://login.example/t",
}
BASIC = {"CAMUNDA_BASIC_AUTH_USERNAME": "demo", "CAMUNDA_BASIC_AUTH_PASSWORD": "canary"}
REST = {"CAMUNDA_REST_ADDRESS": "https://camunda.example:8443/base/v2/"}
SAAS = {"CAMUNDA_CLUSTER_ID": ID, "CAMUNDA_CLUSTER_REGION": "bru-2"}


def read(environ: Mapping[str, str], file: Path | None = None) -> Config:
    return load(config=None, env_file=file, environ=environ, directory=Path(__file__).parent)


def refused(environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        read(environ)
    assert "canary" not in str(caught.value)
    return str(caught.value)


def oauth2(config: Config, name: str = "camunda") -> OAuth2:
    credential = config.credentials[name]
    assert isinstance(credential, OAuth2)
    return credential


def test_the_file_that_console_offers_is_taken_as_it_is() -> None:
    config = read({}, CONSOLE_FILE)
    assert config.source == f"--env-file {CONSOLE_FILE}"
    assert {u.name: (str(u.url), u.listen.port, u.audience) for u in config.upstreams} == {
        "zeebe": (f"https://bru-2.zeebe.camunda.io/{ID}", 19080, "zeebe.camunda.io"),
        "operate": (f"https://bru-2.operate.camunda.io/{ID}", 19081, "operate.camunda.io"),
        "optimize": (f"https://bru-2.optimize.camunda.io/{ID}", 19083, "optimize.camunda.io"),
    }
    told = tuple(notice for notice in config.notices if "can read" not in notice)  # as it is checked out
    assert told[0] == "upstream `tasklist` is left out: CAMUNDA_CREDENTIALS_SCOPES does not name it"
    assert [notice for notice in told[1:] if "8.10" not in notice] == []
    assert oauth2(config).token_url == SAAS_TOKEN_URL
    assert oauth2(config).client_secret == SecretRef(text="canary-s3cret~#$%")
    assert config.upstreams[0].origins["url"] == "ZEEBE_REST_ADDRESS"
    assert "canary" not in repr(config)


@pytest.mark.parametrize(
    ("address", "path"),
    [("https://x/v2", ""), ("https://x/base/v2/", "/base"), ("https://x", ""), ("https://x/v2x", "/v2x")],
)
def test_callers_write_v2_themselves(address: str, path: str) -> None:
    assert read({"CAMUNDA_REST_ADDRESS": address, **OAUTH}).upstreams[0].url.path == path


@pytest.mark.parametrize(
    ("cluster", "region"),
    [
        ("CAMUNDA_CLUSTER_ID", "CAMUNDA_CLUSTER_REGION"),
        ("CAMUNDA_CLIENT_CLOUD_CLUSTERID", "CAMUNDA_CLIENT_CLOUD_REGION"),
    ],
)
def test_a_cluster_without_addresses_opens_every_port(cluster: str, region: str) -> None:
    config = read({cluster: ID, region: "bru-2", "CAMUNDA_CLIENT_ID": "id", "CAMUNDA_CLIENT_SECRET": "s"})
    assert [upstream.name for upstream in config.upstreams] == ["zeebe", "operate", "tasklist", "optimize"]
    assert str(config.upstreams[1].url) == f"https://bru-2.api.camunda.io/{ID}"
    assert oauth2(config).token_url == SAAS_TOKEN_URL


@pytest.mark.parametrize(
    ("client_id", "secret", "url"),
    [
        ("CAMUNDA_CLIENT_ID", "CAMUNDA_CLIENT_SECRET", "CAMUNDA_OAUTH_URL"),
        ("ZEEBE_CLIENT_ID", "ZEEBE_CLIENT_SECRET", "ZEEBE_AUTHORIZATION_SERVER_URL"),
        ("CAMUNDA_CLIENT_AUTH_CLIENTID", "CAMUNDA_CLIENT_AUTH_CLIENTSECRET", "CAMUNDA_CLIENT_AUTH_TOKENURL"),
        ("CAMUNDA_CLIENT_ID", "ZEEBE_CLIENT_SECRET", "CAMUNDA_AUTHORIZATION_SERVER_URL"),
    ],
)
def test_every_clients_names_are_known(client_id: str, secret: str, url: str) -> None:
    credential = oauth2(read({client_id: "id", secret: "s", url: "https://login.example/t", **REST}))
    assert (credential.client_id, credential.client_secret, credential.token_url) == (
        "id",
        SecretRef(text="s"),
        "https://login.example/t",
    )


def test_names_that_differ_are_told_without_their_values() -> None:
    config = read(
        {
            **OAUTH,
            **REST,
            "ZEEBE_CLIENT_SECRET": "canary-old",
            "ZEEBE_REST_ADDRESS": "https://camunda.example:8443/base",
        }
    )
    assert oauth2(config).client_secret == SecretRef(text="canary")
    assert config.notices == (
        "CAMUNDA_CLIENT_SECRET and ZEEBE_CLIENT_SECRET differ; CAMUNDA_CLIENT_SECRET is used",
    )


def test_each_api_has_its_own_audience() -> None:
    environ = {
        **OAUTH,
        **REST,
        "CAMUNDA_OPERATE_BASE_URL": "https://operate.example",
        "CAMUNDA_OPTIMIZE_BASE_URL": "https://optimize.example",
        "CAMUNDA_TOKEN_AUDIENCE": "orchestration-api",
        "CAMUNDA_OPERATE_OAUTH_AUDIENCE": "operate-api",
        "CAMUNDA_TOKEN_SCOPE": "s",
        "CAMUNDA_TOKEN_RESOURCE": "r",
    }
    config = read(environ)
    assert [upstream.audience for upstream in config.upstreams] == ["orchestration-api", "operate-api", None]
    assert (oauth2(config).scope, oauth2(config).resource) == ("s", "r")
    own = read({**environ, "CAMUNDA_ZEEBE_OAUTH_AUDIENCE": "zeebe-api"})
    assert own.upstreams[0].audience == "zeebe-api"
    assert [notice for notice in own.notices if "differ" in notice] == []


def test_console_and_modeler_have_a_client_of_their_own() -> None:
    console = {
        "CAMUNDA_CONSOLE_BASE_URL": "https://api.cloud.camunda.io",
        "CAMUNDA_MODELER_BASE_URL": "https://modeler.camunda.io/api",
        "CAMUNDA_CONSOLE_CLIENT_ID": "admin",
        "CAMUNDA_CONSOLE_CLIENT_SECRET": "s",
    }
    alone = read(console)
    assert {upstream.credential for upstream in alone.upstreams} == {"console"}
    assert oauth2(alone, "console").client_id == "admin"
    both = read({**console, **OAUTH, **REST})
    assert {upstream.name: upstream.credential for upstream in both.upstreams} == {
        "zeebe": "camunda",
        "console": "console",
        "modeler": "console",
    }


def test_the_strategy_is_inferred_from_what_is_there() -> None:
    assert isinstance(read({**REST, **OAUTH, **BASIC}).credentials["camunda"], OAuth2)
    assert read({**REST, **BASIC}).credentials["camunda"] == Basic(
        "camunda", "demo", SecretRef(text="canary"), as_session=False, wait=10.0
    )
    assert read({**REST, "CAMUNDA_OAUTH_TOKEN": "t"}).credentials["camunda"] == Bearer(
        "camunda", SecretRef(text="t"), 10.0
    )


@pytest.mark.parametrize(
    ("name", "value"), [("CAMUNDA_AUTH_STRATEGY", "BASIC"), ("CAMUNDA_CLIENT_AUTH_METHOD", "basic")]
)
def test_a_strategy_that_is_named_counts(name: str, value: str) -> None:
    assert isinstance(read({**REST, **OAUTH, **BASIC, name: value}).credentials["camunda"], Basic)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        (None, None),
        ("http://operate:8081/api/login", "http://operate:8081"),
        ("http://camunda/base/login/", "http://camunda/base"),
        ("http://camunda", "http://camunda"),
    ],
)
def test_a_cookie_is_got_by_a_login_with_demo_where_nothing_else_is_said(
    url: str | None, base: str | None
) -> None:
    config = read({**REST, "CAMUNDA_AUTH_STRATEGY": "COOKIE", "CAMUNDA_COOKIE_AUTH_URL": url or ""})
    credential = config.credentials["camunda"]
    assert isinstance(credential, Session)
    assert (credential.username, credential.password) == ("demo", SecretRef(text="demo"))
    assert (str(credential.login_url) if credential.login_url else None) == base
    assert config.notices[:2] == (
        "CAMUNDA_COOKIE_AUTH_USERNAME is not set, so `demo` is used, as in Camunda's JavaScript client",
        "CAMUNDA_COOKIE_AUTH_PASSWORD is not set, so `demo` is used, as in Camunda's JavaScript client",
    )


def test_a_cookies_user_and_password_are_enough() -> None:
    user = {"CAMUNDA_COOKIE_AUTH_USERNAME": "act", "CAMUNDA_COOKIE_AUTH_PASSWORD": "canary"}
    config = read({**REST, **user})
    assert config.credentials["camunda"] == Session(
        "camunda", None, "act", SecretRef(text="canary"), "auto", 1500.0, 10.0
    )
    assert config.notices == ()
    assert isinstance(read({**REST, **OAUTH, **user}).credentials["camunda"], OAuth2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAMUNDA_ISSUER_URL", "https://login.example/realm/"),
        ("CAMUNDA_CLIENT_AUTH_ISSUERURL", "https://login.example/realm"),
        (
            "CAMUNDA_WELL_KNOWN_CONFIGURATION_URL",
            "https://login.example/realm/.well-known/openid-configuration",
        ),
    ],
)
def test_an_issuer_names_the_token_endpoint(name: str, value: str) -> None:
    client = {"CAMUNDA_CLIENT_ID": "id", "CAMUNDA_CLIENT_SECRET": "canary"}
    credential = oauth2(read({**REST, **client, name: value}))
    assert (credential.token_url, credential.issuer_url) == (None, "https://login.example/realm")
    both = read({**REST, **OAUTH, name: value})
    assert (oauth2(both).token_url, oauth2(both).issuer_url) == ("https://login.example/t", None)
    assert both.notices == (f"CAMUNDA_OAUTH_URL and {name} are both set; CAMUNDA_OAUTH_URL is used",)


def test_certificates_are_for_apis_and_token_endpoint_alike(tmp_path: Path) -> None:
    files = {name: str(tmp_path / f"{name}.pem") for name in ("ca", "roots", "cert", "key")}
    for name, path in files.items():
        Path(path).write_text(f"-----BEGIN {'PRIVATE KEY' if name == 'key' else 'CERTIFICATE'}-----\n")
    mtls = {
        "CAMUNDA_CUSTOM_ROOT_CERT_PATH": files["roots"],
        "CAMUNDA_MTLS_CERT_PATH": files["cert"],
        "CAMUNDA_CUSTOM_PRIVATE_KEY_PATH": files["key"],
    }
    config = read({**REST, **OAUTH, **mtls})
    tls = Tls(Path(files["roots"]), None, Path(files["cert"]), Path(files["key"]))
    assert (config.upstreams[0].tls, oauth2(config).tls) == (tls, tls)
    (notice,) = config.notices
    assert notice.startswith("CAMUNDA_CUSTOM_ROOT_CERT_PATH: its certificates are trusted instead of")
    java = read({**REST, **OAUTH, **mtls, "CAMUNDA_CA_CERTIFICATE_PATH": files["ca"]})
    assert (java.upstreams[0].tls.ca_file, oauth2(java).tls.ca_file) == (
        Path(files["ca"]),
        Path(files["roots"]),
    )


@pytest.mark.parametrize("name", UNREAD)
def test_what_is_set_and_not_understood_is_named_with_what_to_use_instead(name: str) -> None:
    (notice,) = read({**REST, **OAUTH, name: "canary"}).notices
    assert re.match(rf"{name} is not read: .*(in a YAML file write|_PATH|\bset [A-Z_]+)", notice)
    assert "canary" not in notice


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({}, "three ways to begin"),
        ({"CAMUNDA_CLUSTER_ID": ID}, "three ways to begin"),
        (REST, "no credentials among the variables"),
        ({**REST, "CAMUNDA_CLIENT_ID": ""}, "no credentials among the variables"),
        (OAUTH, "no address among the variables"),
        ({**REST, **OAUTH, "CAMUNDA_AUTH_STRATEGY": "NONE"}, "`type: none` is possible only in a YAML file"),
        (
            {**REST, "CAMUNDA_COOKIE_AUTH_USERNAME": "demo"},
            "CAMUNDA_COOKIE_AUTH_PASSWORD: is missing or empty",
        ),
        (
            {**SAAS, "CAMUNDA_AUTH_STRATEGY": "COOKIE"},
            "CAMUNDA_AUTH_STRATEGY: `camunda` is a session, but Camunda SaaS has no login with a password",
        ),
        (
            {**REST, **OAUTH, "CAMUNDA_AUTH_STRATEGY": "canary"},
            "must be one of OAUTH, OIDC, BASIC, BEARER, COOKIE",
        ),
        ({**REST, "CAMUNDA_CLIENT_ID": "id"}, "CAMUNDA_CLIENT_SECRET: is missing or empty"),
        ({**REST, "CAMUNDA_CLIENT_SECRET": "canary"}, "CAMUNDA_CLIENT_ID: is missing or empty"),
        (
            {**REST, "CAMUNDA_BASIC_AUTH_PASSWORD": "canary"},
            "CAMUNDA_BASIC_AUTH_USERNAME: is missing or empty",
        ),
        (
            {**REST, "CAMUNDA_CLIENT_ID": "id", "CAMUNDA_CLIENT_SECRET": "canary"},
            "CAMUNDA_OAUTH_URL: is missing: upstream `zeebe`",
        ),
        (
            {
                **REST,
                "CAMUNDA_CLIENT_ID": "id",
                "CAMUNDA_CLIENT_SECRET": "canary",
                "CAMUNDA_WELL_KNOWN_CONFIGURATION_URL": "https://x/canary",
            },
            "CAMUNDA_WELL_KNOWN_CONFIGURATION_URL: must end in /.well-known/openid-configuration",
        ),
        (
            {**REST, "CAMUNDA_CLIENT_ID": "id", "CAMUNDA_CLIENT_ASSERTION_KEYSTORE_PATH": "x.p12"},
            "CAMUNDA_CLIENT_ASSERTION_KEYSTORE_PATH: is not read: in a YAML file write auth_method: ",
        ),
        (
            {**REST, **OAUTH, "CAMUNDA_MTLS_CERT_PATH": "x"},
            "CAMUNDA_MTLS_CERT_PATH: is set without CAMUNDA_MTLS_KEY_PATH; set both or none",
        ),
        (
            {**REST, **OAUTH, "CAMUNDA_CUSTOM_PRIVATE_KEY_PATH": "x"},
            "CAMUNDA_CUSTOM_PRIVATE_KEY_PATH: is set without CAMUNDA_MTLS_CERT_PATH; set both or none",
        ),
        (
            {**REST, **OAUTH, "CAMUNDA_CA_CERTIFICATE_PATH": "not-there.pem"},
            "CAMUNDA_CA_CERTIFICATE_PATH: names a file, which does not exist",
        ),
        (
            {**OAUTH, "CAMUNDA_REST_ADDRESS": "http://u:canary@x"},
            "CAMUNDA_REST_ADDRESS: must not hold a user",
        ),
        ({**OAUTH, **REST, "CAMUNDA_CLIENT_SECRET": "canary\n"}, "CAMUNDA_CLIENT_SECRET: holds a line end"),
        (
            {**OAUTH, **SAAS, "CAMUNDA_CREDENTIALS_SCOPES": "Secrets"},
            "CAMUNDA_CREDENTIALS_SCOPES: names none",
        ),
        (
            {**OAUTH, "CAMUNDA_REST_ADDRESS": "http://localhost:19080"},
            "CAMUNDA_REST_ADDRESS: leads back to this proxy",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_told_by_the_name_of_its_variable(
    environ: dict[str, str], sentence: str
) -> None:
    assert sentence in refused(environ)
