"""Free memory goes back to the system after a burst."""

import asyncio
import sys

import pytest

from proxy.commands.memory import WORTH, give_back, resident, trim
from tests.clock import FakeClock


@pytest.mark.parametrize(
    ("sizes", "given"),
    [
        ([100, 100 + WORTH], 0),
        ([100, 101 + WORTH], 1),
        ([100, 101 + WORTH, 101 + WORTH, 100], 2),
        ([0, 1 << 40], 0),
    ],
    ids=["small", "large", "while it is large", "of unknown size"],
)
async def test_memory_is_given_back_while_the_process_is_larger_than_at_its_start(
    sizes: list[int], given: int
) -> None:
    clock, calls = FakeClock(), list[None]()
    left = iter(sizes)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(give_back(clock, lambda: next(left), lambda: calls.append(None)))
        await clock.settle()
        for _ in sizes[1:]:
            await clock.advance(20.0)
        task.cancel()
    assert len(calls) == given


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_what_is_freed_leaves_the_process() -> None:
    pieces = [bytes(16 * 1024) for _ in range(4096)]
    last = bytes(32)  # on top of them in the heap
    full = resident()
    pieces.clear()
    trim()
    assert resident() < full - 32 * 1024 * 1024
    assert last
