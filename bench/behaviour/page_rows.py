"""What pages of other origins make a browser send: recorded from Chromium (tests/browser/record.py).

An attack fails where its request does not reach the API. The API, like Camunda's, allows no other origin: a
preflight leads to nothing, and the request behind it is not sent, as in a browser.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.behaviour.camunda import answer
from bench.behaviour.lanes import HOSTS, Lane
from bench.behaviour.peers import Peer, started
from bench.behaviour.verdict import Result, Verdict, judged
from bench.ports import free_ports
from tests.http.cases import DATA
from tests.http.strict import Malformed, Request, read_answer
from tests.http.world import Peer as OriginPeer
from tests.http.world import Site, client, site

CHANGES: Final = "pages-change"
READS: Final = "pages-read"
GROUPS: Final = (CHANGES, READS)
MARKER: Final = b"what-only-the-api-knows"
_SAFE: Final = {b"GET", b"HEAD", b"OPTIONS"}
_AT_ONCE: Final = 16
_NEWER: Final = re.compile(rb"\r\n(?:Sec-Fetch-[A-Za-z]+|Sec-Purpose|Purpose): [^\r]*")


@dataclass(frozen=True)
class Attack:
    """Requests of a page, in order, with {port} where the port is named."""

    name: str
    requests: tuple[bytes, ...]

    @property
    def group(self) -> str:
        """By the method of its last request: one that may change something, or one that reads."""
        return READS if self.requests[-1].split(b" ", 1)[0] in _SAFE else CHANGES


def recorded() -> Iterator[Attack]:
    """What Chromium sent, to each name of the port, and as a browser without Sec-Fetch fields sends it.

    The latter leaves out requests that then have neither Origin nor a wrong Host, because no server can tell
    them from a tool's.
    """
    for case in json.loads((DATA / "browser_requests.json").read_text(encoding="utf-8"))["attacks"]:
        requests = tuple(text.encode("latin-1") for text in case["requests"])
        names = HOSTS if b"\r\nHost: localhost:" in requests[0] else HOSTS[:1]
        for host in names:
            here = tuple(_to(each, host) for each in requests)
            at = "" if host == HOSTS[0] else f", at {host}"
            yield Attack(case["name"] + at, here)
            if all(_tells(each) for each in here):
                old = tuple(_NEWER.sub(b"", each) for each in here)
                yield Attack(f"{case['name']}{at}, without Sec-Fetch", old)


def _to(request: bytes, host: str) -> bytes:
    return request.replace(b"\r\nHost: localhost:", b"\r\nHost: %b:" % host.encode(), 1)


def _tells(request: bytes) -> bool:
    """Whether an older browser's request has anything that tells it from a tool's."""
    return b"\r\nOrigin: " in request or not re.search(
        rb"\r\nHost: (?:localhost|127\.0\.0\.1|\[::1\]):", request
    )


async def page_verdicts(
    peer: Peer, folder: Path, certificate: Path, only: Iterable[str] = ()
) -> list[Verdict]:
    wanted = set(only)
    attacks = [each for each in recorded() if not wanted or each.name in wanted]
    if peer.speaks != "http":
        why = "no page can reach it: it has no port for requests"
        return [Verdict(each.group, each.name, peer.name, Result.CANNOT, why) for each in attacks]
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(site())
        (port,) = free_ports(1)
        lane = Lane(port, here.port)
        await stack.enter_async_context(started(peer, [lane], folder / "pages", certificate))
        here.begin(_respond)
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int, attack: Attack) -> Verdict:
            async with room:
                complaints = await _complaints(attack, f"mark{number}x".encode(), port, here)
            return judged(attack.group, attack.name, peer.name, complaints)

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(number, attack)) for number, attack in enumerate(attacks)]
        return [task.result() for task in running]


def _respond(peer: OriginPeer, request: Request) -> None:
    peer.play(answer("200 OK", b"" if request.method == b"HEAD" else MARKER, "Content-Type: text/plain"))


async def _complaints(attack: Attack, mark: bytes, port: int, here: Site) -> list[str]:
    for request in attack.requests:
        sent = request.replace(b"{port}", b"%d" % port).replace(b"{mark}", mark)
        heard = await _heard(sent, port)
        head = heard.partition(b"\r\n\r\n")[0].lower()
        if sent.startswith(b"OPTIONS "):
            if b"\r\naccess-control-allow-origin:" not in head:
                return []  # the browser goes no further
            continue
        if any(mark in each.target and each.method != b"OPTIONS" for each, _ in here.arrived):
            return ["the request reached the API with the credential"]
        if MARKER in heard:
            return ["the client got the API's answer"]
    return []


async def _heard(sent: bytes, port: int) -> bytes:
    """Return the bytes of the answer, until it is whole or nothing has arrived for 2 s."""
    caller = await client(("127.0.0.1", port))
    caller.send(sent)
    method = sent.split(b" ", 1)[0]
    while await caller.listen(2.0):
        try:
            answer = read_answer(caller.heard, method, ended=caller.end == "closed")
        except Malformed:
            break
        if answer is not None and answer.complete:
            break
    caller.transport.abort()
    return caller.heard
