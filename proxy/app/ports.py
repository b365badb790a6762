"""Holds the local ports over many configurations: takes all new ones or none, and closes old ones singly."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType

from proxy.app.sockets import Bound, HeldSocket, bind, bind_unix
from proxy.clock import Clock, pause
from proxy.config.model import Listen
from proxy.errors import StartError
from proxy.gateway.call import Service
from proxy.gateway.limit import ConnectionLimit
from proxy.gateway.listener import Listener
from proxy.gateway.share import Share
from proxy.net import ContextMaker

log = logging.getLogger("proxy")

POLL = 0.05
"""Interval in seconds at which we poll for first fetches, and for running requests while we stop."""

Held = Mapping[tuple[str, int], HeldSocket]
Place = tuple[str, Listen]


@dataclass(frozen=True, slots=True, eq=False)
class Port:
    """Bound sockets, and their listener."""

    bound: Bound
    listener: Listener

    async def close(self) -> None:
        """Cut off running requests, and close the sockets."""
        await self.listener.close()
        self.bound.close()


class Ports:
    """The ports of one kind. If an address stays the same, its sockets and its callers' connections stay.

    Settings are named as in the configuration: `upstreams.zeebe.listen`.

    Args:
        limit: of callers' connections; None: no limit.
    """

    def __init__(
        self, clock: Clock, limit: ConnectionLimit | None = None, share: Share | None = None
    ) -> None:
        self._clock = clock
        self._limit = limit
        self._share = share
        self._open: dict[Place, Port] = {}
        self._idle: list[Port] = []
        self._leaving: list[Port] = []

    @property
    def held(self) -> Held:
        """TCP sockets that accept, by address and port."""
        sockets = [
            sock for port in self._open.values() if not port.bound.path for sock in port.listener.sockets
        ]
        return {sock.getsockname()[:2]: sock for sock in sockets}

    @property
    def busy(self) -> int:
        """Requests that are being answered."""
        return sum(port.listener.busy for port in (*self._open.values(), *self._leaving))

    def take(
        self,
        listens: Mapping[str, Listen],
        held: Held,
        stack: ExitStack,
        note: Callable[[StartError], object],
    ) -> dict[str, Bound]:
        """Return the sockets of each setting, present or new ones, for `switch`.

        Args:
            held: sockets of this process; a setting with the address of one shares it.
            stack: closes the new sockets.
            note: gets the error of each setting whose sockets cannot be bound.
        """
        taken: dict[str, Bound] = {}
        for setting, listen in listens.items():
            port = self._open.get(_place(setting, listen))
            try:
                bound = port.bound if port is not None else _bound(listen, setting, held)
            except StartError as error:
                note(error)
                continue
            taken[setting] = bound
            if port is None:
                stack.callback(bound.close)
                if bound.notice:
                    log.warning(bound.notice)
        return taken

    def switch(
        self,
        listens: Mapping[str, Listen],
        taken: Mapping[str, Bound],
        services: Mapping[str, Service],
        tls: Mapping[str, ContextMaker] = MappingProxyType({}),
    ) -> Sequence[Port]:
        """Let each setting's service answer at its sockets, at new ones after `start`; stop at all others.

        Args:
            tls: makes the contexts of the settings that have TLS.

        Returns:
            The ports that are given up. They no longer accept; call `see_off` for each.
        """
        before, self._open = self._open, {}
        for setting, listen in listens.items():
            place, service = _place(setting, listen), services[setting]
            port = before.pop(place, None)
            if port is None:
                listener = Listener(service, self._clock, self._limit, self._share, tls.get(setting))
                port = Port(taken[setting], listener)
                self._idle.append(port)
            port.listener.service = service
            self._open[place] = port
        given_up = tuple(before.values())
        self._leaving += given_up
        for port in given_up:
            port.listener.stop_accepting()
            port.listener.wind_down()
        return given_up

    def cut_removed(self) -> None:
        """Cut the running requests of callers that are no longer admitted."""
        for port in (*self._open.values(), *self._leaving):
            port.listener.cut_removed()

    async def start(self) -> None:
        """Begin to accept at the new ports."""
        while self._idle:
            port = self._idle.pop()
            await port.listener.start(port.bound.sockets)

    async def see_off(self, port: Port, grace: float) -> None:
        """Close a given-up port as soon as no request runs there, or after `grace` seconds."""
        give_up = self._clock.now() + grace
        while port.listener.busy and self._clock.now() < give_up:
            await pause(self._clock, POLL)
        await port.close()
        self._leaving.remove(port)

    def end_connections(self) -> None:
        """Go on accepting callers, but end each connection after its next answer."""
        for port in self._open.values():
            port.listener.ending = True

    def wind_down(self) -> None:
        """Stop accepting, and close the connections that have no running request."""
        for port in self._open.values():
            port.listener.stop_accepting()
            port.listener.wind_down()

    async def close(self) -> None:
        """Cut off running requests at all ports, and close the sockets."""
        for port in (*self._open.values(), *self._leaving):
            await port.close()


def _place(setting: str, listen: Listen) -> Place:
    """Return the key of a port. Settings with equal keys share it; with port 0 the key has the setting.

    Another `tls` is another port, so connections without TLS, or with a certificate of other CAs, end.
    """
    return "" if listen.port or listen.path else setting, listen


def _bound(listen: Listen, setting: str, held: Held) -> Bound:
    if listen.path:
        return bind_unix(listen.path, setting)
    return bind(listen.addresses, listen.port, setting, held)
