"""Reads YAML strictly: every scalar stays the text that was written, and the line of every value is kept.

YAML 1.1 takes `on` for true, `19080:80` for a number in base 60 and `0123` for 83. A secret must not change
that way, so this module guesses no types; the models turn texts into numbers. PyYAML parses. We compose the
tree ourselves, because PyYAML follows aliases and nesting without a limit and silently lets a repeated key
win.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import yaml

from proxy.config.written.findings import KeyPath, Written, dotted
from proxy.config.written.variables import without_defaults
from proxy.errors import ConfigError, Problem

MAX_OCTETS = 1024 * 1024
MAX_DEPTH = 16
MAX_NODES = 10_000  # after aliases are expanded: a few lines can stand for billions

MAX_TEXT = 4 * MAX_OCTETS
"""Most characters of all values together, after aliases and variables are expanded."""

_TOO_MANY = f"stands for more than {MAX_NODES} values"
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_SYNTAX = (
    "is not valid YAML here: look for a missing space after a colon, a tab, uneven indentation, "
    "or a value that must be quoted because it begins with one of @ ` % & * ! [ { or holds a colon or #"
)


@dataclass(frozen=True, slots=True)
class _Node:
    """One value: a scalar, a list of nodes, or key -> (line of the key, node)."""

    line: int
    value: "str | list[_Node] | dict[str, tuple[int, _Node]] | None" = field(repr=False)


def read_yaml(
    text: str, name: str, substitute: Callable[[str], str]
) -> tuple[Written, dict[KeyPath, Problem]]:
    """Read `text`. Return its values, and the problems of single values, which are left out.

    Args:
        text: one YAML document, a mapping.
        name: of the file, for errors about all of it.
        substitute: replaces variables in a scalar; its ValueError is a sentence about the scalar.

    Raises:
        ConfigError: the text cannot be read at all.
    """
    reader = _Reader(name, _events(text))
    try:
        root = reader.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(Problem(name, _SYNTAX, mark.line + 1 if mark else None)) from None
    except yaml.reader.ReaderError:
        raise ConfigError(Problem(name, "holds a control character, which YAML does not allow")) from None
    except (ValueError, ArithmeticError, LookupError):
        # PyYAML's scanner: chr() of an escape beyond U+10FFFF, int() of a version with thousands of digits.
        raise ConfigError(Problem(name, _SYNTAX, reader.line)) from None
    if root is None or root.value is None:
        raise ConfigError(Problem(name, "is empty; config.example.yaml shows what it can hold"))
    if not isinstance(root.value, dict):
        raise ConfigError(Problem(name, "must be a mapping with upstreams and credentials", root.line))
    writer = _Writer(name, substitute)
    tree = writer.mapping(root.value, ())
    return Written(tree, writer.origins, writer.unexpanded), {**writer.problems, **reader.problems}


def _events(text: str) -> Iterator[yaml.Event]:
    yield from yaml.parse(text, Loader=yaml.SafeLoader)


class _Reader:
    """Turns events into nodes."""

    def __init__(self, name: str, events: Iterator[yaml.Event]) -> None:
        self._name = name
        self._events = events
        self._anchors: dict[str, _Node] = {}
        self._nodes = 0
        self.line: int | None = None
        self.problems: dict[KeyPath, Problem] = {}

    def document(self) -> _Node | None:
        """Return the only document; None if there is none."""
        root = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise ConfigError(Problem(self._name, "holds a second YAML document (---)", _line(event)))
                root = self._node(next(self._events), (), 0)
        return root

    def _node(self, event: yaml.Event, path: KeyPath, depth: int) -> _Node:
        self.line = line = _line(event)
        self._nodes += 1
        if self._nodes > MAX_NODES:  # here too, because PyYAML takes 10 s for 1 MiB of commas
            raise ConfigError(Problem(self._name, _TOO_MANY, line))
        if depth > MAX_DEPTH:
            raise ConfigError(Problem(self._name, f"is nested deeper than {MAX_DEPTH} levels", line))
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                message = "begins with * and no anchor (&) of that name is above it; quote it"
                raise ConfigError(Problem(dotted(path), message, line))
            return self._anchors[event.anchor]
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise TypeError(event)  # PyYAML's parser never yields another event here
        if event.tag not in {None, "!"}:
            self._refuse(path, "has a YAML tag; quote a value that begins with !", line)
        if isinstance(event, yaml.ScalarEvent):
            node = _Node(line, None if event.style is None and event.value in _NULL else event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            below = enumerate(self._until(yaml.SequenceEndEvent))
            node = _Node(line, [self._node(item, (*path, place), depth + 1) for place, item in below])
        else:
            node = _Node(line, self._items(path, depth))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _items(self, path: KeyPath, depth: int) -> dict[str, tuple[int, _Node]]:
        items: dict[str, tuple[int, _Node]] = {}
        for event in self._until(yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise ConfigError(Problem(dotted(path), "has a key that is not plain text", line))
            below = (*path, event.value)
            node = self._node(next(self._events), below, depth + 1)
            if event.value in items:
                self._refuse(below, f"is there twice, first in line {items[event.value][0]}", line)
            items.setdefault(event.value, (line, node))
        return items

    def _refuse(self, path: KeyPath, message: str, line: int) -> None:
        self.problems.setdefault(path, Problem(dotted(path), message, line))


class _Writer:
    """Turns nodes into plain values, and keeps their lines by path."""

    def __init__(self, name: str, substitute: Callable[[str], str]) -> None:
        self._name = name
        self._substitute = substitute
        self._nodes = 0
        self._text = 0
        self.origins: dict[KeyPath, int | str] = {}
        self.unexpanded: dict[KeyPath, str] = {}
        self.problems: dict[KeyPath, Problem] = {}

    def mapping(self, items: dict[str, tuple[int, _Node]], path: KeyPath) -> dict[str, object]:
        written = ((key, line, node) for key, (line, node) in items.items())
        return {str(key): value for key, value in self._plain(written, path)}

    def _plain(
        self, items: Iterable[tuple[str | int, int, _Node]], path: KeyPath
    ) -> Iterator[tuple[str | int, object]]:
        """Yield keys and values. A value whose variable is missing becomes a problem and is left out."""
        for key, line, node in items:
            self._nodes += 1
            if self._nodes > MAX_NODES:
                raise ConfigError(Problem(self._name, _TOO_MANY, line))
            below = (*path, key)
            self.origins[below] = line
            if isinstance(node.value, dict):
                yield key, self.mapping(node.value, below)
            elif isinstance(node.value, list):
                places = ((place, item.line, item) for place, item in enumerate(node.value))
                yield key, [value for _, value in self._plain(places, below)]
            elif node.value is None:
                yield key, None
            else:
                try:
                    text = self._substitute(node.value)
                except ValueError as error:
                    self.problems[below] = Problem(dotted(below), str(error), line)
                    continue
                if text != node.value:
                    self.unexpanded[below] = without_defaults(node.value)
                self._text += len(text)
                if self._text > MAX_TEXT:
                    raise ConfigError(Problem(self._name, "stands for more than 4 MiB of text", line))
                yield key, text


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
