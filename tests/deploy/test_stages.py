"""The stages of deploy/ci and who calls them; the image's locks."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STAGES = sorted(path.stem for path in (ROOT / "deploy" / "ci").glob("*.sh") if path.stem != "lib")
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
JOBS: dict[str, Any] = yaml.safe_load(WORKFLOW)["jobs"]


def test_the_workflow_runs_every_stage() -> None:
    assert JOBS["deploy"]["strategy"]["matrix"]["stage"] == STAGES


def test_the_workflow_takes_actions_by_commit_alone_and_may_only_read() -> None:
    uses = re.findall(r"uses: (.*)", WORKFLOW)
    assert uses
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", action) for action in uses)
    assert yaml.safe_load(WORKFLOW)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock", "requirements-dev.lock"])
def test_a_lock_has_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert all("\n    --hash=sha256:" in entry for entry in re.split(r"\n(?=\w)", text))


def test_the_image_is_installed_from_locks_alone() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    installs = re.findall(r"pip .*?(?:install|wheel)\b[^&\n]*", dockerfile)
    assert installs
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)
