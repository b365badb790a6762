"""Pure: finds templates of paths by their segments, by hash instead of by trying one after the other."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

ANY_METHOD: Final = "*"
BELOW: Final = "**"
_VARIABLE: Final = re.compile(r"\{[^{}/]*\}")


@dataclass(slots=True)
class _Node(Generic[Value]):
    """A segment.

    Attributes:
        literal: nodes of the next segment, by its text.
        mixed: nodes of next segments with a variable beside other text, each with its pattern.
        variable: node of a next segment that may be any text.
        ends: by method, for paths that end here.
        below: by method, for all paths that go on from here.
    """

    literal: dict[str, "_Node[Value]"] = field(default_factory=dict)
    mixed: list[tuple[re.Pattern[str], "_Node[Value]"]] = field(default_factory=list)
    variable: "_Node[Value] | None" = None
    ends: dict[str, Value] = field(default_factory=dict)
    below: dict[str, Value] = field(default_factory=dict)


class Tree(Generic[Value]):
    """Templates of paths, each with a method and a value.

    A segment of a template is a text, `*` or `{name}` (one segment that is not empty), a mixture such as
    `{a}...{b}`, or `**` at the end: one or more segments, of which the first is not empty.
    """

    def __init__(self) -> None:
        self._root: _Node[Value] = _Node()

    def add(self, method: str, template: Sequence[str], value: Value) -> None:
        node = self._root
        for segment in template:
            if segment == BELOW:
                node.below.setdefault(method, value)
                return
            node = _next(node, segment)
        node.ends.setdefault(method, value)

    def find(self, methods: Sequence[str], segments: Sequence[str]) -> Value | None:
        """Return the value of the template that fits; of several that fit, one with more text in it.

        Args:
            methods: those that count, the preferred one first.
        """
        return _found(self._root, methods, segments, 0)

    def leads(self, segments: Sequence[str]) -> bool:
        """Tell whether a template begins with these segments."""
        return any(True for _ in _reached(self._root, segments, 0))


def is_variable(segment: str) -> bool:
    """Tell whether a segment of a template stands for any one segment."""
    return segment == "*" or _VARIABLE.fullmatch(segment) is not None


def _next(node: _Node[Value], segment: str) -> _Node[Value]:
    if is_variable(segment):
        if node.variable is None:
            node.variable = _Node()
        return node.variable
    if not _VARIABLE.search(segment):
        return node.literal.setdefault(segment, _Node())
    texts = [re.escape(text) for text in _VARIABLE.split(segment)]
    pattern = re.compile(".+?".join(texts), re.DOTALL)
    for known, below in node.mixed:
        if known.pattern == pattern.pattern:
            return below
    below = _Node()
    node.mixed.append((pattern, below))
    return below


def _onward(node: _Node[Value], segment: str) -> Iterator[_Node[Value]]:
    below = node.literal.get(segment)
    if below is not None:
        yield below
    for pattern, mixed in node.mixed:
        if pattern.fullmatch(segment):
            yield mixed
    if node.variable is not None and segment:
        yield node.variable


def _found(node: _Node[Value], methods: Sequence[str], segments: Sequence[str], at: int) -> Value | None:
    while at < len(segments):
        segment = segments[at]
        at += 1
        literal, variable = node.literal.get(segment), node.variable if segment else None
        if not node.below and not node.mixed and (literal is None or variable is None):
            only = literal or variable  # almost always; a loop costs a third of the calls
            if only is None:
                return None
            node = only
            continue
        if literal is not None and (value := _found(literal, methods, segments, at)) is not None:
            return value
        for pattern, mixed in node.mixed:
            if pattern.fullmatch(segment) and (value := _found(mixed, methods, segments, at)) is not None:
                return value
        if variable is not None and (value := _found(variable, methods, segments, at)) is not None:
            return value
        return _of(node.below, methods) if segment else None
    return _of(node.ends, methods)


def _of(values: dict[str, Value], methods: Sequence[str]) -> Value | None:
    for method in methods:
        if (value := values.get(method)) is not None:
            return value
    return None


def _reached(node: _Node[Value], segments: Sequence[str], at: int) -> Iterator[_Node[Value]]:
    if at == len(segments):
        yield node
        return
    for below in _onward(node, segments[at]):
        yield from _reached(below, segments, at + 1)
