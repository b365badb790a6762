"""The Compose files as they lie there. What an engine makes of them: deploy/ci/compose.sh."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config.load import load
from proxy.config.model import Config
from scripts.release import versions

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose"
FILES = ("compose.yaml", "compose.standalone.yaml", "camunda-8.9/compose.camunda.yaml")
PROXY = {"compose.yaml": "proxy", "compose.standalone.yaml": "proxy", FILES[2]: "camunda-auth-proxy"}
FOLDERS = {file: (COMPOSE / file).parent / "camunda-auth-proxy" for file in FILES}


def services(file: str) -> dict[str, dict[str, Any]]:
    read: dict[str, dict[str, Any]] = yaml.safe_load((COMPOSE / file).read_text(encoding="utf-8"))["services"]
    return read


def configuration(file: str, tmp_path: Path, environ: dict[str, str]) -> Config:
    """What the proxy reads, once the user has put the secret where the comments say."""
    copy = tmp_path / "camunda-auth-proxy"
    shutil.copytree(FOLDERS[file], copy)
    (copy / "secrets" / "client_secret").write_text("secret\n", encoding="utf-8")
    return load(config=copy / "config.yaml", env_file=None, environ=environ, directory=tmp_path)


def published(file: str) -> set[int]:
    """Ports of the containers; each is published under its own number, on loopback."""
    inside = set()
    for service in services(file).values():
        for port in service.get("ports", []):
            host, outer, inner = port.split(":")
            assert (host, outer) == ("127.0.0.1", inner)
            inside.add(int(inner))
    return inside


@pytest.mark.parametrize("file", FILES)
def test_what_is_published_is_what_the_proxy_listens_at(file: str, tmp_path: Path) -> None:
    environ = services(file)[PROXY[file]].get("environment", {})
    config = configuration(file, tmp_path, environ)
    probe = config.admin.probe_listen
    assert probe is not None
    open_to_the_host = {probe.port} if probe.host == "0.0.0.0" else set()
    listens = [upstream.listen for upstream in config.upstreams]
    open_to_the_host |= {listen.port for listen in listens if listen.host == "0.0.0.0"}
    assert published(file) == open_to_the_host


@pytest.mark.parametrize("file", FILES)
def test_every_container_of_ours_is_hardened_and_of_this_version(file: str) -> None:
    version, _ = versions((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))[0]
    ours = [s for s in services(file).values() if s["image"].startswith("camunda-auth-proxy:")]
    assert ours
    for service in ours:
        assert service["image"] == f"camunda-auth-proxy:{version}"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "mem_limit" in service
        assert not {"privileged", "user", "tmpfs"} & set(service)


@pytest.mark.parametrize("file", FILES)
def test_secrets_come_in_a_folder_that_must_be_there(file: str) -> None:
    """A mounted file would keep its old content when it is replaced."""
    (volume,) = services(file)[PROXY[file]]["volumes"]
    assert volume == {
        "type": "bind",
        "source": "./camunda-auth-proxy",
        "target": "/etc/camunda-auth-proxy",
        "read_only": True,
        "bind": {"create_host_path": False},
    }
    assert (FOLDERS[file] / "secrets" / ".gitignore").read_text(encoding="utf-8").splitlines()[1:] == [
        "*",
        "!.gitignore",
    ]


@pytest.mark.parametrize("file", FILES)
def test_a_file_says_first_what_it_is_what_to_change_and_how_to_run_it(file: str) -> None:
    head = (COMPOSE / file).read_text(encoding="utf-8").partition("\n\n")[0]
    assert all(line.startswith("# ") for line in head.splitlines())
    assert "\n# Change: " in head
    assert "\n# Run: " in head


def test_neither_the_proxy_nor_the_app_owns_the_network() -> None:
    """Its owner's restart would leave the other in a dead one (compose #6626)."""
    pod, proxy, app = (services("compose.yaml")[name] for name in ("pod", "proxy", "app"))
    assert "ports" in pod
    assert pod["init"] is True
    assert proxy["network_mode"] == app["network_mode"] == "service:pod"
    assert app["depends_on"] == {"proxy": {"condition": "service_healthy"}}
