"""A person's credential in the running proxy: logins and logouts elsewhere, and what callers are told."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.app.user import settings_of, store_of, who
from proxy.commands.tables import running_table
from proxy.config.model import User
from proxy.credentials.secret import TextSecret
from proxy.credentials.user.logins import LoginStore, new_login
from proxy.errors import CredentialUnavailable
from tests.app.in_process import House, house
from tests.refreshing import RefreshProvider, refresh_provider

COMMAND = "camunda-auth-proxy login identity"


def command_of(it: House) -> str:
    """What the person has to run, with the options that name the proxy's configuration."""
    assert it.proxy.config is not None
    return f"{COMMAND} --config {it.proxy.config.source}"


class Person:
    """The person at another terminal."""

    def __init__(self, it: House, provider: RefreshProvider) -> None:
        self.it, self.provider = it, provider

    @property
    def config(self) -> User:
        config = self.it.proxy.config
        assert config is not None
        credential = config.credentials["identity"]
        assert isinstance(credential, User)
        return credential

    @property
    def store(self) -> LoginStore:
        return store_of(self.config, settings_of(self.config, lambda ref, setting: TextSecret("")))

    async def log_in(self, name: str = "jane") -> None:
        async with self.store.locked(5):
            await self.store.write(new_login(1.0, username=name), self.provider.log_in(name))

    async def log_out(self) -> None:
        async with self.store.locked(5):
            await self.store.remove()


@asynccontextmanager
async def desk(folder: Path, **more: object) -> AsyncIterator[tuple[House, Person]]:
    async with refresh_provider() as provider:

        def prepare(it: House) -> None:
            it.document["credentials"]["identity"] = {
                "type": "user",
                "token_url": provider.url,
                "device_authorization_url": f"{provider.url}/device",
                "client_id": "proxy",
                "storage": "file",
                "storage_dir": str(folder / "logins"),
                "wait": "0s",
            } | more

        async with house(folder, prepare) as it:
            yield it, Person(it, provider)


async def refused(it: House) -> dict[str, object]:
    answer = await it.ask()
    assert answer.status == 503, answer
    body: dict[str, object] = json.loads(answer.body)
    assert body["type"] == "urn:camunda-auth-proxy:login_needed"
    assert body["help"] == "docs/troubleshooting.md#login_needed"
    assert body["hint"] == command_of(it)
    assert command_of(it) in str(body["detail"])
    return body


async def test_before_a_login_the_503_names_the_command_and_nothing_is_forwarded(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, person):
        body = await refused(it)
        assert "no person is logged in" in str(body["detail"]).lower()
        assert not it.a.shown
        assert not person.provider.asked


async def test_a_login_in_another_terminal_is_used_within_two_seconds(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, person):
        await refused(it)
        await person.log_in()
        await it.clock.advance(2)
        await it.until(lambda: it.upstream().keeper.current)
        assert await it.says() == "a"
        assert it.a.shown == [b"Bearer access-jane-1"]


async def test_the_log_masks_the_refresh_token(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, person):
        await person.log_in()
        await it.clock.advance(2)
        await it.until(lambda: it.upstream().keeper.current)
        assert "canary-refresh-jane-2" in set(it.proxy.known_secrets())


async def test_after_a_logout_in_another_terminal_the_token_is_not_sent_any_more(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, person):
        await person.log_in()
        await it.clock.advance(2)
        await it.until(lambda: it.upstream().keeper.current)
        await person.log_out()
        await it.clock.advance(2)
        assert it.upstream().keeper.current is None
        await refused(it)
        assert not it.a.shown


async def test_after_another_person_has_logged_in_only_that_one_is_sent(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, person):
        await person.log_in("jane")
        await it.clock.advance(2)
        await it.until(lambda: it.upstream().keeper.current)
        person.provider.open.clear()
        await person.log_in("john")
        await it.clock.advance(2)
        assert it.upstream().keeper.current is None
        person.provider.open.set()
        await it.until(lambda: it.upstream().keeper.current)
        assert await it.says() == "a"
        assert it.a.shown == [b"Bearer access-john-2"]


async def test_a_refresh_by_another_process_changes_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, person):
        await person.log_in()
        await it.clock.advance(2)
        await it.until(lambda: it.upstream().keeper.current)
        login = person.store.look()
        assert login is not None
        async with person.store.locked(5):
            await person.store.write(login.refreshed(2.0, None), "another")
        await it.clock.advance(20)
        assert it.upstream().keeper.current is not None
        assert len(person.provider.asked) == 1


async def test_a_token_is_refreshed_ahead_of_its_expiry(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, person):
        await person.log_in()
        await it.clock.advance(2)
        await it.until(lambda: it.upstream().keeper.current)
        await it.clock.advance(0.8 * 300)
        await it.until(lambda: len(person.provider.asked) == 2)
        await it.until(lambda: it.upstream().keeper.snapshot().next_attempt)
        assert await it.says() == "a"
        assert it.a.shown == [b"Bearer access-jane-2"]


async def test_a_login_that_ended_is_told_everywhere_and_its_token_is_used_until_it_expires(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk(tmp_path) as (it, person):
        await person.log_in()
        await it.clock.advance(2)
        await it.until(lambda: it.upstream().keeper.current)
        person.provider.end()
        await it.clock.advance(0.8 * 300)
        await it.until(lambda: it.upstream().keeper.snapshot().failures)
        assert await it.says() == "a"
        await it.clock.advance(300)
        await refused(it)
        assert len(person.provider.asked) == 2  # the dead refresh token is not sent again
        why = "the login of credentials.identity has ended: "
        status = json.loads((await it.look("/status.json")).body)
        assert why in status["credentials"][0]["reason"]
        assert status["credentials"][0]["command"] == command_of(it)
        assert status["credentials"][0]["last_outcome"] == "login_needed"
        assert why in json.loads((await it.look("/health/ready")).body)["upstreams"]["zeebe"]["reason"]
        assert why in caplog.text
        assert command_of(it) in caplog.text
        assert f"\nlogin {command_of(it)}\n" in running_table(it.proxy)
        assert await it.metric("credential_fetches_total", credential="identity", outcome="login_needed") >= 1
        assert "canary" not in caplog.text + json.dumps(status)


async def test_the_end_of_a_login_is_warned_of_where_refreshes_do_not_put_it_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk(tmp_path) as (it, person):
        await person.log_in()
        person.provider.members = {"refresh_expires_in": 100}
        login = person.store.look()
        assert login is not None
        async with person.store.locked(5):
            end = person.store.wall() + 100
            await person.store.write(login.refreshed(person.store.wall() - 500, end))
        await it.clock.advance(2)
        await it.until(lambda: it.upstream().keeper.current)
        await it.clock.advance(2)
        status = it.upstream().keeper.snapshot()
        assert status.usable
        assert "the login of credentials.identity expires in " in status.reason
        assert f"log in again: {COMMAND}" in status.reason
        assert 0 < (status.login_ends_at or 0) - it.clock.now() <= 100
        assert "expires in" in caplog.text


async def test_an_end_that_each_refresh_puts_off_is_not_warned_of(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, person):
        await person.log_in()
        person.provider.members = {"refresh_expires_in": 1}
        await it.clock.advance(2)
        await it.until(lambda: it.upstream().keeper.current)
        await it.clock.advance(2)
        status = it.upstream().keeper.snapshot()
        assert (status.reason, status.login_ends_at) == ("", None)
        login = person.store.look()
        assert login is not None
        assert login.ends_at is not None


async def test_the_terminal_and_the_page_say_who_is_logged_in(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, person):
        assert who(person.config) == ""
        assert "the person who logs in: credential identity (user)" in running_table(it.proxy)
        await person.log_in()
        assert who(person.config) == "jane"
        assert "jane: credential identity (user)" in running_table(it.proxy)


async def test_a_reload_while_a_refresh_is_under_way_loses_no_answer(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, person):
        await person.log_in()
        person.provider.open.clear()
        await it.clock.advance(2)
        await it.until(lambda: person.provider.asked)
        it.document["credentials"]["identity"]["timeout"] = "30s"
        await it.apply()
        person.provider.open.set()
        await it.until(lambda: it.upstream().keeper.current)
        assert await it.says() == "a"
        await it.clock.advance(300)
        assert person.provider.reuses == 0


async def test_a_proxy_that_stops_while_a_refresh_is_under_way_loses_no_answer(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, person):
        await person.log_in()
        person.provider.open.clear()
        await it.clock.advance(2)
        await it.until(lambda: person.provider.asked)
        it.clock.call_later(0.5, person.provider.open.set)
        store = person.store
        import asyncio

        asyncio.get_running_loop().call_later(0.2, person.provider.open.set)
    login = store.look()
    assert login is not None
    assert login.sent_at is None


async def test_a_stored_login_that_others_can_read_is_refused_in_words(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, person):
        await person.log_in()
        person.store.path.with_suffix(".token").chmod(0o644)
        await it.clock.advance(2)
        await it.until(lambda: "can be used by other users" in it.upstream().keeper.snapshot().reason)
        answer = await it.ask()
        assert (answer.status, "chmod 600" in answer.body.decode()) == (503, True)
        assert not person.provider.asked
        with pytest.raises(CredentialUnavailable):
            async with person.store.locked(5):
                await person.store.refresh_token(person.store.look() or new_login(1.0))
