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
    """

    __slots__ = ("_entries", "longest")

    def __init__(self, entries: int, longest: int) -> None:
        super().__init__()
        self._entries = entries
        self.longest = longest

    def put(self, key: Key, value: Value) -> None:
        """Store the value, unless its key is too long."""
        if isinstance(key, bytes) and len(key) > self.longest:
            return
        if len(self) >= self._entries:
            self.clear()
        self[key] = value
