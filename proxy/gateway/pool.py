"""The connections to one upstream: reuse, limits."""

import asyncio
import sys
from collections import deque
from typing import Any

from proxy.clock import Clock, Timer, pause
from proxy.errors import RequestRefused, UpstreamBusy
from proxy.gateway.dial import Endpoint, dial
from proxy.gateway.exchange import Exchange
from proxy.gateway.limit import UpstreamLimit
from proxy.gateway.share import Share
from proxy.gateway.tally import Tally
from proxy.gateway.timeouts import Timeouts
from proxy.outgoing.connect import Connector

MAX_AGE = 120.0
"""Seconds after which a connection serves no further request, so that a name that has moved is followed.
Those that were made at once end one after the other, over the last quarter of it."""

MAX_REQUESTS = 10_000
"""Requests after which a connection serves no further one."""

GOLDEN = 0.618
"""The golden ratio: its multiples modulo 1 are spread evenly."""

BUSY_WAIT = 10.0
"""Seconds that a request waits for a connection if all are in use."""

STALLED = 0.5
"""Seconds that a connection may wait for its caller while another request needs it."""

STALLED_LOOK = 0.25
"""Seconds between two checks for such a caller."""


class Pool:
    """The connections to one upstream. The newest is used first, so that the others can expire.

    Attributes:
        certificate: the upstream's, of the last connection, as `ssl.SSLSocket.getpeercert` returns it; None:
            there was no connection, or it has no TLS.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        timeouts: Timeouts,
        max_connections: int,
        clock: Clock,
        tally: Tally,
        share: Share | None = None,
        limit: UpstreamLimit | None = None,
        connector: Connector | None = None,
    ) -> None:
        self.timeouts = timeouts
        self.clock = clock
        self._now = clock.now  # looked up once
        self.tally = tally
        self.loop = asyncio.get_running_loop()
        self.share = share if share is not None else Share(self.loop)
        self._limit = limit if limit is not None else UpstreamLimit(sys.maxsize)
        self.memory = self._limit.memory
        self._connector = connector if connector is not None else Connector(clock.now)
        self._endpoint = endpoint
        self.peer = endpoint.peer
        self._max = max_connections
        self._idle: deque[Exchange] = deque()
        self._all: set[Exchange] = set()
        self._dialling = 0
        self._dialled = 0
        self.certificate: Any = None
        self._waiting: deque[asyncio.Future[Exchange | None]] = deque()
        self._sweeper: Timer | None = None
        self._relief: Timer | None = None
        self._tick = min(1.0, timeouts.response / 4, timeouts.idle / 4, timeouts.caller / 4)
        tally.pools.append(self.counts)
        self._limit.pools.append(self)

    def counts(self) -> dict[str, int]:
        """Count connections by state, and (`waiting`) requests that wait for one because all are in use."""
        idle = len(self._idle)
        return {
            "idle": idle,
            "active": len(self._all) - idle,
            "connecting": self._dialling,
            "waiting": len(self._waiting),
        }

    def take(self, now: float) -> Exchange | None:
        """Take an idle connection, if there is one; `now` is in seconds on the Clock."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            # Timers stop while a machine is suspended, so check the time here too.
            if not connection.closing() and now < connection.deadline:
                return connection
            connection.expire()
        return None

    async def acquire(self, *, fresh: bool = False) -> Exchange:
        """Get a connection for one request. Give it back with `release`, or let the exchange end.

        Args:
            fresh: dial even if there is an idle connection.

        Raises:
            UpstreamBusy, UpstreamUnreachable, UpstreamTLS, UpstreamTimeout
        """
        give_up = self._now() + BUSY_WAIT
        waited = False
        while True:
            if not fresh and (connection := self.take(self._now())) is not None:
                return connection
            if fresh and self._idle and self.taken >= self._max:
                self.close_oldest()
            if self.taken < self._max:
                return await self._dial()
            self._relieve()
            handed = await self._place(give_up, first=waited)
            waited = True
            if handed is not None and not handed.closing() and not fresh:
                return handed
            if handed is not None:
                handed.expire()
                self._forget_closing()

    def release(self, connection: Exchange, now: float) -> None:
        """Take a connection back. Unless it is old, the request that has waited longest gets it.

        Args:
            now: seconds on the Clock.
        """
        if now >= connection.retire_at or connection.used >= MAX_REQUESTS or not connection.idle_life:
            connection.expire()
            self._forget_closing()
            self._give(None)
            return
        connection.deadline = now + connection.idle_life
        if not (self._waiting and self._give(connection)):
            self._idle.append(connection)

    def lost(self, connection: Exchange) -> None:
        """Forget a connection that is closed."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._give(None)

    def close(self) -> None:
        """Close every connection, and cut exchanges under way."""
        for timer in (self._sweeper, self._relief):
            if timer is not None:
                timer.cancel()
        for connection in tuple(self._all):
            connection.abort()
        if self.counts in self.tally.pools:
            self.tally.pools.remove(self.counts)
            self._limit.pools.remove(self)

    # -- for the limit over all pools --

    @property
    def taken(self) -> int:
        """Number of connections that are open or being made."""
        return len(self._all) + self._dialling

    @property
    def idle_until(self) -> float | None:
        """Seconds on the Clock at which the oldest idle connection ends by itself; None: none is idle."""
        return self._idle[0].deadline if self._idle else None

    def close_oldest(self) -> None:
        """Close the oldest idle connection."""
        self._idle.popleft().expire()
        self._forget_closing()

    def _forget_closing(self) -> None:
        """Forget closed connections at once: they leave `_all` a turn of the loop later."""
        self._all = {connection for connection in self._all if not connection.closing()}

    def _relieve(self) -> None:
        """Take connections away from callers that neither send their body nor read, because requests wait.

        As many as requests wait, from the exchanges that have waited longest, and longer than STALLED.
        """
        now = self._now()
        stalled = [each for each in self._all if each.stalled(now) > STALLED]
        stalled.sort(key=lambda each: each.stalled(now), reverse=True)
        for each in stalled[: len(self._waiting) + 1]:
            each.fail(
                RequestRefused(
                    "request_timeout",
                    "The request's body stopped coming, and another request needed its upstream connection.",
                )
            )
        if self._relief is None:
            self._relief = self.clock.call_later(STALLED_LOOK, self._look_for_relief)

    def _look_for_relief(self) -> None:
        self._relief = None
        if self._waiting:
            self._relieve()

    async def _place(self, give_up: float, *, first: bool) -> Exchange | None:
        """Queue for a connection. None: there is room to dial one. A request that queued before goes first.

        Raises:
            UpstreamBusy
        """
        place: asyncio.Future[Exchange | None] = self.loop.create_future()
        (self._waiting.appendleft if first else self._waiting.append)(place)
        try:
            free = await pause(self.clock, give_up - self._now(), place)
        except asyncio.CancelledError:
            if place.done():  # it was given to us, so give it to the next one
                handed = place.result()
                self._give(None) if handed is None else self.release(handed, self._now())
            raise
        finally:
            if not place.done():
                self._waiting.remove(place)
        if not free:
            limit = f"{self.peer.section}.max_connections" if self.peer.section else "max_connections"
            raise UpstreamBusy(
                f"all connections are taken ({limit}). Raise it, or send fewer requests at once."
            )
        return place.result()

    def _give(self, connection: Exchange | None) -> bool:
        """Give a connection (None: room for one) to the longest waiting request; return whether one waits."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(connection)
                return True
        return False

    async def _dial(self) -> Exchange:
        self._limit.make_room()
        begun = self._now()
        self._dialling += 1
        try:
            connection = await dial(
                self._endpoint, lambda: Exchange(self), self.timeouts.connect, self._connector
            )
        except BaseException:
            self._dialling -= 1
            self._give(None)
            raise
        self._dialling -= 1
        self.tally.connect_seconds.observe(self._now() - begun)
        self._dialled += 1
        self.certificate = connection.certificate()
        connection.retire_at = self._now() + MAX_AGE * (1 - (self._dialled * GOLDEN % 1) / 4)
        self._all.add(connection)
        if self._sweeper is None:
            self._sweeper = self.clock.call_later(self._tick, self._sweep)
        return connection

    def _sweep(self) -> None:
        now = self._now()
        # Set before anything can fail, because without it no time-out would be noticed again.
        self._sweeper = self.clock.call_later(self._tick, self._sweep) if self._all else None
        for connection in tuple(self._all):
            if connection.deadline and now >= connection.deadline:
                connection.expire()
