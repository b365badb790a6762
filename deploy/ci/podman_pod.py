#!/usr/bin/env python3
"""Makes of a rendered workload what `podman play kube` can run: podman_pod.py FOLDER <RENDERED >POD

podman 4.3 knows no native sidecars, projected volumes, probes by the name of a port, lifecycle, nor ports in
a loopback. So the sidecar becomes a plain container; the Secret a folder of this machine, laid out as the
kubelet does it; the rest of these is left out. What stays: images, commands, users, privileges, mounts.
FOLDER has `secret` and `simulated` for the two volumes; beside app and sidecar runs the simulated Camunda.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

SIDECAR = "camunda-auth-proxy"
UNKNOWN = {"restartPolicy", "startupProbe", "livenessProbe", "lifecycle", "ports"}


def host(name: str, path: Path) -> dict[str, Any]:
    return {"name": name, "hostPath": {"path": str(path), "type": "Directory"}}


def camunda(sidecar: dict[str, Any]) -> dict[str, Any]:
    secret = "/secret/client_secret"  # noqa: S105 -- a path
    return {
        "name": "camunda",
        "image": sidecar["image"],
        "command": ["python", "/simulated/simulated.py", "127.0.0.1", "127.0.0.1", secret],
        "securityContext": sidecar["securityContext"],
        "volumeMounts": [
            {"name": "camunda-auth-proxy-secret", "mountPath": "/secret", "readOnly": True},
            {"name": "simulated", "mountPath": "/simulated", "readOnly": True},
        ],
    }


def pod(workload: dict[str, Any], folder: Path) -> dict[str, Any]:
    template = workload["spec"]["template"]
    spec = template["spec"]
    containers = [*spec.pop("initContainers", []), *spec["containers"]]
    (sidecar,) = (each for each in containers if each["name"] == SIDECAR)
    for name in UNKNOWN:
        sidecar.pop(name, None)
    volumes = [each for each in spec["volumes"] if "projected" not in each]
    spec["volumes"] = [
        *volumes,
        host("camunda-auth-proxy-secret", folder / "secret"),
        host("simulated", folder / "simulated"),
    ]
    spec["containers"] = [camunda(sidecar), *containers]
    name = workload["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": template["metadata"]["labels"]},
        "spec": spec,
    }


def main(folder: Path) -> None:
    objects = list(yaml.safe_load_all(sys.stdin))
    made = [each if each["kind"] == "ConfigMap" else pod(each, folder) for each in objects]
    yaml.safe_dump_all(made, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
