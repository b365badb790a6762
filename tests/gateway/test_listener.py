"""The local port: who is let in, what is answered here, and how connections go on and end."""

import asyncio
import json
import socket

import pytest

from proxy.gateway.caller_limits import MAX_PIPELINED
from tests.clock import FakeClock
from tests.credentials.sources import ScriptedSource
from tests.gateway.rig import VIA, gateway, get, post
from tests.gateway.wire import OK, Answer, Wire, answering, origin


def code(answer: Answer) -> str:
    return str(json.loads(answer.body)["type"]).rpartition(":")[2]


# -- refused or answered here --

HERE = {
    "missing host": (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "two hosts": (get("/", "Host: localhost"), 400, "bad_request"),
    "bad host": (get(host="a b"), 400, "bad_request"),
    "wrong host": (get(host="evil.example"), 421, "wrong_host"),
    "other site": (get("/", "Sec-Fetch-Site: cross-site"), 403, "cross_site"),
    "other origin": (get("/", "Origin: http://evil.example", method="OPTIONS"), 403, "cross_site"),
    "two lengths": (get("/", "Content-Length: 1", "Content-Length: 1", method="POST"), 400, "bad_request"),
    "smuggling": (post(b"x", "Transfer-Encoding: chunked"), 400, "bad_request"),
    "codings": (get("/", "Transfer-Encoding: gzip, chunked", method="POST"), 501, "unsupported"),
    "version": (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505, "unsupported"),
    "no version": (b"GET /\r\n\r\n", 400, "bad_request"),
    "long line": (get("/" + "x" * 20_000), 414, "head_too_large"),
    "large head": (get("/", *[f"X-{n}: {'y' * 1000}" for n in range(70)]), 431, "head_too_large"),
    "connect": (get("localhost:443", method="CONNECT"), 405, "not_allowed"),
    "trace": (get(method="TRACE"), 405, "not_allowed"),
    "websocket": (get("/", "Connection: Upgrade", "Upgrade: websocket"), 501, "unsupported"),
    "loop": (get("/", "Via: 1.1 other, 1.1 " + VIA.decode()), 508, "loop"),
}


@pytest.mark.parametrize("case", HERE)
async def test_what_must_not_pass_is_answered_here(case: str) -> None:
    octets, status, problem = HERE[case]
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(octets)
        answer = await wire.message()
        assert (answer.status, code(answer)) == (status, problem)
        assert answer.head.get(b"content-type") == b"application/problem+json"
        assert answer.head.get(b"cache-control") == b"no-store"
        assert (answer.head.get(b"proxy-status") or b"").startswith(b"camunda-auth-proxy; error=")
        assert answer.head.get(b"x-request-id")
        assert answer.head.get(b"via") is None
        assert not any(name.lower().startswith(b"access-control") for name, _ in answer.head.fields)
        if status == 405:
            assert b"GET" in (answer.head.get(b"allow") or b"")
        assert site.accepted == 0
        assert rig.tally.problems == {problem: 1}
        assert rig.tally.sent == len(answer.head.raw) + len(answer.body)


@pytest.mark.parametrize(
    "octets", [get("*", method="OPTIONS"), get("/", "Max-Forwards: 0", method="OPTIONS")]
)
async def test_options_that_end_here_are_answered_here(octets: bytes) -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(octets)
        assert (await wire.head()).status == 204
        wire.send(octets)
        assert (await wire.head()).status == 204
        assert site.accepted == 0
        assert rig.tally.sent == sum(details.sent for details in rig.notes.all) > 0


async def test_options_with_forwards_left_pass_with_one_less() -> None:
    async with origin() as site, gateway(site) as rig:
        await rig.call(get("/", "Max-Forwards: 3", method="OPTIONS"))
        assert (await (await site.accept()).head()).get(b"max-forwards") == b"2"


async def test_an_absolute_target_of_ours_becomes_a_path() -> None:
    async with origin() as site, gateway(site) as rig:
        await rig.call(get("http://localhost:8080/a?b"))
        head = await (await site.accept()).head()
        assert head.line == b"GET /a?b HTTP/1.1"
        wire = await rig.call(get("http://evil.example/a"))
        assert (await wire.message()).status == 421


@pytest.mark.parametrize("target", ["/a b", "/#a", "/\u00fc", "/a\u0442", "/ "])
async def test_a_target_that_is_not_percent_encoded_is_refused_in_words(target: str) -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = await wire.message()
        assert (answer.status, code(answer)) == (400, "bad_request")
        assert b"Percent-encode it" in answer.body


async def test_http_2_without_asking_is_told_to_use_http_1_1() -> None:
    settings = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
        last_stream, required = bytes(4), bytes((0, 0, 0, 13))  # RFC 9113 sections 6.8 and 7
        assert await wire.rest() == settings + bytes((0, 0, 8, 7, *bytes(5))) + last_stream + required
        assert site.accepted == 0


@pytest.mark.parametrize("first", [True, False])
async def test_a_caller_that_sends_no_more_gets_an_answer_of_ours(first: bool) -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        wire = await rig.caller()
        if not first:
            wire.send(get())
            await wire.message()
        wire.send(get(host="evil"))
        wire.writer.write_eof()
        assert (await wire.message()).status == 421
        assert await wire.rest() == b""


async def test_a_caller_that_sends_no_more_while_the_upstream_is_asked_is_taken_as_gone() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        wire.writer.write_eof()
        assert await peer.ended() in ("closed", "reset")
        assert await wire.rest() == b""


async def test_an_answer_of_ours_to_head_has_no_body() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        wire = await rig.call(get(method="HEAD", host="evil"))
        assert (await wire.message(to_head=True)).status == 421
        wire.send(get())
        assert (await wire.message()).body == b"ok"


async def test_the_body_of_a_websocket_request_is_never_a_request() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        wire = await rig.call(post(get("/smuggled"), "Connection: Upgrade", "Upgrade: websocket"))
        assert (await wire.message()).status == 501
        assert await wire.rest() == b""
        assert site.accepted == 0


@pytest.mark.parametrize("offer", ["h2c", "foo", "TLS/1.2, HTTP/1.1"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_request_that_offers_an_upgrade_is_forwarded_with_its_body(offer: str, chunked: bool) -> None:
    fields = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {offer}", "HTTP2-Settings: AAMA")
    body = get("/smuggled")
    async with origin() as site, gateway(site) as rig:
        if chunked:
            head = get("/", *fields, "Transfer-Encoding: chunked", method="POST")
            wire = await rig.call(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        else:
            wire = await rig.call(post(body, *fields))
        peer = await site.accept()
        message = await peer.message()
        assert message.body == body
        assert not any(message.head.all(name) for name in (b"upgrade", b"http2-settings", b"connection"))
        peer.send(OK)
        assert (await wire.message()).head.get(b"connection") is None
        wire.send(get("/next"))
        assert (await peer.head()).line == b"GET /next HTTP/1.1"


async def test_an_http_1_0_caller_without_host_keeps_its_connection_if_it_asks_for_it() -> None:
    async with origin(answering(OK, OK)) as site, gateway(site) as rig:
        wire = await rig.call(b"GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = await wire.message()
        assert (answer.status, answer.head.get(b"connection")) == (200, b"keep-alive")
        wire.send(b"GET /2 HTTP/1.0\r\n\r\n")
        answer = await wire.message()
        assert (answer.status, answer.head.get(b"connection")) == (200, b"close")
        assert await wire.rest() == b""


async def test_a_page_is_refused_also_in_http_1_0_without_host() -> None:
    async with origin() as site, gateway(site) as rig:
        for field in ("Origin: http://evil.example", "Origin: http://", "Sec-Fetch-Site: cross-site"):
            wire = await rig.call(f"GET / HTTP/1.0\r\n{field}\r\n\r\n".encode())
            assert (await wire.message()).status == 403
        wire = await rig.call(f"GET / HTTP/1.0\r\nVia: 1.1 {VIA.decode()}\r\n\r\n".encode())
        assert (await wire.message()).status == 508
        assert site.accepted == 0


async def test_an_answer_in_chunks_ends_the_connection_of_an_http_1_0_caller() -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    async with origin(answering(chunks)) as site, gateway(site) as rig:
        wire = await rig.call(b"GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = await wire.message()
        assert (answer.head.get(b"connection"), answer.body) == (b"close", b"ok")


async def test_an_offer_of_h2c_is_left_unanswered() -> None:
    async with origin() as site, gateway(site) as rig:
        await rig.call(
            get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA")
        )
        head = await (await site.accept()).head()
        assert head.get(b"upgrade") is None
        assert head.get(b"http2-settings") is None


async def test_nothing_of_a_bad_request_is_echoed() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: c4n4ry\r\nbad line\r\n\r\n"
        )
        assert b"c4n4ry" not in await wire.rest()


# -- one connection, many requests --


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def play(wire: Wire) -> None:
        while True:
            path = (await wire.head()).line.split(b" ")[1]
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    async with origin(play) as site, gateway(site) as rig:
        wire = await rig.call(b"".join(get(f"/{number}") for number in range(3000)))
        for number in range(3000):
            assert (await wire.message()).body == b"/%d" % number
        assert site.accepted == 1


async def test_the_system_asks_after_silent_callers_and_sends_small_answers_at_once() -> None:
    """aiohttp would set both options on each connection; accepted sockets inherit them."""
    async with origin() as site, gateway(site) as rig:
        await rig.call(get())
        await site.accept()
        (caller,) = rig.listener.connections
        sock = caller.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


async def test_a_pipelining_caller_is_told_to_wait() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        flood = rig.group.create_task(push(wire, get("/more"), 32 << 20))
        (caller,) = rig.listener.connections
        await rig.until(lambda: not caller.transport.is_reading())
        await rig.clock.settle()
        assert rig.listener.limit.memory.buffered < MAX_PIPELINED + (512 << 10)
        peer.send(OK)
        assert (await wire.message()).status == 200
        assert (await peer.head()).line == b"GET /more HTTP/1.1"
        wire.cut()
        await flood


async def push(wire: Wire, octets: bytes, total: int) -> None:
    try:
        while total > 0 and not wire.writer.is_closing():
            wire.send(octets * 1000)
            total -= len(octets) * 1000
            await wire.writer.drain()
    except ConnectionError:
        pass


async def test_a_good_request_before_a_bad_one_gets_its_answer() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/good") + b"BAD\r\n\r\n" + get("/never"))
        peer = await site.accept()
        assert (await peer.head()).line == b"GET /good HTTP/1.1"
        peer.send(OK)
        assert (await wire.message()).body == b"ok"
        bad = await wire.message()
        assert bad.status == 400
        assert bad.head.get(b"connection") == b"close"
        assert await wire.rest() == b""
        assert site.accepted == 1


@pytest.mark.parametrize(
    "first", [get("/", "Connection: close"), b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"]
)
async def test_after_connection_close_nothing_is_read(first: bytes) -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(first + get("/never"))
        peer = await site.accept()
        await peer.head()
        peer.send(OK)
        answer = await wire.message()
        assert answer.head.get(b"connection") == b"close"
        assert await wire.ended() == "closed"
        assert rig.pool.counts()["idle"] == 1
        assert sum(rig.tally.requests.values()) == 1


async def test_a_connection_is_kept_after_an_answer_of_ours() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        wire = await rig.call(get(host="evil"))
        assert (await wire.message()).status == 421
        wire.send(get())
        assert (await wire.message()).status == 200


async def test_a_long_body_that_is_not_read_ends_the_connection() -> None:
    async with origin() as site, gateway(site) as rig:
        request = get("/", "Content-Length: 2000000", method="POST", host="evil") + b"some"
        wire = await rig.call(request)
        answer = await wire.message()
        assert answer.status == 421
        assert answer.head.get(b"connection") == b"close"
        assert await wire.rest() == b""
        wire.send(get("/smuggled"))
        await rig.until(lambda: rig.tally.received == len(request) + len(get("/smuggled")))
        await rig.clock.advance(2.0)  # they began with the answer, and begin anew with what was sent
        await rig.clock.advance(2.0)
        assert await wire.ended() in ("closed", "reset")
        await rig.until(lambda: not rig.listener.connections)
        assert site.accepted == 0


@pytest.mark.parametrize("ours", [True, False])
async def test_a_slow_upload_that_is_answered_early_may_be_sent_to_its_end(ours: bool) -> None:
    """proxy.md F5: a client that writes all before it reads would lose the answer to a reset."""
    async with origin() as site, gateway(site) as rig:
        host = "evil" if ours else "localhost"
        wire = await rig.call(get("/", "Content-Length: 2000000", method="POST", host=host) + b"x" * 100_000)
        if not ours:
            peer = await site.accept()
            await peer.head()
            peer.send(OK)
        answer = await wire.message()
        assert (answer.status, answer.head.get(b"connection")) == (421 if ours else 200, b"close")
        for number in range(1, 20):
            wire.send(b"x" * 100_000)
            await rig.until(lambda: rig.tally.received > 100_000 * (number + 1))  # noqa: B023 -- called at once
            await rig.clock.advance(1.0)
        assert await wire.rest() == b""
        assert len(rig.listener.connections) == 1
        await rig.clock.advance(2.0)
        await rig.clock.advance(2.0)
        await rig.until(lambda: not rig.listener.connections)


async def test_an_upload_that_goes_on_for_ever_after_its_answer_is_cut_after_30_seconds() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/", "Content-Length: 9000000", method="POST", host="evil") + b"x")
        assert (await wire.message()).status == 421
        for number in range(30):
            assert rig.listener.connections
            wire.send(b"x" * 1000)
            await rig.until(lambda: rig.tally.received > 1000 * (number + 1))  # noqa: B023 -- called at once
            await rig.clock.advance(1.0)
        await rig.until(lambda: not rig.listener.connections)


# -- time --


async def test_slow_callers_do_not_hold_up_a_good_one() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        slow = [await rig.call(b"GET / HT") for _ in range(100)]
        wire = await rig.call(get())
        assert (await wire.message()).status == 200
        await rig.until(lambda: len(rig.listener.connections) == 101)
        await rig.clock.advance(20.0)
        assert {(await each.message()).status for each in slow} == {408}


# -- the end --


async def test_while_ending_answers_say_that_their_connection_ends() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        idle = await rig.call(get())
        await idle.message()
        rig.listener.ending = True
        busy = await rig.call(get())
        answer = await busy.message()
        assert (answer.status, answer.head.get(b"connection")) == (200, b"close")
        assert await busy.rest() == b""
        await rig.until(lambda: rig.listener.busy == 0)
        rig.listener.wind_down()
        assert await idle.rest() == b""


async def test_a_request_under_way_ends_its_connection_when_we_wind_down() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        rig.listener.stop_accepting()
        rig.listener.wind_down()
        assert rig.listener.busy == 1
        peer.send(OK)
        answer = await wire.message()
        assert (answer.body, answer.head.get(b"connection")) == (b"ok", b"close")
        assert await wire.rest() == b""
        await rig.until(lambda: rig.listener.busy == 0)
        with pytest.raises(ConnectionRefusedError):
            await rig.caller()


async def test_an_answer_that_has_begun_as_we_wind_down_is_whole_and_ends_its_connection() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        await wire.head()
        rig.listener.wind_down()
        peer.send(b"k")
        assert await wire.rest() == b"ok"


async def test_a_kept_connection_takes_one_more_request_before_we_wind_down() -> None:
    async with origin(answering(OK, OK)) as site, gateway(site) as rig:
        wire = await rig.call(get())
        assert (await wire.message()).head.get(b"connection") is None
        rig.listener.ending = True
        wire.send(get())
        assert (await wire.message()).head.get(b"connection") == b"close"
        assert await wire.rest() == b""


async def test_requests_that_were_sent_ahead_are_answered_as_we_wind_down() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/1") + get("/2") + get("/3")[:-4])
        peer = await site.accept()
        assert (await peer.head()).line == b"GET /1 HTTP/1.1"
        rig.listener.wind_down()
        peer.send(OK)
        assert (await peer.head()).line == b"GET /2 HTTP/1.1"
        wire.send(get("/3")[-4:])
        peer.send(OK)
        assert (await peer.head()).line == b"GET /3 HTTP/1.1"
        peer.send(OK)
        assert [(await wire.message()).head.get(b"connection") for _ in range(3)] == [None, None, b"close"]
        assert await wire.rest() == b""


async def test_a_head_that_has_begun_as_we_wind_down_is_read_to_its_end() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        wire = await rig.call(get()[:-4])
        await rig.until(lambda: rig.tally.received > 0)
        rig.listener.wind_down()
        wire.send(get()[-4:])
        assert (await wire.message()).head.get(b"connection") == b"close"
        assert await wire.rest() == b""


async def test_an_answer_that_was_held_says_that_its_connection_ends() -> None:
    source = ScriptedSource(FakeClock(), takes=1.0)
    source.script.extend(["new", "same"])
    async with origin() as site, gateway(site, source=source) as rig:
        await rig.clock.advance(10.0)
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
        await rig.until(lambda: len(source.begun) == 2)
        rig.listener.wind_down()
        await rig.clock.advance(1.0)
        answer = await wire.message()
        assert (answer.status, answer.head.get(b"connection")) == (401, b"close")


async def test_what_is_left_at_the_end_is_cut() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        await rig.listener.close()
        assert await wire.ended() == "reset"
        assert await peer.ended() in ("closed", "reset")
        await rig.until(lambda: rig.tally.in_flight == 0)


# -- back-pressure --

MUCH = 48 << 20


class Still:
    """True after so many turns of the loop that whatever could move has moved."""

    def __init__(self) -> None:
        self.turns = 300

    def __call__(self) -> bool:
        self.turns -= 1
        return self.turns < 0


async def test_a_caller_that_does_not_read_slows_the_upstream_down() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        peer = await site.accept()
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MUCH)
        sending = rig.group.create_task(push(peer, bytes(1024), MUCH))
        (caller,) = rig.listener.connections
        await rig.until(lambda: caller.paused)
        await rig.until(Still())
        assert caller.transport.get_write_buffer_size() < 1 << 20
        wire.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await wire.head()
        left = MUCH
        while left:
            left -= len(await wire.octets(min(left, 1 << 19)))
            assert caller.transport.get_write_buffer_size() < 1 << 20
        await sending


async def test_a_caller_that_does_not_read_gets_no_more_answers_either() -> None:
    """Pipelined requests for large answers: what waits to be read is one answer, not all of them."""
    size = 200_000
    big = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, bytes(size))
    async with origin(answering(big)) as site, gateway(site) as rig:
        wire = await rig.caller()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        wire.send(get() * 400)
        await rig.until(lambda: bool(rig.listener.connections))
        (caller,) = rig.listener.connections
        await rig.until(lambda: caller.paused)
        await rig.until(Still())
        assert caller.transport.get_write_buffer_size() < 1 << 20
        assert len(rig.notes.all) < 100
        wire.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(400):
            await wire.head()
            await wire.octets(size)
        assert site.accepted == 1


async def test_an_upstream_that_does_not_read_slows_the_caller_down() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/", f"Content-Length: {MUCH}", method="POST"))
        peer = await site.accept()
        await peer.head()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        sending = rig.group.create_task(push(wire, bytes(1024), MUCH))
        (caller,) = rig.listener.connections
        await rig.until(lambda: not caller.transport.is_reading())
        await rig.until(Still())
        received = rig.tally.received
        assert received < MUCH
        await rig.until(Still())
        assert rig.tally.received == received
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        left = MUCH // 1024 * 1024
        while left:
            left -= len(await peer.octets(min(left, 1 << 19)))
        await sending
        peer.send(OK)
        assert (await wire.message()).status == 200


async def test_an_upload_that_waits_for_a_credential_is_not_read_into_memory() -> None:
    source = ScriptedSource(FakeClock(), takes=5.0)
    async with origin() as site, gateway(site, source=source) as rig:
        wire = await rig.call(get("/", f"Content-Length: {MUCH}", method="POST"))
        sending = rig.group.create_task(push(wire, bytes(1024), MUCH))
        await rig.until(lambda: bool(rig.listener.connections))
        (caller,) = rig.listener.connections
        await rig.until(lambda: not caller.transport.is_reading())
        await rig.until(Still())
        assert rig.tally.received < 1 << 20
        await rig.clock.advance(5.0)
        peer = await site.accept()
        await peer.head()
        left = MUCH // 1024 * 1024
        while left:
            left -= len(await peer.octets(min(left, 1 << 19)))
        await sending
        peer.send(OK)
        assert (await wire.message()).status == 200


async def test_a_flood_of_nonsense_leaves_nothing_behind() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        for octets, _, _ in HERE.values():
            wires = [await rig.call(octets) for _ in range(5)]
            for wire in wires:
                await asyncio.sleep(0)
                wire.reset()
        await rig.until(lambda: not rig.listener.connections)
        assert rig.tally.in_flight == 0
        assert site.accepted == 0
        wire = await rig.call(get())
        assert (await wire.message()).body == b"ok"
