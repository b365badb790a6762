"""MCP clients: no challenge reaches them, our errors are theirs, and a stream may be silent."""

import asyncio
import json
from typing import Any

import pytest

from proxy.errors import CredentialRejected, CredentialUnavailable
from proxy.gateway.guard import Guard
from proxy.gateway.mcp import is_event_stream, is_mcp, is_mcp_base, is_metadata, message_id
from proxy.gateway.timeouts import Timeouts
from tests.clock import FakeClock
from tests.credentials.sources import ScriptedLogin
from tests.gateway.calling import one_caller
from tests.gateway.rig import Rig, gateway, get, post
from tests.gateway.test_repair import fetches, scripted, wants
from tests.gateway.wire import OK, REFUSED, Answer, Wire, answering, origin

CALL = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x"}}'
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PATHS = ["/mcp/cluster", "/mcp/processes", "/mcp", "/mcp?x=1", "/physical-tenants/a/mcp/cluster"]


def call(path: str = "/mcp/cluster", body: bytes = CALL, *lines: str) -> bytes:
    return post(body, "Content-Type: application/json", *lines, path=path)


def error(answer: Answer) -> dict[str, Any]:
    """The JSON-RPC error that an answer is."""
    assert answer.head.get(b"content-type") == b"application/json"
    members = json.loads(answer.body)
    assert members["jsonrpc"] == "2.0"
    assert members["error"]["data"]["type"].startswith("urn:camunda-auth-proxy:")
    assert members["error"]["message"] == members["error"]["data"]["detail"]
    return dict(members)


def no_challenge(answer: Answer) -> bool:
    return answer.head.get(b"www-authenticate") is None


# -- refusals --


@pytest.mark.parametrize("path", PATHS)
async def test_a_revoked_token_is_repaired(path: str) -> None:
    async with origin(lambda wire: wants(wire, 2)) as site, gateway(site) as rig:
        await rig.clock.advance(2.0)
        answer = await (await rig.call(call(path))).message()
        assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize("path", PATHS)
async def test_a_refusal_that_no_new_token_helps_is_a_503_without_a_challenge(path: str) -> None:
    async with origin(answering(REFUSED)) as site, gateway(site) as rig:
        await rig.clock.advance(2.0)
        wire = await rig.call(call(path))
        for _ in range(2):  # refused again after a repair; then too soon for another
            answer = await wire.message()
            assert (answer.status, no_challenge(answer)) == (503, True)
            assert int(answer.head.get(b"retry-after") or 0) >= 1
            shown = error(answer)
            assert shown["id"] == 7
            assert "refuses the credential" in shown["error"]["message"]
            wire.send(call(path))
        assert fetches(rig) == 2
        assert rig.tally.repairs == {"refused_again": 1, "too_soon": 1}


async def test_a_refusal_whose_new_token_is_refused_by_the_token_endpoint_is_a_503_too() -> None:
    rejected = CredentialRejected("the token endpoint refused our client")
    async with origin(answering(REFUSED)) as site, gateway(site, source=scripted("", rejected)) as rig:
        await rig.clock.advance(2.0)
        for path, status in (("/mcp/cluster", 503), ("/v2/x", 502)):
            answer = await (await rig.call(call(path))).message()
            assert (answer.status, answer.head.get(b"retry-after") is not None) == (status, status == 503)


async def test_the_same_path_elsewhere_gets_the_upstream_s_own_401() -> None:
    async with origin(answering(REFUSED)) as site, gateway(site) as rig:
        await rig.clock.advance(2.0)
        answer = await (await rig.call(call("/v2/mcp"))).message()
        assert (answer.status, answer.body, no_challenge(answer)) == (401, b"expired", False)


async def test_with_type_none_the_client_s_own_authorization_is_its_own_matter() -> None:
    async with origin(answering(REFUSED)) as site, gateway(site, injects=False) as rig:
        answer = await (await rig.call(call())).message()
        assert (answer.status, no_challenge(answer)) == (401, False)
        wire = await rig.call(get("/.well-known/oauth-protected-resource/mcp/cluster"))
        assert (await wire.message()).status == 401


@pytest.mark.parametrize(
    ("failure", "status"), [(CredentialUnavailable("down"), 503), (CredentialRejected("refused"), 502)]
)
async def test_without_a_token_the_client_gets_an_error_that_it_can_show(
    failure: Exception, status: int
) -> None:
    async with origin() as site, gateway(site, source=scripted(*[failure] * 99)) as rig:
        wire = await rig.call(call())
        await rig.until(lambda: rig.tally.received > 0)
        await rig.clock.advance(11.0)
        answer = await wire.message()
        assert (answer.status, error(answer)["id"], site.accepted) == (status, 7, 0)


async def test_a_permission_that_is_missing_is_the_upstream_s_403_without_its_challenge() -> None:
    body = (
        b'HTTP/1.1 403 Forbidden\r\nWWW-Authenticate: Bearer error="insufficient_scope"\r\nX-A: b\r\n'
        b"Content-Length: 2\r\n\r\nno"
    )
    async with origin(answering(body)) as site, gateway(site) as rig:
        for path, challenge in (("/mcp/cluster", True), ("/v2/x", False), ("/mcp/cluster", True)):
            answer = await (await rig.call(call(path))).message()
            assert (answer.status, answer.body, no_challenge(answer)) == (403, b"no", challenge)
            assert answer.head.get(b"x-a") == b"b"


async def test_a_login_page_under_a_session_is_a_503_when_a_new_session_does_not_help() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi"
    login = ScriptedLogin(FakeClock())
    async with origin(answering(page)) as site, gateway(site, source=login, sessions=login) as rig:
        await rig.clock.advance(2.0)
        answer = await (await rig.call(call())).message()
        assert (answer.status, error(answer)["id"]) == (503, 7)


async def test_a_403_that_may_be_about_a_permission_is_the_upstream_s_own() -> None:
    forbidden = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    login = ScriptedLogin(FakeClock())
    async with origin(answering(forbidden)) as site, gateway(site, source=login, sessions=login) as rig:
        await rig.clock.advance(2.0)
        answer = await (await rig.call(call())).message()
        assert (answer.status, answer.body) == (403, b"no")


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp/cluster",
        "/.well-known/oauth-protected-resource?x=1",
        "/physical-tenants/a/.well-known/oauth-protected-resource/mcp/cluster",
        "/mcp/cluster/.well-known/oauth-protected-resource",
    ],
)
async def test_there_is_no_metadata_of_a_protected_resource(path: str) -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        answer = await (await rig.call(get(path))).message()
        assert (answer.status, json.loads(answer.body)["type"]) == (404, "urn:camunda-auth-proxy:not_found")
        assert site.accepted == 0


async def test_other_well_known_paths_are_forwarded() -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        for path in ("/.well-known/oauth-protected-resources", "/x?/.well-known/oauth-protected-resource"):
            assert (await (await rig.call(get(path))).message()).status == 200


async def test_a_missing_caller_token_is_a_403_without_a_challenge() -> None:
    guard = Guard(callers=one_caller(b"a-token-of-callers"))
    async with origin() as site, gateway(site, guard=guard) as rig:
        answer = await (await rig.call(call())).message()
        assert (answer.status, no_challenge(answer)) == (403, True)
        assert error(answer)["error"]["data"]["type"].endswith("caller_unknown")
        other = await (await rig.call(post(CALL, path="/v2/x"))).message()
        assert other.status == 401


# -- errors of our own --


async def unreachable() -> int:
    """A port on which no server listens."""
    async with origin() as site:
        return site.port


async def told(rig: Rig, *pieces: bytes) -> Answer:
    wire = await rig.caller()
    for piece in pieces:
        wire.send(piece)
        await rig.clock.settle()
    return await wire.message()


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (b'{"jsonrpc":"2.0","method":"ping","id":"a-1"}', "a-1"),
        (b'{"jsonrpc":"2.0","method":"ping","id":0}', 0),
        (b'{"jsonrpc":"2.0","method":"ping","id":-3}', -3),
        (b' {"id":"\\u00e9\\"","method":"ping","jsonrpc":"2.0"}\n', 'é"'),
    ],
)
async def test_our_error_to_a_json_rpc_request_has_its_id(message: bytes, shown: object) -> None:
    async with gateway(await unreachable()) as rig:
        answer = await told(rig, call(body=message))
        assert (answer.status, error(answer)["id"]) == (502, shown)


@pytest.mark.parametrize(
    "message",
    [
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
        b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
        b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}',
        b'{"jsonrpc":"2.0","id":"%s","method":"ping"}' % (b"x" * 257),
        b'{"jsonrpc":"2.0","id":1,"method":3}',
        b"{",
        b"[" * 100_000,
        b'"x"',
        b"\xff\xfe",
    ],
)
async def test_every_other_message_gets_problem_json(message: bytes) -> None:
    async with gateway(await unreachable()) as rig:
        answer = await told(rig, call(body=message))
        assert (answer.status, answer.head.get(b"content-type")) == (502, b"application/problem+json")
    assert message_id(message) is None


async def test_a_request_without_a_message_gets_problem_json() -> None:
    async with gateway(await unreachable()) as rig:
        for head in (get("/mcp/cluster"), get("/mcp/cluster", method="DELETE"), call("/v2/x")):
            answer = await told(rig, head)
            assert (answer.status, answer.head.get(b"content-type")) == (502, b"application/problem+json")


async def test_the_rest_of_a_message_is_waited_for() -> None:
    """Python's httpx writes head and body one after the other."""
    whole = call()
    at = whole.index(b"{")
    async with gateway(await unreachable()) as rig:
        answer = await told(rig, whole[:at], whole[at : at + 9], whole[at + 9 :])
        assert error(answer)["id"] == 7


async def test_a_message_longer_than_what_waits_for_a_connection_is_read() -> None:
    message = b'{"jsonrpc":"2.0","method":"tools/call","params":"%s","id":8}' % (b"x" * 300_000)
    source = scripted(*[CredentialUnavailable("down")] * 99)
    async with origin() as site, gateway(site, source=source, replay_buffer=1 << 20) as rig:
        wire = await rig.call(call(body=message))
        await rig.until(lambda: rig.tally.in_flight == 1)
        await rig.clock.advance(11.0)
        answer = await wire.message()
        assert (answer.status, error(answer)["id"]) == (503, 8)


async def test_a_message_in_chunks_is_read() -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (CALL[:5], CALL[5:])) + b"0\r\n\r\n"
    async with gateway(await unreachable()) as rig:
        head = get("/mcp/cluster", "Transfer-Encoding: chunked", method="POST")
        assert error(await told(rig, head, chunks[:12], chunks[12:]))["id"] == 7


async def test_a_message_that_does_not_come_holds_its_answer_up_for_two_seconds() -> None:
    source = scripted(*[CredentialRejected("refused")] * 99)  # known at once, so that time is only the body's
    async with origin() as site, gateway(site, source=source) as rig:
        wire = await rig.call(call()[:-3])
        await rig.until(lambda: bool(rig.tally.in_flight))
        await rig.clock.advance(1.5)
        assert rig.tally.in_flight == 1
        await rig.clock.advance(1.0)
        answer = await wire.message()
        assert answer.head.get(b"content-type") == b"application/problem+json"


async def test_a_client_that_waits_for_100_is_answered_at_once() -> None:
    async with gateway(await unreachable()) as rig:
        answer = await told(rig, get("/mcp", "Content-Length: 9", "Expect: 100-continue", method="POST"))
        assert answer.head.get(b"content-type") == b"application/problem+json"


async def test_a_client_that_goes_while_its_message_is_awaited_leaves_no_trace() -> None:
    async with gateway(await unreachable()) as rig:
        wire = await rig.call(call()[:-3])
        await rig.until(lambda: bool(rig.tally.in_flight))
        wire.reset()
        await rig.until(lambda: not rig.tally.in_flight)


async def test_a_connection_serves_on_after_an_error_of_ours() -> None:
    async with gateway(await unreachable()) as rig:
        wire = await rig.call(call())
        assert error(await wire.message())["id"] == 7
        wire.send(call(body=CALL.replace(b"7", b"8")))
        assert error(await wire.message())["id"] == 8


# -- streams --


async def test_an_event_reaches_the_client_as_soon_as_it_is_sent() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(call())
        peer = await site.accept()
        await peer.message()
        peer.send(EVENTS)
        assert (await wire.head()).status == 200
        for number in range(3):
            peer.send(b"9\r\ndata: %d\n\n\r\n" % number)
            assert await wire.octets(14) == b"9\r\ndata: %d\n\n\r\n" % number


@pytest.mark.parametrize("path", ["/mcp/cluster", "/v2/x"])
async def test_a_stream_of_events_may_be_silent_for_hours_and_nothing_else_may(path: str) -> None:
    async with origin() as site, gateway(site, timeouts=Timeouts(idle=600.0)) as rig:
        wire = await rig.call(get(path))
        peer = await site.accept()
        await peer.message()
        peer.send(EVENTS + b"3\r\n:\n\n\r\n")
        await wire.head()
        await wire.octets(8)
        for _ in range(4):
            await rig.clock.advance(1000.0)
        if path == "/v2/x":
            assert await wire.ended() == "reset"
            return
        peer.send(b"3\r\n:\n\n\r\n0\r\n\r\n")
        assert await wire.octets(13) == b"3\r\n:\n\n\r\n0\r\n\r\n"


async def test_an_answer_to_mcp_that_is_no_stream_may_not_be_silent() -> None:
    async with origin() as site, gateway(site, timeouts=Timeouts(idle=600.0)) as rig:
        wire = await rig.call(call())
        peer = await site.accept()
        await peer.message()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
        await wire.head()
        await rig.clock.advance(1000.0)
        assert await wire.ended() == "reset"


async def test_a_stream_ends_with_its_client() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/mcp/cluster"))
        peer = await site.accept()
        await peer.message()
        peer.send(EVENTS)
        await wire.head()
        wire.close()
        assert await peer.ended() in ("closed", "reset")


async def test_as_we_wind_down_a_stream_that_never_ends_is_cut_and_a_tool_call_is_not() -> None:
    async with origin() as site, gateway(site) as rig:
        wires = []
        for request in (get("/mcp/cluster"), call()):
            wires.append(await rig.call(request))
            peer = await site.accept()
            await peer.message()
            peer.send(EVENTS)
            await wires[-1].head()
        rig.listener.wind_down()
        assert await wires[0].ended() == "reset"
        peer.send(b"3\r\n:\n\n\r\n0\r\n\r\n")
        assert await wires[1].chunked() == b":\n\n"


# -- which requests are meant --


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        *((path.encode(), True) for path in PATHS),
        (b"/mcp/", True),
        (b"/mcpx", False),
        (b"/v2/mcp", False),
        (b"/v2/x?/mcp", False),
        (b"/physical-tenants/a/b/mcp", False),
        (b"/physical-tenants/mcp", False),
        (b"*", False),
    ],
)
def test_targets_of_mcp(target: bytes, expected: bool) -> None:
    assert is_mcp(target) is expected
    assert not is_metadata(target)


@pytest.mark.parametrize(
    ("path", "expected"),
    [(b"", False), (b"/ID", False), (b"/ID/mcp/cluster", True), (b"/mcp", True), (b"/mcpx", False)],
)
async def test_below_a_base_url_of_mcp_every_request_is_mcp_s(path: bytes, expected: bool) -> None:
    assert is_mcp_base(path) is expected
    async with origin(answering(REFUSED)) as site, gateway(site, prefix=path) as rig:
        await rig.clock.advance(2.0)
        assert (await (await rig.call(call("/"))).message()).status == (503 if expected else 401)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"Content-Type: text/event-stream\r\n", True),
        (b"content-type: Text/Event-Stream; charset=utf-8\r\n", True),
        (b"Content-Type: text/event-streams\r\n", False),
        (b"X-Content-Type: text/event-stream\r\n", False),
        (b"Content-Type: application/json\r\n", False),
    ],
)
def test_streams_of_events(line: bytes, expected: bool) -> None:
    assert is_event_stream([b"A: b\r\n", line]) is expected


async def test_an_upload_that_cannot_be_sent_again_is_a_503_too() -> None:
    async def play(wire: Wire) -> None:
        await wire.head()
        wire.send(REFUSED)
        await asyncio.Event().wait()

    body = b'{"jsonrpc":"2.0","id":7,"method":"x","params":"%s"}' % (b"x" * 300_000)
    async with origin(play) as site, gateway(site) as rig:
        await rig.clock.advance(2.0)
        answer = await (await rig.call(call(body=body))).message()
        assert (answer.status, no_challenge(answer)) == (503, True)
