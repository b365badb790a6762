"""Whether to take a configuration that was found and not named: it says where secrets are sent.

Whoever can write it, or can put another one in its place, decides that. So it has to belong to the user who
runs the proxy, or to root, and nobody else may write it or replace it. Not checked on Windows.
"""

import os
from pathlib import Path
from stat import S_ISLNK, S_ISVTX, S_IWGRP, S_IWOTH

REMEDY = "name it with --config if you trust it"


def problem(path: Path, state: os.stat_result, *, beside_us: bool) -> str | None:
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
    if S_ISLNK(link.st_mode) and not _ours(link):
        return f"is a link that belongs to another user (uid {link.st_uid}); {REMEDY}"
    if not _ours(state):
        return f"belongs to another user (uid {state.st_uid}); {REMEDY}"
    if who := _others(state):
        return f"can be written by {who}: chmod go-w it, or {REMEDY}"
    for folder, its in folders.items():
        if not _ours(its):
            return f"is in {folder}, which belongs to another user (uid {its.st_uid}); {REMEDY}"
        if not its.st_mode & S_ISVTX and (who := _others(its)):
            return f"can be replaced by {who}, who may write in {folder}: chmod go-w that, or {REMEDY}"
    return None


def _ours(state: os.stat_result) -> bool:
    return state.st_uid in (0, os.geteuid())


def _others(state: os.stat_result) -> str | None:
    """Who else may write it; a group that is the user's alone counts as the user."""
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
    return (
        user != 0
        and entry.pw_gid == group
        and its.gr_name == entry.pw_name
        and set(its.gr_mem) <= {its.gr_name}
    )
