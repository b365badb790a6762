"""What requests teach about their upstream, through the whole gateway."""

from collections.abc import Callable

import pytest

from proxy.credentials.credential import Credential
from proxy.credentials.fixed import Anonymous
from proxy.errors import CredentialUnavailable
from proxy.gateway.problem_log import ProblemRecord
from proxy.gateway.timeouts import Timeouts
from proxy.gateway.watch import StateChange
from tests.clock import FakeClock
from tests.credentials.sources import ScriptedSource
from tests.gateway.rig import Rig, gateway, get, post
from tests.gateway.wire import OK, REFUSED, Answer, Wire, answering, origin


class Lines:
    """An UpstreamObserver that remembers."""

    def __init__(self) -> None:
        self.changes: list[StateChange] = []
        self.problems: list[ProblemRecord] = []

    def changed(self, change: StateChange) -> None:
        self.changes.append(change)

    def problem(self, record: ProblemRecord) -> None:
        self.problems.append(record)


class LongTokens:
    """Hands out tokens that are long enough to be masked."""

    def __init__(self) -> None:
        self.given: list[str] = []

    async def fetch(self) -> Credential:
        self.given.append(f"c4n4ry-{len(self.given)}")
        return Credential(((b"Authorization", b"Bearer " + self.given[-1].encode()),), 0.0)


async def repaired(rig: Rig) -> Answer:
    """The answer to a request whose credential is refused, after the wait for another one."""
    answer = rig.group.create_task((await rig.call(get())).message())
    while not answer.done():
        await rig.clock.advance(1.0)
    return answer.result()


async def test_an_answer_shows_that_the_upstream_answers_and_accepts_the_credential() -> None:
    async with origin(answering(OK)) as site, gateway(site, lines=Lines()) as rig:
        assert rig.forwarder.watch.state == "unknown"
        await (await rig.call(get())).message()
        watch = rig.forwarder.watch
        assert (watch.state, watch.accepted, watch.pending) == ("answers", True, False)


async def test_an_upstream_that_is_down_is_unreachable_until_it_answers_again() -> None:
    lines = Lines()
    async with origin(answering(OK)) as site:
        port = site.port
    async with gateway(port, lines=lines) as rig:
        for _ in range(3):
            assert (await (await rig.call(get())).message()).status == 502
        await rig.clock.advance(30.0)
        async with origin(answering(OK), port=port):
            assert (await (await rig.call(get())).message()).status == 200
    assert [(each.kind, each.state, each.cause) for each in lines.changes] == [
        ("change", "unreachable", "refused"),
        ("over", "unreachable", ""),
    ]
    assert (lines.changes[1].seconds, lines.changes[1].requests) == (30.0, 3)
    assert "no program listens at this port" in lines.changes[0].reason
    assert lines.changes[0].request_id


async def test_an_upstream_that_does_not_answer_in_time_is_slow() -> None:
    lines = Lines()
    async with origin() as site, gateway(site, lines=lines, timeouts=Timeouts(response=5.0)) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        await rig.clock.advance(7.0)
        assert (await wire.message()).status == 504
    assert [(each.state, each.cause) for each in lines.changes] == [("slow", "answer_timeout")]


async def test_a_refusal_that_no_new_credential_mends_is_a_refusal_of_ours() -> None:
    lines = Lines()
    async with origin(answering(REFUSED)) as site, gateway(site, lines=lines) as rig:
        assert (await repaired(rig)).status == 401
        watch = rig.forwarder.watch
        assert (watch.state, watch.accepted) == ("refuses", False)
    (change,) = lines.changes
    assert change.cause == "token_refused"
    assert 'it answered 401 (error="invalid_token"): it does not accept the credential' in change.reason


async def test_a_refusal_without_a_new_credential_to_be_had_is_one_too() -> None:
    source = ScriptedSource(FakeClock())
    async with origin(answering(REFUSED)) as site, gateway(site, source=source) as rig:
        source.always = CredentialUnavailable("down")
        assert (await repaired(rig)).status == 503
        assert rig.forwarder.watch.state == "refuses"


async def test_what_a_server_repeats_of_our_token_is_masked() -> None:
    lines, source = Lines(), LongTokens()

    async def echo(wire: Wire) -> None:
        while True:
            token = (await wire.message()).head.get(b"authorization") or b""
            challenge = b'WWW-Authenticate: Bearer error="' + token.split()[1] + b'"\r\n'
            wire.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n" + challenge + b"\r\n")

    async with origin(echo) as site, gateway(site, lines=lines, source=source) as rig:
        assert (await repaired(rig)).status == 401
    assert '(error="***")' in lines.changes[0].reason
    assert not any(token in lines.changes[0].reason for token in source.given)


async def test_a_400_of_a_port_that_speaks_tls_is_recognised_and_forwarded() -> None:
    lines = Lines()
    words = b"<center>The plain HTTP request was sent to HTTPS port</center>"
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(words), words)
    async with origin(answering(answer, OK)) as site, gateway(site, lines=lines) as rig:
        wire = await rig.call(get() + get())
        assert [(await wire.message()).body for _ in range(2)] == [words, b"ok"]
    assert [(each.kind, each.state) for each in lines.changes] == [
        ("change", "unreachable"),
        ("over", "unreachable"),
    ]
    assert lines.changes[0].cause == "plain_to_tls"
    assert "it speaks TLS at this port. Write https://" in lines.changes[0].reason


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 100_000])
async def test_a_400_of_any_size_arrives_whole(size: int) -> None:
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (size, b"x" * size)
    async with origin(answering(answer, OK)) as site, gateway(site) as rig:
        wire = await rig.call(get() + get())
        assert [(await wire.message()).body for _ in range(2)] == [b"x" * size, b"ok"]
        assert rig.forwarder.watch.state == "answers"


async def test_an_upstream_without_credential_that_wants_one_refuses() -> None:
    lines = Lines()
    async with (
        origin(answering(REFUSED)) as site,
        gateway(site, lines=lines, source=Anonymous(FakeClock()), injects=False) as rig,
    ):
        assert (await (await rig.call(get())).message()).status == 401
        assert rig.forwarder.watch.state == "refuses"


@pytest.mark.parametrize(
    ("request_bytes", "code", "host", "origin_field"),
    [
        (get(host="evil.test"), "wrong_host", "evil.test", ""),
        (get("/", "Origin: https://evil.test"), "cross_site", "localhost", "https://evil.test"),
        (get("/", method="TRACE"), "not_allowed", "localhost", ""),
    ],
)
async def test_who_is_refused_at_the_door_is_told(
    request_bytes: bytes, code: str, host: str, origin_field: str
) -> None:
    lines = Lines()
    async with origin() as site, gateway(site, lines=lines) as rig:
        answer = await (await rig.call(request_bytes)).message()
        assert rig.forwarder.watch.state == "unknown"
    (problem,) = lines.problems
    assert (problem.code, problem.host, problem.origin) == (code, host, origin_field)
    assert problem.address.startswith("127.0.0.1:")
    assert answer.head.get(b"x-request-id") == problem.request_id.encode()


async def test_bytes_that_are_no_request_leave_a_line_without_them() -> None:
    lines = Lines()
    async with origin() as site, gateway(site, lines=lines) as rig:
        await (await rig.call(b"canary nonsense\r\n\r\n")).message()
    (problem,) = lines.problems
    assert problem.code == "bad_request"
    assert "canary" not in f"{problem}"


async def flood(rig: Rig, request: Callable[[], bytes]) -> None:
    wire = await rig.caller()
    for _ in range(200):
        wire.send(request())
        await wire.message()


async def test_a_flood_of_failing_requests_writes_few_lines() -> None:
    lines = Lines()
    async with origin() as site, gateway(site, lines=lines) as rig:
        await flood(rig, lambda: get(host="evil.test"))
    assert len(lines.problems) == 3


async def test_a_flood_towards_an_upstream_that_is_down_writes_few_lines() -> None:
    lines = Lines()
    async with origin() as site:
        port = site.port
    async with gateway(port, lines=lines) as rig:
        await flood(rig, lambda: post(b"{}"))
        assert rig.forwarder.watch.requests == 200
    assert len(lines.changes) == 1
    assert len(lines.problems) == 3
