"""Defines a credential, and the protocols of its sources."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Credential:
    """Header fields that authenticate a request. Frozen, compared by identity, with no secret in its repr.

    Attributes:
        fields: fields to inject, as bytes: `((b"Authorization", b"Bearer ..."),)`; may be empty.
        fetched_at: seconds on the Clock, taken before the request to the source.
        expires_at: seconds on the Clock; None: never.
        ends_at: seconds on the Clock; when a shared token says that it expires. It is told and not obeyed,
            because the server decides, by a clock of its own. None: it does not say.
        session: whether it is a session, with cookies and a CSRF token. Then more answers count as refusals.
        login: of a session that a fleet shares, the mark of its login, which stays when its cookies change.
        lines: the fields as they are sent, made once.
    """

    fields: Fields = field(repr=False)
    fetched_at: float
    expires_at: float | None = None
    session: bool = False
    ends_at: float | None = None
    login: str = ""
    lines: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", b"".join([b"%b: %b\r\n" % each for each in self.fields]))

    def usable(self, now: float) -> bool:
        """Tell whether it may still be injected at `now`, seconds on the Clock."""
        return self.expires_at is None or now < self.expires_at

    def secrets(self) -> Iterator[str]:
        """Yield the texts that no log may show: the token, each cookie's value, the CSRF token."""
        for name, value in self.fields:
            text = value.decode("latin-1")
            if name == b"Cookie":
                yield from (pair.partition("=")[2] for pair in text.split("; "))
            else:
                yield text.rpartition(" ")[2]


def same_credential(one: Credential, other: Credential) -> bool:
    """Tell whether two credentials are the same token or session.

    Tokens are compared by value, because a token that was returned again is another object. A session stays
    the same until the next login, even if its cookies have changed.
    """
    if one.session and other.session:
        return one.fetched_at == other.fetched_at
    return one.fields == other.fields


class CredentialSource(Protocol):
    """A source of credentials: a token endpoint, a login, a file."""

    async def fetch(self) -> Credential:
        """Get a credential, new if there is one.

        Raises:
            CredentialRejected: the source refused our client or password.
            CredentialUnavailable: there is no credential for any other reason.
        """
        ...


class Sessions(Protocol):
    """A login: it knows how its server's answers change a session, and how to log out."""

    def note_session_fields(
        self, used: Credential, fields: Sequence[tuple[bytes, bytes]]
    ) -> Credential | None:
        """Return the session as the answer changed it; None: it has not changed. Pure.

        Args:
            used: the session that the request was sent with.
            fields: the answer's Set-Cookie lines in their order and its CSRF fields; names in lower case.
        """
        ...

    async def leave(self, session: Credential) -> None:
        """Log out within a second; this may fail."""
        ...
