"""Faults of upstreams and callers: nothing half looks whole, or comes twice, or is left behind."""

import asyncio
import json

import pytest

from proxy.gateway.timeouts import Timeouts
from tests.credentials.sources import ScriptedSource
from tests.gateway.rig import gateway, get, post
from tests.gateway.wire import OK, Wire, answering, origin

BEGINNINGS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
    "close": b"HTTP/1.1 200 OK\r\n\r\nhello",
}


def code(octets: bytes) -> str:
    return str(json.loads(octets)["type"]).rpartition(":")[2]


# -- the upstream ends too early --


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        (kind, how) for kind in BEGINNINGS for how in ("close", "reset") if kind != how
    ],  # FIN is how `close` ends
)
async def test_a_truncated_answer_is_truncated_at_the_caller(kind: str, how: str) -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(BEGINNINGS[kind])
        assert (await wire.head()).status == 200
        getattr(peer, how)()
        assert await wire.ended() == "reset"
        await rig.until(lambda: not any(rig.pool.counts().values()))
        assert rig.notes.all[0].problem is None


async def test_garbage_in_a_body_cuts_the_answer() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(BEGINNINGS["chunks"])
        await wire.head()
        peer.send(b"zz\r\n0\r\n\r\n")
        assert await wire.ended() == "reset"


@pytest.mark.parametrize("octets", [b"", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_upstream_that_goes_before_its_head_is_a_502(how: str, octets: bytes) -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(post(b"body"))
        peer = await site.accept()
        await peer.message()
        if octets:
            peer.send(octets)
            await rig.clock.settle()
        getattr(peer, how)()
        head = await wire.head()
        if head.status == 103:
            head = await wire.head()
        assert head.status == 502
        assert code(await wire.octets(int(head.get(b"content-length") or 0))) == "upstream_protocol"
        assert site.accepted == 1
        wire.send(get())
        await (await site.accept()).head()


# -- connections that have been used before --


@pytest.mark.parametrize(
    "request_octets", [get("/twice"), get("/twice", "Content-Length: 2", method="PUT") + b"ab"]
)
async def test_an_idempotent_request_on_a_stale_connection_is_sent_once_more(request_octets: bytes) -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.caller()
        wire.send(get())
        peer = await site.accept()
        await peer.head()
        peer.send(OK)
        await wire.message()
        wire.send(request_octets)
        assert (await peer.message()).head.line.endswith(b" /twice HTTP/1.1")
        peer.reset()
        again = await site.accept()
        got = await again.message()
        assert got.head.line.endswith(b" /twice HTTP/1.1")
        assert got.body == (b"ab" if got.head.line.startswith(b"PUT") else b"")
        again.reset()
        assert (await wire.message()).status == 502
        assert site.accepted == 2


async def test_a_post_is_never_delivered_twice() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.caller()
        wire.send(get())
        peer = await site.accept()
        await peer.head()
        peer.send(OK)
        await wire.message()
        wire.send(post(b"once"))
        assert (await peer.message()).body == b"once"
        peer.reset()
        assert (await wire.message()).status == 502
        assert site.accepted == 1


async def test_a_connection_that_the_upstream_closed_meanwhile_is_not_used() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(OK)
        await wire.message()
        peer.close()
        await rig.until(lambda: not any(rig.pool.counts().values()))
        wire.send(post(b"once"))
        assert (await (await site.accept()).message()).body == b"once"


@pytest.mark.parametrize(
    "answer",
    [
        OK + OK,
        OK + b"x",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_after_more_than_one_good_answer_a_connection_is_not_used_again(answer: bytes) -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(answer)
        assert (await wire.message()).body == b"ok"
        await peer.ended()
        wire.send(get())
        second = await site.accept()
        await second.head()
        second.send(OK)
        assert (await wire.message()).status == 200


async def test_octets_that_nobody_asked_for_end_an_idle_connection() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(OK)
        await wire.message()
        peer.send(OK.replace(b"ok", b"no"))
        await peer.ended()
        wire.send(get())
        second = await site.accept()
        await second.head()
        second.send(OK)
        assert (await wire.message()).body == b"ok"


async def test_a_body_after_head_is_not_the_next_answer() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get(method="HEAD"))
        peer = await site.accept()
        await peer.head()
        peer.send(OK)  # body and all, which HEAD never has
        assert (await wire.message(to_head=True)).status == 200
        await peer.ended()
        wire.send(get())
        await (await site.accept()).head()


# -- the caller --


async def test_a_caller_that_goes_during_its_upload_cuts_the_upstream() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
        peer = await site.accept()
        await peer.head()
        assert await peer.octets(10) == b"5\r\nhello\r\n"
        wire.close()
        assert await peer.rest() == b""  # no last chunk
        await rig.until(lambda: not any(rig.pool.counts().values()))
        assert rig.tally.requests == {("POST", 4): 1}
        assert rig.notes.all[0].status == 499


@pytest.mark.parametrize("begun", [False, True])
async def test_a_caller_that_goes_before_its_answer_is_whole_cuts_the_upstream(begun: bool) -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        if begun:
            peer.send(BEGINNINGS["length"])
            await wire.head()
        wire.close()
        assert await peer.ended() in ("closed", "reset")
        await rig.until(lambda: not any(rig.pool.counts().values()))
        assert rig.tally.in_flight == 0


async def test_a_fault_in_the_body_cuts_the_upstream_and_is_a_400() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
        peer = await site.accept()
        await peer.head()
        await peer.octets(10)
        wire.send(b"0x5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await peer.rest() == b""
        answer = await wire.message()
        assert answer.status == 400
        assert answer.head.get(b"connection") == b"close"
        assert await wire.rest() == b""
        assert site.accepted == 1


async def test_a_fault_in_a_body_that_has_not_left_yet_costs_no_connection() -> None:
    async with origin() as site, gateway(site, max_connections=1) as rig:
        for _ in range(2):
            wire = await rig.call(get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhelloX\r\n")
            assert (await wire.message()).status == 400
            wire.close()
        wire = await rig.call(get())
        await (await site.accept()).head()


async def test_an_upload_larger_than_the_replay_buffer_passes() -> None:
    async with origin() as site, gateway(site, replay_buffer=1000) as rig:
        wire = await rig.call(post(b"x" * 5_000_000))
        peer = await site.accept()
        assert (await peer.head()).get(b"content-length") == b"5000000"
        assert await peer.octets(5_000_000) == b"x" * 5_000_000
        peer.send(OK)
        assert (await wire.message()).status == 200


async def test_an_answer_during_the_upload_is_passed_on_at_once_and_the_connections_end() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/", "Content-Length: 100000000", method="POST") + b"x" * 1000)
        peer = await site.accept()
        await peer.head()
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
        answer = await wire.message()
        assert (answer.status, answer.body) == (413, b"large")
        assert answer.head.get(b"connection") == b"close"
        await peer.ended()
        wire.send(b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await wire.ended() == "closed"
        assert site.accepted == 1


async def test_an_answer_to_a_stalled_upload_is_passed_on_too() -> None:
    """The upstream does not read; its answer passes all the same, and nothing waits for the rest."""
    async with origin() as site, gateway(site, max_connections=1) as rig:
        wire = await rig.call(get("/", "Content-Length: 100000000", method="POST"))
        peer = await site.accept()
        await peer.head()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        sending = rig.group.create_task(stuff(wire, 100_000_000))
        await rig.until(lambda: rig.listener.connections.copy().pop().call.upload.held)  # type: ignore[union-attr]
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
        assert (await wire.message()).status == 413
        await rig.until(lambda: not any(rig.pool.counts().values()))
        wire.cut()
        await sending


async def stuff(wire: Wire, octets: int) -> None:
    """Send that much, as fast as it is taken."""
    try:
        for _ in range(octets // 65536):
            wire.send(bytes(65536))
            await wire.writer.drain()
    except ConnectionError:
        pass


# -- time --


async def test_an_upstream_that_does_not_answer_in_time_is_a_504() -> None:
    async with origin() as site, gateway(site, timeouts=Timeouts(response=60.0, idle=5.0)) as rig:
        wire = await rig.call(post(b"body"))
        peer = await site.accept()
        await peer.message()
        await rig.clock.advance(59.0)
        assert rig.tally.in_flight == 1
        await rig.clock.advance(2.0)
        answer = await wire.message()
        assert (answer.status, code(answer.body)) == (504, "upstream_timeout")
        await peer.ended()


async def test_a_body_that_stops_coming_is_cut() -> None:
    async with origin() as site, gateway(site, timeouts=Timeouts(response=600.0, idle=60.0)) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(BEGINNINGS["length"])
        await wire.head()
        await wire.octets(5)
        await rig.clock.advance(40.0)
        peer.send(b"w")
        assert await wire.octets(1) == b"w"
        await rig.clock.advance(40.0)
        peer.send(b"o")
        assert await wire.octets(1) == b"o"
        await rig.clock.advance(61.0)
        assert await wire.ended() == "reset"


async def test_a_request_body_that_stops_coming_is_a_408() -> None:
    async with origin() as site, gateway(site, timeouts=Timeouts(response=600.0, idle=60.0)) as rig:
        wire = await rig.call(get("/", "Content-Length: 10", method="POST") + b"12345")
        peer = await site.accept()
        await peer.head()
        await peer.octets(5)
        await rig.clock.advance(61.0)
        answer = await wire.message()
        assert (answer.status, code(answer.body)) == (408, "request_timeout")
        assert await peer.rest() == b""


async def test_an_idle_connection_is_closed_after_15_seconds() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(OK)
        await wire.message()
        await rig.clock.advance(14.0)
        assert rig.pool.counts()["idle"] == 1
        await rig.clock.advance(2.0)
        assert await peer.rest() == b""
        assert rig.pool.counts()["idle"] == 0


async def test_after_a_suspend_an_old_connection_is_not_used() -> None:
    async with origin() as site, gateway(site, source=ScriptedSource(None, life=None)) as rig:  # type: ignore[arg-type]
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(OK)
        await wire.message()
        rig.clock.jump(3600.0)
        wire.send(post(b"once"))
        assert (await (await site.accept()).message()).body == b"once"
        await peer.ended()


# -- everything may be cancelled --


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_a_caller_may_go_at_any_moment_and_nothing_is_left_behind(turns: int) -> None:
    async with origin(answering(OK)) as site, gateway(site, max_connections=2) as rig:
        for request in (get(), post(b"x" * 10), get("/", "Content-Length: 9", method="PUT") + b"half"):
            wires = [await rig.call(request) for _ in range(4)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for wire in wires:
                wire.reset()
            await rig.until(lambda: not rig.listener.connections and not rig.tally.in_flight)
            await rig.until(lambda: rig.pool.counts()["active"] + rig.pool.counts()["connecting"] == 0)
        wire = await rig.call(get())
        assert (await wire.message()).body == b"ok"


@pytest.mark.parametrize("turns", range(0, 24, 2))
async def test_a_caller_may_go_in_the_middle_of_a_stream(turns: int) -> None:
    async def play(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not wire.writer.is_closing():
            wire.send(b"1\r\nx\r\n" * 100)
            await wire.writer.drain()
            await asyncio.sleep(0)

    async with origin(play) as site, gateway(site) as rig:
        wires = [await rig.call(get()) for _ in range(8)]
        for wire in wires:
            await wire.head()
            for _ in range(turns):
                await asyncio.sleep(0)
            wire.reset()
        await rig.until(lambda: not rig.listener.connections and not any(rig.pool.counts().values()))
