"""Writes the proxy's own answers to one upstream's callers."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from proxy.clock import Clock, http_date
from proxy.errors import ProxyError, RequestRefused
from proxy.gateway.call import Addressed, AnswerSink, Call
from proxy.gateway.guard import Guard
from proxy.gateway.mcp import MessageId
from proxy.gateway.mcp_call import message_of
from proxy.gateway.outcomes import Outcomes
from proxy.gateway.problems import REFUSED_AGAIN, OwnAnswer, answer_to, own_head
from proxy.gateway.tally import Tally
from proxy.outgoing.causes import Peer

_LAST: Final = frozenset(("bad_request", "unsupported", "request_timeout"))  # after these the connection ends


class OwnAnswers:
    """Writes and counts the proxy's own answers.

    Args:
        peer, credential: for the sentences of the answers.
        new_id: makes the id of an answer.
    """

    def __init__(
        self,
        peer: Peer,
        credential: str,
        guard: Guard,
        tally: Tally,
        outcomes: Outcomes,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._peer = peer
        self._credential = credential
        self._guard = guard
        self._tally = tally
        self._outcomes = outcomes
        self._clock = clock
        self._new_id = new_id

    async def fail(self, call: Call, error: ProxyError, *, mcp: bool) -> None:
        """Answer a request that was not forwarded, or cut the answer that has begun.

        Args:
            mcp: whether an MCP client reads the answer.
        """
        refused = call.relay.status if call.relay is not None and call.relay.held else None
        answer = answer_to(error, self._peer, self._credential, refused=refused)
        if mcp:
            await self._fail_mcp(call, answer)
        else:
            self._write(call, answer)
        self._outcomes.failed(call, error, answer, refused)

    def fault(self, call: Call) -> None:
        """Answer a request in which a fault of ours has happened."""
        self._write(call, answer_to(ProxyError(), self._peer, self._credential))

    def no_content(self, call: Call, fields: bytes) -> bool:
        """Answer with 204 and these lines of fields; return True."""
        call.status = HTTPStatus.NO_CONTENT
        keeps = _keeps(call)
        head = own_head(call.status, http_date(), keep_alive=keeps, minor=call.head.minor)
        self._say(call, head + fields + b"\r\n")
        return True

    def refuse(self, caller: AnswerSink, error: RequestRefused, raw: bytes) -> None:
        """Answer something that is not a request. The connection ends after it."""
        answer = answer_to(error, self._peer, self._credential)
        self._tally.problems[answer.code] += 1
        request_id = self._new_id()
        data = answer.encoded(request_id, http_date(), keep_alive=False, cors=self._guard.cors_of(raw))
        self._outcomes.no_request(caller, answer, request_id)
        self._tally.sent += len(data)
        caller.write(data)

    def unheard(self, caller: Addressed, error: RequestRefused) -> None:
        """Note a connection whose TLS handshake has failed."""
        self._tally.problems[error.code] += 1
        answer = answer_to(error, self._peer, self._credential)
        self._outcomes.no_request(caller, answer, self._new_id())

    async def _fail_mcp(self, call: Call, answer: OwnAnswer) -> None:
        """Write our own answer as MCP clients understand it."""
        if call.relay is not None and call.relay.held and answer.status == HTTPStatus.BAD_GATEWAY:
            answer = answer._replace(status=HTTPStatus.SERVICE_UNAVAILABLE, retry_after=REFUSED_AGAIN)
        if answer.status == HTTPStatus.UNAUTHORIZED:  # of the caller token; it would begin an OAuth discovery
            answer = answer._replace(status=HTTPStatus.FORBIDDEN)
        self._write(call, answer, await message_of(call, self._clock))

    def _write(self, call: Call, answer: OwnAnswer, message: MessageId | None = None) -> None:
        """Write our own answer. If the upstream's has begun, cut the connection, so that it looks cut."""
        if call.relay is not None and call.relay.begun:
            call.status = call.relay.status
            call.last = True
            call.caller.reset()
            return
        call.status = answer.status
        call.problem = answer.code
        call.request_id = self._new_id()
        call.last = call.last or answer.code in _LAST
        self._tally.problems[answer.code] += 1
        data = answer.encoded(
            call.request_id,
            http_date(),
            keep_alive=_keeps(call),
            minor=call.head.minor,
            with_body=call.head.method != b"HEAD",
            to_browser=any(name in (b"origin", b"sec-fetch-site") for name, _ in call.head.notable),
            cors=call.cors,
            message=message,
        )
        self._say(call, data)

    def _say(self, call: Call, data: bytes) -> None:
        call.sent = len(data)
        self._tally.sent += len(data)
        call.caller.write(data)


def _keeps(call: Call) -> bool:
    call.last = call.last or not call.worth_reading
    return call.keeps_connection()
