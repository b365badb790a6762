"""Pure: what MCP clients need (Model Context Protocol, streamable HTTP; Camunda 8.9 and 8.10).

On a 401 with a challenge an MCP client begins an OAuth discovery of its own, finds an identity provider that
it cannot use, and gives the server up. So on these paths no challenge is forwarded, and the proxy has no
metadata of a protected resource (RFC 9728).
"""

import json
import re
from typing import Final

from proxy.gateway.grammar import Field

MessageId = str | int
"""Id of a JSON-RPC request (MCP: "MUST be a string or integer", never null)."""

_PATH: Final = re.compile(rb"(?:/physical-tenants/[^/?]+)?/mcp(?:[/?]|$)")
_BASE: Final = re.compile(rb"/mcp(?:/|$)")
_METADATA: Final = re.compile(rb"[^?]*/\.well-known/oauth-protected-resource(?:[/?]|$)")
_EVENTS: Final = re.compile(rb"content-type:[ \t]*text/event-stream[ \t]*(?:;|\r)", re.IGNORECASE)
_LONGEST_ID: Final = 256
_INTERNAL_ERROR: Final = -32603  # JSON-RPC 2.0 section 5.1


def is_mcp(target: bytes) -> bool:
    """Tell whether a request's target is an MCP endpoint of Camunda, or below one."""
    return _PATH.match(target) is not None


def is_mcp_base(path: bytes) -> bool:
    """Tell whether the path of a base URL is an MCP endpoint, so that every request below it is MCP's."""
    return _BASE.search(path) is not None


def is_metadata(target: bytes) -> bool:
    """Tell whether a target asks for the metadata of a protected resource (RFC 9728 section 3)."""
    return _METADATA.match(target) is not None


def is_event_stream(plain: list[bytes]) -> bool:
    """Tell whether an answer is a stream of events (text/event-stream), which may be silent for any time.

    Args:
        plain: its fields, as lines.
    """
    return any(_EVENTS.match(line) for line in plain)


def without_challenge(notable: list[Field]) -> list[Field]:
    """Return the notable fields of an answer without WWW-Authenticate."""
    return [each for each in notable if each[0] != b"www-authenticate"]


def message_id(body: bytes) -> MessageId | None:
    """Return the id of the one JSON-RPC request that a body is.

    None: it is a notification, an answer, a batch, or something else.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return None
    found = message.get("id")
    if not isinstance(message.get("method"), str) or isinstance(found, bool):
        return None
    if isinstance(found, int) or (isinstance(found, str) and len(found) <= _LONGEST_ID):
        return found
    return None


def error_body(request: MessageId, problem: dict[str, object]) -> bytes:
    """Make a JSON-RPC error (JSON-RPC 2.0 section 5) of the members of a problem+json.

    MCP's Python SDK shows its message; of a problem+json it shows nothing.
    """
    error = {"code": _INTERNAL_ERROR, "message": problem["detail"], "data": problem}
    return json.dumps({"jsonrpc": "2.0", "id": request, "error": error}).encode()
