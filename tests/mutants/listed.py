"""The list of mutants: small faults that the tests must notice.

A file `NAME.txt` is lines, told apart by how they begin:

    == proxy/gateway/guard.py tests/gateway/test_guard.py
        the file that is changed, and the tests that are run; for all mutants below it
    @ host names are compared as they were sent
        a mutant, in a few words
    - text that stands exactly once in that file
    + text that takes its place
        both may have several lines; without a `+` the text is deleted
    = why no test can notice it
        only for an equivalent mutant

Empty lines and lines that begin with `#` mean nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent


class ListError(ValueError):
    """The list is wrong: its message says where, and how."""


@dataclass(slots=True)
class Mutant:
    """One fault.

    Attributes:
        file: that is changed, below the root of the repository.
        tests: that are run, as pytest takes them.
        name: what is wrong with the code then.
        equivalent: why no test can notice it; empty: one must.
    """

    file: str
    tests: tuple[str, ...]
    name: str
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    equivalent: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"

    def applied(self, text: str) -> str:
        """The file's text with the fault in it.

        Raises:
            ListError: the old text does not stand there exactly once.
        """
        old, new = "\n".join(self.old), "\n".join(self.new)
        if not old or text.count(old) != 1:
            raise ListError(f"{self}: its old text stands {text.count(old)} times in the file, not once")
        return text.replace(old, new)


def read_list(folder: Path = FOLDER) -> list[Mutant]:
    """All mutants of all files.

    Raises:
        ListError: a line is none of the above, or two mutants have the same name.
    """
    mutants = [mutant for path in sorted(folder.glob("*.txt")) for mutant in _read(path)]
    names = [str(mutant) for mutant in mutants]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ListError(f"there twice: {', '.join(sorted(twice))}")
    return mutants


def _read(path: Path) -> Iterator[Mutant]:
    file = ""
    tests: tuple[str, ...] = ()
    mutant: Mutant | None = None
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        mark, _, rest = line.partition(" ")
        if mark in ("==", "@") and mutant is not None:
            yield mutant
            mutant = None
        if mark == "==":
            file, *names = rest.split()
            tests = tuple(names)
        elif mark == "@" and tests:
            mutant = Mutant(file, tests, rest)
        elif mark == "-" and mutant is not None:
            mutant.old.append(rest)
        elif mark == "+" and mutant is not None:
            mutant.new.append(rest)
        elif mark == "=" and mutant is not None:
            mutant.equivalent = rest
        elif line and mark != "#":
            raise ListError(f"{path.name}, line {number}: begins with none of == @ - + = # where it could")
    if mutant is not None:
        yield mutant
