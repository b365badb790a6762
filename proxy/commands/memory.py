"""Gives memory back to the system after a burst.

The C library keeps freed memory for later use. It returns it only from the end of its heap, where something
small usually lies. Without this, a process would stay at 100 MiB and more after a burst of large bodies.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from proxy.clock import Clock, pause

INTERVAL: Final = 20.0
"""Seconds between two looks at the size of the process."""

WORTH: Final = 16 * 1024 * 1024
"""Bytes above the size at the start, from which on returning memory is worth its time: one or two
milliseconds."""

_PAGE: Final = 4096


def resident() -> int:
    """Return the bytes of memory that this process uses; 0: the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def trim() -> None:
    """Call malloc_trim(3) of the GNU C library; do nothing on other systems."""
    if sys.platform.startswith("linux"):
        import ctypes  # seldom needed, and it takes memory itself

        malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if malloc_trim is not None:
            malloc_trim(0)


async def give_back(
    clock: Clock, size: Callable[[], int] = resident, give: Callable[[], None] = trim
) -> NoReturn:
    """Return free memory to the system every INTERVAL, while the process is larger than at the start.

    Args:
        size: bytes that the process uses.
        give: returns free memory.
    """
    usual = size()
    while True:
        await pause(clock, INTERVAL)
        if usual and size() > usual + WORTH:
            give()
