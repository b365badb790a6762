"""Decides which requests get a line of the audit log, and hands the lines to the writer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from proxy.access.operations import MCP, Operation, Operations
from proxy.audit.line import line
from proxy.audit.writer import AuditWriter
from proxy.gateway.audited import REFUSALS, AuditRecord
from proxy.gateway.call import Call

READING: Final = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Methods of which an operation that is not known changes nothing (RFC 9110 section 9.2.1)."""


class AuditLog:
    """The audit log. It stays over all configurations; each one sets its writer.

    Args:
        wall: returns seconds since 1970.

    Attributes:
        writer: None: there is no audit log now.
        reads: whether requests that change nothing get a line too.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self.writer: AuditWriter | None = None
        self.reads = False
        self._wall = wall
        self._writers: list[AuditWriter] = []

    @property
    def written(self) -> int:
        """Lines that were written since the start of the process."""
        return sum(writer.written for writer in self._writers)

    @property
    def lost(self) -> int:
        """Lines that were lost since then."""
        return sum(writer.lost for writer in self._writers)

    def use(self, writer: AuditWriter | None, *, reads: bool) -> AuditWriter | None:
        """Write to another target from now on; return the earlier writer, which the caller has to close."""
        before, self.writer, self.reads = self.writer, writer, reads
        if before is writer:
            return None
        if writer is not None:
            self._writers.append(writer)
        return before

    def write(self, record: AuditRecord, operation: str | None) -> None:
        if self.writer is not None:
            self.writer.put(line(record, self._wall(), operation))


@dataclass(frozen=True, slots=True)
class UpstreamAudit:
    """The `AuditObserver` of one upstream.

    Attributes:
        operations: of its API.
    """

    log: AuditLog
    operations: Operations

    def wants(self, call: Call) -> bool:
        if self.log.reads or call.problem in REFUSALS:
            return True
        head = call.head
        return changes(self.operations.of(head.method, head.target), head.method)

    def audited(self, record: AuditRecord) -> None:
        operation = self.operations.of(record.method.encode("latin-1"), record.path.encode("latin-1"))
        self.log.write(record, operation.name if operation is not None else None)


def changes(operation: Operation | None, method: bytes) -> bool:
    """Tell whether a request may change something, or hand out a secret.

    A message of MCP counts as a change, because only its body tells what it does.
    """
    if operation is None:
        return method not in READING
    return operation.kind != "reads" or (operation.api == MCP and method == b"POST")
