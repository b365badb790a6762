"""The connections to an upstream: dialling, TLS, limits."""

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.gateway.dial import Endpoint
from proxy.gateway.limit import UpstreamLimit
from proxy.gateway.timeouts import Timeouts
from tests import certificates
from tests.certificates import serving
from tests.gateway.rig import gateway, get, post
from tests.gateway.wire import OK, Answer, answering, origin


def code(answer: Answer) -> str:
    return str(json.loads(answer.body)["type"]).rpartition(":")[2]


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that takes no more connections, and refuses none."""
    with socket.socket() as site:
        site.bind(("127.0.0.1", 0))
        site.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(site.getsockname())
        try:
            yield site.getsockname()[1]
        finally:
            for filler in fillers:
                filler.close()


# -- dialling --


async def test_a_refused_connection_is_a_502() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with gateway(taken.getsockname()[1]) as rig:
            wire = await rig.call(get())
            answer = await wire.message()
            assert (answer.status, code(answer)) == (502, "upstream_unreachable")
            assert b"refused" in answer.body
            assert b"127.0.0.1" not in answer.body


async def test_an_unknown_name_is_a_502() -> None:
    async with gateway(1, endpoint=Endpoint("nobody.invalid", 80)) as rig:
        wire = await rig.call(get())
        answer = await wire.message()
        assert (answer.status, code(answer)) == (502, "upstream_unreachable")


async def test_a_connection_that_cannot_be_made_in_time_is_a_504() -> None:
    with black_hole() as port:
        async with gateway(port, timeouts=Timeouts(connect=0.05)) as rig:
            wire = await rig.call(get())
            answer = await wire.message()
            assert (answer.status, code(answer)) == (504, "upstream_timeout")


async def test_who_waits_for_a_place_gets_it_when_a_dial_fails() -> None:
    with black_hole() as port:
        async with gateway(port, timeouts=Timeouts(connect=0.05), max_connections=1) as rig:
            wires = [await rig.call(get()) for _ in range(3)]
            await rig.until(lambda: rig.pool.counts()["waiting"] == 2)
            assert {(await wire.message()).status for wire in wires} == {504}


async def test_a_caller_that_goes_while_we_dial_frees_the_place() -> None:
    with black_hole() as port:
        async with gateway(port, max_connections=1) as rig:
            wire = await rig.call(get())
            await rig.until(lambda: rig.pool.counts()["connecting"] == 1)
            wire.close()
            await rig.until(lambda: not any(rig.pool.counts().values()))


# -- limits --


async def test_over_the_limit_requests_wait_for_a_connection_in_turn() -> None:
    async with origin() as site, gateway(site, max_connections=1) as rig:
        wires = [await rig.call(get("/0"))]
        peer = await site.accept()
        for number in (1, 2, 3):
            wires.append(await rig.call(get(f"/{number}")))
            await rig.until(lambda: rig.pool.counts()["waiting"] == number)  # noqa: B023 -- called at once
        for number, wire in enumerate(wires):
            assert (await peer.head()).line == b"GET /%d HTTP/1.1" % number
            peer.send(OK)
            assert (await wire.message()).status == 200
        assert site.accepted == 1


async def test_a_newcomer_does_not_overtake_who_waits() -> None:
    async with origin() as site, gateway(site, max_connections=1) as rig:
        first = await rig.call(get("/first"))
        peer = await site.accept()
        await peer.head()
        waiting = await rig.call(get("/waiting"))
        await rig.until(lambda: rig.pool.counts()["waiting"] == 1)
        first.send(
            get("/newcomer")
        )  # pipelined: it asks in the very step in which the connection is given back
        await rig.until(lambda: rig.tally.received == len(get("/first") + get("/waiting") + get("/newcomer")))
        peer.send(OK)
        assert (await peer.head()).line == b"GET /waiting HTTP/1.1"
        peer.send(OK)
        assert (await waiting.message()).status == 200
        assert (await peer.head()).line == b"GET /newcomer HTTP/1.1"


async def test_a_connection_that_is_given_back_is_nobody_elses_but_who_waits_longest() -> None:
    async with origin() as site, gateway(site, max_connections=1) as rig, asyncio.TaskGroup() as tasks:
        connection = await rig.pool.acquire()
        waiting = tasks.create_task(rig.pool.acquire())
        await rig.until(lambda: rig.pool.counts()["waiting"] == 1)
        rig.pool.release(connection, rig.clock.now())
        assert rig.pool.take(rig.clock.now()) is None
        assert await waiting is connection
        rig.pool.release(connection, rig.clock.now())
        assert rig.pool.take(rig.clock.now()) is connection
        rig.pool.release(connection, rig.clock.now())


async def test_the_oldest_idle_connection_of_all_pools_gives_its_place_to_a_new_one() -> None:
    limit = UpstreamLimit(2)
    async with (
        origin(answering(OK, OK)) as one,
        origin(answering(OK, OK)) as other,
        gateway(one, upstream_limit=limit) as first,
        gateway(other, upstream_limit=limit) as second,
    ):
        for rig in (first, second, first):
            assert (await (await rig.call(get())).message()).status == 200
            await rig.until(lambda: rig.pool.counts()["idle"] == 1)  # noqa: B023 -- called at once
            await rig.clock.advance(1.0)
        assert (one.accepted, other.accepted) == (1, 1)
        connection = await first.pool.acquire(fresh=True)
        assert (first.pool.counts()["idle"], second.pool.counts()["idle"]) == (1, 0)
        connection.abort()


async def test_connections_in_use_stay_though_there_are_more_of_them_than_places() -> None:
    limit = UpstreamLimit(1)
    async with origin() as site, gateway(site, upstream_limit=limit) as rig:
        wires = [await rig.call(get()) for _ in range(2)]
        for _ in wires:
            peer = await site.accept()
            await peer.head()
            peer.send(OK)
        assert [(await wire.message()).status for wire in wires] == [200, 200]


async def test_whoever_waits_for_10_seconds_gets_a_503() -> None:
    async with origin() as site, gateway(site, max_connections=1) as rig:
        await rig.call(get())
        peer = await site.accept()
        await peer.head()
        second = await rig.call(get())
        await rig.until(lambda: rig.pool.counts()["waiting"] == 1)
        await rig.clock.advance(10.0)
        answer = await second.message()
        assert (answer.status, code(answer)) == (503, "upstream_busy")
        assert answer.head.get(b"retry-after") == b"1"
        assert not rig.pool.counts()["waiting"]


async def test_a_caller_that_goes_while_it_waits_for_a_place_takes_none() -> None:
    async with origin() as site, gateway(site, max_connections=1) as rig:
        first = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        second = await rig.call(get("/gone"))
        third = await rig.call(get("/stays"))
        await rig.until(lambda: rig.pool.counts()["waiting"] == 2)
        second.close()
        await rig.until(lambda: rig.pool.counts()["waiting"] == 1)
        peer.send(OK)
        await first.message()
        assert (await peer.head()).line == b"GET /stays HTTP/1.1"
        peer.send(OK)
        assert (await third.message()).status == 200


async def test_a_place_given_to_who_has_just_gone_is_given_to_the_next() -> None:
    async with origin() as site, gateway(site, max_connections=1) as rig:
        connection = await rig.pool.acquire()
        gone, stays = (rig.group.create_task(rig.pool.acquire()) for _ in range(2))
        await rig.until(lambda: rig.pool.counts()["waiting"] == 2)
        rig.pool.release(connection, rig.clock.now())
        gone.cancel()
        await rig.until(stays.done)
        assert stays.result() is connection
        connection.abort()


async def test_a_second_try_at_the_limit_takes_the_place_of_an_idle_connection() -> None:
    async with origin() as site, gateway(site, max_connections=2) as rig:
        wires = [await rig.call(get()), await rig.call(get())]
        peers = [await site.accept(), await site.accept()]
        for peer in peers:
            await peer.head()
            peer.send(OK)
        for wire in wires:
            await wire.message()
        await rig.until(lambda: rig.pool.counts()["idle"] == 2)
        wires[0].send(get("/again"))
        newest = rig.group.create_task(peers[0].head()), rig.group.create_task(peers[1].head())
        await rig.until(lambda: any(task.done() for task in newest))
        used = 0 if newest[0].done() else 1
        newest[1 - used].cancel()
        peers[used].reset()
        assert (await (await site.accept()).head()).line == b"GET /again HTTP/1.1"


# -- TLS --


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """For `camunda.test`: the chain, its authority in it, and the key."""
    return certificates.certificate(tmp_path_factory.mktemp("tls"), "camunda.test")


async def test_an_upstream_with_an_own_authority_is_verified_and_used_again(
    certificate: tuple[Path, Path],
) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    async with origin(answering(OK), serving(certificate)) as site:
        endpoint = Endpoint("127.0.0.1", site.port, lambda: trusting, "camunda.test")
        async with gateway(site, endpoint=endpoint) as rig:
            wire = await rig.call(get())
            assert (await wire.message()).body == b"ok"
            wire.send(get())
            assert (await wire.message()).body == b"ok"
            assert site.accepted == 1


@pytest.mark.parametrize(("trusts", "name"), [(True, "other.test"), (True, None), (False, "camunda.test")])
async def test_a_wrong_name_or_an_unknown_authority_is_a_502_and_nothing_is_sent(
    certificate: tuple[Path, Path], trusts: bool, name: str | None
) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]) if trusts else None)
    async with (
        origin(answering(OK), serving(certificate)) as site,
        gateway(site, endpoint=Endpoint("127.0.0.1", site.port, lambda: context, name)) as rig,
    ):
        wire = await rig.call(get())
        answer = await wire.message()
        assert (answer.status, code(answer)) == (502, "upstream_tls")
        assert site.accepted == 0


async def test_tls_to_an_upstream_that_speaks_none_is_a_502() -> None:
    async with origin() as site:
        endpoint = Endpoint("127.0.0.1", site.port, ssl.create_default_context)
        async with gateway(site, endpoint=endpoint) as rig:
            wire = await rig.call(get())
            peer = await site.accept()
            peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            answer = await wire.message()
            assert (answer.status, code(answer)) == (502, "upstream_tls")


async def test_a_handshake_that_hangs_is_a_504() -> None:
    async with origin() as site:
        endpoint = Endpoint("127.0.0.1", site.port, ssl.create_default_context)
        async with gateway(site, endpoint=endpoint, timeouts=Timeouts(connect=0.05)) as rig:
            wire = await rig.call(get())
            peer = await site.accept()
            answer = await wire.message()
            assert (answer.status, code(answer)) == (504, "upstream_timeout")
            await peer.ended()


async def test_a_caller_that_keeps_a_connection_waiting_gives_it_to_one_that_does_not() -> None:
    async with origin() as site, gateway(site, max_connections=1) as rig:
        half = await rig.call(post(b"x" * 100)[:-50])
        await (await site.accept()).head()
        other = await rig.call(get())
        await rig.until(lambda: rig.tally.in_flight == 2)
        await rig.clock.advance(0.4)
        assert site.accepted == 1
        await rig.clock.advance(0.4)
        answer = await half.message()
        assert answer.status == 408
        peer = await site.accept()
        await peer.head()
        peer.send(OK)
        assert (await other.message()).status == 200


async def test_a_caller_that_does_not_read_gives_its_connection_to_one_that_does() -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + bytes(100_000_000)
    async with origin() as site, gateway(site, max_connections=1) as rig:
        stopped = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(large)
        await rig.until(
            lambda: any(
                caller.call and caller.call.relay and caller.call.relay.paused
                for caller in rig.listener.connections
            )
        )
        await rig.clock.advance(2.0)
        other = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(OK)
        assert (await other.message()).status == 200
        assert await stopped.ended() == "reset"


async def test_a_long_poll_keeps_its_connection_whoever_waits() -> None:
    async with origin() as site, gateway(site, max_connections=1) as rig:
        poll = await rig.call(post(b"{}"))
        peer = await site.accept()
        await peer.message()
        await rig.clock.advance(300.0)
        other = await rig.call(get())
        await rig.until(lambda: rig.tally.in_flight == 2)
        await rig.clock.advance(11.0)
        assert (await other.message()).status == 503
        peer.send(OK)
        assert (await poll.message()).status == 200
