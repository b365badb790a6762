"""Runs fuzzers, two at a time, and says what they found. `fuzz/run --help`."""

import argparse
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from re import search

from fuzz.harnesses import HARNESSES, HERE

WORK = HERE / ".build"
LIMITS = (
    "-max_len=4096",
    "-timeout=30",
    "-report_slow_units=30",
    "-rss_limit_mb=1024",
    "-print_final_stats=1",
    "-verbosity=1",
)


@dataclass(frozen=True)
class Ended:
    """A fuzzer's end.

    Attributes:
        found: files with the inputs on which a promise was broken.
    """

    name: str
    code: int
    said: str
    found: list[Path]

    @property
    def right(self) -> bool:
        return self.code == 0 and not self.found


def fuzz(name: str, seconds: int, seed: int) -> Ended:
    """Run one for so long, or until it finds something.

    Args:
        seed: 0 for other inputs each time, which go on from what was found before. With the same seed and
            Python, the inputs are the same ones in the same order: a slower machine tries fewer of them.
    """
    findings = WORK / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.glob(f"{name}-*"))
    folder = WORK / ("corpus" if seed == 0 else f"corpus-{seed}") / name
    if seed:
        shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "fuzz", name, str(folder), *LIMITS]
    command += [f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={findings / name}-"]
    environ = os.environ | ({"PYTHONHASHSEED": "0"} if seed else {})
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    found = sorted(set(findings.glob(f"{name}-*")) - before)
    return Ended(name, done.returncode, done.stdout.decode("utf-8", "replace"), found)


def told(ended: Ended) -> str:
    runs = search(r"number_of_executed_units: *(\d+)", ended.said)
    inputs = f"{runs[1]} inputs" if runs else "no count of its inputs"
    if ended.right:
        return f"{ended.name}: nothing found in {inputs}"
    said = "\n".join(line for line in ended.said.splitlines() if not line.startswith("INFO: Instrumenting"))
    paths = "".join(
        f"\n{ended.name}: reproduce it with: fuzz/run {ended.name} --input {each}" for each in ended.found
    )
    return f"{said[-4000:]}\n{ended.name}: FAILED after {inputs} (exit code {ended.code}){paths}"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser("fuzz/run", description=__doc__)
    parser.add_argument("harness", nargs="*", help=f"all of them unless named: {', '.join(HARNESSES)}")
    parser.add_argument("--seconds", type=int, default=60, help="for each harness; 60 unless said otherwise")
    parser.add_argument("--jobs", type=int, default=2, help="at a time; 2 unless said otherwise")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="for the same inputs again; others each time unless said otherwise",
    )
    parser.add_argument("--input", type=Path, help="a file that was found: run the one harness on it alone")
    options = parser.parse_args()
    if unknown := [name for name in options.harness if name not in HARNESSES]:
        parser.error(f"there is no harness {unknown[0]}; there are {', '.join(HARNESSES)}")
    if options.seconds < 1 or options.jobs < 1 or options.seed < 0:
        parser.error("--seconds and --jobs are numbers above zero, and --seed is none below")
    if options.input is not None and len(options.harness) != 1:
        parser.error("--input wants the name of one harness")
    if options.input is not None and not options.input.is_file():
        parser.error(f"--input: there is no file {options.input}")
    return options


def main() -> int:
    options = parsed()
    if options.input is not None:
        HARNESSES[options.harness[0]](options.input.read_bytes())
        print("nothing is wrong with this input")
        return 0
    names = options.harness or list(HARNESSES)
    failed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for ended in pool.map(lambda name: fuzz(name, options.seconds, options.seed), names):
            print(told(ended), flush=True)
            failed += not ended.right
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
