"""Faults of the token endpoint, at the start and while a token is in use, and what a client sees of them."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.behaviour.calls import Caller, HttpCaller, McpCaller, Told
from bench.behaviour.camunda import LIMITED, REFUSED, Camunda, Tokens, Wrong, camunda
from bench.behaviour.lanes import SECRET, STATIC, Lane
from bench.behaviour.peers import Peer, started
from bench.behaviour.verdict import Result, Verdict, judged
from bench.ports import free_ports
from proxy.demo.world import Fault

TOKENS: Final = "token-endpoint"
_ROOM: Final = asyncio.Semaphore(24)
"""So many rows run at the same time, of all peers: most of them wait most of the time."""

FAULTS: Final[tuple[Wrong, ...]] = (*Fault, LIMITED, REFUSED)

_FAULT_SECONDS: Final = 6.0
_LIFE: Final = 16
_STEP: Final = 0.25
"""Seconds between two requests of a client."""
_BACK: Final = 15.0
"""Seconds after the end of a fault in which a request must be answered well."""
BEGUN: Final = 60.0
"""Seconds that a peer has for its first good answer, which is not what a row is about."""


@dataclass
class World:
    """A peer before a Camunda, and a client.

    Attributes:
        answers: of the client's requests so far, each with when it was sent.
    """

    camunda: Camunda
    caller: Caller
    answers: list[tuple[float, Told]]

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def ask(
        self, target: str = "/x", method: str = "GET", body: bytes | None = None, *, chunked: bool = False
    ) -> Told:
        at = self.now()
        told = await self.caller.ask(target, method, body, chunked=chunked)
        self.answers.append((at, told))
        return told

    async def keep_asking(self, seconds: float, target: str = "/x") -> None:
        """Send a request each _STEP, whether the one before is answered or not; wait for all answers."""
        end = self.now() + seconds
        async with asyncio.TaskGroup() as tasks:
            while self.now() < end:
                tasks.create_task(self.ask(target))
                await asyncio.sleep(_STEP)

    async def until_good(self, seconds: float, target: str = "/x") -> bool:
        """Whether a request is answered well within so many seconds."""
        end = self.now() + seconds
        while self.now() < end:
            if (await self.ask(target)).good:
                return True
            await asyncio.sleep(_STEP)
        return False

    def leaks(self) -> Iterable[str]:
        secrets = (SECRET.encode(), STATIC.encode(), b"token-")
        if any(each in told.body for each in secrets for _, told in self.answers):
            yield "an answer to the client holds the secret or a token"

    def unanswered(self) -> Iterable[str]:
        faults = [told.fault for _, told in self.answers if told.fault not in ("", "refused")]
        if faults:
            yield f"{len(faults)} of {len(self.answers)} requests were not answered ({faults[0]})"


Scenario = Callable[[World], Awaitable[list[str]]]


@asynccontextmanager
async def world(peer: Peer, tokens: Tokens, folder: Path, certificate: Path) -> AsyncIterator[World]:
    """The peer runs, whether it accepts connections yet or not."""
    async with camunda(tokens) as there, asyncio.TaskGroup() as tasks:
        (port,) = free_ports(1)
        lane = Lane(port, there.api_site.port, token_url=there.token_url if peer.fetches else None)
        there.api.bare = peer.speaks == "mcp"
        if not peer.fetches:
            tokens.ends[STATIC] = math.inf
        async with started(peer, [lane], folder, certificate, ready=tokens.wrong is None) as running:
            if peer.speaks == "mcp":
                mcp = McpCaller(running)
                tasks.create_task(mcp.listen())
                yield World(there, mcp, [])
            else:
                yield World(there, HttpCaller(port), [])


def at_the_start(fault: Wrong) -> Scenario:
    async def scenario(here: World) -> list[str]:
        tokens = here.camunda.tokens
        begun = here.now()
        while not tokens.asked and here.now() < begun + BEGUN:  # it may take a moment to start
            await here.ask()
            await asyncio.sleep(_STEP)
        first = tokens.asked[0] if tokens.asked else here.now()
        await here.keep_asking(_FAULT_SECONDS)
        ended = here.now()
        tokens.wrong = None
        complaints = [*here.unanswered(), *_hammered(tokens, first, ended), *_wrongly_sent(here)]
        if not await here.until_good(_BACK):
            complaints.append(f"{_BACK:.0f} s after the end of the fault no request was answered well")
        return complaints

    return scenario


def while_it_runs(fault: Wrong) -> Scenario:
    async def scenario(here: World) -> list[str]:
        tokens = here.camunda.tokens
        if not await here.until_good(BEGUN):
            return ["no request was answered well before the fault"]
        tokens.wrong = fault
        begun = here.now()
        last = max(tokens.ends.values())
        here.answers.clear()
        await here.keep_asking(last + 3.0 - begun)
        ended = here.now()
        complaints = [*here.unanswered(), *_hammered(tokens, begun, ended), *_wrongly_sent(here)]
        early = [at for at, told in here.answers if at < last - 1.0 and not told.good]
        if early:
            complaints.append(
                f"requests failed {last - early[0]:.0f} s before the token ended, {len(early)} of them"
            )
        tokens.wrong = None
        if not await here.until_good(_BACK):
            complaints.append(f"{_BACK:.0f} s after the end of the fault no request was answered well")
        return complaints

    return scenario


def _hammered(tokens: Tokens, begun: float, ended: float) -> Iterable[str]:
    """One question a second is what Camunda SaaS allows; two more for the start."""
    asked = sum(begun <= at <= ended for at in tokens.asked)
    if asked > ended - begun + 2:
        yield f"the token endpoint was asked {asked} times in {ended - begun:.0f} s"


def _wrongly_sent(here: World) -> Iterable[str]:
    yield from here.camunda.api.forwarded()
    yield from here.camunda.faults()
    yield from here.leaks()
    elsewhere = here.camunda.tokens.unusable.get("elsewhere")
    if elsewhere:
        yield elsewhere


# -- without a fault --


async def one_for_all(here: World) -> list[str]:
    """50 requests wait for the first token."""
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(here.ask()) for _ in range(50)]
    good = sum(task.result().good for task in asked)
    complaints = [] if good == 50 else [f"{good} of 50 requests were answered well"]
    if len(here.camunda.tokens.asked) > 1:
        complaints.append(f"50 requests at the start asked for {len(here.camunda.tokens.asked)} tokens")
    return [*complaints, *here.unanswered(), *here.leaks()]


async def no_wait(here: World) -> list[str]:
    """Tokens of 16 s, and a token endpoint that takes 1.5 s: no request waits for a refresh."""
    if not await here.until_good(BEGUN):
        return ["no request was answered well"]
    here.answers.clear()
    await here.keep_asking(2.5 * _LIFE)
    slow = [told.seconds for _, told in here.answers if told.seconds > 1.3]
    complaints = [f"{len(slow)} requests waited for a new token, up to {max(slow):.1f} s"] if slow else []
    bad = sum(not told.good for _, told in here.answers)
    if bad:
        complaints.append(f"{bad} of {len(here.answers)} requests failed")
    return [*complaints, *here.camunda.api.forwarded()]


ROWS: Final[dict[str, tuple[Tokens, Scenario]]] = {
    **{f"{fault} at the start": (Tokens(wrong=fault), at_the_start(fault)) for fault in FAULTS},
    **{f"{fault} later": (Tokens(life=_LIFE, told=_LIFE), while_it_runs(fault)) for fault in FAULTS},
    "50 requests wait for the first token": (Tokens(slow=2.0), one_for_all),
    "tokens are renewed ahead": (Tokens(life=_LIFE, told=_LIFE, slow=1.5), no_wait),
}


async def token_verdicts(
    peer: Peer, folder: Path, certificate: Path, only: Iterable[str] = ()
) -> list[Verdict]:
    wanted = list(only) or list(ROWS)
    if not peer.fetches:
        why = "it fetches no token: a fixed one is in its configuration"
        return [Verdict(TOKENS, row, peer.name, Result.CANNOT, why) for row in wanted]
    return await all_rows(peer, TOKENS, {row: ROWS[row] for row in wanted}, folder, certificate)


async def all_rows(
    peer: Peer, group: str, rows: dict[str, tuple[Tokens, Scenario]], folder: Path, certificate: Path
) -> list[Verdict]:
    """Each row with a process of the peer and a Camunda of its own."""

    async def one(number: int, name: str) -> Verdict:
        tokens, scenario = rows[name]
        place = folder / f"{group}-{number}"
        async with _ROOM, world(peer, _fresh(tokens, peer), place, certificate) as here:
            complaints = await scenario(here)
        return judged(group, name, peer.name, complaints)

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one(number, name)) for number, name in enumerate(rows)]
    return [task.result() for task in running]


def _fresh(tokens: Tokens, peer: Peer) -> Tokens:
    """A copy for one row; a token that lives for _LIFE lives longer for a peer that gives it up earlier."""
    more = peer.margin if tokens.told == _LIFE else 0
    return replace(tokens, life=tokens.life + more, told=tokens.told + more, asked=[], ends={}, unusable={})
