"""Writes configurations and reads them back."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.model import Config
from proxy.errors import ConfigError

CLUSTER = "cluster: {region: bru-2, id: 5c34c0a7-0000-0000-0000-000000000000}\n"
SAAS = "  saas: {type: oauth2, client_id: id, client_secret: canary-secret}\n"
BEARER = "credentials:\n  shared: {type: bearer, token: canary-token}\n"
ZEEBE = "upstreams:\n  zeebe: {url: 'http://localhost:8080'}\n"


def read(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration that `text` is, in a file in `folder`."""
    content = text.encode() if isinstance(text, str) else text
    (folder / "camunda-auth-proxy.yaml").write_bytes(content)
    return load(config=None, env_file=None, environ=environ or {}, directory=folder)


def refused(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
    """What is wrong with `text`, each problem as people see it."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text, environ)
    return [str(problem) for problem in caught.value.problems]
