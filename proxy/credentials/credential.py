"""A credential, and who can fetch one."""

from dataclasses import dataclass, field
from typing import Protocol

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Credential:
    """Header fields that let a request in. Frozen; compared by identity; no secret in its repr.

    Attributes:
        fields: what to stamp, as octets: `((b"Authorization", b"Bearer ..."),)`; empty: nothing.
        fetched_at: seconds on the Clock, taken before the source was asked.
        expires_at: seconds on the Clock; None: never.
        session: whether it is a session's: cookies, and a CSRF token. More answers are refusals then.
    """

    fields: Fields = field(repr=False)
    fetched_at: float
    expires_at: float | None = None
    session: bool = False

    def usable(self, now: float) -> bool:
        """Whether it may still be stamped at `now`, seconds on the Clock."""
        return self.expires_at is None or now < self.expires_at


class CredentialSource(Protocol):
    """Where credentials come from: a token endpoint, a login, a file."""

    async def fetch(self) -> Credential:
        """Get a credential, new if there is one.

        Raises:
            CredentialRejected: client or password refused.
            CredentialUnavailable: anything else that keeps us from a credential.
        """
        ...
