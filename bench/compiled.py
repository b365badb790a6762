"""The compiled build of a checkout, as the image has it (docs/performance.md)."""

import subprocess
import sys
from pathlib import Path

from bench.peers import BENCH


def compiled(checkout: Path, name: str) -> Path:
    """Make a copy of a checkout in which the request path is compiled, or take the one that is there.

    Args:
        name: of the copy.

    Raises:
        SystemExit: it cannot be built.
    """
    kept = f"compiled-{sys.version_info.major}.{sys.version_info.minor}-{name}"
    folder = BENCH / ".build" / kept
    lines = f'. {BENCH.parent}/scripts/lib.sh && compiled_copy "$1" "$2" "$3"'
    done = subprocess.run(["sh", "-euc", lines, "sh", checkout, folder, sys.executable], check=False)
    if done.returncode:
        raise SystemExit(f"bench: {checkout} cannot be compiled")
    return folder
