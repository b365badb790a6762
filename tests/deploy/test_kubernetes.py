"""The files for Kubernetes and Helm as they lie there. What tools make of them: deploy/ci/kubernetes.sh."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config.document.schema import schema
from scripts.release import versions
from tests.deploy.pods import (
    LABEL,
    SECRETS,
    SIDECAR,
    Object,
    configuration,
    faults,
    objects,
    sidecar,
    template,
    volumes,
)
from tests.fleet.servers import ACL

ROOT = Path(__file__).parents[2]
KUBERNETES, HELM = ROOT / "deploy" / "kubernetes", ROOT / "deploy" / "helm"
SINGLE = ("plain.yaml", "classic.yaml")
PARTS = ("component/sidecar.yaml", "component/sidecar-cronjob.yaml")
APPS = ("deployment/deployment.yaml", "job/job.yaml", "cronjob/cronjob.yaml")


def read(path: Path) -> list[Object]:
    return objects(path.read_text(encoding="utf-8"))


def workload(path: str) -> Object:
    return read(KUBERNETES / path)[-1]


def pod(path: str) -> Object:
    spec: Object = template(workload(path))["spec"]
    return spec


def camunda_values() -> Object:
    (values,) = read(HELM / "camunda-values.yaml")
    connectors: Object = values["connectors"]
    return connectors


OURS = sidecar(pod("component/sidecar.yaml"))
(PORT,) = OURS["ports"]


@pytest.mark.parametrize("path", SINGLE)
def test_a_pod_is_restricted(path: str) -> None:
    assert not faults(pod(path))


@pytest.mark.parametrize("path", APPS)
def test_an_app_with_what_the_component_adds_is_restricted(path: str) -> None:
    app, added = pod(path), pod("component/sidecar.yaml")
    assert not faults({**app, **added})
    assert app["securityContext"]["fsGroup"]
    assert workload(path)["metadata"]["labels"] == LABEL


def _at(container: Object, path: str, value: object) -> None:
    *folders, last = path.split(".")
    for folder in folders:
        container = container.setdefault(folder, {})
    container[last] = value


BROKEN: dict[str, Callable[[Object], object]] = {
    "hostNetwork": lambda pod: pod.update(hostNetwork=True),
    "token is mounted": lambda pod: pod.pop("automountServiceAccountToken"),
    "volume node": lambda pod: pod["volumes"].append({"name": "node", "hostPath": {"path": "/"}}),
    "is not there": lambda pod: pod["volumes"].clear(),
    "two ports": lambda pod: pod["containers"][0].update(ports=[PORT]),
    **{
        word: lambda pod, path=path, value=value: _at(sidecar(pod), path, value)  # type: ignore[misc]
        for word, path, value in (
            ("runAsNonRoot", "securityContext.runAsNonRoot", False),
            ("runAsUser", "securityContext.runAsUser", 0),
            ("allowPrivilegeEscalation", "securityContext.allowPrivilegeEscalation", None),
            ("readOnlyRootFilesystem", "securityContext.readOnlyRootFilesystem", False),
            ("capabilities", "securityContext.capabilities.add", ["NET_ADMIN"]),
            ("seccompProfile", "securityContext.seccompProfile.type", "Unconfined"),
            ("privileged", "securityContext.privileged", True),
            ("memory limit", "resources.limits", {}),
            ("CPU limit", "resources.limits.cpu", "100m"),
            ("restartPolicy", "restartPolicy", "Sometimes"),
            ("subPath", "volumeMounts", [{"name": "camunda-auth-proxy-secret", "subPath": "x"}]),
            ("variable A", "env", [{"name": "A", "valueFrom": {"secretKeyRef": {}}}]),
            ("secrets in variables", "envFrom", [{"secretRef": {}}]),
            ("port name", "ports", [{"name": "camunda-auth-proxy", "containerPort": 19091}]),
            ("hostPort", "ports", [{**PORT, "hostPort": 19091}]),
            ("livenessProbe asks a port", "livenessProbe.httpGet.port", "proxy-probe"),
            ("startupProbe asks another host", "startupProbe.httpGet.host", "127.0.0.1"),
        )
    },
}


@pytest.mark.parametrize("word", BROKEN)
def test_what_is_not_restricted_is_seen(word: str) -> None:
    broken = copy.deepcopy(pod("plain.yaml"))
    BROKEN[word](broken)
    assert any(word in fault for fault in faults(broken))


def test_the_sidecar_is_everywhere_the_same() -> None:
    others = [*(pod(path) for path in (*PARTS, "plain.yaml")), camunda_values()]
    assert [sidecar(each) for each in others] == [OURS] * len(others)
    charts = {**camunda_values(), "volumes": camunda_values()["extraVolumes"]}
    wanted = volumes(pod("component/sidecar.yaml"))
    assert [volumes(each) for each in (*(pod(path) for path in (*PARTS, *SINGLE)), charts)] == [wanted] * 5


def test_the_classic_sidecar_only_waits_besides() -> None:
    classic = pod("classic.yaml")
    assert "initContainers" not in classic
    first = classic["containers"][0]
    assert first == {
        key: value
        for key, value in {**OURS, "lifecycle": first["lifecycle"]}.items()
        if key != "restartPolicy"
    }


def test_a_slow_token_endpoint_fails_no_probe() -> None:
    startup = OURS["startupProbe"]
    assert startup["httpGet"]["path"] == "/health/startup"
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 2 * 45  # `timeout` of a token request
    assert OURS["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert "readinessProbe" not in OURS
    assert OURS["restartPolicy"] == "Always"


def test_what_is_labelled_is_found() -> None:
    patches = read(KUBERNETES / "component" / "kustomization.yaml")[0]["patches"]
    selector = ",".join(f"{name}={value}" for name, value in LABEL.items())
    assert {patch["target"]["labelSelector"] for patch in patches} == {selector}
    templates = [template(workload(path)) for path in (*PARTS, *SINGLE)]
    assert all(LABEL.items() <= each["metadata"]["labels"].items() for each in templates)
    assert camunda_values()["podLabels"] == LABEL
    policy = workload("networkpolicy.yaml")["spec"]
    assert policy["podSelector"]["matchLabels"] == LABEL
    assert policy["ingress"][0]["ports"] == [{"protocol": "TCP", "port": PORT["containerPort"]}]


def _of_config_map(path: str) -> str:
    text: str = read(KUBERNETES / path)[0]["data"]["config.yaml"]
    return text


def _of_chart() -> str:
    chart, example = (read(HELM / name / "values.yaml")[0] for name in (SIDECAR, "example"))
    return yaml.safe_dump({**chart["config"], **example[SIDECAR]["config"]})


def _of_camunda_values() -> str:
    (values,) = read(HELM / "camunda-values.yaml")
    (manifest,) = values["global"]["extraManifests"]
    text: str = yaml.safe_load(manifest)["data"]["config.yaml"]
    return text


CONFIGURATIONS: dict[str, Callable[[], str]] = {
    "component": lambda: (KUBERNETES / "component" / "config.yaml").read_text(encoding="utf-8"),
    "plain": lambda: _of_config_map("plain.yaml"),
    "classic": lambda: _of_config_map("classic.yaml"),
    "helm": _of_chart,
    "workload": lambda: (KUBERNETES / "workload" / "config.yaml").read_text(encoding="utf-8"),
    "camunda's chart": _of_camunda_values,
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_configuration_is_right_and_the_probes_meet_it(name: str, tmp_path: Path) -> None:
    text = CONFIGURATIONS[name]()
    config = configuration(text, tmp_path)
    assert config.admin.probe_listen is not None
    assert config.admin.probe_listen.port == PORT["containerPort"]
    assert SECRETS in text
    assert {mount["mountPath"] for mount in OURS["volumeMounts"]} == {
        "/etc/camunda-auth-proxy",
        SECRETS.rstrip("/"),
    }


def test_the_classic_pod_has_time_to_stop(tmp_path: Path) -> None:
    shutdown = configuration(_of_config_map("classic.yaml"), tmp_path).shutdown
    assert shutdown.delay + shutdown.grace < pod("classic.yaml")["terminationGracePeriodSeconds"]


def test_the_charts_schema_knows_what_the_proxy_knows() -> None:
    values = yaml.safe_load((HELM / SIDECAR / "values.schema.json").read_text(encoding="utf-8"))
    assert set(values["properties"]["config"]["properties"]) == set(schema()["properties"])


def test_versions_are_the_projects() -> None:
    version, _ = versions((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))[0]
    chart, example = (read(HELM / name / "Chart.yaml")[0] for name in (SIDECAR, "example"))
    (image,) = read(KUBERNETES / "component" / "kustomization.yaml")[0]["images"]
    tag = read(HELM / SIDECAR / "values.yaml")[0]["image"]["tag"]
    said: list[Any] = [
        chart["version"],
        chart["appVersion"],
        example["dependencies"][0]["version"],
        image["newTag"],
        tag,
    ]
    assert said == [version] * 5
    assert OURS["image"] == f"{image['name']}:{version}"


def test_camundas_chart_is_given_what_it_takes() -> None:
    """Keys of charts/camunda-platform-8.8 to 8.10, values.yaml; only `extraVolumes` is no template there."""
    (values,) = read(HELM / "camunda-values.yaml")
    assert set(values) == {"global", "connectors"}
    assert set(values["global"]) == {"extraManifests"}
    assert set(camunda_values()) == {"podLabels", "podAnnotations", "initContainers", "extraVolumes"}
    templates = [line for line in str(values).split(", ") if "{{" in line]
    assert len(templates) == 1
    assert "camunda-auth-proxy/config" in templates[0]


@pytest.mark.parametrize(
    "path",
    ["component/kustomization.yaml", *SINGLE, "networkpolicy.yaml", "ambient.yaml", "externalsecret.yaml"],
)
def test_a_file_says_what_to_change(path: str) -> None:
    head = (KUBERNETES / path).read_text(encoding="utf-8").partition("apiVersion")[0]
    assert head.startswith("# ")
    assert "\n# Change: " in head
    assert len(head.splitlines()) <= 8


def test_the_store_of_a_fleet_is_restricted_and_only_sidecars_reach_it() -> None:
    secret, deployment, service, policy = read(KUBERNETES / "fleet" / "valkey.yaml")
    spec = template(deployment)["spec"]
    labels = template(deployment)["metadata"]["labels"]
    assert not faults(spec)
    assert service["spec"]["selector"] == policy["spec"]["podSelector"]["matchLabels"] == labels
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": LABEL}}]
    assert f">{secret['stringData']['password']} " in secret["stringData"]["users.acl"]


def test_the_sidecar_gets_the_password_of_the_store() -> None:
    patch = pod("fleet/sidecar.yaml")
    (mount,), (volume,) = sidecar(patch)["volumeMounts"], patch["volumes"]
    assert mount["name"] == volume["name"]
    secret = read(KUBERNETES / "fleet" / "valkey.yaml")[0]
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]
    (item,) = volume["secret"]["items"]
    assert item["key"] in secret["stringData"]
    (said,) = re.findall(
        r"password_file: (\S+)}", (KUBERNETES / "fleet/kustomization.yaml").read_text("utf-8")
    )
    assert said == f"{mount['mountPath']}/{item['path']}"


def test_every_example_of_an_acl_is_the_one_that_is_tried() -> None:
    wanted = ACL.splitlines()[1].partition("~")[2]
    texts = [
        KUBERNETES / "fleet/valkey.yaml",
        ROOT / "deploy/compose/fleet/users.acl",
        ROOT / "docs/operations.md",
    ]
    for path in texts:
        assert wanted in path.read_text(encoding="utf-8"), path
