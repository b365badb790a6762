"""Pure: decides whether a request may pass, by the rules of an upstream or of a caller."""

from dataclasses import dataclass, field
from typing import Final, Literal

from proxy.access.operations import MCP, Operation, Operations, methods_for, operations
from proxy.access.pattern import Pattern, generous
from proxy.access.spelling import Unclear, check_query
from proxy.access.tree import Tree

RefusalCode = Literal["not_permitted", "ambiguous_request"]

MEMO_ENTRIES: Final = 1024
LONGEST: Final = 512  # bytes of a path that is remembered


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request may not pass.

    Attributes:
        code: of the problem. `ambiguous_request`: two servers may read the request differently.
        detail: sentences: which rule refused it, and what to do; without bytes of the request.
        operation: what the request would do, as `createProcessInstance`; None: it is not known.
        status: HTTP status, if it is not the usual one of the code.
        denied: whether a rule of `deny` refuses it.
    """

    code: RefusalCode
    detail: str
    operation: str | None = None
    status: int | None = None
    denied: bool = False


MESSAGE: Final = Refusal(
    "not_permitted", "The message of this MCP request decides, and it was not read.", "mcp"
)
"""`decide` returns this very object if the request is a POST to an MCP endpoint whose message decides. Read
the message (`messages.refuse`); if you cannot, refuse the request."""


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The rules of an upstream, or of a caller. Those of both hold: a request must be allowed by each.

    Attributes:
        place: where the rules are in the configuration, for messages: `upstreams.zeebe`.
        operations: what the upstream can do.
        read_only: only operations that read pass, and what `allow` names.
        allow, deny: rules, each `METHOD /path`; the path begins where the API's documentation begins it.
        remembered: most decisions that are remembered.
    """

    place: str
    operations: Operations
    read_only: bool = False
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    remembered: int = field(default=MEMO_ENTRIES, compare=False)
    _allowed: Tree[Pattern] = field(init=False, repr=False, compare=False)
    _denied: Tree[Pattern] = field(init=False, repr=False, compare=False)
    _memo: dict[tuple[bytes, bytes], Refusal | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _deny: tuple[Pattern, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises WrongRule."""
        allowed: Tree[Pattern] = Tree()
        denied: Tree[Pattern] = Tree()
        for text in self.allow:
            pattern = Pattern.read(text)
            allowed.add(pattern.method, pattern.path, pattern)
        patterns = tuple(Pattern.read(text) for text in self.deny)
        for pattern in patterns:
            denied.add(pattern.method, pattern.generous, pattern)
        object.__setattr__(self, "_deny", patterns)
        object.__setattr__(self, "_allowed", allowed)
        object.__setattr__(self, "_denied", denied)

    def decide(self, method: bytes, target: bytes) -> Refusal | None:
        """Return why a request may not pass; None: it may, as far as method and target decide.

        Args:
            method: as sent.
            target: origin-form or `*`; any bytes.
        """
        path, _, query = target.partition(b"?")
        if query:
            try:
                check_query(query)
            except Unclear as error:
                return self._unclear(error)
        key = method, path
        known = self._memo.get(key, self)
        if known is not self:
            return known  # type: ignore[return-value]  # no value is the rules themselves
        refusal = self._decide(method.decode("latin-1"), path)
        if len(path) <= LONGEST:
            if len(self._memo) >= self.remembered:
                self._memo.clear()
            self._memo[key] = refusal
        return refusal

    def decide_form(self, target: bytes) -> Refusal | None:
        """Return why a POST whose body is a form may not pass; call it after `decide`.

        No operation that reads takes a form. Some frameworks take the method from a field `_method` of it
        (Spring: PUT, PATCH, DELETE), so the request is judged as each of these too.
        """
        operation = self.operations.of(b"POST", target)
        if operation is not None and operation.kind != "changes":
            return self.unclear("a form as its body, and no operation that reads takes one")
        for method in (b"PUT", b"PATCH", b"DELETE"):
            refusal = self.decide(method, target)
            if refusal is not None and (refusal.operation is not None or refusal.denied):
                return self.unclear(
                    "a form as its body, whose `_method` may make it one that is not permitted"
                )
        return None

    def denies(self, name: str) -> str | None:
        """Return the rule of `deny` that names an operation of this name; None: there is none.

        A tool of MCP has the name of the operation that it carries out.
        """
        for each in operations(self.operations.api):
            if each.name == name:
                template = tuple(each.path[1:].split("/"))
                for pattern in self._deny:
                    if pattern.meets(each.method, template):
                        return pattern.text
        return None

    def operation_of(self, method: bytes, target: bytes) -> str | None:
        """Return the name of the operation; `mcp` for a message of MCP; None: it is not known."""
        operation = self.operations.of(method, target)
        return None if operation is None else operation.name

    def _decide(self, method: str, path: bytes) -> Refusal | None:
        try:
            segments = self.operations.whole(path)
        except Unclear as error:
            return self._unclear(error)
        operation = self.operations.find(method, segments)
        if self.deny:
            rule = self._denied.find(methods_for(method.upper()), generous(segments))
            if rule is not None:
                why = f"{self.place}.deny names it (`{rule.text}`)"
                return self._refused(operation, why, denied=True)
        if not (self.read_only or self.allow):
            return None
        if self.allow and self._allowed.find(methods_for(method), segments) is not None:
            return None
        if not self.read_only:
            return self._refused(operation, f"{self.place}.allow does not name it")
        return self._of_reader(operation)

    def _of_reader(self, operation: Operation | None) -> Refusal | None:
        """Decide under `read_only`, for a request that `allow` does not name."""
        only = f"{self.place} is read-only (read_only: true)"
        if operation is None:
            return self._refused(
                None,
                f"{only}, and the proxy knows no operation that reads with this method and path (case and a "
                "/ at the end count), so it counts as a change",
            )
        if operation.kind == "secrets":
            return self._refused(operation, f"it hands out secrets, and {only}")
        if operation.kind == "changes":
            return self._refused(operation, f"{only}, and this is a change")
        return MESSAGE if operation.api == MCP and operation.method == "POST" else None

    def _refused(self, operation: Operation | None, why: str, *, denied: bool = False) -> Refusal:
        what = "This request" if operation is None else str(operation)
        rule = "`METHOD /path`" if operation is None else f"`{operation.method} {operation.path}`"
        name = None if operation is None else operation.name
        instead = (
            "The operator of the proxy can change that rule."
            if denied
            else f"To let it pass, the operator of the proxy adds {rule} to {self.place}.allow."
        )
        # An MCP client takes a 405 for its DELETE: servers may not let clients end a session.
        ends = operation is not None and operation.api == MCP and operation.method == "DELETE"
        detail = f"{what} is not permitted: {why}. {instead}"
        return Refusal("not_permitted", detail, name, 405 if ends else None, denied)

    def unclear(self, what: str) -> Refusal:
        """Return the refusal of a request that two servers may read differently, because of `what`."""
        return Refusal(
            "ambiguous_request",
            f"The request has {what}. Servers read that differently, and {self.place} has access rules "
            "(read_only, allow, deny), so it is refused. Send the request without it.",
        )

    def _unclear(self, error: Unclear) -> Refusal:
        return self.unclear(str(error))
