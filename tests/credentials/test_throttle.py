"""One limiter per token host."""

import asyncio

import pytest

from proxy.credentials.throttle import HostThrottle, counts_per_address
from tests.clock import FakeClock


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("login.cloud.camunda.io", True),
        ("camunda.io", True),
        ("notcamunda.io", False),
        ("keycloak", False),
        ("login.cloud.camunda.io.example.org", False),
    ],
)
def test_camunda_saas_is_known_to_count_per_address(host: str, expected: bool) -> None:
    assert counts_per_address(host) is expected


async def starts(clock: FakeClock, throttle: HostThrottle, takes: float, keys: int) -> list[float]:
    """When each of several keys that come together may ask; each request takes so long."""
    begun = clock.now()
    moments: list[float] = []

    async def ask() -> None:
        await throttle.turn()
        moments.append(round(clock.now() - begun, 3))
        clock.call_later(takes, lambda: throttle.ended(limited=False))

    async with asyncio.TaskGroup() as group:
        for _ in range(keys):
            group.create_task(ask())
        await clock.advance(100.0)
    return moments


async def test_a_limited_host_is_asked_once_a_second_without_burst() -> None:
    clock = FakeClock()
    moments = await starts(clock, HostThrottle(clock, always=True), takes=0.0, keys=5)
    assert moments == pytest.approx([0.0, 1.05, 2.1, 3.15, 4.2])


async def test_the_distance_is_kept_from_the_end_of_a_request() -> None:
    clock = FakeClock()
    moments = await starts(clock, HostThrottle(clock, always=True), takes=0.5, keys=3)
    assert moments == pytest.approx([0.0, 1.55, 3.1])


async def test_a_delayed_answer_holds_nobody_up() -> None:
    clock = FakeClock()
    moments = await starts(clock, HostThrottle(clock, always=True), takes=30.0, keys=4)
    assert moments == pytest.approx([0.0, 1.05, 2.1, 3.15])


async def test_other_hosts_let_keys_pass_freely_until_they_say_429() -> None:
    clock = FakeClock()
    throttle = HostThrottle(clock)
    assert await starts(clock, throttle, takes=0.0, keys=3) == [0.0, 0.0, 0.0]
    throttle.ended(limited=True)
    assert await starts(clock, throttle, takes=0.0, keys=2) == pytest.approx([1.05, 2.1])
    await clock.advance(301.0)
    assert await starts(clock, throttle, takes=0.0, keys=3) == [0.0, 0.0, 0.0]


async def test_who_goes_away_takes_no_turn() -> None:
    clock = FakeClock()
    throttle = HostThrottle(clock, always=True)
    await throttle.turn()
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(throttle.turn())
        stays = group.create_task(throttle.turn())
        await clock.settle()
        gone.cancel()
        await clock.advance(1.06)
        assert stays.done()
