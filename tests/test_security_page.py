"""docs/security.md names for each claim a test that is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
SECTION = PAGE[PAGE.index("## What stops them") : PAGE.index("## What does not stop them")]
ROWS = [line for line in SECTION.splitlines() if line.startswith("| ") and line != "| claim | test |"]
REFERENCE = re.compile(r"\[(?P<file>[^\]]+)\]\(\.\./(?P<link>[^)]+)\)|`(?P<test>test_\w+)`")


def references(row: str) -> list[tuple[str, str]]:
    """File and test of each reference; a test without a file is in the file before it."""
    found, file = [], ""
    for match in REFERENCE.finditer(row):
        if match["file"]:
            assert match["file"] == match["link"], row
            file = match["file"]
        else:
            found.append((file, match["test"]))
    return found


def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=[row.split("|")[1].strip()[:60] for row in ROWS])
def test_a_claim_is_held_by_tests_that_exist(row: str) -> None:
    _, claim, tests, _ = row.split("|")
    assert claim.strip().endswith(".")
    found = references(tests)
    assert found, "a claim without a test"
    for file, name in found:
        assert name in names_in(file), f"{file} has no {name}"


def test_all_groups_of_claims_are_seen() -> None:
    assert len(ROWS) > 25
    assert SECTION.count("| claim | test |") == 6


def test_readme_and_security_md_lead_to_the_page() -> None:
    assert "(docs/security.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(docs/security.md)" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE))))
def test_what_the_page_links_to_is_there(link: str) -> None:
    assert (ROOT / "docs" / link).exists()
