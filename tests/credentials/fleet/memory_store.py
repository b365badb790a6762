"""A store in memory with a clock that stands still. `tests/fleet` runs the same cases on real servers."""

from collections.abc import Sequence

from proxy.credentials.fleet import scripts
from proxy.credentials.fleet.entry import StoreError
from tests.clock import FakeClock


class MemoryStore:
    """Runs our scripts, by hand.

    Attributes:
        calls: the names of the scripts that ran.
        down: calls fail while this is set.
        data: values by key, with the time when each ends.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.calls: list[str] = []
        self.down = False
        self.data: dict[str, tuple[bytes, float]] = {}

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> object:
        name = next(each for each in NAMES if getattr(scripts, each) == script)
        self.calls.append(name)
        if self.down:
            raise StoreError("it is down")
        texts = [each if isinstance(each, bytes) else str(each).encode() for each in args]
        return getattr(self, f"_{name.lower()}")(keys, texts)

    def set(self, key: str, value: bytes, ms: int) -> None:
        self.data[key] = value, self._clock.now() + ms / 1000

    def get(self, key: str) -> bytes | None:
        value, until = self.data.get(key, (None, 0.0))
        return value if self._clock.now() < until else None

    def left(self, key: str) -> int:
        return int((self.data[key][1] - self._clock.now()) * 1000) if self.get(key) is not None else -2

    def values(self) -> list[str]:
        """Return the keys of all sealed tokens."""
        return [key for key in self.data if key.endswith(":value") and self.get(key) is not None]

    # -- the scripts --

    def _look(self, keys: Sequence[str], args: list[bytes]) -> object:
        value = self.get(keys[0])
        if value is not None and value[2:26] != args[0]:
            return [b"value", value, self.left(keys[0])]
        return [b"none", b"", 0]

    def _acquire(self, keys: Sequence[str], args: list[bytes]) -> object:
        found = self._look(keys, args)
        if found != [b"none", b"", 0]:
            return found
        lane = self.get(keys[2])
        if lane is not None and (lane != b"same" or args[0]):
            return [lane, b"", self.left(keys[2])]
        if self.get(keys[1]) is not None:
            return [b"held", b"", self.left(keys[1])]
        self.set(keys[1], args[1], int(args[2]))
        return [b"acquired", b"", 0]

    def _extend(self, keys: Sequence[str], args: list[bytes]) -> object:
        if self.get(keys[1]) != args[0]:
            return 0
        self.set(keys[1], args[0], int(args[1]))
        return 1

    def _keep(self, keys: Sequence[str], args: list[bytes]) -> object:
        value = self.get(keys[0])
        if value is not None and value[2:26] == args[0] and self.left(keys[0]) < int(args[1]):
            self.set(keys[0], value, int(args[1]))
        return self._look(keys, args)

    def _put(self, keys: Sequence[str], args: list[bytes]) -> object:
        written = self.left(keys[0]) < int(args[5])
        if written:
            self.set(keys[0], args[1], int(args[2]))
        if int(args[4]) > 0:
            self.set(keys[2], args[3], int(args[4]))
        self.data.pop(keys[5], None)
        self._unlock(keys, args[0])
        return int(written)

    def _end(self, keys: Sequence[str], args: list[bytes]) -> object:
        times = self._incremented(keys[5])
        ms = max(int(args[2]), min(int(args[3]) * 2 ** (times - 1), int(args[4])))
        self.set(keys[2], args[1], ms)
        self._unlock(keys, args[0])
        return ms

    def _refused(self, keys: Sequence[str], args: list[bytes]) -> object:
        times = int(self.get(keys[6]) or b"0") + 1
        self.set(keys[6], str(times).encode(), 3600000)
        ms = max(int(args[1]), int(args[2:][min(times, len(args) - 2) - 1]))
        self.set(keys[2], b"rejected", ms)
        self._unlock(keys, args[0])
        return ms

    def _forget(self, keys: Sequence[str], args: list[bytes]) -> object:
        value = self.get(keys[0])
        if value is None or value[2:26] != args[0]:
            return 0
        if self.get(keys[3]) is not None:
            return -1
        self.set(keys[3], b"1", min(1000 * 2 ** (self._incremented(keys[4]) - 1), 300000))
        if self.get(keys[2]) == b"same":
            del self.data[keys[2]]
        del self.data[keys[0]]
        return 1

    def _remove(self, keys: Sequence[str], args: list[bytes]) -> object:
        return int(self.get(keys[0]) == args[0] and self.data.pop(keys[0], None) is not None)

    def _pace(self, keys: Sequence[str], args: list[bytes]) -> object:
        if args[1] == b"0" and self.get(keys[1]) is None:
            return 0
        if self.get(keys[0]) is not None:
            return self.left(keys[0])
        self.set(keys[0], b"1", int(args[0]))
        return 0

    def _limit(self, keys: Sequence[str], args: list[bytes]) -> object:
        self.set(keys[1], b"1", int(args[0]))
        return None

    def _unlock(self, keys: Sequence[str], owner: bytes) -> None:
        if self.get(keys[1]) == owner:
            del self.data[keys[1]]

    def _incremented(self, key: str) -> int:
        times = int(self.get(key) or b"0") + 1
        self.set(key, str(times).encode(), 600000)
        return times


NAMES = ("LOOK", "ACQUIRE", "EXTEND", "PUT", "END", "FORGET", "REMOVE", "PACE", "LIMIT", "KEEP", "REFUSED")
