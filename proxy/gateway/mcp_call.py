"""One request of an MCP client: forwards its answer, and reads its message for an error of our own."""

import asyncio
from copy import copy
from typing import Final

from proxy.clock import Clock, pause
from proxy.gateway.answer_head import AnswerEnd, AnswerFields
from proxy.gateway.call import Call
from proxy.gateway.mcp import MessageId, is_event_stream, message_id, without_challenge
from proxy.gateway.relay import Relay, Source

MESSAGE_WAIT: Final = 2.0
"""Most seconds to wait for the rest of a message to which our own answer is an error."""


class McpRelay(Relay):
    """One answer to an MCP client: a refusal of our credential is always held, and no challenge passes.

    With `type: none` the credential is the client's own, and all passes.
    """

    def begin(self, source: Source, status: int, fields: AnswerFields, end: AnswerEnd, *, more: bool) -> None:
        """Take the final head, as `Relay.begin`. A stream of events may be silent for any time."""
        self.may_hold = self._rewriter.injects
        self.endless = is_event_stream(fields.plain)
        super().begin(source, status, fields, end, more=more)

    def _made_head(self, fields: AnswerFields, end: AnswerEnd) -> bytes:
        if self._rewriter.injects and any(name == b"www-authenticate" for name, _ in fields.notable):
            fields = copy(fields)  # other answers may share it
            fields.notable = without_challenge(fields.notable)
            fields.ready = (b"", None)
        return super()._made_head(fields, end)


async def message_of(call: Call, clock: Clock) -> MessageId | None:
    """Return the id of the JSON-RPC request that a call is; wait for the rest of its body first.

    The upstream's answer, if one is under way, is cancelled. None: it is none, or cannot be read.
    """
    upload, relay = call.upload, call.relay
    if upload is None or call.head.method != b"POST" or (relay is not None and relay.begun):
        return None
    if call.connection is not None and relay is not None:
        call.connection.cancel(relay)
    if not upload.ended and any(name == b"expect" for name, _ in call.head.notable):
        return None  # the client may not send it (RFC 9110 section 10.1.1)
    collected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    upload.collect(collected)
    await pause(clock, MESSAGE_WAIT, collected)
    body = upload.whole
    return None if body is None else message_id(body)
