"""JSON-RPC messages of MCP clients: an error of ours has the id that the message has, or there is none."""

import json

from proxy.gateway.mcp import error_body, message_id


def messages(octets: bytes) -> None:
    """A body has an id as any other reader of JSON finds it; its error is short and has the same id."""
    found = message_id(octets)
    if found is None:
        return
    members = json.loads(octets)
    assert (members["jsonrpc"], type(members["method"])) == ("2.0", str)
    assert (members["id"], type(members["id"])) == (found, type(found))
    answer = error_body(found, {"detail": "sentence"})
    assert json.loads(answer)["id"] == found
    assert len(answer) < 8192
    assert answer.isascii()
