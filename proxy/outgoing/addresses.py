"""Pure: the order in which addresses of a host are tried (RFC 8305 section 4), and which failed lately."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any, Final

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""As `socket.getaddrinfo` returns it: family, kind, protocol, canonical name, address."""

FORGET: Final = 600.0
"""Seconds after which a failure is forgotten: the address may be back. Trying it costs a quarter second."""

MOST: Final = 1024
"""Addresses that are remembered."""


class Failures:
    """Addresses that have failed lately, or did not answer in time: they are tried last.

    So what has worked is tried first next time, and yet connections are spread over all addresses that work.

    Args:
        now: seconds on the Clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failed: dict[tuple[Any, ...], float] = {}

    def note(self, address: AddressInfo) -> None:
        """The address has failed."""
        self._failed.pop(address[4], None)
        self._failed[address[4]] = self._now()
        if len(self._failed) > MOST:
            del self._failed[next(iter(self._failed))]

    def forget(self, address: AddressInfo) -> None:
        """The address works."""
        self._failed.pop(address[4], None)

    def learn(self, tried: Sequence[AddressInfo]) -> None:
        """Take what a race over addresses has shown about all of them but the last.

        Args:
            tried: in the order in which attempts began; each one began because those before it had failed or
                were silent for a quarter second.
        """
        for each in tried[:-1]:
            self.note(each)

    def order(self, found: Iterable[AddressInfo]) -> list[AddressInfo]:
        """Families in turn, beginning with the system's first choice; behind them those that have failed, the
        oldest failure first."""
        horizon = self._now() - FORGET
        good: list[AddressInfo] = []
        bad: list[tuple[float, AddressInfo]] = []
        for each in found:
            at = self._failed.get(each[4], horizon)
            if at > horizon:
                bad.append((at, each))
            else:
                good.append(each)
        bad.sort(key=lambda each: each[0])
        return [*_interleaved(good), *(each for _, each in bad)]


def _interleaved(found: Sequence[AddressInfo]) -> list[AddressInfo]:
    families: dict[int, list[AddressInfo]] = {}
    for each in found:
        families.setdefault(each[0], []).append(each)
    turns = zip_longest(*families.values())
    return [each for each in chain.from_iterable(turns) if each is not None]
