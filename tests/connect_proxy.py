"""A real HTTP proxy on loopback: CONNECT, and plain http forwarded."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.accepting import accepting


class ConnectProxy:
    """Lets through, unless told otherwise.

    Attributes:
        port: on 127.0.0.1.
        asked: heads of all requests so far.
        user: `NAME:PASSWORD` that has to be shown; None: anybody may come.
        answer: sent instead of anything else, and then it hangs up; None: as usual.
        silent: whether it leaves requests without an answer.
        site: host and port to connect to, whatever it is asked for; None: as asked.
    """

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[bytes] = []
        self.user: str | None = None
        self.answer: bytes | None = None
        self.silent = False
        self.site: tuple[str, int] | None = None

    @property
    def lines(self) -> list[bytes]:
        """First lines of what was asked."""
        return [head.partition(b"\r\n")[0] for head in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head)
        if self.silent:
            await reader.read()
            return
        if self.answer is None and not self._known(head):
            self.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        if self.answer is not None:
            writer.write(self.answer)
            await writer.drain()
            return
        method, target, _ = head.partition(b"\r\n")[0].decode().split(" ")
        url = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host, port = self.site or (url.hostname, url.port)
        site_reader, site_writer = await asyncio.open_connection(host, port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            site_writer.write(head)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pipe(reader, site_writer))
                both.create_task(_pipe(site_reader, writer))
        finally:
            site_writer.transport.abort()

    def _known(self, head: bytes) -> bool:
        return (
            self.user is None
            or b"\r\nProxy-Authorization: Basic " + b64encode(self.user.encode()) + b"\r\n" in head
        )


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while octets := await reader.read(65536):
            writer.write(octets)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def connect_proxy() -> AsyncIterator[ConnectProxy]:
    proxy = ConnectProxy()
    async with accepting(proxy.serve) as proxy.port:
        yield proxy
