"""1,000 proxies against a token endpoint of one request a second. `FLEET_ROUNDS` makes it longer (weekly).

Without a store the last of these proxies would be served after 17 minutes.
"""

import asyncio
import os
from pathlib import Path

import pytest

from proxy.credentials.fleet.client import StoreSettings
from tests.fleet.endpoint import endpoint
from tests.fleet.proxies import proxies
from tests.fleet.servers import sentinels, server

pytestmark = [pytest.mark.store, pytest.mark.timeout(600)]

ROUNDS = int(os.environ.get("FLEET_ROUNDS", "5"))
LIFE = 16.0
ROUND = 0.75 * LIFE
"""Seconds until the first proxy renews."""

WRONG = 200
"""Proxies with a wrong secret."""


def at(port: int) -> StoreSettings:
    return StoreSettings("standalone", (("127.0.0.1", port),))


async def test_a_thousand_proxies_fetch_as_one(tmp_path: Path) -> None:
    async with server(tmp_path) as store, endpoint(LIFE) as tokens:
        fleet = proxies(1000, tokens.url, at(store.port), every=2.0)
        refused = proxies(WRONG, tokens.url, at(store.port), processes=1, secret="wrong", every=20.0)
        async with fleet as good, refused as wrong:
            begun = asyncio.get_running_loop().time()
            cold = await good.until(lambda: good.count("served") == 1000, 30)
            assert len(tokens.granted) + tokens.outcomes["right", 429] <= 3
            assert cold < 5.0

            first = len(tokens.granted)
            await asyncio.sleep(ROUNDS * ROUND)
            assert good.count("failed") == 0
            assert len(tokens.granted) - first <= ROUNDS * 1.1 + 1

            assert wrong.count("served") == 0
            until = max(0.0, begun + 60.0 - asyncio.get_running_loop().time())
            await asyncio.sleep(until)
            assert 1 <= tokens.outcomes["wrong", 401] + tokens.outcomes["wrong", 429] <= 4

            before = len(tokens.granted)
            good.revoked.value = before
            await good.until(lambda: good.count("repaired") >= 1000, 20)
            assert len(tokens.granted) - before <= 2  # one, and perhaps the renewal of that round
            assert good.count("failed") == 0


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
                assert len(tokens.granted) <= 12


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
