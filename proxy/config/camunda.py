"""The variables of Camunda's own clients, and so Console's credentials file, as if they were our YAML.

Names: the union over Camunda's Java, JavaScript, Python, C#, Go and Spring clients and c8ctl (8.2 to 8.10).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.config.findings import Path, Written, nearest
from proxy.config.model import Api
from proxy.config.presets import ALIASES, PRESETS
from proxy.errors import ConfigError, Problem

CLIENT_ID = ("CAMUNDA_CLIENT_ID", "CAMUNDA_CLIENT_AUTH_CLIENTID", "ZEEBE_CLIENT_ID")
CLIENT_SECRET = ("CAMUNDA_CLIENT_SECRET", "CAMUNDA_CLIENT_AUTH_CLIENTSECRET", "ZEEBE_CLIENT_SECRET")
TOKEN_URL = (
    "CAMUNDA_OAUTH_URL",
    "CAMUNDA_AUTHORIZATION_SERVER_URL",
    "CAMUNDA_CLIENT_AUTH_TOKENURL",
    "ZEEBE_AUTHORIZATION_SERVER_URL",
)
SCOPE = ("CAMUNDA_TOKEN_SCOPE", "CAMUNDA_OAUTH_SCOPE", "CAMUNDA_CLIENT_AUTH_SCOPE")
RESOURCE = ("CAMUNDA_TOKEN_RESOURCE", "CAMUNDA_CLIENT_AUTH_RESOURCE")
ISSUER = ("CAMUNDA_ISSUER_URL", "CAMUNDA_WELL_KNOWN_CONFIGURATION_URL", "CAMUNDA_CLIENT_AUTH_ISSUERURL")
CONSOLE_ID = ("CAMUNDA_CONSOLE_CLIENT_ID",)
CONSOLE_SECRET = ("CAMUNDA_CONSOLE_CLIENT_SECRET",)
USERNAME = ("CAMUNDA_BASIC_AUTH_USERNAME", "CAMUNDA_CLIENT_AUTH_USERNAME", "CAMUNDA_USERNAME")
PASSWORD = ("CAMUNDA_BASIC_AUTH_PASSWORD", "CAMUNDA_CLIENT_AUTH_PASSWORD", "CAMUNDA_PASSWORD")
TOKEN = ("CAMUNDA_OAUTH_TOKEN",)
STRATEGY = ("CAMUNDA_AUTH_STRATEGY", "CAMUNDA_CLIENT_AUTH_METHOD")
CLUSTER_ID = ("CAMUNDA_CLUSTER_ID", "CAMUNDA_CLIENT_CLOUD_CLUSTERID")
REGION = ("CAMUNDA_CLUSTER_REGION", "CAMUNDA_CLIENT_CLOUD_REGION")
SCOPES = ("CAMUNDA_CREDENTIALS_SCOPES",)

CLUSTER_APIS: tuple[Api, ...] = ("zeebe", "operate", "tasklist", "optimize")
CONSOLE_APIS: tuple[Api, ...] = ("console", "modeler")
STRATEGIES = ("OAUTH", "OIDC", "BASIC", "BEARER")

BEGIN = (
    "no configuration found; three ways to begin: "
    "write camunda-auth-proxy.yaml (config.example.yaml shows how); "
    "give the file that Camunda's Console lets you download with --env-file; "
    "or set CAMUNDA_REST_ADDRESS, CAMUNDA_CLIENT_ID and CAMUNDA_CLIENT_SECRET in the environment"
)
_NO_CREDENTIALS = (
    "no credentials among the variables: set CAMUNDA_CLIENT_ID and CAMUNDA_CLIENT_SECRET, "
    "or CAMUNDA_BASIC_AUTH_USERNAME and CAMUNDA_BASIC_AUTH_PASSWORD, or CAMUNDA_OAUTH_TOKEN; "
    "`type: none` is only ever written by hand, in a YAML file"
)


@dataclass(frozen=True, slots=True, repr=False)
class _Found:
    """A variable that is set; its value may be a secret."""

    name: str
    value: str


class _Draft:
    """The tree as it grows, with the variable behind each part."""

    def __init__(self, environ: Mapping[str, str], file: Mapping[str, str]) -> None:
        self._sources = (environ, file)
        self.tree: dict[str, Any] = {}
        self.origins: dict[Path, int | str] = {}
        self.notices: list[str] = []
        self.problems: list[Problem] = []

    def find(self, names: Sequence[str], same: Callable[[str], str] = str) -> _Found | None:
        """The first of `names` that is set and not empty, the environment before the file.

        Args:
            same: what to compare aliases by; those that differ are worth a notice.
        """
        found = [_Found(name, source[name]) for source in self._sources for name in names if source.get(name)]
        if not found:
            return None
        first = found[0]
        for other in found[1:]:
            if other.name != first.name and same(other.value) != same(first.value):
                notice = f"{first.name} and {other.name} differ; {first.name} is used"
                self.notices.extend([notice] if notice not in self.notices else [])
        return first

    def put(self, path: tuple[str, ...], found: _Found | None, value: object = None) -> None:
        """Write `value`, else the variable's own, if the variable is there."""
        if found is None:
            return
        place = self.tree
        for end, part in enumerate(path[:-1], start=1):
            place = place.setdefault(part, {})
            self.origins.setdefault(path[:end], found.name)
        place[path[-1]] = found.value if value is None else value
        self.origins[path] = found.name

    def require(self, path: tuple[str, ...], names: Sequence[str]) -> None:
        """Write a variable that must be there."""
        if (found := self.find(names)) is None:
            self.problems.append(Problem(names[0], "is missing or empty; set it"))
        self.put(path, found)


def from_variables(environ: Mapping[str, str], file: Mapping[str, str]) -> tuple[Written, tuple[str, ...]]:
    """What the variables say, and what is worth saying about them.

    Args:
        environ: the environment; it wins.
        file: what `--env-file` holds.

    Raises:
        ConfigError: nothing found, no address, or no credentials.
    """
    draft = _Draft(environ, file)
    addresses = _addresses(draft)
    strategy = _strategy(draft)
    if not addresses and strategy is None and draft.find(CONSOLE_ID) is None:
        raise ConfigError(Problem("", BEGIN))
    if not addresses:
        message = "no address among the variables: set CAMUNDA_REST_ADDRESS, or CAMUNDA_CLUSTER_ID and "
        raise ConfigError(*draft.problems, Problem("", message + "CAMUNDA_CLUSTER_REGION for Camunda SaaS"))
    for api in _in_scope(draft, addresses):
        _upstream(draft, api, addresses[api], strategy)
    if draft.problems:
        raise ConfigError(*dict.fromkeys(draft.problems))
    return Written(draft.tree, draft.origins), tuple(draft.notices)


def _addresses(draft: _Draft) -> dict[Api, _Found | None]:
    """APIs that have a base URL; None stands for the cluster's."""
    found = {api: draft.find(preset.addresses, _without_version) for api, preset in PRESETS.items()}
    addresses: dict[Api, _Found | None] = {api: address for api, address in found.items() if address}
    region, cluster = draft.find(REGION), draft.find(CLUSTER_ID)
    if addresses or region is None or cluster is None:
        return addresses
    draft.put(("cluster", "region"), region)
    draft.put(("cluster", "id"), cluster)
    return dict.fromkeys(CLUSTER_APIS)


def _in_scope(draft: _Draft, addresses: Mapping[Api, _Found | None]) -> list[Api]:
    """The APIs the client may use, as Console wrote it down: `Zeebe,Tasklist,Operate,Optimize,Secrets`."""
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


def _strategy(draft: _Draft) -> str | None:
    """How the main credential is got: `OAUTH`, `BASIC`, `BEARER`; None: there is nothing to get it with."""
    written = draft.find(STRATEGY, str.upper)
    if written is None:
        return next(
            (
                kind
                for kind, names in (
                    ("OAUTH", CLIENT_ID + CLIENT_SECRET),
                    ("BASIC", USERNAME + PASSWORD),
                    ("BEARER", TOKEN),
                )
                if any(draft.find([name]) for name in names)
            ),
            None,
        )
    word = written.value.upper()
    if word == "NONE":
        draft.problems.append(Problem(written.name, f"is NONE, so there are {_NO_CREDENTIALS}"))
    elif word == "COOKIE":
        draft.problems.append(Problem(written.name, "is COOKIE, which is not known yet in this version"))
    elif word not in STRATEGIES:
        known = f"must be one of {', '.join(STRATEGIES)}"
        draft.problems.append(
            Problem(written.name, known + nearest(word.lower(), map(str.lower, STRATEGIES)))
        )
    return "OAUTH" if word == "OIDC" else word


def _upstream(draft: _Draft, api: Api, address: _Found | None, strategy: str | None) -> None:
    """Write one upstream and the credential it takes."""
    place = ("upstreams", api)
    if address is None:
        draft.put(place, draft.find(CLUSTER_ID), {})
    else:
        draft.put((*place, "url"), address, _without_version(address.value) if api == "zeebe" else None)
    console = draft.find(CONSOLE_ID)
    if api in CONSOLE_APIS and console is not None:
        draft.put((*place, "credential"), console, "console")
        _oauth2(draft, "console", CONSOLE_ID, CONSOLE_SECRET)
        draft.put((*place, "audience"), draft.find(PRESETS[api].audiences))
        return
    match strategy:
        case "OAUTH":
            draft.put((*place, "credential"), draft.find(CLIENT_ID), "camunda")
            _oauth2(draft, "camunda", CLIENT_ID, CLIENT_SECRET)
            draft.put((*place, "audience"), _audience(draft, api))
        case "BASIC":
            draft.put((*place, "credential"), draft.find(USERNAME), "camunda")
            draft.require(("credentials", "camunda", "username"), USERNAME)
            draft.require(("credentials", "camunda", "password"), PASSWORD)
            draft.put(("credentials", "camunda", "type"), draft.find(USERNAME), "basic")
        case "BEARER":
            draft.put((*place, "credential"), draft.find(TOKEN), "camunda")
            draft.require(("credentials", "camunda", "token"), TOKEN)
            draft.put(("credentials", "camunda", "type"), draft.find(TOKEN), "bearer")
        case None:
            draft.problems.append(Problem("", _NO_CREDENTIALS))


def _audience(draft: _Draft, api: Api) -> _Found | None:
    """The variables of one API are no aliases: an API's own comes before Zeebe's old ones."""
    own, *others = PRESETS[api].audiences
    return draft.find([own]) or draft.find(others)


def _oauth2(draft: _Draft, name: str, client_id: Sequence[str], client_secret: Sequence[str]) -> None:
    place = ("credentials", name)
    draft.require((*place, "client_id"), client_id)
    draft.require((*place, "client_secret"), client_secret)
    draft.put((*place, "type"), draft.find(client_id), "oauth2")
    token_url, issuer = draft.find(TOKEN_URL), draft.find(ISSUER)
    draft.origins[*place, "token_url"] = TOKEN_URL[0]
    draft.put((*place, "token_url"), token_url)
    draft.put((*place, "scope"), draft.find(SCOPE))
    draft.put((*place, "resource"), draft.find(RESOURCE))
    if token_url is None and issuer is not None:
        message = f"is not known yet in this version; set {TOKEN_URL[0]} to the token endpoint itself"
        draft.problems.append(Problem(issuer.name, message))


def _without_version(url: str) -> str:
    """Camunda's clients add `/v2` to the base where it is missing; our callers write it in every path."""
    return url.rstrip("/").removesuffix("/v2")
