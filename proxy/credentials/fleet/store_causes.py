"""Says why a store cannot be used, by the types of errors, because their texts differ between event loops."""

from collections.abc import Iterator
from typing import Final

from valkey import exceptions
from valkey.asyncio.sentinel import MasterNotFoundError

from proxy.outgoing.causes import Peer
from proxy.outgoing.diagnosis import cause_of

FULL: Final = "it is full; raise its maxmemory, or set a maxmemory-policy that evicts"
"""Redis 6.2 says so of a script in the text of a plain ResponseError."""

ENDED: Final = (
    "it ends the connection; does it expect TLS (rediss:// in store.url), or none (redis://), "
    "or a client certificate (store.tls.cert_file and key_file)?"
)
"""In TLS 1.3 a server refuses a client without a certificate after the handshake has ended for us.
Its alert is lost when our first command reaches it later: then its system answers with a reset."""

_CAUSES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (MasterNotFoundError, "its Sentinels know no master of that name that is up; see store.sentinel_master"),
    (
        exceptions.AuthenticationError,
        "it refuses the user or the password; see store.username and store.password_file",
    ),
    (
        exceptions.NoPermissionError,
        "it does not allow this user our commands or keys; docs/operations.md says what its ACL has to allow",
    ),
    (exceptions.OutOfMemoryError, FULL),
    (exceptions.ReadOnlyError, "it is a replica, which cannot be written to; name its master in store.url"),
    (exceptions.BusyLoadingError, "it is still loading its data"),
    (exceptions.TimeoutError, "it does not answer in time"),
    (TimeoutError, "it does not answer in time"),
    (
        exceptions.ResponseError,
        "it refuses our script; does its ACL allow all commands of docs/operations.md, is it too old?",
    ),
    (exceptions.ValkeyClusterException, "none of its nodes answers, or it is no cluster; see store.cluster"),
)
"""The first type that fits, so the more special ones come first."""


def cause(error: BaseException, peer: Peer) -> str:
    """Return why a call failed, as a sentence that names what to do."""
    for kind, words in _CAUSES:
        if isinstance(error, kind):
            return FULL if kind is exceptions.ResponseError and "OOM" in str(error) else words
    for each in _chain(error):
        if isinstance(each, OSError) and (found := cause_of(each, peer)).name != "reset":
            return found.words
    return ENDED


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
