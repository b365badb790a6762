"""Pure: writes a configuration as YAML for people, with its secrets in files of their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from proxy.config.presets import PRESETS, api_named

_SECRETS: Final = {key: f"{key}_file" for key in ("client_secret", "password", "token")}

_NAMES: Final = {
    "zeebe": "Orchestration Cluster: /v2/...",
    "operate": "Operate, up to Camunda 8.9: /v1/...",
    "tasklist": "Tasklist, up to Camunda 8.9: /v1/...",
    "optimize": "Optimize: /api/public/...",
    "console": "Administration API of SaaS: /clusters/...",
    "modeler": "Web Modeler: /v1/...",
    "hub": "Camunda Hub, 8.10: /api/v2/...",
}

Tree = Mapping[str, Any]


def without_secrets(tree: Tree, stem: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Replace each secret by the name of a file.

    Args:
        stem: begins the names of the files.

    Returns:
        The new tree, and the secrets by the names of their files.
    """
    credentials: dict[str, dict[str, Any]] = {}
    secrets: dict[str, str] = {}
    for name, section in tree["credentials"].items():
        credentials[name] = {}
        for key, value in section.items():
            if key in _SECRETS:
                file = f"{stem}.{name}.secret"
                secrets[file] = value
                credentials[name][_SECRETS[key]] = file
            else:
                credentials[name][key] = value
    return {**tree, "credentials": credentials}, secrets


def text(tree: Tree, origin: str) -> str:
    """Return the YAML file.

    Args:
        origin: where the values came from, for its first line.
    """
    lines = [
        f"# Written by `camunda-auth-proxy init`, from {origin}.",
        "# `camunda-auth-proxy check` checks this file, `doctor` tries it, `run` starts the proxy.",
        "",
    ]
    if "cluster" in tree:
        lines += ["# A cluster of Camunda SaaS.", *_section("cluster", tree["cluster"]), ""]
    lines += ["# One local port for each API. `listen: PORT` changes it.", "upstreams:"]
    for name, section in tree["upstreams"].items():
        lines += [*_comment(name), *(f"  {line}" for line in _section(name, section))]
    lines += ["", "# How the proxy logs in. It reads a changed secret's file by itself.", "credentials:"]
    for name, section in tree["credentials"].items():
        lines += [f"  {line}" for line in _section(name, _type_first(section))]
    return "\n".join(lines) + "\n"


def _comment(upstream: str) -> list[str]:
    api = api_named(upstream)
    if api not in PRESETS:
        return []
    return [f"  # http://localhost:{PRESETS[api].port}, {_NAMES[api]}"]


def _type_first(section: Tree) -> dict[str, Any]:
    return {"type": section["type"], **section}


def _section(name: str, value: Tree) -> list[str]:
    dumped: str = yaml.safe_dump({name: _plain(value)}, sort_keys=False, allow_unicode=True, width=1000)
    return dumped.splitlines()


def _plain(value: object) -> object:
    """Return a value with `${` escaped, because the reader replaces variables."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value.replace("${", "$${") if isinstance(value, str) else value


def with_absolute_files(tree: Tree, folder: Path) -> dict[str, Any]:
    """Make the names of files absolute, for a YAML file that does not lie in `folder`."""
    return {key: _absolute(key, value, folder) for key, value in tree.items()}


def _absolute(key: str, value: object, folder: Path) -> object:
    if isinstance(value, Mapping):
        return {inner: _absolute(inner, each, folder) for inner, each in value.items()}
    return str(folder / value) if key.endswith("_file") and isinstance(value, str) else value
