"""Makes the callers from the configuration, and reads their tokens."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from proxy.access.rules import AccessRules
from proxy.admin.status import CallerView
from proxy.app.upstreams import access_rules
from proxy.config.model import SHORTEST_TOKEN, CallerConfig, Config, SecretRef
from proxy.credentials.secret import FileSecret, Secret, TextSecret
from proxy.errors import CredentialUnavailable
from proxy.gateway.callers import Caller, Token
from proxy.gateway.rate import Rate

REMEMBERED: Final = 4096
"""Most decisions of all callers' access rules together that are remembered, some 300 bytes each."""

FEWEST_REMEMBERED: Final = 16
"""Most decisions of one caller at one upstream that are remembered if there are many callers."""


class CallerToken:
    """A token in the configuration, or in a file that is read again when it changes. A file that is missing,
    or too short, leaves the token read last in use.

    Attributes:
        text: the token read last.
    """

    __slots__ = ("_digest", "_secret", "text")

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._digest = b""
        self.text = ""

    @property
    def may_change(self) -> bool:
        return self._secret.may_change

    def digest(self) -> bytes:
        """Return its SHA-256; empty: its file was removed before it was ever read."""
        try:
            text = self._secret.read()
        except CredentialUnavailable:
            return b""
        if text != self.text:
            self.text = text
            self._digest = sha256(text.encode()).digest()
        return self._digest


class HashedToken:
    """A token of which only the SHA-256 is known."""

    __slots__ = ("_digest",)

    may_change = False

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def digest(self) -> bytes:
        return self._digest


def callers_of(config: Config) -> list[Caller]:
    """Return the callers of a configuration, the one of `guard.caller_token` without a name."""
    found = [
        Caller(
            caller.name,
            None if caller.upstreams is None else frozenset(caller.upstreams),
            None if caller.rate is None else Rate(caller.rate.per_second, caller.rate.burst),
            caller.expires,
            dict(_access(caller, config)),
            caller.certificate_san,
        )
        for caller in config.callers
    ]
    if config.guard.caller_token is not None:
        found.append(Caller(""))
    return found


def views(config: Config) -> tuple[CallerView, ...]:
    """Return the callers for the admin ports."""
    every = tuple(upstream.name for upstream in config.upstreams)
    found = [
        CallerView(
            caller.name,
            every if caller.upstreams is None else caller.upstreams,
            str(caller.access or "all"),
            caller.expires,
        )
        for caller in config.callers
    ]
    if config.guard.caller_token is not None:
        found.append(CallerView("", every, "all", None))
    return tuple(found)


def _access(caller: CallerConfig, config: Config) -> Iterator[tuple[str, AccessRules]]:
    """Yield the rules of a caller at each upstream that it may use, if it has any."""
    sets = sum(each.access is not None for each in config.callers) * len(config.upstreams)
    remembered = max(FEWEST_REMEMBERED, REMEMBERED // max(1, sets))
    for upstream in config.upstreams:
        rules = access_rules(caller.access, upstream, f"callers.{caller.name}", remembered)
        if rules is not None and (caller.upstreams is None or upstream.name in caller.upstreams):
            yield upstream.name, rules


def tokens_of(config: Config) -> Iterator[tuple[str, Token]]:
    """Yield each token, with the name of its caller."""
    for caller in config.callers:
        for digest in caller.token_sha256:
            yield caller.name, HashedToken(digest)
        for ref in caller.tokens:
            yield caller.name, _token(ref, caller)
    if config.guard.caller_token is not None:
        yield "", _token(config.guard.caller_token, None)


def _token(ref: SecretRef, caller: CallerConfig | None) -> CallerToken:
    if ref.file is None:
        return CallerToken(TextSecret(ref.text or ""))
    setting = "guard.caller_token_file" if caller is None else f"callers.{caller.name}.token_file"
    return CallerToken(FileSecret(ref.file, SHORTEST_TOKEN, setting=setting))
