"""Defines every error that is raised on purpose.

ProxyError
├── ConfigError             the configuration cannot be used; names every problem (exit code 2)
├── StartError              something else must change first, such as a taken port (exit code 2)
├── CredentialError         there is no credential
│   ├── CredentialUnavailable   the token endpoint is down, slow, limits us or answers wrongly; try again
│   ├── CredentialRefused       the upstream refuses the one that we have, and no new one helps
│   └── CredentialRejected      the token endpoint or the login refused our client or password
│       └── LoginNeeded             no person is logged in, or the login has ended
├── RepairDeclined          a refused request is not sent again; the caller gets the upstream's refusal
├── RequestRefused          the proxy itself answers the caller's request
└── UpstreamError           the upstream gave no answer, or none that can be understood
    ├── UpstreamUnreachable     DNS, connection refused
    ├── UpstreamTLS             handshake, certificate
    ├── UpstreamTimeout         connecting, or the response head, took too long
    ├── UpstreamProtocol        the answer is no HTTP, or the connection ended too early
    └── UpstreamBusy            every connection was in use for too long

Messages never hold a secret, the body of a token answer or bytes of the caller's request.
"""

from dataclasses import dataclass
from typing import Literal

FetchOutcome = Literal["ok", "same", "rejected", "login_needed", "limited", "unavailable", "invalid"]


class ProxyError(Exception):
    """Base of all errors that are raised on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration.

    Attributes:
        path: of the key, as `credentials.saas.client_secret`; empty for all of the file.
        message: says in one sentence what is wrong and what to do.
        line: line in the file, from 1; None if the value did not come from a file.
    """

    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        line = f"line {self.line}" if self.line is not None else ""
        where = f"{self.path} ({line})" if self.path and line else self.path or line
        return f"{where}: {self.message}" if where else self.message


class ConfigError(ProxyError):
    """The configuration cannot be used.

    Attributes:
        problems: everything that is wrong with it.
        origin: where it came from, in words; empty: it was not found.
    """

    def __init__(self, *problems: Problem, origin: str = "") -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
        self.origin = origin


class StartError(ProxyError):
    """The proxy cannot start, although the configuration is right. The message says what must change."""


class CredentialError(ProxyError):
    """There is no credential.

    Attributes:
        outcome: label of the fetch in the metrics.
        retry_after: seconds until another attempt may succeed; None: not known.
        detail: the message for callers: without words of a server that are meant for its client alone.
    """

    outcome: FetchOutcome = "unavailable"

    def __init__(self, message: str, *, retry_after: float | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.detail = detail or message


class CredentialUnavailable(CredentialError):
    """There is no credential now, but another attempt may succeed.

    `outcome` is `limited` (429), `unavailable` (no answer, 5xx) or `invalid` (the answer makes no sense).

    Attributes:
        unsent: whether it is certain that the request did not reach the server.
    """

    outcome: Literal["limited", "unavailable", "invalid"]

    def __init__(
        self,
        message: str,
        *,
        outcome: Literal["limited", "unavailable", "invalid"] = "unavailable",
        retry_after: float | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message, retry_after=retry_after, detail=detail)
        self.outcome = outcome
        self.unsent = False


class CredentialRefused(CredentialError):
    """The upstream refuses the credential that we have, and it could not be replaced by one that helps.

    The message continues the sentence "the upstream refuses the credential, and ...".
    """


class CredentialRejected(CredentialError):
    """There is no credential until an operator changes the client, its secret or its rights."""

    outcome: FetchOutcome = "rejected"


class LoginNeeded(CredentialRejected):
    """There is no credential until a person logs in.

    Attributes:
        command: what the person runs.
    """

    outcome = "login_needed"

    def __init__(
        self, message: str, command: str, *, retry_after: float | None = None, detail: str = ""
    ) -> None:
        super().__init__(message, retry_after=retry_after, detail=detail)
        self.command = command


class RepairDeclined(ProxyError):
    """The request is not sent again, so the caller gets the upstream's refusal.

    Attributes:
        outcome: the reason, as label of `repairs_total`.
    """

    def __init__(self, outcome: Literal["too_soon", "same_credential"]) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class RequestRefused(ProxyError):
    """The proxy itself answers the caller's request, as the table in `problems.py` says.

    Attributes:
        code: key of that table, such as `bad_request`.
        status: HTTP status, if it is not the usual one of the code.
        retry_after: seconds after which the request may be sent again; None: not known.
    """

    def __init__(
        self, code: str, detail: str, *, status: int | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.retry_after = retry_after


class UpstreamError(ProxyError):
    """The upstream gave no answer, or none that can be understood. The message speaks of `it`.

    Attributes:
        code: key of `problems.py`'s table.
        cause: name of the cause in `outgoing/causes.py`.
    """

    code = "upstream_protocol"

    def __init__(self, message: str, *, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class UpstreamUnreachable(UpstreamError):
    """The upstream's name has no address, or it refused the connection."""

    code = "upstream_unreachable"


class UpstreamTLS(UpstreamError):
    """The TLS handshake failed, or the certificate cannot be trusted."""

    code = "upstream_tls"


class UpstreamTimeout(UpstreamError):
    """Connecting, or the response head, took too long."""

    code = "upstream_timeout"


class UpstreamProtocol(UpstreamError):
    """The answer is no valid HTTP, or the connection ended before the response head."""


class UpstreamClosed(UpstreamProtocol):
    """The connection ended before the answer did."""


class UpstreamBusy(UpstreamError):
    """All `max_connections` were in use for too long."""

    code = "upstream_busy"
