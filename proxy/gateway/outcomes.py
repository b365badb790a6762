"""Tells what became of requests: to the watch of their upstream, and to the log of problems."""

from typing import Final

from proxy.clock import Clock
from proxy.credentials.credential import Credential
from proxy.errors import CredentialError, ProxyError, UpstreamBusy, UpstreamError, UpstreamTimeout
from proxy.gateway.call import Addressed, Call
from proxy.gateway.grammar import Field
from proxy.gateway.problem_log import ProblemLog, ProblemRecord
from proxy.gateway.problems import OwnAnswer
from proxy.gateway.records import UpstreamRules
from proxy.gateway.relay import Relay
from proxy.gateway.watch import UpstreamHealth, UpstreamWatch
from proxy.masking import masked
from proxy.outgoing.answer_causes import speaks_tls
from proxy.outgoing.causes import cause, cleaned

_SLOW: Final = frozenset(("answer_timeout", "body_timeout"))
_AT_THE_DOOR: Final = frozenset(
    ("wrong_host", "cross_site", "not_allowed", "caller_unknown", "caller_expired")
)
"""Codes of the guard. Their lines name who sent the request."""


class Outcomes:
    """Tells what became of the requests of one upstream.

    Attributes:
        watch: of the upstream.
    """

    def __init__(
        self, rules: UpstreamRules, watch: UpstreamWatch, problems: ProblemLog, clock: Clock
    ) -> None:
        self.watch = watch
        self._rules = rules
        self._problems = problems
        self._clock = clock

    def failed(self, call: Call, error: ProxyError, answer: OwnAnswer, refused: int | None) -> None:
        """Note a request that was answered with an error of ours, or whose answer was cut off.

        Args:
            refused: status with which the upstream had refused our credential; None: it had not.
        """
        now = self._clock.now()
        detail, request_id = answer.detail, call.request_id
        told = False
        if isinstance(error, UpstreamError):
            told = self.watch.failed(now, _state(error), error.cause or error.code, detail, request_id)
        elif isinstance(error, CredentialError) and refused is not None:
            told = self.watch.failed(now, "refuses", self._rules.refused.name, detail, request_id)
        if told:
            return
        record = record_of(self._rules.upstream, answer, request_id, call.caller, call.head.notable)
        if call.caller_name:
            record = record._replace(caller=call.caller_name)
        self._problems.note(now, record)

    def refused(self, call: Call, relay: Relay, used: Credential) -> None:
        """Note that the upstream's refusal of our credential was forwarded."""
        why = self._rules.refused
        told = next((_challenge(value) for name, value in relay.refusal if name == b"www-authenticate"), "")
        told = masked(told, used.secrets())
        reason = f"{self.watch.peer}: it answered {relay.status}{told}: {why.words}."
        self.watch.failed(self._clock.now(), "refuses", why.name, reason, call.request_id)

    def answered(self, relay: Relay, *, credential: bool) -> None:
        """Note an answer that is no refusal; call it while `watch.pending`."""
        now, peer = self._clock.now(), self.watch.peer
        if speaks_tls(relay.status, relay.beginning) and not peer.url.startswith("https:"):
            why = cause("plain_to_tls", peer)
            self.watch.failed(now, "unreachable", why.name, f"{peer}: {why.words}.", "")
        else:
            self.watch.answered(now, relay.status, credential=credential)

    def no_request(self, caller: Addressed, answer: OwnAnswer, request_id: str) -> None:
        """Note bytes that are no request and were answered with an error."""
        record = record_of(self._rules.upstream, answer, request_id, caller, [])
        self._problems.note(self._clock.now(), record)


def record_of(
    upstream: str, answer: OwnAnswer, request_id: str, caller: Addressed, notable: list[Field]
) -> ProblemRecord:
    """Make the record of an answer of our own.

    Args:
        upstream: empty: an admin port.
        notable: of the request's head; empty: there is none.
    """
    at_the_door = answer.code in _AT_THE_DOOR
    return ProblemRecord(
        upstream,
        answer.code,
        answer.status,
        answer.detail,
        request_id,
        caller.address,
        _field(notable, b"host") if at_the_door else "",
        _field(notable, b"origin") if at_the_door else "",
    )


def _state(error: UpstreamError) -> UpstreamHealth:
    slow = isinstance(error, UpstreamBusy) or (isinstance(error, UpstreamTimeout) and error.cause in _SLOW)
    return "slow" if slow else "unreachable"


def _field(notable: list[Field], wanted: bytes) -> str:
    return next((cleaned(value.decode("latin-1")) for name, value in notable if name == wanted), "")


def _challenge(challenge: bytes) -> str:
    """Return what a challenge says besides its scheme (RFC 6750 section 3), as ` (error="invalid_token")`."""
    said = cleaned(challenge.partition(b" ")[2].decode("latin-1"))
    return f" ({said})" if said else ""
