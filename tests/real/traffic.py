"""Callers who go on asking, and what they got."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from proxy.clock import SystemClock, pause
from tests.real.sidecar import Answer

CLOCK = SystemClock()
GOOD = (200, "")


def kind_of(answer: Answer) -> tuple[int, str]:
    """Its status, and the code where the proxy itself answered."""
    return answer.status, answer.ours


def tally(answers: Iterable[Answer]) -> Counter[tuple[int, str]]:
    return Counter(map(kind_of, answers))


async def ticks(rate: float, seconds: float) -> AsyncIterator[float]:
    """The moments of a steady traffic, in seconds on CLOCK, each when it comes.

    A reader who is late is not waited for: the mean rate holds.
    """
    begun = CLOCK.now()
    for number in range(round(rate * seconds)):
        moment = begun + number / rate
        await pause(CLOCK, moment - CLOCK.now())
        yield moment


@asynccontextmanager
async def traffic(*calls: Callable[[], Awaitable[Answer]], every: float = 0.2) -> AsyncIterator[list[Answer]]:
    """Inside, one caller for each of `calls` asks, takes the answer, waits `every` seconds and asks again.

    Yields their answers so far, in the order in which they came; at the end each caller has its last one.
    """
    answers: list[Answer] = []
    over = asyncio.get_running_loop().create_future()

    async def ask(call: Callable[[], Awaitable[Answer]]) -> None:
        answers.append(await call())
        while not await pause(CLOCK, every, until=over):
            answers.append(await call())

    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(ask(call))
        try:
            yield answers
        finally:
            over.set_result(None)


async def eventually(fact: Callable[[], Awaitable[bool]], within: float = 60) -> None:
    """Asks five times a second until it is true.

    Raises:
        TimeoutError: it was not, `within` so many seconds.
    """
    async with asyncio.timeout(within):
        while not await fact():
            await pause(CLOCK, 0.2)
