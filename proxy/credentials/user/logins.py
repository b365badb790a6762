"""Stores the login of a person: a file that says what is known of it, and the refresh token apart from it.

All processes of the person share it. Only the holder of the lock reads the refresh token, sends it or
changes anything, so that no two of them use one refresh token: identity providers that rotate take that for
theft and end the session (RFC 9700 section 4.14.2; Keycloak 26.7: "Maximum allowed refresh token reuse
exceeded").
"""

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from proxy.credentials.reply import strict_json
from proxy.credentials.user.keyrings import Keyring, KeyringFailed, SystemKeyring
from proxy.credentials.user.private_files import Unsafe, read_private, remove, write_private
from proxy.credentials.user.settings import COMMAND
from proxy.credentials.user.threads import in_thread
from proxy.errors import CredentialUnavailable
from proxy.terms import LoginStorage

Place = Literal["keyring", "file"]

DISK = 30.0
"""Seconds for one call of the disk."""

VERSION = 1


@dataclass(frozen=True, slots=True)
class StoredLogin:
    """What is known of a login, without its refresh token. Times are seconds since 1970.

    Attributes:
        login_id: random, no secret; each login has another one.
        kept_in: where the refresh token is.
        subject, username: who logged in, for people; empty: not known.
        ends_at: when the refresh token expires; None: never, or not known.
        sent_at: when the refresh token was sent whose answer is not stored yet; None: there is none.
        ended_at: when the identity provider ended the login; None: it has not.
        ended: why, as a sentence without a full stop; empty: it has not ended.
    """

    login_id: str
    logged_in_at: float
    kept_in: Place = "file"
    subject: str = ""
    username: str = ""
    ends_at: float | None = None
    sent_at: float | None = None
    ended_at: float | None = None
    ended: str = ""
    version: int = field(default=VERSION, repr=False)


def new_login(
    now: float, *, subject: str = "", username: str = "", ends_at: float | None = None
) -> StoredLogin:
    """Make the record of a login that has just succeeded; the arguments are its attributes.

    Args:
        now: seconds since 1970.
    """
    return StoredLogin(secrets.token_hex(8), now, subject=subject, username=username, ends_at=ends_at)


class LoginStore:
    """The stored login of one credential of one person.

    Attributes:
        name: of the credential, for messages.
        path: of the file that says what is known of the login.

    Args:
        folder: of the person's stored logins; made with mode 0700 when something is stored.
        key: see `UserSettings.key`.
        storage: where a new login is stored.
        keyring: the person's; imported when it is first used.
    """

    def __init__(
        self, folder: Path, key: str, name: str, storage: LoginStorage, keyring: Keyring | None = None
    ) -> None:
        self.name = name
        self.path = folder / f"{key}.json"
        self._folder = folder
        self._key = key
        self._storage = storage
        self._keyring = keyring or SystemKeyring()

    def look(self) -> StoredLogin | None:
        """Return what is known of the login; None: nobody is logged in. Needs no lock.

        Raises:
            CredentialUnavailable: the file cannot be used, or other users could have read or written it.
        """
        try:
            data = read_private(self.path)
        except FileNotFoundError:
            return None
        except Unsafe as error:
            raise self._unusable(str(error)) from None
        except (OSError, ValueError) as error:
            raise self._unusable(f"{self.path} cannot be read ({_why(error)})") from None
        login = _parsed(data)
        if login is None:
            again = f"log in again: {COMMAND} {self.name}"
            raise self._unusable(f"{self.path} is damaged or of another version; {again}")
        return login

    @asynccontextmanager
    async def locked(self, seconds: float) -> AsyncIterator[None]:
        """Hold the lock of all processes.

        Args:
            seconds: to wait for it.

        Raises:
            CredentialUnavailable: another process held it for longer, or the folder cannot be used.
        """
        yield
        raise NotImplementedError

    async def refresh_token(self, login: StoredLogin) -> str:
        """Return the refresh token. Needs the lock.

        Raises:
            CredentialUnavailable: it is not there, or cannot be read.
        """
        raise NotImplementedError

    async def write(self, login: StoredLogin, refresh_token: str | None = None) -> StoredLogin:
        """Store what is known of a login, and before it the refresh token, if there is a new one. Needs the lock.

        Returns:
            The login as it was stored, with the place of its refresh token.

        Raises:
            CredentialUnavailable: it could not be stored.
        """
        raise NotImplementedError

    async def remove(self) -> None:
        """Forget the login and its refresh token, wherever that is. Needs the lock.

        Raises:
            CredentialUnavailable: a file could not be removed.
        """
        raise NotImplementedError

    def _unusable(self, what: str) -> CredentialUnavailable:
        return CredentialUnavailable(f"the stored login of credentials.{self.name}: {what}", outcome="invalid")


_TEXTS = ("login_id", "kept_in", "subject", "username", "ended")
_TIMES = ("ends_at", "sent_at", "ended_at")


def _parsed(data: bytes) -> StoredLogin | None:
    """Read a stored login; None: it is none of this version."""
    try:
        members = strict_json(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict) or members.get("version") != VERSION:
        return None
    known = {each.name: members[each.name] for each in fields(StoredLogin) if each.name in members}
    right = _is_time(known.get("logged_in_at")) and known.get("login_id") and known.get("kept_in") in PLACES
    right = right and all(isinstance(known.get(name, ""), str) for name in _TEXTS)
    if not right or not all(known.get(name) is None or _is_time(known[name]) for name in _TIMES):
        return None
    return StoredLogin(**known)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LATEST
