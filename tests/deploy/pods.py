"""What no pod of ours may do, and where pods are in what Kubernetes is given."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from proxy.config.load import load
from proxy.config.model import Config
from tests.federated import unsigned

Object = dict[str, Any]

SIDECAR = "camunda-auth-proxy"
LABEL = {SIDECAR: "sidecar"}
SECRETS = "/run/secrets/camunda/"
VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
"""Kinds that the Pod Security Standard "restricted" allows."""


def objects(text: str) -> list[Object]:
    return [each for each in yaml.safe_load_all(text) if each]


def template(workload: Object) -> Object:
    """The pod template of a Deployment, StatefulSet, Job or CronJob."""
    spec = workload["spec"]
    found: Object = (spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec)["template"]
    return found


def containers(pod: Object) -> list[Object]:
    return [*pod.get("initContainers", []), *pod.get("containers", [])]


def sidecar(pod: Object) -> Object:
    (found,) = (each for each in containers(pod) if each["name"] == SIDECAR)
    return found


def volumes(pod: Object) -> list[Object]:
    """The sidecar's, without the name of the ConfigMap: it may have a hash."""
    found = [each for each in pod["volumes"] if each["name"].startswith(SIDECAR)]
    return [{**each, "configMap": None} if "configMap" in each else each for each in found]


def faults(pod: Object) -> list[str]:
    """What is against the Pod Security Standard "restricted", or against our own rules on top of it."""
    return [
        *_of_the_pod(pod),
        *(f"{each['name']}: {it}" for each in containers(pod) for it in _of(each, pod)),
    ]


def _of_the_pod(pod: Object) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield name
    if pod.get("automountServiceAccountToken") is not False:
        yield "a service account's token is mounted"
    for volume in pod.get("volumes", []):
        if set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']}"
    ports = [port["name"] for each in containers(pod) for port in each.get("ports", [])]
    if len(set(ports)) < len(ports):
        yield "two ports of one name"


def _of(container: Object, pod: Object) -> Iterator[str]:
    yield from _privileges(container.get("securityContext", {}))
    resources = container.get("resources", {})
    if "memory" not in resources.get("limits", {}):
        yield "no memory limit"
    if "cpu" in resources.get("limits", {}) or "cpu" not in resources.get("requests", {}):
        yield "a CPU limit, or no CPU request"
    if container.get("restartPolicy", "Always") != "Always":
        yield "restartPolicy"
    known = {volume["name"] for volume in pod.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in known:
            yield f"volume {mount['name']} is not there"
        if mount.keys() & {"subPath", "subPathExpr"}:
            yield "subPath: would never see a new secret"
    yield from _environment(container)
    yield from _ports(container)


def _privileges(context: Object) -> Iterator[str]:
    wanted = {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    yield from (name for name, value in wanted.items() if context.get(name) != value)
    if not isinstance(context.get("runAsUser"), int) or context["runAsUser"] == 0:
        yield "runAsUser"
    if context.get("privileged") or context.get("procMount", "Default") != "Default":
        yield "privileged"


def _environment(container: Object) -> Iterator[str]:
    for variable in container.get("env", []):
        if "secretKeyRef" in variable.get("valueFrom", {}):
            yield f"a secret in the variable {variable['name']}"
    if any("secretRef" in each for each in container.get("envFrom", [])):
        yield "secrets in variables"


def _ports(container: Object) -> Iterator[str]:
    ports = container.get("ports", [])
    for port in ports:
        if len(port["name"]) > 15:  # IANA_SVC_NAME
            yield f"port name {port['name']}"
        if "hostPort" in port:
            yield "hostPort"
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container.get(name, {}).get("httpGet", {})
        if asked and asked["port"] not in [port["name"] for port in ports]:
            yield f"{name} asks a port that is not there"
        if "host" in asked:  # of the node, not of the pod
            yield f"{name} asks another host"


def configuration(text: str, folder: Path) -> Config:
    """Loads a configuration, with the secret files that it names put into the folder."""
    (folder / "client_secret").write_text("secret", encoding="utf-8")
    (folder / "token").write_text(unsigned(), encoding="utf-8")
    (folder / "config.yaml").write_text(text.replace(SECRETS, f"{folder}/"), encoding="utf-8")
    return load(config=Path("config.yaml"), env_file=None, environ={}, directory=folder)
