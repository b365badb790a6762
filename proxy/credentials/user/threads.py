"""Runs calls that block: of a disk, or of a keyring that asks the person for its password."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
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

    def settle(result: T | None, error: Exception | None) -> None:
        if ended.done():
            return
        if error is not None:
            ended.set_exception(error)
        else:
            ended.set_result(result)  # type: ignore[arg-type] -- it is a T if there is no error

    def run() -> None:
        result, error = None, None
        try:
            result = call()
        except Exception as raised:  # noqa: BLE001 -- handed to the caller, whatever it is
            error = raised
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    # A daemon: the process must not wait at its end for a keyring that nothing unlocks.
    threading.Thread(target=run, name="stored login", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await ended
