"""What a keeper reports: its status, its counts, and the observer that gets them.

No secret in any of it.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal, Protocol

from proxy.errors import FetchOutcome
from proxy.histogram import Histogram

Condition = Literal["starting", "good", "failing", "unusable"]
"""`failing`: refreshes fail, but the credential is still good. `unusable`: they fail, and there is
none."""


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """How a credential stands, without a secret.

    Attributes:
        name, target: as in the configuration and the metrics.
        condition: see `Condition`.
        usable: whether requests can be let in with it now.
        expires_at: seconds on the Clock; None: never, or there is none.
        last_success: seconds on the Clock; None: there was none.
        outcome: of the last attempt; None: there was none.
        next_attempt: seconds on the Clock; None: none is planned, or one is under way.
        failures: attempts in a row that failed.
        reason: a sentence that says why it is not usable, why its refresh fails, or that it ends soon; empty:
            all is well.
        ends_at: seconds on the Clock; see `Credential.ends_at`.
        file_ends_at: seconds on the Clock; when the token of another issuer expires that is sent to get
            ours, such as a client assertion. None: there is none, or it does not say.
        login_ends_at: seconds on the Clock; when the login of a person ends, whatever is refreshed until
            then. None: it does not, or that is not known.
        command: what a person has to run so that there is a credential; empty: nothing.
    """

    name: str
    target: str
    condition: Condition
    usable: bool
    expires_at: float | None
    last_success: float | None
    outcome: FetchOutcome | None
    next_attempt: float | None
    failures: int
    reason: str
    ends_at: float | None = None
    file_ends_at: float | None = None
    login_ends_at: float | None = None
    command: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt brought no credential.

    A value and not the exception: an exception keeps its traceback, the traceback keeps its frames, and these
    keep sockets alive (see `proxy.commands.loop`).

    Attributes:
        at: end of the attempt, in seconds on the Clock.
        outcome: its kind.
        message: a sentence for people, without a secret.
        detail: the same for callers; see `CredentialError`.
        command: what a person has to run; see `LoginNeeded`. Empty: nothing.
    """

    at: float
    outcome: FetchOutcome
    message: str
    detail: str = ""
    command: str = ""


class FetchObserver(Protocol):
    """Gets the reports of a keeper. It is called from the loop and must not raise."""

    def fetched(self, name: str, target: str, outcome: FetchOutcome, seconds: float) -> None:
        """An attempt ended, after so many seconds."""
        ...

    def changed(self, status: CredentialStatus) -> None:
        """The condition changed, or a failure became a refusal. Called once per change, not per attempt."""
        ...


class Unobserved:
    """An observer that does nothing."""

    def fetched(self, name: str, target: str, outcome: FetchOutcome, seconds: float) -> None: ...

    def changed(self, status: CredentialStatus) -> None: ...


UNOBSERVED = Unobserved()


class FetchTally:
    """Plain counts. They become samples when Prometheus scrapes.

    Attributes:
        outcomes: attempts by outcome.
        fetch_seconds: how long they took.
        wait_seconds: how long requests waited, those that did.
    """

    __slots__ = ("fetch_seconds", "outcomes", "wait_seconds")

    def __init__(self) -> None:
        self.outcomes: Counter[FetchOutcome] = Counter()
        self.fetch_seconds = Histogram()
        self.wait_seconds = Histogram()
