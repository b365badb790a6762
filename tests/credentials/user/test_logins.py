"""The stored login of a person: what is read, what is refused, and what other processes see of it."""

import asyncio
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.user.keyrings import KeyringFailed
from proxy.credentials.user.logins import LoginStore, StoredLogin, _parsed, new_login
from proxy.credentials.user.settings import UserSettings
from proxy.errors import CredentialUnavailable
from proxy.terms import LoginStorage

STORAGES: tuple[LoginStorage, ...] = ("file", "keyring")
NOW = 1_900_000_000.0
TOKEN = "canary-refresh-token"
SETTINGS = UserSettings("me", "proxy", token_url="http://127.0.0.1/token")


class Keyring:
    """A keyring in memory.

    Attributes:
        broken: it fails.
        full: it takes nothing.
    """

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.broken = False
        self.full = False

    async def get(self, key: str) -> str | None:
        self._check()
        return self.held.get(key)

    async def put(self, key: str, text: str) -> None:
        self._check()
        if self.full:
            raise KeyringFailed("it is full")
        self.held[key] = text

    async def remove(self, key: str) -> None:
        self._check()
        self.held.pop(key, None)

    def _check(self) -> None:
        if self.broken:
            raise KeyringFailed("it is locked")


@pytest.fixture
def keyring() -> Keyring:
    return Keyring()


def store(folder: Path, storage: LoginStorage = "file", keyring: Keyring | None = None) -> LoginStore:
    return LoginStore(folder / "logins", SETTINGS.key, "me", storage, keyring, lambda: NOW)


async def remember(at: LoginStore, token: str = TOKEN, username: str = "jane") -> StoredLogin:
    async with at.locked(5):
        return await at.write(new_login(NOW, username=username), token)


async def stored_token(at: LoginStore) -> str:
    login = at.look()
    assert login is not None
    async with at.locked(5):
        return await at.refresh_token(login)


async def test_another_process_finds_what_was_stored(tmp_path: Path) -> None:
    login = await remember(store(tmp_path))
    assert store(tmp_path).look() == login
    assert await stored_token(store(tmp_path)) == TOKEN


async def test_only_the_person_can_read_what_is_stored(tmp_path: Path) -> None:
    os.umask(0)
    try:
        at = store(tmp_path)
        await remember(at)
    finally:
        os.umask(0o022)
    modes = {path.name.rpartition(".")[2]: path.stat().st_mode for path in at.path.parent.iterdir()}
    assert {name: stat.S_IMODE(mode) for name, mode in modes.items()} == dict.fromkeys(
        ("json", "token", "lock"), 0o600
    )
    assert stat.S_IMODE(at.path.parent.stat().st_mode) == 0o700


async def test_what_is_known_of_a_login_has_no_secret(tmp_path: Path) -> None:
    at = store(tmp_path)
    login = await remember(at)
    assert TOKEN not in at.path.read_text()
    assert TOKEN not in repr(login) + repr(at)


async def test_each_login_has_another_id(tmp_path: Path) -> None:
    at = store(tmp_path)
    first, second = await remember(at), await remember(at)
    assert first.login_id != second.login_id


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"client_id": "x"},
        {"token_url": "http://127.0.0.2/token"},
        {"scope": "openid"},
        {"audience": "x"},
        {"resource": "http://x"},
        {"parameters": (("tenant", "x"),)},
        {"token_url": None, "issuer_url": "http://127.0.0.1/token"},
    ],
)
def test_a_login_belongs_to_the_settings_it_was_made_with(changed: dict[str, object]) -> None:
    assert replace(SETTINGS, **changed).key != SETTINGS.key  # type: ignore[arg-type]


def test_a_login_outlives_a_change_of_the_secret_and_of_the_timeout() -> None:
    assert replace(SETTINGS, timeout=1.0, auth_method="client_secret_post").key == SETTINGS.key


async def test_a_removed_login_is_gone_with_its_token(tmp_path: Path, keyring: Keyring) -> None:
    for storage in STORAGES:
        at = store(tmp_path, storage, keyring)
        await remember(at)
        async with at.locked(5):
            await at.remove()
        assert at.look() is None
        assert {path.suffix for path in at.path.parent.iterdir()} == {".lock"}
        assert not keyring.held


async def test_a_damaged_file_can_be_removed(tmp_path: Path) -> None:
    at = store(tmp_path)
    await remember(at)
    at.path.write_text("{")
    async with at.locked(5):
        await at.remove()
    assert at.look() is None


async def test_an_ended_login_has_no_refresh_token_any_more(tmp_path: Path, keyring: Keyring) -> None:
    for storage in STORAGES:
        at = store(tmp_path, storage, keyring)
        login = await remember(at)
        async with at.locked(5):
            await at.end(replace(login, ended_at=NOW, ended="it is over"))
        login = at.look() or login
        assert login.ended == "it is over"
        with pytest.raises(CredentialUnavailable, match="camunda-auth-proxy login me"):
            await stored_token(at)


# -- files that are not used --


def others_may_read(path: Path) -> None:
    path.chmod(0o640)


def of_another_user(path: Path) -> None:
    os.chown(path, 12345, -1)


def folder_of_another_user(path: Path) -> None:
    os.chown(path.parent, 12345, -1)


def folder_open_to_all(path: Path) -> None:
    path.parent.chmod(0o777)


UNSAFE = [
    (others_may_read, "chmod 600"),
    (of_another_user, "belongs to another user \\(uid 12345"),
    (folder_of_another_user, "belongs to another user \\(uid 12345"),
    (folder_open_to_all, "can be written by every user"),
]


@pytest.mark.parametrize(("spoil", "said"), UNSAFE)
async def test_a_file_that_others_could_use_is_refused(tmp_path: Path, spoil: object, said: str) -> None:
    if spoil in (of_another_user, folder_of_another_user) and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    at = store(tmp_path)
    login = await remember(at)
    spoil(at.path)  # type: ignore[operator]
    with pytest.raises(CredentialUnavailable, match=said) as caught:
        at.look()
    assert "credentials.me" in str(caught.value)
    assert TOKEN not in str(caught.value)
    at.path.parent.chmod(0o700)
    os.chown(at.path.parent, os.geteuid(), -1)
    os.chown(at.path, os.geteuid(), -1)
    at.path.chmod(0o600)
    token = at.path.with_suffix(".token")
    spoil(token)  # type: ignore[operator]
    with pytest.raises(CredentialUnavailable, match=said):
        async with at.locked(5):
            await at.refresh_token(login)


async def test_nothing_is_stored_in_a_folder_that_others_can_write(tmp_path: Path) -> None:
    folder = tmp_path / "logins"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(CredentialUnavailable, match="can be written by every user"):
        await remember(store(tmp_path))
    assert not list(folder.iterdir())


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "logins").write_text("a file")
    with pytest.raises(CredentialUnavailable, match="logins"):
        await remember(store(tmp_path))


GOOD = {"version": 1, "login_id": "a", "logged_in_at": 1.0, "kept_in": "file"}
DAMAGED = [
    b"",
    b"[]",
    b"null",
    b"{",
    b"\xff",
    b"[" * 10000,
    json.dumps(GOOD | {"version": 2}).encode(),
    json.dumps(GOOD | {"login_id": ""}).encode(),
    json.dumps(GOOD | {"login_id": 1}).encode(),
    json.dumps(GOOD | {"logged_in_at": "now"}).encode(),
    json.dumps(GOOD | {"logged_in_at": True}).encode(),
    json.dumps(GOOD | {"kept_in": "pocket"}).encode(),
    json.dumps(GOOD | {"kept_in": []}).encode(),
    json.dumps(GOOD | {"ended": None}).encode(),
    json.dumps(GOOD | {"ends_at": "soon"}).encode(),
    json.dumps(GOOD | {"ends_fixed": "yes"}).encode(),
    b'{"version": 1, "login_id": "a", "logged_in_at": 1e999, "kept_in": "file"}',
]


@pytest.mark.parametrize("data", DAMAGED)
async def test_a_damaged_file_is_told_with_the_remedy(tmp_path: Path, data: bytes) -> None:
    at = store(tmp_path)
    await remember(at)
    at.path.write_bytes(data)
    with pytest.raises(CredentialUnavailable, match=r"damaged.*camunda-auth-proxy login me"):
        at.look()


def test_members_that_are_not_known_are_ignored() -> None:
    assert _parsed(json.dumps(GOOD | {"colour": "red"}).encode()) == StoredLogin("a", 1.0)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9) | st.integers(),
        lambda inner: st.dictionaries(st.sampled_from([*GOOD, "ended", "ends_at"]), inner),
        max_leaves=9,
    ).map(lambda value: json.dumps(value).encode())
)
def test_arbitrary_bytes_are_a_login_or_none(data: bytes) -> None:
    assert isinstance(_parsed(data), StoredLogin | None)


# -- the keyring --


async def test_a_keyring_that_works_holds_the_token_and_no_file_does(
    tmp_path: Path, keyring: Keyring
) -> None:
    at = store(tmp_path, "auto", keyring)
    assert (await remember(at)).kept_in == "keyring"
    assert [*keyring.held.values()] == [TOKEN]
    assert await stored_token(at) == TOKEN
    assert {path.suffix for path in at.path.parent.iterdir()} == {".json", ".lock"}


async def test_without_a_keyring_that_works_the_token_is_in_a_file(tmp_path: Path, keyring: Keyring) -> None:
    keyring.broken = True
    at = store(tmp_path, "auto", keyring)
    assert (await remember(at)).kept_in == "file"
    assert await stored_token(at) == TOKEN


async def test_a_token_that_moves_to_the_keyring_leaves_no_file(tmp_path: Path, keyring: Keyring) -> None:
    keyring.broken = True
    await remember(store(tmp_path, "auto", keyring))
    keyring.broken = False
    at = store(tmp_path, "auto", keyring)
    await remember(at)
    assert not at.path.with_suffix(".token").exists()


async def test_storage_keyring_never_falls_back_to_a_file(tmp_path: Path, keyring: Keyring) -> None:
    keyring.broken = True
    at = store(tmp_path, "keyring", keyring)
    with pytest.raises(CredentialUnavailable, match="it is locked; or write storage: file"):
        await remember(at)
    assert {path.suffix for path in at.path.parent.iterdir()} == {".lock"}


async def test_storage_file_does_not_ask_the_keyring(tmp_path: Path, keyring: Keyring) -> None:
    keyring.broken = True
    assert (await remember(store(tmp_path, "file", keyring))).kept_in == "file"


async def test_a_keyring_that_is_locked_later_is_named(tmp_path: Path, keyring: Keyring) -> None:
    at = store(tmp_path, "auto", keyring)
    await remember(at)
    keyring.broken = True
    with pytest.raises(CredentialUnavailable, match="the keyring cannot be read: it is locked"):
        await stored_token(at)


# -- the lock --


async def test_the_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    one, other = store(tmp_path), store(tmp_path)
    async with one.locked(5):
        with pytest.raises(CredentialUnavailable, match="another process has used the stored login"):
            async with other.locked(0.1):
                pass
    async with other.locked(0.1):
        pass


async def test_a_wait_for_the_lock_that_is_cancelled_leaves_it_free(tmp_path: Path) -> None:
    one, other = store(tmp_path), store(tmp_path)

    async def want() -> None:
        async with other.locked(5):
            raise AssertionError("it was not free")

    async with asyncio.TaskGroup() as tasks, one.locked(5):
        waiting = tasks.create_task(want())
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        waiting.cancel()
        await asyncio.wait([waiting])
    async with one.locked(0.1):
        pass


async def test_an_error_under_the_lock_frees_it(tmp_path: Path) -> None:
    at = store(tmp_path)
    with pytest.raises(KeyError):
        async with at.locked(5):
            raise KeyError
    async with at.locked(0.1):
        pass


# -- how long a login lasts --


def test_an_end_that_each_refresh_puts_off_is_not_fixed() -> None:
    """Keycloak: the idle time of a session (1,800 s)."""
    login = replace(new_login(NOW, ends_at=NOW + 1800))
    for at in range(200, 4000, 200):
        login = login.refreshed(NOW + at, NOW + at + 1800)
        assert not login.ends_fixed


def test_an_end_that_a_refresh_does_not_put_off_is_fixed() -> None:
    """Keycloak near the longest life of a session; Entra ID with single-page applications."""
    login = new_login(NOW, ends_at=NOW + 86400).refreshed(NOW + 200, NOW + 86401)
    assert login.ends_fixed
    assert login.refreshed(NOW + 200.5, NOW + 86400).ends_fixed


def test_two_refreshes_at_once_fix_no_end() -> None:
    login = new_login(NOW, ends_at=NOW + 1800).refreshed(NOW + 200, NOW + 2000)
    assert not login.refreshed(NOW + 200.1, NOW + 2000).ends_fixed


def test_an_end_that_is_not_told_any_more_is_not_known() -> None:
    login = new_login(NOW, ends_at=NOW + 1800).refreshed(NOW + 200, None)
    assert (login.ends_at, login.ends_fixed) == (None, False)
