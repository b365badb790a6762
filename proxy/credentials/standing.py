"""Describes the state of a credential: whether it can be used, its condition, and the reason. Pure."""

from dataclasses import dataclass
from math import isfinite

from proxy.credentials.credential import Credential
from proxy.credentials.report import Condition, Failure
from proxy.credentials.schedule import RefreshState
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable

SOONEST = 1.0
"""Fewest seconds after which a caller may try again (Retry-After)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that the state of a credential depends on. Times are seconds on the Clock.

    Attributes:
        credential: the last one that was fetched; None: none ever was.
        good_until: when it expires, or when its session counts as expired.
        succeeded_at: end of the last successful attempt; None: there was none.
        failure: of the last attempt; None: it did not fail.
        state: of the refresh loop.
    """

    credential: Credential | None
    good_until: float
    succeeded_at: float | None
    failure: Failure | None
    state: RefreshState

    @property
    def refused(self) -> bool:
        """Whether the token endpoint or the login refused us the last time."""
        return self.state.refusals > 0 and self.state.outcome == "rejected"

    def usable(self, now: float) -> bool:
        """Tell whether requests can be forwarded.

        An idle session that counts as expired is usable nevertheless, because the next request logs in,
        unless the last login failed.
        """
        if self.credential is None or not self.credential.usable(now):
            return False
        return now < self.good_until or not self.state.failing

    def condition(self, now: float, before: Condition) -> Condition:
        """Return the condition to report.

        Args:
            before: the condition reported last. It stays after an expiry, or after the secret has changed,
                because nothing new is known then.
        """
        usable = self.usable(now)
        if self.state.failing:
            return "failing" if usable else "unusable"
        return "good" if usable and self.failure is None else before

    def reason(self, now: float) -> str:
        """Say why there is no credential, or why its refresh fails; empty: nothing is wrong."""
        if self.failure is not None:
            return self.failure.message
        if self.usable(now):
            return ""
        if self.succeeded_at is None:
            return "the first fetch of a credential has not ended yet"
        return "the credential has expired, and a new one is being fetched"

    def error(self, now: float, due: float) -> CredentialError:
        """Return the last failure as an exception.

        Args:
            due: when the next attempt is due; infinite: none is planned.
        """
        retry_after = max(due - now, SOONEST) if isfinite(due) else SOONEST
        message = self.reason(now) or "no other credential came in time"
        outcome = self.failure.outcome if self.failure is not None else "unavailable"
        if outcome == "rejected":
            return CredentialRejected(message, retry_after=retry_after)
        if outcome in ("limited", "invalid"):
            return CredentialUnavailable(message, outcome=outcome, retry_after=retry_after)
        return CredentialUnavailable(message, retry_after=retry_after)
