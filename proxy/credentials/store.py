"""Stores credentials beyond the life of their keeper; an expired one is never returned."""

from collections.abc import Hashable
from dataclasses import dataclass
from math import inf

from cachetools import TLRUCache

from proxy.clock import Clock
from proxy.credentials.credential import Credential

TokenStore = TLRUCache[Hashable, Credential]


def token_store(clock: Clock, size: int = 1024) -> TokenStore:
    """Make a store for `size` credentials; when it is full, it drops the least recently used one."""

    def until(key: Hashable, credential: Credential, now: float) -> float:
        return inf if credential.expires_at is None else credential.expires_at

    return TLRUCache(size, until, timer=clock.now)


@dataclass(frozen=True, slots=True)
class TokenSlot:
    """The entry of one keeper's credential in the store.

    Attributes:
        key: equal for keepers that may take over each other's credential.
    """

    store: TokenStore
    key: Hashable

    def get(self) -> Credential | None:
        return self.store.get(self.key)

    def put(self, credential: Credential) -> None:
        self.store[self.key] = credential
