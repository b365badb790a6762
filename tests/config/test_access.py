"""Access rules as they are written: what they mean, and what is wrong with them."""

import re
from pathlib import Path

import pytest

from proxy.app.upstreams import access_rules
from proxy.commands.tables import configuration
from proxy.config.document.file import AccessDocument
from proxy.config.model import Access
from proxy.config.resolve.access import access
from proxy.config.written.findings import Findings, Written
from tests.config.writing import BEARER, read, refused


def upstream(rules: str, api: str = "zeebe") -> str:
    return f"upstreams:\n  x: {{api: {api}, listen: 19180, url: 'http://camunda:8080', {rules}}}\n{BEARER}"


def rules_of(folder: Path, rules: str, api: str = "zeebe") -> Access | None:
    return read(folder, upstream(rules, api)).upstreams[0].access


def notices(folder: Path, rules: str, api: str = "zeebe") -> list[str]:
    return [each for each in read(folder, upstream(rules, api)).notices if "upstreams.x" in each]


def test_without_rules_there_are_none(tmp_path: Path) -> None:
    assert rules_of(tmp_path, "audience: ''") is None
    assert rules_of(tmp_path, "read_only: false") is None
    (plain,) = read(tmp_path, upstream("read_only: false")).upstreams
    assert access_rules(plain.access, plain, "upstreams.x") is None


def test_rules_are_what_is_written(tmp_path: Path) -> None:
    assert rules_of(tmp_path, "read_only: true") == Access(read_only=True)
    written = "read_only: true, allow: [POST /v2/jobs/activation], deny: ['* /v2/users/**']"
    assert rules_of(tmp_path, written) == Access(True, ("POST /v2/jobs/activation",), ("* /v2/users/**",))
    assert str(rules_of(tmp_path, written)) == "read-only, 1 allowed, 1 denied"


WRONG = {  # rules: the setting, a part of the sentence
    "allow: [POST /v2/proces-instances]": (
        "allow[0]",
        "names no operation of this API; did you mean POST /v2/process-instances?",
    ),
    "deny: [POST /v2/user]": ("deny[0]", "did you mean POST /v2/users?"),
    "allow: [PUT /v2/process-instances]": ("allow[0]", "did you mean POST /v2/process-instances?"),
    "allow: [GET /v2/process-instances/search]": (
        "allow[0]",
        "did you mean POST /v2/process-instances/search?",
    ),
    "allow: [POST /V2/process-instances]": ("allow[0]", "did you mean POST /v2/process-instances?"),
    "allow: [POST /process-instances]": ("allow[0]", "names no operation"),
    "allow: ['* /v2/process-instance/**']": ("allow[0]", "names no operation"),
    "allow: [POST /v2/incidents/resolution]": (
        "allow[0]",
        "did you mean POST /v2/incidents/{incidentKey}/resolution?",
    ),
    "allow: [GET /quite/another/thing]": ("allow[0]", "an API that the proxy does not know is api: other"),
    "deny: [get /v2/topology]": ("deny[0]", "write GET"),
    "deny: [/v2/topology]": ("deny[0]", "must be a method and a path"),
    "deny: ['GET /v2/../x']": ("deny[0]", "can never match, because its path has a segment of dots"),
    "allow: ['POST /v2/**/search']": ("allow[0]", "** only at its end"),
    "allow: [POST /v2/users], deny: ['* /v2/users']": (
        "allow[0]",
        "can never match, because upstreams.x.deny[0] covers it, and deny wins",
    ),
    "allow: [GET /v2/users/a], deny: ['GET /v2/users/**']": ("allow[0]", "can never match"),
    "allow: []": ("allow", "is empty; name at least one rule, or leave it out"),
    "deny: POST /v2/users": ("deny", "must be a list"),
    "allow: [{a: b}]": ("allow[0]", "must be a single text"),
    "allow: ['']": ("allow[0]", "is empty"),
    "read_only: yes": ("read_only", "true or false"),
    "read_olny: true": ("read_olny", "did you mean read_only?"),
}


@pytest.mark.parametrize(("rules", "expected"), WRONG.items())
def test_a_wrong_rule_is_refused_with_its_line_and_what_to_write(
    tmp_path: Path, rules: str, expected: tuple[str, str]
) -> None:
    (problem,) = refused(tmp_path, upstream(rules))
    assert problem.startswith(f"upstreams.x.{expected[0]} (line 2)")
    assert expected[1] in problem


def test_all_wrong_rules_are_told_at_once_each_with_its_own_line(tmp_path: Path) -> None:
    text = f"""\
upstreams:
  zeebe:
    url: http://camunda:8080
    allow:
      - POST /v2/usrs
      - POST /v2/users
      - post /v2/users
    deny:
      - GET /v2/topolgy
{BEARER}"""
    found = [problem.partition(":")[0] for problem in refused(tmp_path, text)]
    assert found == [
        f"upstreams.zeebe.{place}" for place in ("allow[0] (line 5)", "allow[2] (line 7)", "deny[0] (line 9)")
    ]


def test_the_rules_of_each_api_are_compared_with_its_own_operations(tmp_path: Path) -> None:
    for api, rule in (
        ("zeebe", "POST /v1/tasks/search"),
        ("optimize", "POST /api/public/import"),
        ("console", "DELETE /clusters/*"),
        ("modeler", "POST /api/v1/files"),
        ("hub", "POST /api/v2/files"),
    ):
        assert rules_of(tmp_path, f"allow: [{rule}]", api) is not None
        wrong = "zeebe" if api != "zeebe" else "hub"
        (problem,) = refused(tmp_path, upstream(f"allow: [{rule}]", wrong))
        assert "names no operation" in problem


def test_an_api_that_is_not_known_takes_every_rule(tmp_path: Path) -> None:
    assert rules_of(tmp_path, "allow: [POST /engine-rest/message], deny: ['* /x/**']", "other") is not None
    (problem,) = refused(tmp_path, upstream("allow: [POST engine-rest]", "other"))
    assert "begins with /" in problem


NOTICES = {
    "read_only: true, allow: [POST /v2/users/search]": "upstreams.x.allow[0] has no effect: read_only",
    "read_only: true, allow: [POST /mcp/cluster]": "upstreams.x.allow[0] lets every MCP tool pass",
    "read_only: true, allow: ['* /mcp/**']": "upstreams.x.allow[0] lets every MCP tool pass",
    "read_only: true, allow: ['GET /actuator/**']": "upstreams.x.allow[0] also names what hands out",
    "allow: [POST /v2/users, 'POST /v2/*']": "upstreams.x.allow[0] has no effect: upstreams.x.allow[1]",
    "deny: [GET /v2/topology, GET /v2/topology, '* /mcp/**']": "upstreams.x.deny[1] has no effect",
}


@pytest.mark.parametrize(("rules", "sentence"), NOTICES.items())
def test_a_rule_that_does_more_or_less_than_it_seems_gets_a_notice(
    tmp_path: Path, rules: str, sentence: str
) -> None:
    (notice,) = notices(tmp_path, rules)
    assert notice.startswith(sentence)


def test_usual_rules_get_no_notice(tmp_path: Path) -> None:
    allow = "allow: [POST /v2/jobs/activation, POST /v2/secrets/resolve]"
    usual = f"read_only: true, {allow}, deny: ['* /v2/users/**']"
    assert notices(tmp_path, usual) == []
    assert notices(tmp_path, "deny: [POST /v2/users, 'POST /mcp/**']") == []
    assert notices(tmp_path, "deny: [POST /api/v2/files]", "hub") == []
    (notice,) = notices(tmp_path, "deny: [POST /v2/users]")
    assert "says nothing about MCP" in notice
    assert notices(tmp_path, "allow: [POST /mcp/cluster, GET /v2/topology]") == []
    (notice,) = notices(tmp_path, "read_only: true", "other")
    assert "only what reads in one of Camunda's known APIs passes" in notice


def test_check_shows_the_rules_if_there_are_any(tmp_path: Path) -> None:
    two = upstream("read_only: true, allow: [POST /v2/jobs/activation]").replace(
        "credentials:", "  hub: {url: 'http://hub:8080'}\ncredentials:"
    )
    shown = configuration(read(tmp_path, two))
    assert re.search(r"localhost:19180 .* read-only, 1 allowed\n", shown)
    assert re.search(r"localhost:19088 .* all\n", shown)
    assert "access" not in configuration(read(tmp_path, upstream("read_only: false")))


def test_a_list_has_a_limit(tmp_path: Path) -> None:
    many = ", ".join(f"GET /v2/users/{number}" for number in range(501))
    (problem,) = refused(tmp_path, upstream(f"allow: [{many}]"))
    assert "may have 500 rules" in problem
    assert rules_of(tmp_path, f"allow: [{many.rpartition(', ')[0]}]") is not None


def test_a_value_of_a_variable_is_not_shown(tmp_path: Path) -> None:
    for rule in ("POST /v2/canary", "canary", "POST /v2/users", "POST /v2/users/../canary"):
        text = upstream("allow: ['${RULE}', '${RULE}'], deny: ['* /v2/users']")
        for problem in refused(tmp_path, text, {"RULE": rule}):
            assert "canary" not in problem


def test_rules_for_several_apis_may_name_an_operation_of_each(tmp_path: Path) -> None:
    """So a caller's rules are checked, who may use several upstreams."""
    findings = Findings(Written({}, {}), {})
    document = AccessDocument(allow=["POST /v2/users", "POST /api/v2/files", "GET /clusters"])
    assert access(document, ("callers", "bi"), ("zeebe", "hub"), findings) is not None
    (problem,) = findings.problems
    assert problem.path == "callers.bi.allow[2]"
