"""What the `demo` command shows: its upstreams, and the configuration of its proxy."""

from pathlib import Path
from typing import Any, NamedTuple

from proxy.app.proxy import Proxy
from proxy.app.upstreams import RunningUpstream
from proxy.demo import SimulatedCamunda
from proxy.demo.assertions import AVAILABLE


class Shown(NamedTuple):
    """One upstream of the demo.

    Attributes:
        name: of the upstream, and of the simulated API unless `behind` names that.
        api: its preset.
        path: of the call; a search is sent with POST.
        credential: name of its credential.
        kind: of the credential, in words.
    """

    name: str
    api: str
    path: str
    credential: str
    kind: str
    behind: str = ""
    saas: bool = False

    @property
    def method(self) -> str:
        return "POST" if self.path.endswith("/search") else "GET"

    def url(self, camunda: SimulatedCamunda) -> str:
        return camunda.url(self.behind or self.name, saas=self.saas)


TOPOLOGY, DASHBOARD = "/v2/topology", "/api/public/dashboard?collectionId=x"
DEFINITIONS, INSTANCES = "/v1/process-definitions/search", "/v2/process-instances/search"
ZEEBE = Shown("zeebe", "zeebe", TOPOLOGY, "keycloak", "OAuth, client_secret_basic")
OPERATE = Shown("operate-8.6", "operate", DEFINITIONS, "login", "session and CSRF (8.6)")
SIGNED = Shown("zeebe-signed", "zeebe", TOPOLOGY, "signed", "OAuth, private_key_jwt", "zeebe")
SHOWS = (
    Shown("zeebe-saas", "zeebe", TOPOLOGY, "saas", "OAuth, form body (SaaS)", "zeebe", saas=True),
    Shown("operate-saas", "operate", DEFINITIONS, "json", "OAuth, JSON body (SaaS)", "operate", saas=True),
    Shown("optimize-saas", "optimize", DASHBOARD, "saas", "OAuth, form body (SaaS)", "optimize", saas=True),
    ZEEBE,
    Shown("optimize-shared", "optimize", DASHBOARD, "shared", "shared token"),
    Shown("operate-8.2", "operate", DEFINITIONS, "login", "session (8.2)"),
    OPERATE,
    Shown("cluster-8.10", "zeebe", INSTANCES, "login", "session and CSRF (8.10)"),
    Shown("cluster-8.8", "zeebe", INSTANCES, "as-session", "Basic as session (8.8)"),
    Shown("zeebe-basic", "zeebe", TOPOLOGY, "basic", "Basic (8.6)"),
    Shown("zeebe-open", "zeebe", TOPOLOGY, "nothing", "none"),
    *((SIGNED,) if AVAILABLE else ()),
)


def configuration(
    camunda: SimulatedCamunda, folder: Path, first_port: int | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the configuration (JSON is YAML), and the variables it names."""
    secrets = {
        "SAAS_SECRET": camunda.saas.clients["saas-client"].secret,
        "KEYCLOAK_SECRET": camunda.keycloak.clients["orchestration"].secret,
        "SHARED_TOKEN": camunda.shared_token,
        "PASSWORD": camunda.password,
    }
    saas = {
        "type": "oauth2",
        "token_url": camunda.saas.url,
        "client_id": "saas-client",
        "client_secret": "${SAAS_SECRET}",
    }
    user = {"username": camunda.username, "password": "${PASSWORD}"}
    credentials: dict[str, dict[str, Any]] = {
        "saas": saas,
        "json": {**saas, "request_format": "json"},
        "keycloak": {
            "type": "oauth2",
            "token_url": camunda.keycloak.url,
            "client_id": "orchestration",
            "client_secret": "${KEYCLOAK_SECRET}",
            "auth_method": "client_secret_basic",
        },
        "shared": {"type": "bearer", "token": "${SHARED_TOKEN}"},
        "login": {"type": "session", **user},
        "as-session": {"type": "basic", "as_session": True, **user},
        "basic": {"type": "basic", **user},
        "nothing": {"type": "none"},
    }
    if AVAILABLE:
        credentials["signed"] = _signed(camunda, folder)
    upstreams = {
        shown.name: {
            "api": shown.api,
            "url": shown.url(camunda),
            "listen": 0 if first_port is None else first_port + 1 + number,
            "credential": shown.credential,
            **({"audience": f"{shown.api}.camunda.io"} if shown.saas else {}),
        }
        for number, shown in enumerate(SHOWS)
    }
    admin = {"listen": first_port or 0}
    return {"upstreams": upstreams, "credentials": credentials, "admin": admin}, secrets


def _signed(camunda: SimulatedCamunda, folder: Path) -> dict[str, str]:
    key, file = camunda.keycloak.signing_key(), folder / "signing.key"
    file.write_text(key.private_key, encoding="utf-8")
    return {
        "type": "oauth2",
        "issuer_url": camunda.keycloak.issuer,
        "client_id": "signed",
        "auth_method": "private_key_jwt",
        "private_key_file": str(file),
        "key_id": key.key_id,
    }


def upstream_of(proxy: Proxy, shown: Shown) -> RunningUpstream:
    return next(each for each in proxy.served if each.upstream.name == shown.name)


def local_url(served: RunningUpstream, path: str) -> str:
    return f"http://localhost:{served.bound.port}{path}"
