"""Writes the files of `init`: all of them, each in one step, or none."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

from proxy.errors import StartError

PRIVATE, PUBLIC = 0o600, 0o644


def write_all(files: Mapping[Path, tuple[str, int]], *, force: bool) -> None:
    """Write files that must belong together.

    Args:
        files: the text and the mode of each.
        force: replace files that exist.

    Raises:
        StartError: a file exists, or cannot be written; then nothing has changed.
    """
    waiting: dict[Path, Path] = {}
    new: list[Path] = []
    try:
        for path, (text, mode) in files.items():
            waiting[path] = _temporary(path, text, mode)
        for path, temporary in waiting.items():
            _put(temporary, path, force=force)
            new.append(path)
        new = []
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        for unwanted in (*waiting.values(), *([] if force else new)):
            with suppress(OSError):
                unwanted.unlink()


def refuse_existing(paths: Mapping[Path, object]) -> None:
    """Raise StartError if one of the files exists."""
    for path in paths:
        if os.path.lexists(path):
            raise StartError(_exists(path))


def _exists(path: Path) -> str:
    return f"{path} exists already. --force replaces it, --output names another file."


def _temporary(path: Path, text: str, mode: int) -> Path:
    descriptor, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if mode != PRIVATE:
            os.chmod(name, mode & ~_umask())  # noqa: PTH101
    except OSError:
        os.unlink(name)  # noqa: PTH108
        raise
    return Path(name)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _put(temporary: Path, path: Path, *, force: bool) -> None:
    """Give the file its name in one step."""
    if not force:
        try:
            os.link(temporary, path)  # fails if the name is taken, unlike a rename
        except FileExistsError:
            raise StartError(_exists(path)) from None
        except OSError:  # a file system without hard links
            refuse_existing({path: None})
        else:
            return
    temporary.replace(path)
