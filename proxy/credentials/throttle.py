"""One limiter per token host, for all the keys that ask there."""

import asyncio
from math import inf

from proxy.clock import Clock, pause

SPACING = 1.05
"""Seconds between requests to a limited host. It counts one a second at its own end, where two requests can
arrive a little closer than they left."""

LIMITED_FOR = 300.0
"""Seconds that a host stays limited after a 429."""


def counts_per_address(host: str) -> bool:
    """Whether this token host is known to limit all clients of one address together.

    Camunda SaaS does: about one request a second, failed ones included (camunda-docs PR 3510).
    """
    return host == "camunda.io" or host.endswith(".camunda.io")


class HostThrottle:
    """Lets keys through freely, until the host says 429; then one by one, in the order they came.

    Args:
        always: limited from the start, as Camunda SaaS is (see `counts_per_address`).
    """

    def __init__(self, clock: Clock, *, always: bool = False) -> None:
        self._clock = clock
        self._limited_until = inf if always else -inf
        self._free_at = -inf
        self._order = asyncio.Lock()

    async def turn(self) -> None:
        """Wait for this key's turn; call `ended` after the request."""
        async with self._order:
            while (now := self._clock.now()) < min(self._free_at, self._limited_until):
                await pause(self._clock, self._free_at - now)
            self._free_at = self._clock.now() + SPACING

    def ended(self, *, limited: bool) -> None:
        """A request came back. The host saw it at some moment until now, so the next one keeps its distance.

        One that takes long holds nobody up (SaaS delays its answer by 30 s after a wrong secret).
        """
        now = self._clock.now()
        self._free_at = now + SPACING
        if limited:
            self._limited_until = max(self._limited_until, now + LIMITED_FOR)
