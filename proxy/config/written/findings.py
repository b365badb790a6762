"""What the operator wrote, the line of each part, and what is wrong with it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from proxy.errors import Problem
from proxy.terms import NAME

KeyPath = tuple[str | int, ...]

MASK = "***"
HASHED = "token_sha256"
_KEY = re.compile(r"[A-Za-z][A-Za-z_.-]{0,39}")
"""Text that looks like a key; no known key but HASHED has digits. YAML takes `client_secret:hunter2`, which
lacks the space, for a key."""


@dataclass(frozen=True, slots=True)
class Written:
    """A configuration before its values are interpreted.

    Attributes:
        tree: mappings, lists, texts and None; every scalar is still the text that was written.
        origins: by path: the line in the file, from 1, or the name of the variable the value came from.
        unexpanded: by path, for values with a variable: the text as written, with `${NAME}` in it.
    """

    tree: dict[str, object] = field(repr=False)
    origins: dict[KeyPath, int | str] = field(repr=False)
    unexpanded: dict[KeyPath, str] = field(default_factory=dict, repr=False)

    def origin(self, path: KeyPath) -> int | str | None:
        """Return the origin of the path, else of the nearest part above it that has one."""
        for end in range(len(path), 0, -1):
            if (found := self.origins.get(path[:end])) is not None:
                return found
        return None

    def described(self, path: KeyPath) -> str | None:
        """Return the origin for people: `line 4`, `CAMUNDA_REST_ADDRESS`; None if nothing was written."""
        origin = self.origins.get(path)
        return f"line {origin}" if isinstance(origin, int) else origin

    def variable(self, path: KeyPath) -> str | None:
        """Return what to show instead of a variable's value, `${NAME}`; None if it came from no variable."""
        origin = self.origins.get(path)
        return f"${{{origin}}}" if isinstance(origin, str) else self.unexpanded.get(path)


class Findings:
    """Collects problems and notices. Of each path it keeps the first problem; later ones follow from it."""

    def __init__(self, written: Written, problems: Mapping[KeyPath, Problem]) -> None:
        self._written = written
        self._problems = dict(problems)
        self.notices: list[str] = []

    def add(self, path: KeyPath, message: str, *, masked: bool = False) -> None:
        """Add a problem at `path`. If it is masked, the last part of the path is not shown."""
        origin = self._written.origin(path)
        if isinstance(origin, str):
            problem = Problem(origin, message)
        else:
            problem = Problem(dotted((*path[:-1], MASK) if masked else path), message, origin)
        self._problems.setdefault(path, problem)

    def notice(self, sentence: str) -> None:
        """Add a sentence to log once; it holds no secret."""
        if sentence not in self.notices:
            self.notices.append(sentence)

    @property
    def problems(self) -> list[Problem]:
        """The problems in the order of the file."""
        return sorted(dict.fromkeys(self._problems.values()), key=lambda problem: problem.line or 0)


def dotted(path: KeyPath) -> str:
    """Write a path for people: `credentials.saas.client_id`, `[0]` for an entry of a list.

    A part that does not look like a key is shown as `***`.
    """
    text = ""
    for depth, part in enumerate(path):
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            named = depth == 1 and path[0] in {"upstreams", "credentials", "callers"}
            shown = part if part == MASK or looks_like_a_key(part, name=named) else MASK
            text += f".{shown}" if text else shown
    return text


def looks_like_a_key(text: str, *, name: bool = False) -> bool:
    """Tell whether a key can be shown. If not, it may be a secret that was written in place of a key.

    Args:
        name: whether it is the name of an upstream, a credential or a caller.
    """
    return text == HASHED or (NAME if name else _KEY).fullmatch(text) is not None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?`, or an empty text if no known word is similar."""
    words = list(known)
    word = name if name.isupper() else name.lower()
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    close = close or [other for other in words if len(word) > 1 and other.startswith(word)]
    return f"; did you mean {close[0]}?" if close else ""
