"""Pure: one line of the audit log."""

import json
from datetime import UTC, datetime
from typing import Final

from proxy.gateway.audited import REFUSALS, AuditRecord

LONGEST_PATH: Final = 2048
"""Most characters of a path that are written."""


def line(record: AuditRecord, now: float, operation: str | None) -> bytes:
    """Make the line: one JSON object in ASCII, and a line feed.

    Args:
        now: seconds since 1970 at the end of the request; the line tells when the request began.
        operation: name of the API's operation; None: not known.
    """
    path = record.path
    members: dict[str, object] = {
        "time": _utc(now - record.seconds),
        "request_id": record.request_id,
        "client_request_id": record.client_request_id or None,
        "caller": record.caller or None,
        "address": record.address or None,
        "upstream": record.upstream,
        "method": record.method,
        "path": path[:LONGEST_PATH],
        "operation": operation,
        "status": record.status,
        "refused": record.problem if record.problem in REFUSALS else None,
        "problem": record.problem,
        "repaired": record.repaired,
        "seconds": round(record.seconds, 6),
    }
    if len(path) > LONGEST_PATH:
        members["path_length"] = len(path)
    return json.dumps(members).encode("ascii") + b"\n"


def _utc(seconds: float) -> str:
    """Return a time as `2026-11-30T08:15:00.123Z` (RFC 3339)."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
