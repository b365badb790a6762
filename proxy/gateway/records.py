"""The operator's settings for requests to one upstream, and a record of each finished request."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class UpstreamRules:
    """What the operator wrote about one upstream, as far as its requests need it.

    Attributes:
        upstream, credential: names in the configuration.
        wait: seconds a request may wait where there is no usable credential.
        open_paths: paths that pass bare where there is none; one that ends in `/**` means all below it.
        replay_buffer: bytes of a body that are kept so that it can be sent again.
        patience: seconds that a caller may be silent, in its request or while it does not read.
    """

    upstream: str
    credential: str
    wait: float = 10.0
    open_paths: tuple[bytes, ...] = ()
    replay_buffer: int = 4 * 1024 * 1024
    patience: float = 60.0


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request, when it is over; nothing of its query, fields or body.

    Attributes:
        request_id: as X-Request-Id of an answer of ours said.
        status: 499 where the caller went before it was answered.
        received, sent: bytes of its body from, and of its answer to, the caller.
        seconds: from its head to the end of its answer.
        waited: seconds of that for a credential.
        repaired: whether it was sent again with a new credential.
        problem: code of the answer of ours; None where the upstream's passed.
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
    """Who wants to know of each request; called once per request, must not raise."""

    def forwarded(self, details: RequestRecord) -> None: ...
