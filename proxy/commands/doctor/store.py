"""Tries the store that a fleet shares: every kind of question that the proxy asks, on a name of its own."""

import secrets
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from proxy.app.credentials import KeeperFactory
from proxy.clock import Clock
from proxy.commands.doctor.finding import Section, Step, Why
from proxy.config.model import Store
from proxy.errors import StartError

if TYPE_CHECKING:
    from proxy.credentials.fleet.client import StoreClient

SUBJECT = "store"
LIFE = 5.0
"""Seconds after which the value that is tried expires by itself."""


async def examine_store(store: Store, factory: KeeperFactory, clock: Clock) -> Section:
    """Write a value that no proxy reads, read and remove it, with the proxy's own client."""
    async with AsyncExitStack() as stack:
        try:
            client = factory.store_client(store, stack)
        except StartError as error:
            return Section(SUBJECT, store.kind, (Step("files", "wrong", why=Why("files", str(error))),))
        step = await _tried(client, store.prefix, clock)
        return Section(SUBJECT, f"{store.kind}, {client.tally.where} (store.url)", (step,))


async def _tried(client: "StoreClient", prefix: str, clock: Clock) -> Step:
    from proxy.credentials.fleet.entry import Entry, StoreError
    from proxy.credentials.fleet.key import Facts
    from proxy.credentials.fleet.seal import Sealer

    facts = Facts("", "doctor", "", None, None, None, "")
    sealer = Sealer(secrets.token_hex(16), facts)
    entry = Entry(client, sealer, prefix, secrets.token_hex(16))
    fields = ((b"Authorization", b"none"),)
    begun = clock.now()
    try:
        await entry.acquire("")
        await entry.extend()
        await entry.put(sealer.seal(fields, LIFE), LIFE)
        found = await entry.look("")
        await entry.forget(sealer.mark(fields))
    except StoreError as error:
        return Step("store", "wrong", why=Why("store", str(error)))
    seconds = clock.now() - begun
    if sealer.open(found.value) is None:
        words = "it does not keep what is written; does it evict keys at once, or is it a replica?"
        return Step("store", "wrong", why=Why("store", words))
    return Step("store", "ok", "a sealed value was written, read and removed", seconds)
