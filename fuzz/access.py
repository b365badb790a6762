"""Access rules: what a server may take for a change never passes as a read."""

import json
import re
from random import Random
from typing import Final
from urllib.parse import unquote
from zlib import crc32

from fuzz.pieces import untold
from proxy.access.messages import refuse
from proxy.access.operations import Operations, messages, operations
from proxy.access.pattern import Pattern, WrongRule
from proxy.access.rules import AccessRules
from proxy.access.spelling import segments
from proxy.demo.tomcat import read_path

OPERATIONS: Final = Operations("zeebe")
READ_ONLY: Final = AccessRules("upstreams.x", OPERATIONS, read_only=True)
DENY: Final = AccessRules("upstreams.x", OPERATIONS, deny=("POST /v2/process-instances", "* /v2/users/**"))
CHANGES: Final = [each for each in operations("zeebe") if each.kind != "reads"]
METHODS: Final = (b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD")
JSON: Final = [(b"Content-Type", b"application/json")]
READING: Final = {name for (path, name), kind in messages().items() if kind == "reads" and "cluster" in path}


def access(data: bytes) -> None:
    """Judge the input as a path, as a message, and as a rule; then a change in a spelling that it chooses."""
    target = b"/" + bytes(data)
    for method in METHODS:
        _judged(method, target)
    _message(bytes(data))
    _rule(data.decode("latin-1"))
    _spelled(data)


def _judged(method: bytes, target: bytes) -> None:
    """If it passes, servers agree what it is, and it reads."""
    refusal = READ_ONLY.decide(method, target)
    if refusal is not None and refusal.operation != "mcp":
        untold(refusal)
        return
    path = target.partition(b"?")[0]
    seen = read_path(path.decode("latin-1"))
    assert seen is not None, target
    assert seen == unquote(path.decode("latin-1"), errors="strict"), target
    operation = OPERATIONS.of(method, seen.encode() if seen.isascii() and "%" not in seen else path)
    assert operation is not None, target
    assert operation.kind == "reads", target


def _message(body: bytes) -> None:
    """If it passes, all parsers agree what it is."""
    if refuse(READ_ONLY, b"/mcp/cluster", body, JSON) is not None:
        return
    first = json.loads(body, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    last = json.loads(body.decode())
    for seen in (first, last):
        method = seen["method"]
        assert (f"tools/call {seen['params']['name']}" if method == "tools/call" else method) in READING, body


def _rule(text: str) -> None:
    """A rule that can be read covers itself, and matches a request that is written as it is."""
    try:
        rule = Pattern.read(text)
    except WrongRule as error:
        untold(error)
        return
    assert rule.covers(rule)
    plain = re.fullmatch(r"([A-Z]+) ((?:/[a-z0-9]+)+)", text)
    if plain is not None:
        allowed = AccessRules("x", Operations("other"), allow=(text,))
        denied = AccessRules("x", Operations("other"), deny=(text,))
        assert allowed.decide(plain[1].encode(), plain[2].encode()) is None
        assert denied.decide(plain[1].encode(), plain[2].encode()) is not None


def _spelled(data: bytes) -> None:
    chance = Random(crc32(data))
    change = chance.choice(CHANGES)
    path = "".join(_letter(each, chance) for each in re.sub(r"\{\w+\}", "search", change.path))
    path += chance.choice(("", "/", ";a=/search", "/..", "?x=/search", "%2f..", "/search/..", "%00/search"))
    refusal = READ_ONLY.decide(change.method.encode(), path.encode())
    if refusal is None:  # what is behind it makes it another operation, which reads
        found = OPERATIONS.of(change.method.encode(), path.encode())
        assert found is not None
        assert found.kind == "reads"
        assert "/search" in path
    start = "".join(_letter(each, chance) for each in "/v2/process-instances")
    assert DENY.decide(b"POST", start.encode()) is not None
    assert segments(b"/v2") == ("v2",)


def _letter(letter: str, chance: Random) -> str:
    match chance.randrange(5):
        case 0:
            return f"%{ord(letter):02x}"
        case 1 if letter != "/":
            return letter.upper()
        case _:
            return letter
