"""Callers with an id in each request, and what became of each request."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from random import Random

from proxy.clock import SystemClock, pause

STUCK = 40.0
"""Seconds after which a request counts as stuck; the slowest answer and every wait together take less."""

_ids = count(1)


@dataclass
class Ledger:
    """What became of the requests.

    Attributes:
        statuses: of answers that belong to their request.
        crossed: answers to another request, or bytes that answer none.
        lost: requests whose connection ended without an answer.
        stuck: requests without an answer after STUCK seconds.
        cancelled: requests whose caller went away on purpose.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    crossed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    cancelled: int = 0

    def check(self) -> None:
        """Raises AssertionError where a request was not answered, or not by its own answer."""
        assert not self.crossed, self.crossed[:3]
        assert not self.lost, (len(self.lost), self.lost[:3])
        assert not self.stuck, self.stuck[:3]


@dataclass
class Caller:
    """Sends one request after the other to one port.

    Args:
        kept: whether a connection serves many requests, or one.
        goes: share of requests whose caller leaves before the answer.
    """

    port: int
    kept: bool
    goes: float
    ledger: Ledger
    random: Random

    async def run(self, until: float) -> None:
        clock = SystemClock()
        while clock.now() < until:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                more = True
                while more and clock.now() < until:
                    more = await self._ask(reader, writer) and self.kept
            finally:
                writer.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection takes another."""
        name = f"id-{next(_ids)}"
        delay = self.random.choice((0, 0, 100, 700, 1500))
        body = self.random.choice((b"", b"", b"x" * 100, b"y" * 70_000, b"z" * 200_000))
        method = "POST" if body else "GET"
        head = f"{method} /echo/{name}?after={delay} HTTP/1.1\r\nHost: localhost\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            async with asyncio.timeout(0.05 if self.random.random() < self.goes else STUCK) as limit:
                status, close, said = await _answer(reader)
        except TimeoutError:
            if limit.when() is not None and self.goes:
                self.ledger.cancelled += 1
            else:
                self.ledger.stuck.append(name)
            return False
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.ledger.lost.append(f"{name} {method} {len(body)} after={delay}: {error!r}")
            return False
        if status == 200 and said != name.encode():
            self.ledger.crossed.append(f"{name} got {said[:60]!r}")
        else:
            self.ledger.statuses[status] += 1
        if status != 200:  # or callers without a credential would do nothing but ask
            await pause(SystemClock(), 0.1)
        return not close


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    body = await reader.readexactly(int(fields[b"content-length"]))
    return int(head.split(b" ", 2)[1]), fields.get(b"connection") == b"close", body
