"""The operator's settings for requests to one upstream, and a record of each finished request."""

import logging
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from proxy.access.rules import AccessRules
from proxy.gateway.problem_log import ProblemObserver
from proxy.gateway.watch import WatchObserver
from proxy.outgoing.causes import Cause

REFUSED: Final = Cause("token_refused", "it does not accept the credential")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Removed:
    """What a newer version of the upstream has removed.

    Attributes:
        statuses: of answers that may mean it.
        sentence: what is gone, and what to use instead; without a full stop.
    """

    statuses: frozenset[int]
    sentence: str


class Hints:
    """Says what answers may mean if the upstream is a newer one, and logs it the first time."""

    def __init__(self, upstream: str, removed: Removed) -> None:
        self._upstream = upstream
        self._removed = removed
        self._told = False

    def of(self, status: int) -> str | None:
        """Return what an answer with that status may mean; None: nothing is known."""
        if status not in self._removed.statuses:
            return None
        if not self._told:
            self._told = True
            log.warning("%s answered a request with %d: %s", self._upstream, status, self._removed.sentence)
        return self._removed.sentence


@dataclass(frozen=True, slots=True)
class UpstreamRules:
    """The operator's settings for requests to one upstream.

    Attributes:
        upstream, credential: names in the configuration.
        wait: seconds that a request may wait if there is no usable credential.
        open_paths: paths that are forwarded bare if there is no credential; `/**` at the end: all below.
        replay_buffer: bytes of a body that are kept so that it can be sent again.
        access: which requests may pass; None: all.
        refused: what it means if the upstream refuses the credential, and what to do.
        patience: seconds that a caller may be silent, in its request or while it does not read.
        removed: what a newer version of the upstream has removed; None: nothing is known.
    """

    upstream: str
    credential: str
    wait: float = 10.0
    open_paths: tuple[bytes, ...] = ()
    replay_buffer: int = 4 * 1024 * 1024
    patience: float = 60.0
    removed: Removed | None = None
    refused: Cause = REFUSED
    access: AccessRules | None = None


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
        hint: what the answer may mean, and what to use instead; None: nothing is known.
        caller: name of the caller; empty: it has none.
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
    hint: str | None = None
    caller: str = ""


RecentRequest = tuple[str, bytes, bytes, int, float, float, str | None, bool, str]
"""A finished request for the list of the admin page: upstream, method, target, status, start in seconds on
the Clock, seconds, problem, repaired, name of the caller (empty: not known); see `RequestRecord`. It is a
plain tuple of what the request has anyway, because every request makes one. A target has at most
`request_head.MAX_LINE` bytes."""

RecentRequests = deque[RecentRequest]


class RequestObserver(Protocol):
    """Gets a record of each finished request. It must not raise."""

    def forwarded(self, details: RequestRecord) -> None: ...


class UpstreamObserver(WatchObserver, ProblemObserver, Protocol):
    """Gets what is worth a line in the log about an upstream and its port."""
