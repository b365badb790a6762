"""Between the proxy and a server: passes every byte on, and remembers what the proxy sent."""

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Tap:
    """Knows the proxy's session as Camunda knows it."""

    def __init__(self, url: str, login: str) -> None:
        self.url = url
        self._login = f"POST {urlsplit(url).path}{login} HTTP/1.1\r\n".encode()
        self._sent = bytearray()
        self._spoils = False

    @property
    def logins(self) -> int:
        """How often the proxy showed the password so far, where the login is."""
        return self._sent.count(self._login)

    @property
    def cookies(self) -> str:
        """The Cookie field of the proxy's last request."""
        found: list[bytes] = re.findall(rb"(?i)\r\ncookie: ([^\r]+)", self._sent)
        return found[-1].decode()

    def spoil_csrf(self) -> None:
        """The next CSRF token that the proxy sends arrives wrong."""
        self._spoils = True

    def sent(self, octets: bytes) -> bytes:
        if self._spoils:
            octets, spoiled = re.subn(rb"(?i)(\r\nx-csrf-token: )[^\r]+", rb"\1wrong", octets)
            self._spoils = not spoiled
        self._sent += octets
        return octets


@asynccontextmanager
async def tap(url: str, login: str) -> AsyncIterator[Tap]:
    """Listens on a port of its own, in front of the server at `url`, whose login is at `login` below that."""
    address = urlsplit(url)

    async def connected(of_proxy: StreamReader, to_proxy: StreamWriter) -> None:
        try:
            of_camunda, to_camunda = await asyncio.open_connection(address.hostname, address.port)
        except OSError:
            to_proxy.close()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(_pass(of_proxy, to_camunda, between.sent))
            group.create_task(_pass(of_camunda, to_proxy, bytes))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    between = Tap(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{address.path}", login)
    async with server:
        yield between


async def _pass(reader: StreamReader, writer: StreamWriter, how: Callable[[bytes], bytes]) -> None:
    """Until the reader's side ends: then the writer's does too."""
    try:
        while octets := await reader.read(65536):
            writer.write(how(octets))
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()
