"""What the harnesses share: how an input is cut, and the secret that no message may tell."""

from collections.abc import Iterator
from random import Random
from zlib import crc32

CANARY = "k4n4ry~S3cret"
"""Stands in seeds and dictionaries where secrets stand: no error and no repr may show it.

It holds a `~`, so it cannot be the name of an upstream or a credential: messages show those. Its first letter
is no hexadecimal digit, so it is not the end of an escape (`\\xac` and the rest).
"""


def pieces(octets: bytes, seed: int = 0) -> Iterator[bytes]:
    """The input in pieces of any size; the same input is always cut alike, so that a finding repeats."""
    chance = Random(crc32(octets) + seed)
    largest = chance.choice((1, 2, 5, 40, 1000))
    at = 0
    while at < len(octets):
        size = chance.randint(1, largest)
        yield octets[at : at + size]
        at += size


def lines_and_rest(octets: bytes) -> tuple[list[bytes], bytes]:
    """Lines up to an empty one, and what is behind that; lines end with LF, or CR and LF."""
    head, _, rest = octets.replace(b"\r\n", b"\n").partition(b"\n\n")
    return head.split(b"\n"), rest


def untold(*shown: object) -> None:
    """Raises AssertionError where the canary can be read in one of these."""
    for each in shown:
        text = f"{each} {each!r}"
        assert CANARY not in text, text
