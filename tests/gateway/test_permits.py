"""Access rules on the request path: what passes arrives as it was sent, and nothing else arrives."""

import json
from typing import Any

import pytest

from proxy.access.messages import LIMIT
from proxy.access.operations import Operations
from proxy.access.rules import AccessRules
from proxy.gateway.guard import Guard
from tests.access.test_messages import message, tool
from tests.gateway.calling import one_caller
from tests.gateway.rig import gateway, get, post
from tests.gateway.test_repair import wants
from tests.gateway.wire import OK, Answer, answering, origin

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"


def rules(*allow: str, read_only: bool = True, deny: tuple[str, ...] = (), base: str = "") -> AccessRules:
    return AccessRules("upstreams.zeebe", Operations.below("zeebe", base), read_only, allow, deny)


READ_ONLY = rules()


def problem(answer: Answer) -> dict[str, Any]:
    assert answer.head.get(b"content-type") == b"application/problem+json"
    return dict(json.loads(answer.body))


async def test_a_read_arrives_as_it_was_sent() -> None:
    for target in ("/v2/groups/%C3%A9t%C3%A9?a=/../%2f;b", "/v2/%70rocess-instances/7", "/v2/users/a%40b:c"):
        async with origin() as site, gateway(site, access=READ_ONLY) as rig:
            wire = await rig.call(get(target))
            served = await site.accept()
            request = await served.message()
            assert request.head.line == b"GET %b HTTP/1.1" % target.encode()
            served.send(OK)
            assert (await wire.message()).status == 200


async def test_a_read_by_post_arrives_with_its_body() -> None:
    async with origin() as site, gateway(site, access=READ_ONLY) as rig:
        wire = await rig.call(post(b'{"filter":{}}', JSON, path="/v2/process-instances/search"))
        served = await site.accept()
        assert (await served.message()).body == b'{"filter":{}}'
        served.send(OK)
        assert (await wire.message()).status == 200


CHANGES = {
    "a change": post(b"{}", JSON, path="/v2/process-instances"),
    "an absolute form": post(b"{}", JSON, path="http://localhost/v2/process-instances"),
    "encoded": post(b"{}", JSON, path="/v2/%70rocess-instances"),
    "another method": get("/v2/clock", method="PUT"),
    "a method in lower case": get("/v2/topology", method="get"),
    "an unknown method": get("/v2/topology", method="PURGE"),
    "OPTIONS": get("/v2/topology", method="OPTIONS"),
    "a form": post(b"_method=DELETE", FORM, path="/v2/users/search"),
    "a form in capitals": post(b"_method=DELETE", FORM.upper(), path="/v2/incidents/search"),
    "a form in parts": post(b"x", "content-type: multipart/form-data; boundary=x", path="/v2/jobs/search"),
    "a second type": post(b"x", JSON, FORM, path="/v2/jobs/search"),
    "a first type": post(b"x", FORM, JSON, path="/v2/jobs/search"),
    "a field": post(b"{}", JSON, "X-HTTP-Method-Override: PUT", path="/v2/users/search"),
    "a field with _": post(b"{}", "x_http_method_override: PUT", JSON, path="/v2/users/search"),
    "another field": get("/v2/topology", "Accept: */*", "X-Original-URL: /v2/clock/reset"),
    "a query": post(b"{}", JSON, path="/v2/users/search?_method=PUT"),
    "a parameter": post(b"{}", JSON, path="/v2/process-instances;a=/search"),
    "MCP by PUT": get("/mcp/cluster", method="PUT"),
    "the end of a session": get("/mcp/cluster", method="DELETE"),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_nothing_else_arrives(what: str) -> None:
    async with origin() as site, gateway(site, access=READ_ONLY) as rig:
        answer = await (await rig.call(CHANGES[what])).message()
        assert answer.status in (400, 403, 405)
        members = problem(answer)
        assert members["type"].rpartition(":")[2] in ("not_permitted", "ambiguous_request")
        assert "upstreams.zeebe" in members["detail"]
        assert site.accepted == 0
        assert rig.notes.all[-1].problem == members["type"].rpartition(":")[2]


async def test_the_connection_goes_on_after_a_refusal() -> None:
    async with origin(answering(OK)) as site, gateway(site, access=READ_ONLY) as rig:
        wire = await rig.call(post(b"{}", JSON, path="/v2/process-instances"))
        assert (await wire.message()).status == 403
        wire.send(get("/v2/topology"))
        assert (await wire.message()).status == 200


async def test_the_end_of_an_mcp_session_is_refused_as_by_a_server_that_has_none() -> None:
    async with origin() as site, gateway(site, access=READ_ONLY) as rig:
        answer = await (await rig.call(get("/mcp/cluster", method="DELETE"))).message()
        assert (answer.status, answer.head.get(b"allow")) == (405, b"GET, POST")


async def test_what_allow_names_arrives_also_as_a_form() -> None:
    access = rules("POST /v2/deployments", "POST /v2/process-instances")
    async with origin(answering(OK)) as site, gateway(site, access=access) as rig:
        for data in (
            post(b"--x", "Content-Type: multipart/form-data; boundary=x", path="/v2/deployments"),
            post(b"{}", JSON, path="/v2/process-instances"),
        ):
            assert (await (await rig.call(data)).message()).status == 200


async def test_answers_of_our_own_to_options_stay_as_they_are() -> None:
    async with origin() as site, gateway(site, access=READ_ONLY, guard=PAGES) as rig:
        for data in (
            get("*", method="OPTIONS"),
            get("/v2/clock", "Max-Forwards: 0", method="OPTIONS"),
            get("/v2/clock", "Origin: http://page", "Access-Control-Request-Method: PUT", method="OPTIONS"),
        ):
            assert (await (await rig.call(data)).message()).status == 204
        assert site.accepted == 0


PAGES = Guard(origins=frozenset((b"http://page",)))


async def test_guard_and_caller_token_are_asked_first() -> None:
    known = Guard(callers=one_caller(b"x" * 16))
    async with origin() as site, gateway(site, access=READ_ONLY, guard=known) as rig:
        assert (await (await rig.call(get("/v2/clock", method="PUT"))).message()).status == 401


# -- MCP --


def call(body: bytes, *lines: str, path: str = "/mcp/cluster") -> bytes:
    return post(body, JSON, *lines, path=path)


def in_pieces(body: bytes, size: int = 7) -> bytes:
    """The same request with its body in chunks."""
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n"
    head = f"POST /mcp/cluster HTTP/1.1\r\nHost: localhost\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + framed


def refused(answer: Answer, number: object = 1) -> str:
    """The sentence of a JSON-RPC error."""
    assert answer.head.get(b"content-type") == b"application/json"
    members = json.loads(answer.body)
    assert (answer.status, members["id"]) == (403, number)
    return str(members["error"]["message"])


@pytest.mark.parametrize("body", [message("initialize", {}), message("tools/list"), tool("searchIncidents")])
async def test_a_message_that_reads_arrives_byte_for_byte(body: bytes) -> None:
    for data in (call(body), in_pieces(body)):
        async with origin() as site, gateway(site, access=READ_ONLY, replay_buffer=0) as rig:
            wire = await rig.call(data)
            served = await site.accept()
            request = await served.message()
            assert (request.head.line, request.body) == (b"POST /mcp/cluster HTTP/1.1", body)
            served.send(OK)
            assert (await wire.message()).status == 200


async def test_nothing_of_a_message_is_sent_before_all_of_it_is_read() -> None:
    body = tool("searchIncidents")
    whole = call(body)
    async with origin() as site, gateway(site, access=READ_ONLY) as rig:
        wire = await rig.call(whole[:-1])
        await rig.until(lambda: rig.tally.received >= len(whole) - 1)
        await rig.clock.settle()
        assert site.accepted == 0
        wire.send(whole[-1:])
        served = await site.accept()
        assert (await served.message()).body == body
        served.send(OK)
        assert (await wire.message()).status == 200


async def test_a_tool_that_changes_something_is_an_error_with_the_id_of_its_message() -> None:
    async with origin() as site, gateway(site, access=READ_ONLY) as rig:
        body = message("tools/call", {"name": "createProcessInstance", "arguments": {}}, id="a-7")
        for data in (call(body), in_pieces(body), call(body, path="/mcp/processes")):
            said = refused(await (await rig.call(data)).message(), "a-7")
            assert "upstreams.zeebe is read-only" in said
        assert site.accepted == 0


@pytest.mark.parametrize(
    "data",
    [
        call(b"[%b]" % message("ping")),
        call(message("ping"), "Content-Encoding: gzip"),
        call(b"\xef\xbb\xbf" + message("ping")),
        call(b"["),
        call(b""),
        in_pieces(message("ping") + tool("resolveIncident")),
        post(message("ping"), "Content-Type: text/plain", path="/mcp/cluster"),
        post(message("ping"), JSON, JSON, path="/mcp/cluster"),
        get("/mcp/cluster", JSON, method="POST"),
    ],
)
async def test_a_message_that_servers_may_read_differently_does_not_arrive(data: bytes) -> None:
    async with origin() as site, gateway(site, access=READ_ONLY) as rig:
        answer = await (await rig.call(data)).message()
        assert answer.status == 403
        assert b"upstreams.zeebe is read-only" in answer.body
        assert site.accepted == 0


async def test_an_oddly_spelled_endpoint_is_no_way_around() -> None:
    async with origin() as site, gateway(site, access=READ_ONLY) as rig:
        for path in (
            "/%6dcp/cluster",
            "/mcp/%63luster",
            "/mcp//cluster",
            "/mcp/cluster;a",
            "/x/../mcp/cluster",
        ):
            answer = await (await rig.call(call(tool("resolveIncident"), path=path))).message()
            assert answer.status in (400, 403), path
        assert site.accepted == 0


async def test_a_base_url_that_leads_to_mcp_is_judged_too() -> None:
    access = rules(base="/mcp")
    async with origin(answering(OK)) as site, gateway(site, access=access, prefix=b"/mcp") as rig:
        answer = await (await rig.call(call(tool("getTopology"), path="/cluster"))).message()
        assert answer.status == 200
        refused(await (await rig.call(call(tool("resolveIncident"), path="/cluster"))).message())


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_message_over_the_limit_is_refused(chunked: bool) -> None:
    body = message("ping", {"a": "b" * LIMIT})
    async with origin() as site, gateway(site, access=READ_ONLY, replay_buffer=0) as rig:
        data = in_pieces(body, 4000) if chunked else call(body)
        said = refused(await (await rig.call(data)).message())
        assert "more than 64 KiB" in said
        assert site.accepted == 0


async def test_a_message_up_to_the_limit_passes() -> None:
    body = message("ping", {"a": ""})
    body = body.replace(b'""', b'"%b"' % (b"b" * (LIMIT - len(body))))
    assert len(body) == LIMIT
    for data in (call(body), in_pieces(body, 4000)):
        async with origin() as site, gateway(site, access=READ_ONLY, replay_buffer=0) as rig:
            wire = await rig.call(data)
            served = await site.accept()
            assert (await served.message()).body == body
            served.send(OK)
            assert (await wire.message()).status == 200


async def test_a_message_that_never_ends_is_not_waited_for_without_end() -> None:
    whole = call(tool("getTopology"))
    async with origin() as site, gateway(site, access=READ_ONLY) as rig:
        wire = await rig.call(whole[:-1])
        await rig.until(lambda: rig.tally.received >= len(whole) - 1)
        await rig.clock.advance(59.0)
        assert not rig.notes.all
        await rig.clock.advance(2.0)
        await rig.clock.advance(3.0)  # the answer waits for the message, to have its id
        answer = await wire.message()
        assert (answer.status, site.accepted) == (408, 0)


async def test_a_caller_that_leaves_before_the_end_of_its_message_leaves_nothing_behind() -> None:
    whole = call(tool("getTopology"))
    async with origin() as site, gateway(site, access=READ_ONLY) as rig:
        wire = await rig.call(whole[:-1])
        await rig.until(lambda: rig.tally.received >= len(whole) - 1)
        wire.cut()
        await rig.until(lambda: bool(rig.notes.all))
        assert (rig.notes.all[0].status, site.accepted) == (499, 0)


async def test_a_client_that_waits_for_100_is_told_not_to() -> None:
    async with origin() as site, gateway(site, access=READ_ONLY) as rig:
        head = call(tool("getTopology"), "Expect: 100-continue").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        answer = await (await rig.call(head)).message()
        assert (answer.status, site.accepted) == (417, 0)


async def test_a_stream_of_events_may_be_opened() -> None:
    async with origin(answering(OK)) as site, gateway(site, access=READ_ONLY) as rig:
        wire = await rig.call(get("/mcp/cluster", "Accept: text/event-stream"))
        assert (await wire.message()).status == 200


async def test_with_allow_no_message_is_read() -> None:
    access = rules("POST /mcp/cluster")
    async with origin(answering(OK)) as site, gateway(site, access=access) as rig:
        assert (await (await rig.call(call(b"[any bytes"))).message()).status == 200
        refused(await (await rig.call(call(tool("x"), path="/mcp/processes"))).message())


async def test_a_message_is_sent_again_after_a_repair() -> None:
    body = tool("getTopology")
    async with origin(lambda wire: wants(wire, 2)) as site, gateway(site, access=READ_ONLY) as rig:
        await rig.clock.advance(2.0)
        assert (await (await rig.call(in_pieces(body))).message()).status == 200
        assert rig.tally.repairs["ok"] == 1
