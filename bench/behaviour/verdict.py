"""What is told about one row and one peer."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_VOLATILE: Final = (
    (re.compile(r"127\.0\.0\.1:\d{4,5}|localhost:\d{4,5}"), "HOST:PORT"),
    (re.compile(r"[0-9a-f]{16,}"), "HEX"),
)
_LONGEST: Final = 240
"""Characters of a reason that are kept."""


class Result(StrEnum):
    """`cannot`: the peer has no such feature, so that it neither passed nor failed."""

    PASSED = "passed"
    FAILED = "failed"
    CANNOT = "cannot"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of one peer.

    Attributes:
        group: name of the row's group (`table.GROUPS`).
        why: what was seen, where it failed; why it was not tried, where it cannot.
    """

    group: str
    row: str
    peer: str
    result: Result
    why: str = ""


def judged(group: str, row: str, peer: str, complaints: Iterable[str]) -> Verdict:
    """Passed where there are no complaints."""
    told = [each for each in complaints if each]
    return Verdict(
        group, row, peer, Result.FAILED if told else Result.PASSED, one_line("; ".join(dict.fromkeys(told)))
    )


def one_line(text: str) -> str:
    """A short line of printable ASCII without what differs between two runs, such as ports."""
    for pattern, instead in _VOLATILE:
        text = pattern.sub(instead, text)
    text = " ".join(text.encode("ascii", "backslashreplace").decode().split())
    text = "".join(each if each.isprintable() else "?" for each in text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
