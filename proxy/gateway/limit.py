"""Limits how many connections there are to callers and upstreams, and how many bytes wait to be read."""

from itertools import islice
from typing import Final, Protocol

MAX_BUFFERED: Final = 16 * 1024 * 1024
"""Most bytes of all connections together that wait to be read: unfinished heads, requests sent ahead, bodies
of requests that have no upstream connection yet."""

SILENT: Final = 1.0
"""Seconds after which a connection without any request so far may be closed in favour of a new one."""

SILENT_KEPT: Final = 10.0
"""The same for a connection that was used, because its caller may be about to send its next request."""

_SCAN: Final = 256
"""Most connections to look at to find a silent one."""


MAX_KEPT: Final = 16 * 1024 * 1024
"""Most bytes of all bodies together that are kept to be sent again, beyond KEPT_FREELY of each."""

KEPT_FREELY: Final = 64 * 1024
"""Bytes of each body that may be kept without regard to the others."""

MANY_HELD: Final = 8 * 1024 * 1024
"""If so many bytes wait, for peers that do not read or for upstream connections, connections read little at
once."""


class Memory:
    """Counts the bytes that all connections of a process hold for their peers.

    Attributes:
        buffered: bytes that wait to be read (see MAX_BUFFERED).
        kept: bytes of bodies that may have to be sent again, beyond KEPT_FREELY of each.
        stalled: bytes that wait for callers or upstreams which do not read.
    """

    __slots__ = ("buffered", "kept", "stalled")

    def __init__(self) -> None:
        self.buffered = 0
        self.kept = 0
        self.stalled = 0

    def keep(self, size: int) -> bool:
        """Count so many more bytes of a body as kept, if there is room; return whether there was."""
        if self.kept + size > MAX_KEPT:
            return False
        self.kept += size
        return True

    @property
    def scarce(self) -> bool:
        """Whether so many bytes wait that connections should read little at once."""
        return self.stalled + self.buffered >= MANY_HELD


class Connection(Protocol):
    """A caller's connection, as far as the limit needs it. Hashable by identity."""

    def gives_way(self) -> bool:
        """Close the connection in favour of a new one if it has been silent; return whether it was closed."""
        ...


class ConnectionLimit:
    """Limits how many callers are connected at once; shared by listeners.

    At the limit the oldest of the silent connections is closed for a new one.

    Attributes:
        places: most connections.
        memory: shared with the connections to upstreams.
    """

    __slots__ = ("_connections", "memory", "places")

    def __init__(self, places: int, memory: Memory | None = None) -> None:
        self.memory = memory if memory is not None else Memory()
        self.places = places
        self._connections: dict[Connection, None] = {}

    @property
    def free(self) -> int:
        """Places that are left; negative: so many callers get the answer that there is none."""
        return self.places - len(self._connections)

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; return whether there is a place for it."""
        room = self.free > 0 or self._one_gives_way()
        self._connections[connection] = None
        return room

    def leave(self, connection: Connection) -> None:
        self._connections.pop(connection, None)

    def _one_gives_way(self) -> bool:
        for connection in islice(self._connections, _SCAN):
            if connection.gives_way():
                del self._connections[connection]
                return True
        return False


class Idle(Protocol):
    """The connections to one upstream, as far as the limit over all of them needs it."""

    @property
    def taken(self) -> int:
        """Open connections, and those that are being made."""
        ...

    @property
    def idle_until(self) -> float | None:
        """Seconds on the Clock at which the oldest idle connection ends by itself; None: none is idle."""
        ...

    def close_oldest(self) -> None:
        """Close the oldest idle connection."""
        ...


class UpstreamLimit:
    """Limits the connections to all upstreams together to the files that the process has; shared by pools.

    There are as many places as for callers, and a caller uses at most one. So at the limit there are idle
    connections, and the oldest one is closed for a new connection. Without this limit, idle connections of
    one upstream would use up the files that callers of another one need.

    Attributes:
        places: most connections.
        pools: the pools that share them.
        memory: shared with the connections of callers.
    """

    __slots__ = ("memory", "places", "pools")

    def __init__(self, places: int, memory: Memory | None = None) -> None:
        self.memory = memory if memory is not None else Memory()
        self.places = places
        self.pools: list[Idle] = []

    def make_room(self) -> None:
        """Close an idle connection if all places are taken; call this before each new connection."""
        if sum(pool.taken for pool in self.pools) < self.places:
            return
        idle = [(until, pool) for pool in self.pools if (until := pool.idle_until) is not None]
        if idle:
            min(idle, key=lambda each: each[0])[1].close_oldest()
