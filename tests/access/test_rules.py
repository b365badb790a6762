"""What may pass, by the rules of an upstream or a caller."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access.operations import Operations, operations
from proxy.access.pattern import Pattern, WrongRule
from proxy.access.rules import MESSAGE, AccessRules
from tests.access.test_operations import CHANGES, READS, SECRETS, UNKNOWN
from tests.access.test_spelling import UNCLEAR


def rules(
    *allow: str, read_only: bool = False, deny: tuple[str, ...] = (), api: str = "zeebe"
) -> AccessRules:
    return AccessRules("upstreams.x", Operations.below(api, ""), read_only, allow, deny)


def passes(those: AccessRules, request: str) -> bool:
    method, _, target = request.partition(" ")
    return those.decide(method.encode(), target.encode()) is None


def read_only(api: str) -> AccessRules:
    return rules(read_only=True, api=api)


def test_with_read_only_reads_pass() -> None:
    for api, method, target in READS:
        assert passes(read_only(api), f"{method} {target}"), target
        assert passes(read_only(api), f"{method} {target}?next=/../%2f;a#{method}"), target


@pytest.mark.parametrize("rows", [CHANGES, SECRETS, UNKNOWN])
def test_with_read_only_nothing_else_passes(rows: list[tuple[str, str, str]]) -> None:
    for api, method, target in rows:
        refusal = read_only(api).decide(method.encode(), target.encode())
        assert refusal is not None, target
        assert refusal.code in ("not_permitted", "ambiguous_request")
        assert target not in refusal.detail or "{" not in target


def test_every_operation_of_every_api_passes_if_it_reads_and_only_then() -> None:
    for api in ("zeebe", "operate", "tasklist", "optimize", "console", "modeler", "hub", "other"):
        those = read_only(api)
        for each in operations(api):
            if each.name != "mcp":
                target = re.sub(r"\{\w+\}", "search", each.path)
                assert passes(those, f"{each.method} {target}") is (each.kind == "reads"), each


@pytest.mark.parametrize("path", UNCLEAR)
@pytest.mark.parametrize(
    "those", [rules(read_only=True), rules("* /**", "* /*"), rules(deny=("GET /v2/users/**",))]
)
def test_where_there_is_a_rule_no_unclear_path_passes(those: AccessRules, path: bytes) -> None:
    if b"?" in path:
        return
    for method in (b"GET", b"POST", b"get"):
        refusal = those.decide(method, path)
        assert refusal is not None
        assert refusal.code == "ambiguous_request"


@given(st.sampled_from([b"GET", b"POST", b"DELETE", b"X"]), st.binary(max_size=80))
def test_any_bytes_are_decided(method: bytes, target: bytes) -> None:
    refusal = rules(read_only=True).decide(method, target)
    operation = Operations("zeebe").of(method, target)
    assert refusal is not None or (operation is not None and operation.kind == "reads")


def test_a_refusal_says_what_it_was_which_rule_and_what_to_do() -> None:
    refusal = rules(read_only=True).decide(b"POST", b"/v2/incidents/4711/resolution")
    assert refusal is not None
    assert (refusal.code, refusal.operation) == ("not_permitted", "resolveIncident")
    assert "resolveIncident (POST /v2/incidents/{incidentKey}/resolution) is not permitted" in refusal.detail
    assert "upstreams.x is read-only" in refusal.detail
    assert "`POST /v2/incidents/{incidentKey}/resolution` to upstreams.x.allow" in refusal.detail
    assert "4711" not in refusal.detail


def test_a_refusal_by_deny_names_the_rule() -> None:
    refusal = rules(deny=("* /v2/users/**",)).decide(b"DELETE", b"/v2/users/canary")
    assert refusal is not None
    assert refusal.operation == "deleteUser"
    assert "upstreams.x.deny names it (`* /v2/users/**`)" in refusal.detail
    assert "canary" not in refusal.detail


ALLOW = [  # a rule, what it lets pass, what it does not
    (
        "POST /v2/process-instances",
        ["POST /v2/process-instances", "POST /v2/%70rocess-instances?a"],
        ["GET /v2/process-instances", "POST /v2/process-instances/", "POST /v2/process-instances/search"],
    ),
    (
        "GET /v2/users/*",
        ["GET /v2/users/a", "HEAD /v2/users/a"],
        ["GET /v2/users", "GET /v2/users/", "GET /v2/users/a/b"],
    ),
    ("GET /v2/users/{username}", ["GET /v2/users/a"], ["PUT /v2/users/a"]),
    ("* /v2/users/a", ["GET /v2/users/a", "PURGE /v2/users/a", "get /v2/users/a"], ["GET /v2/users/A"]),
    (
        "POST /v2/users/**",
        ["POST /v2/users/a", "POST /v2/users/a/b/", "POST /v2/users/**"],
        ["POST /v2/users", "POST /v2/users/", "POST /v2/usersa", "GET /v2/users/a"],
    ),
    ("GET /**", ["GET /a", "GET /a/b", "HEAD /a"], ["GET /", "POST /a"]),
    ("GET /", ["GET /", "HEAD /"], ["GET /a"]),
    ("HEAD /a", ["HEAD /a"], ["GET /a"]),
    ("GET /v2/users/joe%20smith", ["GET /v2/users/joe%20smith"], ["GET /v2/users/joe"]),
    ("GET /v2/users/été", ["GET /v2/users/%C3%A9t%C3%A9"], ["GET /v2/users/ete"]),
    ("POST /v2/*/search", ["POST /v2/jobs/search"], ["POST /v2/jobs/7/search", "POST /v2/search"]),
]


@pytest.mark.parametrize(("rule", "passing", "refused"), ALLOW)
def test_allow_lets_pass_what_it_names_and_nothing_else(
    rule: str, passing: list[str], refused: list[str]
) -> None:
    for each in passing:
        assert passes(rules(rule), each), each
    for each in refused:
        assert not passes(rules(rule), each), each


@pytest.mark.parametrize(("rule", "passing", "refused"), ALLOW)
def test_deny_refuses_at_least_what_the_same_rule_would_allow(
    rule: str, passing: list[str], refused: list[str]
) -> None:
    for each in passing:
        assert not passes(rules("* /**", "* /", deny=(rule,)), each), each
        assert not passes(rules(deny=(rule,)), each), each


def test_deny_refuses_spellings_that_an_older_server_takes_for_the_path() -> None:
    those = rules(deny=("POST /v2/process-instances", "DELETE /v2/users/*", "GET /a/b.json"))
    for each in (
        *("POST /v2/process-instances/", "POST /V2/Process-Instances", "post /v2/process-instances"),
        *("POST /v2/process-instances.json", "POST /v2/process-instances.", "POST /v2/process-instances%20"),
        *("POST /v2./process-instances", "DELETE /v2/users/a/", "GET /a/b", "GET /a/b.xml"),
        *("POST /v2/proce%C5%BFs-instances", "POST /v2/process-%C4%B1nstances"),
    ):
        assert not passes(those, each), each
    for each in (
        "GET /v2/process-instances",
        "POST /v2/process-instances/search",
        "POST /v2/process",
        "POST /",
    ):
        assert passes(those, each), each


def test_read_only_and_allow_add_up_and_deny_wins() -> None:
    those = rules("POST /v2/jobs/activation", read_only=True, deny=("GET /v2/users/**", "POST /v2/users/*"))
    assert passes(those, "POST /v2/jobs/activation")
    assert passes(those, "GET /v2/topology")
    assert passes(those, "GET /v2/groups/a")
    for each in (
        "POST /v2/jobs/7/completion",
        "GET /v2/users/a",
        "HEAD /v2/users/a",
        "POST /v2/users/search",
    ):
        assert not passes(those, each), each


def test_secrets_pass_where_allow_names_them() -> None:
    assert passes(rules("POST /v2/secrets/resolve", read_only=True), "POST /v2/secrets/resolve")
    assert passes(rules("POST /v2/secrets/resolve"), "POST /v2/secrets/resolve")
    assert not passes(rules("POST /v2/secrets/list", read_only=True), "POST /v2/secrets/resolve")
    assert passes(rules(deny=("GET /v2/users/a",)), "POST /v2/secrets/resolve")


def test_the_message_decides_about_mcp_only_under_read_only() -> None:
    for path in (b"/mcp/cluster", b"/mcp/processes", b"/mcp/cluster?a=b", b"/%6dcp/cluster"):
        assert rules(read_only=True).decide(b"POST", path) is MESSAGE
        assert rules("POST /mcp/*", read_only=True).decide(b"POST", path) is None
        assert rules("POST /mcp/*").decide(b"POST", path) is None
        assert rules("GET /v2/topology").decide(b"POST", path) is not None
        assert rules(deny=("POST /mcp/**",), read_only=True).decide(b"POST", path) is not MESSAGE
    for path in (b"/mcp", b"/mcp/", b"/mcp/other", b"/mcp/cluster/", b"/mcp/cluster/x"):
        refusal = rules(read_only=True).decide(b"POST", path)
        assert refusal is not None
        assert refusal is not MESSAGE
    ended = rules(read_only=True).decide(b"DELETE", b"/mcp/cluster")
    assert ended is not None
    assert ended.status == 405


def test_a_query_that_replaces_the_method_is_refused_where_there_is_a_rule() -> None:
    for those in (rules(read_only=True), rules("* /**"), rules(deny=("GET /a",))):
        refusal = those.decide(b"POST", b"/v2/users/search?_method=PUT")
        assert refusal is not None
        assert refusal.code == "ambiguous_request"


def test_a_form_is_judged_by_every_method_that_it_may_become() -> None:
    assert rules(read_only=True).decide_form(b"/v2/users/search") is not None  # PUT /v2/users/{username}
    assert rules(read_only=True).decide_form(b"/v2/incidents/search") is not None  # no read takes a form
    assert rules("POST /v2/deployments").decide_form(b"/v2/deployments") is None
    assert rules("POST /v2/documents", read_only=True).decide_form(b"/v2/documents") is None
    assert rules("POST /members/*", api="console").decide_form(b"/members/a") is not None  # DELETE is one
    assert rules("* /members/*", api="console").decide_form(b"/members/a") is None
    assert rules(deny=("DELETE /a",), api="other").decide_form(b"/a") is not None
    assert rules(deny=("DELETE /a",), api="other").decide_form(b"/b") is None


def test_operations_have_a_name() -> None:
    those = rules(read_only=True)
    assert those.operation_of(b"POST", b"/v2/process-instances?x") == "createProcessInstance"
    assert those.operation_of(b"HEAD", b"/v2/topology") == "getTopology"
    assert those.operation_of(b"POST", b"/mcp/cluster") == "mcp"
    assert those.operation_of(b"POST", b"/v2/process-instances;a") is None
    assert those.operation_of(b"GET", b"/x") is None


def test_equal_rules_are_equal() -> None:
    assert rules("GET /a", read_only=True) == rules("GET /a", read_only=True)
    assert rules("GET /a") != rules("GET /b")


WRONG = {
    "": "a method and a path",
    "POST": "a method and a path",
    "/v2/x": "a method and a path",
    "post /v2/x": "write POST",
    "Post /v2/x": "write POST",
    "P0ST! /v2/x": "in capitals",
    "GET v2/x": "begins with /",
    "GET http://a/v2": "begins with /",
    "GET /v2/x?a=b": "no query",
    "GET /v2/x;a": "no `;`",
    "GET /v2/x y": "no blank",
    "GET /v2//x": "an empty segment",
    "GET /v2/../x": "dots",
    "GET /v2/%2e": "an encoded",
    "GET /v2/%zz": "two hexadecimal digits",
    "GET /v2/**/search": "** only at its end",
    "GET /v2/x**": "* only as a whole segment",
    "GET /v2/x*": "* only as a whole segment",
    "GET /**/**": "** only at its end",
}


@pytest.mark.parametrize(("text", "reason"), WRONG.items())
def test_a_wrong_rule_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(WrongRule) as caught:
        Pattern.read(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        ("GET /a", "GET /a", True),
        ("* /a", "GET /a", True),
        ("GET /a", "* /a", False),
        ("GET /a", "HEAD /a", True),
        ("HEAD /a", "GET /a", False),
        ("GET /*", "GET /a", True),
        ("GET /a", "GET /*", False),
        ("GET /a/**", "GET /a/b", True),
        ("GET /a/**", "GET /a/b/**", True),
        ("GET /a/**", "GET /a", False),
        ("GET /a/*", "GET /a/**", False),
        ("GET /**", "GET /a/*/c", True),
        ("GET /a/*/**", "GET /a/**", False),
    ],
)
def test_a_rule_may_cover_another(wide: str, narrow: str, covers: bool) -> None:
    assert Pattern.read(wide).covers(Pattern.read(narrow)) is covers


def test_the_longest_path_takes_no_time_to_speak_of() -> None:
    those = rules("GET /a/**", read_only=True, deny=("GET /b/**",))
    begun = time.process_time()
    for part in (b"/a", b"/..a", b"/.", b".", b"%20", b"/a.", b"%2e", b"/%41", b"a."):
        for end in (b"", b"x", b"/"):
            those.decide(b"GET", b"/" + part * (16_000 // len(part)) + end)
    assert time.process_time() - begun < 5
