"""What helm made of our values for Camunda's chart, by a stand-in of that chart; kubernetes.sh calls this.

One file for each component whose pods get the sidecar; all other pods of the chart stay as they were.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.pods import (
    LABEL,
    SIDECAR,
    Object,
    configuration,
    faults,
    objects,
    sidecar,
    template,
    volumes,
)

FOLDER = Path(os.environ["RENDERED"])
RENDERED = {
    path.stem: objects(path.read_text(encoding="utf-8")) for path in (FOLDER / "camunda").glob("*.yaml")
}
COMPONENTS = ("connectors", "orchestration", "optimize", "identity", "hub")


def pods(name: str) -> dict[str, Object]:
    """The pod templates by component."""
    found = [each for each in RENDERED[name] if each["kind"] == "Deployment"]
    return {each["metadata"]["name"].removeprefix("camunda-"): template(each) for each in found}


def component() -> Object:
    """The sidecar's pod of our own Kustomize component."""
    (deployment,) = (
        each
        for each in objects((FOLDER / "deployment.yaml").read_text(encoding="utf-8"))
        if each["kind"] == "Deployment"
    )
    spec: Object = template(deployment)["spec"]
    return spec


def config_map(name: str) -> Object:
    (found,) = (each for each in RENDERED[name] if each["kind"] == "ConfigMap")
    return found


def test_every_component_was_rendered() -> None:
    assert set(RENDERED) == {*COMPONENTS, "changed"}
    assert all(set(pods(name)) == set(COMPONENTS) for name in RENDERED)


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_pods_of_one_component_get_the_sidecar_and_no_others(name: str) -> None:
    assert [each for each, pod in pods(name).items() if SIDECAR in str(pod)] == [name]
    pod = pods(name)[name]
    assert sidecar(pod["spec"]) == sidecar(component())
    assert volumes(pod["spec"]) == volumes(component())
    assert LABEL.items() <= pod["metadata"]["labels"].items()
    assert not [fault for fault in faults(pod["spec"]) if fault.startswith(f"{SIDECAR}:")]


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_sidecar_can_read_the_secret(name: str) -> None:
    assert pods(name)[name]["spec"]["securityContext"]["fsGroup"]


def test_the_pod_mounts_the_configuration_that_the_values_hold(tmp_path: Path) -> None:
    (mounted,) = (
        each["configMap"]["name"]
        for each in pods("connectors")["connectors"]["spec"]["volumes"]
        if "configMap" in each
    )
    assert mounted == config_map("connectors")["metadata"]["name"]
    config = configuration(config_map("connectors")["data"]["config.yaml"], tmp_path)
    check = [sys.executable, "-m", "proxy", "check", "--config", str(tmp_path / "config.yaml")]
    subprocess.run(check, check=True, stdout=subprocess.DEVNULL)
    assert config.admin.probe_listen is not None
    (port,) = sidecar(component())["ports"]
    assert config.admin.probe_listen.port == port["containerPort"]


def test_a_changed_configuration_replaces_the_pods() -> None:
    before, after = (
        pods(name)["connectors"]["metadata"]["annotations"]["camunda-auth-proxy/config"]
        for name in ("connectors", "changed")
    )
    assert len(before) == len(after) == 16
    assert before != after
