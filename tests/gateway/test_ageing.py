"""How long a connection to the upstream is used: its age, its requests, and what the upstream says of it."""

import asyncio
import ssl
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest

from proxy.gateway import pool as module
from proxy.gateway.answer_head import AnswerFields, idle_life, usual_head
from proxy.gateway.dial import Endpoint
from proxy.gateway.pool import MAX_AGE
from tests.certificates import certificate, serving
from tests.gateway.rig import Rig, gateway, get, post
from tests.gateway.wire import OK, Origin, Wire, answering, origin


def keeping(seconds: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: %b\r\n\r\nok" % seconds.encode()


async def asked(rig: Rig, wire: Wire, request: bytes = get()) -> None:
    wire.send(request)
    assert (await wire.message()).status == 200
    await rig.until(lambda: not rig.pool.counts()["active"])


async def age(rig: Rig, wire: Wire, seconds: float) -> None:
    """A request every five seconds, for so long."""
    for _ in range(int(seconds / 5)):
        await rig.clock.advance(5)
        await asked(rig, wire)


# -- age --


async def test_a_connection_in_steady_use_is_replaced_within_two_minutes() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        wire = await rig.caller()
        await asked(rig, wire)
        await age(rig, wire, MAX_AGE * 0.75 - 5)
        assert site.accepted == 1
        await age(rig, wire, MAX_AGE * 0.25 + 10)
        assert site.accepted == 2


async def test_an_exchange_under_way_is_not_cut_however_old_its_connection() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/long-poll"))
        peer = await site.accept()
        await peer.head()
        await rig.clock.advance(MAX_AGE * 3)
        peer.send(OK)
        assert (await wire.message()).body == b"ok"
        assert await peer.ended() == "closed"
        wire.send(get("/next"))
        peer = await site.accept()
        assert (await peer.head()).line == b"GET /next HTTP/1.1"


async def test_connections_made_at_once_do_not_end_at_once() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        connections = [await rig.pool.acquire(fresh=True) for _ in range(20)]
        ends = sorted(each.retire_at - rig.clock.now() for each in connections)
        assert ends[0] >= MAX_AGE * 0.75
        assert ends[-1] <= MAX_AGE
        assert all(later - earlier < MAX_AGE * 0.05 for earlier, later in pairwise(ends))
        assert len(set(ends)) == 20
        for each in connections:
            rig.pool.release(each, rig.clock.now())


async def test_whoever_waits_for_a_place_gets_it_when_an_old_connection_ends() -> None:
    async with origin() as site, gateway(site, max_connections=1) as rig:
        first = await rig.call(get("/1"))
        peer = await site.accept()
        await peer.head()
        await rig.clock.advance(MAX_AGE)
        second = await rig.call(get("/2"))
        await rig.until(lambda: rig.pool.counts()["waiting"] == 1)
        peer.send(OK)
        assert (await first.message()).status == 200
        peer = await site.accept()
        assert (await peer.head()).line == b"GET /2 HTTP/1.1"
        peer.send(OK)
        assert (await second.message()).status == 200


async def test_the_place_of_an_old_connection_is_free_though_its_upstream_is_slow_to_close(
    tmp_path: Path,
) -> None:
    files = certificate(tmp_path / "tls", "camunda.test")
    trusting = ssl.create_default_context(cafile=str(files[0]))
    async with origin(tls=serving(files)) as site:
        endpoint = Endpoint("127.0.0.1", site.port, lambda: trusting, "camunda.test")
        async with gateway(site, endpoint=endpoint, max_connections=1) as rig:
            await rig.call(get("/1"))
            old = await site.accept()
            await old.head()
            await rig.clock.advance(MAX_AGE)
            await rig.call(get("/2"))
            await rig.until(lambda: rig.pool.counts()["waiting"] == 1)
            cast(
                asyncio.Transport, old.writer.transport
            ).pause_reading()  # our close_notify stays without an answer
            old.send(OK)
            assert (await (await site.accept()).head()).line == b"GET /2 HTTP/1.1"


async def test_a_connection_serves_a_limited_number_of_requests() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        wire = await rig.caller()
        await asked(rig, wire)
        (connection,) = rig.pool._idle
        connection.used = module.MAX_REQUESTS - 2
        await asked(rig, wire)
        assert site.accepted == 1
        await asked(rig, wire)
        await asked(rig, wire)
        assert site.accepted == 2


# -- Keep-Alive --


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"timeout=5", 5),
        (b"timeout=5, max=1000", 5),
        (b"max=1000,timeout=20", 20),
        (b' Timeout = "7" ', 7),
        (b"timeout=0", 0),
        (b"max=100", None),
        (b"timeout=", None),
        (b"timeout=-1", None),
        (b"timeout=1.5", None),
        (b"timeout=" + b"9" * 5000, None),
        (b"xtimeout=5", None),
        (b"timeout=5;max=3", None),
        (b"300", None),
        (b"", None),
    ],
)
def test_the_timeout_is_read_as_servers_write_it(value: bytes, seconds: int | None) -> None:
    assert idle_life(value) == seconds
    fields = AnswerFields()
    fields.add(b"Keep-Alive", value)
    assert fields.idle_life == seconds
    fields.clear()
    assert fields.idle_life is None
    head = usual_head(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: " + value)
    assert head is not None
    assert head.fields.idle_life == seconds


@pytest.mark.parametrize(
    ("says", "kept", "gone"),
    [("timeout=1", 0.4, 0.6), ("timeout=5", 3.9, 4.1), ("timeout=600", 14.9, 15.1), ("timeout=0", None, 0)],
)
async def test_no_request_is_sent_where_the_upstream_is_about_to_close(
    says: str, kept: float | None, gone: float
) -> None:
    async with origin(answering(keeping(says))) as site, gateway(site) as rig:
        wire = await rig.caller()
        await asked(rig, wire, post(b"{}"))
        if kept is not None:
            await rig.clock.advance(kept)
            await asked(rig, wire, post(b"{}"))
            assert site.accepted == 1
        await rig.clock.advance(gone)
        await asked(rig, wire, post(b"{}"))
        assert site.accepted == 2


async def test_a_connection_that_the_upstream_does_not_keep_is_closed_at_once() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(keeping("timeout=0"))
        assert (await wire.message()).status == 200
        assert await peer.ended() == "closed"


async def test_an_answer_that_llhttp_reads_is_obeyed_too() -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )

    async def in_pieces(peer: Wire) -> None:
        while True:
            await peer.head()
            peer.send(chunked[:20])
            await asyncio.sleep(0)
            peer.send(chunked[20:])

    async with origin(in_pieces) as site, gateway(site) as rig:
        await _closes_early(site, rig)


async def _closes_early(site: Origin, rig: Rig) -> None:
    wire = await rig.caller()
    await asked(rig, wire)
    await rig.clock.advance(0.6)
    await asked(rig, wire)
    assert site.accepted == 2
