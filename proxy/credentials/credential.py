"""A credential, and who can fetch one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Credential:
    """Header fields that let a request in. Frozen; compared by identity; no secret in its repr.

    Attributes:
        fields: what to stamp, as bytes: `((b"Authorization", b"Bearer ..."),)`; empty: nothing.
        fetched_at: seconds on the Clock, taken before the source was asked.
        expires_at: seconds on the Clock; None: never.
        session: whether it is a session's: cookies, and a CSRF token. More answers are refusals then.
        lines: the fields as they are sent, made once.
    """

    fields: Fields = field(repr=False)
    fetched_at: float
    expires_at: float | None = None
    session: bool = False
    lines: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", b"".join([b"%b: %b\r\n" % each for each in self.fields]))

    def usable(self, now: float) -> bool:
        """Whether it may still be stamped at `now`, seconds on the Clock."""
        return self.expires_at is None or now < self.expires_at

    def secrets(self) -> Iterator[str]:
        """What no log may show: the token, each cookie's value, the CSRF token."""
        for name, value in self.fields:
            text = value.decode("latin-1")
            if name == b"Cookie":
                yield from (pair.partition("=")[2] for pair in text.split("; "))
            else:
                yield text.rpartition(" ")[2]


def same_credential(one: Credential, other: Credential) -> bool:
    """Whether two credentials let us in as the same: by value, because a token that came back with an earlier
    expiry is another object. Sessions are the same until the next login, whatever cookies came meanwhile."""
    if one.session and other.session:
        return one.fetched_at == other.fetched_at
    return one.fields == other.fields


class CredentialSource(Protocol):
    """Where credentials come from: a token endpoint, a login, a file."""

    async def fetch(self) -> Credential:
        """Get a credential, new if there is one.

        Raises:
            CredentialRejected: client or password refused.
            CredentialUnavailable: anything else that keeps us from a credential.
        """
        ...


class Sessions(Protocol):
    """Whoever logs in: knows what its server's answers change, and how to log out."""

    def note_session_fields(
        self, used: Credential, fields: Sequence[tuple[bytes, bytes]]
    ) -> Credential | None:
        """What an answer makes of the session that its request showed; None: the same as before. Pure.

        Args:
            fields: the answer's Set-Cookie lines in their order and its CSRF fields; names in lower case.
        """
        ...

    async def leave(self, session: Credential) -> None:
        """Log out: best effort, within a second."""
        ...
