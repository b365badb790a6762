"""Between a client and the proxy: passes every byte on, both ways, and remembers the first of them."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

MOST = 4 << 20  # of a connection, each way


class Connection:
    """What went over one connection so far: at most `MOST` bytes each way."""

    def __init__(self) -> None:
        self.sent = bytearray()  # by the client
        self.answered = bytearray()


class Recorder:
    """All connections of one client, in the order in which it opened them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connections: list[Connection] = []


@asynccontextmanager
async def recorder(url: str) -> AsyncIterator[Recorder]:
    """Listens on a port of its own, in front of the proxy's port at `url`."""
    address = urlsplit(url)

    async def connected(of_client: StreamReader, to_client: StreamWriter) -> None:
        connection = Connection()
        record.connections.append(connection)
        of_proxy, to_proxy = await asyncio.open_connection(address.hostname, address.port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass(of_client, to_proxy, connection.sent))
                group.create_task(_pass(of_proxy, to_client, connection.answered))
        finally:
            to_client.close()
            to_proxy.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    record = Recorder(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield record


async def _pass(reader: StreamReader, writer: StreamWriter, seen: bytearray) -> None:
    """Until the reader's side ends: then this half of the writer's ends too, and the other half goes on."""
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            seen += piece[: MOST - len(seen)]
            writer.write(piece)
            await writer.drain()
    with suppress(OSError):
        writer.write_eof()
