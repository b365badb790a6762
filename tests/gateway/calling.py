"""Callers for tests: tokens that a test may change."""

from hashlib import sha256

from proxy.gateway.callers import Caller, Callers


class FixedToken:
    """A token that stays, or (`may_change`) one in a file that a test changes.

    Attributes:
        text: as it is now; empty: the file was never there.
        looks: how often it was read.
    """

    def __init__(self, text: bytes, *, may_change: bool = False) -> None:
        self.text = text
        self.may_change = may_change
        self.looks = 0

    def digest(self) -> bytes:
        self.looks += 1
        return sha256(self.text).digest() if self.text else b""


def one_caller(token: bytes, name: str = "") -> Callers:
    """Callers of whom there is one, with this token."""
    callers = Callers(lambda: 0.0)
    callers.switch([Caller(name)], [(name, FixedToken(token))], 0.0)
    return callers
