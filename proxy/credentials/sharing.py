"""Defines what a keeper asks of a store that a fleet of proxies shares, and what is reported of it.

No library of a store is imported here; `fleet/` has the parts that need one.
"""

from collections import Counter
from typing import Literal, Protocol

from proxy.credentials.credential import Credential

StoreAnswer = Literal["value", "acquired", "held", "wait", "error"]


class SharedSource(Protocol):
    """Gets a credential for a whole fleet: from the store, or from its source, for all.

    Attributes:
        asked: whether the last `fetch` has called its source.
        restless: whether `look` wants to be called again within a second or two.
    """

    asked: bool

    @property
    def restless(self) -> bool: ...

    async def fetch(self, have: Credential | None, *, refused: bool) -> Credential:
        """Get another credential than `have`, from the store if another proxy has put one there.

        Args:
            have: the one that is still good; None: there is none.
            refused: whether an upstream refused it; then it is removed from the store, too.

        Returns:
            `have` itself if there is no other one yet.

        Raises:
            CredentialRejected, CredentialUnavailable: as `CredentialSource.fetch`, also for an attempt that
                another proxy has made.
        """
        ...

    async def look(self, have: Credential | None, *, failing: bool, until: float) -> Credential | None:
        """Do between two fetches what the store needs, within a second; return a credential found there.

        Args:
            failing: whether the last attempt failed, so that one in the store is welcome.
            until: seconds on the Clock, when `have` ends; each use of a session moves it.
        """
        ...


class StoreTally:
    """Plain counts of one store, and whether it can be reached.

    Attributes:
        where: its addresses, for people.
        reachable: whether the last calls were answered.
        reason: why not; empty: it can be reached.
        answers: calls by answer.
        ignored: values that did not open, because they were changed or are not ours.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.reachable = True
        self.reason = ""
        self.answers: Counter[StoreAnswer] = Counter()
        self.ignored = 0
