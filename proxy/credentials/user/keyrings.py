"""The person's keyring: Secret Service, KWallet, macOS Keychain, Windows Credential Locker.

The library `keyring` (MIT, the extra `keyring`) is imported when it is first used. Its calls block, and may
wait for the person to unlock the keyring; so each runs in a thread, with a limit.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar, cast

from proxy.credentials.user.threads import in_thread

T = TypeVar("T")

SERVICE = "camunda-auth-proxy"

PATIENCE = 30.0
"""Seconds for one call: a desktop may ask the person for the keyring's password."""


class KeyringFailed(Exception):
    """The keyring cannot be used. The message says why, without a secret."""


class Keyring(Protocol):
    """Holds one text for each key."""

    async def get(self, key: str) -> str | None:
        """Return the text; None: there is none.

        Raises:
            KeyringFailed
        """
        ...

    async def put(self, key: str, text: str) -> None:
        """Store a text, and read it back.

        Raises:
            KeyringFailed: it cannot be stored, or another text was read back.
        """
        ...

    async def remove(self, key: str) -> None:
        """Remove the text, if there is one.

        Raises:
            KeyringFailed
        """
        ...


class _Library(Protocol):
    """What is used of the library, so that its types are not needed where it is not installed."""

    def get_password(self, service_name: str, username: str) -> str | None: ...
    def set_password(self, service_name: str, username: str, password: str) -> None: ...
    def delete_password(self, service_name: str, username: str) -> None: ...


class SystemKeyring:
    """The keyring that the library finds.

    Args:
        patience: seconds for one call.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience

    async def get(self, key: str) -> str | None:
        return await self._call(lambda library: library.get_password(SERVICE, key))

    async def put(self, key: str, text: str) -> None:
        def put(library: _Library) -> str | None:
            library.set_password(SERVICE, key, text)
            # The backend `null` says nothing and stores nothing (keyring 25.7).
            return library.get_password(SERVICE, key)

        if await self._call(put) != text:
            raise KeyringFailed("it does not keep what is stored in it")

    async def remove(self, key: str) -> None:
        def remove(library: _Library) -> None:
            if library.get_password(SERVICE, key) is not None:
                library.delete_password(SERVICE, key)

        await self._call(remove)

    async def _call(self, call: Callable[[_Library], T]) -> T:
        try:
            return await in_thread(lambda: call(_library()), self._patience)
        except TimeoutError:
            raise KeyringFailed(f"it did not answer within {self._patience:.0f} s; is it locked?") from None
        except ImportError:
            raise KeyringFailed("the package is missing: pip install 'camunda-auth-proxy[keyring]'") from None
        # Backends raise errors of their own, such as pywintypes.error for a text too long for Windows. A
        # message may hold the text, so only its kind is told.
        except Exception as error:  # noqa: BLE001
            raise KeyringFailed(_SAID.get(type(error).__name__) or type(error).__name__) from None


_SAID = {
    "NoKeyringError": "this machine has none that can be used",
    "KeyringLocked": "it is locked",
    "InitError": "it cannot be opened",
}
"""What errors of the library mean, by their class."""


def _library() -> _Library:
    import keyring

    return cast(_Library, keyring)
