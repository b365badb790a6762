"""Finds the folder in which a person's programs keep their state."""

import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER = "camunda-auth-proxy"


def state_folder(environ: Mapping[str, str], platform: str = sys.platform) -> Path | None:
    """Return the default folder of stored logins; None: the user has no home folder.

    It is below `%LOCALAPPDATA%` on Windows, `~/Library/Application Support` on macOS, and elsewhere below
    `$XDG_STATE_HOME` or `~/.local/state` (XDG Base Directory Specification 0.8: a relative path is ignored).
    """
    named = Path(environ.get("LOCALAPPDATA" if platform == "win32" else "XDG_STATE_HOME", ""))
    if platform != "darwin" and named.is_absolute():
        return named / FOLDER
    try:
        home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    except RuntimeError:
        return None
    if not home.is_absolute():
        return None
    below = {"win32": "AppData/Local", "darwin": "Library/Application Support"}
    return home / below.get(platform, ".local/state") / FOLDER
