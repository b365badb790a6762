"""Our own answers: problem+json (RFC 9457) and Proxy-Status (RFC 9209); error -> status in one place.

`detail` says who failed, what comes next, which setting helps; never a secret, never the caller's bytes.
"""

import json
import math
import re
from http import HTTPStatus
from typing import Final, NamedTuple

from proxy.errors import (
    CredentialError,
    CredentialRefused,
    CredentialRejected,
    LoginNeeded,
    ProxyError,
    RequestRefused,
    UpstreamClosed,
    UpstreamError,
)
from proxy.gateway.grammar import persistence
from proxy.gateway.mcp import MessageId, error_body
from proxy.outgoing.causes import UPSTREAM, Peer


class Kind(NamedTuple):
    """A row of the table in docs/reference.md, "Answers of our own"."""

    status: int
    title: str
    proxy_status: str


KINDS: Final = {
    "credential_unavailable": Kind(503, "No usable credential", "proxy_configuration_error"),
    "credential_rejected": Kind(502, "Client or password refused", "proxy_configuration_error"),
    "login_needed": Kind(503, "A person has to log in", "proxy_configuration_error"),
    "upstream_unreachable": Kind(502, "Upstream unreachable", "destination_unavailable"),
    "upstream_tls": Kind(502, "No TLS connection to the upstream", "tls_protocol_error"),
    "upstream_timeout": Kind(504, "The upstream took too long", "http_response_timeout"),
    "upstream_protocol": Kind(502, "The upstream's answer makes no sense", "http_protocol_error"),
    "upstream_busy": Kind(503, "All upstream connections are taken", "connection_limit_reached"),
    "bad_request": Kind(400, "Bad request", "http_request_error"),
    "head_too_large": Kind(431, "Request head too large", "http_request_error"),
    "unsupported": Kind(501, "Not supported", "http_request_error"),
    "wrong_host": Kind(421, "Host name not allowed", "http_request_denied"),
    "cross_site": Kind(403, "Web pages may not use this port", "http_request_denied"),
    "not_allowed": Kind(403, "Not allowed", "http_request_denied"),
    "not_permitted": Kind(403, "Not permitted by the access rules", "http_request_denied"),
    "ambiguous_request": Kind(400, "Servers may read the request differently", "http_request_denied"),
    "caller_unknown": Kind(401, "Caller token missing or wrong", "http_request_denied"),
    "caller_expired": Kind(401, "Caller expired", "http_request_denied"),
    "rate_limited": Kind(429, "Too many requests", "http_request_denied"),
    "not_found": Kind(404, "Not found", "http_request_error"),
    "request_timeout": Kind(408, "The request took too long to arrive", "http_request_error"),
    "too_many_callers": Kind(503, "Too many connections", "connection_limit_reached"),
    "loop": Kind(508, "The request came back to us", "proxy_loop_detected"),
    "internal": Kind(500, "A fault of the proxy", "proxy_internal_error"),
}


def own_head(status: int, date: str, *lines: str, keep_alive: bool, minor: int = 1) -> bytes:
    """Make the head of an answer of our own, without the empty line at its end.

    Args:
        date: for Date (RFC 9110 section 6.6.1).
        lines: fields, `Name: value`, in ASCII.
        keep_alive: whether the connection takes another request.
        minor: the caller's HTTP/1 minor version.
    """
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    head = "\r\n".join((first, f"Date: {date}", *lines, "")).encode("ascii")
    return head + persistence(minor, keep_alive=keep_alive)


LOGIN_NOTICED: Final = 2
"""Seconds in the Retry-After while a person has to log in; after a login the proxy needs about so long."""

REFUSED_AGAIN: Final = 5
"""Seconds in the Retry-After after a refusal that no new credential has helped."""

CLOSED: Final = Kind(502, "The upstream closed the connection", "connection_terminated")
"""Title and Proxy-Status of an `upstream_protocol` whose connection ended before the answer did."""


class OwnAnswer(NamedTuple):
    """One answer of our own.

    Attributes:
        code: the last part of `type`; a key of KINDS.
        status: HTTP status.
        detail: one or two sentences.
        retry_after: seconds; None: the answer has no Retry-After.
        allow: the allowed methods, for an answer of 405 (RFC 9110 section 15.5.6).
        kind: for title and Proxy-Status; None: that of the code.
        hint: a command that helps, for machines and people (an extension member); empty: there is none.
    """

    code: str
    status: int
    detail: str
    retry_after: int | None = None
    allow: str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    kind: Kind | None = None
    hint: str = ""

    def encoded(
        self,
        request_id: str,
        date: str,
        *,
        keep_alive: bool,
        minor: int = 1,
        with_body: bool = True,
        to_browser: bool = False,
        cors: bytes = b"",
        message: MessageId | None = None,
    ) -> bytes:
        """Make the whole message.

        Args:
            request_id: for X-Request-Id; the log line repeats it.
            date, keep_alive, minor: as `own_head`.
            with_body: False in an answer to HEAD.
            to_browser: whether the request came from a browser.
            cors: CORS header lines, ready to send.
            message: id of the JSON-RPC request that is answered, with a JSON-RPC error; None: it is none.
        """
        kind = self.kind or KINDS[self.code]
        members: dict[str, object] = {
            "type": f"urn:camunda-auth-proxy:{self.code}",
            "title": kind.title,
            "status": self.status,
            "detail": self.detail,
            "help": f"docs/troubleshooting.md#{self.code}",  # an extension member (RFC 9457 section 3.2)
        }
        members |= {"hint": self.hint} if self.hint else {}
        body = json.dumps(members).encode() if message is None else error_body(message, members)
        lines = [
            f"Content-Type: application/{'problem+json' if message is None else 'json'}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            f"Proxy-Status: camunda-auth-proxy; error={kind.proxy_status}",
            f"X-Request-Id: {request_id}",
            "X-Content-Type-Options: nosniff",
            "Cross-Origin-Resource-Policy: same-origin",
            # After a refused navigation the browser shows this as a page of our own origin, and asks for its
            # /favicon.ico. The policy takes away the origin, and forbids that request.
            "Content-Security-Policy: default-src 'none'; sandbox",
        ]
        if self.retry_after is not None:
            lines.append(f"Retry-After: {self.retry_after}")
        if self.status == HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append(f"Allow: {self.allow}")
        if self.status == HTTPStatus.UNAUTHORIZED:  # our own realm, which tells this 401 from an upstream's
            lines.append('WWW-Authenticate: Bearer realm="camunda-auth-proxy"')
            if not to_browser:  # a browser would open a dialogue
                lines.append('WWW-Authenticate: Basic realm="camunda-auth-proxy", charset="UTF-8"')
        head = own_head(self.status, date, *lines, keep_alive=keep_alive, minor=minor) + cors + b"\r\n"
        return head + body if with_body else head


def answer_to(
    error: ProxyError, peer: Peer = UPSTREAM, credential: str = "", *, refused: int | None = None
) -> OwnAnswer:
    """Make the answer for an error.

    Args:
        error: what was raised.
        peer: the upstream, as messages name it.
        credential: its name in the configuration.
        refused: status with which the upstream had refused the credential in use; None: it had not.
    """
    upstream = peer.name
    if isinstance(error, RequestRefused):
        later = 1 if error.code == "too_many_callers" else error.retry_after
        answer = OwnAnswer(error.code, error.status or KINDS[error.code].status, error.detail, later)
        # the only 405 of this code: the end of an MCP session
        return answer._replace(allow="GET, POST") if error.code == "not_permitted" else answer
    if isinstance(error, LoginNeeded):
        so_far = "Nothing is sent to" if refused is None else "Nothing more can be had from"
        return OwnAnswer(
            "login_needed",
            503,
            f"{_refusal(upstream, refused)}{_sentence(error)} {so_far} {upstream} until then; the proxy"
            " notices a login by itself.",
            retry_after=LOGIN_NOTICED,
            hint=error.command,
        )
    if isinstance(error, CredentialRejected):
        so_far = "Nothing is sent to" if refused is None else "Nothing more can be had from"
        return OwnAnswer(
            "credential_rejected",
            502,
            f"{_refusal(upstream, refused)}{_sentence(error)} {so_far} {upstream} until "
            f"credentials.{credential} is right; a changed secret file is noticed by itself.",
        )
    if isinstance(error, CredentialRefused):
        detail = (
            f"{upstream} refuses the credential that it is sent ({refused}), and {error}. Look at the "
            f"audience and the rights of credentials.{credential}; a later request gets another credential."
        )
        return OwnAnswer("credential_unavailable", 503, detail, REFUSED_AGAIN)
    if isinstance(error, CredentialError):
        wait = 1 if error.retry_after is None else max(1, math.ceil(error.retry_after))
        so_far = f"Without a credential nothing is sent to {upstream}; " if refused is None else ""
        hopeless = ", but waiting alone will hardly help" if error.outcome == "invalid" else ""
        return OwnAnswer(
            "credential_unavailable",
            503,
            f"{_refusal(upstream, refused)}{_sentence(error)} {so_far}"
            f"credentials.{credential} is tried again by itself{hopeless}.",
            retry_after=wait,
        )
    if isinstance(error, UpstreamError):
        retry_after = 1 if error.code == "upstream_busy" else None
        closed = isinstance(error, UpstreamClosed) and error.code == UpstreamClosed.code
        kind = CLOSED if closed else None
        status = KINDS[error.code].status
        return OwnAnswer(error.code, status, f"{peer}: {error}", retry_after, kind=kind)
    return OwnAnswer("internal", 500, "The proxy failed; its log has the reason.")


def _refusal(upstream: str, status: int | None) -> str:
    if status is None:
        return ""
    return f"{upstream} refused the credential it was sent ({status}), and no new one can be had: "


def _sentence(error: CredentialError) -> str:
    text = error.detail
    return text[:1].upper() + text[1:].rstrip(".") + "."


# What a client that speaks HTTP/2 without asking sends first: the preface, then a SETTINGS frame (RFC 9113
# section 3.4).
HTTP2: Final = re.compile(rb"PRI \* HTTP/2\.0\r\n\r\nSM\r\n\r\n[\x00-\xff]{3}\x04")
# An empty SETTINGS frame, then GOAWAY: last stream 0, HTTP_1_1_REQUIRED (RFC 9113 sections 6.5, 6.8 and 7).
GO_AWAY: Final = bytes((0, 0, 0, 4, *bytes(5), 0, 0, 8, 7, *bytes(5), *bytes(4), 0, 0, 0, 13))
