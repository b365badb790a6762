"""Files of variables as people have them: of every generation of Console, and of every client.

They have the shapes of public files, written anew, and every value is replaced. The shapes are those of
READMEs, samples and issues of Camunda's repositories and of applications on GitHub, as of November 2026.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proxy.commands.tables import configuration
from proxy.config.load import load
from proxy.config.model import Config, OAuth2, SecretRef
from proxy.config.presets import PRESETS, SAAS_TOKEN_URL
from proxy.errors import ConfigError

FILES = Path(__file__).parent / "data/files"
ID = "5c34c0a7-0000-4000-8000-000000000000"
SECRET = "c4n4ry~S3.cret-0815"
KEYCLOAK = "http://localhost:18080/auth/realms/camunda-platform/protocol/openid-connect/token"
SAAS = ""
"""In place of an address: the one that the cluster gives."""


@dataclass
class Understood:
    """What a file has to become.

    Attributes:
        opens: API and address.
        secret: the client's or the user's is read.
        kind: of the credential.
        at: token endpoint.
        audiences: by API, where they are not the preset's.
        told: pieces of notices, one each.
    """

    opens: dict[str, str]
    kind: str = "oauth2"
    at: str = SAAS_TOKEN_URL
    audiences: dict[str, str | None] = field(default_factory=dict)
    told: tuple[str, ...] = ()


def saas(host: str) -> str:
    return f"https://bru-2.{host}.camunda.io/{ID}"


OLD = {"operate": saas("operate"), "tasklist": saas("tasklist")}
EVERY = dict.fromkeys(("zeebe", "operate", "tasklist", "optimize"), SAAS)
NOT_READ = "not read, because they hold no address and no credential: "
GRPC = ": gRPC is not forwarded, so clients keep that address"

UNDERSTOOD = {
    "console-2020.txt": Understood({"zeebe": SAAS}),
    "console-8.0.txt": Understood({"zeebe": SAAS, **OLD}),
    "console-8.4.txt": Understood({"zeebe": SAAS, **OLD, "optimize": saas("optimize")}),
    "console-8.5-zeebe-only.txt": Understood({"zeebe": saas("zeebe")}),
    "console-8.8.txt": Understood({"zeebe": saas("api")}),
    "console-8.10.txt": Understood(
        {"zeebe": saas("api"), "optimize": saas("optimize")},
        told=("names the Administration API; CAMUNDA_CONSOLE_BASE_URL=https://api.cloud.camunda.io opens",),
    ),
    "console-8.10-new-word.txt": Understood(
        {"zeebe": saas("api"), "optimize": saas("optimize")},
        told=("CAMUNDA_CREDENTIALS_SCOPES has a word that the proxy does not know, so no port is left out",),
    ),
    "console-organization.txt": Understood({"console": "https://api.cloud.camunda.io"}),
    "ci-organization-client.txt": Understood({"console": "https://api.cloud.camunda.io"}),
    "powershell.ps1": Understood({"zeebe": saas("api")}),
    "windows.bat": Understood(
        EVERY, told=("windows.bat (line 1): the line is left out", "(line 2): the line is")
    ),
    "go-dotenv.txt": Understood({"zeebe": SAAS, **OLD, "optimize": saas("optimize")}),
    "connectors-8.2-saas.txt": Understood(
        {"zeebe": SAAS, "operate": saas("operate")}, told=(NOT_READ + "ZEEBE_CLIENT_SECURITY_PLAINTEXT",)
    ),
    "connectors-8.3-core.txt": Understood(
        {"operate": "http://operate:8080"},
        kind="session",
        at="",
        told=(f"ZEEBE_CLIENT_BROKER_GATEWAY-ADDRESS{GRPC}", NOT_READ, "sent unencrypted"),
    ),
    "connectors-8.5-keycloak.txt": Understood(
        {"operate": "http://localhost:8081"},
        at=KEYCLOAK,
        audiences={"operate": None},
        told=(
            f"CAMUNDA_CLIENT_BROKER_GATEWAY-ADDRESS{GRPC}",
            "CAMUNDA_IDENTITY_AUDIENCE is not read: set CAMUNDA_OPERATE_OAUTH_AUDIENCE",
            "CAMUNDA_IDENTITY_CLIENT_ID is not read: in a YAML file write a second credential",
            "CAMUNDA_IDENTITY_CLIENT_SECRET is not read: in a YAML file write a second credential",
            "not used, because nothing in this configuration needs it: ZEEBE_TOKEN_AUDIENCE",
            f"{NOT_READ}CAMUNDA_CLIENT_SECURITY_PLAINTEXT, CAMUNDA_IDENTITY_TYPE",
        ),
    ),
    "connectors-8.8-saas.txt": Understood(EVERY, told=(NOT_READ + "CAMUNDA_CLIENT_SECURITY_PLAINTEXT",)),
    "connectors-8.8-own-identity.txt": Understood(
        {"zeebe": "https://camunda.example/cluster"},
        at="https://idp.example/oauth2/token",
        audiences={"zeebe": "orchestration-api"},
        told=(f"CAMUNDA_CLIENT_GRPCADDRESS{GRPC}",),
    ),
    "application-8.1.properties": Understood(
        EVERY,
        told=(
            "(line 1): the line is left out, because it is a comment of another format",
            "(line 7): the line is left out, because no shell takes its name, which has a - or .",
            f"{NOT_READ}zeebe.client.worker.defaultName",
        ),
    ),
    "application-8.6.properties": Understood(
        EVERY, told=(f"{NOT_READ}camunda.client.zeebe.defaults.max-jobs-active",)
    ),
    "application-8.6-self-managed.properties": Understood(
        {"zeebe": "http://localhost:8088", "operate": "http://localhost:8081"},
        at=KEYCLOAK,
        audiences={"zeebe": "zeebe-api", "operate": None},
        told=(f"camunda.client.zeebe.grpc-address{GRPC}",),
    ),
    "js-sdk-8.6.txt": Understood(
        {
            "zeebe": "http://localhost:8080",
            "operate": "http://localhost:8081",
            "tasklist": "http://localhost:8082",
            "optimize": "http://localhost:8083",
            "modeler": "http://localhost:8070/api",
        },
        at=KEYCLOAK,
        audiences=dict.fromkeys(PRESETS),
        told=(f"ZEEBE_GRPC_ADDRESS{GRPC}", f"{NOT_READ}CAMUNDA_TENANT_ID, CAMUNDA_SECURE_CONNECTION"),
    ),
    "js-sdk-c8run-basic.txt": Understood(
        {"zeebe": "http://localhost:8080"},
        kind="basic",
        at="",
        told=(f"{NOT_READ}CAMUNDA_TASKLIST_V2_MODE_ENABLED",),
    ),
    "js-sdk-c8run-cookie.txt": Understood({"zeebe": "http://localhost:8080"}, kind="session", at=""),
    "python-sdk.txt": Understood(
        {"zeebe": "https://cluster.example"},
        at="https://idp.example/token",
        audiences={"zeebe": None},
        told=(f"{NOT_READ}CAMUNDA_SDK_LOG_LEVEL, CAMUNDA_WORKER_TIMEOUT",),
    ),
    "python-saas-worker.txt": Understood({"zeebe": saas("zeebe")}),
    "zbctl-self-managed.sh": Understood(
        {"zeebe": "https://camunda.example/core"},
        at="https://camunda.example/auth/realms/camunda-platform/protocol/openid-connect/token",
        audiences={"zeebe": "zeebe-api"},
        told=("(line 2): the line is left out, because it is a shell command", f"ZEEBE_ADDRESS{GRPC}"),
    ),
    "entra.txt": Understood(
        {"zeebe": "https://camunda.example"},
        at="https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
        audiences={"zeebe": None},
    ),
    "c8ctl.txt": Understood({"zeebe": "http://localhost:8080"}, kind="basic", at=""),
    "composed-addresses.txt": Understood({"zeebe": saas("api")}),
    "mtls-inline.txt": Understood(
        {"zeebe": "https://camunda.example"},
        at="https://idp.example/token",
        audiences={"zeebe": None},
        told=("CAMUNDA_MTLS_KEY is not read: write it into a file and set CAMUNDA_MTLS_KEY_PATH",),
    ),
}
REFUSED = {
    "js-sdk-no-scheme.txt": ("ZEEBE_REST_ADDRESS: must begin with http:// or https://",),
    "js-sdk-without-auth.txt": (
        "CAMUNDA_AUTH_STRATEGY: is NONE",
        "ZEEBE_GRPC_ADDRESS: is a gRPC address, and the proxy serves REST: set CAMUNDA_REST_ADDRESS too",
        "no address among the variables",
    ),
    "zbctl-grpc-only.sh": ("ZEEBE_ADDRESS: is a gRPC address", "no address among the variables"),
    "compose-8.9.txt": ("no configuration found; three ways to begin",),
    "compose-service.yaml": ("(line 1): is YAML", "(line 2): is YAML", "(line 3): is YAML (NAME: value)"),
    "own-application.txt": (
        "CAMUNDA_OAUTH_URL: is missing: upstream `zeebe` is not on Camunda SaaS",
        "CAMUNDA_TOKEN_URL: is not read: set CAMUNDA_OAUTH_URL",
        "CAMUNDA_AUDIENCE: is not read: set CAMUNDA_TOKEN_AUDIENCE",
    ),
    "readme-block.txt": (
        "no address among the variables",
        "CAMUNDA_REGION: is not read: set CAMUNDA_CLUSTER_REGION",
    ),
    "unset-reference.txt": (
        "(line 4): CAMUNDA_CLIENT_SECRET needs the variable VAULT_SECRET, which is not set",
    ),
    "windows-setx.txt": (
        "(line 1): is a command of Windows (setx NAME value)",
        "(line 2): is a command of Windows",
    ),
}


def read(name: str) -> Config:
    return load(config=None, env_file=FILES / name, environ={}, directory=FILES)


def test_every_file_is_in_one_of_the_tables() -> None:
    assert {path.name for path in FILES.iterdir()} == UNDERSTOOD.keys() | REFUSED.keys()
    assert len(UNDERSTOOD) >= 30


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_a_file_opens_the_ports_that_it_means(name: str) -> None:
    wanted, config = UNDERSTOOD[name], read(name)
    opens = {
        api: url or PRESETS[api].saas_url.format(region="bru-2", id=ID)  # type: ignore[index]
        for api, url in wanted.opens.items()
    }
    assert {upstream.api: str(upstream.url) for upstream in config.upstreams} == opens
    for upstream in config.upstreams:
        preset = PRESETS[upstream.api].audience if wanted.kind == "oauth2" else None
        assert upstream.audience == wanted.audiences.get(upstream.api, preset), upstream.api
    assert f"({wanted.kind})" in configuration(config)
    (credential,) = config.credentials.values()
    if isinstance(credential, OAuth2):
        assert (credential.client_secret, credential.token_url) == (SecretRef(text=SECRET), wanted.at)
    else:
        assert credential.password == SecretRef(text=SECRET)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_whatever_of_a_file_is_not_used_is_told_once(name: str) -> None:
    told = [notice for notice in read(name).notices if "can read" not in notice]
    for piece in UNDERSTOOD[name].told:
        assert len([notice for notice in told if piece in notice]) == 1, (piece, told)
    others = [each for each in told if not any(piece in each for piece in UNDERSTOOD[name].told)]
    assert not [each for each in others if not each.startswith("upstream `")], "those are about addresses"


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_used_is_refused_with_the_sentence_that_helps(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(name)
    problems = [str(problem) for problem in caught.value.problems]
    assert len(problems) == len(REFUSED[name])
    for piece, problem in zip(REFUSED[name], problems, strict=True):
        assert piece in problem


@pytest.mark.parametrize("name", [*UNDERSTOOD, *REFUSED])
def test_no_secret_of_a_file_is_told(name: str) -> None:
    try:
        config = read(name)
        said = configuration(config) + "\n".join(config.notices) + repr(config)
    except ConfigError as error:
        said = str(error)
    assert "c4n4ry" not in said
    assert "aB3.client" not in said or "client_id=" in said


def test_the_scope_that_entra_wants_is_put_together() -> None:
    credential = read("entra.txt").credentials["camunda"]
    assert isinstance(credential, OAuth2)
    assert credential.scope == "00000000-1111-4222-8333-444444444444/.default"
