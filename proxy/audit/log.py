"""Decides which requests get a line of the audit log, and hands the lines to the writer."""

from collections.abc import Callable

from proxy.audit.line import READING, line
from proxy.audit.writer import AuditWriter
from proxy.gateway.audited import REFUSALS, AuditRecord
from proxy.gateway.call import Call


class AuditLog:
    """An `AuditObserver`. It stays over all configurations; each one sets its writer.

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

    def wants(self, call: Call) -> bool:
        if self.reads or call.problem in REFUSALS:
            return True
        return call.head.method not in READING

    def audited(self, record: AuditRecord) -> None:
        if self.writer is not None:
            self.writer.put(line(record, self._wall(), None))
