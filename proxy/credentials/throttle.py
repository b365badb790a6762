"""Limits the rate of token requests per host, for all keepers that use the host."""

import asyncio
from math import inf

from proxy.clock import Clock, pause

SPACING = 1.05
"""Seconds between requests to a limited host. It allows one a second, and two requests can arrive there a
little closer together than we sent them."""

LIMITED_FOR = 300.0
"""Seconds that a host stays limited after a 429."""


def counts_per_address(host: str) -> bool:
    """Tell whether this token host is known to limit all clients of one IP address together.

    Camunda SaaS does: about one request a second, failed ones included (camunda-docs PR 3510).
    """
    return host == "camunda.io" or host.endswith(".camunda.io")


class HostThrottle:
    """Lets requests pass freely until the host answers 429, then one by one, in the order of their arrival.

    Args:
        always: whether to limit from the start, as for Camunda SaaS (see `counts_per_address`).
    """

    def __init__(self, clock: Clock, *, always: bool = False) -> None:
        self._clock = clock
        self._limited_until = inf if always else -inf
        self._free_at = -inf
        self._order = asyncio.Lock()

    async def turn(self) -> None:
        """Wait until a request may be sent; call `ended` after it."""
        async with self._order:
            while (now := self._clock.now()) < min(self._free_at, self._limited_until):
                await pause(self._clock, self._free_at - now)
            self._free_at = self._clock.now() + SPACING

    def ended(self, *, limited: bool) -> None:
        """Record the end of a request. The next one waits from now: the host may have counted it only now.

        A slow request does not delay others (SaaS delays its answer by 30 s after a wrong secret).
        """
        now = self._clock.now()
        self._free_at = now + SPACING
        if limited:
            self._limited_until = max(self._limited_until, now + LIMITED_FOR)
