"""An upstream without any framework, which says what arrived and refuses large uploads at their head."""

import asyncio
import hashlib
import json
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

REFUSES = "/refuses"
"""The target of which only the head is read: answered 413, and the connection is closed at once."""


class Received(NamedTuple):
    """One request, as it arrived."""

    line: str
    fields: dict[str, list[str]]  # names in lower case
    size: int
    sha256: str

    def has(self, field: str, value: str) -> bool:
        return self.fields.get(field) == [value]

    @property
    def summary(self) -> dict[str, object]:
        """What the answer to it says."""
        framing = "chunks" if "transfer-encoding" in self.fields else "length"
        return summary(self.line.split(" ")[0], framing if self.size else "", self.size, self.sha256)


def summary(method: str, framing: str, size: int, sha256: str) -> dict[str, object]:
    return {"method": method, "framing": framing, "size": size, "sha256": sha256}


class Site:
    """Answers a body that came by length by length, and one that came in chunks in chunks."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[Received] = []

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            while not writer.is_closing():
                await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        fields: dict[str, list[str]] = {}
        for each in lines:
            name, _, value = each.partition(":")
            fields.setdefault(name.lower(), []).append(value.strip())
        if line.split(" ")[1] == REFUSES:
            self.received.append(Received(line, fields, 0, ""))
            writer.write(_answer("413 Content Too Large", "by length", {"refused": "too large"}))
            writer.close()  # with bytes of the body unread, so this is a reset
            return
        if "expect" in fields:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await _body(reader, fields)
        received = Received(line, fields, len(body), hashlib.sha256(body).hexdigest())
        self.received.append(received)
        writer.write(_answer("200 OK", str(received.summary["framing"]), received.summary))


async def _body(reader: StreamReader, fields: dict[str, list[str]]) -> bytes:
    if "transfer-encoding" not in fields:
        [length] = fields.get("content-length", ["0"])
        return await reader.readexactly(int(length))
    assert fields["transfer-encoding"] == ["chunked"]
    assert "content-length" not in fields
    body = bytearray()
    while size := int(re.match(rb"[0-9A-Fa-f]+", await reader.readuntil(b"\r\n"))[0], 16):  # type: ignore[index]
        body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    assert await reader.readexactly(2) == b"\r\n"
    return bytes(body)


def _answer(status: str, framing: str, said: dict[str, object]) -> bytes:
    body = json.dumps(said).encode()
    framed = b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    if framing == "chunks":
        framed = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n%b" % (status.encode(), framed)


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    served = Site()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield served
