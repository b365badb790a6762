"""What the budgets of bytes add up to: the formula of docs/operations.md, "Memory"."""

from proxy.audit.writer import MOST_BYTES
from proxy.gateway.limit import KEPT_FREELY, MANY_HELD, MAX_BUFFERED, MAX_KEPT
from proxy.gateway.small_reads import SMALL

PROCESS = 64 << 20
"""Bytes of a process without a connection; 56 MB were measured."""
STORE = 11 << 20
CONNECTION, TLS_CONNECTION = 9 << 10, 22 << 10
"""Bytes of a connection, measured."""


def most(upstreams: int, max_connections: int, callers: int, *, tls: bool, more: bool) -> int:
    """Return the bytes that a proxy may need.

    Args:
        max_connections: of each upstream.
        callers: connections of callers.
        tls: whether all connections are encrypted.
        more: whether there is an audit log and a store.
    """
    to_upstreams = upstreams * max_connections
    connections = to_upstreams + callers
    return (
        PROCESS
        + (MOST_BYTES + STORE if more else 0)
        + connections * (TLS_CONNECTION if tls else CONNECTION)
        + to_upstreams * KEPT_FREELY
        + MAX_KEPT
        + MAX_BUFFERED
        + MANY_HELD
        + connections * SMALL
    )
