"""The files for OSS-Fuzz fit the harnesses."""

import zipfile
from pathlib import Path

import pytest
import yaml

from fuzz.harnesses import HARNESSES
from fuzz.oss_fuzz import write

FOLDER = Path(__file__).parents[2] / "fuzz" / "oss-fuzz"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("oss-fuzz")
    assert len(write(folder)) == len(HARNESSES)
    return folder


@pytest.mark.parametrize("name", HARNESSES)
def test_each_harness_becomes_a_target_with_seeds_and_words(name: str, written: Path) -> None:
    target = f"fuzz_{name.replace('-', '_')}"
    entry = (written / f"{target}.py").read_text(encoding="utf-8")
    compile(entry, target, "exec")
    assert f'HARNESSES["{name}"]' in entry
    assert '"' in (written / f"{target}.dict").read_text(encoding="utf-8")
    with zipfile.ZipFile(written / f"{target}_seed_corpus.zip") as seeds:
        assert seeds.namelist()


def test_the_project_is_one_of_python_and_names_the_repository_that_is_cloned() -> None:
    project = yaml.safe_load((FOLDER / "project.yaml").read_text(encoding="utf-8"))
    assert project["language"] == "python"
    assert project["fuzzing_engines"] == ["libfuzzer"]
    assert project["main_repo"] in (FOLDER / "Dockerfile").read_text(encoding="utf-8")
