"""Makes the writer of the audit log from the configuration."""

import asyncio
import logging
from collections.abc import Callable

from proxy.audit.target import File, Stdout, Target
from proxy.audit.writer import AuditWriter
from proxy.config.model import Audit
from proxy.errors import StartError

log = logging.getLogger("proxy")


def audit_writer(audit: Audit, now: Callable[[], float]) -> AuditWriter:
    """Make the writer. Its thread has the event loop log, because the log's masks belong to the loop.

    Raises:
        StartError: the file cannot be opened.
    """
    loop = asyncio.get_running_loop()

    def say(level: int, sentence: str) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(log.log, level, sentence)

    target: Target = Stdout() if audit.file is None else File(audit.file)
    try:
        return AuditWriter(target, now, say)
    except OSError as error:
        why = error.strerror or "it cannot be written"
        raise StartError(f"audit.file: {target.name} cannot be opened: {why}; name another file.") from error
