"""Whether to take a configuration that was found and not named: it says where secrets are sent.

Whoever can write it, or can put another one in its place, decides that. So it has to belong to the user who
runs the proxy, or to root, and nobody else may write it or replace it. Not checked on Windows.
"""

import os
from pathlib import Path
from stat import S_ISLNK, S_ISVTX

from proxy.files import is_ours, other_writers

REMEDY = "name it with --config if you trust it"


def distrust(path: Path, state: os.stat_result, *, beside_us: bool) -> str | None:
    """Why the file is not taken, behind its name; None: it is.

    Args:
        path: absolute.
        state: of the file that was opened and read.
        beside_us: in the working directory, which anybody may have prepared; the other places are the
            user's and root's own.
    """
    if not hasattr(os, "geteuid"):
        return None
    if not beside_us and os.statvfs(path).f_flag & os.ST_RDONLY:
        return None  # a volume of a container, whose files belong to whatever user there is outside
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
