"""Malformed traffic in a loop: nothing grows, nothing falls, and a good caller does not notice."""

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.app.command import proxy
from tests.http.cases import client_parts, joined, mutations, parts, suite
from tests.http.runner import CANARY, Layout, configuration, script
from tests.http.strict import Request
from tests.http.world import Client, Peer, ask, client, echo, site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CALLERS: Final = 16
WARM: Final = 15.0
LONG: Final = 45.0
"""Seconds before the memory is measured first, and from then to the end."""

PATIENCE: Final = 0.1
"""Seconds a bad caller waits for an answer before it goes."""

SLOWEST: Final = 2.0
"""Seconds a good caller may wait on a busy machine."""

GROWTH: Final = 6 * 1024
"""KiB: allocators are never quite still."""


def resident(pid: int) -> int:
    """KiB of memory."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_malformed_traffic_in_a_loop_leaves_no_trace(tmp_path: Path) -> None:
    asyncio.run(_flood(tmp_path))


async def _flood(folder: Path) -> None:
    chance = random.Random(4)
    cases = [*suite("http_cases.json"), *suite("more_http_cases.json")]
    bad = [joined(parts(case, "raw_request")) for section, case in cases if section != "responses"]
    bad += [joined(parts(case, "raw_request")) for case in mutations()]
    answers = [case for section, case in cases if section == "responses"]
    asking = [joined(client_parts(case)) for case in answers]
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(site())

        def respond(peer: Peer, request: Request) -> None:
            if request.target == b"/r":
                script(chance.choice(answers), "whole")[0](peer, request)
            else:
                echo(peer, request)

        config = configuration([answers[0]], [here], [None], folder, Layout())
        config["log"] = {"level": "info", "format": "json"}
        running = await stack.enter_async_context(proxy(folder, config))
        address = ("127.0.0.1", int((await running.url("u0")).rpartition(":")[2]))
        loop = asyncio.get_running_loop()
        end = loop.time() + WARM + LONG
        slow: list[float] = []
        measured: list[int] = []

        async def harass() -> None:
            while loop.time() < end:
                here.begin(respond)
                caller = await client(address)
                caller.send(chance.choice(bad if chance.random() < 0.7 else asking))
                await caller.listen(PATIENCE)
                caller.transport.abort()

        async def behave() -> None:
            while (begun := loop.time()) < end:
                assert not (told := await ask(address, "/good")), told
                slow.append(loop.time() - begun)
                await Client().listen(0.02)
                if not measured and loop.time() > end - LONG:
                    measured.append(resident(running.pid))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(behave())
            for _ in range(CALLERS):
                tasks.create_task(harass())
        measured.append(resident(running.pid))
        assert CANARY not in running.said
    assert max(slow) < SLOWEST, f"a good caller waited {max(slow):.2f} s"
    assert measured[1] - measured[0] < GROWTH, f"memory in KiB: {measured}"
