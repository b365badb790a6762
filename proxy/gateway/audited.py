"""Pure: what the audit log gets to know of a finished request."""

import re
from dataclasses import dataclass
from typing import Final, Protocol

from proxy.gateway.call import Call

_SOUND_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""Ids that callers send in X-Request-Id. Others are not repeated, because they could be anything."""

REFUSALS: Final = frozenset(
    (
        *("wrong_host", "cross_site", "not_allowed", "not_permitted", "ambiguous_request"),
        *("caller_unknown", "caller_expired", "rate_limited"),
    )
)
"""Codes with which our own rules refuse a request."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A finished request, without its query, fields and body.

    Attributes:
        request_id: ours; also in X-Request-Id of an answer of our own.
        client_request_id: the caller's X-Request-Id, if it has a usual form; else empty.
        caller: the caller's name in the configuration; empty: it has none.
        address: address and port that the request came from; empty: not known, or a Unix socket.
        method, path: as the caller sent them; one character for each byte.
        status: 499 if the caller left before it was answered.
        problem: code of an answer of our own; None: the upstream's was forwarded.
        repaired: whether it was sent again with a new credential.
        seconds: from its head to the end of its answer.
    """

    request_id: str
    client_request_id: str
    caller: str
    address: str
    upstream: str
    method: str
    path: str
    status: int
    problem: str | None
    repaired: bool
    seconds: float


class AuditObserver(Protocol):
    """Gets a record of each finished request that it wants. It must neither raise nor wait."""

    def wants(self, call: Call) -> bool:
        """Tell whether the request belongs into the audit log."""
        ...

    def audited(self, record: AuditRecord) -> None: ...


def audit_record(call: Call, upstream: str, status: int, seconds: float) -> AuditRecord:
    """Make the record of a finished request, whose `request_id` is set."""
    head = call.head
    return AuditRecord(
        request_id=call.request_id,
        client_request_id=_client_id([value for name, value in head.fields if name.lower() == _ID_FIELD]),
        caller=call.caller_name,
        address=call.caller.address,
        upstream=upstream,
        method=head.method.decode("latin-1"),
        path=head.target.split(b"?", 1)[0].decode("latin-1"),
        status=status,
        problem=call.problem,
        repaired=call.repaired,
        seconds=seconds,
    )


_ID_FIELD: Final = b"x-request-id"


def _client_id(values: list[bytes]) -> str:
    sound = len(values) == 1 and _SOUND_ID.fullmatch(values[0]) is not None
    return values[0].decode("ascii") if sound else ""
