"""The person's keyring by the real library: where there is none, one that keeps nothing, one that hangs."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from proxy.credentials.user.keyrings import KeyringFailed, SystemKeyring
from proxy.credentials.user.logins import LoginStore, new_login

keyring = pytest.importorskip("keyring")

CANARY = "canary-of-the-refresh-token"


@pytest.fixture(autouse=True)
def backend() -> Iterator[None]:
    """Each test chooses a backend; the machine's own is not touched."""
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


def use(name: str) -> None:
    from importlib import import_module

    module: ModuleType = import_module(f"keyring.backends.{name}")
    keyring.set_keyring(module.Keyring())


async def test_a_machine_without_a_keyring_says_so() -> None:
    use("fail")
    at = SystemKeyring()
    for call in (at.get("me"), at.put("me", CANARY), at.remove("me")):
        with pytest.raises(KeyringFailed, match="this machine has none that can be used"):
            await call


async def test_a_keyring_that_keeps_nothing_is_noticed() -> None:
    use("null")
    with pytest.raises(KeyringFailed, match="does not keep"):
        await SystemKeyring().put("me", CANARY)


@pytest.mark.parametrize("name", ["fail", "null"])
async def test_then_the_token_is_in_a_file(tmp_path: Path, name: str) -> None:
    use(name)
    store = LoginStore(tmp_path / "logins", "me-1", "me", "auto")
    async with store.locked(5):
        login = await store.write(new_login(1.0), CANARY)
        assert login.kept_in == "file"
        assert await store.refresh_token(login) == CANARY


def backend_that(act: object) -> None:
    from keyring.backend import KeyringBackend

    class Odd(KeyringBackend):
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return act() if callable(act) else None

        def set_password(self, service: str, username: str, password: str) -> None:
            raise OSError(1783, f"The stub received bad data {password}")

        def delete_password(self, service: str, username: str) -> None: ...

    keyring.set_keyring(Odd())  # type: ignore[no-untyped-call]


async def test_a_keyring_that_waits_for_the_person_is_given_up() -> None:
    release = threading.Event()
    backend_that(release.wait)
    try:
        with pytest.raises(KeyringFailed, match="did not answer within 0 s"):
            await SystemKeyring(patience=0.05).get("me")
    finally:
        release.set()


async def test_an_error_of_a_backend_is_told_without_its_text() -> None:
    """On Windows a text of more than 1,280 characters: pywintypes.error, which is no error of the library."""
    backend_that(None)
    with pytest.raises(KeyringFailed) as caught:
        await SystemKeyring().put("me", CANARY)
    assert str(caught.value) == "OSError"
