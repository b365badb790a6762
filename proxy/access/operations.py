"""Pure: Camunda's operations, which of them read and which change something.

`operations.tsv` beside this file is the table. `scripts/operations` makes it from Camunda's open clients and
from public documentation, and names both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Literal, cast

from proxy.access.spelling import Unclear, segments
from proxy.access.tree import Tree

Kind = Literal["reads", "changes", "secrets"]
"""`secrets`: it changes nothing, but hands out secrets."""

TABLE: Final = Path(__file__).with_name("operations.tsv")
MCP: Final = "mcp"

_CLUSTER: Final = ("orchestration", "cluster-admin", "operate-v1", "tasklist-v1", MCP, "management", "web")
APIS: Final[Mapping[str, tuple[str, ...]]] = {
    # One server since 8.8, and one base URL on SaaS
    "zeebe": _CLUSTER,
    "operate": _CLUSTER,
    "tasklist": _CLUSTER,
    "optimize": ("optimize", "management", "web"),
    "console": ("administration", "administration-sm"),
    "modeler": ("modeler-v1",),
    "hub": ("hub-v2", "administration-sm"),
}
"""Parts of the table, by `upstreams.NAME.api`; an API that is not listed may be any server, so all count."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        path: a template, in which each `{name}` is one segment.
        name: as the clients call it.
        why: it is of this kind.
    """

    api: str
    versions: str
    method: str
    path: str
    name: str
    kind: Kind
    why: str

    def __str__(self) -> str:
        return f"{self.name} ({self.method} {self.path})"


@cache
def table() -> tuple[Operation, ...]:
    """Read the table: every operation over HTTP, and for MCP every message."""
    import csv  # needed only with access rules or an audit log

    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.reader((line for line in file if not line.startswith("#")), "excel-tab")
        next(rows)
        return tuple(
            Operation(api, versions, method, path, name, cast("Kind", kind), why)
            for api, versions, method, path, name, kind, why in rows
        )


def operations(api: str) -> tuple[Operation, ...]:
    """Return the operations over HTTP of `upstreams.NAME.api`; a POST to an MCP endpoint is one of them."""
    wanted = APIS.get(api)
    found: dict[tuple[str, str], Operation] = {}
    for each in table():
        if wanted is None or each.api in wanted:
            message = each.api == MCP and each.method == "POST"
            one = (
                Operation(MCP, "", "POST", each.path, "mcp", "reads", "its message decides")
                if message
                else each
            )
            found.setdefault((each.method, each.path), one)
    return tuple(found.values())


@cache
def messages() -> Mapping[tuple[str, str], Kind]:
    """Return the kinds of MCP's messages, by path and method; of a tool call `tools/call NAME`."""
    return {
        (each.path, each.name): each.kind for each in table() if each.api == MCP and each.method == "POST"
    }


@cache
def _tree(api: str) -> Tree[Operation]:
    tree: Tree[Operation] = Tree()
    for each in operations(api):
        tree.add(each.method, each.path[1:].split("/"), each)
    return tree


def methods_for(method: str) -> Sequence[str]:
    """Return the methods whose templates count for a request; HEAD does what GET does (RFC 9110 9.3.2)."""
    return ("HEAD", "GET", "*") if method == "HEAD" else (method, "*")


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations of an API below one base URL.

    Attributes:
        api: as in `upstreams.NAME.api`.
        lead: segments of the base URL that a template has too: `("api",)` of Web Modeler on SaaS. Those
            before them are a cluster's id, a physical tenant or a context path.
    """

    api: str
    lead: tuple[str, ...] = ()
    _tree: Tree[Operation] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tree", _tree(self.api))

    @classmethod
    def below(cls, api: str, base: str, tenant: str = "") -> "Operations":
        """Make those below the path of a base URL.

        Args:
            base: the path, without a slash at its end.
            tenant: end of it that is a physical tenant's; empty: there is none.
        """
        if tenant or "/physical-tenants/" in base or not base or api not in APIS:
            return cls(api)
        try:
            parts = segments(base.encode())
        except Unclear:
            return cls(api)
        tree = _tree(api)
        return cls(api, next((parts[at:] for at in range(len(parts)) if tree.leads(parts[at:])), ()))

    def find(self, method: str, path: Sequence[str]) -> Operation | None:
        """Return the operation of a request.

        Args:
            path: decoded segments of the whole path, as `whole` returns them.
        """
        return self._tree.find(methods_for(method), path)

    def whole(self, target: bytes) -> tuple[str, ...]:
        """Return the decoded segments of a target's path, beginning where the templates begin.

        Raises:
            Unclear: two servers may read the path differently.
        """
        found = segments(target.partition(b"?")[0])
        return (*self.lead, *found) if self.lead else found

    def of(self, method: bytes, target: bytes) -> Operation | None:
        """Return the operation of a request; None: it is not known, or its path is unclear."""
        try:
            return self.find(method.decode("latin-1"), self.whole(target))
        except Unclear:
            return None
