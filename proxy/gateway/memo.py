"""What was read before, and need not be read again."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memo(dict[Key, Value], Generic[Key, Value]):
    """A dict with a limit: it forgets everything when it is full.

    Read it with `get`, which costs what a dict's does; write it with `put`.

    Args:
        entries: how many it holds.
        longest: bytes of the longest key that it takes.
    """

    __slots__ = ("_entries", "longest")

    def __init__(self, entries: int, longest: int) -> None:
        super().__init__()
        self._entries = entries
        self.longest = longest

    def put(self, key: Key, value: Value) -> None:
        """Remember the value, unless its key is too long."""
        if isinstance(key, bytes) and len(key) > self.longest:
            return
        if len(self) >= self._entries:
            self.clear()
        self[key] = value
