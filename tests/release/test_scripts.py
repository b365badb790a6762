"""scripts/release-image and release-chart, with a docker and a helm that write down what they are told."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKER = """\
#!/usr/bin/env python3
import json, sys
from pathlib import Path

arguments = sys.argv[1:]
with Path(__file__).with_name("log").open("a") as log:
    log.write(json.dumps(arguments) + "\\n")
if "--metadata-file" in arguments:
    file = Path(arguments[arguments.index("--metadata-file") + 1])
    file.write_text(json.dumps({"containerimage.digest": "sha256:b0"}))
elif "SPDX" in arguments[-1]:
    print("{}")
elif "inspect" in arguments:
    print("sha256:1d")
"""
GIT = """\
#!/bin/sh
[ "$1" = log ] && echo 1764500000 || echo c0ffee
"""
HELM = """\
#!/bin/sh
[ "$1" = lint ] || cat "$2/values.yaml"
"""


class Script:
    """Runs a script of the release with the fakes first in PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (("docker", DOCKER), ("git", GIT), ("helm", HELM)):
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o755)

    def run(self, name: str, *arguments: str, **environ: str) -> tuple[int, str]:
        path = f"{self.folder}:{os.environ['PATH']}"
        command = [str(ROOT / "scripts" / name), *arguments]
        done = subprocess.run(
            command, env={"PATH": path, **environ}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout or done.stderr

    def told(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "log").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


IMAGE = {
    "IMAGE": "registry.example/us/camunda-auth-proxy",
    "VERSION": "1.3.0",
    "BASE": "python:3.13-slim@sha256:ba5e",
    "SOURCE": "https://example.org/us/it",
}


def test_the_base_is_that_of_the_dockerfile_with_its_digest(script: Script) -> None:
    assert script.run("release-image", "base") == (0, "python:3.13-slim@sha256:1d\n")


@pytest.mark.parametrize("push", ["true", "false", ""])
def test_a_platform_is_built_on_the_base_by_digest_and_pushed_only_if_asked(
    script: Script, push: str
) -> None:
    assert script.run("release-image", "build", "linux/arm64", **IMAGE, PUSH=push) == (0, "sha256:b0\n")
    build = script.told()[-1]
    assert build[build.index("--platform") + 1] == "linux/arm64"
    assert {"PYTHON_IMAGE=python:3.13-slim@sha256:ba5e", "VERSION=1.3.0", "REVISION=c0ffee"} <= set(build)
    assert "org.opencontainers.image.base.digest=sha256:ba5e" in build
    assert {"--sbom=true", "--provenance=mode=max"} <= set(build)
    output = dict(each.split("=") for each in build[build.index("--output") + 1].split(","))
    assert output["push"] == (push or "false")
    assert (output["name"], output["push-by-digest"]) == (IMAGE["IMAGE"], "true")


def test_a_base_without_a_digest_is_refused(script: Script) -> None:
    code, said = script.run("release-image", "build", "linux/amd64", **{**IMAGE, "BASE": "python:3.13-slim"})
    assert (code, said) == (2, "BASE has no digest: python:3.13-slim\n")
    assert not (script.folder / "log").exists()


def test_the_platforms_become_one_image_with_three_tags(script: Script) -> None:
    assert script.run("release-image", "index", "sha256:a", "sha256:b", **IMAGE) == (0, "sha256:1d\n")
    name = IMAGE["IMAGE"]
    tags = [part for tag in ("1.3.0", "1.3", "latest") for part in ("--tag", f"{name}:{tag}")]
    assert script.told()[0] == [
        *("buildx", "imagetools", "create"),
        *tags,
        f"{name}@sha256:a",
        f"{name}@sha256:b",
    ]


def test_each_platform_has_its_bill_of_materials(script: Script) -> None:
    assert script.run("release-image", "bills", "sha256:a", str(script.folder / "out"), **IMAGE)[0] == 0
    assert sorted(path.name for path in (script.folder / "out").iterdir()) == [
        "camunda-auth-proxy-1.3.0-amd64.spdx.json",
        "camunda-auth-proxy-1.3.0-arm64.spdx.json",
    ]


def test_another_word_is_wrong_use(script: Script) -> None:
    code, said = script.run("release-image", "push")
    assert code == 2
    assert said.startswith("Use: release-image")


def test_the_chart_names_the_image_by_digest_if_it_is_told_one(script: Script) -> None:
    digest = "sha256:" + "d" * 64
    code, values = script.run("release-chart", str(script.folder), IMAGE["IMAGE"], digest)
    assert code == 0
    ours = (ROOT / "deploy/helm/camunda-auth-proxy/values.yaml").read_text(encoding="utf-8").splitlines()
    lines = values.splitlines()
    assert f"  repository: {IMAGE['IMAGE']}" in lines
    assert f"  digest: {digest}" in lines
    assert len([1 for old, new in zip(ours, lines, strict=True) if old != new]) == 2
    assert script.run("release-chart", str(script.folder)) == (0, "\n".join(ours) + "\n")
