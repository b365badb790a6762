"""A real keyring without a desktop: Debian's packages gnome-keyring and dbus-daemon."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("in_keyring.py")
UNLOCKED = """
printf password | gnome-keyring-daemon --foreground --unlock --components=secrets >/dev/null 2>&1 &
daemon=$!
while ! dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
    string:org.freedesktop.secrets | grep --quiet 'boolean true'; do sleep 0.1; done
"$@"; code=$?
kill "$daemon"
exit "$code"
"""
LOCKED = UNLOCKED.replace("printf password | ", "").replace("--unlock ", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gnome-keyring-daemon") is None, reason="needs Debian's gnome-keyring"),
]


async def stored_in(folder: Path, surroundings: str) -> str:
    pytest.importorskip("keyring")
    home, run = folder / "home", folder / "run"
    home.mkdir()
    run.mkdir(mode=0o700)
    environ = {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(run),
        "PYTHONPATH": str(ROOT),
        "PATH": os.environ["PATH"],
    }
    process = await asyncio.create_subprocess_exec(
        *("dbus-run-session", "--", "sh", "-c", surroundings, "sh"),
        *(sys.executable, str(SCRIPT), str(folder / "logins")),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(50):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().strip()


async def test_a_real_keyring_holds_the_refresh_token(tmp_path: Path) -> None:
    assert await stored_in(tmp_path, UNLOCKED) == "keyring"
    assert not list((tmp_path / "logins").glob("*.token"))


async def test_a_locked_keyring_without_a_display_is_replaced_by_a_file(tmp_path: Path) -> None:
    assert await stored_in(tmp_path, LOCKED) == "file"
