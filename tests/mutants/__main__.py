"""Tries mutants one at a time, each in a copy of the tree, and says which of them the tests notice.

Exit status 1: one was not noticed. 2: the list is wrong, or the tests fail without any mutant.
"""

import argparse
import importlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.mutants.listed import ListError, Mutant, read_list

ROOT = Path(__file__).parents[2]
CPU_SECONDS = 120  # for the tests of one mutant: some mutants never end
HEAVY = ("aiohttp.web", "httptools", "hypothesis", "pydantic", "pytest_asyncio", "trustme", "uvloop", "yaml")
QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # for what was imported before
_times = count(1_000_000_000)

Trial = tuple[str, str, tuple[str, ...]]
"""A file and its text, and the tests that are run. No file: nothing is changed."""


class Copy:
    """A copy of the tree, in which files are changed and tests are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(listing, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode()
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def write(self, file: str, text: str) -> None:
        (self.folder / file).write_text(text, "utf-8")
        moment = next(_times)  # a .pyc is stale if its file has another time, in whole seconds
        os.utime(self.folder / file, (moment, moment))

    def begin(self, tests: tuple[str, ...]) -> int:
        """Run tests in a process of their own; returns its id. What is heavy has been imported before."""
        child = os.fork()
        if child:
            return child
        status = 3
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
            os.chdir(self.folder)
            output = os.open("mutants.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(output, 1)
            os.dup2(output, 2)
            for name in [each for each in sys.modules if each.partition(".")[0] in ("tests", "proxy")]:
                del sys.modules[name]
            sys.path[:] = [str(self.folder), *(each for each in sys.path if each not in ("", str(ROOT)))]
            # CI: hypothesis tries the same examples each time, so that no mutant dies by chance.
            os.environ.update(PYTHONPATH=str(self.folder), CI="1")
            options = [
                "-x",
                "-q",
                "--timeout=30",
                "-p",
                "no:cacheprovider",
                "-W",
                "ignore::pytest.PytestAssertRewriteWarning",
            ]
            status = int(pytest.main([*options, *tests]))
            sys.stdout.flush()
        finally:
            os._exit(status)

    def said(self) -> str:
        """What failed first, from pytest's summary."""
        text = (self.folder / "mutants.log").read_text("utf-8", "replace")
        failed = [line for line in text.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return failed[0].removeprefix("FAILED ") if failed else text.strip().rpartition("\n")[2]


def _ended(status: int) -> str:
    """`passed`, `failed`, or `broken`: the tests could not be run. A killed process has failed."""
    code = os.waitstatus_to_exitcode(status)
    return {0: "passed", 1: "failed"}.get(code, "failed" if code < 0 else "broken")


def _all_ended(copies: list[Copy], trials: list[Trial]) -> Iterator[tuple[int, str, str]]:
    """Try all, as many at a time as there are copies; yields place, how it ended, and what failed first."""
    waiting, idle = list(enumerate(trials))[::-1], list(copies)
    running: dict[int, tuple[int, Copy]] = {}
    while waiting or running:
        while waiting and idle:
            place, (file, text, tests) = waiting.pop()
            copy = idle.pop()
            if file:
                copy.write(file, text)
            running[copy.begin(tests)] = place, copy
        child, status = os.wait()
        place, copy = running.pop(child)
        if file := trials[place][0]:
            copy.write(file, (ROOT / file).read_text("utf-8"))
        idle.append(copy)
        yield place, _ended(status), copy.said()


def _verdict(mutant: Mutant, ended: str) -> str:
    match ended:
        case "passed":
            return "equivalent" if mutant.equivalent else "SURVIVED"
        case "failed":
            return "NOT EQUIVALENT" if mutant.equivalent else "killed"
    return "BROKEN"


def _passes_alone(copy: Copy, tests: tuple[str, ...]) -> bool:
    """A machine may be busy for a moment."""
    return [ended for _, ended, _ in _all_ended([copy], [("", "", tests)])] == ["passed"]


def _try(mutants: list[Mutant], copies: list[Copy]) -> int:
    for module in HEAVY:
        importlib.import_module(module)
    sets = list(dict.fromkeys(mutant.tests for mutant in mutants))
    for place, ended, said in _all_ended(copies, [("", "", tests) for tests in sets]):
        if ended != "passed" and not _passes_alone(copies[0], sets[place]):
            sys.stderr.write(f"without any mutant {' '.join(sets[place])} fails: {said}\n")
            return 2
    score: Counter[str] = Counter()
    texts = {mutant.file: (ROOT / mutant.file).read_text("utf-8") for mutant in mutants}
    trials = [(each.file, each.applied(texts[each.file]), each.tests) for each in mutants]
    for place, ended, said in _all_ended(copies, trials):
        verdict = _verdict(mutants[place], ended)
        score[verdict] += 1
        sys.stdout.write(f"{verdict:14} {mutants[place]}{'' if ended == 'passed' else '  <- ' + said}\n")
        sys.stdout.flush()
    sys.stdout.write(", ".join(f"{number} {verdict}" for verdict, number in score.items()) + "\n")
    if score["BROKEN"]:
        return 2
    return 1 if score["SURVIVED"] or score["NOT EQUIVALENT"] else 0


def _wrong(mutant: Mutant) -> str:
    try:
        mutant.applied((ROOT / mutant.file).read_text("utf-8"))
    except (ListError, OSError) as error:
        return str(error)
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants whose file or name holds all of these")
    parser.add_argument("--check", action="store_true", help="only look whether the list fits the code")
    parser.add_argument("--jobs", type=int, default=2, help="mutants tried at a time (default: 2)")
    options = parser.parse_args()
    try:
        mutants = [each for each in read_list() if all(word in str(each) for word in options.words)]
    except ListError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if wrong := [each for each in map(_wrong, mutants) if each]:
        sys.stderr.write("\n".join([*wrong, "bring the list in tests/mutants up to date with the code\n"]))
        return 2
    if options.check:
        sys.stdout.write(f"{len(mutants)} mutants fit the code\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        return _try(mutants, [Copy(Path(folder) / str(number)) for number in range(options.jobs)])


if __name__ == "__main__":
    sys.exit(main())
