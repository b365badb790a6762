"""Credentials on the request path: none, no forward; refused, replaced once and sent once more."""

import asyncio
import json

import pytest

from proxy.clock import pause
from proxy.credentials.credential import Credential
from proxy.errors import CredentialRejected, CredentialUnavailable
from proxy.gateway.call import Call
from proxy.gateway.timeouts import Timeouts
from tests.clock import FakeClock
from tests.credentials.sources import ScriptedSource
from tests.gateway.rig import Rig, gateway, get, post
from tests.gateway.wire import OK, REFUSED, Answer, Origin, Wire, answering, origin

DOWN = CredentialUnavailable("the token endpoint is down")


def scripted(*script: Exception | str, takes: float = 0.0, life: float | None = 300.0) -> ScriptedSource:
    source = ScriptedSource(FakeClock(), life=life, takes=takes)  # the rig hands it its own clock
    source.script.extend(script)
    return source


def fetches(rig: Rig) -> int:
    assert isinstance(rig.source, ScriptedSource)
    return len(rig.source.begun)


def code(answer: Answer) -> str:
    return str(json.loads(answer.body)["type"]).rpartition(":")[2]


async def wants(wire: Wire, token: int) -> None:
    """An upstream that lets in that token and later ones."""
    while True:
        head = (await wire.message()).head
        given = int((head.get(b"authorization") or b"Bearer 0").removeprefix(b"Bearer "))
        wire.send(OK if given >= token else REFUSED)


# -- no credential, no forward --


async def test_without_a_credential_nothing_is_forwarded() -> None:
    async with origin() as site, gateway(site, source=scripted(*[DOWN] * 99)) as rig:
        wire = await rig.call(get())
        await rig.until(lambda: rig.tally.in_flight == 1)
        await rig.clock.advance(11.0)
        answer = await wire.message()
        assert (answer.status, code(answer)) == (503, "credential_unavailable")
        assert int(answer.head.get(b"retry-after") or 0) >= 1
        assert answer.head.get(b"content-type") == b"application/problem+json"
        assert answer.head.get(b"proxy-status") is not None
        assert answer.head.get(b"x-request-id") == rig.notes.all[0].request_id.encode()
        assert site.accepted == 0
        assert rig.tally.problems == {"credential_unavailable": 1}


async def test_a_refused_client_is_a_502_at_once() -> None:
    source = scripted(CredentialRejected("the token endpoint refused our client"))
    async with origin() as site, gateway(site, source=source) as rig:
        wire = await rig.call(get())
        answer = await wire.message()
        assert (answer.status, code(answer)) == (502, "credential_rejected")
        assert site.accepted == 0
        wire.send(get())
        assert (await wire.message()).status == 502


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_500_requests_before_the_first_credential_are_one_fetch_and_no_connection() -> None:
    async with origin(answering(OK)) as site, gateway(site, source=scripted(takes=2.0)) as rig:
        wires = [await rig.call(get()) for _ in range(500)]
        await rig.until(lambda: rig.tally.in_flight == 500)
        assert not any(rig.pool.counts().values())
        await rig.clock.advance(2.0)
        assert {(await wire.message()).status for wire in wires} == {200}
        assert fetches(rig) == 1
        assert rig.notes.all[0].waited == 2.0


async def test_a_caller_that_goes_while_it_waits_for_a_credential_leaves_no_trace() -> None:
    async with origin() as site, gateway(site, source=scripted(takes=2.0)) as rig:
        wire = await rig.call(get())
        await rig.until(lambda: rig.tally.in_flight == 1)
        wire.close()
        await rig.until(lambda: rig.tally.in_flight == 0)
        await rig.clock.advance(2.0)
        assert site.accepted == 0


async def test_the_credential_is_looked_at_again_once_there_is_a_connection() -> None:
    source = scripted(life=10.0)
    async with origin() as site, gateway(site, source=source, max_connections=1) as rig:
        first = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        second = await rig.call(get())
        await rig.until(lambda: rig.pool.counts()["waiting"] == 1)
        await rig.clock.advance(8.5)  # the keeper has refreshed meanwhile
        peer.send(OK)
        assert (await first.message()).status == 200
        assert (await peer.head()).get(b"authorization") == b"Bearer 2"
        peer.send(OK)
        assert (await second.message()).status == 200


async def test_a_credential_that_expired_while_waiting_for_a_connection_is_not_sent() -> None:
    source = scripted(life=5.0)
    async with origin() as site, gateway(site, source=source, max_connections=1) as rig:
        first = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        second = await rig.call(get())
        await rig.until(lambda: rig.pool.counts()["waiting"] == 1)
        source.always = DOWN
        await rig.clock.advance(6.0)
        assert rig.keeper.current is None
        peer.send(OK)
        assert (await first.message()).status == 200
        await rig.clock.settle()
        source.always = None
        await rig.clock.advance(5.0)
        head = await peer.head()
        assert head.get(b"authorization") == b"Bearer 2"
        peer.send(OK)
        assert (await second.message()).status == 200


async def test_an_open_path_passes_bare_where_there_is_no_credential() -> None:
    source = scripted(*[DOWN] * 99)
    async with (
        origin() as site,
        gateway(site, source=source, open_paths=(b"/api/readyz", b"/static/**")) as rig,
    ):
        wire = await rig.call(get("/api/readyz?x=1", "Authorization: mine"))
        peer = await site.accept()
        assert (await peer.head()).get(b"authorization") is None
        peer.send(REFUSED)
        assert (await wire.message()).status == 401
        wire.send(get("/static/a/b"))
        assert (await peer.head()).get(b"authorization") is None
        peer.send(OK)
        assert (await wire.message()).status == 200
        rest = await rig.call(get("/api/readyz/more"))
        await rig.until(lambda: rig.tally.in_flight == 1)
        await rig.clock.advance(11.0)
        assert (await rest.message()).status == 503


async def test_with_nothing_to_inject_a_refusal_passes() -> None:
    class Nothing:
        async def fetch(self) -> Credential:
            return Credential((), 0.0)

    async with origin() as site, gateway(site, source=Nothing(), injects=False) as rig:
        wire = await rig.call(get("/", "Authorization: mine", "Cookie: mine"))
        peer = await site.accept()
        head = await peer.head()
        assert head.all(b"authorization") == [b"mine"]
        assert head.all(b"cookie") == [b"mine"]
        peer.send(REFUSED)
        assert (await wire.message()).body == b"expired"
        assert not rig.tally.repairs


# -- repair --


async def old_enough(rig: Rig) -> None:
    """No repair within a second of the last fetch."""
    await rig.clock.advance(2.0)


@pytest.mark.parametrize("request_octets", [get(), post(b"x" * 60_000), get("/", method="DELETE")])
async def test_a_refused_request_is_sent_once_more_with_a_new_credential(request_octets: bytes) -> None:
    async with origin() as site, gateway(site) as rig:
        await old_enough(rig)
        wire = await rig.call(request_octets)
        peer = await site.accept()
        first = await peer.message()
        peer.send(REFUSED)
        second = await peer.message()
        assert first.head.get(b"authorization") == b"Bearer 1"
        assert second.head.get(b"authorization") == b"Bearer 2"
        assert first.body == second.body
        assert first.head.line == second.head.line
        peer.send(OK)
        assert (await wire.message()).body == b"ok"
        assert rig.tally.repairs == {"ok": 1}
        assert rig.notes.all[0].repaired
        assert site.accepted == 1
        wire.send(get())
        assert (await peer.head()).get(b"authorization") == b"Bearer 2"


async def test_a_chunked_request_that_is_still_coming_is_sent_once_more_whole() -> None:
    async with origin() as site, gateway(site) as rig:
        await old_enough(rig)
        wire = await rig.call(get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
        peer = await site.accept()
        await peer.head()
        await peer.octets(10)
        peer.send(REFUSED)
        again = await site.accept()  # the first connection is in the middle of a request
        await again.head()
        wire.send(b"1\r\n!\r\n0\r\n\r\n")
        assert await again.chunked() == b"hello!"
        again.send(OK)
        assert (await wire.message()).body == b"ok"
        assert await peer.ended() in ("closed", "reset")


async def test_a_403_with_a_bearer_challenge_is_repaired_and_no_other_403() -> None:
    challenge = b"HTTP/1.1 403 Forbidden\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n"
    plain = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    scope = challenge.replace(b"Bearer", b'Bearer error="insufficient_scope"')
    async with origin(answering(challenge, OK, plain, scope)) as site, gateway(site) as rig:
        await old_enough(rig)
        wire = await rig.call(get())
        assert (await wire.message()).status == 200
        await old_enough(rig)
        for _ in range(2):
            wire.send(get())
            assert (await wire.message()).status == 403
        assert fetches(rig) == 2


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_500_parallel_refusals_are_one_fetch_and_one_replay_each() -> None:
    async def play(wire: Wire) -> None:
        await wants(wire, 2)

    async with origin(play) as site, gateway(site, source=scripted(takes=0.1), max_connections=600) as rig:
        await rig.clock.advance(3.0)
        wires = [await rig.call(get()) for _ in range(500)]
        await rig.until(lambda: rig.tally.response_seconds.counts[0] == 500)
        await rig.clock.settle()
        await rig.clock.advance(1.0)
        assert {(await wire.message()).status for wire in wires} == {200}
        assert fetches(rig) == 2
        assert (sum(rig.tally.requests.values()), site.accepted) == (500, site.accepted)
        assert rig.tally.repairs == {"ok": 500}
        assert sum(rig.tally.response_seconds.counts) == 1000


async def test_a_second_refusal_passes() -> None:
    async with origin(answering(REFUSED)) as site, gateway(site) as rig:
        await old_enough(rig)
        wire = await rig.call(get())
        answer = await wire.message()
        assert (answer.status, answer.body) == (401, b"expired")
        assert answer.head.get(b"www-authenticate") == b'Bearer error="invalid_token"'
        assert answer.head.get(b"proxy-status") is None
        assert rig.tally.repairs == {"refused_again": 1}
        assert rig.keeper.wants_answers
        assert fetches(rig) == 2


BESIDE = {
    "another path": ("GET /bad", "GET /good"),
    "another method": ("POST /v2/x", "GET /v2/x"),
    "another id": ("GET /v2/x/11", "GET /v2/x/12"),
    "another query": ("GET /x?bad", "GET /x"),
}


async def by_path(wire: Wire, line: str, refusal: bytes = REFUSED) -> None:
    """An upstream that refuses whatever begins so, and lets all else in."""
    while True:
        head = (await wire.message()).head
        wire.send(refusal if head.line.startswith(line.encode() + b" ") else OK)


async def every_second(rig: Rig, seconds: int, *lines: str) -> list[list[int]]:
    """The statuses of these requests, sent one after another each second."""
    wire = await rig.caller()
    seen: list[list[int]] = []
    for _ in range(seconds):
        seen.append([])
        for line in lines:
            method, path = line.split(" ")
            wire.send(get(path, method=method) if method != "POST" else post(b"{}", path=path))
            seen[-1].append((await wire.message()).status)
        await rig.clock.advance(1.0)
    return seen


@pytest.mark.parametrize("name", BESIDE)
async def test_a_path_that_always_refuses_beside_one_that_never_does_is_no_fetch_a_second(name: str) -> None:
    bad, good = BESIDE[name]
    async with (
        origin(lambda wire: by_path(wire, bad)) as site,
        gateway(site, source=scripted(life=None)) as rig,
    ):
        await old_enough(rig)
        assert await every_second(rig, 600, bad, good) == [[401, 200]] * 600
        assert fetches(rig) <= 12


async def test_such_a_path_does_not_keep_others_from_a_repair() -> None:
    wanted = 1

    async def play(wire: Wire) -> None:
        while True:
            head = (await wire.message()).head
            given = int((head.get(b"authorization") or b"").removeprefix(b"Bearer "))
            wire.send(REFUSED if b"/bad" in head.line or given < wanted else OK)

    async with origin(play) as site, gateway(site, source=scripted(life=None)) as rig:
        await old_enough(rig)
        await every_second(rig, 200, "GET /bad", "GET /good")
        for _ in range(5):
            wanted = fetches(rig) + 1  # all tokens so far are revoked
            await rig.clock.advance(2.0)
            assert (await every_second(rig, 1, "GET /good", "GET /bad"))[0] == [200, 401]


async def test_a_path_that_refused_for_a_while_is_repaired_again_as_soon_as_it_accepts() -> None:
    refuses, wanted = True, 1

    async def play(wire: Wire) -> None:
        while True:
            head = (await wire.message()).head
            given = int((head.get(b"authorization") or b"").removeprefix(b"Bearer "))
            wire.send(REFUSED if refuses or given < wanted else OK)

    async with origin(play) as site, gateway(site, source=scripted(life=None)) as rig:
        await old_enough(rig)
        await every_second(rig, 100, "GET /x")
        refuses = False
        assert await every_second(rig, 2, "GET /x") == [[200], [200]]
        wanted = fetches(rig) + 1
        assert await every_second(rig, 1, "GET /x") == [[200]]


async def test_ids_that_are_asked_for_once_are_one_place() -> None:
    refuses, wanted = True, 1

    async def play(wire: Wire) -> None:
        while True:
            head = (await wire.message()).head
            given = int((head.get(b"authorization") or b"").removeprefix(b"Bearer "))
            wire.send(REFUSED if refuses or given < wanted else OK)

    async with origin(play) as site, gateway(site, source=scripted(life=None)) as rig:
        await old_enough(rig)
        for number in range(100):
            await every_second(rig, 1, f"GET /v2/process-instances/22517998136852{number}")
        assert fetches(rig) <= 9
        refuses = False
        await every_second(rig, 1, "GET /v2/process-instances/1")
        wanted = fetches(rig) + 1
        assert await every_second(rig, 1, "GET /v2/topology") == [[200]]


async def test_uploads_that_cannot_be_sent_again_are_no_fetch_a_second_either() -> None:
    async with (
        origin(lambda wire: by_path(wire, "POST /x")) as site,
        gateway(site, source=scripted(life=None), replay_buffer=10) as rig,
    ):
        await old_enough(rig)
        wire = await rig.caller()
        for _ in range(300):
            wire.send(post(b"x" * 20, path="/x") + get("/y"))
            assert [(await wire.message()).status for _ in range(2)] == [401, 200]
            await rig.clock.advance(1.0)
        assert fetches(rig) <= 11


async def test_callers_that_do_not_wait_for_a_repair_are_no_fetch_every_few_seconds() -> None:
    source = scripted(life=None, takes=2.0)
    async with origin(lambda wire: by_path(wire, "GET /x")) as site, gateway(site, source=source) as rig:
        await rig.clock.advance(5.0)
        for _ in range(100):
            wire = await rig.call(get("/x"))
            await rig.until(lambda: rig.tally.in_flight == 1)
            await rig.clock.advance(1.0)
            wire.close()
            await rig.until(lambda: rig.tally.in_flight == 0)
            await rig.clock.advance(3.0)
        assert fetches(rig) <= 10


def held(call: Call | None) -> bool:
    """Whether its answer is kept back, because it may be sent again."""
    return call is not None and call.relay is not None and call.relay.held


async def test_requests_refused_right_after_a_fetch_are_repaired_when_a_second_has_passed() -> None:
    async with origin(lambda wire: wants(wire, 2)) as site, gateway(site) as rig:
        callers = [await rig.call(get()) for _ in range(20)]
        await rig.until(lambda: sum(held(each.call) for each in rig.listener.connections) == 20)
        await rig.clock.advance(0.9)
        assert fetches(rig) == 1
        await rig.clock.advance(0.1)
        assert {(await caller.message()).status for caller in callers} == {200}
        assert fetches(rig) == 2
        assert rig.tally.repairs == {"ok": 20}


async def test_where_the_same_credential_comes_back_the_upstreams_own_refusal_passes() -> None:
    source = scripted()
    async with origin(answering(REFUSED)) as site, gateway(site, source=source) as rig:
        source.always = "same"
        await old_enough(rig)
        wire = await rig.call(get())
        answer = await wire.message()
        assert (answer.status, answer.body) == (401, b"expired")
        assert rig.tally.repairs == {"same_credential": 1}


async def test_a_body_that_cannot_be_sent_again_gets_the_refusal_and_the_next_is_repaired() -> None:
    async with origin() as site, gateway(site, replay_buffer=1000) as rig:
        await old_enough(rig)
        wire = await rig.call(post(b"x" * 2000))
        peer = await site.accept()
        await peer.message()
        peer.send(REFUSED)
        assert (await wire.message()).body == b"expired"
        assert rig.tally.repairs == {"not_replayable": 1}
        await rig.until(lambda: fetches(rig) == 2)
        await rig.clock.settle()
        wire.send(get())
        assert (await peer.head()).get(b"authorization") == b"Bearer 2"


async def test_with_a_dead_token_endpoint_a_refusal_is_a_503() -> None:
    source = scripted()
    async with origin(answering(REFUSED)) as site, gateway(site, source=source) as rig:
        source.always = DOWN
        await old_enough(rig)
        wire = await rig.call(get())
        await rig.until(lambda: fetches(rig) == 2)
        await rig.clock.advance(11.0)
        answer = await wire.message()
        assert (answer.status, code(answer)) == (503, "credential_unavailable")
        assert answer.head.get(b"retry-after") is not None
        assert answer.head.get(b"www-authenticate") is None
        assert rig.tally.repairs == {"no_credential": 1}
        assert rig.tally.requests == {("GET", 5): 1}


BIG = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 10\r\n\r\nhello"


class Slow:
    """A token endpoint that takes its time and then has only the same token."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.fetches = 0

    async def fetch(self) -> Credential:
        self.fetches += 1
        if self.fetches > 1:
            await pause(self.clock, 5.0)
        return Credential(((b"Authorization", b"Bearer 1"),), 0.0)


async def held_refusal(site: Origin, rig: Rig, slow: Slow, answer: bytes) -> tuple[Wire, Wire]:
    """A caller whose refusal is kept back while the token endpoint takes its time."""
    slow.clock = rig.clock
    await old_enough(rig)
    wire = await rig.call(get())
    peer = await site.accept()
    await peer.head()
    peer.send(answer)
    await rig.until(lambda: slow.fetches == 2)
    return wire, peer


async def test_a_refusal_that_was_held_passes_whole_after_all() -> None:
    slow = Slow(FakeClock())
    async with origin() as site, gateway(site, source=slow) as rig:
        wire, peer = await held_refusal(site, rig, slow, BIG)
        peer.send(b"world")
        await rig.clock.advance(6.0)
        assert (await wire.message()).body == b"helloworld"
        await rig.until(lambda: rig.pool.counts()["idle"] == 1)


async def test_a_refusal_that_was_held_and_then_lost_is_truncated_at_the_caller() -> None:
    slow = Slow(FakeClock())
    async with origin() as site, gateway(site, source=slow) as rig:
        wire, peer = await held_refusal(site, rig, slow, BIG)
        peer.reset()
        await rig.clock.advance(6.0)
        assert await wire.ended() == "reset"


async def test_a_held_refusal_whose_time_is_over_ends_too() -> None:
    slow = Slow(FakeClock())
    async with origin() as site, gateway(site, source=slow, timeouts=Timeouts(5.0, 60.0, 3.0)) as rig:
        wire, peer = await held_refusal(site, rig, slow, BIG)
        await rig.clock.advance(4.0)
        await peer.ended()
        await rig.clock.advance(3.0)
        assert await wire.ended() == "reset"


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_held_refusal_does_not_meddle_with_whoever_uses_its_connection_now(leaves: bool) -> None:
    slow = Slow(FakeClock())
    async with origin() as site, gateway(site, source=slow) as rig:
        wire, peer = await held_refusal(site, rig, slow, REFUSED)
        assert rig.pool.counts()["idle"] == 1
        other = await rig.call(get("/other"))
        assert (await peer.head()).line == b"GET /other HTTP/1.1"
        if leaves:
            wire.close()
            await rig.until(lambda: rig.tally.in_flight == 1)
        else:
            await rig.clock.advance(6.0)
            assert (await wire.message()).body == b"expired"
        peer.send(OK)
        assert (await other.message()).body == b"ok"
        await rig.until(lambda: rig.tally.in_flight == 0)
        other.send(get("/again"))
        assert (await peer.head()).line == b"GET /again HTTP/1.1"
        assert site.accepted == 1


async def test_a_body_that_turns_out_invalid_during_a_repair_is_a_400_and_leaks_nothing() -> None:
    async with origin() as site, gateway(site, source=scripted(takes=1.0), max_connections=1) as rig:
        await rig.clock.advance(3.0)
        wire = await rig.call(get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
        peer = await site.accept()
        await peer.head()
        await peer.octets(10)
        peer.send(BIG)
        await rig.until(lambda: fetches(rig) == 2)
        wire.send(b"nonsense\r\n")
        await peer.ended()
        await rig.clock.advance(2.0)
        assert (await wire.message()).status == 400
        wire.close()
        again = await rig.call(get())
        second = await site.accept()
        await second.head()
        second.send(OK)
        assert (await again.message()).status == 200


async def test_what_is_counted_adds_up() -> None:
    async with origin(answering(REFUSED, OK)) as site, gateway(site) as rig:
        await old_enough(rig)
        wire = await rig.call(get())
        await wire.message()
        request = post(b"12345")
        wire.send(request)
        await wire.message()
        wire.send(get(host="evil"))
        refusal = await wire.message()
        tally = rig.tally
        assert tally.received == len(get()) + len(request) + len(get(host="evil"))
        assert tally.requests == {("GET", 2): 1, ("POST", 2): 1, ("GET", 4): 1}
        assert tally.problems == {"wrong_host": 1}
        assert tally.sent == sum(details.sent for details in rig.notes.all)
        assert rig.notes.all[2].sent == len(refusal.head.raw) + len(refusal.body)
        assert [details.received for details in rig.notes.all] == [0, 5, 0]
        assert sum(tally.connect_seconds.counts) == 1
        assert tally.connections() == {"idle": 1, "active": 0, "connecting": 0, "waiting": 0}


async def test_callers_may_go_at_any_moment_of_a_repair() -> None:
    async def play(wire: Wire) -> None:
        await wants(wire, 2)

    for turns in range(0, 60, 4):
        async with origin(play) as site, gateway(site, source=scripted(takes=0.5), max_connections=2) as rig:
            await rig.clock.advance(3.0)
            wires = [await rig.call(post(b"body")) for _ in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for wire in wires[1:]:
                wire.reset()
            await rig.until(lambda: rig.tally.in_flight <= 1)
            while rig.tally.in_flight or not rig.notes.all:
                await rig.clock.advance(0.5)
            assert (await wires[0].message()).status == 200
