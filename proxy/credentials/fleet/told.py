"""Pure: what an answer of the store means for a proxy that has a token, or that waits for one."""

from typing import Literal, cast, get_args

from proxy.credentials.credential import Credential
from proxy.credentials.fleet.entry import Answer
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable

_Failed = Literal["limited", "unavailable", "invalid"]


def longer(found: Credential, have: Credential | None) -> bool:
    """Tell whether it lives longer than the present one; a second counts for nothing."""
    if found.session:
        return True  # only a session other than ours is asked for
    if have is None or have.expires_at is None or found.expires_at is None:
        return have is None
    return found.expires_at > have.expires_at + 1.0


def told(
    answer: Answer, where: str = "the token endpoint", whom: str = "our client", what: str = "token"
) -> CredentialError:
    """Make the error for an attempt that another proxy has made.

    Args:
        where: what was asked.
        whom, what: what it may have refused, and what it gives.
    """
    after = min(answer.left, 300.0)
    how = {"rejected": f"refused {whom}", "limited": "asked for fewer requests"}
    text = (
        f"{where} {how.get(answer.kind, f'gave no {what}')} when another proxy of this fleet asked"
        f" it; the log of that proxy has its answer, and the fleet asks again in {answer.left:.0f} s"
    )
    if answer.kind == "rejected":
        return CredentialRejected(text)  # a Retry-After would hold up a changed secret, too
    outcome = cast(_Failed, answer.kind) if answer.kind in get_args(_Failed) else "unavailable"
    return CredentialUnavailable(text, outcome=outcome, retry_after=after)
