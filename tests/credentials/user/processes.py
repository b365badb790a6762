"""A process that refreshes a stored login some times: `python processes.py FOLDER TOKEN_URL TIMES`."""

import asyncio
import sys
from pathlib import Path

from proxy.clock import SystemClock
from proxy.credentials.outbound import Outbound
from proxy.credentials.user.logins import LoginStore
from proxy.credentials.user.settings import UserSettings
from proxy.credentials.user.source import UserSource


async def main(folder: str, url: str, times: int) -> None:
    outbound = Outbound()
    settings = UserSettings("me", "proxy", token_url=url, timeout=60.0)
    store = LoginStore(Path(folder), "me-key", "me", "file")
    source = UserSource(settings, store, outbound, SystemClock())
    for _ in range(times):
        await source.fetch()
    await outbound.close()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
