"""What was written, where each part of it stands, and what is wrong with it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from proxy.errors import Problem

KeyPath = tuple[str | int, ...]

MASK = "***"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Of an upstream or a credential."""

_KEY = re.compile(r"[A-Za-z][A-Za-z_.-]{0,39}")
"""What looks like a key: no known one has digits. Without its space, `client_secret:hunter2` is a key."""


@dataclass(frozen=True, slots=True)
class Written:
    """A configuration before anything is understood.

    Attributes:
        tree: mappings, lists, texts and None; every scalar is still its own text.
        origins: by path: the line in the file, from 1, or the name of the variable it came from.
        unexpanded: by path, where a variable was put in: the text with `${NAME}` in it.
    """

    tree: dict[str, object] = field(repr=False)
    origins: dict[KeyPath, int | str] = field(repr=False)
    unexpanded: dict[KeyPath, str] = field(default_factory=dict, repr=False)

    def origin(self, path: KeyPath) -> int | str | None:
        """Of the path itself, else of the nearest part above it that has one."""
        for end in range(len(path), 0, -1):
            if (found := self.origins.get(path[:end])) is not None:
                return found
        return None

    def described(self, path: KeyPath) -> str | None:
        """For people: `line 4`, `CAMUNDA_REST_ADDRESS`; None where nothing was written."""
        origin = self.origins.get(path)
        return f"line {origin}" if isinstance(origin, int) else origin

    def variable(self, path: KeyPath) -> str | None:
        """How to show a value that came out of a variable: `${NAME}`; None: it did not."""
        origin = self.origins.get(path)
        return f"${{{origin}}}" if isinstance(origin, str) else self.unexpanded.get(path)


class Findings:
    """Collects problems and notices; the first problem of a path stands, the later ones follow from it."""

    def __init__(self, written: Written, problems: Mapping[KeyPath, Problem]) -> None:
        self._written = written
        self._problems = dict(problems)
        self.notices: list[str] = []

    def add(self, path: KeyPath, message: str, *, masked: bool = False) -> None:
        """Something is wrong at `path`, whose last part is not to be shown if it is masked."""
        origin = self._written.origin(path)
        if isinstance(origin, str):
            problem = Problem(origin, message)
        else:
            problem = Problem(dotted((*path[:-1], MASK) if masked else path), message, origin)
        self._problems.setdefault(path, problem)

    def notice(self, sentence: str) -> None:
        """Worth saying once, without a secret in it."""
        if sentence not in self.notices:
            self.notices.append(sentence)

    @property
    def problems(self) -> list[Problem]:
        """In the order of the file."""
        return sorted(dict.fromkeys(self._problems.values()), key=lambda problem: problem.line or 0)


def dotted(path: KeyPath) -> str:
    """`credentials.saas.client_id`; a place in a list as `[0]`; `***` for what does not look like a key."""
    text = ""
    for depth, part in enumerate(path):
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            named = depth == 1 and path[0] in {"upstreams", "credentials"}
            shown = part if part == MASK or looks_like_a_key(part, name=named) else MASK
            text += f".{shown}" if text else shown
    return text


def looks_like_a_key(text: str, *, name: bool = False) -> bool:
    """Whether a key can be shown, or may be a secret that stands where a key belongs.

    Args:
        name: it is the name of an upstream or a credential.
    """
    return (NAME if name else _KEY).fullmatch(text) is not None


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean ...?`, or nothing where nothing is near."""
    word, words = name.lower(), list(known)
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    close = close or [other for other in words if len(word) > 1 and other.startswith(word)]
    return f"; did you mean {close[0]}?" if close else ""
