"""One connection with very small chunks does not hold the others up: it gets its share of each loop turn."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from proxy.gateway.request_reader import MAX_STEPS
from proxy.gateway.share import PIECES_A_TURN, Share
from tests.gateway.rig import gateway, get
from tests.gateway.wire import OK, answering, origin

CHUNKS = 20_000
TINY = b"1\r\nx\r\n" * CHUNKS + b"0\r\n\r\n"


@asynccontextmanager
async def watching(look: Callable[[], int]) -> AsyncIterator[list[int]]:
    """What `look` brings in each turn of the loop; repetitions are left out."""
    seen: list[int] = []
    over = asyncio.Event()

    async def watch() -> None:
        while not over.is_set():
            if seen[-1:] != [now := look()]:
                seen.append(now)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        yield seen
        over.set()


async def test_an_upload_in_tiny_chunks_is_read_a_few_hundred_chunks_a_turn() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:

        def read() -> int:
            return sum(
                caller.call.upload.size
                for caller in rig.listener.connections
                if caller.call and caller.call.upload
            )

        async with watching(read) as sizes:
            wire = await rig.call(get("/", "Transfer-Encoding: chunked", method="POST") + TINY)
            assert (await wire.message()).body == b"ok"
            wire.send(get())
            assert (await wire.message()).body == b"ok"
        sizes = [size for size in sizes if size]
        steps = [after - before for before, after in pairwise(sizes)]
        assert max(steps) <= PIECES_A_TURN + MAX_STEPS // 3 + 1
        assert sizes[-1] == CHUNKS


@pytest.mark.parametrize("how", ["keep", "close"])
async def test_an_answer_in_tiny_chunks_is_read_a_slice_a_turn(how: str) -> None:
    async with origin() as site, gateway(site) as rig:

        def passed() -> int:
            return sum(
                caller.call.relay.sent
                for caller in rig.listener.connections
                if caller.call and caller.call.relay
            )

        async with watching(passed) as sent:
            wire = await rig.call(get())
            peer = await site.accept()
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + TINY)
            if how == "close":
                peer.close()
            assert (await wire.message()).body == b"x" * CHUNKS
        assert len(sent) >= 7  # 120 kB in slices of 16 KiB
        if how == "keep":
            wire.send(get())
            await peer.head()
            peer.send(OK)
            assert (await wire.message()).body == b"ok"


async def test_what_follows_an_answer_in_tiny_chunks_ends_its_connection() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + TINY + OK * 1000)
        assert (await wire.message()).body == b"x" * CHUNKS
        wire.send(get("/next"))
        await (await site.accept()).head()


async def test_connections_have_their_turn_in_order_and_none_takes_more_than_its_share() -> None:
    loop = asyncio.get_running_loop()
    share, order, turns = Share(loop), list[str](), list[int]()

    def reader(name: str, left: int) -> Callable[[], None]:
        def read() -> None:
            nonlocal left
            share.spend(500)
            order.append(name)
            left -= 1
            if left:
                share.later(read)

        return read

    for name in "abc":
        share.later(reader(name, 6))
    while len(order) < 18:
        turns.append(len(order))
        await asyncio.sleep(0)
    assert "".join(order) == "abc" * 6
    assert max(after - before for before, after in pairwise(turns)) <= PIECES_A_TURN // 500 + 1
