"""Gives memory back to the system after a burst.

The C library keeps what was freed for later use, and hands it back only from the end of its heap, where
something small usually lies. After a burst of large bodies a process would stay at 100 MiB and more for ever.
"""

import ctypes
import sys
from pathlib import Path
from typing import Final, NoReturn

from proxy.clock import Clock, pause

LOOK: Final = 20.0
"""Seconds between two looks at the size of the process."""

WORTH: Final = 16 * 1024 * 1024
"""Bytes above the size at start, from which on returning memory is worth its time: a millisecond or two."""

_PAGE: Final = 4096


async def give_back(clock: Clock) -> NoReturn:
    """Look at the size of this process now and then, and have free memory returned while it is large."""
    trim, usual = _trim(), _resident()
    while True:
        await pause(clock, LOOK)
        if trim is not None and usual and _resident() > usual + WORTH:
            trim(0)


def _trim() -> "ctypes._NamedFuncPointer | None":
    """malloc_trim(3) of the GNU C library; None on other systems."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None


def _resident() -> int:
    """Bytes of memory in use; 0: the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0
