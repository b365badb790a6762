"""Regular expressions that every promised Python matches alike."""

import importlib
import re
from collections.abc import Iterator
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from tests.test_walls import MODULES

BACKTRACKS = {codes.BRANCH, codes.MAX_REPEAT, codes.MIN_REPEAT}
PATTERNS = {
    f"{name}.{key}": value
    for name in sorted(MODULES)
    if not name.endswith("__main__")
    for key, value in vars(importlib.import_module(name)).items()
    if isinstance(value, re.Pattern)
}


def below(part: Any) -> Iterator[Any]:
    """All operations of a parsed pattern."""
    if isinstance(part, parser.SubPattern | list | tuple):
        if isinstance(part, tuple) and part and isinstance(part[0], codes._NamedIntConstant):
            yield part
        for each in part:
            yield from below(each)


def misread(pattern: str | bytes) -> bool:
    """Whether it has a possessive repeat of what can be matched in more than one way.

    Python 3.11.0 to 3.11.4 go back into such a repeat and match what they must not (issue 106052 of CPython).
    """
    operations = below(parser.parse(pattern))
    repeats = [
        repeated for code, repeated in operations if code in (codes.POSSESSIVE_REPEAT, codes.ATOMIC_GROUP)
    ]
    return any(operation[0] in BACKTRACKS for repeat in repeats for operation in below(repeat))


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        (rb'"(?:[a-z]|\\[a-z])*+"', True),
        (rb"(?:a+b)*+", True),
        (rb"(?>a|bc)", True),
        (rb"(?:a++b)*+", False),
        (rb"(?:a|bc)*", False),
        (rb"(?:a|b)*+", False),
    ],
)
def test_a_misread_pattern_is_noticed(pattern: bytes, wrong: bool) -> None:
    assert misread(pattern) is wrong


def test_no_python_that_is_promised_misreads_a_pattern() -> None:
    assert [name for name, pattern in PATTERNS.items() if misread(pattern.pattern)] == []


def test_patterns_were_found() -> None:
    assert len(PATTERNS) > 40
