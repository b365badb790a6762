"""Waits for a fetch whose secret may change meanwhile.

A module of its own, because it awaits while it handles an exception, which compiled code may not do
(docs/performance.md).
"""

import asyncio
from collections.abc import Callable
from typing import Final

from proxy.clock import Clock, pause
from proxy.credentials.credential import Credential

LOOK: Final = 1.0
"""Seconds between two looks at the secret while a fetch that uses it is under way."""


class SecretChanged(Exception):
    """The secret changed while a fetch used the old one."""


async def result_of(
    fetching: asyncio.Future[Credential], clock: Clock, look: Callable[[], object]
) -> Credential:
    """Return the result of a fetch, which has ended when this returns or raises.

    Args:
        look: looks at the secret, and cancels the fetch if it has changed.

    Raises:
        SecretChanged: `look` has cancelled the fetch.
        CredentialRejected, CredentialUnavailable: from the fetch.
    """
    try:
        while not await pause(clock, LOOK, fetching):
            look()
        if fetching.cancelled():
            raise SecretChanged
        return fetching.result()
    finally:
        if not fetching.done():
            fetching.cancel()
            await asyncio.wait([fetching])
