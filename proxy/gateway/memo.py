"""Caches parsed values, so that the same bytes need not be parsed again."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memo(Generic[Key, Value]):
    """Values by key, with a limit. When it is full, it forgets everything.

    Args:
        entries: most entries.
        longest: bytes of the longest key that is stored.
        twice: store only what is put a second time, so that keys that never repeat (they hold a request id)
            push nothing out.

    Attributes:
        known: what is stored. Read it with `known.get`; write it with `put`.
    """

    # It is no subclass of dict: compiled code would look `get` up by its name, at each call.
    __slots__ = ("_entries", "_once", "known", "longest")

    def __init__(self, entries: int, longest: int, *, twice: bool = False) -> None:
        self.known: dict[Key, Value] = {}
        self._entries = entries
        self._once: set[int] | None = set() if twice else None  # hashes of what was put once
        self.longest = longest

    def put(self, key: Key, value: Value) -> None:
        """Store the value, unless its key is too long."""
        if isinstance(key, bytes) and len(key) > self.longest:
            return
        if self._once is not None and self._is_new(self._once, hash(key)):
            return
        if len(self.known) >= self._entries:
            self.known.clear()
        self.known[key] = value

    def _is_new(self, once: set[int], mark: int) -> bool:
        if mark in once:
            return False
        if len(once) >= self._entries:
            once.clear()
        once.add(mark)
        return True
