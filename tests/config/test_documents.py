"""What README and deploy/ show can be used as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config.load import load
from proxy.config.model import Config

ROOT = Path(__file__).parents[2]
SNIPPETS = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def read(text: str, folder: Path) -> Config:
    """Load it, with every secret file it names put into the folder."""
    for name in re.findall(r"/run/secrets/[\w/]+", text):
        file = folder / name.replace("/", "_")
        file.write_text("secret", encoding="utf-8")
        text = text.replace(name, str(file), 1)
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "value")
    return load(config=Path("c.yaml"), env_file=None, environ=environ, directory=folder)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_of_the_readme_is_right(snippet: str, tmp_path: Path) -> None:
    assert read(snippet, tmp_path).upstreams


def test_the_pods_configuration_is_right_and_its_probes_meet_it(tmp_path: Path) -> None:
    parts: list[dict[str, Any]] = list(
        yaml.safe_load_all((ROOT / "deploy" / "pod.yaml").read_text(encoding="utf-8"))
    )
    config_map, _, pod = parts
    config = read(config_map["data"]["config.yaml"], tmp_path)
    sidecar = pod["spec"]["initContainers"][0]
    assert config.admin.probe_listen is not None
    assert sidecar["ports"][0]["containerPort"] == config.admin.probe_listen.port
    assert len(sidecar["ports"][0]["name"]) <= 15
    assert sidecar["restartPolicy"] == "Always"


def test_compose_publishes_on_loopback_alone() -> None:
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    ports = compose["services"]["camunda-auth-proxy"]["ports"]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
