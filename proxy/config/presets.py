"""Facts about each Camunda API, as data (reference: Camunda 8.2 to 8.10)."""

from dataclasses import dataclass
from typing import Final

from proxy.config.model import Api

SAAS_TOKEN_URL = "https://login.cloud.camunda.io/oauth/token"  # noqa: S105 -- an address


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known about an API without any configuration.

    Attributes:
        port: of its listener on localhost.
        audience: of its tokens on Camunda SaaS.
        saas_url: its base URL there; `{region}` and `{id}` are the cluster's.
        addresses: variables of Camunda's clients that hold its base URL, the preferred one first.
        version: path that callers send themselves, so that it is no part of the base URL.
        audiences: variables that hold its audience, the preferred one first.
        open_paths: paths that it answers without a credential; a trailing `/**` is everything below.
    """

    port: int
    audience: str
    saas_url: str
    addresses: tuple[str, ...]
    audiences: tuple[str, ...]
    version: str = ""
    open_paths: tuple[str, ...] = ()


SAAS_CLUSTER: Final = "https://{region}.api.camunda.io/{id}"
"""Base URL of everything in an Orchestration Cluster on SaaS: since 8.8, from 8.10 on the only one."""

# While there is a credential, it is injected on open paths too, because 8.6 wants a token on /v2/license.
# Without one, such a request is forwarded with no Authorization field, because from 8.8 on a wrong one gets
# a 401 even there. /v2/setup/user is left out because it creates an administrator.
PRESETS: dict[Api, Preset] = {
    "zeebe": Preset(
        port=19080,
        audience="zeebe.camunda.io",
        saas_url=SAAS_CLUSTER,
        addresses=(
            "CAMUNDA_REST_ADDRESS",
            "CAMUNDA_CLIENT_RESTADDRESS",
            "CAMUNDA_BASE_URL",
            "ZEEBE_REST_ADDRESS",
        ),
        audiences=(
            "CAMUNDA_ZEEBE_OAUTH_AUDIENCE",
            "CAMUNDA_TOKEN_AUDIENCE",
            "CAMUNDA_CLIENT_AUTH_AUDIENCE",
            "ZEEBE_TOKEN_AUDIENCE",
        ),
        version="/v2",
        open_paths=(
            "/v2/license",
            "/v2/status",
            "/cluster/v2/status",
            "/cluster/v2/status/upgrade",
            "/ready",
            "/health",
            "/startup",
            "/rest-api.yaml",
            "/v3/api-docs/**",
        ),
    ),
    "operate": Preset(
        port=19081,
        audience="operate.camunda.io",
        saas_url=SAAS_CLUSTER,
        addresses=("CAMUNDA_OPERATE_BASE_URL",),
        audiences=("CAMUNDA_OPERATE_OAUTH_AUDIENCE",),
        version="/v1",
    ),
    "tasklist": Preset(
        port=19082,
        audience="tasklist.camunda.io",
        saas_url=SAAS_CLUSTER,
        addresses=("CAMUNDA_TASKLIST_BASE_URL",),
        audiences=("CAMUNDA_TASKLIST_OAUTH_AUDIENCE",),
        version="/v1",
        open_paths=("/v1/external/process/**",),
    ),
    "optimize": Preset(
        port=19083,
        audience="optimize.camunda.io",
        saas_url="https://{region}.optimize.camunda.io/{id}",
        addresses=("CAMUNDA_OPTIMIZE_BASE_URL",),
        audiences=("CAMUNDA_OPTIMIZE_OAUTH_AUDIENCE",),
        version="/api/public",
        open_paths=(
            "/api/readyz",
            "/api/ui-configuration",
            "/api/localization",
            "/api/external/**",
            "/external/**",
        ),
    ),
    "console": Preset(
        port=19087,
        audience="api.cloud.camunda.io",
        saas_url="https://api.cloud.camunda.io",
        addresses=("CAMUNDA_CONSOLE_BASE_URL",),
        audiences=("CAMUNDA_CONSOLE_OAUTH_AUDIENCE",),
    ),
    "modeler": Preset(
        port=19070,
        audience="api.cloud.camunda.io",
        saas_url="https://modeler.cloud.camunda.io/api",
        addresses=("CAMUNDA_MODELER_BASE_URL",),
        audiences=("CAMUNDA_MODELER_OAUTH_AUDIENCE",),
        version="/v1",
    ),
    "hub": Preset(
        port=19088,
        audience="api.cloud.camunda.io",
        saas_url="https://hub.cloud.camunda.io",
        addresses=("CAMUNDA_HUB_REST_URL",),
        audiences=("CAMUNDA_HUB_OAUTH_AUDIENCE", "CAMUNDA_CONSOLE_OAUTH_AUDIENCE"),
        version="/api/v2",
    ),
}

ALIASES: dict[str, Api] = {"orchestration": "zeebe"}
API_NAMES: tuple[str, ...] = (*PRESETS, *ALIASES, "other")


def api_named(name: str) -> Api:
    """Return the API of that name; `other` if no preset has it."""
    found: dict[str, Api] = {**{api: api for api in PRESETS}, **ALIASES}
    return found.get(name, "other")
