"""Several keepers that share one store, each as in a proxy of its own."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from proxy.clock import Clock
from proxy.credentials.credential import CredentialSource
from proxy.credentials.fleet.entry import HostEntry, Store
from proxy.credentials.fleet.identity import Identity
from proxy.credentials.fleet.key import Facts
from proxy.credentials.fleet.source import FleetSource
from proxy.credentials.keeper import Keeper
from proxy.credentials.schedule import PACE, Policy
from proxy.credentials.secret import Secret, TextSecret
from proxy.credentials.sharing import StoreTally
from proxy.credentials.throttle import HostThrottle
from tests.clock import FakeClock
from tests.credentials.sources import Notebook, running

SECRET = TextSecret("kept by the fleet")


def facts(proof: str, *, audience: str = "zeebe.camunda.io") -> Facts:
    return Facts("https://login.example/token", "client", proof, audience, None, None, "client_secret_post")


@dataclass
class Member:
    """One proxy's part."""

    keeper: Keeper
    shared: FleetSource
    tally: StoreTally
    notebook: Notebook


def member(
    source: CredentialSource,
    store: Store,
    clock: Clock,
    *,
    number: int = 0,
    secret: Secret = SECRET,
    audience: str = "zeebe.camunda.io",
    policy: Policy = PACE,
    limited: bool = False,
) -> Member:
    """Make the keeper of one proxy of a fleet; `number` seeds its chances."""
    chance = random.Random(number)
    tally, notebook = StoreTally("memory"), Notebook()
    shared = FleetSource(
        "saas",
        source,
        Identity(partial(facts, audience=audience), secret, secret),
        store,
        tally,
        clock=clock,
        prefix="cap:",
        throttle=HostThrottle(clock, always=limited),
        host=HostEntry(store, "cap:", "login.example", always=limited),
        policy=policy,
        random=chance.uniform,
    )
    keeper = Keeper(
        "saas",
        source,
        clock=clock,
        observer=notebook,
        policy=policy,
        secret=secret,
        shared=shared,
        random=chance.random,
    )
    return Member(keeper, shared, tally, notebook)


@asynccontextmanager
async def all_running(members: list[Member], clock: FakeClock) -> AsyncIterator[list[asyncio.TaskGroup]]:
    """Run the loops of all of them."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running(each.keeper, clock)) for each in members]
