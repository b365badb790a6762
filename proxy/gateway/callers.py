"""Pure: from a token to the caller that it belongs to, and what that caller may do.

The table has the SHA-256 of each token as its key. So a request costs one hash and one lookup, whatever the
number of callers, and the time of the lookup says nothing about a token.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Literal, Protocol

from proxy.access.rules import AccessRules
from proxy.clock import date_of
from proxy.errors import RequestRefused
from proxy.gateway.rate import Bucket, Rate

Outcome = Literal["answered", "failed", "not_permitted", "rate_limited", "expired", "unknown"]
"""What became of a request, for the counts by caller. `answered`: its upstream's answer was forwarded, with
any status; `failed`: any other answer of the proxy that is a problem, or no answer."""

_REFUSALS: Final[dict[str | None, Outcome]] = {
    "not_allowed": "not_permitted",
    "not_permitted": "not_permitted",
    "ambiguous_request": "not_permitted",
    "rate_limited": "rate_limited",
    "caller_expired": "expired",
    "caller_unknown": "unknown",
}

LOOKS: Final = Rate(per_second=20.0, burst=20)
"""How often tokens that are not known may cause a look at the files of all callers."""


class Token(Protocol):
    """One token of a caller.

    Attributes:
        may_change: whether it is in a file, and has to be read again.
    """

    @property
    def may_change(self) -> bool: ...

    def digest(self) -> bytes:
        """Return the SHA-256 of the token as it is now; empty: it could never be read."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller of the configuration.

    Attributes:
        name: in `callers`; empty: the caller of `guard.caller_token`.
        upstreams: names of those that it may use; None: all.
        access: its rules at each upstream that it may use, by name; those without any are left out.
        certificate_san: names in its client certificate, as `DNS:a.example`.
        rate: its limit over all upstreams; None: none.
        expires: seconds since 1970; None: never.
    """

    name: str
    upstreams: frozenset[str] | None = None
    rate: Rate | None = None
    expires: float | None = None
    access: Mapping[str, AccessRules] = field(default_factory=dict)
    certificate_san: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Admission:
    """How a running request was admitted.

    Attributes:
        name: of its caller.
        digest: of the token that it showed; empty: it needed none.
        identity: name in its client certificate; empty: that did not count.
        anonymous: whether it was admitted without a token and without a certificate.
    """

    name: str
    digest: bytes = field(default=b"", repr=False)
    anonymous: bool = False
    identity: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    digest: bytes = field(repr=False)
    caller: Caller
    token: Token = field(repr=False)


class Callers:
    """The callers of the configuration in use. A reload changes them by `switch`; the object stays.

    Args:
        wall: returns seconds since 1970.
        warn: gets a sentence for the log, without secrets.
    """

    __slots__ = (
        "_buckets",
        "_by_digest",
        "_by_identity",
        "_by_name",
        "_changing",
        "_looks",
        "_shared",
        "_tokens",
        "_wall",
        "_warn",
        "named",
    )

    def __init__(self, wall: Callable[[], float], warn: Callable[[str], object] = lambda _: None) -> None:
        self.named = False  # whether any caller has a name
        self._wall = wall
        self._warn = warn
        self._by_name: dict[str, Caller] = {}
        self._by_identity: dict[str, Caller] = {}
        self._tokens: tuple[tuple[Caller, Token], ...] = ()
        self._by_digest: dict[bytes, _Known] = {}
        self._buckets: dict[str, Bucket] = {}
        self._looks = Bucket(LOOKS, 0.0)
        self._changing = False
        self._shared: frozenset[bytes] = frozenset()

    def switch(self, callers: Sequence[Caller], tokens: Iterable[tuple[str, Token]], now: float) -> None:
        """Use other callers from now on. A caller whose rate stays the same goes on with what is left of it.

        Args:
            tokens: each with the name of its caller.
            now: seconds on the Clock.
        """
        self._by_name = {caller.name: caller for caller in callers}
        self._by_identity = {name: caller for caller in callers for name in caller.certificate_san}
        self._tokens = tuple((self._by_name[name], token) for name, token in tokens)
        self._changing = any(token.may_change for _, token in self._tokens)
        self.named = any(self._by_name)
        before = self._buckets
        self._buckets = {
            caller.name: kept
            if (kept := before.get(caller.name)) is not None and kept.rate == caller.rate
            else Bucket(caller.rate, now)
            for caller in callers
            if caller.rate is not None
        }
        self._shared = frozenset()
        self._read()

    def by_name(self, name: str) -> Caller | None:
        """Return the caller of that name."""
        return self._by_name.get(name)

    def by_identity(self, name: str) -> Caller | None:
        """Return the caller with that name in its client certificate, as `DNS:a.example`; None: none."""
        return self._by_identity.get(name)

    def by_token(self, shown: bytes, now: float) -> tuple[Caller, bytes] | None:
        """Return the caller with that token, and its digest; None: no caller has it.

        A token whose file has changed counts at once: a token that is found costs one look at its own file,
        and one that is not found a look at all of them, at most LOOKS of these.
        """
        digest = sha256(shown).digest()
        known = self._by_digest.get(digest)
        if self._changing and self._must_read(known, now):
            self._read()
            known = self._by_digest.get(digest)
        if known is None or not compare_digest(known.digest, digest):
            return None
        return known.caller, digest

    def _must_read(self, known: _Known | None, now: float) -> bool:
        if known is None:
            return self._looks.take(now) == 0.0
        return known.token.may_change and known.token.digest() != known.digest

    def _read(self) -> None:
        """Make the table of digests. A token that two callers have is in it for neither of them."""
        found: dict[bytes, _Known] = {}
        shared: dict[bytes, str] = {}
        for caller, token in self._tokens:
            digest = token.digest()
            if not digest:
                continue
            other = found.setdefault(digest, _Known(digest, caller, token))
            if other.caller is not caller:
                shared[digest] = (
                    f"{setting_of(other.caller)} and {setting_of(caller)} have the same token, so it is "
                    "accepted for neither of them; change one of the files"
                )
        for digest, sentence in shared.items():
            del found[digest]
            if digest not in self._shared:
                self._warn(sentence)
        self._shared = frozenset(shared)
        self._by_digest = found

    # -- what a caller may do --

    def check(self, caller: Caller, upstream: str, now: float) -> None:
        """Refuse a request of a caller that has expired, is over its limit, or may not use that upstream.

        Raises:
            RequestRefused: `caller_expired`, `rate_limited` or `not_permitted`.
        """
        setting = setting_of(caller)
        if self._expired(caller):
            raise RequestRefused(
                "caller_expired",
                f"Caller `{caller.name}` has expired ({setting}.expires: {date_of(caller.expires or 0.0)}). "
                "The operator of the proxy can let it in for longer.",
            )
        bucket = self._buckets.get(caller.name)
        if bucket is not None and (wait := bucket.take(now)) > 0.0:
            rate = bucket.rate
            raise RequestRefused(
                "rate_limited",
                f"Caller `{caller.name}` sends too many requests: {setting}.rate allows "
                f"{rate.per_second:g} per second, and {rate.burst} at once. Send the request again later.",
                retry_after=max(1, math.ceil(wait)),
            )
        if caller.upstreams is not None and upstream not in caller.upstreams:
            raise RequestRefused(
                "not_permitted",
                f"Caller `{caller.name}` may not use upstream `{upstream}`: {setting}.upstreams does not "
                "name it.",
            )

    def admits(self, admission: Admission, upstream: str) -> bool:
        """Tell whether a running request may go on: its caller is there, and may use the upstream still."""
        caller = self._by_name.get(admission.name)
        if caller is None or self._expired(caller):
            return False
        return caller.upstreams is None or upstream in caller.upstreams

    def knows_token(self, admission: Admission) -> bool:
        """Tell whether the token that a running request has shown is a token of its caller still."""
        known = self._by_digest.get(admission.digest)
        return known is not None and known.caller.name == admission.name

    def _expired(self, caller: Caller) -> bool:
        return caller.expires is not None and self._wall() >= caller.expires


def outcome_of(problem: str | None, *, answered: bool) -> Outcome:
    """Return the outcome of a request.

    Args:
        problem: code of the proxy's own answer; None: it was none.
        answered: whether the caller got an answer, or at least its beginning.
    """
    if problem is None:
        return "answered" if answered else "failed"
    return _REFUSALS.get(problem, "failed")


def setting_of(caller: Caller) -> str:
    """Return the setting that a caller comes from."""
    return f"callers.{caller.name}" if caller.name else "guard.caller_token"
