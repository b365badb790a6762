"""1,000 proxies at a token endpoint of one request a second; without a store the last is served after 17 min.

`FLEET_LIFE=40 FLEET_ROUNDS=10 FLEET_MINUTE=60` is the long version.
"""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from proxy.credentials.fleet.client import StoreSettings
from tests.fleet.endpoint import endpoint
from tests.fleet.proxies import proxies
from tests.fleet.servers import sentinels, server

pytestmark = [pytest.mark.store, pytest.mark.timeout(600)]

log = logging.getLogger(__name__)

ROUNDS = int(os.environ.get("FLEET_ROUNDS", "2"))
LIFE = float(os.environ.get("FLEET_LIFE", "16"))
ROUND = 0.75 * LIFE
"""Seconds until the first proxy renews."""

MINUTE = float(os.environ.get("FLEET_MINUTE", "30"))
ATTEMPTS = {30.0: 3, 60.0: 4}[MINUTE]
"""Attempts of a fleet with a wrong secret in so many seconds: at 0, 6, 18 and 42 s."""


def at(port: int) -> StoreSettings:
    return StoreSettings("standalone", (("127.0.0.1", port),))


async def test_a_thousand_proxies_fetch_as_one(tmp_path: Path) -> None:
    async with (
        server(tmp_path) as store,
        endpoint(LIFE) as tokens,
        proxies(1000, tokens.url, at(store.port), every=2.0) as fleet,
    ):
        cold = await fleet.until(lambda: fleet.count("served") == 1000, 60)
        assert tokens.outcomes.total() <= 3
        first = len(tokens.granted)
        await asyncio.sleep(ROUNDS * ROUND)
        assert fleet.count("failed") == 0
        assert len(tokens.granted) - first <= max(ROUNDS * 1.1, ROUNDS + 1)

        await asyncio.sleep(ROUND / 2)  # so that no proxy gets another token by a renewal meanwhile
        before = len(tokens.granted)
        fleet.revoked.value = before
        await fleet.until(lambda: fleet.count("repaired") >= 1000, 60)
        assert len(tokens.granted) - before <= 2  # one, and perhaps the renewal of that round
        assert fleet.count("failed") == 0
        log.info("the last was served after %.2f s; %d renewals in %d rounds", cold, before - first, ROUNDS)


async def test_a_wrong_secret_costs_the_fleet_a_handful_of_attempts(tmp_path: Path) -> None:
    async with (
        server(tmp_path) as store,
        endpoint(LIFE) as tokens,
        proxies(200, tokens.url, at(store.port), processes=2, secret="wrong", every=20.0) as fleet,
    ):
        await asyncio.sleep(MINUTE)
        assert fleet.count("served") == 0
        assert 1 <= tokens.outcomes.total() <= ATTEMPTS


async def test_no_request_fails_while_the_store_is_flushed_paused_or_killed(tmp_path: Path) -> None:
    async with endpoint(12.0) as tokens, server(tmp_path) as store:
        port = store.port
        async with proxies(300, tokens.url, at(port), processes=2) as fleet:
            await fleet.until(lambda: fleet.count("served") == 300, 30)
            await asyncio.sleep(7.0)
            store.cli("flushall")
            await fleet.until(lambda: len(tokens.granted) >= 2, 15)
            await asyncio.sleep(7.5)
            store.pause()
            await asyncio.sleep(3.0)  # over the renewal, which comes after 9 s
            store.resume()
            await fleet.until(lambda: len(tokens.granted) >= 3, 15)
            await asyncio.sleep(8.0)
            store.kill()
            await asyncio.sleep(2.0)
            async with server(tmp_path, port=port):
                await fleet.until(lambda: len(tokens.granted) >= 4, 15)
                await asyncio.sleep(3.0)
                assert fleet.count("failed") == 0
                assert len(tokens.granted) <= 20


async def test_no_request_fails_while_sentinel_replaces_the_master_at_a_renewal(tmp_path: Path) -> None:
    async with sentinels(tmp_path) as store, endpoint(16.0) as tokens:
        where = StoreSettings("sentinel", tuple(("127.0.0.1", port) for port in store.ports), master="m1")
        async with proxies(200, tokens.url, where, processes=2) as fleet:
            await fleet.until(lambda: fleet.count("served") == 200, 30)
            await asyncio.sleep(11.0)
            store.master.kill()
            await fleet.until(lambda: len(tokens.granted) >= 2, 15)
            await asyncio.sleep(4.0)
            assert fleet.count("failed") == 0
            assert len(tokens.granted) <= 6
