"""An origin that lets its callers wait: every `/poll` is held until somebody asks for `/release`.

Usage: python -m bench.polls SOCKET
"""

import asyncio
import sys
from typing import Final

_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"


class _Origin:
    def __init__(self) -> None:
        self.held: set[asyncio.Transport] = set()

    def release(self) -> None:
        for transport in tuple(self.held):
            _answer(transport, b"released")


class _Caller(asyncio.Protocol):
    """One request; a GET's head is short enough for one read on a Unix socket."""

    def __init__(self, origin: _Origin) -> None:
        self._origin = origin

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        path = data.split(b" ", 2)[1]
        if path == b"/poll":
            self._origin.held.add(self._transport)
            return
        _answer(self._transport, b"%d" % len(self._origin.held))
        if path == b"/release":
            self._origin.release()

    def connection_lost(self, _: Exception | None) -> None:
        self._origin.held.discard(self._transport)


def _answer(transport: asyncio.Transport, body: bytes) -> None:
    transport.write(_ANSWER % (len(body), body))
    transport.close()


async def main(path: str) -> None:
    origin = _Origin()
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: _Caller(origin), path, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
