"""Run by tests in a process of its own: fills a disk, or a file up to its limit; makes room; counts lines."""

import resource
import sys
from collections.abc import Callable
from pathlib import Path

from proxy.audit.target import File
from proxy.audit.writer import AuditWriter
from tests.audit.test_writer import Said, Time, lines


def written(folder: Path, trouble: str, make_room: Callable[[], object]) -> bool:
    """Whether all lines are there, each whole, after a trouble."""
    said, path = Said(), folder / "audit.log"
    writer = AuditWriter(File(path), Time(), said, retry=0.02)
    for each in lines(700):
        writer.put(each)
    said.wait(trouble)
    torn = not path.read_bytes().endswith(b"\n")
    make_room()
    said.wait("are written to")
    writer.close()
    whole = path.read_bytes() == b"".join(lines(700))
    return torn and whole and (writer.written, writer.lost) == (700, 0)


def full_disk(folder: Path) -> bool:
    """The folder is a tmpfs of 16 KiB."""
    (folder / "other").write_bytes(b"x" * 8192)
    return written(folder, "No space left on device", (folder / "other").unlink)


def largest_file(folder: Path) -> bool:
    unlimited = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, unlimited))
    return written(
        folder,
        "File too large",
        lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited)),
    )


if __name__ == "__main__":
    work = {"full_disk": full_disk, "largest_file": largest_file}[sys.argv[1]]
    sys.exit(0 if work(Path(sys.argv[2])) else "a line is missing, or not whole")
