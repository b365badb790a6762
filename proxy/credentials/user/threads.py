"""Runs calls that block: of a disk, or of a keyring that asks the person for its password."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T], seconds: float) -> T:
    """Return the result of a call that runs in a thread of its own, or raise its exception.

    Args:
        seconds: to wait for it. A call cannot be interrupted, so after that its thread is left alone.

    Raises:
        TimeoutError: the call did not end in time.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def settle(how: Callable[[], None]) -> None:
        if not ended.done():
            how()

    def run() -> None:
        try:
            how = partial(ended.set_result, call())
        except Exception as error:  # noqa: BLE001 -- handed to the caller, whatever it is
            how = partial(ended.set_exception, error)
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(settle, how)

    # A daemon: the process must not wait at its end for a keyring that nothing unlocks.
    threading.Thread(target=run, name="stored login", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await ended
