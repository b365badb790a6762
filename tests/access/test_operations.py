"""The table: each operation is in one class, and no pattern of an id turns a change into a read."""

import re
from itertools import product

import pytest

from proxy.access.operations import APIS, Operation, Operations, messages, operations, table

READS = [  # by API: method, target
    ("zeebe", "GET", "/v2/topology"),
    ("zeebe", "HEAD", "/v2/topology"),
    ("zeebe", "POST", "/v2/process-instances/search"),
    ("zeebe", "POST", "/v2/process-definitions/2251799813685249/statistics/element-instances"),
    ("zeebe", "POST", "/v2/expression/evaluation"),
    ("zeebe", "POST", "/v2/secrets/list"),
    ("zeebe", "POST", "/v2/tenants/search/users/search"),
    ("zeebe", "POST", "/v2/groups/%C3%A9t%C3%A9/users/search"),
    ("zeebe", "GET", "/v2/users/a@b.org"),
    ("zeebe", "GET", "/v2/documents/search"),
    ("zeebe", "GET", "/cluster/v2/backups/runtime/state"),
    ("zeebe", "GET", "/mcp/cluster"),
    ("zeebe", "GET", "/actuator/health/liveness"),
    ("operate", "POST", "/v1/process-instances/search"),
    ("operate", "POST", "/v2/process-instances/search"),
    ("tasklist", "POST", "/v1/tasks/search"),
    ("tasklist", "POST", "/v1/tasks/7/variables/search"),
    ("optimize", "POST", "/api/public/export/report/definition/json"),
    ("optimize", "GET", "/api/public/export/report/7/result/json"),
    ("console", "GET", "/clusters/parameters"),
    ("modeler", "GET", "/api/v1/versions/compare/a...b"),
    ("modeler", "POST", "/api/v1/files/search"),
    ("hub", "POST", "/api/v2/projects/recently-deleted/search"),
    ("hub", "GET", "/api/v2/clusters/usage-metrics"),
    ("other", "GET", "/actuator/prometheus"),
]
CHANGES = [
    ("zeebe", "POST", "/v2/jobs/activation"),
    ("zeebe", "POST", "/v2/process-instances"),
    ("zeebe", "POST", "/v2/messages/correlation"),
    ("zeebe", "POST", "/v2/decision-definitions/evaluation"),
    ("zeebe", "POST", "/v2/conditionals/evaluation"),
    ("zeebe", "POST", "/v2/cluster-variables/tenants/search"),
    ("zeebe", "POST", "/v2/documents/statistics/links"),
    ("zeebe", "POST", "/v2/setup/user"),
    ("zeebe", "PUT", "/v2/clock"),
    ("zeebe", "PUT", "/v2/users/search"),
    ("zeebe", "POST", "/v2/backups/runtime/state/sync"),
    ("zeebe", "GET", "/logout"),
    ("zeebe", "POST", "/graphql"),
    ("zeebe", "DELETE", "/mcp/cluster"),
    ("console", "POST", "/members/search"),
    ("optimize", "POST", "/api/public/share/enable"),
    ("hub", "PUT", "/api/v2/catalog/assets/ingestion"),
]
SECRETS = [
    ("zeebe", "POST", "/v2/secrets/resolve"),
    ("zeebe", "GET", "/actuator/heapdump"),
    ("zeebe", "GET", "/actuator/env"),
    ("zeebe", "GET", "/actuator/env/spring.datasource.password"),
    ("zeebe", "GET", "/actuator/configprops"),
    ("zeebe", "GET", "/actuator/logfile"),
    ("zeebe", "GET", "/actuator/threaddump"),
    ("console", "GET", "/clusters/5c34c0a7-0000-0000-0000-000000000000/secrets"),
]
UNKNOWN = [
    ("zeebe", "GET", "/"),
    ("zeebe", "GET", "/v2/topology/"),
    ("zeebe", "GET", "/V2/topology"),
    ("zeebe", "get", "/v2/topology"),
    ("zeebe", "OPTIONS", "/v2/topology"),
    ("zeebe", "GET", "/v2/topology.json"),
    ("zeebe", "GET", "/v2/topology/more"),
    ("zeebe", "POST", "/v2/topology"),
    ("zeebe", "POST", "/v2/process-instances/search%20"),
    ("zeebe", "POST", "/v2/incidents//search"),
    ("zeebe", "POST", "/physical-tenants/a/v2/process-instances/search"),
    ("zeebe", "GET", "/clusters"),
    ("console", "GET", "/v2/topology"),
    ("modeler", "GET", "/api/v1/versions/compare/...b"),
    ("optimize", "GET", "/api/report"),
]


@pytest.mark.parametrize(
    ("kind", "rows"), [("reads", READS), ("changes", CHANGES), ("secrets", SECRETS), (None, UNKNOWN)]
)
def test_operations_are_what_the_documentation_says(
    kind: str | None, rows: list[tuple[str, str, str]]
) -> None:
    for api, method, target in rows:
        found = Operations(api).of(method.encode(), target.encode())
        assert (found and found.kind) == kind, (api, method, target)


def test_the_table_has_each_operation_once() -> None:
    keys = [
        (each.api, each.method, re.sub(r"\{\w+\}", "{}", each.path), each.name if each.api == "mcp" else "")
        for each in table()
    ]
    assert len(keys) == len(set(keys))
    assert {each.kind for each in table()} == {"reads", "changes", "secrets"}
    assert {each.api for each in table()} == {part for parts in APIS.values() for part in parts}


def test_what_is_not_obvious_has_a_reason() -> None:
    for each in table():
        obvious = {"GET": ("reads",), "POST": ("changes",)}.get(each.method, ("changes",))
        assert each.kind in obvious or each.why or each.api == "mcp", each


def _may_be_one(one: Operation, other: Operation) -> bool:
    """Whether a path fits both templates."""
    mine, theirs = one.path.split("/"), other.path.split("/")
    return len(mine) == len(theirs) and all(
        a == b or "{" in a or "{" in b for a, b in zip(mine, theirs, strict=True)
    )


@pytest.mark.parametrize("api", [*APIS, "other"])
def test_no_path_of_a_change_may_be_taken_for_one_that_reads(api: str) -> None:
    every = operations(api)
    reading = [each for each in every if each.kind == "reads"]
    others = [each for each in every if each.kind != "reads"]
    assert not [
        (str(a), str(b)) for a, b in product(reading, others) if a.method == b.method and _may_be_one(a, b)
    ]


@pytest.mark.parametrize("api", [*APIS, "other"])
def test_each_template_finds_itself(api: str) -> None:
    for each in operations(api):
        target = re.sub(r"\{\w+\}", "x-1", each.path)
        found = Operations(api).of(each.method.encode(), target.encode())
        assert found is not None
        assert (found.method, found.kind) == (each.method, each.kind), target


BASES = [  # api, base path, tenant; what callers send; what it is
    ("modeler", "/api", "", "/v1/files/search", "searchFiles"),
    ("modeler", "", "", "/api/v1/files/search", "searchFiles"),
    ("modeler", "/api/v1", "", "/files/search", "searchFiles"),
    ("modeler", "/web/api", "", "/v1/files/search", "searchFiles"),
    ("modeler", "/api", "", "/api/v1/files/search", None),
    ("zeebe", "/5c34c0a7-0000", "", "/v2/process-instances/search", "searchProcessInstances"),
    ("zeebe", "/5c34c0a7-0000", "", "/5c34c0a7-0000/v2/process-instances/search", None),
    ("zeebe", "/physical-tenants/a", "/physical-tenants/a", "/v2/topology", "getTopology"),
    ("zeebe", "/physical-tenants/v2", "/physical-tenants/v2", "/v2/topology", "getTopology"),
    ("zeebe", "/x/physical-tenants/v2", "", "/v2/topology", "getTopology"),
    ("zeebe", "/x/v2", "", "/topology", "getTopology"),
    ("zeebe", "/x/v2", "", "/v2/topology", None),
    ("zeebe", "/v2/process-instances/7", "", "/cancellation", "cancelProcessInstance"),
    ("console", "/clusters/clusters", "", "/secrets", "createSecret"),
    ("zeebe", "/mcp", "", "/cluster", "mcp"),
    ("optimize", "/optimize", "", "/api/public/dashboard", "getDashboardIds"),
    ("other", "/engine", "", "/v2/topology", "getTopology"),
]


@pytest.mark.parametrize(("api", "base", "tenant", "target", "name"), BASES)
def test_the_base_url_belongs_to_the_path(
    api: str, base: str, tenant: str, target: str, name: str | None
) -> None:
    known = Operations.below(api, base, tenant)
    found = known.of(b"POST", target.encode()) or known.of(b"GET", target.encode())
    assert (found and found.name) == name


def test_the_same_message_of_mcp_is_another_thing_elsewhere() -> None:
    kinds = messages()
    assert kinds["/mcp/cluster", "tools/call getUserTask"] == "reads"
    assert ("/mcp/processes", "tools/call getUserTask") not in kinds
    assert kinds["/mcp/processes", "tools/call searchVariables"] == "reads"
    assert kinds["/mcp/cluster", "tools/call completeUserTask"] == "changes"
