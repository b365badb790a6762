"""Where credentials lie that outlive their keeper; an expired one cannot be taken out."""

from collections.abc import Hashable
from math import inf

from cachetools import TLRUCache

from proxy.clock import Clock
from proxy.credentials.credential import Credential

TokenStore = TLRUCache[Hashable, Credential]


def token_store(clock: Clock, size: int = 1024) -> TokenStore:
    """A store for `size` credentials; the least recently used one makes room."""

    def until(key: Hashable, credential: Credential, now: float) -> float:
        return inf if credential.expires_at is None else credential.expires_at

    return TLRUCache(size, until, timer=clock.now)
