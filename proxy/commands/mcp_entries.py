"""The `env --format mcp` command: prints what an MCP client's configuration needs to use the running proxy.

The formats are those that their makers publish (2026): `.mcp.json` of Claude Code, `.cursor/mcp.json`, and
`.vscode/mcp.json`.
"""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from proxy.commands.environment import address_of, needs_token, ports
from proxy.errors import StartError

if TYPE_CHECKING:
    from proxy.config.model import Config, Upstream

ENDPOINTS: Final = ("cluster", "processes")
"""Camunda's MCP servers below /mcp: since 8.9, since 8.10."""

TOKEN: Final = "CAMUNDA_AUTH_PROXY_CALLER_TOKEN"  # noqa: S105 -- the name of a variable
_INPUT: Final = "camunda-caller-token"
_HEADER: Final = "X-Proxy-Token"

Urls = Mapping[str, str]


def _claude_code(urls: Urls, *, token: bool) -> dict[str, Any]:
    more = {"headers": {_HEADER: f"${{{TOKEN}}}"}} if token else {}
    return {"mcpServers": {name: {"type": "http", "url": url, **more} for name, url in urls.items()}}


def _cursor(urls: Urls, *, token: bool) -> dict[str, Any]:
    more = {"headers": {_HEADER: f"${{env:{TOKEN}}}"}} if token else {}
    return {"mcpServers": {name: {"url": url, **more} for name, url in urls.items()}}


def _vscode(urls: Urls, *, token: bool) -> dict[str, Any]:
    more = {"headers": {_HEADER: f"${{input:{_INPUT}}}"}} if token else {}
    servers = {name: {"type": "http", "url": url, **more} for name, url in urls.items()}
    if not token:
        return {"servers": servers}
    asked = {"type": "promptString", "id": _INPUT, "description": "Token of the caller", "password": True}
    return {"inputs": [asked], "servers": servers}


FORMATS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {
    "mcp": _claude_code,
    "mcp-cursor": _cursor,
    "mcp-vscode": _vscode,
}


def show(config: "Config", form: str) -> int:
    """Print the entries in one of FORMATS, and on stderr what must be known. Return the exit code.

    Raises:
        StartError: a port is not known, or no upstream has an MCP endpoint.
    """
    chosen = [upstream for upstream in config.upstreams if upstream.api == "zeebe"]
    usable = [upstream for upstream in chosen if not upstream.listen.path]
    for upstream in chosen:
        if upstream.listen.path:
            click.echo(
                f"upstream `{upstream.name}` is left out: MCP clients cannot use a Unix socket.", err=True
            )
    if not usable:
        raise StartError(
            "There is nothing to print: MCP is at /mcp/cluster of an upstream with api zeebe, and no such "
            "upstream has a TCP port."
        )
    taken = ports(config.admin.listen) if any(not upstream.listen.port for upstream in usable) else {}
    token = needs_token(config, usable)
    if form == "mcp":
        click.echo(
            "This is for Claude Code (.mcp.json). For Cursor: --format mcp-cursor; for VS Code: --format "
            "mcp-vscode. /mcp/cluster is there from Camunda 8.9 on, /mcp/processes from 8.10 on.",
            err=True,
        )
    if token and form != "mcp-vscode":
        what = "callers are set" if config.callers else "guard.caller_token is set"
        click.echo(f"{what}: the client reads its token from the variable {TOKEN}.", err=True)
    click.echo(json.dumps(FORMATS[form](urls(usable, taken), token=token), indent=2))
    return 0


def urls(upstreams: "list[Upstream]", taken: Mapping[str, int]) -> dict[str, str]:
    """Return the URLs of the MCP endpoints, by name.

    Args:
        taken: ports in use, by the name of the upstream; for upstreams configured with port 0.

    Raises:
        StartError: a port is not among them.
    """
    found = {}
    for upstream in upstreams:
        start = "camunda" if len(upstreams) == 1 else upstream.name
        for endpoint in ENDPOINTS:
            found[f"{start}-{endpoint}"] = f"{address_of(upstream, taken)}/mcp/{endpoint}"
    return found
