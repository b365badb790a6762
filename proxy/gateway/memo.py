"""Caches parsed values, so that the same bytes need not be parsed again."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memo(dict[Key, Value], Generic[Key, Value]):
    """A dict with a limit. When it is full, it forgets everything.

    Read it with `get`, which is as fast as a dict's; write it with `put`.

    Args:
        entries: most entries.
        longest: bytes of the longest key that is stored.
        twice: store only what is put a second time, so that keys that never repeat (they hold a request id)
            push nothing out.
    """

    __slots__ = ("_entries", "_once", "longest")

    def __init__(self, entries: int, longest: int, *, twice: bool = False) -> None:
        super().__init__()
        self._entries = entries
        self._once: set[int] | None = set() if twice else None  # hashes of what was put once
        self.longest = longest

    def put(self, key: Key, value: Value) -> None:
        """Store the value, unless its key is too long."""
        if isinstance(key, bytes) and len(key) > self.longest:
            return
        if self._once is not None and self._is_new(self._once, hash(key)):
            return
        if len(self) >= self._entries:
            self.clear()
        self[key] = value

    def _is_new(self, once: set[int], mark: int) -> bool:
        if mark in once:
            return False
        if len(once) >= self._entries:
            once.clear()
        once.add(mark)
        return True
