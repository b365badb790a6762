"""Many proxies in a few processes: the real keeper and store code, each with a connection of its own."""

import asyncio
import multiprocessing
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from proxy.clock import SystemClock
from proxy.commands.loop import run_loop
from proxy.credentials.credential import Credential
from proxy.credentials.fleet.client import StoreClient, StoreSettings
from proxy.credentials.fleet.entry import HostEntry
from proxy.credentials.fleet.identity import Identity
from proxy.credentials.fleet.key import Facts
from proxy.credentials.fleet.source import FleetSource
from proxy.credentials.keeper import Keeper
from proxy.credentials.oauth2 import OAuth2Settings, OAuth2Source
from proxy.credentials.outbound import Outbound
from proxy.credentials.schedule import OFF_SAAS
from proxy.credentials.secret import TextSecret
from proxy.credentials.sharing import StoreTally
from proxy.credentials.throttle import HostThrottle
from proxy.errors import CredentialError, RepairDeclined

PREFIX = "camunda-auth-proxy:"
SLOTS = ("up", "served", "requests", "failed", "slow", "repaired", "ignored")
SLOW = 0.5
"""Seconds; a request that waits longer for its credential counts as slow."""


@dataclass
class Proxies:
    """Running worker processes.

    Attributes:
        revoked: the newest token that the upstream refuses; 0: none.
    """

    size: int
    revoked: Any
    _tables: list[Any]

    def count(self, slot: str) -> int:
        """Return a sum over all proxies: one of `SLOTS`."""
        return sum(table[SLOTS.index(slot)] for table in self._tables)

    async def until(self, reached: Callable[[], bool], within: float) -> float:
        """Wait; return the seconds that it took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.timeout(within):
            while not reached():
                await asyncio.sleep(0.02)
        return loop.time() - begun


@asynccontextmanager
async def proxies(
    size: int,
    url: str,
    store: StoreSettings | None,
    *,
    processes: int = 4,
    secret: str = "right",
    every: float = 1.0,
) -> AsyncIterator[Proxies]:
    """Run `size` proxies; each has a request in `every` seconds. They begin when all processes are ready."""
    context = multiprocessing.get_context("spawn")
    revoked, go = context.Value("q", 0), context.Event()
    tables = [context.Array("q", len(SLOTS), lock=False) for _ in range(processes)]
    shares = [size // processes + (each < size % processes) for each in range(processes)]
    workers = [
        context.Process(
            target=_work, args=(share, url, store, secret, every, table, revoked, go), daemon=True
        )
        for share, table in zip(shares, tables, strict=True)
    ]
    for worker in workers:
        worker.start()
    running = Proxies(size, revoked, tables)
    try:
        await running.until(lambda: running.count("up") == processes, 60)
        go.set()
        yield running
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()


def _work(
    size: int,
    url: str,
    store: StoreSettings | None,
    secret: str,
    every: float,
    table: Any,
    revoked: Any,
    go: Any,
) -> None:
    random.seed()
    run_loop(_fleet(size, url, store, secret, every, table, revoked, go))


async def _fleet(
    size: int,
    url: str,
    store: StoreSettings | None,
    secret: str,
    every: float,
    table: Any,
    revoked: Any,
    go: Any,
) -> None:
    async with AsyncExitStack() as stack:
        keepers = [_keeper(url, store, secret, stack) for _ in range(size)]
        table[SLOTS.index("up")] = 1
        await asyncio.to_thread(go.wait)
        async with asyncio.TaskGroup() as tasks:
            for keeper in keepers:
                tasks.create_task(_started(keeper))
                tasks.create_task(_requests(keeper, every, table, revoked))


async def _started(keeper: Keeper) -> None:
    """Run the loop after up to a second: one process cannot make hundreds of connections at one moment."""
    await asyncio.sleep(random.uniform(0.0, 1.0))
    await keeper.run()


def _keeper(url: str, store: StoreSettings | None, secret: str, stack: AsyncExitStack) -> Keeper:
    clock, text = SystemClock(), TextSecret(secret)
    outbound = Outbound()
    stack.push_async_callback(outbound.close)
    source = OAuth2Source(OAuth2Settings(url, "client", text), outbound, clock)
    throttle = HostThrottle(clock, always=True)
    if store is None:
        return Keeper("saas", source, clock=clock, policy=OFF_SAAS, throttle=throttle)
    tally = StoreTally(store.peer.url)
    client = StoreClient(store, tally, clock)
    facts = partial(_facts, url)
    shared = FleetSource(
        "saas",
        source,
        Identity(facts, text, text),
        client,
        tally,
        clock=clock,
        prefix=PREFIX,
        throttle=throttle,
        host=HostEntry(client, PREFIX, f"token.example.{secret}", always=True),
        policy=OFF_SAAS,
    )
    return Keeper("saas", source, clock=clock, policy=OFF_SAAS, shared=shared)


def _facts(url: str, proof: str) -> Facts:
    return Facts(url, "client", proof, None, None, None, "client_secret_post")


async def _requests(keeper: Keeper, every: float, table: Any, revoked: Any) -> None:
    loop = asyncio.get_running_loop()
    served = False
    while True:
        begun = loop.time()
        try:
            credential = await keeper.get(10.0)
            while (number := _number(credential)) <= revoked.value:
                credential = await keeper.replace(credential, 10.0)
                table[SLOTS.index("repaired")] += number < _number(credential)
        except (CredentialError, RepairDeclined):
            table[SLOTS.index("failed")] += 1
        else:
            table[SLOTS.index("served")] += not served
            served = True
        table[SLOTS.index("requests")] += 1
        table[SLOTS.index("slow")] += loop.time() - begun > SLOW
        await asyncio.sleep(every * random.uniform(0.5, 1.5))


def _number(credential: Credential) -> int:
    return int(credential.fields[0][1].rpartition(b"-")[2])
