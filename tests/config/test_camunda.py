"""The variables of Camunda's own clients."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.model import Basic, Bearer, Config, OAuth2, SecretRef
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
    assert config.notices == ("upstream `tasklist` is left out: CAMUNDA_CREDENTIALS_SCOPES does not name it",)
    assert oauth2(config).token_url == SAAS_TOKEN_URL
    assert oauth2(config).client_secret == SecretRef(text="canary-s3cret~#$%")
    assert config.upstreams[0].origins["url"] == "ZEEBE_REST_ADDRESS"
    assert "canary" not in repr(config)


def test_the_environment_wins_over_the_file() -> None:
    config = read({"CAMUNDA_CLIENT_ID": "mine", "CAMUNDA_CREDENTIALS_SCOPES": "Operate"}, CONSOLE_FILE)
    assert oauth2(config).client_id == "mine"
    assert [upstream.name for upstream in config.upstreams] == ["operate"]


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
    assert str(config.upstreams[1].url) == f"https://bru-2.operate.camunda.io/{ID}"
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
    assert (own.upstreams[0].audience, own.notices) == ("zeebe-api", ())


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
    ("environ", "sentence"),
    [
        ({}, "three ways to begin"),
        ({"CAMUNDA_CLUSTER_ID": ID}, "three ways to begin"),
        (REST, "no credentials among the variables"),
        ({**REST, "CAMUNDA_CLIENT_ID": ""}, "no credentials among the variables"),
        (OAUTH, "no address among the variables"),
        ({**REST, **OAUTH, "CAMUNDA_AUTH_STRATEGY": "NONE"}, "`type: none` is only ever written by hand"),
        (
            {**REST, **OAUTH, "CAMUNDA_AUTH_STRATEGY": "COOKIE"},
            "CAMUNDA_AUTH_STRATEGY: is COOKIE, which is not known yet",
        ),
        ({**REST, **OAUTH, "CAMUNDA_AUTH_STRATEGY": "canary"}, "must be one of OAUTH, OIDC, BASIC, BEARER"),
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
                "CAMUNDA_ISSUER_URL": "https://x",
            },
            "CAMUNDA_ISSUER_URL: is not known yet",
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
