"""Decides whether to use a configuration that the proxy found by itself, without `--config`.

The file says where secrets are sent. A user who can write or replace it decides that. So it has to belong to
the user who runs the proxy, or to root, and no other user may be able to write or replace it. Not checked on
Windows.
"""

import os
from pathlib import Path
from stat import S_ISLNK, S_ISVTX

from proxy.files import is_ours, other_writers

REMEDY = "name it with --config if you trust it"


def distrust(path: Path, state: os.stat_result, *, beside_us: bool) -> str | None:
    """Say why the file must not be used, as text that follows its name; None: use it.

    Args:
        path: absolute.
        state: of the file that was opened and read.
        beside_us: whether it is in the working directory, which any user may have prepared; the other places
            are the user's and root's own.
    """
    if not hasattr(os, "geteuid"):
        return None
    if not beside_us and os.statvfs(path).f_flag & os.ST_RDONLY:
        return None  # a container's volume: its files belong to a user outside, whose uid may be any
    link = path.lstat()
    folders = {path.parent: path.parent.stat(), (real := path.resolve().parent): real.stat()}
    if S_ISLNK(link.st_mode) and not is_ours(link):
        return f"is a link that belongs to another user (uid {link.st_uid}); {REMEDY}"
    if not is_ours(state):
        return f"belongs to another user (uid {state.st_uid}); {REMEDY}"
    if who := other_writers(state):
        return f"can be written by {who}: chmod go-w it, or {REMEDY}"
    for folder, its in folders.items():
        if not is_ours(its):
            return f"is in {folder}, which belongs to another user (uid {its.st_uid}); {REMEDY}"
        if not its.st_mode & S_ISVTX and (who := other_writers(its)):
            return f"can be replaced by {who}, who may write in {folder}: chmod go-w that, or {REMEDY}"
    return None
