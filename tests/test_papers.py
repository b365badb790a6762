"""The papers for trust name files and tests that are there: threat model, support, OpenSSF's files."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from fuzz.harnesses import HARNESSES
from tests.test_security_page import names_in, references

ROOT = Path(__file__).parents[1]
PAPERS = ("SECURITY.md", "docs/threat-model.md", "docs/support.md", "docs/upgrading.md")
REPOSITORY = "https://github.com/camunda-auth-proxy/camunda-auth-proxy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

PASSING = [
    "description_good",
    "interact",
    "contribution",
    "contribution_requirements",
    "floss_license",
    "floss_license_osi",
    "license_location",
    "documentation_basics",
    "documentation_interface",
    "sites_https",
    "discussion",
    "english",
    "maintained",
    "repo_public",
    "repo_track",
    "repo_interim",
    "repo_distributed",
    "version_unique",
    "version_semver",
    "version_tags",
    "release_notes",
    "release_notes_vulns",
    "report_process",
    "report_tracker",
    "report_responses",
    "enhancement_responses",
    "report_archive",
    "vulnerability_report_process",
    "vulnerability_report_private",
    "vulnerability_report_response",
    "build",
    "build_common_tools",
    "build_floss_tools",
    "test",
    "test_invocation",
    "test_most",
    "test_continuous_integration",
    "test_policy",
    "tests_are_added",
    "tests_documented_added",
    "warnings",
    "warnings_fixed",
    "warnings_strict",
    "know_secure_design",
    "know_common_errors",
    "crypto_published",
    "crypto_call",
    "crypto_floss",
    "crypto_keylength",
    "crypto_working",
    "crypto_weaknesses",
    "crypto_pfs",
    "crypto_password_storage",
    "crypto_random",
    "delivery_mitm",
    "delivery_unsigned",
    "vulnerabilities_fixed_60_days",
    "vulnerabilities_critical_fixed",
    "no_leaked_credentials",
    "static_analysis",
    "static_analysis_common_vulnerabilities",
    "static_analysis_fixed",
    "static_analysis_often",
    "dynamic_analysis",
    "dynamic_analysis_unsafe",
    "dynamic_analysis_enable_assertions",
    "dynamic_analysis_fixed",
]
"""Of the passing badge (github.com/coreinfrastructure/best-practices-badge, criteria/criteria.yml)."""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(page: str, heading: str) -> list[str]:
    """Rows of all tables of a page whose heading begins so."""
    found, inside = [], False
    for line in page.splitlines():
        inside = line.startswith("|") and (inside or line.startswith(f"| {heading} |"))
        if inside and not line.startswith((f"| {heading} |", "|---")):
            found.append(line)
    return found


def missing(text: str) -> list[str]:
    """What a text names and is not there: a path in backticks, or a test of the file named before it."""
    found, file = [], ""
    for name in re.findall(r"`([^`]+)`", text):
        if re.fullmatch(r"test_\w+", name):
            if not file or name not in names_in(file):
                found.append(f"{file} {name}")
        elif "/" in name or re.fullmatch(
            r"\.?[\w-]+\.(md|toml|yml|lock)|LICENSE|Dockerfile|\.gitignore", name
        ):
            file = name
            if not (ROOT / name).exists():
                found.append(name)
    return found


THREATS = rows(read("docs/threat-model.md"), "attack")


@pytest.mark.parametrize("row", THREATS, ids=[row.split("|")[1].strip()[:60] for row in THREATS])
def test_an_attack_of_the_threat_model_has_tests_that_exist(row: str) -> None:
    _, attack, holds, tests, _ = row.split("|")
    assert attack.strip().endswith(".")
    assert holds.strip().endswith(".")
    found = references(tests)
    assert found, "an attack without a test"
    for file, name in found:
        assert name in names_in(file), f"{file} has no {name}"


def test_each_boundary_says_what_is_not_defended() -> None:
    page = read("docs/threat-model.md")
    boundaries = re.split(r"^### ", page, flags=re.M)[1:]
    assert [each[0] for each in boundaries] == list("123456789")
    assert len(THREATS) > 40
    for each in boundaries:
        assert "\nNot defended: " in each, each.splitlines()[0]


@pytest.mark.parametrize("paper", PAPERS)
def test_what_a_paper_links_to_is_there(paper: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", read(paper)) if "://" not in link]
    assert links
    assert not [link for link in links if not (ROOT / paper).parent.joinpath(link).exists()]


def test_the_way_to_the_papers_begins_at_the_readme() -> None:
    for link in ("(docs/threat-model.md)", "(docs/support.md)", "(SECURITY.md)", "(docs/upgrading.md)"):
        assert link in read("README.md")
    for link in (
        "(docs/threat-model.md)",
        "(docs/support.md)",
        "(security-insights.yml)",
        "(.bestpractices.json)",
    ):
        assert link in read("SECURITY.md")


def test_the_pythons_that_are_supported_are_those_that_the_suite_runs_on() -> None:
    pythons = [row.split("|")[1].strip() for row in rows(read("docs/support.md"), "Python")]
    jobs = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]
    assert sorted(pythons) == jobs["test"]["strategy"]["matrix"]["python"]
    assert f">={pythons[-1]}" == PROJECT["requires-python"]


def test_each_camunda_that_is_supported_is_one_that_the_proof_runs_on() -> None:
    supported = [row.split("|")[1].strip() for row in rows(read("docs/support.md"), "Camunda")]
    proved = read("docs/credentials.md").split("\n## Seen to work\n")[1]
    assert supported[:5] == ["8.10", "8.9", "8.8", "8.7", "8.6"]
    assert "8.6 to 8.10" in proved


INSIGHTS: dict[str, Any] = yaml.safe_load(read("security-insights.yml"))
INSIGHTS_SCHEMA = json.loads(read("tests/data/security_insights_schema.json"))


def test_security_insights_are_as_the_specification_has_them() -> None:
    Draft202012Validator.check_schema(INSIGHTS_SCHEMA)
    validator = Draft202012Validator(INSIGHTS_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert not [error.message for error in validator.iter_errors(INSIGHTS)]


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("header", "schema-version", "v2"),
        ("header", "last-updated", "today"),
        ("project", "administrators", []),
        ("project", "security-contact", "x@example.com"),
        ("repository", "status", "good"),
        ("repository", "url", "camunda-auth-proxy"),
    ],
)
def test_the_schema_of_security_insights_finds_mistakes(section: str, key: str, value: object) -> None:
    wrong = INSIGHTS | {section: INSIGHTS[section] | {key: value}}
    assert list(Draft202012Validator(INSIGHTS_SCHEMA).iter_errors(wrong))


def test_security_insights_name_this_repository_and_files_of_it() -> None:
    text = read("security-insights.yml")
    assert PROJECT.get("urls", {}).get("Source", REPOSITORY) == REPOSITORY == INSIGHTS["repository"]["url"]
    files = re.findall(rf"{REPOSITORY}/blob/main/(\S+)", text)
    assert len(files) > 10
    named = [each for tool in INSIGHTS["repository"]["security"]["tools"] for each in tool["rulesets"]]
    comments = re.findall(r"\(([\w./-]+)\)\.?$", text, re.M)
    assert len(comments) > 5
    for file in (*files, *(each for each in named if each != "default"), *comments):
        assert (ROOT / file).exists(), file
    assert f"{len(HARNESSES)} harnesses" in text


def test_the_answers_for_the_badge_are_those_to_its_questions() -> None:
    answers = json.loads(read(".bestpractices.json"))
    assert len(PASSING) == 67
    assert set(answers) == {f"{each}_{part}" for each in PASSING for part in ("status", "justification")}
    assert {answers[f"{each}_status"] for each in PASSING} == {"Met", "Unmet", "N/A"}


@pytest.mark.parametrize("criterion", PASSING)
def test_an_answer_for_the_badge_names_a_file_or_a_test_that_exists(criterion: str) -> None:
    words = json.loads(read(".bestpractices.json"))[f"{criterion}_justification"]
    assert re.search(r"`[^`]*[./][^`]*`|`LICENSE`", words), "it names no file"
    assert not missing(words)


def test_what_is_missing_is_found() -> None:
    assert missing("`tests/test_papers.py`, `test_what_is_missing_is_found`, `LICENSE`, `GET /x`"[:-11]) == []
    assert missing("`tests/nowhere.py`") == ["tests/nowhere.py"]
    assert missing("`tests/test_papers.py`, `test_not_there`") == ["tests/test_papers.py test_not_there"]
