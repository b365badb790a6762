"""An origin answers an upload at its head: the answer must reach the client, whatever becomes of the body."""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

from bench.behaviour.lanes import Lane
from bench.behaviour.peers import Peer, started
from bench.behaviour.verdict import Result, Verdict, judged
from bench.ports import free_ports
from tests.http.strict import Malformed, read_answer

UPLOADS: Final = "uploads"
TRIES: Final = 5
"""Uploads in each row: what is lost to a race is not lost each time."""
_LARGE: Final = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge"
_PATIENCE: Final = 8.0


@dataclass(frozen=True)
class Row:
    """Attributes:
    size: bytes of the body.
    ends: what the origin does behind its answer: `closes` (with the body unread, so its kernel resets the
        connection), `reads` the rest and closes, `stalls`: it reads nothing more, and keeps the connection.
    sends_first: the client reads only once its body is sent or its connection is gone, as many libraries do.
    """

    tls: bool
    size: int
    chunked: bool
    ends: str
    sends_first: bool

    def __str__(self) -> str:
        return ", ".join(
            (
                "https" if self.tls else "http",
                f"{self.size >> 20} MiB",
                "chunks" if self.chunked else "length",
                f"origin {self.ends}",
                "client sends first" if self.sends_first else "client reads meanwhile",
            )
        )


ROWS: Final = {
    str(row): row
    for row in (
        Row(tls, size << 20, chunked, ends, first)
        for tls, size, chunked, ends, first in product(
            (False, True), (1, 20), (False, True), ("closes", "reads", "stalls"), (False, True)
        )
        if not (ends == "stalls" and first)  # its body never leaves: nothing but a time-out can end that
    )
}


async def upload_verdicts(
    peer: Peer, folder: Path, certificate: tuple[Path, Path], only: Iterable[str] = ()
) -> list[Verdict]:
    """Args:
    certificate: of the origin, for 127.0.0.1, with its key.
    """
    rows = [ROWS[name] for name in (list(only) or ROWS)]
    if peer.speaks != "http":
        why = "it passes on no HTTP requests, only MCP messages of its own client"
        return [Verdict(UPLOADS, str(row), peer.name, Result.CANNOT, why) for row in rows]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    async with AsyncExitStack() as stack:
        lanes = []
        for row, port in zip(rows, free_ports(len(rows)), strict=True):
            origin = Origin(row.ends)
            server = await asyncio.start_server(origin.refuse, "127.0.0.1", 0, ssl=tls if row.tls else None)
            stack.callback(origin.release)
            stack.callback(server.close)
            lanes.append(Lane(port, server.sockets[0].getsockname()[1], tls=row.tls))
        await stack.enter_async_context(started(peer, lanes, folder / "uploads", certificate[0]))
        room = asyncio.Semaphore(3)

        async def one(row: Row, lane: Lane) -> Verdict:
            async with room:
                return judged(UPLOADS, str(row), peer.name, await _complaints(row, lane.listen))

        return await asyncio.gather(*(one(*pair) for pair in zip(rows, lanes, strict=True)))


class Origin:
    """Refuses every request at its head."""

    def __init__(self, ends: str) -> None:
        self._ends = ends
        self._released = asyncio.Event()

    def release(self) -> None:
        self._released.set()

    async def refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_LARGE)
            await writer.drain()
            if self._ends == "reads":
                while await reader.read(1 << 16):
                    pass
            elif self._ends == "stalls":
                await self._released.wait()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _complaints(row: Row, port: int) -> list[str]:
    told = await asyncio.gather(*(asyncio.to_thread(upload, row, port) for _ in range(TRIES)))
    lost = [each for each in told if each]
    return [f"{len(lost)} of {TRIES} clients did not get the answer: {lost[0]}"] if lost else []


def upload(row: Row, port: int) -> str:
    """Send it; empty: the client has got the whole answer."""
    framing = b"Transfer-Encoding: chunked" if row.chunked else b"Content-Length: %d" % row.size
    piece = bytes(1 << 16)
    framed = b"%x\r\n%b\r\n" % (len(piece), piece) if row.chunked else piece
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as caller:
        heard = b""
        try:
            caller.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n" % framing)
            for _ in range(row.size // len(piece)):
                if not row.sends_first:
                    heard += _waiting(caller)
                    if _whole(heard):
                        return ""
                caller.sendall(framed)
            if row.chunked:
                caller.sendall(b"0\r\n\r\n")
        except OSError as error:  # the answer may be there to read all the same
            if isinstance(error, TimeoutError):
                return f"its body was not taken for {_PATIENCE:.0f} s"
        return _rest(caller, heard)


def _rest(caller: socket.socket, heard: bytes) -> str:
    try:
        while not _whole(heard):
            data = caller.recv(1 << 16)
            if not data:
                return f"closed after {heard[:40]!r}"
            heard += data
    except TimeoutError:
        return f"silence for {_PATIENCE:.0f} s after {heard[:40]!r}"
    except OSError as error:
        return f"{type(error).__name__} after {heard[:40]!r}"
    return ""


def _waiting(caller: socket.socket) -> bytes:
    """What has arrived already."""
    caller.setblocking(False)
    try:
        return caller.recv(1 << 16)
    except OSError:
        return b""
    finally:
        caller.settimeout(_PATIENCE)


def _whole(heard: bytes) -> bool:
    """Whether it is the origin's answer, whole."""
    try:
        answer = read_answer(heard, b"POST", ended=False)
    except Malformed:
        return False
    return answer is not None and answer.complete and (answer.status, answer.body) == (413, b"large")
