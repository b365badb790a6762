"""Every error raised on purpose.

ProxyError
├── ConfigError             the configuration cannot be used: every problem at once (exit code 2)
├── StartError              something outside the configuration must change first, a taken port (exit code 2)
├── CredentialError         no credential to be had
│   ├── CredentialUnavailable   the token endpoint is down, slow, limited, or makes no sense; try again
│   └── CredentialRejected      the token endpoint or the login refused our client or password
├── RepairDeclined          a refused request is not to be sent again: its own answer passes
├── RequestRefused          the caller's request is answered by us
└── UpstreamError           no answer, or none that makes sense, from the upstream
    ├── UpstreamUnreachable     DNS, refused
    ├── UpstreamTLS             handshake, certificate
    ├── UpstreamTimeout         connect, or response head
    ├── UpstreamProtocol        garbage, or the connection ended too early
    └── UpstreamBusy            every connection taken for too long

Messages never hold a secret, a token answer's body or bytes of the caller's request.
"""

from dataclasses import dataclass
from typing import Literal

FetchOutcome = Literal["ok", "same", "rejected", "limited", "unavailable", "invalid"]


class ProxyError(Exception):
    """Base of all errors raised on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration.

    Attributes:
        path: where, as `credentials.saas.client_secret`; empty for the file as a whole.
        message: one sentence: what is wrong and what to do.
        line: line in the file, from 1; None where it did not come from a file.
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
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class StartError(ProxyError):
    """The configuration is right, and yet the proxy cannot start: one sentence says what must change."""


class CredentialError(ProxyError):
    """No credential to be had.

    Attributes:
        outcome: how the fetch counts in the metrics.
        retry_after: seconds until another attempt may bring more; None: not known.
    """

    outcome: FetchOutcome = "unavailable"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CredentialUnavailable(CredentialError):
    """For now. `outcome` is `limited` (429), `unavailable` (no answer, 5xx) or `invalid` (makes no sense)."""

    outcome: Literal["limited", "unavailable", "invalid"]

    def __init__(
        self,
        message: str,
        *,
        outcome: Literal["limited", "unavailable", "invalid"] = "unavailable",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.outcome = outcome


class CredentialRejected(CredentialError):
    """Until somebody changes the client, its secret, or its rights."""

    outcome = "rejected"


class RepairDeclined(ProxyError):
    """The upstream's own refusal passes to the caller.

    Attributes:
        outcome: why, as `repairs_total` counts it.
    """

    def __init__(self, outcome: Literal["too_soon", "same_credential"]) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class RequestRefused(ProxyError):
    """The caller's request is answered by us, by `problems.py`'s table.

    Attributes:
        code: key of that table, such as `bad_request`.
        status: HTTP status where it is not the code's usual one.
    """

    def __init__(self, code: str, detail: str, *, status: int | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status


class UpstreamError(ProxyError):
    """No answer, or none that makes sense, from the upstream.

    Attributes:
        code: key of `problems.py`'s table.
    """

    code = "upstream_protocol"


class UpstreamUnreachable(UpstreamError):
    """DNS, connection refused."""

    code = "upstream_unreachable"


class UpstreamTLS(UpstreamError):
    """TLS handshake or certificate."""

    code = "upstream_tls"


class UpstreamTimeout(UpstreamError):
    """Connect or response head took too long."""

    code = "upstream_timeout"


class UpstreamProtocol(UpstreamError):
    """Garbage, or the connection ended before the response head."""


class UpstreamClosed(UpstreamProtocol):
    """The connection ended before the answer did."""


class UpstreamBusy(UpstreamError):
    """`max_connections` held for too long."""

    code = "upstream_busy"
