"""Describes the state of a credential: whether it can be used, its condition, and the reason. Pure."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal, NamedTuple

from proxy.credentials.credential import Credential
from proxy.credentials.report import Condition, Failure
from proxy.credentials.schedule import RefreshState
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable, LoginNeeded

Ending = Literal["", "soon", "over"]

WARN_SHARE = 0.1
"""The share of a token's life, at its end, in which the proxy warns that a shared token expires, or that the
token in a file was not replaced. The kubelet replaces one after 80 % of its life, SPIRE after half of it."""

WARN_AHEAD = 7 * 86400.0
"""Most seconds of that."""

SOONEST = 1.0
"""Fewest seconds after which a caller may try again (Retry-After)."""


class FileEnd(NamedTuple):
    """When the token expires that is sent to get ours: that of another issuer, in a file (`token_file.py`),
    or the refresh token of a person (`user/source.py`).

    Attributes:
        setting: that names the file, or the person's credential.
        ends_at: seconds on the Clock.
        life: seconds from its issue to its end.
        command: with which the person logs in again; empty: it is the token in a file.
    """

    setting: str
    ends_at: float
    life: float
    command: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that the state of a credential depends on. Times are seconds on the Clock.

    Attributes:
        credential: the last one that was fetched; None: none ever was.
        good_until: when it expires, or when its session counts as expired.
        succeeded_at: end of the last successful attempt; None: there was none.
        failure: of the last attempt; None: it did not fail.
        state: of the refresh loop.
        file: None: no token of another issuer is sent, or it does not say when it expires.
    """

    credential: Credential | None
    good_until: float
    succeeded_at: float | None
    failure: Failure | None
    state: RefreshState
    file: FileEnd | None = None

    @property
    def refused(self) -> bool:
        """Whether the token endpoint or the login refused us the last time."""
        return self.state.refusals > 0 and self.state.outcome in ("rejected", "login_needed")

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

    def ending(self, now: float) -> Ending:
        """Return how near the end is that a shared token names, or the token of another issuer in a file."""
        credential = self.credential
        if self.file is not None:
            ends_at, life = self.file.ends_at, self.file.life
        elif credential is not None and credential.ends_at is not None:
            ends_at, life = credential.ends_at, credential.ends_at - credential.fetched_at
        else:
            return ""
        ahead = min(WARN_AHEAD, life * WARN_SHARE)
        return "over" if now >= ends_at else "soon" if now >= ends_at - ahead else ""

    def reason(self, now: float) -> str:
        """Say why there is no credential, why its refresh fails, or that it ends soon; empty: all is well."""
        if self.failure is not None:
            return self.failure.message
        if self.usable(now):
            return self._end(now)
        if self.succeeded_at is None:
            return "the first fetch of a credential has not ended yet"
        return "the credential has expired, and a new one is being fetched"

    def _end(self, now: float) -> str:
        ending = self.ending(now)
        if not ending:
            return ""
        if self.file is not None:
            says = _ends(ending, self.file.ends_at, now)
            if self.file.command:
                return f"the login of {self.file.setting} {says}; log in again: {self.file.command}"
            return (
                f"the token in {self.file.setting} {says} and was not replaced yet; without a new one the"
                " next refresh fails. Check what writes that file"
            )
        if self.credential is None or self.credential.ends_at is None:
            return ""
        says = _ends(ending, self.credential.ends_at, now)
        return f"the shared token says that it {says}; put a new one in its place"

    def error(self, now: float, due: float) -> CredentialError:
        """Return the last failure as an exception.

        Args:
            due: when the next attempt is due; infinite: none is planned.
        """
        retry_after = max(due - now, SOONEST) if isfinite(due) else SOONEST
        message = self.reason(now) or "no other credential came in time"
        outcome = self.failure.outcome if self.failure is not None else "unavailable"
        detail = self.failure.detail if self.failure is not None else ""
        if self.failure is not None and self.failure.command:
            command = self.failure.command
            return LoginNeeded(message, command, retry_after=retry_after, detail=detail)
        if outcome == "rejected":
            return CredentialRejected(message, retry_after=retry_after, detail=detail)
        if outcome in ("limited", "invalid"):
            return CredentialUnavailable(message, outcome=outcome, retry_after=retry_after, detail=detail)
        return CredentialUnavailable(message, retry_after=retry_after, detail=detail)


def _ends(ending: Ending, ends_at: float, now: float) -> str:
    after = duration(abs(ends_at - now))
    return f"expired {after} ago" if ending == "over" else f"expires in {after}"


def duration(seconds: float) -> str:
    """Write a duration for people."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
