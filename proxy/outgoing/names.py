"""Looks names up: one lookup per name at a time, shared by all who wait for it, each in a thread of its own.

`getaddrinfo` is asked, so that /etc/hosts, search domains, `ndots` and every other source of the system
count. It cannot be interrupted, and with a silent DNS server it takes 10 s to minutes. The event loop would
run it in a pool of four threads, which a single name can fill. Here a name that hangs holds up itself alone,
and a caller that stops waiting leaves nothing in a queue.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from proxy.outgoing.addresses import AddressInfo

GetAddrInfo = Callable[..., Sequence[AddressInfo]]

MAX_LOOKUPS: Final = 256
"""Lookups at once. There are as many as names; the bound is for an issuer that names ever new ones."""

STUCK: Final = 60.0
"""Seconds after which a lookup is not waited for any more: the next caller begins another one."""


class Names:
    """Looks names up.

    Args:
        now: seconds on the Clock.
        getaddrinfo: the system's.
    """

    def __init__(self, now: Callable[[], float], getaddrinfo: GetAddrInfo = socket.getaddrinfo) -> None:
        self._now = now
        self._getaddrinfo = getaddrinfo
        self._running: dict[str, _Lookup] = {}
        self._threads = 0

    async def addresses(self, host: str, port: int) -> list[AddressInfo]:
        """Addresses of a host in the system's order (RFC 6724), for TCP.

        Args:
            host: a name, with or without a dot at its end, or an IP address without brackets.

        Raises:
            OSError: `socket.gaierror` where there is no such name, or no DNS server has answered.
            UnicodeError: no name can be spelled so.
        """
        with suppress(socket.gaierror):
            return _for_tcp(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=_NUMERIC))
        found = await self._lookup(host.lower())
        return [(family, kind, proto, "", _with_port(at, port)) for family, kind, proto, _, at in found]

    async def _lookup(self, host: str) -> list[AddressInfo]:
        lookup = self._running.get(host)
        if lookup is None or self._now() - lookup.begun > STUCK:
            lookup = self._begin(host)
        waiter: asyncio.Future[list[AddressInfo] | OSError] = asyncio.get_running_loop().create_future()
        lookup.waiters.add(waiter)
        try:
            outcome = await waiter
        finally:
            lookup.waiters.discard(waiter)
        if isinstance(outcome, OSError):
            raise type(outcome)(*outcome.args)  # one for each waiter: a traceback belongs to one task
        return outcome

    def _begin(self, host: str) -> "_Lookup":
        if self._threads >= MAX_LOOKUPS:
            raise socket.gaierror(socket.EAI_AGAIN, "too many names are being looked up")
        lookup = _Lookup(self._now())
        loop = asyncio.get_running_loop()

        def run() -> None:
            outcome = self._outcome(host)
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(self._end, host, lookup, outcome)

        try:
            # A daemon: the process must not wait at its end for a DNS server that is silent.
            threading.Thread(target=run, name=f"lookup {host}", daemon=True).start()
        except RuntimeError:
            raise socket.gaierror(socket.EAI_AGAIN, "the system allows no more threads") from None
        self._threads += 1
        self._running[host] = lookup
        return lookup

    def _outcome(self, host: str) -> list[AddressInfo] | OSError:
        try:
            return _for_tcp(self._getaddrinfo(host, 0, type=socket.SOCK_STREAM))
        except OSError as error:
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 -- a fault here would leave all who wait without an end
            return OSError(f"the lookup failed: {type(error).__name__}")

    def _end(self, host: str, lookup: "_Lookup", outcome: list[AddressInfo] | OSError) -> None:
        self._threads -= 1
        if self._running.get(host) is lookup:
            del self._running[host]
        for waiter in lookup.waiters:
            if not waiter.done():
                waiter.set_result(outcome)


class _Lookup:
    """A lookup under way.

    Attributes:
        begun: seconds on the Clock.
    """

    __slots__ = ("begun", "waiters")

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.waiters: set[asyncio.Future[list[AddressInfo] | OSError]] = set()


_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


def _for_tcp(found: Sequence[Any]) -> list[AddressInfo]:
    """Without addresses of families that the system, or this Python, has no sockets for."""
    lengths = {socket.AF_INET: 2, socket.AF_INET6: 4}  # of an address; another one is of a family it lacks
    return [each for each in found if len(each[4]) == lengths.get(each[0])]


def _with_port(address: tuple[Any, ...], port: int) -> tuple[Any, ...]:
    return (address[0], port, *address[2:])
