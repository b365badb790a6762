"""TCP connections to upstreams, HTTP proxies and token endpoints: RFC 8305, and peers that vanish."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from aiohappyeyeballs import start_connection

from proxy.outgoing.addresses import AddressInfo, Failures
from proxy.outgoing.names import GetAddrInfo, Names

ATTEMPT_DELAY: Final = 0.25
"""Seconds after which the next address is tried beside one that is silent (RFC 8305 section 5)."""

UNACKNOWLEDGED: Final = 30
"""Seconds that what we sent may stay without a sign of the peer (TCP_USER_TIMEOUT, RFC 5482)."""

# With TCP_USER_TIMEOUT, Linux ends a silent connection after that time too if a probe was not answered.
# One lost probe would be enough if there were only one in 30 s, so there are three.
# macOS calls the first option TCP_KEEPALIVE.
_PROBES: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPALIVE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 21))


class Connector:
    """Makes TCP connections; shared by all who need one, so that a name is looked up once.

    Attributes:
        failures: which addresses have failed lately.

    Args:
        now: seconds on the Clock.
    """

    def __init__(self, now: Callable[[], float], getaddrinfo: GetAddrInfo = socket.getaddrinfo) -> None:
        self.failures = Failures(now)
        self._names = Names(now, getaddrinfo)

    async def addresses(self, host: str, port: int) -> list[AddressInfo]:
        """Addresses of a host, in the order in which they are to be tried.

        Raises:
            OSError: there are none.
        """
        if not (found := await self._names.addresses(host, port)):
            raise socket.gaierror(socket.EAI_NONAME, "no address that TCP can use")
        return self.failures.order(found)

    async def connect(self, addresses: Sequence[AddressInfo]) -> tuple[socket.socket, AddressInfo]:
        """Race for a connection to the first address that answers.

        Returns:
            The socket, which the caller closes, and the address that it is connected to.

        Raises:
            OSError: none of them answers.
        """
        tried: dict[socket.socket, AddressInfo] = {}

        def opened(address: AddressInfo) -> socket.socket:
            made = open_socket(address)
            tried[made] = address
            return made

        try:
            connection = await start_connection(
                addresses, happy_eyeballs_delay=ATTEMPT_DELAY, interleave=0, socket_factory=opened
            )
        except (OSError, RuntimeError) as error:
            for each in tried.values():
                self.failures.note(each)
            if isinstance(error, RuntimeError):  # uvloop's, where the number of a file is in use
                raise OSError(str(error)) from None
            raise
        except asyncio.CancelledError:  # the last attempt may have had no time
            self.failures.learn(list(tried.values()))
            raise
        begun = list(tried)
        begun = begun[: begun.index(connection) + 1]  # the race may have begun one more meanwhile
        self.failures.learn([tried[each] for each in begun])
        self.failures.forget(tried[connection])
        return connection, tried[connection]


def open_socket(address: AddressInfo) -> socket.socket:
    """A socket for an address that ends when its peer has vanished.

    On Linux that is after 30 s. macOS and Windows have no TCP_USER_TIMEOUT: there, keep-alive probes end a
    silent connection after 2 minutes, and data on their way are sent again for as long as the system does.
    """
    made = socket.socket(*address[:3])
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _PROBES:
            _set(made, name, value)
        _set(made, "TCP_USER_TIMEOUT", UNACKNOWLEDGED * 1000)
    except BaseException:
        made.close()
        raise
    return made


def _set(made: socket.socket, name: str, value: int) -> None:
    if (option := getattr(socket, name, None)) is not None:
        with suppress(OSError):
            made.setsockopt(socket.IPPROTO_TCP, option, value)
