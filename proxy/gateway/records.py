"""The operator's settings for requests to one upstream, and a record of each finished request."""

from dataclasses import dataclass
from typing import Final, Protocol

from proxy.gateway.problem_log import ProblemObserver
from proxy.gateway.watch import WatchObserver
from proxy.outgoing.causes import Cause

REFUSED: Final = Cause("token_refused", "it does not accept the credential")


@dataclass(frozen=True, slots=True)
class UpstreamRules:
    """The operator's settings for requests to one upstream.

    Attributes:
        upstream, credential: names in the configuration.
        wait: seconds that a request may wait if there is no usable credential.
        open_paths: paths that are forwarded bare if there is no credential; `/**` at the end: all below.
        replay_buffer: bytes of a body that are kept so that it can be sent again.
        refused: what it means if the upstream refuses the credential, and what to do.
        patience: seconds that a caller may be silent, in its request or while it does not read.
    """

    upstream: str
    credential: str
    wait: float = 10.0
    open_paths: tuple[bytes, ...] = ()
    replay_buffer: int = 4 * 1024 * 1024
    patience: float = 60.0
    refused: Cause = REFUSED


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One finished request, without its query, fields and body.

    Attributes:
        request_id: X-Request-Id of an answer of our own.
        status: 499 if the caller left before it was answered.
        received: bytes of its body.
        sent: bytes of its answer.
        seconds: from its head to the end of its answer.
        waited: seconds of that, in which it waited for a credential.
        repaired: whether it was sent again with a new credential.
        problem: code of an answer of our own; None: the upstream's was forwarded.
    """

    request_id: str
    upstream: str
    method: str
    path: str
    status: int
    received: int
    sent: int
    seconds: float
    waited: float
    repaired: bool
    problem: str | None


class RequestObserver(Protocol):
    """Gets a record of each finished request. It must not raise."""

    def forwarded(self, details: RequestRecord) -> None: ...


class UpstreamObserver(WatchObserver, ProblemObserver, Protocol):
    """Gets what is worth a line in the log about an upstream and its port."""
