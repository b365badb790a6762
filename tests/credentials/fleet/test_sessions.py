"""One session for a fleet: what the login server sees, and what happens when a session or the store ends."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from proxy.app.stores import shared_sessions
from proxy.credentials.credential import Credential
from proxy.credentials.fleet.entry import Store, StoreError
from proxy.credentials.fleet.identity import Identity
from proxy.credentials.fleet.key import Facts
from proxy.credentials.fleet.sessions import FleetSessions, Login
from proxy.credentials.keeper import Keeper
from proxy.credentials.outbound import Outbound
from proxy.credentials.secret import Secret, TextSecret
from proxy.credentials.session import LoginSettings, LoginSource, pace
from proxy.credentials.sharing import StoreTally
from proxy.demo import DIALECTS, SimulatedCamunda, simulated_camunda
from proxy.errors import CredentialRejected
from tests.clock import FakeClock
from tests.credentials.fleet.memory_store import MemoryStore
from tests.credentials.fleet.test_imports import STORE
from tests.credentials.sources import ScriptedLogin, outcome, running
from tests.credentials.test_session import call

IDLE = 1500.0
KEY = TextSecret("a key of the fleet")
PASSWORD = TextSecret("the password")
REFUSED = CredentialRejected("the login server refused the user name or the password (401)")


def facts(proof: str) -> Facts:
    return Facts("http://operate", "demo", proof, None, None, None, "session")


def shared(
    login: Login, store: Store, clock: FakeClock, number: int, password: Secret = PASSWORD
) -> FleetSessions:
    """Make what one proxy asks; `number` seeds its chances."""
    return FleetSessions(
        "login",
        login,
        Identity(facts, password, KEY),
        store,
        StoreTally("memory"),
        clock=clock,
        prefix="cap:",
        policy=pace(IDLE),
        random=random.Random(number).uniform,
    )


def one(login: Login, store: Store, clock: FakeClock, number: int, password: Secret = PASSWORD) -> Keeper:
    """Make the keeper of one proxy."""
    fleet = shared(login, store, clock, number, password)
    return Keeper(
        "login",
        login,
        clock=clock,
        sessions=fleet,
        policy=pace(IDLE),
        secret=password,
        shared=fleet,
        random=random.Random(number).random,
    )


class Fleet:
    """A store, a login server, and the proxies that share them."""

    def __init__(self, size: int) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.login = ScriptedLogin(self.clock, takes=0.2)
        self.keepers = [one(self.login, self.store, self.clock, number) for number in range(size)]

    @property
    def logins(self) -> int:
        return len(self.login.begun)

    @property
    def cookies(self) -> list[bytes]:
        """The cookie of the session of each proxy that has one."""
        return [session_of(each) for each in self.keepers]

    @asynccontextmanager
    async def running(self, *keepers: Keeper) -> AsyncIterator[asyncio.TaskGroup]:
        """Run these proxies, or all; then close them."""
        async with asyncio.TaskGroup() as group:
            loops = [running(each, self.clock) for each in keepers or self.keepers]
            for each in loops:
                await each.__aenter__()
            try:
                yield group
            finally:
                for each in loops:
                    await each.__aexit__(None, None, None)
                for keeper in keepers or self.keepers:
                    await keeper.close()


def session_of(keeper: Keeper) -> bytes:
    current = keeper.current
    return dict(current.fields)[b"Cookie"].partition(b";")[0] if current is not None else b""


def in_use(keeper: Keeper) -> Credential:
    assert keeper.current is not None
    return keeper.current


async def test_proxies_that_start_together_log_in_once_and_no_exit_ends_the_session_of_the_others() -> None:
    fleet = Fleet(20)
    async with fleet.running():
        await fleet.clock.advance(1.0)
        assert fleet.cookies == [b"S=1"] * 20
        assert all(each.session and each.expires_at is None for each in map(in_use, fleet.keepers))
    assert fleet.logins == 1
    assert fleet.login.left == []


async def test_a_refused_session_is_replaced_once_for_all_though_answers_have_changed_it() -> None:
    fleet = Fleet(3)
    async with fleet.running() as group:
        await fleet.clock.advance(5.0)
        fleet.keepers[0].note_session_fields(
            in_use(fleet.keepers[0]), ((b"set-cookie", b"X-CSRF-TOKEN=new"), (b"x-csrf-token", b"other"))
        )
        assert in_use(fleet.keepers[0]).fields != in_use(fleet.keepers[1]).fields
        repairs = [group.create_task(outcome(each.replace(in_use(each), 10.0))) for each in fleet.keepers]
        await fleet.clock.advance(5.0)
        assert [each.done() for each in repairs] == [True] * 3
        assert fleet.cookies == [b"S=2"] * 3
        await fleet.clock.advance(10.0)
    assert fleet.logins == 2
    assert fleet.login.left == []


async def test_a_late_refusal_of_an_old_session_leaves_the_new_one_alone() -> None:
    fleet = Fleet(2)
    async with fleet.running() as group:
        await fleet.clock.advance(5.0)
        group.create_task(outcome(fleet.keepers[0].replace(in_use(fleet.keepers[0]), 10.0)))
        await fleet.clock.advance(5.0)
        assert fleet.cookies == [b"S=2", b"S=1"]
        group.create_task(outcome(fleet.keepers[1].replace(in_use(fleet.keepers[1]), 10.0)))
        await fleet.clock.advance(5.0)
        assert fleet.cookies == [b"S=2", b"S=2"]
    assert fleet.logins == 2


async def test_suspicions_of_two_proxies_at_one_time_are_one_login() -> None:
    fleet = Fleet(2)
    async with fleet.running() as group:
        await fleet.clock.advance(61.0)
        fleet.login.takes = 8.0
        for keeper in fleet.keepers:
            group.create_task(outcome(keeper.replace(in_use(keeper), 20.0, suspected=True)))
            await fleet.clock.advance(1.0)
        await fleet.clock.advance(10.0)
        assert fleet.cookies == [b"S=2", b"S=2"]
    assert fleet.logins == 2


async def test_a_login_after_a_suspicion_replaces_a_session_that_others_still_use() -> None:
    fleet = Fleet(2)
    async with fleet.running() as group:
        await fleet.clock.advance(61.0)
        fleet.login.takes = 70.0
        group.create_task(outcome(fleet.keepers[0].replace(in_use(fleet.keepers[0]), 90.0, suspected=True)))
        for _ in range(8):
            await fleet.clock.advance(10.0)
            fleet.keepers[1].note_accepted(in_use(fleet.keepers[1]))
        assert fleet.cookies == [b"S=2", b"S=1"]
        late = one(fleet.login, fleet.store, fleet.clock, 9)
        async with fleet.running(late):
            await fleet.clock.advance(1.0)
            assert session_of(late) == b"S=2"
    assert fleet.logins == 2


async def test_a_session_that_one_proxy_uses_lives_for_all_and_one_that_none_uses_ends() -> None:
    fleet = Fleet(2)
    async with fleet.running() as group:
        await fleet.clock.advance(1.0)
        for _ in range(4):
            await fleet.clock.advance(IDLE / 2)
            fleet.keepers[0].note_accepted(in_use(fleet.keepers[0]))
        await fleet.clock.advance(70.0)  # its use is told to the store within a minute
        assert fleet.cookies == [b"S=1", b""]
        group.create_task(outcome(fleet.keepers[1].get(10.0)))
        await fleet.clock.advance(1.0)
        assert fleet.cookies == [b"S=1", b"S=1"]
        assert fleet.logins == 1
        await fleet.clock.advance(IDLE - 70.0)
        assert fleet.cookies == [b"", b""]
        assert fleet.store.values() == []
        group.create_task(outcome(fleet.keepers[1].get(10.0)))
        await fleet.clock.advance(1.0)
        assert fleet.cookies == [b"", b"S=2"]
    assert fleet.logins == 2


async def test_what_the_store_keeps_too_long_is_not_taken_for_a_fresh_session() -> None:
    fleet = Fleet(2)
    async with fleet.running(fleet.keepers[0]):
        await fleet.clock.advance(1.0)
    [key] = fleet.store.values()
    value = fleet.store.get(key)
    assert value is not None
    fleet.store.set(key, value, 86_400_000)
    async with fleet.running(fleet.keepers[1]):
        await fleet.clock.advance(IDLE - 1.0)
        assert fleet.cookies[1] == b"S=1"
        await fleet.clock.advance(2.0)
        assert fleet.cookies[1] == b""


async def test_a_proxy_that_cannot_log_in_takes_the_session_that_another_one_got() -> None:
    fleet = Fleet(0)
    one_proxy, other = (shared(fleet.login, fleet.store, fleet.clock, number) for number in (1, 2))
    async with asyncio.TaskGroup() as group:
        got: list[Credential] = []
        for _ in range(2):
            fetch = group.create_task(one_proxy.fetch(got[-1] if got else None, refused=bool(got)))
            await fleet.clock.advance(5.0)
            got.append(await fetch)
    old, new = got
    found = await other.look(old, failing=True, until=fleet.clock.now() + IDLE)
    assert found is not None
    assert (found.login, found.fields) == (new.login, new.fields)
    assert await other.look(new, failing=True, until=fleet.clock.now() + IDLE) is None


# -- refusals of the password --


async def test_a_wrong_password_is_tried_six_times_an_hour_by_the_whole_fleet() -> None:
    fleet = Fleet(0)
    fleet.login.always = REFUSED
    said = []
    async with asyncio.TaskGroup() as group:
        for number in range(180):  # each is another proxy, which has not tried yet
            attempt = shared(fleet.login, fleet.store, fleet.clock, number).fetch(None, refused=False)
            result = group.create_task(outcome(attempt))
            await fleet.clock.advance(60.0)
            said.append(str(await result))
    begun = fleet.login.begun
    assert max(sum(at <= other < at + 3600.0 for other in begun) for at in begun) == 6
    assert len(begun) >= 15
    assert "the login server refused the user name or the password when another proxy" in " ".join(said)


async def test_a_user_that_is_created_a_moment_later_gets_the_whole_fleet_in() -> None:
    fleet = Fleet(5)
    fleet.login.script.extend([REFUSED, REFUSED])
    async with fleet.running():
        await fleet.clock.advance(30.0)
        assert fleet.cookies == [b"S=1"] * 5
    assert fleet.logins == 3


async def test_another_password_meets_neither_the_session_nor_the_refusal_of_the_old_one() -> None:
    fleet = Fleet(1)
    fleet.login.script.append(REFUSED)
    other = one(fleet.login, fleet.store, fleet.clock, 1, TextSecret("a new one"))
    async with fleet.running(fleet.keepers[0]):
        await fleet.clock.advance(1.0)
        async with fleet.running(other):
            await fleet.clock.advance(1.0)
            assert session_of(other) == b"S=1"
            assert fleet.cookies == [b""]
            await fleet.clock.advance(30.0)
            assert fleet.cookies == [b"S=2"]


# -- the store --


async def test_while_the_store_is_down_each_proxy_logs_in_and_out_for_itself() -> None:
    fleet = Fleet(3)
    fleet.store.down = True
    async with fleet.running():
        await fleet.clock.advance(5.0)
        assert sorted(fleet.cookies) == [b"S=1", b"S=2", b"S=3"]
    assert fleet.logins == 3
    assert len(fleet.login.left) == 3


async def test_after_an_outage_one_of_the_sessions_is_shared_and_the_others_are_logged_out_as_before() -> (
    None
):
    fleet = Fleet(3)
    fleet.store.down = True
    async with fleet.running():
        await fleet.clock.advance(5.0)
        fleet.store.down = False
        await fleet.clock.advance(5.0)
        assert len(fleet.store.values()) == 1
        late = one(fleet.login, fleet.store, fleet.clock, 9)
        async with fleet.running(late):
            await fleet.clock.advance(1.0)
            taken = session_of(late)
    assert fleet.logins == 3
    left = [dict(each.fields)[b"Cookie"].partition(b";")[0] for each in fleet.login.left]
    assert sorted([taken, *left]) == [b"S=1", b"S=2", b"S=3"]


async def test_a_session_whose_sharing_was_answered_too_late_counts_as_shared() -> None:
    fleet = Fleet(0)

    class Late(MemoryStore):
        """The first PUT is done, and its answer is lost."""

        lost = False

        async def run(self, *asked: object) -> object:
            answer = await super().run(*asked)  # type: ignore[arg-type]
            if self.calls[-1] == "PUT" and not self.lost:
                self.lost = True
                raise StoreError("it does not answer in time")
            return answer

    store = Late(fleet.clock)
    fleet.keepers = [one(fleet.login, store, fleet.clock, 1)]
    async with fleet.running():
        await fleet.clock.advance(10.0)
        assert len(store.values()) == 1
    assert store.lost
    assert fleet.login.left == []


async def test_the_store_shows_neither_cookie_nor_user_nor_password() -> None:
    fleet = Fleet(1)
    async with fleet.running():
        await fleet.clock.advance(1.0)
        everything = b" ".join([each.encode() + value for each, (value, _) in fleet.store.data.items()])
    for secret in (b"S=1", b"masked", b"demo", b"operate", b"password"):
        assert secret not in everything


class Client(MemoryStore):
    """A store as the proxy's own client is one."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.tally = StoreTally("memory")


@pytest.mark.parametrize(
    "other",
    [
        {"base_url": "http://tasklist"},
        {"username": "act"},
        {"password": TextSecret("changed")},
        {"idle": 60.0},
    ],
)
async def test_login_address_user_password_and_idle_time_are_parts_of_the_name(other: dict[str, Any]) -> None:
    clock = FakeClock()
    client, login = Client(clock), ScriptedLogin(clock)
    first: dict[str, Any] = {
        "base_url": "http://operate",
        "username": "demo",
        "password": PASSWORD,
        "idle": IDLE,
    }
    for each in (first, first, first | other):
        settings = LoginSettings(each["base_url"], each["username"], each["password"])
        fleet = shared_sessions(
            "c",
            cast("Any", login),
            cast("Any", client),
            settings,
            STORE,
            KEY,
            clock=clock,
            policy=pace(each["idle"]),
        )
        assert (await fleet.fetch(None, refused=False)).session
    assert len(client.values()) == len(login.begun) == 2


# -- the servers of each version --


@asynccontextmanager
async def two_at(name: str) -> AsyncIterator[tuple[SimulatedCamunda, FakeClock, list[Keeper]]]:
    """Run two proxies that share a session of this version; the second one starts later."""
    clock = FakeClock()
    async with simulated_camunda(clock=clock) as camunda:
        store, keepers, outbounds = MemoryStore(clock), [], [Outbound(), Outbound()]
        settings = LoginSettings(camunda.url(name), camunda.username, TextSecret(camunda.password))
        for number, outbound in enumerate(outbounds):
            keepers.append(one(LoginSource(settings, outbound, clock), store, clock, number))
        async with running(keepers[0], clock):
            await keepers[0].get(10.0)
            async with running(keepers[1], clock):
                await keepers[1].get(10.0)
                yield camunda, clock, keepers
        for keeper, outbound in zip(keepers, outbounds, strict=True):
            await keeper.close()
            await outbound.close()
        assert camunda.complaints == []


@pytest.mark.parametrize("name", DIALECTS)
async def test_every_version_takes_one_session_from_two_proxies(name: str) -> None:
    async with two_at(name) as (camunda, _, keepers):
        sessions = camunda.sessions(name)
        assert (sessions.count("ok"), sessions.live) == (1, 1)
        for _ in range(3):
            for keeper in keepers:
                assert await call(camunda, name, in_use(keeper), "POST") == 200
                assert await call(camunda, name, in_use(keeper), "GET") in (200, 404)
    assert sessions.logouts == 0
    assert sessions.live == 1


@pytest.mark.parametrize("name", ["operate-8.2", "operate-8.6", "cluster-8.10"])
async def test_a_session_that_the_server_ended_heals_for_both_with_one_login(name: str) -> None:
    async with two_at(name) as (camunda, clock, keepers):
        sessions = camunda.sessions(name)
        await clock.advance(10.0)
        used = [in_use(each) for each in keepers]
        sessions.kill()
        assert await call(camunda, name, used[0], "POST") in (401, 403)
        for keeper, old in zip(keepers, used, strict=True):
            new = await keeper.replace(old, 10.0)
            assert await call(camunda, name, new, "POST") == 200
        assert sessions.count("ok") == 2
        assert len({each.login for each in map(in_use, keepers)}) == 1
    assert sessions.logouts == 0
