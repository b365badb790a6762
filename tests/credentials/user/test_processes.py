"""Several real processes of one person refresh one stored login."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from proxy.credentials.user.logins import LoginStore, new_login
from tests.refreshing import RefreshProvider, refresh_provider

ROOT = Path(__file__).parents[3]
PROCESS = Path(__file__).with_name("processes.py")


async def begin(folder: Path, provider: RefreshProvider, times: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROCESS), str(folder), provider.url, str(times)),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=asyncio.subprocess.PIPE,
    )


async def log_in(folder: Path, provider: RefreshProvider) -> LoginStore:
    store = LoginStore(folder, "me-key", "me", "file")
    async with store.locked(5):
        await store.write(new_login(1.0), provider.log_in())
    return store


async def all_refresh(folder: Path, processes: int, times: int) -> None:
    async with refresh_provider() as provider:
        await log_in(folder, provider)
        running = [await begin(folder, provider, times) for _ in range(processes)]
        said = await asyncio.gather(*(each.communicate() for each in running))
        assert [err for _, err in said] == [b""] * processes
        assert [each.returncode for each in running] == [0] * processes
        assert provider.reuses == 0
        assert len({each["refresh_token"] for each in provider.asked}) == processes * times


async def test_no_refresh_token_is_ever_used_twice(tmp_path: Path) -> None:
    await all_refresh(tmp_path / "logins", 2, 25)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_no_refresh_token_is_ever_used_twice_in_hundreds_of_refreshes(tmp_path: Path) -> None:
    await all_refresh(tmp_path / "logins", 4, 150)


async def test_a_process_that_was_killed_holds_up_no_other_one(tmp_path: Path) -> None:
    folder = tmp_path / "logins"
    async with refresh_provider() as provider:
        store = await log_in(folder, provider)
        provider.open.clear()
        killed = await begin(folder, provider, 1)
        async with asyncio.timeout(30):
            await provider.came.wait()
        killed.send_signal(signal.SIGKILL)
        await killed.communicate()
        provider.open.set()
        login = store.look()
        assert login is not None
        assert login.sent_at is not None  # the answer was lost, and the next refusal can say so
        async with store.locked(5):
            pass
