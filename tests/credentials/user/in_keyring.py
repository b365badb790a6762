"""Stores a login and reads it back, in a session of D-Bus: `python in_keyring.py FOLDER`. Says where."""

import asyncio
import sys
from pathlib import Path

from proxy.credentials.user.logins import LoginStore, new_login

TOKEN = "canary" * 700


async def main(folder: str) -> None:
    store = LoginStore(Path(folder), "me-key", "me", "auto")
    async with store.locked(5):
        login = await store.write(new_login(1.0), TOKEN)
    again = LoginStore(Path(folder), "me-key", "me", "auto")
    async with again.locked(5):
        assert await again.refresh_token(login) == TOKEN
        await again.remove()
        assert again.look() is None
    sys.stdout.write(login.kept_in)


asyncio.run(main(sys.argv[1]))
