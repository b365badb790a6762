"""Lookups: one for each name at a time, and none that holds up another name."""

import asyncio
import socket
import threading
from collections import Counter
from typing import Any

import pytest

from proxy.outgoing.addresses import AddressInfo
from proxy.outgoing.names import MAX_LOOKUPS, STUCK, Names
from tests.clock import FakeClock

PATIENCE = 5.0


def found(host: str, port: int = 0) -> AddressInfo:
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)


class SilentServer:
    """A getaddrinfo that hangs for names whose server is silent.

    Attributes:
        silent: names whose lookup hangs until it is released.
        answers: addresses by name; a name without any does not exist.
        asked: how often each name was looked up.
    """

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.silent: dict[str, threading.Event] = {}
        self.asked: Counter[str] = Counter()

    def hang(self, name: str) -> None:
        self.silent[name] = threading.Event()

    def release(self) -> None:
        for each in self.silent.values():
            each.set()
        self.silent = {}

    def __call__(self, host: str, port: int, **_: Any) -> list[AddressInfo]:
        self.asked[host] += 1
        if (event := self.silent.get(host)) is not None:
            event.wait()
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [found(self.answers[host])]


async def until_asked(server: SilentServer, name: str, times: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while server.asked[name] < times:
            await asyncio.sleep(0)


async def test_a_name_that_hangs_holds_up_no_other_name() -> None:
    server = SilentServer(good="192.0.2.1")
    names = Names(FakeClock().now, server)
    for number in range(40):
        server.hang(f"silent-{number}")
    try:
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(names.addresses(f"silent-{number}", 80)) for number in range(40)]
            async with asyncio.timeout(PATIENCE):
                assert await names.addresses("good", 443) == [found("192.0.2.1", 443)]
            for task in waiting:
                assert not task.done()
                task.cancel()
    finally:
        server.release()


async def test_all_who_wait_for_a_name_share_one_lookup() -> None:
    server = SilentServer(late="192.0.2.1")
    server.hang("late")
    names = Names(FakeClock().now, server)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(names.addresses(host, port)) for host in ("late", "LATE") for port in (80, 81)
        ]
        await until_asked(server, "late", 1)
        server.release()
    assert [task.result()[0][4][1] for task in tasks] == [80, 81, 80, 81]
    assert server.asked == {"late": 1}


async def test_whoever_gives_up_leaves_nothing_behind_and_the_next_joins_the_lookup_under_way() -> None:
    server = SilentServer(late="192.0.2.1")
    server.hang("late")
    names = Names(FakeClock().now, server)
    for _ in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await names.addresses("late", 80)
    await until_asked(server, "late", 1)
    (lookup,) = names._running.values()
    assert not lookup.waiters
    async with asyncio.TaskGroup() as group:
        task = group.create_task(names.addresses("late", 80))
        await asyncio.sleep(0)
        server.release()
    assert task.result() == [found("192.0.2.1", 80)]
    assert server.asked == {"late": 1}
    assert not names._running
    assert not names._threads


async def test_a_lookup_that_never_ends_is_not_joined_for_ever() -> None:
    server, clock = SilentServer(stuck="192.0.2.1"), FakeClock()
    server.hang("stuck")
    names = Names(clock.now, server)
    first = server.silent["stuck"]
    async with asyncio.TaskGroup() as group:
        group.create_task(names.addresses("stuck", 80))
        await until_asked(server, "stuck", 1)
        server.silent = {}
        clock.jump(STUCK + 1)
        assert await names.addresses("stuck", 80) == [found("192.0.2.1", 80)]
        first.set()
    assert server.asked == {"stuck": 2}
    assert not names._running


async def test_a_name_is_looked_up_anew_for_each_connection_so_that_it_may_move() -> None:
    server = SilentServer(moving="192.0.2.1")
    names = Names(FakeClock().now, server)
    assert await names.addresses("moving", 80) == [found("192.0.2.1", 80)]
    server.answers["moving"] = "192.0.2.2"
    assert await names.addresses("moving", 80) == [found("192.0.2.2", 80)]
    del server.answers["moving"]
    with pytest.raises(socket.gaierror, match="no such name"):
        await names.addresses("moving", 80)
    server.answers["moving"] = "192.0.2.3"
    assert await names.addresses("moving", 80) == [found("192.0.2.3", 80)]


async def test_each_who_waits_gets_an_error_of_its_own() -> None:
    server = SilentServer()
    server.hang("gone")
    names = Names(FakeClock().now, server)
    waiting = asyncio.gather(*(names.addresses("gone", 80) for _ in range(3)), return_exceptions=True)
    await until_asked(server, "gone", 1)
    server.release()
    errors = await waiting
    assert [type(each) for each in errors] == [socket.gaierror] * 3
    assert len({id(each) for each in errors}) == 3


async def test_a_fault_in_the_lookup_ends_it_as_an_error() -> None:
    def broken(*_: object, **__: object) -> list[AddressInfo]:
        raise ValueError("secret")

    names = Names(FakeClock().now, broken)
    with pytest.raises(OSError, match=r"^the lookup failed: ValueError$"):
        await names.addresses("x", 80)


async def test_there_is_a_bound_on_lookups_and_what_is_over_it_fails_at_once() -> None:
    server = SilentServer()
    names = Names(FakeClock().now, server)
    names._threads = MAX_LOOKUPS
    with pytest.raises(socket.gaierror, match="too many names"):
        await names.addresses("x", 80)
    assert not server.asked


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
async def test_an_address_is_taken_as_it_is(host: str, family: int) -> None:
    server = SilentServer()
    (address,) = await Names(FakeClock().now, server).addresses(host, 80)
    assert (address[0], address[4][:2]) == (family, (host, 80))
    assert not server.asked


async def test_a_name_that_cannot_be_spelled_is_told_apart() -> None:
    with pytest.raises(UnicodeError):
        await Names(FakeClock().now).addresses("a..b", 80)


def test_a_lookup_that_outlives_its_loop_harms_nothing() -> None:
    server = SilentServer(late="192.0.2.1")
    server.hang("late")
    names = Names(FakeClock().now, server)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await names.addresses("late", 80)

    asyncio.run(give_up())
    threads = [each for each in threading.enumerate() if each.name == "lookup late"]
    server.release()
    for each in threads:
        each.join(PATIENCE)
        assert not each.is_alive()
    assert all(each.daemon for each in threads)


async def test_the_systems_own_lookup_knows_this_machine() -> None:
    addresses = await Names(FakeClock().now).addresses("localhost", 80)
    assert "127.0.0.1" in {each[4][0] for each in addresses}
