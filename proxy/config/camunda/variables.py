"""Reads the variables of Camunda's own clients, and so Console's credentials file, as if they were our YAML.

Names: the union over Camunda's Java, JavaScript, Python, C#, Go and Spring clients and c8ctl (8.2 to 8.10).
"""

from collections.abc import Mapping

from proxy.config.camunda.credentials import (
    CONSOLE_ID,
    api_ca_file,
    credential,
    notice_unread,
    strategy,
    tls,
)
from proxy.config.camunda.draft import Draft, SetVariable
from proxy.config.model import Api
from proxy.config.presets import ALIASES, PRESETS
from proxy.config.written.findings import Written
from proxy.errors import ConfigError, Problem

CLUSTER_ID = ("CAMUNDA_CLUSTER_ID", "CAMUNDA_CLIENT_CLOUD_CLUSTERID")
REGION = ("CAMUNDA_CLUSTER_REGION", "CAMUNDA_CLIENT_CLOUD_REGION")
SCOPES = ("CAMUNDA_CREDENTIALS_SCOPES",)

CLUSTER_APIS: tuple[Api, ...] = ("zeebe", "operate", "tasklist", "optimize")

BEGIN = (
    "no configuration found; three ways to begin: "
    "write camunda-auth-proxy.yaml (config.example.yaml shows how); "
    "give the file that Camunda's Console lets you download with --env-file; "
    "or set CAMUNDA_REST_ADDRESS, CAMUNDA_CLIENT_ID and CAMUNDA_CLIENT_SECRET in the environment"
)


def from_variables(environ: Mapping[str, str], file: Mapping[str, str]) -> tuple[Written, tuple[str, ...]]:
    """Return the configuration that the variables describe, and notices about them.

    Args:
        environ: the environment; it wins over the file.
        file: variables of `--env-file`.

    Raises:
        ConfigError: nothing found, no address, or no credentials.
    """
    draft = Draft(environ, file)
    addresses = _addresses(draft)
    kind = strategy(draft)
    if not addresses and kind is None and draft.find(CONSOLE_ID) is None:
        raise ConfigError(Problem("", BEGIN))
    if not addresses:
        message = "no address among the variables: set CAMUNDA_REST_ADDRESS, or CAMUNDA_CLUSTER_ID and "
        raise ConfigError(*draft.problems, Problem("", message + "CAMUNDA_CLUSTER_REGION for Camunda SaaS"))
    for api in _in_scope(draft, addresses):
        _upstream(draft, api, addresses[api], kind)
    notice_unread(draft)
    if draft.problems:
        raise ConfigError(*dict.fromkeys(draft.problems))
    return Written(draft.tree, draft.origins), tuple(draft.notices)


def _addresses(draft: Draft) -> dict[Api, SetVariable | None]:
    """Return the APIs that have a base URL; None stands for the URL that the cluster gives."""
    found = {api: draft.find(preset.addresses, _without_version) for api, preset in PRESETS.items()}
    addresses: dict[Api, SetVariable | None] = {api: address for api, address in found.items() if address}
    region, cluster = draft.find(REGION), draft.find(CLUSTER_ID)
    if addresses or region is None or cluster is None:
        return addresses
    draft.put(("cluster", "region"), region)
    draft.put(("cluster", "id"), cluster)
    return dict.fromkeys(CLUSTER_APIS)


def _in_scope(draft: Draft, addresses: Mapping[Api, SetVariable | None]) -> list[Api]:
    """Return the APIs that the client may use; Console writes `Zeebe,Tasklist,Operate,Optimize,Secrets`."""
    scopes = draft.find(SCOPES)
    if scopes is None:
        return list(addresses)
    words = [word.strip().lower() for word in scopes.value.split(",")]
    allowed = {ALIASES.get(word, word) for word in words}
    left_out = [api for api in addresses if api in CLUSTER_APIS and api not in allowed]
    for api in left_out:
        draft.notices.append(f"upstream `{api}` is left out: {scopes.name} does not name it")
    kept = [api for api in addresses if api not in left_out]
    if not kept:
        draft.problems.append(Problem(scopes.name, "names none of the APIs that have an address"))
    return kept


def _upstream(draft: Draft, api: Api, address: SetVariable | None, kind: str | None) -> None:
    """Write one upstream and the credential it takes."""
    place = ("upstreams", api)
    if address is None:
        draft.put(place, draft.find(CLUSTER_ID), {})
    else:
        draft.put((*place, "url"), address, _base(api, address.value))
    tls(draft, place, api_ca_file(draft))
    credential(draft, api, kind)


def _base(api: Api, url: str) -> str | None:
    """Return the base URL for APIs whose variable may hold their version's path too; None: as it is set."""
    if api == "hub":
        return url.rstrip("/").removesuffix(PRESETS[api].version)
    return _without_version(url) if api == "zeebe" else None


def _without_version(url: str) -> str:
    """Remove `/v2`. Camunda's clients add it to the base URL; our callers send it in every path."""
    return url.rstrip("/").removesuffix("/v2")
