"""What kubectl and helm made of deploy/: deploy/ci/kubernetes.sh calls this, with the folder in RENDERED.

One file of objects each; what the files are called is said there.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.config.model import OAuth2
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
RENDERED = {path.stem: objects(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.yaml")}
WITH_SIDECAR = sorted(RENDERED)
NATIVE = sorted(set(WITH_SIDECAR) - {"classic", "workload"})
EXPECTED = {
    "deployment",
    "job",
    "cronjob",
    "workload",
    "statefulset",
    "plain",
    "classic",
    "helm",
    "helm-values",
    "helm-camunda",
    "overlay",
}
IMAGE = "registry.example/team/camunda-auth-proxy:1.2.3"


def workload(name: str) -> Object:
    (found,) = (each for each in RENDERED[name] if "spec" in each and not unlabelled(each))
    return found


def unlabelled(each: Object) -> bool:
    return bool(each["metadata"]["name"] == "unlabelled")


def pod(name: str) -> Object:
    spec: Object = template(workload(name))["spec"]
    return spec


def config_map(name: str) -> Object:
    (found,) = (each for each in RENDERED[name] if each["kind"] == "ConfigMap")
    return found


def test_everything_was_rendered() -> None:
    assert set(WITH_SIDECAR) == EXPECTED


@pytest.mark.parametrize("name", WITH_SIDECAR)
def test_a_rendered_pod_is_restricted(name: str) -> None:
    assert not faults(pod(name))
    assert LABEL.items() <= template(workload(name))["metadata"]["labels"].items()


@pytest.mark.parametrize("name", NATIVE)
def test_the_rendered_sidecar_is_the_components(name: str) -> None:
    wanted = {**sidecar(pod("deployment")), "image": sidecar(pod(name))["image"]}
    assert sidecar(pod(name)) == wanted
    assert volumes(pod(name)) == volumes(pod("deployment"))


def test_the_charts_sidecar_is_the_components() -> None:
    assert sidecar(pod("helm")) == sidecar(pod("deployment")) == sidecar(pod("plain"))


def test_a_service_account_token_takes_the_place_of_the_secret(tmp_path: Path) -> None:
    assert sidecar(pod("workload")) == sidecar(pod("deployment"))
    (volume,) = (each["projected"] for each in pod("workload")["volumes"] if "projected" in each)
    (source,) = volume["sources"]
    config = configuration(config_map("workload")["data"]["config.yaml"], tmp_path)
    (credential,) = config.credentials.values()
    assert isinstance(credential, OAuth2)
    assert credential.client_assertion_file == tmp_path / source["serviceAccountToken"]["path"]
    assert credential.issuer_url == source["serviceAccountToken"]["audience"]
    assert 600 <= source["serviceAccountToken"]["expirationSeconds"] <= 4500
    assert volume["defaultMode"] == 0o440


@pytest.mark.parametrize("name", NATIVE)
def test_the_sidecar_starts_before_all_others(name: str) -> None:
    assert pod(name)["initContainers"][0]["name"] == SIDECAR


def test_what_is_there_already_stays() -> None:
    there = pod("statefulset")
    assert [each["name"] for each in there["initContainers"]] == [SIDECAR, "migrate"]
    assert [each["name"] for each in there["containers"]] == ["app"]
    assert [each["name"] for each in there["volumes"] if not each["name"].startswith(SIDECAR)] == ["data"]


def test_what_has_no_label_is_left_alone() -> None:
    (found,) = filter(unlabelled, RENDERED["statefulset"])
    assert SIDECAR not in str(found)


@pytest.mark.parametrize("name", WITH_SIDECAR)
def test_the_pod_mounts_a_configuration_that_is_right(name: str, tmp_path: Path) -> None:
    (mounted,) = (each["configMap"]["name"] for each in pod(name)["volumes"] if "configMap" in each)
    assert mounted == config_map(name)["metadata"]["name"]
    config = configuration(config_map(name)["data"]["config.yaml"], tmp_path)
    check = [sys.executable, "-m", "proxy", "check", "--config", str(tmp_path / "config.yaml")]
    subprocess.run(check, check=True, stdout=subprocess.DEVNULL)
    assert config.admin.probe_listen is not None
    assert config.admin.probe_listen.port == sidecar(pod(name))["ports"][0]["containerPort"]


def test_another_configuration_rolls_the_pods() -> None:
    assert config_map("overlay")["metadata"]["name"] != config_map("deployment")["metadata"]["name"]
    annotations = [template(workload(name))["metadata"]["annotations"] for name in ("helm", "helm-values")]
    assert annotations[0] != annotations[1]


def test_the_image_is_changed_in_one_place() -> None:
    assert sidecar(pod("overlay"))["image"] == IMAGE
    assert sidecar(pod("helm-values"))["image"] == f"{IMAGE}@sha256:{'0' * 64}"
