"""What comes out the same twice: instructions for each request by valgrind, system calls by strace.

Instructions are those of user space, calls are what the kernel was asked for. Each is about half of a proxy's
time, so a change shows in one of them before any clock can tell.
"""

import http.client
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from bench.field import SMALL, Field, Up
from bench.load import Answers
from bench.plan import Plan, account
from bench.verdict import Figures

_WARM_UP: Final = 300
"""Requests until caches of the interpreter and connections are there."""


def instructions(field: Field, plan: Plan) -> list[Figures]:
    """For each request, one after the other on one connection."""
    counted: dict[str, list[float]] = {}
    for name in field.names if shutil.which("valgrind") else ():
        files = field.folder / f"callgrind-{name}"
        tool = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={files}.%p")
        with field.forgiving(name), field.start(name, lone=True, before=tool) as up:
            _tell(up, "instrumentation on")
            _ask_often(field, up, _WARM_UP)
            _tell(up, "zero")
            _ask_often(field, up, plan.counted)
            _tell(up, "dump")
            counted[name] = [_total(files.parent, files.name) / plan.counted]
    return [Figures("instructions", "count", counted)]


def system_calls(field: Field, plan: Plan) -> list[Figures]:
    """For each request, one after the other on one connection."""
    counted: dict[str, list[float]] = {}
    for name in field.names if shutil.which("strace") else ():
        with field.forgiving(name), field.start(name, lone=True) as up:
            _ask_often(field, up, _WARM_UP)
            told = field.folder / f"strace-{name}"
            arguments = ["strace", "-f", "-c", "-U", "calls,name", "-o", str(told), "-p", str(up.process.pid)]
            with subprocess.Popen(arguments, stderr=subprocess.PIPE) as strace:
                if strace.stderr:
                    strace.stderr.readline()  # "attached"
                time.sleep(0.2)
                _ask_often(field, up, plan.counted)
                strace.send_signal(signal.SIGINT)
                strace.wait()
            total = re.search(r"^\s*(\d+) total$", told.read_text(), re.MULTILINE)
            counted[name] = [int(total[1]) / plan.counted] if total else []
    return [Figures("system-calls", "count", counted)]


def _ask_often(field: Field, up: Up, count: int) -> None:
    caller = http.client.HTTPConnection("127.0.0.1", up.setting.plain, timeout=60)
    path, size = SMALL
    right = 0
    for _ in range(count):
        caller.request("GET", path)
        answer = caller.getresponse()
        right += answer.status == 200 and len(answer.read()) == size
    caller.close()
    account(field, up, "counting", Answers(right, wrong=count - right))


def _tell(up: Up, order: str) -> None:
    subprocess.run(
        ["vgdb", f"--pid={up.process.pid}", "--wait=20", *order.split()], check=True, capture_output=True
    )


def _total(folder: Path, prefix: str) -> int:
    """Instructions of the first dump."""
    (dump,) = folder.glob(f"{prefix}.*.1")
    found = re.search(r"^(?:totals|summary): (\d+)", dump.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{dump} has no total")
    return int(found[1])
