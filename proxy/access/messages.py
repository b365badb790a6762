"""Pure: decides whether a message of MCP only reads (Model Context Protocol, streamable HTTP).

A POST carries one JSON-RPC 2.0 message. Parsers differ in what they do with a second member of one name, with
names in another case, with another encoding or with very deep nesting. A message that they may read
differently is refused.
"""

import json
import re
from collections.abc import Sequence
from typing import Final, NoReturn

from proxy.access.operations import messages
from proxy.access.rules import AccessRules, Refusal

LIMIT: Final = 64 * 1024
"""Most bytes of a message that reads."""

MAX_DEPTH: Final = 64

_CALL: Final = "tools/call"
_MEMBERS: Final = frozenset(("jsonrpc", "id", "method", "params"))
_OF_CALL: Final = frozenset(("name", "arguments", "_meta"))
# A text that does not end reaches to the end of the body, so that the search takes linear time.
_TEXT: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS: Final = re.compile(rb"[\[\]{}]")
_JSON: Final = re.compile(rb"(?i)application/json[ \t]*(?:;[ \t]*charset=\"?utf-8\"?[ \t]*)?")


class _Odd(ValueError):
    """Parsers may read the message differently, or it is none. The message says why."""


def refuse(
    rules: AccessRules, target: bytes, body: bytes, fields: Sequence[tuple[bytes, bytes]]
) -> Refusal | None:
    """Return why a message may not pass under `read_only`; None: it may.

    Args:
        rules: whose `decide` returned MESSAGE.
        target: of its POST.
        body: all of it.
        fields: of the request's head.
    """
    operation = rules.operations.of(b"POST", target)
    try:
        check_fields(fields)
        name = _name(body)
    except _Odd as error:
        return _refusal(
            rules, f"the message {error}", "Send one JSON-RPC request or notification as plain JSON."
        )
    kind = None if operation is None else messages().get((operation.path, name))
    tool = name.removeprefix(f"{_CALL} ")
    if kind == "reads":
        rule = rules.denies(tool) if tool != name and rules.deny else None
        if rule is None:
            return None
        why = f"{rules.place}.deny names the operation of the tool {tool} (`{rule}`)"
        return Refusal("not_permitted", f"Not permitted: {why}. {_FURTHER}", name)
    if kind is not None:
        return _refusal(rules, f"the tool {tool} changes something", _FURTHER, tool)
    if name.startswith(f"{_CALL} "):
        return _refusal(
            rules, "the proxy does not know this tool, and an unknown one may change something", _FURTHER
        )
    return _refusal(rules, "this method of MCP is none that only reads", _FURTHER)


def too_large(rules: AccessRules) -> Refusal:
    """Return the refusal of a message that has more than LIMIT bytes."""
    return _refusal(rules, f"the message has more than {LIMIT // 1024} KiB", "Send a smaller one.")


_FURTHER: Final = (
    "Tools that read and all listings pass. Do not try this one again; the operator of the proxy decides "
    "about it."
)


def _refusal(rules: AccessRules, why: str, instead: str, tool: str | None = None) -> Refusal:
    return Refusal(
        "not_permitted",
        f"Not permitted: {rules.place} is read-only (read_only: true), and {why}. {instead}",
        f"{_CALL} {tool}" if tool is not None else "mcp",
    )


def check_fields(fields: Sequence[tuple[bytes, bytes]]) -> None:
    """Refuse a message that is not plain JSON in UTF-8.

    Raises:
        _Odd
    """
    types = [value for name, value in fields if name.lower() == b"content-type"]
    if len(types) != 1 or not _JSON.fullmatch(types[0]):
        raise _Odd("must have one Content-Type: application/json, in UTF-8")
    if any(name.lower().replace(b"_", b"-") == b"content-encoding" for name, _ in fields):
        raise _Odd("has a Content-Encoding")


def _name(body: bytes) -> str:
    """Return the method of the one message that a body is; of a tool call `tools/call NAME`.

    Raises:
        _Odd
    """
    message = _parsed(body)
    if not isinstance(message, dict):
        raise _Odd("is no single JSON object; a batch is not read")
    if not _MEMBERS.issuperset(message):
        raise _Odd("has other members than jsonrpc, id, method and params")
    method, number = message.get("method"), message.get("id", 0)
    if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise _Odd("is no request and no notification of JSON-RPC 2.0")
    if isinstance(number, bool) or not isinstance(number, str | int):
        raise _Odd("has an id that is neither a text nor a whole number")
    params = message.get("params", {})
    if not isinstance(params, dict):
        raise _Odd("has params that are no object")
    if " " in method:  # `messages` has the name of a tool behind a blank
        raise _Odd("has a method that is none of MCP")
    decisive = [*message, method]
    if method == _CALL:
        tool = params.get("name")
        if not isinstance(tool, str) or not _OF_CALL.issuperset(params):
            raise _Odd("calls a tool with other params than name, arguments and _meta")
        decisive += (*params, tool)
        method = f"{_CALL} {tool}"
    if not all(b'"%b"' % each.encode("utf-8", "surrogatepass") in body for each in decisive):
        raise _Odd("writes a name with escapes")
    return method


def _parsed(body: bytes) -> object:
    if _depth(body) > MAX_DEPTH:
        raise _Odd(f"is nested more than {MAX_DEPTH} levels deep")
    try:
        text = body.decode("utf-8")
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except _Odd:
        raise
    except (ValueError, RecursionError):
        raise _Odd("is no JSON in UTF-8 (without a byte order mark)") from None


def _depth(body: bytes) -> int:
    """Return the depth of the nesting, or more if the body is no JSON."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_TEXT.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(depth, deepest)
    return deepest


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Odd("has two members of one name in an object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise _Odd(f"holds {name}, which is no JSON")
