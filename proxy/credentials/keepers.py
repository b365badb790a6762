"""The keepers that live, from their start to their end, over many configurations."""

import asyncio
import logging
from collections.abc import Callable, Container, Hashable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

from proxy.credentials.keeper import Keeper
from proxy.credentials.report import FetchTally

log = logging.getLogger(__name__)

Make = Callable[[AsyncExitStack], Keeper]


@dataclass(slots=True, eq=False)
class _Entry:
    """A keeper.

    Attributes:
        key: of what asks for it.
        recipe: all that it was made of; equal ones make the same keeper.
        stack: what ends with it, its task first.
        runs: whether its task was started.
    """

    keeper: Keeper
    key: Hashable
    recipe: object
    stack: AsyncExitStack
    runs: bool = False


class Keepers:
    """Makes each keeper once, and closes it when nobody uses it any more.

    For each configuration: `begin`, then `keep` for all it asks for, then `settle` where all of that could
    be had, then `dismiss`.

    Args:
        tasks: where they run.
    """

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._alive: list[_Entry] = []
        self._settled: dict[Hashable, _Entry] = {}
        self._asked: dict[Hashable, _Entry] = {}
        self._tallies: dict[tuple[str, str], FetchTally] = {}

    def __iter__(self) -> Iterator[Keeper]:
        """All that live, those that are still used by requests of an earlier configuration too."""
        return (kept.keeper for kept in self._alive)

    def tally(self, name: str, target: str) -> FetchTally:
        """The counts of a credential, which go on when its keeper is exchanged."""
        return self._tallies.setdefault((name, target), FetchTally())

    def begin(self) -> None:
        """Another configuration is tried."""
        self._asked = {}

    def obtain(self, key: Hashable, recipe: object, make: Make) -> Keeper:
        """The keeper of what it asks for: the one that is there, where nothing has changed.

        Args:
            key: equal ones share a keeper, and hand their credential over to the next one.
            recipe: where it is another one than before, the keeper is made anew.
            make: makes it. What it pushes on the stack that it is handed (close the HTTP session) is called
                at the end, when the last request that used the keeper has ended, and `Keeper.run`, and
                `Keeper.close` has logged out, in this order.
        """
        if key not in self._asked:
            kept = self._settled.get(key)
            if kept is None or kept.recipe != recipe:
                stack = AsyncExitStack()
                kept = _Entry(make(stack), key, recipe, stack)
                self._alive.append(kept)
            self._asked[key] = kept
        return self._asked[key].keeper

    def successor(self, keeper: Keeper) -> Keeper | None:
        """The keeper that has taken the place of this one with a later configuration; None: there is none."""
        for entry in self._alive:
            if entry.keeper is keeper and (settled := self._settled.get(entry.key)) is not None:
                return settled.keeper if settled is not entry else None
        return None

    def settle(self) -> None:
        """All that was asked for can be had: start what is new. It is not waited for."""
        self._settled = self._asked
        for kept in self._settled.values():
            if not kept.runs:
                kept.runs = True
                kept.keeper.adopt()
                task = self._tasks.create_task(
                    kept.keeper.run(), name=f"refresh {kept.keeper.name} {kept.keeper.target}"
                )
                kept.stack.push_async_callback(kept.keeper.close)
                kept.stack.push_async_callback(_ended, task)
                if kept.keeper.logouts is not None:
                    logouts = self._tasks.create_task(
                        kept.keeper.logouts.run(), name=f"log out {kept.keeper.name} {kept.keeper.target}"
                    )
                    kept.stack.push_async_callback(_ended, logouts)

    async def dismiss(self, in_use: Container[Keeper]) -> None:
        """Close every keeper that the settled configuration lacks and that is not in use."""
        stay = set(map(id, self._settled.values()))
        leaving = [kept for kept in self._alive if id(kept) not in stay and kept.keeper not in in_use]
        self._alive = [kept for kept in self._alive if kept not in leaving]
        async with asyncio.TaskGroup() as closing:
            for kept in leaving:
                closing.create_task(_closed(kept))

    async def close(self) -> None:
        """Close them all."""
        self._settled = {}
        await self.dismiss(())


async def _closed(kept: _Entry) -> None:
    """Close a keeper. A fault meanwhile, in its logout for example, must not end the process."""
    try:
        await kept.stack.aclose()
    except Exception:
        log.exception("a fault in the proxy while it closed credentials.%s", kept.keeper.name)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
