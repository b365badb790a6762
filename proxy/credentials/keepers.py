"""Starts keepers, keeps them over many configurations, and closes them."""

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
        key: of the credentials that share it.
        recipe: the configuration it was made from; equal recipes make the same keeper.
        stack: closes what belongs to it, its task first.
        runs: whether its task was started.
    """

    keeper: Keeper
    key: Hashable
    recipe: object
    stack: AsyncExitStack
    runs: bool = False


class Keepers:
    """Makes each keeper once, and closes it when no configuration and no request uses it any more.

    For each configuration call `begin`, then `obtain` for each credential, then `settle` if everything could
    be made, then `dismiss`.

    Args:
        tasks: the group that the keepers' tasks run in.
    """

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._alive: list[_Entry] = []
        self._settled: dict[Hashable, _Entry] = {}
        self._asked: dict[Hashable, _Entry] = {}
        self._tallies: dict[tuple[str, str], FetchTally] = {}

    def __iter__(self) -> Iterator[Keeper]:
        """Yield all keepers, including those that only requests of an earlier configuration still use."""
        return (kept.keeper for kept in self._alive)

    def tally(self, name: str, target: str) -> FetchTally:
        """Return the counts of a credential, which continue when its keeper is replaced."""
        return self._tallies.setdefault((name, target), FetchTally())

    def begin(self) -> None:
        """Begin to try another configuration."""
        self._asked = {}

    def obtain(self, key: Hashable, recipe: object, make: Make) -> Keeper:
        """Return the present keeper if nothing has changed, else a new one.

        Args:
            key: credentials with equal keys share a keeper, and a new keeper takes over the credential.
            recipe: if it differs from the recipe of the present keeper, a new keeper is made.
            make: makes the keeper. The callbacks that it pushes on the given stack, such as closing the HTTP
                session, run at the end: after the last request with the keeper, after `Keeper.run`, and after
                the logout in `Keeper.close`, in this order.
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
        """Return the keeper that replaced this one in a later configuration; None: there is none."""
        for entry in self._alive:
            if entry.keeper is keeper and (settled := self._settled.get(entry.key)) is not None:
                return settled.keeper if settled is not entry else None
        return None

    def settle(self) -> None:
        """Accept the keepers obtained since `begin`, and start the new ones without waiting for them."""
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
        """Close every keeper that neither the settled configuration nor a request uses."""
        stay = set(map(id, self._settled.values()))
        leaving = [kept for kept in self._alive if id(kept) not in stay and kept.keeper not in in_use]
        self._alive = [kept for kept in self._alive if kept not in leaving]
        async with asyncio.TaskGroup() as closing:
            for kept in leaving:
                closing.create_task(_closed(kept))

    async def close(self) -> None:
        """Close all keepers."""
        self._settled = {}
        await self.dismiss(())


async def _closed(kept: _Entry) -> None:
    """Close a keeper. A fault in that, for example in its logout, must not end the process."""
    try:
        await kept.stack.aclose()
    except Exception:
        log.exception("a fault in the proxy while it closed credentials.%s", kept.keeper.name)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
