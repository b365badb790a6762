"""The writer of the audit log, on real files: rotation, full disks, ends."""

import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.audit.target import File, Stdout, Target
from proxy.audit.writer import MOST_BYTES, AuditWriter

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="renames an open file")


class Time:
    """Seconds on a clock that stands still."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Said:
    """Remembers what the writer says, and lets a test wait for it."""

    def __init__(self) -> None:
        self.all: list[tuple[int, str]] = []
        self._news = threading.Condition()

    def __call__(self, level: int, sentence: str) -> None:
        with self._news:
            self.all.append((level, sentence))
            self._news.notify_all()

    def wait(self, text: str) -> None:
        with self._news:
            assert self._news.wait_for(lambda: any(text in each for _, each in self.all), 10), self.all


class Held:
    """A target that takes nothing until it is released, as a network file system without its server does."""

    name = "held"

    def __init__(self) -> None:
        self.release = threading.Event()
        self.entered = threading.Event()
        self.data = b""

    def open(self) -> None: ...

    def follow(self) -> bool:
        return False

    def write(self, data: bytes) -> int:
        self.entered.set()
        assert self.release.wait(30)
        self.data += data
        return len(data)

    def close(self) -> None: ...


class Scripted:
    """A target that takes so many bytes, or fails, write by write; then it takes all.

    Attributes:
        replaced: it is a new file from the next write on.
    """

    name = "scripted"

    def __init__(self, *script: int | OSError) -> None:
        self.files = [b""]
        self.replaced = False
        self._script = [*script]

    def open(self) -> None: ...

    def follow(self) -> bool:
        if self.replaced:
            self.replaced = False
            self.files.append(b"")
            return True
        return False

    def write(self, data: bytes) -> int:
        step = self._script.pop(0) if self._script else len(data)
        if isinstance(step, OSError):
            if step.filename == "replaced":
                self.replaced = True
            raise step
        self.files[-1] += data[:step]
        return step

    def close(self) -> None: ...


FULL = OSError(28, "No space left on device")


@contextmanager
def writing(target: Target, most_bytes: int = MOST_BYTES) -> Iterator[tuple[AuditWriter, Said, Time]]:
    said, clock = Said(), Time()
    writer = AuditWriter(target, clock, said, most_bytes, retry=0.02)
    try:
        yield writer, said, clock
    finally:
        writer.close()


def lines(count: int, start: int = 0) -> list[bytes]:
    return [b'{"number": %d}\n' % number for number in range(start, start + count)]


def test_lines_are_appended_to_a_file_that_only_its_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for start in (0, 3):
        with writing(File(path)) as (writer, _, _):
            for each in lines(3, start):
                writer.put(each)
        assert (writer.written, writer.lost) == (3, 0)
    assert path.read_bytes() == b"".join(lines(6))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_line_is_lost_while_the_file_is_renamed_under_load(tmp_path: Path) -> None:
    path, enough = tmp_path / "audit.log", threading.Event()
    sent = 0
    with writing(File(path)) as (writer, said, _):

        def load() -> None:
            nonlocal sent
            while not enough.is_set() or sent < 5000:
                if writer.written > sent - 5000:  # so that the queue is never full
                    writer.put(b'{"number": %d}\n' % sent)
                    sent += 1

        thread = threading.Thread(target=load)
        thread.start()
        for number in range(5):
            while not path.exists():  # until the writer has noticed the last renaming
                assert thread.is_alive()
            path.rename(tmp_path / f"audit.log.{number}")
        enough.set()
        thread.join()
    assert said.all == []
    found = b"".join(each.read_bytes() for each in tmp_path.iterdir()).splitlines(keepends=True)
    assert sorted(found) == sorted(lines(sent))
    assert (writer.written, writer.lost) == (sent, 0)


def test_what_is_written_makes_room_for_more() -> None:
    target = Scripted()
    with writing(target, most_bytes=60) as (writer, _, _):
        for each in lines(10):
            writer.put(each)
            while writer.written + writer.lost == 0 or writer._lines:
                pass
    assert (writer.written, writer.lost) == (10, 0)


def test_a_removed_file_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    with writing(File(path)) as (writer, _, _):
        path.unlink()
        writer.put(b"a\n")
    assert path.read_bytes() == b"a\n"


def test_a_torn_last_line_is_ended_before_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(b'{"time": "20')
    with writing(File(path)) as (writer, _, _):
        writer.put(b"{}\n")
    assert path.read_bytes() == b'{"time": "20\n{}\n'


def test_a_short_write_is_completed(tmp_path: Path) -> None:
    target = Scripted(5, 1, 17)
    with writing(target) as (writer, _, _):
        for each in lines(20):
            writer.put(each)
    assert target.files == [b"".join(lines(20))]
    assert writer.written == 20


def test_lines_wait_for_a_full_disk_and_none_is_lost_or_torn(tmp_path: Path) -> None:
    target = Scripted(20, FULL)
    with writing(target) as (writer, said, _):
        for each in lines(20):
            writer.put(each)
        said.wait("are written to scripted again")
    assert target.files == [b"".join(lines(20))]
    (level, sentence), (later, _) = said.all
    assert (level, later) == (logging.ERROR, logging.INFO)
    assert "No space left on device" in sentence
    assert "Requests go on" in sentence
    assert (writer.written, writer.lost) == (20, 0)


def test_a_line_that_was_half_written_before_a_rotation_is_whole_in_the_new_file() -> None:
    target = Scripted(8, OSError(28, "No space left on device", "replaced"))
    with writing(target) as (writer, said, _):
        writer.put(b"0123456789\n")
        said.wait("are written to")
    assert target.files == [b"01234567", b"0123456789\n"]
    assert writer.written == 1


def test_trouble_is_said_once_a_minute() -> None:
    target = Scripted(FULL, FULL, FULL)
    with writing(target) as (writer, said, _):
        writer.put(b"a\n")
        said.wait("are written to")
    assert [level for level, _ in said.all] == [logging.ERROR, logging.INFO]


def test_a_target_that_hangs_holds_no_request_up_and_further_lines_are_counted_as_lost() -> None:
    target = Held()
    with writing(target, most_bytes=60) as (writer, said, clock):
        for each in lines(20):  # of 14 and 15 bytes: 4 have room
            writer.put(each)
        assert target.entered.wait(10)
        assert (writer.written, writer.lost) == (0, 16)
        assert len(said.all) == 1  # not one for each line
        assert "1 lines are lost so far" in said.all[0][1]
        clock.seconds += 61
        writer.put(b"one more line\n")
        assert "17 lines are lost so far" in said.all[1][1]
        target.release.set()
    assert target.data == b"".join(lines(4))
    assert (writer.written, writer.lost) == (4, 17)


def test_the_end_waits_for_a_target_that_hangs_only_so_long() -> None:
    target = Held()
    said = Said()
    writer = AuditWriter(target, Time(), said)
    writer.put(b"a\n")
    writer.close(patience=0.01)
    assert said.all[-1][1] == "audit: 1 lines could not be written to held before the end."
    assert writer.lost == 1
    target.release.set()


@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "no folder"])
def test_only_a_regular_file_is_opened(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it"
    match kind:
        case "device":
            path = Path("/dev/full")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path = path / "audit.log"
    with pytest.raises(OSError, match=r"regular file|directory"):
        AuditWriter(File(path), Time(), Said())


def test_a_pipe_in_place_of_the_file_gets_nothing_and_the_lines_wait(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    with writing(File(path)) as (writer, said, _):
        path.unlink()
        os.mkfifo(path)
        writer.put(b"a\n")
        said.wait("not a regular file")
        path.unlink()
        said.wait("are written to")
    assert path.read_bytes() == b"a\n"


def test_a_file_that_reaches_the_limit_of_its_size_holds_whole_lines_once_there_is_room(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "tests.audit.on_full_disk", "largest_file", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


MOUNTED = """
set -e
mount -t tmpfs -o size=16k none "$1"
exec "$2" -m tests.audit.on_full_disk full_disk "$1"
"""


def test_a_full_tmpfs_takes_the_lines_once_there_is_room(tmp_path: Path) -> None:
    command = [
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        MOUNTED,
        "sh",
        str(tmp_path),
        sys.executable,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no right to mount here")
    assert done.returncode == 0, done.stderr


def test_stdout_is_written_and_stays_open(capfd: pytest.CaptureFixture[str]) -> None:
    with writing(Stdout()) as (writer, _, _):
        writer.put(b"{}\n")
    os.write(1, b"still there\n")
    assert capfd.readouterr().out == "{}\nstill there\n"
