"""What `demo --stay` prints: calls to try, and what a proxy of one's own needs."""

from typing import Any

import yaml

from proxy.app.proxy import Proxy
from proxy.commands.shown import SHOWS, ZEEBE, Shown, local_url, upstream_of
from proxy.demo import SimulatedCamunda


def guide(proxy: Proxy, camunda: SimulatedCamunda, configuration: dict[str, Any]) -> str:
    """Return what can be tried while everything runs. The secrets are those of this run's simulation."""
    widest = max(len(shown.name) for shown in SHOWS)
    calls = [f"  {shown.name.ljust(widest)}  {_curl(proxy, shown)}" for shown in SHOWS]
    client = camunda.keycloak.clients["orchestration"]
    own = {
        "upstreams": {"zeebe": {"url": ZEEBE.url(camunda), "credential": "demo"}},
        "credentials": {
            "demo": {
                "type": "oauth2",
                "token_url": camunda.keycloak.url,
                "client_id": client.name,
                "client_secret": client.secret,
            }
        },
    }
    parts = (
        "Everything keeps running until Ctrl-C. Calls without a credential, through the demo's proxy:",
        "\n".join(
            (*calls, f"  {'page'.ljust(widest)}  http://localhost:{proxy.admin_address.rpartition(':')[2]}/")
        ),
        "What the demo's proxy runs:",
        _lines(configuration),
        "To point a proxy of your own at the simulated Camunda, save this as camunda-auth-proxy.yaml:",
        _lines(own),
        f"client id      {client.name}\nclient secret  {client.secret}",
        f"user           {camunda.username}\npassword       {camunda.password}",
    )
    return "\n" + "\n\n".join(parts)


def _curl(proxy: Proxy, shown: Shown) -> str:
    extra = " -H 'content-type: application/json' -d '{}'" if shown.method == "POST" else ""
    return f"curl{extra} '{local_url(upstream_of(proxy, shown), shown.path)}'"


def _lines(configuration: dict[str, Any]) -> str:
    """Return YAML with one line for each upstream and each credential."""
    lines = []
    for section, entries in configuration.items():
        lines.append(f"{section}:")
        for name, entry in entries.items():
            text = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10_000)
            lines.append(f"  {name}: {text.removesuffix('...' + chr(10)).strip()}")
    return "\n".join(lines)
