"""The lives of keepers, over many configurations."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from proxy.credentials.credential import Credential
from proxy.credentials.keeper import Keeper
from proxy.credentials.keepers import Keepers, Make
from proxy.credentials.store import TokenSlot, token_store
from tests.clock import FakeClock
from tests.credentials.sources import ScriptedLogin, ScriptedSource


class Diary:
    """Keepers in a group of their own, and what became of them.

    Attributes:
        lines: what happened, in order.
    """

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.clock = FakeClock()
        self.keepers = Keepers(tasks)
        self.lines: list[str] = []
        self._store = token_store(self.clock)

    def fetching(self, name: str, key: str = "key") -> Make:
        return self._made(name, key, lambda: ScriptedSource(self.clock))

    def logging_in(self, name: str) -> Make:
        diary = self

        class Login(ScriptedLogin):
            async def leave(self, session: Credential) -> None:
                diary.lines.append(f"{name} logs out")

        def make(stack: AsyncExitStack) -> Keeper:
            login = Login(self.clock)
            stack.callback(self.lines.append, f"{name} ends")
            return Keeper(name, login, clock=self.clock, sessions=login)

        return make

    def _made(self, name: str, key: str, source: Callable[[], ScriptedSource]) -> Make:
        def make(stack: AsyncExitStack) -> Keeper:
            self.lines.append(f"{name} begins")
            stack.callback(self.lines.append, f"{name} ends")
            return Keeper(name, source(), clock=self.clock, slot=TokenSlot(self._store, key))

        return make

    async def settled(self, *asked: tuple[str, str, Make]) -> list[Keeper]:
        """Keepers by key, recipe and how they are made, once all of it is settled; nothing else is in use."""
        self.keepers.begin()
        kept = [self.keepers.obtain(*each) for each in asked]
        self.keepers.settle()
        await self.keepers.dismiss(())
        await self.clock.settle()
        return kept


@asynccontextmanager
async def diary() -> AsyncIterator[Diary]:
    async with asyncio.TaskGroup() as tasks:
        it = Diary(tasks)
        yield it
        await it.keepers.close()


async def test_equal_keys_share_a_keeper_and_equal_recipes_leave_it_alone() -> None:
    async with diary() as it:
        one, two = await it.settled(("key", "r", it.fetching("a")), ("key", "other", it.fetching("b")))
        again, third = await it.settled(
            ("key", "r", it.fetching("c")), ("third", "r", it.fetching("d", "third"))
        )
        assert one is two is again is not third
        assert it.lines == ["a begins", "d begins"]


async def test_another_recipe_makes_another_keeper_that_has_the_token_before_anybody_asks() -> None:
    async with diary() as it:
        [before] = await it.settled(("key", "r", it.fetching("a")))
        it.keepers.begin()
        after = it.keepers.obtain("key", "changed", it.fetching("b"))
        it.keepers.settle()
        assert after is not before
        assert after.current is before.current is not None
        await it.keepers.dismiss(())
        assert it.lines == ["a begins", "b begins", "a ends"]


async def test_who_is_in_use_goes_on_refreshing_until_it_is_not() -> None:
    async with diary() as it:
        [used] = await it.settled(("key", "r", it.fetching("a")))
        it.keepers.begin()
        it.keepers.settle()
        await it.keepers.dismiss([used])
        await it.clock.advance(1000)
        assert used.current is not None
        assert list(it.keepers) == [used]
        await it.keepers.dismiss(())
        assert list(it.keepers) == []
        assert it.lines == ["a begins", "a ends"]
        await it.clock.advance(1000)
        assert used.current is None


async def test_what_was_made_for_a_configuration_that_came_to_nothing_is_closed() -> None:
    async with diary() as it:
        [kept] = await it.settled(("key", "r", it.fetching("a")))
        it.keepers.begin()
        it.keepers.obtain("key", "changed", it.fetching("b"))
        it.keepers.obtain("new", "r", it.fetching("c", "new"))
        await it.keepers.dismiss(())
        assert it.lines == ["a begins", "b begins", "c begins", "b ends", "c ends"]
        assert list(it.keepers) == [kept]
        await it.settled(("key", "r", it.fetching("d")))
        assert list(it.keepers) == [kept]


async def test_a_session_is_logged_out_before_its_way_out_is_closed() -> None:
    async with diary() as it:
        [keeper] = await it.settled(("key", "r", it.logging_in("a")))
        assert keeper.current is not None
        await it.settled()
        assert it.lines == ["a logs out", "a ends"]


async def test_counts_go_on_under_a_name() -> None:
    async with diary() as it:
        assert it.keepers.tally("a", "x") is it.keepers.tally("a", "x") is not it.keepers.tally("a", "y")


async def test_a_fault_while_a_keeper_is_closed_is_logged_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with diary() as it:

        class BrokenLogin(ScriptedLogin):
            async def leave(self, session: Credential) -> None:
                raise RuntimeError("File descriptor 97 is used by transport")

        def make(_: AsyncExitStack) -> Keeper:
            login = BrokenLogin(it.clock)
            return Keeper("broken", login, clock=it.clock, sessions=login)

        await it.settled(("a", "", make), ("b", "", it.logging_in("b")))
        await it.settled()
        assert it.lines == ["b logs out", "b ends"]
        assert "File descriptor 97" in caplog.text
