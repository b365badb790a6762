"""Messages of MCP: what reads passes, and what parsers may read differently does not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access.messages import LIMIT, MAX_DEPTH, refuse
from proxy.access.operations import Operations, messages
from proxy.access.rules import AccessRules

RULES = AccessRules("upstreams.x", Operations.below("zeebe", ""), read_only=True)
JSON = [(b"Content-Type", b"application/json")]


def reason(
    body: bytes, fields: list[tuple[bytes, bytes]] = JSON, path: bytes = b"/mcp/cluster"
) -> str | None:
    refusal = refuse(RULES, path, body, fields)
    return None if refusal is None else refusal.detail


def message(method: str, params: object = None, **more: Any) -> bytes:
    members = {"jsonrpc": "2.0", "id": 1, "method": method, **more}
    return json.dumps(members if params is None else {**members, "params": params}).encode()


def tool(name: str, **more: Any) -> bytes:
    return message("tools/call", {"name": name, "arguments": {}, **more})


READING = ("getTopology", "searchIncidents", "getProcessInstance", "searchUserTaskVariables")
CHANGING = ("resolveIncident", "createProcessInstance", "completeUserTask", "assignUserTask")


@pytest.mark.parametrize("path", [b"/mcp/cluster", b"/mcp/processes", b"/mcp/cluster?a=b"])
def test_listings_and_the_beginning_pass(path: bytes) -> None:
    for method in (
        *("initialize", "ping", "tools/list", "resources/list", "resources/templates/list"),
        *("resources/read", "prompts/list", "prompts/get", "notifications/initialized"),
    ):
        assert reason(message(method), path=path) is None, method
        assert reason(message(method, {"a": {"b": [1, {}]}}), path=path) is None, method
    assert reason(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}') is None
    assert reason(b' \n{"method" : "ping", "id":"a", "jsonrpc":"2.0"}\r\n') is None


def test_tools_that_read_pass() -> None:
    for name in READING:
        assert reason(tool(name)) is None, name
        assert reason(tool(name, _meta={"progressToken": 1})) is None, name
    arguments = {
        "filter": {"v\u00e4lue": ["\u00e4", 1.5, None, True, '"method":"x"'], "name": "resolveIncident"}
    }
    assert reason(message("tools/call", {"name": "searchVariables", "arguments": arguments})) is None


def test_tools_that_change_something_do_not() -> None:
    for name in CHANGING:
        said = reason(tool(name))
        assert said is not None
        assert f"the tool {name} changes something" in said
        assert "upstreams.x is read-only" in said
        assert reason(tool(name), path=b"/mcp/processes") is not None


def test_deny_refuses_the_tool_of_an_operation_too() -> None:
    known = Operations.below("zeebe", "")
    deny = ("* /v2/variables/**", "GET /v2/process-instances/4711")
    those = AccessRules("upstreams.x", known, read_only=True, deny=deny)
    for name, rule in (
        ("searchVariables", deny[0]),
        ("getVariable", deny[0]),
        ("getProcessInstance", deny[1]),
    ):
        refusal = refuse(those, b"/mcp/cluster", tool(name), JSON)
        assert refusal is not None
        assert f"upstreams.x.deny names the operation of the tool {name} (`{rule}`)" in refusal.detail
    for name in ("getTopology", "searchIncidents", "searchProcessInstances"):
        assert refuse(those, b"/mcp/cluster", tool(name), JSON) is None


def test_an_unknown_tool_may_change_something() -> None:
    for name in (
        "canary",
        "",
        "getTopology ",
        "GetTopology",
        "searchincidents",
        "getTopology\0",
        "tools/list",
    ):
        said = reason(tool(name))
        assert said is not None
        assert "canary" not in said
    assert (
        reason(tool("getTopology"), path=b"/mcp/processes") is not None
    )  # there a process may have the name


def test_an_unknown_method_may_change_something() -> None:
    for method in (
        "logging/setLevel",
        "tools/call",
        "tools/Call",
        "completion/complete",
        "x",
        "",
        "Ping",
        "*",
    ):
        assert reason(message(method)) is not None, method
    assert reason(message("tools/call getTopology")) is not None
    assert reason(message("tools/call *", {"name": "x"})) is not None


ODD = {
    "a batch": b"[%b]" % message("ping"),
    "an empty batch": b"[]",
    "an answer": b'{"jsonrpc":"2.0","id":1,"result":{}}',
    "no JSON": b"ping",
    "nothing": b"",
    "a text": b'"ping"',
    "a second message": message("ping") + tool("resolveIncident"),
    "a second message on a line": message("ping") + b"\n" + tool("resolveIncident"),
    "a NUL behind": message("ping") + b"\0",
    "two methods": b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"x"}',
    "two methods, one escaped": b'{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"x"}',
    "two params": tool("getTopology")[:-1] + b',"params":{}}',
    "two names": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"getTopology"}}',
    "two of a name deep down": message("ping").replace(b'"id"', b'"params":{"a":[{"b":1,"b":2}]},"id"'),
    "a method in another case": b'{"jsonrpc":"2.0","id":1,"method":"ping","Method":"x"}',
    "a name in another case": tool("getTopology", Name="x"),
    "an escaped method": b'{"jsonrpc":"2.0","id":1,"method":"p\\u0069ng"}',
    "an escaped member": b'{"jsonrpc":"2.0","id":1,"m\\u0065thod":"ping"}',
    "an escaped tool": tool("getTopology").replace(b"getTopology", b"get\\u0054opology"),
    "other members": message("ping", extra=1),
    "other params": tool("getTopology", task={"ttl": 1}),
    "another version": message("ping").replace(b"2.0", b"1.0"),
    "no version": b'{"id":1,"method":"ping"}',
    "no method": b'{"jsonrpc":"2.0","id":1}',
    "a method that is none": b'{"jsonrpc":"2.0","id":1,"method":["ping"]}',
    "a tool that is none": message("tools/call", {"name": ["getTopology"]}),
    "params as a list": message("ping", []),
    "params as null": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}',
    "an id that is null": b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
    "an id that is true": b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
    "an id that is a fraction": b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
    "a number of thousands of digits": b'{"jsonrpc":"2.0","id":%b,"method":"ping"}' % (b"9" * 5000),
    "NaN": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}',
    "Infinity": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":-Infinity}}',
    "a byte order mark": b"\xef\xbb\xbf" + message("ping"),
    "UTF-16": message("ping").decode().encode("utf-16"),
    "UTF-16 without a mark": message("ping").decode().encode("utf-16-le"),
    "UTF-32": message("ping").decode().encode("utf-32"),
    "UTF-7": b'+AHs-"jsonrpc":"2.0","id":1,"method":"ping"}',
    "no UTF-8": message("ping", {"a": "b"}).replace(b'"b"', b'"\xff"'),
    "overlong UTF-8": message("ping").replace(b"ping", b"pin\xc1\xa7"),
    "a surrogate": message("ping", {"a": "b"}).replace(b'"b"', b'"\xed\xa0\x80"'),
    "a control character": message("ping", {"a": "b"}).replace(b'"b"', b'"\n"'),
    "a comment": b"/* x */" + message("ping"),
    "a comma too many": message("ping").replace(b"}", b",}"),
    "single quotes": message("ping").replace(b'"', b"'"),
    "too many brackets": b"[" * 100_000,
    "too many braces": b'{"a":' * 10_000,
    "too deep": message("ping", {"a": 1}).replace(b"1}", b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}"),
    "a text without an end": b'"' + b'\\"' * 30_000 + b"[" * 100,
}


@pytest.mark.parametrize("what", ODD)
def test_what_parsers_may_read_differently_is_refused(what: str) -> None:
    said = reason(ODD[what])
    assert said is not None
    assert said.startswith("Not permitted: upstreams.x is read-only")


def test_nesting_up_to_the_limit_passes() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH - 2):
        deep = [deep]
    assert reason(message("ping", {"a": deep, "b": []})) is None
    assert reason(message("ping", {"a": [{}] * 1000})) is None
    assert reason(message("ping", {"a": ["[[["] * 100})) is None


@pytest.mark.parametrize(
    "fields",
    [
        *([], [(b"Content-Type", b"text/plain")], [*JSON, *JSON], [(b"Content-Type", b"")]),
        [(b"Content-Type", b"application/json; charset=utf-16")],
        [(b"Content-Type", b"application/json; charset=UTF-8; charset=UTF-16")],
        [(b"Content-Type", b"application/x-www-form-urlencoded")],
        [*JSON, (b"Content-Encoding", b"gzip")],
        [*JSON, (b"content-encoding", b"identity")],
        [*JSON, (b"Content_Encoding", b"gzip")],
    ],
)
def test_fields_that_change_how_a_message_is_read_are_refused(fields: list[tuple[bytes, bytes]]) -> None:
    assert reason(message("ping"), fields) is not None


@pytest.mark.parametrize(
    "value",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json; charset=utf-8",
        b'application/json;charset="UTF-8"',
    ],
)
def test_plain_json_is_read(value: bytes) -> None:
    assert reason(message("ping"), [(b"content-type", value)]) is None


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["ping", "2.0"])
NAMES = st.sampled_from(["jsonrpc", "method", "id", "params", "name", "a"])
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner))


@given(st.binary(max_size=200) | VALUES.map(lambda each: json.dumps(each).encode()))
def test_any_body_is_decided(body: bytes) -> None:
    assert len(body) <= LIMIT
    if reason(body) is None:
        assert json.loads(body)["method"] in {
            name for (_, name), kind in messages().items() if kind == "reads"
        }
