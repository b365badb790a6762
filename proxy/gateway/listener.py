"""The local port: aiohttp's server, which has a task for each connection.

aiohttp accepts connections. It owns the task in which `CallerConnection.serve` answers call after call, and
cancels that task when the caller goes. None of the caller's bytes reach its parser, so there is nothing that
it could read differently from us, and nothing that it could echo or log.
"""

import asyncio
import socket
import sys
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Final

# Not from `aiohttp.web`: it imports routes, files, WebSockets and argparse, 1.4 MiB that we do not need.
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from proxy.clock import Clock, Timer
from proxy.gateway.call import Service
from proxy.gateway.caller import CallerConnection
from proxy.gateway.caller_tls import CallerTls
from proxy.gateway.caller_transport import is_unix
from proxy.gateway.limit import ConnectionLimit
from proxy.gateway.share import Share
from proxy.net import ContextMaker

CHECK_INTERVAL: Final = 5.0
"""Seconds between two checks of all connections for time-outs."""

_NONE: Final[Any] = None  # aiohttp gets no request, so it needs no handler and no log


class _Face(asyncio.Transport):
    """What aiohttp takes for the transport of a connection.

    It shows no socket, because aiohttp would set options that the connection has already, which costs as much
    as a quarter of a forwarded request.
    """

    def __init__(self, caller: CallerConnection) -> None:
        super().__init__()
        self._caller = caller

    def close(self) -> None:
        self._caller.transport.close()

    def is_closing(self) -> bool:
        return self._caller.transport.is_closing()


class _Handler(RequestHandler):
    """aiohttp's part of a connection: it owns the task of the connection."""

    __slots__ = ("_caller",)

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop, caller: CallerConnection) -> None:
        super().__init__(server, loop=loop, access_log=_NONE, keepalive_timeout=0)  # our own time-outs hold
        self._caller = caller

    def start(self) -> Coroutine[Any, Any, None]:
        """Return what the task runs. aiohttp's own method would parse requests, and make a task for each."""
        return self._caller.serve()


class Listener:
    """One upstream's port.

    Args:
        tls: makes the context for the next connection; None: the port is plain.

    Attributes:
        service: answers its calls; another one after a reload.
        ending: connections end with their next answer, unless another request was sent ahead.
        closing: connections end as soon as all their requests are answered.
        limit: limit of connections, shared with other listeners.
        share: of each turn of the event loop, for very small chunks.
        connections: its connections.
    """

    def __init__(
        self,
        service: Service,
        clock: Clock,
        limit: ConnectionLimit | None = None,
        share: Share | None = None,
        tls: ContextMaker | None = None,
    ) -> None:
        self.service = service
        self.ending = self.closing = False
        self.limit = limit if limit is not None else ConnectionLimit(sys.maxsize)
        self.clock = clock
        self.connections: set[CallerConnection] = set()
        self._loop = asyncio.get_running_loop()
        self.share = share if share is not None else Share(self._loop)
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._check_timer: Timer | None = None
        self._aiohttp = Server(_NONE, handler_cancellation=True)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept callers on bound sockets. From now on the event loop owns the sockets."""
        for sock in sockets:
            unix = is_unix(sock)
            if not unix:  # accepted sockets inherit both
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            create = self._loop.create_unix_server if unix else self._loop.create_server
            self._servers.append(await create(partial(self._accept, unix), sock=sock, backlog=1024))

    @property
    def sockets(self) -> list[socket.socket]:
        """The sockets on which callers are accepted."""
        return [sock for server in self._servers for sock in server.sockets]

    def _accept(self, unix: bool) -> CallerConnection | CallerTls:
        if self._check_timer is None:
            self._check_timer = self.clock.call_later(CHECK_INTERVAL, self._check_connections)
        if self._tls is not None:
            return CallerTls(self, self._tls(), partial(self._connection, unix))
        return self._connection(unix)

    def _connection(self, unix: bool) -> CallerConnection:
        return CallerConnection(self, self._loop, self._begin, unix=unix)

    def _begin(self, caller: CallerConnection) -> RequestHandler:
        """Make the task of a connection, which has just been made."""
        handler = _Handler(self._aiohttp, self._loop, caller)
        handler.connection_made(_Face(caller))
        return handler

    def _check_connections(self) -> None:
        # Set before anything can fail, because without it no time-out would be noticed again.
        self._check_timer = (
            self.clock.call_later(CHECK_INTERVAL, self._check_connections) if self.connections else None
        )
        now = self.clock.now()
        for caller in tuple(self.connections):
            caller.look(now)

    def cut_removed(self) -> None:
        """Cut the running requests of callers that the service no longer admits, after a reload."""
        for caller in tuple(self.connections):
            call = caller.call
            if call is None or call.admission is None:
                continue
            if not self.service.admits(call, reloaded=True):
                caller.reset()

    def stop_accepting(self) -> None:
        for server in self._servers:
            server.close()

    def wind_down(self) -> None:
        """Close the connections on which no request has begun; the others end with their next answer."""
        self.ending = self.closing = True
        for caller in tuple(self.connections):
            caller.close_if_idle()

    @property
    def busy(self) -> int:
        """Number of calls that are being answered."""
        return sum(caller.call is not None for caller in self.connections)

    async def close(self) -> None:
        """Stop accepting, and cut all connections."""
        self.stop_accepting()
        if self._check_timer is not None:
            self._check_timer.cancel()
        for caller in tuple(self.connections):
            caller.reset()
        await self._aiohttp.shutdown(1.0)
