"""Counts each request when it has ended, and reports it to the logs and to the list of recent requests."""

from collections.abc import Callable
from typing import Final

from proxy.gateway.audited import AuditObserver, audit_record
from proxy.gateway.call import Call
from proxy.gateway.callers import outcome_of
from proxy.gateway.records import Hints, RecentRequests, RequestObserver, RequestRecord
from proxy.gateway.tally import METHODS, OTHER, Tally

CALLER_GONE: Final = 499
"""Counted if the caller left before it was answered; never sent."""

_METHODS: Final = {method.encode(): method for method in METHODS}


class Accounts:
    """Counts and reports the requests of one upstream.

    Args:
        now: returns seconds on the Clock.
        new_id: makes a request's id, if the request has none yet.
        named: whether callers are told apart.
        hints, observer, audit, recent: None: not wanted.
    """

    def __init__(
        self,
        upstream: str,
        tally: Tally,
        now: Callable[[], float],
        new_id: Callable[[], str],
        *,
        named: bool,
        hints: Hints | None,
        observer: RequestObserver | None,
        audit: AuditObserver | None,
        recent: RecentRequests | None,
    ) -> None:
        self._upstream = upstream
        self._tally = tally
        self._now = now
        self._new_id = new_id
        self._named = named
        self._hints = hints
        self._observer = observer
        self._audit = audit
        self._listed = None if recent is None else recent.append  # bound once, because each request calls it

    def ended(self, call: Call) -> None:
        """Count a request that has ended, and report it."""
        relay = call.relay
        status = call.status or (relay.status if relay is not None and relay.begun else CALLER_GONE)
        seconds = (call.ended or self._now()) - call.started
        tally = self._tally
        method = _METHODS.get(call.head.method, OTHER)
        kind = (method, status // 100)
        tally.requests[kind] = tally.requests.get(kind, 0) + 1
        tally.request_seconds.observe(seconds)
        if relay is not None:
            tally.sent += relay.sent
        if self._named:
            what = (call.caller_name, outcome_of(call.problem, answered=status != CALLER_GONE))
            tally.callers[what] = tally.callers.get(what, 0) + 1
        if self._audit is not None and self._audit.wants(call):
            call.request_id = call.request_id or self._new_id()
            self._audit.audited(audit_record(call, self._upstream, status, seconds))
        if self._listed is not None:
            head, problem = call.head, call.problem if status >= 400 else None
            self._listed(
                (
                    self._upstream,
                    head.method,
                    head.target,
                    status,
                    call.started,
                    seconds,
                    problem,
                    call.repaired,
                    call.caller_name,
                )
            )
        hint = self._hints.of(status) if status >= 400 and self._hints is not None else None
        if self._observer is not None:
            self._observer.forwarded(self._record(call, method, status, seconds, hint))

    def _record(
        self, call: Call, method: str, status: int, seconds: float, hint: str | None
    ) -> RequestRecord:
        return RequestRecord(
            request_id=call.request_id or self._new_id(),
            upstream=self._upstream,
            method=method,
            path=call.head.target.split(b"?", 1)[0].decode("latin-1"),
            status=status,
            received=call.upload.size if call.upload is not None else 0,
            sent=call.sent + (call.relay.sent if call.relay is not None else 0),
            seconds=seconds,
            waited=call.waited,
            repaired=call.repaired,
            problem=call.problem,
            hint=hint,
            caller=call.caller_name,
        )
