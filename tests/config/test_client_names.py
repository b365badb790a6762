"""Every name of the table of variables is read, in its order, or named in a notice."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from proxy.config.camunda.names import ADDRESSES, AGREEING, AUDIENCES, GROUP, READ, Use, variables
from proxy.config.camunda.unread import UNREAD
from proxy.config.load import load
from proxy.config.model import Basic, Bearer, Config, OAuth2, SecretRef, Session
from proxy.errors import ConfigError

ID = "5c34c0a7-0000-4000-8000-000000000000"
REST = {"CAMUNDA_REST_ADDRESS": "https://camunda.example"}
OAUTH = {
    "CAMUNDA_CLIENT_ID": "id",
    "CAMUNDA_CLIENT_SECRET": "canary",
    "CAMUNDA_OAUTH_URL": "https://idp.example/token",
}


def read(environ: Mapping[str, str]) -> Config:
    return load(config=None, env_file=None, environ=environ, directory=Path(__file__).parent)


def without(environ: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in names}


def client(config: Config, name: str = "camunda") -> OAuth2:
    credential = config.credentials[name]
    assert isinstance(credential, OAuth2)
    return credential


@pytest.mark.parametrize(
    ("use", "key", "value"),
    [
        (Use.CLIENT_ID, "client_id", "other"),
        (Use.CLIENT_SECRET, "client_secret", "other"),
        (Use.TOKEN_URL, "token_url", "https://other.example/token"),
        (Use.SCOPE, "scope", "other"),
        (Use.RESOURCE, "resource", "other"),
    ],
)
def test_every_name_of_a_clients_settings_is_read(use: Use, key: str, value: str) -> None:
    preferred = {"client_id": "CAMUNDA_CLIENT_ID", "client_secret": "CAMUNDA_CLIENT_SECRET"}.get(
        key, "CAMUNDA_OAUTH_URL"
    )
    base = (
        without({**REST, **OAUTH}, preferred)
        if key in {"client_id", "client_secret", "token_url"}
        else {**REST, **OAUTH}
    )
    for name in READ[use]:
        found = getattr(client(read({**base, name: value})), key)
        assert found == (SecretRef(text=value) if key == "client_secret" else value), name


def test_every_name_of_an_issuer_is_read() -> None:
    for name in READ[Use.ISSUER]:
        suffix = "/.well-known/openid-configuration" if "WELL" in name else ""
        environ = {**REST, **without(OAUTH, "CAMUNDA_OAUTH_URL"), name: f"https://idp.example/realm{suffix}"}
        assert client(read(environ)).issuer_url == "https://idp.example/realm", name


@pytest.mark.parametrize("api", ADDRESSES)
def test_every_name_of_an_address_and_of_an_audience_is_read(api: str) -> None:
    for name in ADDRESSES[api]:  # type: ignore[index]
        (upstream,) = read({**OAUTH, name: "https://other.example/base"}).upstreams
        assert (upstream.api, str(upstream.url)) == (api, "https://other.example/base"), name
    address = ADDRESSES[api][0]  # type: ignore[index]
    for name in AUDIENCES[api]:  # type: ignore[index]
        (upstream,) = read({**OAUTH, address: "https://other.example", name: "other"}).upstreams
        assert upstream.audience == "other", name


def test_every_name_of_a_user_of_a_session_and_of_a_token_is_read() -> None:
    for one, other in zip(READ[Use.USERNAME], READ[Use.PASSWORD], strict=True):
        found = read({**REST, one: "u", other: "p"}).credentials["camunda"]
        assert isinstance(found, Basic), one
        assert (found.username, found.password) == ("u", SecretRef(text="p"))
    for one, other in zip(READ[Use.COOKIE_USERNAME], READ[Use.COOKIE_PASSWORD], strict=True):
        session = read({**REST, one: "u", other: "p"}).credentials["camunda"]
        assert isinstance(session, Session), one
        assert (session.username, session.password) == ("u", SecretRef(text="p"))
    for name in READ[Use.TOKEN]:
        assert isinstance(read({**REST, name: "t"}).credentials["camunda"], Bearer)
    for name in READ[Use.STRATEGY]:
        basic = {"CAMUNDA_BASIC_AUTH_USERNAME": "u", "CAMUNDA_BASIC_AUTH_PASSWORD": "p"}
        assert isinstance(read({**REST, **OAUTH, **basic, name: "basic"}).credentials["camunda"], Basic)


def test_every_name_of_a_cluster_is_read() -> None:
    for one, other in zip(READ[Use.CLUSTER_ID], (*READ[Use.REGION], *READ[Use.REGION][:2]), strict=False):
        urls = [str(upstream.url) for upstream in read({**OAUTH, one: ID, other: "bru-2"}).upstreams]
        assert all(ID in url and "bru-2" in url for url in urls), (one, other)
    for name in READ[Use.REGION]:
        assert "bru-2" in str(read({**OAUTH, "CAMUNDA_CLUSTER_ID": ID, name: "bru-2"}).upstreams[0].url), name


@pytest.mark.parametrize("name", READ[Use.GRPC])
def test_a_grpc_address_on_saas_names_the_cluster_and_no_other_is_forwarded(name: str) -> None:
    for address in (
        f"{ID}.bru-2.zeebe.camunda.io:443",
        f"grpcs://{ID}.bru-2.zeebe.camunda.io:443",
        f"https://{ID}.bru-2.zeebe.camunda.io",
    ):
        config = read({**OAUTH, name: address})
        (upstream,) = config.upstreams
        assert (upstream.api, ID in str(upstream.url)) == ("zeebe", True), address
        assert not [notice for notice in config.notices if "gRPC" in notice]
    told = read({**OAUTH, **REST, name: "localhost:26500"}).notices
    assert told == (f"{name}: gRPC is not forwarded, so clients keep that address",)
    with pytest.raises(ConfigError, match=f"{name}: is a gRPC address, and the proxy serves REST"):
        read({**OAUTH, name: "localhost:26500"})


@pytest.mark.parametrize("use", [Use.CLIENT_ID, Use.CLIENT_SECRET, Use.TOKEN_URL])
def test_the_preferred_name_counts_and_the_difference_is_told(use: Use) -> None:
    names = READ[use]
    base = without({**REST, **OAUTH}, *names)
    for first, second in pairwise(names):
        config = read({**base, second: "https://second.example", first: "https://first.example"})
        credential = client(config)
        found = {Use.CLIENT_ID: credential.client_id, Use.TOKEN_URL: credential.token_url}
        secret = SecretRef(text="https://first.example")
        assert found.get(use) == "https://first.example" or credential.client_secret == secret
        assert config.notices == (f"{first} and {second} differ; {first} is used",)


def test_a_cluster_that_is_not_that_of_the_addresses_is_told() -> None:
    address = {"CAMUNDA_REST_ADDRESS": f"https://bru-2.api.camunda.io/{ID}"}
    same = {"CAMUNDA_CLUSTER_ID": ID, "CAMUNDA_CLUSTER_REGION": "bru-2"}
    other = {"CAMUNDA_CLUSTER_ID": ID.replace("5", "6"), "CAMUNDA_CLUSTER_REGION": "jfk-1"}
    grpc = {"ZEEBE_ADDRESS": f"{ID}.bru-2.zeebe.camunda.io:443"}
    told = (
        "not used, because nothing in this configuration needs it: CAMUNDA_CLUSTER_ID, CAMUNDA_CLUSTER_REGION"
    )
    assert told not in read({**OAUTH, **address, **same, **grpc}).notices
    assert told in read({**OAUTH, **address, **other}).notices
    assert told in read({**OAUTH, **REST, **same}).notices


def test_no_variable_of_a_client_is_ignored_silently() -> None:
    """Each changes what is configured, or is named."""
    whole = {**REST, **OAUTH}
    base = read(whole)
    for name in (*GROUP, *UNREAD, "CAMUNDA_TENANT_ID", "ZEEBE_CLIENT_LOG_LEVEL", "CAMUNDA_CLIENT_IDD"):
        if name in whole or name in AGREEING:
            continue
        try:
            config = read({**whole, name: "https://other.example/x"})
            changed = (config.upstreams, config.credentials) != (base.upstreams, base.credentials)
            said = "".join(config.notices)
        except ConfigError as error:
            changed, said = False, str(error)
        assert changed or name in said, name


@pytest.mark.parametrize(
    ("words", "opens"),
    [
        ("Zeebe", ["zeebe"]),
        ("zeebe, OPERATE ,Secrets", ["zeebe", "operate"]),
        ("Zeebe,Tasklist,Operate,Optimize,Secrets", ["zeebe", "operate", "tasklist", "optimize"]),
        ("Orchestration Cluster API", ["zeebe"]),
        ("orchestration", ["zeebe"]),
        ("Orchestration Cluster API,Optimize API,Administration API", ["zeebe", "optimize"]),
        ("Optimize API", ["optimize"]),
        ("Zeebe,Something new", ["zeebe"]),
        ("Something new", ["zeebe", "operate", "tasklist", "optimize"]),
    ],
)
def test_the_words_of_every_console_give_a_cluster_its_ports(words: str, opens: list[str]) -> None:
    cluster = {"CAMUNDA_CLUSTER_ID": ID, "CAMUNDA_CLUSTER_REGION": "bru-2"}
    config = read({**OAUTH, **cluster, "CAMUNDA_CREDENTIALS_SCOPES": words})
    assert [upstream.name for upstream in config.upstreams] == opens
    assert "new" not in "".join(config.notices)


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("Zeebe", ["zeebe"]),
        ("Orchestration Cluster API", ["zeebe", "operate"]),
        ("Zeebe,Something new", ["zeebe", "operate", "optimize"]),
        ("Operate,Optimize", ["operate", "optimize"]),
    ],
)
def test_a_word_shuts_ports_only_if_all_words_are_known(words: str, kept: list[str]) -> None:
    addresses = {
        **REST,
        "CAMUNDA_OPERATE_BASE_URL": "https://operate.example",
        "CAMUNDA_OPTIMIZE_BASE_URL": "https://optimize.example",
    }
    config = read({**OAUTH, **addresses, "CAMUNDA_CREDENTIALS_SCOPES": words})
    assert [upstream.name for upstream in config.upstreams] == kept
    for name in {"zeebe", "operate", "optimize"} - set(kept):
        assert f"upstream `{name}` is left out: CAMUNDA_CREDENTIALS_SCOPES does not name it" in config.notices


def test_a_property_of_spring_has_the_names_that_spring_binds() -> None:
    assert variables("camunda.client.auth.client-id") == (
        "CAMUNDA_CLIENT_AUTH_CLIENTID",
        "CAMUNDA_CLIENT_AUTH_CLIENT_ID",
    )
    assert variables("zeebe.client.cloud.region") == ("ZEEBE_CLIENT_CLOUD_REGION",)
