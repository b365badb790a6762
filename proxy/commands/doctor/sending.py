"""Sends a call over a connection that is made as the gateway makes it, and reads its answer."""

import asyncio
from typing import Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from proxy.commands.doctor.calls import Answer, Call
from proxy.commands.doctor.places import Place, Surroundings
from proxy.credentials.credential import Fields
from proxy.errors import UpstreamError, UpstreamProtocol, UpstreamTimeout
from proxy.gateway.dial import dial
from proxy.gateway.lost import why_lost
from proxy.outgoing.causes import Peer

MOST: Final = 1 << 18
"""Most bytes of an answer that are read."""


class NotHttp(UpstreamProtocol):
    """The answer is not HTTP.

    Attributes:
        beginning: its first bytes.
    """

    def __init__(self, beginning: bytes) -> None:
        super().__init__("its answer is not HTTP.", cause="not_http")
        self.beginning = beginning


async def send(
    place: Place, call: Call, prefix: str, host: str, fields: Fields, around: Surroundings
) -> Answer:
    """Send a call and read its answer.

    Args:
        prefix: path of the base URL.
        host: value of the Host field.
        fields: of the credential.

    Raises:
        UpstreamError: there is no answer.
    """
    head = _head(call, prefix, host, fields)
    begun = around.clock.now()
    made = await dial(place.endpoint, lambda: _Exchange(place.peer), place.timeout, around.connector)
    try:
        async with asyncio.timeout(around.patience):
            made.transport.write(head + call.content.encode("ascii"))
            await made.ended
    except TimeoutError:
        text = f"it takes connections, but did not answer in {around.patience:.0f} s"
        said = f"{text}. Look at its log, and at what stands before it."
        raise UpstreamTimeout(said, cause="answer_timeout") from None
    finally:
        made.transport.abort()
        await made.closed
    return Answer(made.status, tuple(made.fields), bytes(made.body), around.clock.now() - begun, len(head))


def _head(call: Call, prefix: str, host: str, fields: Fields) -> bytes:
    lines = [
        f"{call.method} {prefix}{call.path} HTTP/1.1".encode("ascii"),
        b"Host: " + host.encode("ascii"),
        b"User-Agent: camunda-auth-proxy",
        b"Accept: application/json",
        b"Accept-Encoding: identity",
        b"Connection: close",
        *(name + b": " + value for name, value in fields),
    ]
    if call.content:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(call.content)]
    return b"\r\n".join((*lines, b"", b""))


class _Exchange(asyncio.Protocol):
    """Reads one answer.

    Attributes:
        ended: done when the whole answer, or its first MOST bytes, are there.
        closed: done when the connection is closed.
    """

    transport: asyncio.Transport

    def __init__(self, peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        self._peer = peer
        self.ended: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.status = 0
        self.fields: list[tuple[str, str]] = []
        self.body = bytearray()
        self._parser = HttpResponseParser(self)
        self._beginning = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes

    def data_received(self, data: bytes) -> None:
        if self.ended.done():
            return
        self._beginning = self._beginning or data[:64]
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._end(NotHttp(self._beginning))
        if len(self.body) >= MOST:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.status and exc is None:  # an answer without a length ends with its connection
            self._end()
        self._end(why_lost(exc, self._peer, received=len(self._beginning), used=1))
        if not self.closed.done():
            self.closed.set_result(None)

    def _end(self, error: UpstreamError | None = None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
            self.ended.exception()  # or asyncio would log that it was never retrieved

    # -- the parser's callbacks --

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.body += body[: MOST - len(self.body)]

    def on_message_complete(self) -> None:
        if self.status < 200:  # an interim answer
            self.status, self.fields = 0, []
        else:
            self._end()
