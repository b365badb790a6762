"""Single flight over a fleet: what the token endpoint sees, and what happens without the store."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy.credentials.fleet import scripts
from proxy.credentials.fleet.entry import Starved
from proxy.credentials.fleet.source import HOLD, STARVED
from proxy.credentials.schedule import OFF_SAAS
from proxy.credentials.secret import FileSecret
from proxy.errors import CredentialRejected, CredentialUnavailable, RepairDeclined
from tests.clock import FakeClock
from tests.credentials.fleet.memory_store import MemoryStore
from tests.credentials.fleet.proxies import Member, all_running, member
from tests.credentials.sources import ScriptedSource, outcome

REFUSED = CredentialRejected("the token endpoint refused our client")
LIMITED = CredentialUnavailable("slow down", outcome="limited", retry_after=20.0)
DOWN = CredentialUnavailable("the token endpoint is down")


class Fleet:
    """A store, a token endpoint, and the proxies that share them."""

    def __init__(self, size: int, *, life: float = 300.0, takes: float = 0.2) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.source = ScriptedSource(self.clock, life, takes)
        self.members = [self.one(number) for number in range(size)]

    def one(self, number: int = 99) -> Member:
        return member(self.source, self.store, self.clock, number=number)

    @property
    def tokens(self) -> set[bytes]:
        """The token of each proxy that has one."""
        keepers = [each.keeper.current for each in self.members]
        return {each.fields[0][1] if each else b"" for each in keepers}

    @property
    def fetches(self) -> int:
        return len(self.source.begun)

    def key(self, kind: str) -> str:
        [name] = {each.partition("}")[0] for each in self.store.data}
        return f"{name}}}:{kind}"


async def test_twenty_proxies_that_start_together_are_one_fetch() -> None:
    fleet = Fleet(20)
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(0.5)
        assert fleet.tokens == {b"Bearer 1"}
    assert fleet.fetches == 1


async def test_a_proxy_that_starts_later_gets_the_token_at_once_and_what_is_left_of_its_life() -> None:
    fleet = Fleet(1)
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(100.0)
        late = fleet.one()
        async with all_running([late], fleet.clock):
            mine, theirs = late.keeper.current, fleet.members[0].keeper.current
            assert mine is not None
            assert theirs is not None
            assert mine.expires_at == pytest.approx(theirs.expires_at, abs=0.01)
            assert mine.fetched_at == pytest.approx(theirs.fetched_at, abs=0.01)
    assert fleet.fetches == 1
    assert sum(late.keeper.tally.outcomes.values()) == 0  # a token of the store is no fetch


async def test_the_fleet_fetches_once_per_renewal() -> None:
    fleet = Fleet(20)
    async with all_running(fleet.members, fleet.clock):
        for each in range(1, 6):
            await fleet.clock.advance(1.0 if each == 1 else 242.0)
            assert fleet.fetches == each
            assert fleet.tokens == {b"Bearer %d" % each}


async def test_a_stretched_ttl_makes_no_token_live_longer_than_granted() -> None:
    fleet = Fleet(1)
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(1.0)
        key = fleet.key("value")
        value = fleet.store.get(key)
        assert value is not None
        fleet.store.set(key, value, 86_400_000)
        late = fleet.one()
        async with all_running([late], fleet.clock):
            assert late.keeper.current is not None
            assert late.keeper.current.expires_at == pytest.approx(fleet.clock.now() + 300.0)


# -- repairs --


async def test_a_refused_token_is_replaced_once_for_all() -> None:
    fleet = Fleet(10)
    async with all_running(fleet.members, fleet.clock) as groups:
        await fleet.clock.advance(5.0)
        refused = [each.keeper.current for each in fleet.members]
        repairs = [
            group.create_task(outcome(each.keeper.replace(used, 10.0)))
            for group, each, used in zip(groups, fleet.members, refused, strict=True)
            if used is not None
        ]
        await fleet.clock.advance(3.0)
        assert fleet.tokens == {b"Bearer 2"}
        assert {(await each) is not None for each in repairs} == {True}
    assert fleet.fetches == 2


async def test_a_refusal_that_one_proxy_alone_sees_does_not_make_the_fleet_fetch_in_circles() -> None:
    fleet = Fleet(2)
    async with all_running(fleet.members, fleet.clock) as groups:
        await fleet.clock.advance(5.0)
        declined = 0
        for _ in range(60):
            used = fleet.members[0].keeper.current
            assert used is not None
            repair = groups[0].create_task(outcome(fleet.members[0].keeper.replace(used, 2.0)))
            await fleet.clock.advance(2.0)
            result = await repair
            declined += isinstance(result, RepairDeclined)
            if not isinstance(result, RepairDeclined):
                fleet.members[0].keeper.refused_again()
    assert fleet.fetches < 10
    assert declined > 40


async def test_proxies_that_are_refused_one_after_the_other_share_the_gap_between_repairs() -> None:
    fleet = Fleet(15)
    async with all_running(fleet.members, fleet.clock) as groups:
        await fleet.clock.advance(5.0)
        for group, each in zip(groups, fleet.members, strict=True):
            for _ in range(2):  # the first one takes the newest token, the second one complains of that
                used = each.keeper.current
                assert used is not None
                group.create_task(outcome(each.keeper.replace(used, 2.0)))
                await fleet.clock.advance(3.0)
    assert 2 <= fleet.fetches <= 9


async def test_a_repair_removes_only_the_token_that_was_refused() -> None:
    fleet = Fleet(2)
    async with all_running(fleet.members, fleet.clock) as groups:
        await fleet.clock.advance(5.0)
        old = fleet.members[1].keeper.current
        first = fleet.members[0].keeper.current
        assert old is not None
        assert first is not None
        groups[0].create_task(outcome(fleet.members[0].keeper.replace(first, 10.0)))
        await fleet.clock.advance(5.0)
        late = groups[1].create_task(outcome(fleet.members[1].keeper.replace(old, 10.0)))
        await fleet.clock.advance(2.0)
        assert (await late) is fleet.members[1].keeper.current
        assert fleet.tokens == {b"Bearer 2"}
    assert fleet.fetches == 2


# -- what the token endpoint says --


async def test_a_wrong_secret_costs_the_fleet_four_attempts_in_a_minute() -> None:
    fleet = Fleet(0)
    fleet.source.always = REFUSED
    members = [
        member(fleet.source, fleet.store, fleet.clock, number=each, policy=OFF_SAAS) for each in range(20)
    ]
    async with all_running(members, fleet.clock):
        await fleet.clock.advance(60.0)
        assert {each.keeper.snapshot().outcome for each in members} == {"rejected"}
        assert {"another proxy of this fleet" in each.keeper.snapshot().reason for each in members} >= {True}
    assert 1 <= fleet.fetches <= 4


async def test_a_changed_secret_does_not_wait_for_the_refusal_of_the_old_one(tmp_path: Path) -> None:
    fleet = Fleet(0)
    path = tmp_path / "secret"
    path.write_text("an old one")
    secret = FileSecret(path)
    members = [member(fleet.source, fleet.store, fleet.clock, number=n, secret=secret) for n in range(3)]
    fleet.source.script.append(REFUSED)
    async with all_running(members, fleet.clock):
        await fleet.clock.advance(5.0)
        assert fleet.fetches == 1
        path.write_text("a new and a longer one")
        await fleet.clock.advance(8.0)
        assert all(each.keeper.current for each in members)
    assert fleet.fetches == 2


async def test_a_token_of_the_old_secret_is_not_used_under_the_new_one(tmp_path: Path) -> None:
    fleet = Fleet(0)
    path = tmp_path / "secret"
    path.write_text("an old one")
    old = member(fleet.source, fleet.store, fleet.clock, secret=FileSecret(path))
    async with all_running([old], fleet.clock):
        await fleet.clock.advance(1.0)
    path.write_text("a new and a longer one")
    new = member(fleet.source, fleet.store, fleet.clock, secret=FileSecret(path))
    async with all_running([new], fleet.clock):
        await fleet.clock.advance(1.0)
        assert new.keeper.current is not None
        assert new.keeper.current.fields[0][1] == b"Bearer 2"


async def test_what_a_429_asks_for_holds_for_all() -> None:
    fleet = Fleet(10)
    fleet.source.script.append(LIMITED)
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(19.0)
        assert fleet.fetches == 1
        assert {each.keeper.snapshot().outcome for each in fleet.members} == {"limited"}
        await fleet.clock.advance(40.0)
        assert fleet.tokens == {b"Bearer 1"}
    assert fleet.fetches == 2


async def test_a_token_endpoint_that_is_down_gets_one_fleets_attempts_and_all_take_up_what_comes() -> None:
    fleet = Fleet(10)
    fleet.source.always = DOWN
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(60.0)
        assert fleet.fetches < 12
        fleet.source.always = None
        await fleet.clock.advance(65.0)
        assert fleet.tokens == {b"Bearer 1"}


async def test_a_proxy_in_back_off_takes_up_what_another_one_has_fetched() -> None:
    fleet = Fleet(3)
    fleet.source.script.append(REFUSED)  # so that each of them waits for a minute
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(5.0)
        key = fleet.key("lane")
        del fleet.store.data[key]
        late = fleet.one()
        async with all_running([late], fleet.clock):
            await fleet.clock.advance(3.0)
            assert late.keeper.current is not None
            assert fleet.tokens == {b"Bearer 1"}
    assert fleet.fetches == 2


async def test_the_same_token_again_is_not_fetched_by_each_proxy_in_turn() -> None:
    fleet = Fleet(10)
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(1.0)
        fleet.source.always = "same"  # as Camunda SaaS until 30 s before its expiry
        await fleet.clock.advance(260.0)
        assert fleet.fetches <= 4
        fleet.source.always = None
        await fleet.clock.advance(38.0)
        assert fleet.tokens == {b"Bearer 2"}


async def test_requests_for_several_credentials_of_one_limited_host_keep_their_distance() -> None:
    fleet = Fleet(0, takes=0.01)
    members = [
        member(fleet.source, fleet.store, fleet.clock, number=each, audience=str(each), limited=True)
        for each in range(4)
    ]
    async with all_running(members, fleet.clock):
        await fleet.clock.advance(10.0)
        assert all(each.keeper.current for each in members)
    gaps = [b - a for a, b in zip(fleet.source.begun, fleet.source.begun[1:], strict=False)]
    assert len(gaps) == 3
    assert min(gaps) >= 1.0


async def test_a_token_endpoint_that_hangs_holds_the_lock_for_a_while_only() -> None:
    fleet = Fleet(3, takes=40.0)
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(HOLD - 1)
        assert fleet.fetches == 1
        await fleet.clock.advance(5.0)
        assert fleet.fetches == 2
        await fleet.clock.advance(27.0)
        assert fleet.members[0].keeper.current is not None
        await fleet.clock.advance(30.0)
        assert b"" not in fleet.tokens
    assert fleet.fetches <= 3


# -- the store --


async def test_a_store_that_is_down_at_the_start_leaves_each_proxy_with_its_own_fetch() -> None:
    fleet = Fleet(5)
    fleet.store.down = True
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(5.0)
        assert b"" not in fleet.tokens
    assert fleet.fetches == 5


async def test_what_was_fetched_alone_is_shared_when_the_store_comes_back() -> None:
    fleet = Fleet(1)
    fleet.store.down = True
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(5.0)
        fleet.store.down = False
        await fleet.clock.advance(3.0)
        assert len(fleet.store.values()) == 1
        late = fleet.one()
        async with all_running([late], fleet.clock):
            assert late.keeper.current is not None
    assert fleet.fetches == 1


async def test_a_short_outage_at_a_renewal_costs_no_fetch_more() -> None:
    fleet = Fleet(20)
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(224.0)
        fleet.store.down = True
        await fleet.clock.advance(10.0)  # two thirds of the proxies are due by then
        fleet.store.down = False
        await fleet.clock.advance(26.0)
        assert fleet.tokens == {b"Bearer 2"}
    assert fleet.fetches == 2


async def test_a_token_in_the_store_that_lives_shorter_than_ours_is_not_taken() -> None:
    fleet = Fleet(1)
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(224.0)
        other = ((b"Authorization", b"Bearer other"),)
        sealer = fleet.members[0].shared._current_entry().sealer
        fleet.store.set(fleet.key("value"), sealer.seal(other, 300.0), 20_000)
        for _ in range(70):
            await fleet.clock.advance(0.25)
            assert fleet.tokens <= {b"Bearer 1", b"Bearer 2"}
        assert fleet.tokens == {b"Bearer 2"}


async def test_a_store_that_stays_down_costs_no_proxy_its_credential() -> None:
    fleet = Fleet(5)
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(1.0)
        fleet.store.down = True
        for _ in range(40):
            await fleet.clock.advance(30.0)
            assert b"" not in fleet.tokens


async def test_a_proxy_that_is_too_slow_itself_waits_longer_before_it_fetches_alone() -> None:
    fleet = Fleet(1)

    class Slow(MemoryStore):
        async def run(self, script: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> object:
            raise Starved("no CPU")

    one = member(fleet.source, Slow(fleet.clock), fleet.clock)
    async with all_running([one], fleet.clock):
        await fleet.clock.advance(STARVED)
        assert fleet.fetches == 0
        await fleet.clock.advance(6.0)
        assert one.keeper.current is not None


async def test_a_flushed_store_costs_nothing_until_the_renewal() -> None:
    fleet = Fleet(5)
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(100.0)
        fleet.store.data.clear()
        await fleet.clock.advance(145.0)
        assert fleet.tokens == {b"Bearer 2"}
    assert fleet.fetches == 2


async def test_a_value_that_was_changed_is_removed_and_said_and_replaced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fleet = Fleet(1)
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(5.0)
        key = fleet.key("value")
        value = fleet.store.get(key)
        assert value is not None
        fleet.store.set(key, value[:-1] + bytes([value[-1] ^ 1]), 290_000)
        late = fleet.one()
        async with all_running([late], fleet.clock):
            await fleet.clock.advance(2.0)
            assert late.keeper.current is not None
            assert late.keeper.current.fields[0][1] == b"Bearer 2"
    assert late.tally.ignored == 1
    assert "credentials.saas was changed by others or is damaged" in caplog.text


async def test_a_foreign_value_that_always_comes_back_stops_no_proxy() -> None:
    fleet = Fleet(1)

    class Stubborn(MemoryStore):
        def get(self, key: str) -> bytes | None:
            return b"foreign, and longer than a mark" if key.endswith(":value") else super().get(key)

        def left(self, key: str) -> int:
            return 100_000

    one = member(fleet.source, Stubborn(fleet.clock), fleet.clock)
    async with all_running([one], fleet.clock):
        await fleet.clock.advance(1.0)
        assert one.keeper.current is not None
    assert fleet.fetches == 1


async def test_a_dead_owner_of_the_lock_delays_the_others_by_three_seconds() -> None:
    fleet = Fleet(2)
    async with all_running(fleet.members[:1], fleet.clock):
        await fleet.clock.advance(0.1)  # and it dies while it fetches
    fleet.store.data = {key: each for key, each in fleet.store.data.items() if key.endswith(":lock")}
    assert fleet.store.data
    async with all_running(fleet.members[1:], fleet.clock):
        await fleet.clock.advance(2.5)
        assert fleet.members[1].keeper.current is None
        await fleet.clock.advance(1.5)
        assert fleet.members[1].keeper.current is not None


async def test_a_steady_fleet_calls_the_store_only_for_renewals_and_to_see_that_it_is_there() -> None:
    fleet = Fleet(1)
    async with all_running(fleet.members, fleet.clock):
        await fleet.clock.advance(1.0)
        fleet.store.calls.clear()
        await fleet.clock.advance(200.0)
    assert set(fleet.store.calls) == {"LOOK"}
    assert 4 <= len(fleet.store.calls) <= 16


def test_every_script_touches_only_keys_that_it_is_given() -> None:
    for each in (scripts.LOOK, scripts.ACQUIRE, scripts.PUT, scripts.END, scripts.FORGET, scripts.PACE):
        assert each.count("redis.call(") == each.count(", KEYS[")
