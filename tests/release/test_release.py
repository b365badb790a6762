"""The steps of a release that read and write text, and what the workflow `release` may do."""

import hashlib
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.release import (
    PLACES,
    Wrong,
    begin,
    disagreements,
    main,
    named,
    notes,
    prepare,
    requirements,
    section,
    source_of,
    versions,
)

ROOT = Path(__file__).parents[2]
SOURCE = "https://example.org/them/it"
CHANGELOG = """\
# Changes

Words.

## 1.3.0 (unreleased)

### Added

- A thing ([page](docs/page.md#part), [here](#anchor), [there](https://example.org/x)).

## 1.2.0 (2026-01-31)

- Old.
"""
MANIFEST = """\
image: camunda-auth-proxy:1.3.0
others: [not-camunda-auth-proxy-at-all:1.3.0, "camunda-auth-proxy:latest", other: 1.3.0]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a place of each kind."""
    files = {
        "CHANGELOG.md": CHANGELOG,
        "pyproject.toml": f'fallback-version = "1.3.0.dev0"\n[project.urls]\nSource = "{SOURCE}"\n',
        "deploy/helm/chart/Chart.yaml": "apiVersion: v2\nversion: 1.3.0\nappVersion: 1.3.0\n",
        "deploy/helm/chart/values.yaml": "image:\n  tag: 1.3.0\n",
        "deploy/kubernetes/component/kustomization.yaml": "images:\n  - name: x\n    newTag: 1.3.0\n",
        "deploy/plain.yaml": MANIFEST,
        "README.md": "Run `docker build --tag camunda-auth-proxy:1.3.0 .`\n",
        "docs/page.md": "Load camunda-auth-proxy:1.3.0.\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def changed(paths: list[Path], root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in paths}


def test_notes_are_the_section_of_the_version_with_links_that_work_elsewhere() -> None:
    assert notes(CHANGELOG, "1.3.0", SOURCE) == (
        "### Added\n\n"
        "- A thing ([page](https://example.org/them/it/blob/v1.3.0/docs/page.md#part), [here](#anchor), "
        "[there](https://example.org/x)).\n"
    )
    assert notes(CHANGELOG, "1.2.0", SOURCE) == "- Old.\n"


def test_a_version_without_a_section_has_no_notes() -> None:
    with pytest.raises(Wrong, match=r"no section «## 1\.3 \(DATE\)»"):
        notes(CHANGELOG, "1.3", SOURCE)
    with pytest.raises(Wrong, match="no heading of the form"):
        versions("# Changes\n\n## Unreleased\n")


def test_the_notes_of_this_version_lead_to_files_that_exist() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, _ = versions(changelog)[0]
    text = notes(changelog, version, source_of(ROOT))
    links = re.findall(r"\]\(([^()\s]+)\)", text)
    begins = f"{source_of(ROOT)}/blob/v{version}/"
    ours = [link.removeprefix(begins) for link in links if link.startswith(begins)]
    assert len(ours) > 3
    assert all((ROOT / link.partition("#")[0]).exists() for link in ours)
    assert [link for link in links if ":" not in link and not link.startswith("#")] == []


def test_a_repository_that_agrees_has_nothing_to_say(root: Path) -> None:
    assert disagreements(root) == []
    assert disagreements(ROOT) == []


def test_each_place_that_names_another_version_is_told_with_its_line(root: Path) -> None:
    found = list(named(root))
    assert len(found) == 8
    for path, line, _ in found:
        kept = path.read_text(encoding="utf-8")
        lines = kept.split("\n")
        lines[line - 1] = lines[line - 1].replace("1.3.0", "1.2.0")
        path.write_text("\n".join(lines), encoding="utf-8")
        (said,) = disagreements(root)
        assert said.startswith(f"{path.relative_to(root)}:{line} says 1.2.0"), said
        assert "run scripts/release.py prepare 1.3.0" in said
        path.write_text(kept, encoding="utf-8")


def test_every_place_here_that_names_our_version_is_known() -> None:
    version, _ = versions((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))[0]
    names_it = re.compile(rf"(image|tag|ersion).*\b{re.escape(version)}\b")
    files = [ROOT / name for name in ("README.md", "pyproject.toml", "Dockerfile")]
    for pattern in ("deploy/**/*.yaml", "deploy/**/*.md", "deploy/**/*.sh"):
        files += ROOT.glob(pattern)
    there = {
        (path, number)
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if names_it.search(line)
    }
    assert len(there) > 10
    assert there <= {(path, line) for path, line, _ in named(ROOT)}


def test_a_tag_has_to_be_that_of_the_newest_section_with_a_date(root: Path) -> None:
    early = disagreements(root, "v1.3.0")
    assert [each.split(":")[0] for each in early] == ["CHANGELOG.md calls 1.3.0 unreleased"]
    prepare(root, "1.3.0", date(2026, 2, 1))
    assert disagreements(root, "v1.3.0") == []
    for tag in ("v1.2.0", "1.3.0", "v1.3.0rc1", "v1.3.0 "):
        (said,) = disagreements(root, tag)
        assert said.startswith(f"The tag {tag} is not v1.3.0"), said


def test_another_repository_does_not_publish_under_these_addresses(root: Path) -> None:
    assert disagreements(root, repository="Them/It") == []
    for other in ("them/it2", "us/it", "hem/it"):
        (said,) = disagreements(root, repository=other)
        assert "change the addresses in pyproject.toml" in said


def test_prepare_writes_version_and_date_everywhere_and_nothing_else(root: Path) -> None:
    files = prepare(root, "2.0.0", date(2026, 2, 1))
    assert changed(files, root) == {
        *("CHANGELOG.md", "pyproject.toml", "README.md", "docs/page.md", "deploy/plain.yaml"),
        *("deploy/helm/chart/Chart.yaml", "deploy/helm/chart/values.yaml"),
        "deploy/kubernetes/component/kustomization.yaml",
    }
    assert {version for _, _, version in named(root)} == {"2.0.0"}
    assert versions((root / "CHANGELOG.md").read_text(encoding="utf-8")) == [
        ("2.0.0", "2026-02-01"),
        ("1.2.0", "2026-01-31"),
    ]
    assert disagreements(root, "v2.0.0") == []
    assert (root / "deploy/plain.yaml").read_text(encoding="utf-8") == MANIFEST.replace(
        "image: camunda-auth-proxy:1.3.0", "image: camunda-auth-proxy:2.0.0"
    )
    assert prepare(root, "2.0.0", date(2026, 2, 1)) == []


def test_begin_opens_a_section_above_the_released_one(root: Path) -> None:
    with pytest.raises(Wrong, match="an unreleased section already"):
        begin(root, "1.4.0")
    prepare(root, "1.3.0", date(2026, 2, 1))
    with pytest.raises(Wrong, match=r"run scripts/release\.py begin 1\.4\.0"):
        prepare(root, "1.4.0", date(2026, 2, 2))
    begin(root, "1.4.0")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [day for _, day in versions(changelog)] == ["unreleased", "2026-02-01", "2026-01-31"]
    assert section(changelog, "1.4.0").strip() == ""
    assert section(changelog, "1.3.0").startswith("### Added")
    assert disagreements(root) == []


def test_a_version_has_three_numbers(root: Path) -> None:
    for wrong in ("1.4", "v1.4.0", "1.4.0rc1", "1.4.0-SNAPSHOT", ""):
        with pytest.raises(Wrong, match=r"not a version of the form 1\.2\.3"):
            prepare(root, wrong, date(2026, 2, 1))
    assert disagreements(root) == []


def test_the_requirements_name_each_wheel_by_its_hash(tmp_path: Path) -> None:
    for kind in ("py3-none-any", "cp311-cp311-manylinux_2_17_x86_64"):
        (tmp_path / f"camunda_auth_proxy-1.3.0-{kind}.whl").write_bytes(kind.encode())
    (tmp_path / "camunda_auth_proxy-1.3.0.tar.gz").write_bytes(b"no wheel")
    wanted = [
        hashlib.sha256(kind).hexdigest() for kind in (b"cp311-cp311-manylinux_2_17_x86_64", b"py3-none-any")
    ]
    assert requirements(tmp_path, "aiohttp==3 \\\n    --hash=sha256:0\n") == (
        f"camunda-auth-proxy==1.3.0 \\\n    --hash=sha256:{wanted[0]} \\\n    --hash=sha256:{wanted[1]}\n"
        "aiohttp==3 \\\n    --hash=sha256:0\n"
    )
    (tmp_path / "camunda_auth_proxy-1.2.0-py3-none-any.whl").write_bytes(b"old")
    with pytest.raises(Wrong, match="the wheels of one version"):
        requirements(tmp_path, "")


def test_at_the_command_line_a_disagreement_is_1_and_wrong_use_2(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--tag", "v1.3.0"], root) == 1
    assert "unreleased" in capsys.readouterr().err
    assert main(["notes", "9.9.9"], root) == 2
    assert main(["version"], root) == 0
    assert capsys.readouterr().out == "1.3.0\n"
    assert main(["prepare", "1.3.0", "--date", "2026-02-01"], root) == 0
    assert capsys.readouterr().out == "CHANGELOG.md\n"
    assert main(["check", "--tag", "v1.3.0", "--repository", "them/it"], root) == 0


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What the image's build has: the project without git."""
    for name in ("pyproject.toml", "README.md", "LICENSE", ".git_archival.txt", "scripts/compile_hook.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(
        ROOT / "proxy", tmp_path / "proxy", ignore=shutil.ignore_patterns("__pycache__", "_version.py")
    )
    return tmp_path


def test_without_a_build_the_version_is_said_to_be_unknown(source: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import proxy; print(proxy.__version__)"],
        cwd=source,
        env={"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "0+unknown\n"


RELEASE: dict[str, Any] = yaml.safe_load(
    (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
)["jobs"]


def test_only_a_tag_publishes_and_only_after_everything_was_tested_and_built() -> None:
    def before(name: str) -> set[str]:
        needs = RELEASE[name].get("needs", [])
        needs = {needs} if isinstance(needs, str) else set(needs)
        return needs.union(*map(before, needs))

    writing = {name for name, job in RELEASE.items() if "write" in job.get("permissions", {}).values()}
    assert all({"plan", "tests"} <= before(name) for name in writing)
    public = {name for name in writing if "environment" in RELEASE[name]}
    assert public == {"publish-image", "publish-packages", "announce"}
    for name in public:
        assert RELEASE[name]["if"] == "github.ref_type == 'tag'", name
        assert {"plan", "tests", "packages", "image"} <= before(name), name
    assert RELEASE["tests"]["uses"] == "$/.github/workflows/ci.yml"
    assert before("announce") == set(RELEASE) - {"announce"}


def test_a_job_has_no_more_rights_than_its_steps_need() -> None:
    rights = {name: job["permissions"] for name, job in RELEASE.items() if "permissions" in job}
    signs = {"id-token": "write", "attestations": "write"}
    assert rights == {
        "tests": {"contents": "read"},
        "packages": {"contents": "read", **signs},
        "image": {"contents": "read", "packages": "write"},
        "publish-image": {"contents": "read", "packages": "write", **signs},
        "publish-packages": {"id-token": "write"},
        "announce": {"contents": "write"},
    }


def test_no_step_of_the_release_puts_an_expression_into_a_shell() -> None:
    steps = [step for job in RELEASE.values() for step in job.get("steps", []) if "run" in step]
    assert len(steps) > 8
    assert [step["run"] for step in steps if "${{" in step["run"]] == []


def test_every_pattern_of_a_place_finds_one_here() -> None:
    for files, pattern in PLACES:
        texts = [
            path.read_text(encoding="utf-8")
            for path in ROOT.glob(files)
            if path.suffix in {".md", ".yaml", ".toml"}
        ]
        assert any(re.search(pattern, text, re.MULTILINE) for text in texts), (files, pattern)
