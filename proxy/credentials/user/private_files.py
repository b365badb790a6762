"""Reads and writes files that only their owner may use. On Windows owners and modes are not checked."""

import os
from pathlib import Path
from secrets import token_hex
from stat import S_IMODE

from proxy.files import open_to_others, read_regular

LARGEST = 1 << 17
"""Most bytes of a file here."""

_BINARY = getattr(os, "O_BINARY", 0)


class Unsafe(Exception):
    """Another user could have read or changed the file. The message is a sentence with the remedy."""


def read_private(path: Path) -> bytes:
    """Read a file of this user.

    Raises:
        Unsafe: it belongs to another user, or other users may read or write it, or replace it.
        ValueError: it is too large.
        OSError: it cannot be read; `FileNotFoundError` if it is not there.
    """
    _check_folder(path.parent)
    data, state = read_regular(path, LARGEST)
    if hasattr(os, "geteuid"):
        if state.st_uid != os.geteuid():
            raise Unsafe(_foreign(path, state.st_uid))
        if S_IMODE(state.st_mode) & 0o077:
            raise Unsafe(
                f"{path} can be used by other users (mode {S_IMODE(state.st_mode):03o}), so it is not used:"
                f" log in again if one of them may have read it, else chmod 600 {path}"
            )
    if len(data) > LARGEST:
        raise ValueError("it is too large")
    return data


def write_private(path: Path, data: bytes) -> None:
    """Replace a file with a new one of mode 0600, in one step that a crash cannot leave half done.

    Its folder is made with mode 0700 if it is not there.

    Raises:
        Unsafe: another user could replace the file.
        OSError: it cannot be written.
    """
    make_folder(path.parent)
    new = path.with_name(f".{path.name}.{token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file; it may be gone already.

    Raises:
        OSError: it cannot be removed.
    """
    path.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder with mode 0700 if it is not there, with the folders above it.

    Raises:
        Unsafe: another user could replace what is in it.
        OSError: it cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
    _check_folder(folder)


def _check_folder(folder: Path) -> None:
    if not hasattr(os, "geteuid"):
        return
    if (problem := open_to_others(folder)) is not None:
        raise Unsafe(f"another user could replace it: {problem}; correct that, or write another storage_dir")


def _foreign(path: Path, owner: int) -> str:
    return (
        f"{path} belongs to another user (uid {owner}, not {os.geteuid()}), so it is not used: run the proxy"
        " as the user who logged in, or write another storage_dir"
    )


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder last over a crash; Windows opens no folders."""
    if not hasattr(os, "geteuid"):
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
