"""The variables of Camunda's own clients, connectors and starters, 8.2 to 8.10, as one table.

Sources:
- the Java clients of Camunda and of Zeebe;
- JavaScript: `@camunda8/sdk`, `@camunda8/orchestration-cluster-api`;
- Python: `camunda-orchestration-sdk`, pyzeebe;
- the SDKs for C#, Go and PHP; c8ctl;
- the Spring Boot starter, with the properties of spring-zeebe and of 8.5 to 8.7 that it maps to today's;
- the runtime of connectors; Console's files of credentials.
"""

import re
from collections.abc import Iterator
from enum import Enum

from proxy.config.model import Api
from proxy.config.presets import PRESETS


class Use(Enum):
    """What a variable is for."""

    CLIENT_ID = "client id"
    CLIENT_SECRET = "client secret"  # noqa: S105 -- a description
    TOKEN_URL = "token endpoint"  # noqa: S105
    ISSUER = "issuer"
    SCOPE = "scope"
    RESOURCE = "resource"
    CONSOLE_ID = "client id for Console and Web Modeler"
    CONSOLE_SECRET = "client secret for Console and Web Modeler"  # noqa: S105
    USERNAME = "user for Basic"
    PASSWORD = "password for Basic"  # noqa: S105
    COOKIE_URL = "login"
    COOKIE_USERNAME = "user for a session"
    COOKIE_PASSWORD = "password for a session"  # noqa: S105
    TOKEN = "shared token"  # noqa: S105
    STRATEGY = "strategy"
    CLUSTER_ID = "cluster id"
    REGION = "region"
    SCOPES = "names of APIs"
    GRPC = "gRPC address"
    CA_FILE = "CAs"
    API_CA_FILE = "CAs of the APIs"
    CERT_FILE = "client certificate"
    KEY_FILE = "key of the client certificate"


SECRETS = frozenset({Use.CLIENT_SECRET, Use.CONSOLE_SECRET, Use.PASSWORD, Use.COOKIE_PASSWORD, Use.TOKEN})

JAVA = "Java"
SPRING = "Spring Boot starter"
OLDER = "Spring Boot starter before 8.8"

# A name in capitals is a variable, any other one a property of Spring Boot. The preferred name comes first.
_READ: dict[Use, tuple[tuple[str, str], ...]] = {
    Use.CLIENT_ID: (
        ("CAMUNDA_CLIENT_ID", "every client from 8.8, Console"),
        ("camunda.client.auth.client-id", SPRING),
        ("ZEEBE_CLIENT_ID", "every client before 8.8, Console"),
        ("zeebe.client.cloud.client-id", OLDER),
        ("common.client-id", OLDER),
    ),
    Use.CLIENT_SECRET: (
        ("CAMUNDA_CLIENT_SECRET", "every client from 8.8, Console"),
        ("camunda.client.auth.client-secret", SPRING),
        ("ZEEBE_CLIENT_SECRET", "every client before 8.8, Console"),
        ("zeebe.client.cloud.client-secret", OLDER),
        ("zeebe.client.cloud.secret", OLDER),
        ("common.client-secret", OLDER),
    ),
    Use.TOKEN_URL: (
        ("CAMUNDA_OAUTH_URL", "JavaScript, Python, C#, c8ctl, Console"),
        ("CAMUNDA_AUTHORIZATION_SERVER_URL", JAVA),
        ("camunda.client.auth.token-url", SPRING),
        ("ZEEBE_AUTHORIZATION_SERVER_URL", "Java before 8.8, Console"),
        ("camunda.client.auth.issuer", OLDER),  # 8.5 to 8.7: the token endpoint, in spite of its name
        ("zeebe.client.cloud.auth-url", OLDER),
        ("common.auth-url", OLDER),
        ("common.keycloak.token-url", OLDER),
    ),
    Use.ISSUER: (
        ("CAMUNDA_ISSUER_URL", JAVA),
        ("camunda.client.auth.issuer-url", SPRING),
        ("CAMUNDA_WELL_KNOWN_CONFIGURATION_URL", JAVA),
        ("camunda.client.auth.well-known-configuration-url", SPRING),
        ("ZEEBE_ISSUER_URL", JAVA),
        ("ZEEBE_WELL_KNOWN_CONFIGURATION_URL", JAVA),
    ),
    Use.SCOPE: (
        ("CAMUNDA_TOKEN_SCOPE", "Java, JavaScript"),
        ("CAMUNDA_OAUTH_SCOPE", "JavaScript, Python, C#, c8ctl"),
        ("camunda.client.auth.scope", SPRING),
        ("ZEEBE_TOKEN_SCOPE", "Java before 8.8"),
        ("camunda.client.zeebe.scope", OLDER),
        ("zeebe.client.cloud.scope", OLDER),
    ),
    Use.RESOURCE: (
        ("CAMUNDA_TOKEN_RESOURCE", JAVA),
        ("camunda.client.auth.resource", SPRING),
        ("ZEEBE_TOKEN_RESOURCE", "Java before 8.8"),
    ),
    Use.CONSOLE_ID: (("CAMUNDA_CONSOLE_CLIENT_ID", "JavaScript, Console"),),
    Use.CONSOLE_SECRET: (("CAMUNDA_CONSOLE_CLIENT_SECRET", "JavaScript, Console"),),
    Use.USERNAME: (
        ("CAMUNDA_BASIC_AUTH_USERNAME", "every client from 8.8"),
        ("camunda.client.auth.username", SPRING),
        ("CAMUNDA_USERNAME", "c8ctl"),
        ("ZEEBE_BASIC_AUTH_USERNAME", JAVA),
    ),
    Use.PASSWORD: (
        ("CAMUNDA_BASIC_AUTH_PASSWORD", "every client from 8.8"),
        ("camunda.client.auth.password", SPRING),
        ("CAMUNDA_PASSWORD", "c8ctl"),
        ("ZEEBE_BASIC_AUTH_PASSWORD", JAVA),
    ),
    Use.COOKIE_URL: (("CAMUNDA_COOKIE_AUTH_URL", "JavaScript"),),
    Use.COOKIE_USERNAME: (
        ("CAMUNDA_COOKIE_AUTH_USERNAME", "JavaScript"),
        ("camunda.operate.client.username", "connectors before 8.8"),
        ("camunda.tasklist.client.username", OLDER),
        ("common.username", OLDER),
    ),
    Use.COOKIE_PASSWORD: (
        ("CAMUNDA_COOKIE_AUTH_PASSWORD", "JavaScript"),
        ("camunda.operate.client.password", "connectors before 8.8"),
        ("camunda.tasklist.client.password", OLDER),
        ("common.password", OLDER),
    ),
    Use.TOKEN: (("CAMUNDA_OAUTH_TOKEN", "JavaScript"),),
    Use.STRATEGY: (
        ("CAMUNDA_AUTH_STRATEGY", "JavaScript, Python, C#, Go"),
        ("camunda.client.auth.method", SPRING),
        ("CAMUNDA_OAUTH_STRATEGY", "JavaScript's README"),
    ),
    Use.CLUSTER_ID: (
        ("CAMUNDA_CLUSTER_ID", "Console, Python"),
        ("camunda.client.cloud.cluster-id", SPRING),
        ("camunda.client.cluster-id", OLDER),
        ("zeebe.client.cloud.cluster-id", OLDER),
    ),
    Use.REGION: (
        ("CAMUNDA_CLUSTER_REGION", "Console, Python"),
        ("camunda.client.cloud.region", SPRING),
        ("camunda.client.region", OLDER),
        ("zeebe.client.cloud.region", OLDER),
    ),
    Use.SCOPES: (("CAMUNDA_CREDENTIALS_SCOPES", "Console"),),
    Use.GRPC: (
        ("CAMUNDA_GRPC_ADDRESS", JAVA),
        ("ZEEBE_GRPC_ADDRESS", "Java, JavaScript, Console"),
        ("ZEEBE_ADDRESS", "every client before 8.8, Console"),
        ("camunda.client.grpc-address", SPRING),
        ("camunda.client.zeebe.grpc-address", OLDER),
        ("camunda.client.zeebe.gateway-address", OLDER),
        ("camunda.client.broker.gateway-address", OLDER),
        ("zeebe.client.broker.grpc-address", OLDER),
        ("zeebe.client.broker.gateway-address", OLDER),
        ("zeebe.client.broker.contact-point", OLDER),
        ("zeebe.client.gateway.address", OLDER),
    ),
    Use.CA_FILE: (
        ("CAMUNDA_MTLS_CA_PATH", "JavaScript, Python"),
        ("CAMUNDA_CUSTOM_ROOT_CERT_PATH", "JavaScript"),
    ),
    Use.API_CA_FILE: (
        ("CAMUNDA_CA_CERTIFICATE_PATH", JAVA),
        ("ZEEBE_CA_CERTIFICATE_PATH", "Java, JavaScript before 8.8"),
        ("camunda.client.ca-certificate-path", SPRING),
        ("camunda.client.zeebe.ca-certificate-path", OLDER),
        ("zeebe.client.security.cert-path", OLDER),
    ),
    Use.CERT_FILE: (
        ("CAMUNDA_MTLS_CERT_PATH", "JavaScript, Python"),
        ("CAMUNDA_CUSTOM_CERT_CHAIN_PATH", "JavaScript"),
    ),
    Use.KEY_FILE: (
        ("CAMUNDA_MTLS_KEY_PATH", "JavaScript, Python"),
        ("CAMUNDA_CUSTOM_PRIVATE_KEY_PATH", "JavaScript"),
    ),
}

_ADDRESSES: dict[Api, tuple[tuple[str, str], ...]] = {
    "zeebe": (
        ("CAMUNDA_REST_ADDRESS_EXACT", "Python"),
        ("camunda.client.rest-address", SPRING),
        ("camunda.client.zeebe.rest-address", OLDER),
        ("camunda.client.zeebe.base-url", OLDER),
        ("zeebe.client.broker.rest-address", OLDER),
    ),
    "operate": (
        ("camunda.operate.client.url", "connectors before 8.8"),
        ("camunda.client.operate.base-url", OLDER),
        ("operate.client.base-url", OLDER),
    ),
    "tasklist": (
        ("camunda.tasklist.client.url", OLDER),
        ("camunda.client.tasklist.base-url", OLDER),
        ("tasklist.client.base-url", OLDER),
    ),
    "optimize": (("camunda.client.optimize.base-url", OLDER),),
}
"""Less preferred than those of the preset."""

_AUDIENCES: dict[Api, tuple[tuple[str, str], ...]] = {
    "zeebe": (
        ("camunda.client.auth.audience", SPRING),
        ("camunda.client.zeebe.audience", OLDER),
        ("zeebe.client.cloud.audience", OLDER),
    ),
    "operate": (("camunda.client.operate.audience", OLDER),),
    "tasklist": (("camunda.client.tasklist.audience", OLDER),),
    "optimize": (("camunda.client.optimize.audience", OLDER),),
}


def variables(name: str) -> tuple[str, ...]:
    """Return the variables of a name of the table.

    Spring Boot binds a property `a.client-id` from A_CLIENTID and from A_CLIENT_ID.
    """
    if name.isupper():
        return (name,)
    upper = name.replace(".", "_").upper()
    return tuple(dict.fromkeys((upper.replace("-", ""), upper.replace("-", "_"))))


def _all(rows: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for name, _ in rows:
        yield from variables(name)


READ: dict[Use, tuple[str, ...]] = {use: tuple(dict.fromkeys(_all(rows))) for use, rows in _READ.items()}
ADDRESSES: dict[Api, tuple[str, ...]] = {
    api: tuple(dict.fromkeys((*preset.addresses, *_all(_ADDRESSES.get(api, ())))))
    for api, preset in PRESETS.items()
}
AUDIENCES: dict[Api, tuple[str, ...]] = {
    api: tuple(dict.fromkeys((*preset.audiences, *_all(_AUDIENCES.get(api, ())))))
    for api, preset in PRESETS.items()
}

WELL_KNOWN = frozenset(name for name in READ[Use.ISSUER] if "WELL" in name)
PLACES = frozenset((Use.CLUSTER_ID, Use.REGION, Use.SCOPES, Use.GRPC))
TRUST = frozenset((Use.CA_FILE, Use.API_CA_FILE, Use.CERT_FILE, Use.KEY_FILE))


def _groups() -> Iterator[tuple[str, str]]:
    for names in ADDRESSES.values():
        yield from ((name, "addresses") for name in names)
    for names in AUDIENCES.values():
        yield from ((name, "credentials") for name in names)
    for use, names in READ.items():
        group = "addresses" if use in PLACES else "TLS" if use in TRUST else "credentials"
        yield from ((name, group) for name in names)


GROUP = dict(_groups())
"""Variables that are read, each with what it belongs to: `addresses`, `credentials` or `TLS`.

A group is taken from one source as a whole, so that no secret goes to an address from elsewhere.
"""

AGREEING = frozenset(("CAMUNDA_CLIENT_MODE", "ZEEBE_CLIENT_CONNECTIONMODE", "CAMUNDA_OAUTH_DISABLED"))
"""Variables that tell a client what the proxy sees by itself."""

HTTP_PROXY = ("HTTPS_PROXY", "https_proxy")
OF_KUBERNETES = re.compile(
    r".*_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP)\w*)?)", re.ASCII
)
"""Variables that Kubernetes sets in every pod for a Service, which may be called camunda-zeebe."""
OWN = "CAMUNDA_AUTH_PROXY_"
OF_EXEC = re.compile(r"CAMUNDA_AUTH_PROXY_(?:URL_[A-Z0-9_]+|CALLER_TOKEN)", re.ASCII)
"""Variables that `exec` sets for its command, which may run another proxy."""
PREFIXES = ("CAMUNDA_", "ZEEBE_")
