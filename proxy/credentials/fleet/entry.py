"""One credential in the store: each question is one script, and each answer is checked.

`Store` is all that this needs of a server, so that tests can stand in for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from proxy.credentials.fleet import scripts
from proxy.credentials.fleet.seal import Sealer

LOCK: Final = 3.0
"""Seconds that the lock lasts unless its owner keeps it: what the fleet waits for an owner that died."""

HOST_LIMITED: Final = 300.0
"""Seconds that a token host stays limited after a 429."""


class StoreError(Exception):
    """The store cannot be asked, or its answer is not one of our scripts'. The message says why."""


class Starved(StoreError):
    """We were too slow ourselves: our own timers ran late, so nothing is known about the store."""


class Store(Protocol):
    """A server of Valkey or Redis, or several that act as one."""

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> object:
        """Run a script; bounded in time.

        Raises:
            StoreError
        """
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store says of a credential.

    Attributes:
        kind: `value` (a token other than ours), `none` (there is no other), `acquired` (the lock is ours),
            `held` (another proxy fetches), or what the fleet waits after: `pace`, `same`, or the outcome of
            the last attempt.
        left: seconds that the value, the lock or the wait still lasts; below 0: without end.
    """

    kind: str
    value: bytes = field(default=b"", repr=False)
    left: float = 0.0


class Entry:
    """A credential's keys in the store.

    Args:
        owner: of the lock; differs for each proxy.
    """

    def __init__(self, store: Store, sealer: Sealer, prefix: str, owner: str) -> None:
        self.sealer = sealer
        self._store = store
        self._owner = owner
        self._keys = [f"{prefix}{{{sealer.name}}}:{kind}" for kind in scripts.KEYS]

    async def look(self, unwanted: str) -> Answer:
        """Look for a token whose mark is not `unwanted`."""
        return _answer(await self._run(scripts.LOOK, unwanted))

    async def keep(self, mark: str, left: float) -> Answer:
        """Look as `look` does; a session with this mark lasts for `left` seconds from now at least."""
        return _answer(await self._run(scripts.KEEP, mark, _ms(left)))

    async def acquire(self, unwanted: str) -> Answer:
        """Do the same; if there is none, take the lock, unless another proxy has it or the fleet waits."""
        return _answer(await self._run(scripts.ACQUIRE, unwanted, self._owner, _ms(LOCK)))

    async def extend(self) -> bool:
        """Keep the lock; return whether it was still ours."""
        return _number(await self._run(scripts.EXTEND, self._owner, _ms(LOCK))) == 1

    async def put(
        self, value: bytes, left: float, lane: str = "", seconds: float = 0.0, over: float | None = None
    ) -> bool:
        """Write a sealed token if it lives longer than the present one, and release the lock.

        Args:
            left: seconds until it expires.
            lane, seconds: what the fleet waits after now, and for how long; 0: it does not wait.
            over: seconds; write it if the present one lasts less than that; None: less than `left`.

        Returns:
            Whether it was written.
        """
        limit = _ms(left if over is None else over)
        args = self._owner, value, _ms(left), lane, int(seconds * 1000), limit
        return _number(await self._run(scripts.PUT, *args)) == 1

    async def end(self, outcome: str, least: float, first: float, most: float) -> None:
        """Record a failed attempt, and release the lock: the fleet waits, longer after each one.

        Args:
            least, first, most: seconds: shortest wait, back-off after the first failure, longest back-off.
        """
        await self._run(scripts.END, self._owner, outcome, int(least * 1000), _ms(first), _ms(most))

    async def refused(self, least: float, waits: Sequence[float]) -> None:
        """Record that a login was refused, and release the lock: the fleet waits.

        Args:
            least: seconds that the server has asked for.
            waits: seconds after the first refusal, the second, and so on; the last one after all others, too.
        """
        keys = [*self._keys, self._keys[0].removesuffix("value") + "refusals"]
        await self._store.run(scripts.REFUSED, keys, (self._owner, int(least * 1000), *map(_ms, waits)))

    async def forget(self, mark: str) -> bool:
        """Remove the token with this mark, which an upstream refused.

        Returns:
            False: it is still there, because the last repair was too short a time ago.
        """
        return _number(await self._run(scripts.FORGET, mark)) >= 0

    async def remove(self, value: bytes) -> None:
        """Remove a value that does not open, unless another one has taken its place."""
        await self._run(scripts.REMOVE, value)

    async def _run(self, script: str, *args: str | bytes | int) -> object:
        return await self._store.run(script, self._keys, args)


class HostEntry:
    """The rate of requests to a token host, for all credentials of the fleet.

    Args:
        always: whether to limit from the start.
    """

    def __init__(self, store: Store, prefix: str, host: str, *, always: bool) -> None:
        self._store = store
        self._always = always
        self._keys = [f"{prefix}{{host:{host}}}:{kind}" for kind in scripts.HOST_KEYS]

    async def turn(self, spacing: float) -> float:
        """Take a turn; return 0, or the seconds to wait before the next try."""
        answer = await self._store.run(scripts.PACE, self._keys, (_ms(spacing), int(self._always)))
        return _number(answer) / 1000

    async def limited(self) -> None:
        """Record a 429 of this host."""
        await self._store.run(scripts.LIMIT, self._keys, (_ms(HOST_LIMITED),))


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def _number(answer: object) -> int:
    if not isinstance(answer, int):
        raise StoreError("it gives an answer that is no number")
    return answer


def _answer(answer: object) -> Answer:
    match answer:
        case [bytes(kind), bytes(value), int(left)] if len(kind) < 20:
            return Answer(kind.decode("latin-1"), value, left / 1000)
    raise StoreError("it gives an answer that is not one of our scripts'")
