"""Builds a configuration out of variables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.config.camunda.sources import Sources
from proxy.config.written.findings import KeyPath
from proxy.errors import Problem


@dataclass(frozen=True, slots=True, repr=False)
class SetVariable:
    """A variable that is set; its value may be a secret."""

    name: str
    value: str


class Draft:
    """A configuration built out of variables, with the variable that each part came from.

    Attributes:
        tree, origins: see `Written`.
        notices: sentences without secrets.
        used: names that were looked up and are set.
        unusable: names that are set and have a problem already.
    """

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.tree: dict[str, Any] = {}
        self.origins: dict[KeyPath, int | str] = {}
        self.notices: list[str] = list(sources.notices)
        self.problems: list[Problem] = []
        self.used: set[str] = set()
        self.unusable: set[str] = set()

    def find(self, names: Sequence[str], same: Callable[[str], str] = str) -> SetVariable | None:
        """Return the first of `names` that is set and not empty, the file before the environment.

        Args:
            same: maps a value to what is compared; aliases that differ cause a notice.
        """
        found = [
            SetVariable(name, source[name])
            for source in self.sources.usable
            for name in names
            if source.get(name)
        ]
        self.used.update(variable.name for variable in found)
        if not found:
            return None
        first = found[0]
        for other in found[1:]:
            if other.name != first.name and same(other.value) != same(first.value):
                self.notice(f"{first.name} and {other.name} differ; {first.name} is used")
        return first

    def is_set(self, name: str) -> bool:
        """Tell whether a variable counts and is not empty."""
        return any(source.get(name) for source in self.sources.usable)

    def notice(self, sentence: str) -> None:
        """Add a sentence to log once."""
        if sentence not in self.notices:
            self.notices.append(sentence)

    def put(self, path: tuple[str, ...], found: SetVariable | None, value: object = None) -> None:
        """If the variable is set, write `value`, or without one the variable's own value."""
        if found is None:
            return
        place = self.tree
        for end, part in enumerate(path[:-1], start=1):
            place = place.setdefault(part, {})
            self.origins.setdefault(path[:end], found.name)
        place[path[-1]] = found.value if value is None else value
        self.origins[path] = found.name

    def require(self, path: tuple[str, ...], names: Sequence[str]) -> None:
        """Write the value of a variable that must be set."""
        found = self.find(names)
        if found is None and not self.unusable & set(names):
            self.problems.append(Problem(names[0], "is missing or empty; set it"))
        self.put(path, found)
