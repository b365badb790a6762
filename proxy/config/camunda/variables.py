"""Reads the variables of Camunda's own clients, and so Console's credentials file, as if they were our YAML.

`names.py` lists the variables, `sources.py` decides which of them count.
"""

import re
from collections.abc import Mapping
from typing import cast

from proxy.config.camunda.credentials import (
    CONSOLE_APIS,
    CONSOLE_ID,
    CONSOLE_SECRET,
    TOKEN_URL,
    api_ca_file,
    credential,
    http_proxy,
    strategy,
    tls,
)
from proxy.config.camunda.draft import Draft, SetVariable
from proxy.config.camunda.names import ADDRESSES, GROUP, READ, Use
from proxy.config.camunda.notices import notice_unused
from proxy.config.camunda.scopes import Scopes, scopes
from proxy.config.camunda.sources import Sources, sources
from proxy.config.model import Api
from proxy.config.presets import PRESETS
from proxy.config.written.env_file import EnvFile
from proxy.config.written.findings import Written
from proxy.errors import ConfigError, Problem

CLUSTER_ID, REGION, GRPC = READ[Use.CLUSTER_ID], READ[Use.REGION], READ[Use.GRPC]
CLUSTER_APIS: tuple[Api, ...] = ("zeebe", "operate", "tasklist", "optimize")

BEGIN = (
    "no configuration found; three ways to begin: "
    "write camunda-auth-proxy.yaml (config.example.yaml shows how); "
    "give the file that Camunda's Console lets you download with --env-file; "
    "or set CAMUNDA_REST_ADDRESS, CAMUNDA_CLIENT_ID and CAMUNDA_CLIENT_SECRET in the environment"
)
NO_ADDRESS = (
    "no address among the variables: set CAMUNDA_REST_ADDRESS, or CAMUNDA_CLUSTER_ID and "
    "CAMUNDA_CLUSTER_REGION for Camunda SaaS"
)
NO_API = "names none of the APIs that have an address"
_SAAS = ".camunda.io"
_Sections = dict[str, dict[str, object]]
_SAAS_GRPC = re.compile(
    r"(?:[a-z]+://)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([a-z0-9-]+)\.[a-z]+\.camunda\.io(?::[0-9]+)?/?",
    re.ASCII | re.IGNORECASE,
)


def from_variables(environ: Mapping[str, str], file: EnvFile | None) -> tuple[Written, tuple[str, ...]]:
    """Return the configuration that the variables describe, and notices about them.

    Args:
        environ: the environment.
        file: of `--env-file`; it wins over the environment.

    Raises:
        ConfigError: nothing found, no address, or no credentials.
    """
    draft = Draft(sources(environ, file))
    _refuse_unusable(draft, file)
    named = scopes(draft)
    addresses = _addresses(draft, named)
    kind = strategy(draft)
    if not addresses and kind is None and draft.find(CONSOLE_ID) is None:
        raise ConfigError(*draft.problems, *_leads_back(draft.sources), Problem("", BEGIN))
    if not addresses:
        if named.variable is not None and not named.sure and draft.find(CLUSTER_ID) is not None:
            raise ConfigError(*draft.problems, Problem(named.variable, NO_API))
        problems = (*draft.problems, *_leads_back(draft.sources), *_only_grpc(draft))
        raise ConfigError(*problems, Problem("", NO_ADDRESS))
    for api in _in_scope(draft, addresses, named):
        _upstream(draft, api, addresses[api], kind)
    notice_unused(draft)
    if draft.problems:
        raise ConfigError(*dict.fromkeys(draft.problems))
    return Written(draft.tree, draft.origins), tuple(draft.notices)


def describe_a_configuration(environ: Mapping[str, str], file: EnvFile | None) -> bool:
    """Tell whether the variables hold a whole configuration: address, credential, token endpoint."""
    try:
        tree = from_variables(environ, file)[0].tree
    except ConfigError:
        return False
    credentials, upstreams = cast("_Sections", tree["credentials"]), cast("_Sections", tree["upstreams"])
    places = {"token_url", "issuer_url"}
    without = [each for each in credentials.values() if each["type"] == "oauth2" and not places & each.keys()]
    return not without or all(_SAAS in str(each.get("url", _SAAS)) for each in upstreams.values())


def _refuse_unusable(draft: Draft, file: EnvFile | None) -> None:
    for name, problem in file.unusable.items() if file is not None else ():
        if name in GROUP:
            draft.problems.append(problem)
            draft.unusable.add(name)
        else:
            draft.notice(f"{problem}. The line is left out")


def _leads_back(found: Sources) -> list[Problem]:
    """Return a problem for each address that is not used because it is a listener of this proxy."""
    addresses = {name for names in ADDRESSES.values() for name in names} & found.for_clients
    message = "leads back to this proxy, so it is for its clients; the proxy needs Camunda's own address"
    return [Problem(name, message) for name in sorted(addresses)]


def _only_grpc(draft: Draft) -> list[Problem]:
    grpc = draft.find(GRPC)
    message = "is a gRPC address, and the proxy serves REST: set CAMUNDA_REST_ADDRESS too"
    return [] if grpc is None else [Problem(draft.sources.shown(grpc.name), message)]


def _addresses(draft: Draft, named: Scopes) -> dict[Api, SetVariable | None]:
    """Return the APIs that have a base URL; None stands for the URL that the cluster gives."""
    found = {api: draft.find(names, _without_version) for api, names in ADDRESSES.items()}
    addresses: dict[Api, SetVariable | None] = {api: address for api, address in found.items() if address}
    region, cluster = _cluster(draft)
    if named.sure is not None:
        derived = [api for api in CLUSTER_APIS if api in named.sure]
    elif addresses or (cluster is not None and cluster.name in GRPC):
        derived = ["zeebe"]  # a cluster's id and region are those of its Zeebe
    else:
        derived = list(CLUSTER_APIS)
    missing = [api for api in derived if api not in addresses]
    if region is not None and cluster is not None and missing:
        draft.put(("cluster", "region"), region)
        draft.put(("cluster", "id"), cluster)
        addresses |= dict.fromkeys(missing)
    else:
        urls = " ".join(address.value.lower() for address in addresses.values() if address is not None)
        idle = {
            each.name for each in (region, cluster) if each is not None and each.value.lower() not in urls
        }
        draft.used -= idle
    if not addresses.keys() & set(CONSOLE_APIS) and _has_client_of_console(draft):
        addresses["console"] = None
    elif named.sure is not None and "console" in named.sure and "console" not in addresses:
        url = PRESETS["console"].saas_url
        draft.notice(
            f"{named.variable} names the Administration API; CAMUNDA_CONSOLE_BASE_URL={url} opens its port"
        )
    return {api: addresses[api] for api in PRESETS if api in addresses}


def _cluster(draft: Draft) -> tuple[SetVariable | None, SetVariable | None]:
    """Return region and id of a cluster on SaaS; from its gRPC address if no variables name them."""
    region, cluster, grpc = draft.find(REGION), draft.find(CLUSTER_ID), draft.find(GRPC, _grpc_place)
    if grpc is None:
        return region, cluster
    if (place := _SAAS_GRPC.fullmatch(grpc.value)) is None:
        draft.notice(f"{draft.sources.shown(grpc.name)}: gRPC is not forwarded, so clients keep that address")
    elif region is None or cluster is None:
        return SetVariable(grpc.name, place[2]), SetVariable(grpc.name, place[1])
    return region, cluster


def _has_client_of_console(draft: Draft) -> bool:
    """Tell whether there is a whole client of the Administration API on SaaS; `draft.used` stays as it is."""
    whole = all(any(map(draft.is_set, names)) for names in (CONSOLE_ID, CONSOLE_SECRET))
    token_url = draft.find(TOKEN_URL)
    return whole and (token_url is None or _SAAS in token_url.value)


def _grpc_place(address: str) -> str:
    """Return what two notations of a gRPC address share: its host."""
    return address.rpartition("://")[2].rstrip("/").removesuffix(":443")


def _in_scope(draft: Draft, addresses: Mapping[Api, SetVariable | None], named: Scopes) -> list[Api]:
    """Return the APIs that the client may use. A word that the proxy does not know leaves out nothing."""
    if named.variable is None or named.allowed is None:
        return list(addresses)
    left_out = [api for api in addresses if api in CLUSTER_APIS and api not in named.allowed]
    for api in left_out:
        draft.notices.append(f"upstream `{api}` is left out: {named.variable} does not name it")
    kept = [api for api in addresses if api not in left_out]
    if not kept:
        draft.problems.append(Problem(named.variable, NO_API))
    return kept


def _upstream(draft: Draft, api: Api, address: SetVariable | None, kind: str | None) -> None:
    """Write one upstream and the credential it takes."""
    place = ("upstreams", api)
    if address is not None:
        draft.put((*place, "url"), address, _base(api, address.value))
    elif api in CONSOLE_APIS:
        draft.put((*place, "url"), draft.find(CONSOLE_ID), PRESETS[api].saas_url)
    else:
        draft.put(place, draft.find(CLUSTER_ID) or draft.find(GRPC), {})
    tls(draft, place, api_ca_file(draft))
    http_proxy(draft, place)
    credential(draft, api, kind)


def _base(api: Api, url: str) -> str | None:
    """Return the base URL for APIs whose variable may hold their version's path too; None: as it is set."""
    if api == "hub":
        return url.rstrip("/").removesuffix(PRESETS[api].version)
    return _without_version(url) if api == "zeebe" else None


def _without_version(url: str) -> str:
    """Remove `/v2`. Camunda's clients add it to the base URL; our callers send it in every path."""
    return url.rstrip("/").removesuffix("/v2")
