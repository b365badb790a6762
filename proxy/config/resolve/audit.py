"""Resolves the audit log, and checks its folder."""

import os
from pathlib import Path
from stat import S_ISDIR, S_ISREG, S_ISVTX, S_IWOTH

from proxy.config.model import Audit
from proxy.config.resolve.context import Context
from proxy.config.written.findings import KeyPath
from proxy.files import all_can_read

STDOUT = "-"
_PLACE: KeyPath = ("audit", "file")


def audit_log(context: Context) -> Audit | None:
    """Return the audit log; report why its file could not be written."""
    document = context.document.audit
    if document is None:
        return None
    if document.file == STDOUT:
        return Audit(None, document.reads)
    path = context.folder.absolute() / document.file
    variable = context.written.variable(_PLACE)  # its value is never shown
    shown, folder = (str(path), str(path.parent)) if variable is None else (variable, "its folder")
    try:
        problem = _problem(path, shown, folder)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is no valid path"
        problem = f"names {shown}, which cannot be written: {reason}"
    if problem is not None:
        context.findings.add(_PLACE, problem)
    elif all_can_read(path):
        context.findings.notice(f"audit.file: every user of this machine can read {shown}; chmod 600 it")
    return Audit(path, document.reads)


def _problem(path: Path, shown: str, folder: str) -> str | None:
    """Say why no lines can be appended to the file, as text that follows the key; None: they can."""
    if not path.parent.exists():
        return f"names {shown}, but {folder} does not exist; make it, and let only this user write there"
    state = path.parent.stat()
    if not S_ISDIR(state.st_mode):
        return f"names {shown}, but {folder} is a file; write another path"
    if state.st_mode & S_IWOTH and not state.st_mode & S_ISVTX:
        return (
            f"names {shown}, but every user may write in {folder} and replace the file; chmod 700 the folder"
        )
    if path.exists():
        if not S_ISREG(path.stat().st_mode):
            return f"names {shown}, which is not a regular file; write - for stdout, or another path"
        return None if os.access(path, os.R_OK | os.W_OK) else f"names {shown}, which this user may not write"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"names {shown}, but this user may not write in {folder}; choose another folder"
    return None
