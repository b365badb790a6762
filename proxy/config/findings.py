"""What was written, where each part of it stands, and what is wrong with it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from proxy.errors import Problem

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """A configuration before anything is understood.

    Attributes:
        tree: mappings, lists, texts and None; every scalar is still its own text.
        origins: by path: the line in the file, from 1, or the name of the variable it came from.
    """

    tree: dict[str, object] = field(repr=False)
    origins: dict[Path, int | str]

    def origin(self, path: Path) -> int | str | None:
        """Of the path itself, else of the nearest part above it that has one."""
        for end in range(len(path), 0, -1):
            if (found := self.origins.get(path[:end])) is not None:
                return found
        return None

    def described(self, path: Path) -> str | None:
        """For people: `line 4`, `CAMUNDA_REST_ADDRESS`; None where nothing was written."""
        origin = self.origins.get(path)
        return f"line {origin}" if isinstance(origin, int) else origin


class Findings:
    """Collects problems and notices; the first problem of a path stands, the later ones follow from it."""

    def __init__(self, written: Written, problems: Mapping[Path, Problem]) -> None:
        self._written = written
        self._problems = dict(problems)
        self.notices: list[str] = []

    def add(self, path: Path, message: str) -> None:
        """Something is wrong at `path`."""
        origin = self._written.origin(path)
        if isinstance(origin, str):
            problem = Problem(origin, message)
        else:
            problem = Problem(dotted(path), message, origin)
        self._problems.setdefault(path, problem)

    def notice(self, sentence: str) -> None:
        """Worth saying once, without a secret in it."""
        if sentence not in self.notices:
            self.notices.append(sentence)

    @property
    def problems(self) -> list[Problem]:
        """In the order of the file."""
        return sorted(dict.fromkeys(self._problems.values()), key=lambda problem: problem.line or 0)


def dotted(path: Path) -> str:
    """`credentials.saas.client_id`; a place in a list as `[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean ...?`, or nothing where nothing is near."""
    word, words = name.lower(), list(known)
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    close = close or [other for other in words if len(word) > 1 and other.startswith(word)]
    return f"; did you mean {close[0]}?" if close else ""
