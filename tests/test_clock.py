"""The clocks, the machine's and that of the tests."""

import asyncio

from proxy.clock import SystemClock, pause
from tests.clock import FakeClock


def test_the_clock_of_the_machine_goes_forward() -> None:
    clock = SystemClock()
    assert clock.now() <= clock.now()


async def test_timers_run_in_order_and_at_their_moments() -> None:
    clock = FakeClock(0.0)
    moments: list[tuple[str, float]] = []
    clock.call_later(2.0, lambda: moments.append(("b", clock.now())))
    clock.call_later(1.0, lambda: moments.append(("a", clock.now())))
    clock.call_later(3.0, lambda: moments.append(("c", clock.now()))).cancel()
    await clock.advance(1.5)
    assert moments == [("a", 1.0)]
    await clock.advance(10.0)
    assert moments == [("a", 1.0), ("b", 2.0)]
    assert clock.now() == 11.5


async def test_who_sleeps_in_a_row_wakes_in_one_advance() -> None:
    clock = FakeClock(0.0)

    async def sleep_thrice() -> float:
        for _ in range(3):
            await pause(clock, 1.0)
        return clock.now()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(sleep_thrice())
        await clock.advance(5.0)
        assert task.result() == 3.0


async def test_no_timer_runs_during_a_jump() -> None:
    clock = FakeClock(0.0)
    ran: list[float] = []
    clock.call_later(5.0, lambda: ran.append(clock.now()))
    clock.jump(100.0)
    await clock.advance(4.0)
    assert ran == []
    await clock.advance(1.0)
    assert ran == [105.0]


async def test_a_pause_ends_early_and_leaves_the_shared_future_alone() -> None:
    clock = FakeClock()
    shared: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        waits = group.create_task(pause(clock, 10.0, shared))
        gone = group.create_task(pause(clock, 10.0, shared))
        late = group.create_task(pause(clock, 1.0, shared))
        await clock.advance(1.0)
        assert late.result() is False
        gone.cancel()
        await clock.settle()
        assert not shared.cancelled()
        shared.set_result(None)
        await clock.settle()
        assert waits.result() is True
