"""Logs what happens to upstreams, and the answers of our own."""

import logging

from proxy.admin.recent import Recent
from proxy.admin.status import STATE_WORDS, duration
from proxy.config.model import Basic, Bearer, CredentialConfig, NoCredential, Session
from proxy.gateway.problem_log import ProblemRecord
from proxy.gateway.watch import StateChange
from proxy.outgoing.causes import Cause, CauseName, Peer, cause

log = logging.getLogger("proxy")


class UpstreamLog:
    """An `UpstreamObserver` that writes one line for each event, and notes it for the admin page.

    Args:
        recent: gets what is noted.
    """

    def __init__(self, recent: Recent) -> None:
        self._recent = recent

    def changed(self, change: StateChange) -> None:
        """Log a change of an upstream's state, a reminder of one that lasts, or its end."""
        extra: dict[str, object] = {"upstream": change.upstream, "state": change.state}
        if change.cause:
            extra["cause"] = change.cause
        if change.request_id:
            extra["request_id"] = change.request_id
        if change.muted:
            extra["unlogged"] = change.muted
        name, words = change.upstream, STATE_WORDS[change.state]
        lasted = duration(change.seconds)
        match change.kind:
            case "change":
                log.warning("upstream %s %s: %s", name, words, change.reason, extra=extra)
                self._recent.note(name, change.reason, change.request_id)
            case "doubt":
                log.warning("upstream %s %s, but: %s", name, words, change.reason, extra=extra)
                self._recent.note(name, change.reason, change.request_id)
            case "reminder":
                told = "upstream %s still %s, for %s and %d requests: %s"
                log.warning(told, name, words, lasted, change.requests, change.reason, extra=extra)
            case "over":
                extra |= {"state": "answers", "seconds": round(change.seconds, 3)}
                extra["requests"] = change.requests
                told = "upstream %s answers again after %s (before: %s); %d requests failed meanwhile"
                log.info(told, name, lasted, words, change.requests, extra=extra)
                failed = "1 request" if change.requests == 1 else f"{change.requests} requests"
                said = f"It answers again after {lasted} (before: {words}); {failed} failed meanwhile"
                self._recent.note(name, said, over=True)

    def problem(self, record: ProblemRecord) -> None:
        """Log an answer of our own."""
        told = {
            "upstream": record.upstream,
            "problem": record.code,
            "status": record.status,
            "request_id": record.request_id,
            "caller": record.caller,
            "address": record.address,
            "host": record.host,
            "origin": record.origin,
            "unlogged": record.unlogged,
        }
        extra = {name: value for name, value in told.items() if value}
        log.warning("request not forwarded: %s", record.detail, extra=extra)
        self._recent.note(record.upstream, record.detail, record.request_id, times=1 + record.unlogged)


def refusal(credential: CredentialConfig, audience: str | None) -> Cause:
    """Return what it means if an upstream refuses a credential of this kind, and what to do."""
    section = f"credentials.{credential.name}"
    peer = Peer(credential.name, section=section)
    name: CauseName = "token_refused"
    setting = "token"
    match credential:
        case Bearer():
            name = "shared_token_refused"
            setting = "token_file" if credential.token.file is not None else "token"
        case Basic(as_session=False):
            name = "password_refused"
        case Basic() | Session():
            name = "session_refused"
        case NoCredential():
            name = "none_refused"
    named = f" (`{audience}`)" if audience is not None else ""
    return cause(name, peer, audience=named, credential=f"{section}.{setting}")
