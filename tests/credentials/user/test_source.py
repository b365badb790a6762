"""Access tokens for a person: what is sent, what is stored of an answer, when a login is over."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from proxy.clock import date_of
from proxy.credentials.outbound import Outbound
from proxy.credentials.secret import TextSecret
from proxy.credentials.user.logins import LoginStore, StoredLogin, new_login
from proxy.credentials.user.settings import UserSettings
from proxy.credentials.user.source import UserSource
from proxy.errors import CredentialRejected, CredentialUnavailable, LoginNeeded
from tests.clock import FakeClock
from tests.credentials.user.test_logins import Keyring
from tests.refreshing import RefreshProvider, refresh_provider, refused
from tests.token_server import raw_server

NOW = 1_900_000_000.0
COMMAND = "camunda-auth-proxy login me"


@pytest.fixture
async def provider() -> AsyncIterator[RefreshProvider]:
    async with refresh_provider() as provider:
        yield provider


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound()
    yield outbound
    await outbound.close()


class Desk:
    """A person's stored login, and sources of it: each is a process of its own, as far as they know."""

    def __init__(self, folder: Path, provider: RefreshProvider, outbound: Outbound) -> None:
        self.settings = UserSettings("me", "proxy", token_url=provider.url, timeout=5.0)
        self.keyring = Keyring()
        self.now = NOW
        self._folder = folder
        self._outbound = outbound

    def store(self, storage: Any = "file") -> LoginStore:
        return LoginStore(self._folder, "me-key", "me", storage, self.keyring, lambda: self.now)

    def source(self, storage: Any = "file", **changes: Any) -> UserSource:
        settings = replace(self.settings, **changes)
        return UserSource(settings, self.store(storage), self._outbound, FakeClock(), finish=5.0)

    async def log_in(self, token: str, storage: Any = "file", ends_at: float | None = None) -> None:
        at = self.store(storage)
        async with at.locked(5):
            await at.write(new_login(NOW, username="jane", ends_at=ends_at), token)

    def login(self) -> StoredLogin:
        login = self.store().look()
        assert login is not None
        return login

    async def token(self) -> str:
        at = self.store()
        async with at.locked(5):
            return await at.refresh_token(self.login())


@pytest.fixture
def desk(tmp_path: Path, provider: RefreshProvider, outbound: Outbound) -> Desk:
    return Desk(tmp_path / "logins", provider, outbound)


async def test_a_refresh_sends_the_stored_token_and_stores_the_new_one(
    desk: Desk, provider: RefreshProvider
) -> None:
    await desk.log_in(provider.log_in())
    credential = await desk.source().fetch()
    assert credential.fields == ((b"Authorization", b"Bearer access-jane-1"),)
    assert provider.asked == [
        {"grant_type": "refresh_token", "refresh_token": "canary-refresh-jane-1", "client_id": "proxy"}
    ]
    assert await desk.token() == "canary-refresh-jane-2"
    assert desk.login().sent_at is None
    await desk.source().fetch()
    assert provider.asked[1]["refresh_token"] == "canary-refresh-jane-2"


async def test_without_a_new_refresh_token_the_old_one_stays(desk: Desk, provider: RefreshProvider) -> None:
    provider.rotates = False
    await desk.log_in(provider.log_in())
    for _ in range(3):
        await desk.source().fetch()
    assert {each["refresh_token"] for each in provider.asked} == {"canary-refresh-jane-1"}


async def test_scope_is_not_sent_again_but_audience_resource_and_parameters_are(
    desk: Desk, provider: RefreshProvider
) -> None:
    await desk.log_in(provider.log_in())
    more = (("tenant", "t"), ("refresh_token", "mine"))
    await desk.source(scope="openid", audience="a", resource="https://r", parameters=more).fetch()
    (asked,) = provider.asked
    assert "scope" not in asked
    assert (asked["audience"], asked["resource"], asked["tenant"]) == ("a", "https://r", "t")
    assert asked["refresh_token"] == "canary-refresh-jane-1"


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
async def test_a_confidential_client_proves_itself(
    desk: Desk, provider: RefreshProvider, method: Any
) -> None:
    await desk.log_in(provider.log_in())
    await desk.source(secret=TextSecret("s:/ecret"), auth_method=method).fetch()
    posted = provider.asked[0].get("client_secret")
    basic = provider.headers[0].get("Authorization")
    assert (posted, basic) == {
        "client_secret_post": ("s:/ecret", None),
        "client_secret_basic": (None, "Basic cHJveHk6cyUzQSUyRmVjcmV0"),
    }[method]


# -- one refresh at a time --


async def test_sources_that_refresh_at_once_never_use_a_token_twice(
    desk: Desk, provider: RefreshProvider
) -> None:
    await desk.log_in(provider.log_in())
    await asyncio.gather(*(desk.source().fetch() for _ in range(8)))
    assert provider.reuses == 0
    assert len({each["refresh_token"] for each in provider.asked}) == 8


async def test_the_lock_is_not_held_while_nothing_is_sent(desk: Desk, provider: RefreshProvider) -> None:
    with pytest.raises(LoginNeeded):
        await desk.source().fetch()
    async with desk.store().locked(0.1):
        pass


# -- no person is logged in, or not any more --


async def test_without_a_login_nothing_is_sent_and_the_command_is_named(
    desk: Desk, provider: RefreshProvider
) -> None:
    with pytest.raises(LoginNeeded, match=COMMAND) as caught:
        await desk.source().fetch()
    assert caught.value.command == COMMAND
    assert not provider.asked


async def test_a_login_that_the_provider_ended_is_told_once_and_never_sent_again(
    desk: Desk, provider: RefreshProvider
) -> None:
    await desk.log_in(provider.log_in())
    provider.end()
    for source in (desk.source(), desk.source()):
        with pytest.raises(LoginNeeded) as caught:
            await source.fetch()
        assert "the login of credentials.me has ended" in str(caught.value)
        assert "invalid_grant: Session not active" in str(caught.value)
        assert f"Log in again: {COMMAND}" in str(caught.value)
        assert "Session not active" not in caught.value.detail
        assert COMMAND in caught.value.detail
        assert "lost" not in str(caught.value)
    assert len(provider.asked) == 1
    assert desk.login().ended_at == NOW
    assert not desk.store().path.with_suffix(".token").exists()


async def test_a_login_that_ended_while_a_process_waited_for_the_lock_is_not_sent(
    desk: Desk, provider: RefreshProvider
) -> None:
    await desk.log_in(provider.log_in())
    source, at = desk.source(), desk.store()

    async def learns() -> None:
        with pytest.raises(LoginNeeded, match="another process has learnt it"):
            await source.fetch()

    async with asyncio.TaskGroup() as tasks, at.locked(5):
        fetching = tasks.create_task(learns())
        await asyncio.wait([fetching], timeout=0.1)
        await at.write(replace(desk.login(), ended_at=NOW, ended="another process has learnt it"))
    assert not provider.asked


async def test_after_a_new_login_it_goes_on(desk: Desk, provider: RefreshProvider) -> None:
    await desk.log_in(provider.log_in())
    provider.end()
    source = desk.source()
    with pytest.raises(LoginNeeded):
        await source.fetch()
    await desk.log_in(provider.log_in("john"))
    assert (await source.fetch()).fields[0][1].startswith(b"Bearer access-john")


# -- lost answers --


async def test_an_answer_that_was_lost_is_told_when_the_provider_ends_the_login(
    desk: Desk, provider: RefreshProvider
) -> None:
    await desk.log_in(provider.log_in())
    provider.lose = 1
    with pytest.raises(CredentialUnavailable):
        await desk.source().fetch()
    assert desk.login().sent_at == NOW
    desk.now += 60
    with pytest.raises(LoginNeeded) as caught:
        await desk.source().fetch()
    assert f"the answer to the refresh at {date_of(NOW)} was lost" in str(caught.value)
    assert COMMAND in str(caught.value)


async def test_a_lost_answer_costs_nothing_where_tokens_do_not_rotate(
    desk: Desk, provider: RefreshProvider
) -> None:
    provider.rotates = False
    await desk.log_in(provider.log_in())
    provider.lose = 1
    with pytest.raises(CredentialUnavailable):
        await desk.source().fetch()
    await desk.source().fetch()
    assert desk.login().sent_at is None


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=502, text="bad gateway"),
        web.Response(status=504),
        web.Response(status=408),
        web.Response(status=200, text="<html>", content_type="text/html"),
        web.Response(status=200, text='{"access_token": "a', content_type="application/json"),
    ],
)
async def test_an_answer_of_a_gateway_counts_as_lost(
    desk: Desk, provider: RefreshProvider, answer: web.Response
) -> None:
    """The token endpoint behind it may have used the refresh token."""
    await desk.log_in(provider.log_in())
    provider.script.append(answer)
    with pytest.raises(CredentialUnavailable):
        await desk.source().fetch()
    assert desk.login().sent_at == NOW


async def test_a_connection_that_was_never_made_loses_no_answer(
    desk: Desk, provider: RefreshProvider
) -> None:
    await desk.log_in(provider.log_in())
    with pytest.raises(CredentialUnavailable):
        await desk.source(token_url="http://127.0.0.1:1/token").fetch()
    assert desk.login().sent_at is None
    await desk.source().fetch()


async def test_an_earlier_lost_answer_is_remembered_over_a_failed_connection(
    desk: Desk, provider: RefreshProvider
) -> None:
    await desk.log_in(provider.log_in())
    provider.lose = 1
    with pytest.raises(CredentialUnavailable):
        await desk.source().fetch()
    desk.now += 60
    with pytest.raises(CredentialUnavailable):
        await desk.source(token_url="http://127.0.0.1:1/token").fetch()
    assert desk.login().sent_at == NOW


async def test_half_an_answer_is_a_lost_one(desk: Desk) -> None:
    await desk.log_in("canary")
    whole = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"access_'
    async with raw_server(whole) as url:
        with pytest.raises(CredentialUnavailable):
            await desk.source(token_url=url).fetch()
    assert desk.login().sent_at == NOW


async def test_a_refresh_that_is_cancelled_stores_the_answer_that_is_under_way(
    desk: Desk, provider: RefreshProvider
) -> None:
    await desk.log_in(provider.log_in())
    provider.open.clear()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        fetching = tasks.create_task(desk.source().fetch())
        await provider.came.wait()
        fetching.cancel()
        await asyncio.wait([fetching], timeout=0.05)
        assert not fetching.done()
        provider.open.set()
    assert fetching.cancelled()
    assert desk.login().sent_at is None
    await desk.source().fetch()
    assert provider.reuses == 0


async def test_a_stop_does_not_wait_for_ever(
    desk: Desk, provider: RefreshProvider, outbound: Outbound
) -> None:
    await desk.log_in(provider.log_in())
    provider.open.clear()
    source = UserSource(desk.settings, desk.store(), outbound, FakeClock(), finish=0.1)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        fetching = tasks.create_task(source.fetch())
        await provider.came.wait()
        fetching.cancel()
    assert desk.login().sent_at == NOW
    async with desk.store().locked(0.1):
        pass


async def test_a_refresh_that_waits_for_another_process_does_not_hold_up_the_stop(
    desk: Desk, provider: RefreshProvider
) -> None:
    await desk.log_in(provider.log_in())
    async with asyncio.TaskGroup() as tasks, desk.store().locked(5):
        fetching = tasks.create_task(desk.source().fetch())
        await asyncio.wait([fetching], timeout=0.1)
        fetching.cancel()
        await asyncio.wait([fetching], timeout=1)
        assert fetching.cancelled()
    assert not provider.asked
    async with desk.store().locked(0.1):
        pass


# -- refusals of the client, and other failures: the login stays --


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (lambda: refused("invalid_client", status=401), CredentialRejected, "credentials.me.client_id"),
        (lambda: refused("unauthorized_client"), CredentialRejected, "the login stays stored"),
        (lambda: refused("unsupported_grant_type"), CredentialUnavailable, "the login stays stored"),
        (lambda: refused("invalid_scope"), CredentialRejected, "scope"),
        (lambda: refused("invalid_target"), CredentialRejected, "audience"),
        (lambda: web.Response(status=429), CredentialUnavailable, "429"),
        (
            lambda: web.Response(status=302, headers={"Location": "/login"}),
            CredentialUnavailable,
            "client_id",
        ),
    ],
)
async def test_another_refusal_names_the_setting_and_the_login_stays(
    outbound: Outbound, desk: Desk, provider: RefreshProvider, answer: Any, kind: Any, said: str
) -> None:
    desk._outbound = Outbound(section="credentials.me", addresses={})
    await desk.log_in(provider.log_in())
    provider.script.append(answer())
    settings = {"scope": "openid", "audience": "api"}
    with pytest.raises(kind, match=said) as caught:
        await desk.source(**settings).fetch()
    assert not isinstance(caught.value, LoginNeeded)
    await desk._outbound.close()
    desk._outbound = outbound
    assert (desk.login().ended_at, desk.login().sent_at) == (None, None)
    await desk.source().fetch()
    assert provider.reuses == 0


# -- storing --


async def test_the_new_token_is_stored_even_if_the_access_token_cannot_be_used(
    desk: Desk, provider: RefreshProvider
) -> None:
    await desk.log_in(provider.log_in())
    provider.members = {"token_type": "mac"}
    with pytest.raises(CredentialUnavailable):
        await desk.source().fetch()
    provider.members = {}
    await desk.source().fetch()
    assert provider.reuses == 0


async def test_a_token_that_cannot_be_stored_is_kept_in_memory_and_stored_later(
    desk: Desk, provider: RefreshProvider, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.log_in(provider.log_in(), "keyring")
    source = desk.source("keyring")
    desk.keyring.full = True
    assert (await source.fetch()).fields
    assert "in the memory of this process only" in caplog.text
    assert "canary" not in caplog.text
    desk.keyring.full = False
    await source.fetch()
    await desk.source("keyring").fetch()
    assert provider.reuses == 0


async def test_a_token_in_memory_is_not_sent_after_another_login(
    desk: Desk, provider: RefreshProvider
) -> None:
    await desk.log_in(provider.log_in(), "keyring")
    source = desk.source("keyring")
    desk.keyring.full = True
    await source.fetch()
    desk.keyring.full = False
    await desk.log_in(provider.log_in("john"), "keyring")
    assert (await source.fetch()).fields[0][1].startswith(b"Bearer access-john")


async def test_a_keyring_that_locks_meanwhile_is_replaced_by_a_file_with_a_warning(
    desk: Desk, provider: RefreshProvider, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.log_in(provider.log_in(), "auto")
    desk.keyring.full = True
    await desk.source("auto").fetch()
    assert "the keyring could not be used" in caplog.text
    assert await desk.token() == "canary-refresh-jane-2"


async def test_nothing_is_sent_if_the_mark_cannot_be_stored(desk: Desk, provider: RefreshProvider) -> None:
    await desk.log_in(provider.log_in())
    store = desk.store()
    store.path.with_name("blocked").mkdir()

    class Full(LoginStore):
        async def write(self, login: StoredLogin, refresh_token: str | None = None) -> StoredLogin:
            raise CredentialUnavailable("no space left on device")

    full = Full(store.path.parent, "me-key", "me", "file", None, lambda: NOW)
    source = UserSource(desk.settings, full, desk._outbound, FakeClock())
    with pytest.raises(CredentialUnavailable, match="no space left"):
        await source.fetch()
    assert not provider.asked


# -- the end of a refresh token --


async def test_the_end_that_the_provider_names_is_stored(desk: Desk, provider: RefreshProvider) -> None:
    await desk.log_in(provider.log_in(), ends_at=NOW + 86400)
    for name, life in (("refresh_expires_in", 43200), ("refresh_token_expires_in", 43000)):
        desk.now += 400
        provider.members = {name: life}
        await desk.source().fetch()
        assert desk.login().ends_at == desk.now + life
    provider.members = {"refresh_expires_in": 0}
    await desk.source().fetch()
    assert desk.login().ends_at is None


async def test_no_secret_is_in_any_message(desk: Desk, provider: RefreshProvider) -> None:
    await desk.log_in(provider.log_in())
    provider.script.append(refused("invalid_grant", "token canary-refresh-jane-1 of s3cret-canary is bad"))
    source = desk.source(secret=TextSecret("s3cret-canary"), auth_method="client_secret_post")
    with pytest.raises(LoginNeeded) as caught:
        await source.fetch()
    assert "canary" not in str(caught.value) + caught.value.detail + desk.store().path.read_text()
    assert "token *** of *** is bad" in str(caught.value)
