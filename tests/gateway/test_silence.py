"""Callers that are silent, half done, or do not read: each is given its time, and holds nobody else up."""

import asyncio
from itertools import pairwise

import pytest

from proxy.gateway.limit import MANY_HELD, MAX_BUFFERED, ConnectionLimit
from proxy.gateway.small_reads import SMALL
from tests.gateway.rig import Rig, gateway, get, post
from tests.gateway.test_faults import code
from tests.gateway.wire import OK, Wire, answering, origin


def large(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


async def received(rig: Rig, octets: int) -> None:
    await rig.until(lambda: rig.tally.received >= octets)


# -- time --


async def test_a_connection_on_which_nothing_comes_ends_after_a_minute() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.caller()
        await rig.until(lambda: bool(rig.listener.connections))
        await rig.clock.advance(59.0)
        assert rig.listener.connections
        await rig.clock.advance(6.0)
        assert await wire.rest() == b""
        assert site.accepted == 0


async def test_a_kept_connection_that_is_not_used_again_ends_after_75_seconds() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        wire = await rig.call(get())
        assert (await wire.message()).status == 200
        await rig.clock.advance(74.0)
        wire.send(get())
        assert (await wire.message()).status == 200
        await rig.clock.advance(74.0)
        assert rig.listener.connections
        await rig.clock.advance(6.0)
        assert await wire.rest() == b""


async def test_a_head_that_takes_longer_than_15_seconds_is_a_408() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(b"G")
        await received(rig, 1)
        for octet in b"ET / HTTP/1.1\r\n":
            wire.send(bytes((octet,)))
            await rig.clock.advance(0.95)
        await rig.clock.advance(6.0)
        answer = await wire.message()
        assert (answer.status, code(answer.body)) == (408, "request_timeout")
        await rig.clock.advance(2.0)
        await rig.until(lambda: not rig.listener.connections)
        assert site.accepted == 0


async def test_the_time_for_a_head_ends_with_the_head_and_begins_with_the_next() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get()[:10])
        await received(rig, 10)
        wire.send(get()[10:])
        peer = await site.accept()
        await peer.head()
        await rig.clock.advance(30.0)
        peer.send(OK)
        assert (await wire.message()).status == 200
        wire.send(get()[:10])
        await received(rig, len(get()) + 10)
        await rig.clock.advance(14.0)
        assert rig.listener.connections
        await rig.clock.advance(7.0)
        assert (await wire.message()).status == 408


async def test_a_body_that_stops_coming_is_a_408_after_a_minute() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(post(b"x" * 100)[:-50])
        await (await site.accept()).head()
        await rig.clock.advance(59.0)
        assert rig.tally.in_flight == 1
        wire.send(b"x" * 10)
        await received(rig, len(post(b"x" * 100)) - 40)
        await rig.clock.advance(59.0)
        assert rig.tally.in_flight == 1
        await rig.clock.advance(3.0)
        answer = await wire.message()
        assert (answer.status, code(answer.body)) == (408, "request_timeout")
        assert answer.head.get(b"connection") == b"close"


async def sends_once(wire: Wire) -> None:
    """Much more than fits into all buffers, in answer to one request; then it only waits."""
    await wire.message()
    wire.send(large(40_000_000))
    await asyncio.Event().wait()


async def test_a_caller_that_stops_reading_is_cut_after_a_minute_but_not_a_slow_one() -> None:
    async with origin(sends_once) as site, gateway(site) as rig:
        stopped, slow = await rig.call(get()), await rig.call(get())
        await rig.until(lambda: sum(caller.paused for caller in rig.listener.connections) == 2)
        for _ in range(10):
            await slow.octets(1_000_000)
            await rig.clock.advance(10.0)
        assert await stopped.ended() == "reset"
        assert rig.tally.in_flight == 1
        slow.reset()


async def test_what_was_answered_and_is_never_read_does_not_stay_for_ever() -> None:
    """The answer is whole in our buffers, so that nothing but the caller is waited for."""
    async with origin(answering(large(3_000_000))) as site, gateway(site) as rig:
        wire = await rig.call(get("/", "Connection: close"))
        await rig.until(lambda: bool(rig.listener.connections))
        del wire
        await rig.clock.advance(200.0)
        await rig.until(lambda: not rig.listener.connections)


# -- room --


async def test_the_oldest_silent_connection_gives_way_to_a_new_one() -> None:
    async with origin(answering(OK)) as site, gateway(site, limit=ConnectionLimit(2)) as rig:
        silent = await rig.caller()
        kept = await rig.call(get())
        assert (await kept.message()).status == 200
        await rig.clock.advance(1.0)
        new = await rig.call(get())
        assert (await new.message()).status == 200
        assert await silent.ended() in ("closed", "reset")
        kept.send(get())
        assert (await kept.message()).status == 200


async def test_a_connection_that_was_used_gives_way_only_after_ten_seconds() -> None:
    async with origin(answering(OK)) as site, gateway(site, limit=ConnectionLimit(1)) as rig:
        kept = await rig.call(get())
        assert (await kept.message()).status == 200
        await rig.clock.advance(9.0)
        refused = await rig.call(get())
        assert (await refused.message()).status == 503
        refused.reset()
        await rig.until(lambda: rig.listener.limit.free == 0)
        await rig.clock.advance(1.0)
        new = await rig.call(get())
        assert (await new.message()).status == 200
        assert await kept.ended() in ("closed", "reset")


async def test_where_none_is_silent_a_new_caller_is_told_so_and_finds_room_later() -> None:
    async with origin() as site, gateway(site, limit=ConnectionLimit(1)) as rig:
        busy = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        await rig.clock.advance(1.0)
        refused = await rig.caller()
        answer = await refused.message()
        assert (answer.status, answer.head.get(b"retry-after")) == (503, b"1")
        assert code(answer.body) == "too_many_callers"
        refused.send(get())  # too late, and yet no reset takes the answer away
        assert await refused.rest() == b""
        refused.close()
        peer.send(OK)
        assert (await busy.message()).status == 200
        busy.close()
        await rig.until(lambda: rig.listener.limit.free == 1)
        later = await rig.call(get())
        peer = await site.accept() if site.accepted > 1 else peer
        await peer.head()
        peer.send(OK)
        assert (await later.message()).status == 200


@pytest.mark.parametrize("how", ["unfinished heads", "sent ahead"])
async def test_what_waits_to_be_read_keeps_to_a_budget_over_all_connections(how: str) -> None:
    piece = 60_000
    junk = b"x: " + b"y" * 1000 + b"\r\n"
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    octets = head + junk * (piece // len(junk))
    if how == "sent ahead":
        octets = get() + octets
    async with origin() as site, gateway(site, max_connections=1) as rig:
        wires = [await rig.call(octets) for _ in range(MAX_BUFFERED // piece + 20)]
        await rig.until(lambda: rig.listener.limit.memory.buffered > MAX_BUFFERED - piece)
        await received(rig, len(octets) * len(wires) - piece)
        assert rig.listener.limit.memory.buffered <= MAX_BUFFERED
        await rig.clock.advance(11.0)  # so that those who wait for a connection are answered
        await rig.until(lambda: rig.tally.problems["too_many_callers"] > 0)
        for wire in wires:
            wire.reset()
        await rig.until(lambda: rig.listener.limit.memory.buffered == 0)


async def test_of_many_bodies_that_wait_for_an_upstream_little_is_read() -> None:
    piece = 60_000
    octets = post(b"x" * 200_000)[:piece]
    large, small = MANY_HELD // piece, (MAX_BUFFERED - MANY_HELD) // SMALL
    async with origin() as site, gateway(site, max_connections=1) as rig:
        await rig.call(get("/first"))
        await (await site.accept()).head()
        wires = [await rig.call(octets) for _ in range(large + small // 2)]
        await rig.until(lambda: rig.listener.busy == len(wires) + 1)
        memory = rig.listener.limit.memory
        assert MANY_HELD <= memory.buffered <= MANY_HELD + (small // 2 + 2) * SMALL
        wires += [await rig.call(octets) for _ in range(small)]
        await rig.until(lambda: rig.listener.busy == len(wires) + 1)
        assert MAX_BUFFERED - piece < memory.buffered <= MAX_BUFFERED
        for wire in wires:
            wire.reset()
        await rig.clock.advance(11.0)  # a paused connection does not see that its caller has gone
        await rig.until(lambda: rig.listener.limit.memory.buffered == 0)


async def test_callers_that_send_ahead_leave_the_loop_to_others_between_two_answers() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        wire = await rig.call(get(host="other.example") * 1000)
        turns: list[int] = []

        async def watch() -> None:
            while sum(turns[-1:]) < 1000:
                turns.append(rig.tally.problems["wrong_host"])
                await asyncio.sleep(0)

        await asyncio.wait_for(watch(), 10)
        assert max(after - before for before, after in pairwise(turns)) <= 2
        wire.cut()
