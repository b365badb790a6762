"""Sources of credentials that no server issues: a shared token, Basic, none.

A Keeper runs them like all others, with the policy below: when the file changes, it is read at once.
"""

from base64 import b64encode
from collections.abc import Callable
from re import compile as pattern

from proxy.clock import Clock, wall_time
from proxy.credentials.credential import Credential
from proxy.credentials.schedule import Policy
from proxy.credentials.secret import Secret
from proxy.credentials.token_answer import jwt_expiry
from proxy.errors import CredentialUnavailable

AT_ONCE = Policy(retry_min=0.0, repair_min=0.0, repair_max=0.0)
"""No waiting time after a refusal, because reading a file again burdens no server."""

LARGEST_SHARED_TOKEN = 1 << 16

_VISIBLE = pattern(r"[\x21-\x7e]+")
_CONTROL = pattern(r"[\x00-\x1f\x7f-\x9f]")


class SharedToken:
    """A bearer token that was issued elsewhere: any visible ASCII, as real tokens exceed RFC 6750."""

    def __init__(self, token: Secret, clock: Clock, wall: Callable[[], float] = wall_time) -> None:
        self._token = token
        self._clock = clock
        self._wall = wall

    async def fetch(self) -> Credential:
        token = self._token.read()
        if not _VISIBLE.fullmatch(token) or len(token) > LARGEST_SHARED_TOKEN:
            raise _invalid(
                "the shared token has other characters than visible ASCII (a space, a line end, or the word"
                " Bearer before it?), or more than 64 KiB"
            )
        now, expiry = self._clock.now(), jwt_expiry(token)
        ends_at = now + expiry - self._wall() if expiry is not None else None
        fields = ((b"Authorization", b"Bearer " + token.encode("ascii")),)
        return Credential(fields, now, ends_at=ends_at)


class BasicLogin:
    """User name and password with every request (RFC 7617, in UTF-8)."""

    def __init__(self, username: str, password: Secret, clock: Clock) -> None:
        self._username = username
        self._password = password
        self._clock = clock

    async def fetch(self) -> Credential:
        password = self._password.read()
        if ":" in self._username or _CONTROL.search(self._username + password):
            raise _invalid("the user name has a colon, or user name or password has a control character")
        try:
            pair = b64encode(f"{self._username}:{password}".encode())
        except UnicodeError:  # not chained, because its message holds the text
            raise _invalid("the user name or the password cannot be written as UTF-8") from None
        return Credential(((b"Authorization", b"Basic " + pair),), self._clock.now())


class Anonymous:
    """Injects nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def fetch(self) -> Credential:
        return Credential((), self._clock.now())


def _invalid(message: str) -> CredentialUnavailable:
    return CredentialUnavailable(message, outcome="invalid")
