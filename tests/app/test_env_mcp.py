"""`env --format mcp`: the entries of MCP clients."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.command import command

SECRET = "canary-of-the-caller-token"
ONE = """
upstreams: {zeebe: {url: 'http://localhost:8080', listen: %s}, optimize: {url: 'http://localhost:8083'}}
credentials: {nothing: {type: none}}
"""
KEYS = {"mcp": "mcpServers", "mcp-cursor": "mcpServers", "mcp-vscode": "servers"}


async def printed(folder: Path, text: str, form: str) -> tuple[int, dict[str, Any], str]:
    (folder / "camunda-auth-proxy.yaml").write_text(text, encoding="utf-8")
    code, out, err = await command("env", "--format", form, folder=folder)
    assert SECRET not in out + err
    return code, json.loads(out) if code == 0 else {}, err


@pytest.mark.parametrize("form", KEYS)
async def test_each_client_gets_its_own_format(form: str, tmp_path: Path) -> None:
    code, found, _ = await printed(tmp_path, ONE % 19380, form)
    kind = {} if form == "mcp-cursor" else {"type": "http"}
    assert (code, found) == (
        0,
        {
            KEYS[form]: {
                "camunda-cluster": {**kind, "url": "http://localhost:19380/mcp/cluster"},
                "camunda-processes": {**kind, "url": "http://localhost:19380/mcp/processes"},
            }
        },
    )


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("mcp", "${CAMUNDA_AUTH_PROXY_CALLER_TOKEN}"),
        ("mcp-cursor", "${env:CAMUNDA_AUTH_PROXY_CALLER_TOKEN}"),
        ("mcp-vscode", "${input:camunda-caller-token}"),
    ],
)
async def test_the_caller_token_is_named_and_never_shown(form: str, shown: str, tmp_path: Path) -> None:
    text = ONE % 19380 + f"guard: {{caller_token: {SECRET}}}\n"
    _, found, _ = await printed(tmp_path, text, form)
    assert {entry["headers"]["X-Proxy-Token"] for entry in found[KEYS[form]].values()} == {shown}
    assert [asked["id"] for asked in found.get("inputs", [])] == (
        ["camunda-caller-token"] if form == "mcp-vscode" else []
    )


async def test_each_upstream_of_the_orchestration_cluster_has_entries_under_its_name(tmp_path: Path) -> None:
    text = """
upstreams:
  test: {api: zeebe, url: 'http://a:1', listen: 19380}
  payments: {api: orchestration, url: 'http://a:1', physical_tenant: payments, listen: '[::1]:19381'}
  socket: {api: zeebe, url: 'http://a:1', listen: 'unix:/tmp/x.sock'}
credentials: {nothing: {type: none}}
"""
    _, found, err = await printed(tmp_path, text, "mcp")
    assert {name: entry["url"] for name, entry in found["mcpServers"].items()} == {
        "test-cluster": "http://localhost:19380/mcp/cluster",
        "test-processes": "http://localhost:19380/mcp/processes",
        "payments-cluster": "http://[::1]:19381/mcp/cluster",
        "payments-processes": "http://[::1]:19381/mcp/processes",
    }
    assert "upstream `socket` is left out: MCP clients cannot use a Unix socket." in err


@pytest.mark.parametrize(
    "text",
    [
        "upstreams: {optimize: {url: 'http://a:1'}}\ncredentials: {nothing: {type: none}}\n",
        ONE % "'unix:/tmp/x.sock'",
    ],
)
async def test_without_such_an_upstream_there_is_nothing_to_print(text: str, tmp_path: Path) -> None:
    code, _, err = await printed(tmp_path, text, "mcp")
    assert (code, "There is nothing to print" in err) == (2, True)


async def test_a_free_port_is_known_to_the_running_proxy_only(tmp_path: Path) -> None:
    code, _, err = await printed(tmp_path, ONE % 0 + "admin: {listen: 127.0.0.1:1}\n", "mcp")
    assert (code, "Start the proxy first, or write the port." in err) == (2, True)
