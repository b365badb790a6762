"""The stages of deploy/ci and who calls them; the image's locks."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STAGES = sorted(path.stem for path in (ROOT / "deploy" / "ci").glob("*.sh") if path.stem != "lib")
WORKFLOWS = {
    path.name: path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").iterdir()
}
JOBS: dict[str, Any] = yaml.safe_load(WORKFLOWS["ci.yml"])["jobs"]
LOCKS = sorted(
    str(path.relative_to(ROOT))
    for folder in (".", "fuzz", "deploy/ci/tools", "tests/real", "tests/real/clients")
    for path in (ROOT / folder).glob("*.lock")
)


def test_the_workflow_runs_every_stage() -> None:
    assert JOBS["deploy"]["strategy"]["matrix"]["stage"] == STAGES


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_takes_actions_by_commit_alone_and_may_only_read(name: str) -> None:
    uses = re.findall(r"uses: (.*)", WORKFLOWS[name])
    assert uses
    others = [action for action in uses if action != "$/.github/workflows/ci.yml"]
    assert all(re.fullmatch(r"[\w-]+(/[\w-]+)+@[0-9a-f]{40} # v[\d.]+", action) for action in others)
    assert yaml.safe_load(WORKFLOWS[name])["permissions"] == {"contents": "read"}


def test_whatever_the_stages_install_with_pip_is_pinned_by_hash() -> None:
    scripts = [*(ROOT / "deploy" / "ci").glob("*.sh"), *(ROOT / "tests" / "real").glob("*.sh")]
    scripts += [ROOT / "fuzz" / "run", ROOT / "bench" / "run", *(ROOT / "scripts").iterdir()]
    texts = [path.read_text(encoding="utf-8").replace("\\\n", " ") for path in scripts if path.name != "lock"]
    installs = [line for text in texts for line in re.findall(r"pip (?:install|download)\b.*", text)]
    assert len(installs) > 5
    bare = [
        line for line in installs if "--require-hashes" not in line and "--no-deps --editable ." not in line
    ]
    assert not [line for line in bare if "apt install" not in line]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert all("\n    --hash=sha256:" in entry for entry in re.split(r"\n(?=\w)", text))


def test_the_image_is_installed_from_locks_alone() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    installs = re.findall(r"pip .*?(?:install|wheel)\b[^&\n]*", dockerfile)
    assert installs
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)
