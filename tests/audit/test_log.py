"""Which requests get a line of the audit log."""

import pytest

from proxy.access.operations import Operations
from proxy.audit.log import AuditLog, UpstreamAudit
from proxy.gateway.audited import REFUSALS
from proxy.gateway.call import Call
from proxy.gateway.problems import KINDS
from proxy.gateway.request_head import parse_head

ZEEBE = Operations("zeebe")


def wants(
    method: bytes, target: bytes, problem: str | None = None, *, reads: bool = False, of: Operations = ZEEBE
) -> bool:
    head = parse_head(b"%b %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (method, target))
    call = Call(head, None, None, 0.0)  # type: ignore[arg-type]
    call.problem = problem
    log = AuditLog(lambda: 0.0)
    log.reads = reads
    return UpstreamAudit(log, of).wants(call)


@pytest.mark.parametrize(
    ("method", "target", "wanted"),
    [
        (b"GET", b"/v2/topology", False),
        (b"HEAD", b"/v2/topology", False),
        (b"OPTIONS", b"/v2/topology", False),
        (b"POST", b"/v2/process-instances/search", False),  # it reads
        (b"POST", b"/v2/process-instances/search?x=1", False),
        (b"POST", b"/v2/process-instances", True),
        (b"POST", b"/v2/cluster-variables/tenants/search", True),  # it creates a variable
        (b"DELETE", b"/v2/resources/1", True),
        (b"PUT", b"/v2/clock", True),
        (b"POST", b"/v2/not-known", True),
        (b"GET", b"/v2/not-known", False),
        (b"QUERY", b"/v2/not-known", True),
        (b"post", b"/v2/process-instances/search", True),  # methods are case-sensitive
        (b"POST", b"/v2/process-instances/..;/search", True),  # servers read it differently
        (b"POST", b"/mcp/cluster", True),  # its body decides
        (b"GET", b"/mcp/cluster", False),
    ],
)
def test_what_changes_something_is_wanted(method: bytes, target: bytes, wanted: bool) -> None:
    assert wants(method, target) is wanted
    assert wants(method, target, reads=True)


def test_what_hands_out_secrets_is_wanted_although_it_reads() -> None:
    console = Operations("console")
    found = [
        each
        for each in ("/clusters/1/secrets", "/clusters/1/clients")
        if wants(b"GET", each.encode(), of=console)
    ]
    assert found == ["/clusters/1/secrets"]


@pytest.mark.parametrize("problem", sorted(REFUSALS))
def test_a_refusal_by_our_rules_is_wanted_whatever_the_method(problem: str) -> None:
    assert problem in KINDS
    assert wants(b"GET", b"/v2/topology", problem)


def test_a_failure_that_is_no_refusal_is_wanted_only_of_a_change() -> None:
    assert not wants(b"GET", b"/v2/topology", "upstream_unreachable")
    assert wants(b"POST", b"/v2/process-instances", "upstream_unreachable")


def test_every_refusal_of_a_request_by_rule_counts_as_one() -> None:
    others = {code for code, kind in KINDS.items() if kind.proxy_status == "http_request_denied"}
    assert others <= REFUSALS
