"""One request of a caller, and the service that answers it."""

from typing import Final, Protocol

from proxy.access.rules import AccessRules
from proxy.errors import RequestRefused
from proxy.gateway.callers import Admission
from proxy.gateway.exchange import Exchange
from proxy.gateway.relay import Caller, Relay, Request
from proxy.gateway.request_head import RequestHead
from proxy.gateway.upload import Upload

MAX_DISCARDED: Final = 1024 * 1024
"""Most bytes of a body that we read and drop after an answer of our own, to keep the connection."""


class Addressed(Protocol):
    """A caller's connection: where it comes from."""

    @property
    def address(self) -> str:
        """Address and port of the caller; empty: a Unix socket, or the caller has gone."""
        ...


class AnswerSink(Caller, Addressed, Protocol):
    """The connection of a call: what its answer needs of it."""

    @property
    def ends(self) -> bool:
        """Whether the connection must end with the present answer, because its port is closing."""
        ...

    @property
    def identities(self) -> tuple[str, ...]:
        """Names in the caller's verified certificate, as `DNS:a.example`; mostly none."""
        ...

    @property
    def paused(self) -> bool:
        """Whether the caller reads too slowly."""
        ...

    def reset(self) -> None:
        """Cut the connection, so that the caller sees that the answer is not whole."""
        ...


class Call(Request):
    """One request of a caller.

    Attributes:
        head: the head as it was received.
        upload: its body; None: it has none.
        caller: the connection that it was received on.
        started: seconds on the Clock.
        ended: seconds on the Clock at which the upstream's answer was complete; 0: it was not.
        cors: CORS header lines for the answer, ready to send; empty: none.
        relay: forwards the upstream's answer; None: no upstream was asked.
        connection: the upstream connection, while the answer is under way.
        status: of the answer; 0: none yet.
        problem, request_id: of an answer of our own.
        sent: bytes of an answer of our own.
        waited: seconds that it waited for a credential.
        repaired: whether it was sent again with a new credential.
        caller_name: of the caller, as in the configuration; empty: it has none, or is not known yet.
        admission: how it was admitted; None: it is not yet, or there are no callers.
        access: the rules of its caller; None: it has none.
        last: whether its connection takes no further request. No other object keeps this.
    """

    relay: Relay | None = None
    connection: Exchange | None = None
    ended = 0.0
    status = 0
    problem: str | None = None
    request_id = ""
    sent = 0
    waited = 0.0
    repaired = False
    caller_name = ""
    admission: Admission | None = None
    access: AccessRules | None = None

    def __init__(self, head: RequestHead, upload: Upload | None, caller: AnswerSink, started: float) -> None:
        super().__init__(head)
        self.upload = upload
        self.caller = caller
        self.started = started

    def keeps_connection(self) -> bool:
        """Decide whether the connection takes another request. Call it when the answer's head is written."""
        if not self.last and self.caller.ends:
            self.last = True
        return not self.last

    @property
    def unread(self) -> bool:
        """Whether the body has not been received to its end."""
        return self.upload is not None and not self.upload.ended

    @property
    def worth_reading(self) -> bool:
        """Whether the rest of the body may be read and dropped after an answer of ours.

        It must be read before the connection can take another request (RFC 9112 section 9.3). That is done
        for a short body of known length only. After `Expect` a caller may leave the body out.
        """
        if self.upload is None or self.upload.ended:
            return True
        length = self.head.length
        if length is None or length - self.upload.size > MAX_DISCARDED:
            return False
        return not any(name == b"expect" for name, _ in self.head.notable)


class Service(Protocol):
    """Answers the calls of a port."""

    async def forward(self, call: Call) -> None:
        """Answer the call by writing to its caller. Then `call.last` says whether the connection ends."""
        ...

    def refuse(self, caller: AnswerSink, error: RequestRefused, raw: bytes) -> None:
        """Answer something that is not a request; `raw` is what was received of it."""
        ...

    def unheard(self, caller: Addressed, error: RequestRefused) -> None:
        """Note a connection that ends before a request, and that cannot be told why."""
        ...

    def received(self, size: int) -> None: ...

    def admits(self, call: Call, *, reloaded: bool = False) -> bool:
        """Whether a running request may go on, because its caller is admitted still.

        Args:
            reloaded: whether the configuration has just changed, and with it perhaps the tokens.
        """
        ...

    @property
    def replay_buffer(self) -> int: ...

    @property
    def patience(self) -> float:
        """Seconds that a caller may be silent before its first request, and while it does not read."""
        ...
