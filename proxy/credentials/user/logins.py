"""Stores the login of a person: a file that says what is known of it, and the refresh token apart from it.

All processes of the person share it. Only the holder of the lock reads the refresh token, sends it or
changes anything, so that no two of them use one refresh token: identity providers that rotate take that for
theft and end the session (RFC 9700 section 4.14.2; Keycloak 26.7: "Maximum allowed refresh token reuse
exceeded").
"""

import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal, TypeVar, get_args

from proxy.clock import wall_time
from proxy.credentials.reply import strict_json
from proxy.credentials.token_answer import LATEST
from proxy.credentials.user.keyrings import Keyring, KeyringFailed, SystemKeyring
from proxy.credentials.user.private_files import Unsafe, make_folder, read_private, remove, write_private
from proxy.credentials.user.settings import COMMAND
from proxy.credentials.user.threads import in_thread
from proxy.errors import CredentialUnavailable
from proxy.terms import LoginStorage

T = TypeVar("T")

Place = Literal["keyring", "file"]

DISK = 30.0
"""Seconds for one call of the disk."""

SOONEST = 2.0
"""Seconds between two refreshes after which they tell whether the end of the refresh token is fixed. Identity
providers say it in whole seconds."""

VERSION = 1


@dataclass(frozen=True, slots=True)
class StoredLogin:
    """What is known of a login, without its refresh token. Times are seconds since 1970.

    Attributes:
        login_id: random, no secret; each login has another one.
        kept_in: where the refresh token is.
        subject, username: who logged in, for people; empty: not known.
        refreshed_at: when the last access token was got; None: not since the login.
        ends_at: when the refresh token expires; None: never, or not known.
        ends_fixed: whether the last refresh did not put `ends_at` off.
        sent_at: when the refresh token was sent whose answer is not stored yet; None: there is none.
        ended_at: when the identity provider ended the login; None: it has not.
        ended: why, as a sentence without a full stop; empty: it has not ended.
    """

    login_id: str
    logged_in_at: float
    kept_in: Place = "file"
    subject: str = ""
    username: str = ""
    refreshed_at: float | None = None
    ends_at: float | None = None
    ends_fixed: bool = False
    sent_at: float | None = None
    ended_at: float | None = None
    ended: str = ""
    version: int = VERSION

    def refreshed(self, now: float, ends_at: float | None) -> "StoredLogin":
        """Return the login after a refresh.

        Args:
            now, ends_at: seconds since 1970. An identity provider that ends idle sessions puts `ends_at` off
                with each refresh, until the longest life of a session fixes it (Keycloak 26.7).
        """
        passed = now - (self.refreshed_at or self.logged_in_at)
        fixed = False
        if ends_at is not None and self.ends_at is not None:
            fixed = self.ends_fixed if passed < SOONEST else ends_at - self.ends_at < passed / 2
        return replace(self, refreshed_at=now, ends_at=ends_at, ends_fixed=fixed)


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
        wall: returns seconds since 1970.

    Args:
        folder: of the person's stored logins; made with mode 0700 when something is stored.
        key: see `UserSettings.key`.
        storage: where a new login is stored.
        keyring: the person's; None: the system's, imported when it is first used.
        command: what the person runs to log in; empty: without options.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        name: str,
        storage: LoginStorage,
        keyring: Keyring | None = None,
        wall: Callable[[], float] = wall_time,
        *,
        command: str = "",
    ) -> None:
        self._command = command or f"{COMMAND} {name}"
        self.name = name
        self.wall = wall
        self.path = folder / f"{key}.json"
        self._folder = folder
        self._key = key
        self._storage = storage
        self._keyring = keyring or SystemKeyring()

    def look(self) -> StoredLogin | None:
        """Return what is known of the login; None: there is none. Needs no lock.

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
            raise self._unusable(f"{self.path} cannot be read ({reason(error)})") from None
        login = _parsed(data)
        if login is None:
            again = f"log in again: {self._command}"
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
        from filelock import AsyncFileLock, Timeout

        await self._disk(lambda: make_folder(self._folder))
        # Not in a thread: an attempt to lock does not wait, and a cancelled one could stay locked there.
        lock = AsyncFileLock(self.path.with_suffix(".lock"), mode=0o600, run_in_executor=False)
        try:
            await lock.acquire(timeout=seconds)
        except Timeout:
            raise CredentialUnavailable(
                f"another process has used the stored login of credentials.{self.name} for {seconds:.0f} s"
                f" ({lock.lock_file} is locked)"
            ) from None
        except OSError as error:
            raise self._unusable(f"{lock.lock_file} cannot be locked ({reason(error)})") from None
        try:
            yield
        finally:
            await lock.release()

    async def refresh_token(self, login: StoredLogin) -> str:
        """Return the refresh token. Needs the lock.

        Raises:
            CredentialUnavailable: it is not there, or cannot be read.
        """
        token: str | None
        if login.kept_in == "keyring":
            try:
                token = await self._keyring.get(self._key)
            except KeyringFailed as error:
                raise self._unusable(f"the keyring cannot be read: {error}") from None
        else:
            token = await self._disk(self._token_in_file)
        if not token:
            where = "the keyring" if login.kept_in == "keyring" else self._token_path
            raise self._unusable(f"its refresh token is not in {where}; log in again: {self._command}")
        return token

    async def write(self, login: StoredLogin, refresh_token: str | None = None) -> StoredLogin:
        """Store what is known of a login, and before it a new refresh token, if there is one. Needs the lock.

        Returns:
            The login as it was stored, with the place of its refresh token.

        Raises:
            CredentialUnavailable: it could not be stored.
        """
        if refresh_token is not None:
            login = replace(login, kept_in=await self._put(refresh_token))
        data = json.dumps(asdict(login), indent=1).encode()
        await self._disk(lambda: write_private(self.path, data))
        return login

    async def end(self, login: StoredLogin) -> None:
        """Store that a login has ended, and remove its refresh token. Needs the lock.

        Raises:
            CredentialUnavailable: it could not be stored.
        """
        await self.write(login)
        with suppress(CredentialUnavailable, KeyringFailed):  # it is not sent in any case
            if login.kept_in == "keyring":
                await self._keyring.remove(self._key)
            await self._disk(lambda: remove(self._token_path))

    async def remove(self) -> None:
        """Forget the login and its refresh token, wherever that is. Needs the lock.

        Raises:
            CredentialUnavailable: a file could not be removed, or the keyring holds the token and is locked.
        """
        try:
            login = self.look()
        except CredentialUnavailable:
            login = None
        await self._disk(lambda: remove(self.path))
        await self._disk(lambda: remove(self._token_path))
        if login is not None and login.kept_in == "keyring":
            try:
                await self._keyring.remove(self._key)
            except KeyringFailed as error:
                raise self._unusable(f"the keyring still has its refresh token: {error}") from None

    async def _put(self, token: str) -> Place:
        """Store the refresh token where `storage` says, and nowhere else."""
        if self._storage != "file":
            try:
                await self._keyring.put(self._key, token)
            except KeyringFailed as error:
                if self._storage == "keyring":
                    raise self._unusable(
                        f"the keyring cannot store it: {error}; or write storage: file"
                    ) from None
            else:
                await self._disk(lambda: remove(self._token_path))
                return "keyring"
        await self._disk(lambda: write_private(self._token_path, token.encode()))
        return "file"

    @property
    def _token_path(self) -> Path:
        return self.path.with_suffix(".token")

    def _token_in_file(self) -> str | None:
        try:
            return read_private(self._token_path).decode()
        except FileNotFoundError:
            return None

    async def _disk(self, call: Callable[[], T]) -> T:
        try:
            return await in_thread(call, DISK)
        except Unsafe as error:
            raise self._unusable(str(error)) from None
        except TimeoutError:
            raise self._unusable(f"{self._folder}: the disk did not answer within {DISK:.0f} s") from None
        except (OSError, ValueError) as error:
            raise self._unusable(f"{self._folder}: {reason(error)}") from None

    def _unusable(self, what: str) -> CredentialUnavailable:
        return CredentialUnavailable(
            f"the stored login of credentials.{self.name}: {what}", outcome="invalid"
        )


_TEXTS = ("login_id", "kept_in", "subject", "username", "ended")
_TIMES = ("refreshed_at", "ends_at", "sent_at", "ended_at")


def _parsed(data: bytes) -> StoredLogin | None:
    """Read a stored login; None: it is none of this version."""
    try:
        members = strict_json(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict) or members.get("version") != VERSION:
        return None
    known = {each.name: members[each.name] for each in fields(StoredLogin) if each.name in members}
    right = (
        _is_time(known.get("logged_in_at"))
        and known.get("login_id")
        and known.get("kept_in") in get_args(Place)
    )
    right = right and isinstance(known.get("ends_fixed", False), bool)
    right = right and all(isinstance(known.get(name, ""), str) for name in _TEXTS)
    if not right or not all(known.get(name) is None or _is_time(known[name]) for name in _TIMES):
        return None
    return StoredLogin(**known)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LATEST


def reason(error: Exception) -> str:
    """Return why a file cannot be used, in the system's words."""
    text = error.strerror if isinstance(error, OSError) else str(error)
    return (text or type(error).__name__).lower()
