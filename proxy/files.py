"""Files that other programs and users may reach: reading them with a limit and an end, and who else may what.

Owners and modes are not looked at on Windows.
"""

import os
import select
import sys
from errno import EINVAL, EISDIR, ELOOP
from pathlib import Path
from stat import S_IROTH, S_ISDIR, S_ISLNK, S_ISREG, S_ISVTX, S_IWGRP, S_IWOTH, S_IXOTH

PATIENCE = 10.0
"""Seconds that a pipe may be silent: longer, and a reload would hold up every caller."""

MOST_LINKS = 40
"""As Linux follows."""

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class NotRegular(OSError):
    """A directory, a pipe, a device or a socket, where only a regular file will do."""


def read_regular(path: Path, most: int) -> tuple[bytes, os.stat_result]:
    """At most `most` bytes and one more, so that a larger file can be told; and the state of that file,
    taken before it was read.

    Raises:
        NotRegular: it is none; a device or a pipe is not even opened.
        OSError, ValueError: it cannot be read.
    """
    if not S_ISREG(path.stat().st_mode):
        raise NotRegular(EINVAL, "not a regular file")
    descriptor = os.open(path, _FLAGS)
    try:
        state = os.fstat(descriptor)
        if not S_ISREG(state.st_mode):  # exchanged meanwhile
            raise NotRegular(EINVAL, "not a regular file")
        return _read(descriptor, most + 1), state
    finally:
        os.close(descriptor)


def read_any(path: Path, most: int, patience: float = PATIENCE) -> tuple[bytes, os.stat_result]:
    """As `read_regular`, also from a pipe, such as a shell's `<(...)`.

    Args:
        patience: seconds that a pipe may be silent.

    Raises:
        TimeoutError: it was silent for longer.
        OSError, ValueError: it cannot be read.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        state = os.fstat(descriptor)
        if S_ISDIR(state.st_mode):
            raise IsADirectoryError(EISDIR, "is a directory")
        return _read(descriptor, most + 1, None if S_ISREG(state.st_mode) else patience), state
    finally:
        os.close(descriptor)


def _read(descriptor: int, most: int, patience: float | None = None) -> bytes:
    found = bytearray()
    while len(found) < most:
        if patience is not None:
            _wait(descriptor, patience)
        if not (piece := os.read(descriptor, most - len(found))):
            break
        found += piece
    return bytes(found)


def _wait(descriptor: int, patience: float) -> None:
    """Until there is something to read, or nothing ever will be. Raises TimeoutError."""
    if sys.platform == "win32":
        return  # it polls sockets alone, and its pipes are not files
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(patience * 1000):
        raise TimeoutError


def signature(state: os.stat_result) -> tuple[int, ...]:
    """What changes when a file is renamed over, or written in place."""
    return state.st_mtime_ns, state.st_size, state.st_ino, state.st_dev


def is_ours(state: os.stat_result) -> bool:
    """Whether it belongs to the user who runs this process, or to root."""
    return state.st_uid in (0, os.geteuid())


def other_writers(state: os.stat_result) -> str | None:
    """Who else may write it, in words; None: nobody. A group that is the user's alone counts as the user."""
    if state.st_mode & S_IWOTH:
        return "everybody"
    if state.st_mode & S_IWGRP and not _private(state.st_gid):
        return f"its group (gid {state.st_gid})"
    return None


def _private(group: int) -> bool:
    """Whether it is the group that many systems give each user, whose files are then written with mode 0664.

    As Debian's OpenSSH judges it. Root has none: what root's group may write is more than root's.
    """
    import grp
    import pwd

    user = os.geteuid()
    try:
        entry, its = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    alone = its.gr_name == entry.pw_name and set(its.gr_mem) <= {its.gr_name}
    return user != 0 and entry.pw_gid == group and alone


def all_can_read(path: Path) -> bool:
    """Whether every user of this machine can read the file, through all folders on the way.

    Not where it is mounted read-only, as the secrets of Kubernetes, Docker and Podman are: they have mode
    0644 and lie in a container, where there is no other user. Credentials of systemd lie in a folder of ours.
    """
    if not hasattr(os, "geteuid"):
        return False
    try:
        real = path.resolve()
        if not real.stat().st_mode & S_IROTH or os.statvfs(real).f_flag & os.ST_RDONLY:
            return False
        return all(folder.stat().st_mode & S_IXOTH for folder in real.parents)
    except (OSError, RuntimeError):
        return False


def open_to_others(directory: Path) -> str | None:
    """Which part of the way to a directory another user could exchange, in words; None: none.

    As OpenSSH's StrictModes, link by link: each part belongs to us or to root, and nobody else may write it.
    In a folder with the sticky bit, as /tmp, others cannot rename what is ours, so what follows counts there.

    Raises:
        OSError: a part is not there.
    """
    current, links = Path(directory.anchor), 0
    parts = ["", *directory.parts[1:]][::-1]
    while parts:
        part = parts.pop()
        step = current.parent if part == ".." else current / part
        state = step.lstat()
        if not is_ours(state):
            return f"{step} belongs to another user (uid {state.st_uid})"
        if S_ISLNK(state.st_mode):
            links += 1
            if links > MOST_LINKS:
                raise OSError(ELOOP, "Too many levels of symbolic links")
            target = step.readlink()
            current = Path(target.anchor) if target.is_absolute() else current
            parts += (target.parts[1:] if target.is_absolute() else target.parts)[::-1]
            continue
        if not state.st_mode & S_ISVTX and (who := other_writers(state)):
            return f"{step} can be written by {who}"
        current = step
    return None
