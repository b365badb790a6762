"""A program on a core of its own: started, measured from outside, ended by its pid."""

import os
import re
import resource
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

_CPU_CLOCK_OF: Final = 2
"""The low bits of a process's CPU clock on Linux (clock_getcpuclockid(3)): time scheduled, all threads."""


@dataclass(frozen=True)
class Command:
    """What to start.

    Attributes:
        folder: working directory, and where its output goes (`output`).
    """

    arguments: Sequence[str]
    folder: Path
    workdir: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Process:
    """A running program with its children."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]", output: Path) -> None:
        self.name = name
        self.output = output
        self._popen = popen

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def tree(self) -> list[int]:
        """The program's pid and those below it."""
        found = [self.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in children.read_text().split()]
        return found

    def cpu(self) -> float:
        """Seconds of CPU, user and system, until now; finer than the ticks of /proc/PID/stat."""
        return sum(time.clock_gettime((~pid << 3) | _CPU_CLOCK_OF) for pid in self.tree())

    def rss(self) -> float:
        """Resident memory in MiB; counted page by page, as the cheap counters lag behind."""
        return sum(_kib(f"/proc/{pid}/smaps_rollup", "Rss") for pid in self.tree()) / 1024

    def forget_peak(self) -> None:
        for pid in self.tree():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM

    def peak(self) -> float:
        """Highest resident memory in MiB since `forget_peak`."""
        return sum(_kib(f"/proc/{pid}/status", "VmHWM") for pid in self.tree()) / 1024

    def end(self) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


@dataclass
class Spent:
    """What happened on the proxies' core.

    Attributes:
        cpu: seconds of one process, user and system.
        busy: percent of the time in which the core was not idle.
    """

    cpu: float = 0.0
    busy: float = 0.0


@contextmanager
def spending(process: Process) -> Iterator[Spent]:
    """Measure what `process` spends meanwhile; the values are there at the end."""
    spent = Spent()
    core, _ = cores()
    idle, total, cpu = *_ticks(core), process.cpu()
    yield spent
    spent.cpu = process.cpu() - cpu
    idle_then, total_then = _ticks(core)
    spent.busy = 100 * (1 - (idle_then - idle) / max(total_then - total, 1))


def _ticks(core: int) -> tuple[int, int]:
    """Ticks that a core was idle, and ticks in all (proc_stat(5))."""
    line = re.search(rf"^cpu{core} (.*)$", Path("/proc/stat").read_text(), re.MULTILINE)
    ticks = [int(each) for each in line[1].split()] if line else [0] * 8
    return ticks[3] + ticks[4], sum(ticks[:8])


@contextmanager
def started(name: str, command: Command, core: int) -> Iterator[Process]:
    output = command.folder / "output"
    with output.open("ab") as sink:
        popen = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *command.arguments],
            cwd=command.workdir or command.folder,
            env={**os.environ, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
    process = Process(name, popen, output)
    try:
        yield process
    finally:
        process.end()


@cache
def cores() -> tuple[int, int]:
    """One core for the proxies, and one for everything else; as it was before we kept to one ourselves.

    Raises:
        SystemExit: there is only one.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise SystemExit("bench: two cores are needed, one for the proxies and one for origin and load")
    return usable[1], usable[0]


def open_files() -> int:
    """The limit on open files, raised as far as this machine lets us; children inherit it."""
    wanted = 65_536
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, hard), max(wanted, hard)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _kib(path: str, field_name: str) -> int:
    found = re.search(rf"^{field_name}:\s+(\d+) kB", Path(path).read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
