"""What users wrote for earlier states works and means the same, or the table of upgrades says what to change.

`scripts/upgrading --snapshot VERSION` adds a state, with each release. Before 0.1.0 there was no release,
so the first three are of copies of the repository: with the first CHANGELOG.md (commit 94b7830), with all of
deploy/ (31b1fcd), and before access rules and callers (fc72b18).
"""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config.upgrades import Change, Upgrades, upgrades
from proxy.errors import ConfigError
from tests.upgrades.present import ROOT, configurations, loaded, means, names

FOLDER = ROOT / "tests" / "data" / "upgrades"
STATES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def state(name: str) -> dict[str, Any]:
    kept: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return kept


def later(name: str) -> Upgrades:
    return upgrades().since(name, "999.0")


KEPT = [(name, where) for name in STATES for where in state(name)["configurations"]]


def test_there_are_earlier_states() -> None:
    assert "2026-11-22" in STATES
    assert len(STATES) >= 3
    assert len(KEPT) > 20


@pytest.mark.parametrize(("name", "where"), KEPT, ids=[" ".join(each) for each in KEPT])
def test_an_earlier_configuration_loads_or_names_the_new_setting(
    name: str, where: str, tmp_path: Path
) -> None:
    kept = state(name)["configurations"][where]
    try:
        config = loaded(kept["text"], tmp_path)
    except ConfigError as error:
        new = [change.new.rpartition(".")[2] for change in later(name).changes if change.kind == "setting"]
        for problem in error.problems:
            assert any(f"write {each}" in problem.message for each in new), str(problem)
        return
    for before, now in zip(kept["means"], means(config), strict=True):
        assert before == now or excused(before, now, later(name)), f"{before}\nbecame\n{now}"


def excused(before: str, now: str, table: Upgrades) -> bool:
    """Whether only the URL has changed, and a row about the URLs of clusters says so."""
    told = any(change.new == "upstreams.*.url" for change in table.changes)
    return told and _but_url(before) == _but_url(now)


def _but_url(line: str) -> list[str]:
    return [part for part in line.split() if ".camunda.io" not in part or "/" not in part]


@pytest.mark.parametrize("name", STATES)
def test_a_name_that_is_gone_has_a_row(name: str) -> None:
    old = {change.old for change in later(name).changes}
    for what, now in names().items():
        assert set(state(name)["names"][what]) - now <= old, what


@pytest.mark.parametrize("name", STATES)
def test_a_name_that_is_new_is_listed(name: str) -> None:
    for what, now in names().items():
        added = tuple(each for row in later(name).added for each in getattr(row, what))
        sections = tuple(f"{each}." for each in added)
        came = now - set(state(name)["names"][what])
        assert not [each for each in came if each not in added and not each.startswith(sections)], what


def test_the_next_snapshot_will_hold_what_users_copy(tmp_path: Path) -> None:
    found = configurations()
    assert {
        "config.example.yaml",
        "deploy/systemd/config.yaml",
        "deploy/kubernetes/plain.yaml",
        "README.md 1",
    } <= set(found)
    for number, text in enumerate(found.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert means(loaded(text, folder))


def test_a_changed_meaning_without_a_row_is_noticed() -> None:
    row = Change(date(2026, 11, 30), "0.1.0", "default", "x.", new="upstreams.*.url")
    old, new = "zeebe zeebe l https://a.zeebe.camunda.io/ID c", "zeebe zeebe l https://a.api.camunda.io/ID c"
    assert excused(old, new, Upgrades((row,), ()))
    assert not excused(old, new, Upgrades((), ()))
    assert not excused(old, new.replace(" l ", " m "), Upgrades((row,), ()))
