"""Reads files with limits of size and time, and finds out which other users can read or write them.

On Windows owners and modes are not checked.
"""

import os
import select
import sys
from errno import EINVAL, EISDIR, ELOOP
from pathlib import Path
from stat import S_IROTH, S_ISDIR, S_ISLNK, S_ISREG, S_ISVTX, S_IWGRP, S_IWOTH, S_IXOTH

PATIENCE = 10.0
"""Seconds that a pipe may be silent; during a reload every caller has to wait for it."""

MOST_LINKS = 40
"""Most symbolic links to follow, the same number as in Linux."""

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class NotRegular(OSError):
    """The path is a directory, a pipe, a device or a socket, but a regular file is needed."""


def read_regular(path: Path, most: int) -> tuple[bytes, os.stat_result]:
    """Read a regular file; return its bytes, and its state before it was read.

    Of a larger file return `most` + 1 bytes, so that the caller can recognise it.

    Raises:
        NotRegular: it is no regular file; a device or a pipe is not even opened.
        OSError, ValueError: it cannot be read.
    """
    if not S_ISREG(path.stat().st_mode):
        raise NotRegular(EINVAL, "not a regular file")
    descriptor = os.open(path, _FLAGS)
    try:
        state = os.fstat(descriptor)
        if not S_ISREG(state.st_mode):  # replaced meanwhile
            raise NotRegular(EINVAL, "not a regular file")
        return _read(descriptor, most + 1), state
    finally:
        os.close(descriptor)


def read_any(path: Path, most: int, patience: float = PATIENCE) -> tuple[bytes, os.stat_result]:
    """Read as `read_regular` does, but also from a pipe, such as a shell's `<(...)`.

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
    """Wait until there are bytes or the end of the file. Raise TimeoutError after `patience` seconds."""
    if sys.platform == "win32":
        return  # Windows can poll only sockets, and its pipes are not files
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(patience * 1000):
        raise TimeoutError


def signature(state: os.stat_result) -> tuple[int, ...]:
    """Return values of which one changes when the file is replaced, or written in place."""
    return state.st_mtime_ns, state.st_size, state.st_ino, state.st_dev


def is_ours(state: os.stat_result) -> bool:
    """Tell whether the file belongs to the user who runs this process, or to root."""
    return state.st_uid in (0, os.geteuid())


def other_writers(state: os.stat_result) -> str | None:
    """Say in words which other users may write the file; None: no other user.

    A group that only this user belongs to counts as the user.
    """
    if state.st_mode & S_IWOTH:
        return "every user"
    if state.st_mode & S_IWGRP and not _private(state.st_gid):
        return f"its group (gid {state.st_gid})"
    return None


def _private(group: int) -> bool:
    """Tell whether it is the private group that many systems give each user, with files of mode 0664.

    Debian's OpenSSH decides in the same way. Root has no private group, because other users may belong to
    root's group.
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
    """Tell whether every user of this machine can read the file, through all folders of its path.

    A file on a read-only mount does not count. Secrets of Kubernetes, Docker and Podman are such files: they
    have mode 0644, but in a container there is no other user. Credentials of systemd are in a folder of ours.
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
    """Say in words which part of a directory's path another user could replace; None: no part.

    As in OpenSSH's StrictModes, each part and each link has to belong to us or to root, and no other user may
    be able to write it. A folder with the sticky bit, such as /tmp, may be writable, because other users
    cannot rename our files in it; the parts after it are checked.

    Raises:
        OSError: a part does not exist.
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
