"""The real servers: started, stopped and asked through the scripts beside this file."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent


class Logins(NamedTuple):
    """Token requests as Keycloak counts them."""

    granted: int
    refused: int


class Server:
    """One script and the server behind it."""

    def __init__(self, script: str) -> None:
        self._script = HERE / script

    def ask(self, *arguments: str) -> str:
        """What the script prints. Its complaints go to stderr; raises CalledProcessError where it fails."""
        done = subprocess.run(
            (self._script, *arguments),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.strip()

    @property
    def url(self) -> str:
        return self.ask("url")


class Keycloak(Server):
    """Realm `camunda-platform`; its clients are in realm.json."""

    def __init__(self) -> None:
        super().__init__("keycloak.sh")

    @property
    def token_url(self) -> str:
        return f"{self.url}/protocol/openid-connect/token"

    def logins(self, client: str) -> Logins:
        """Since Keycloak was started."""
        granted, refused = self.ask("logins", client).split()
        return Logins(int(granted), int(refused))

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Keycloak is gone inside, and there again afterwards."""
        await asyncio.to_thread(self.ask, "stop")
        try:
            yield
        finally:
            await asyncio.to_thread(self.ask, "start")


class Engine(Server):
    """Camunda 8.6 that wants Keycloak's tokens, audience `zeebe-api`."""

    def __init__(self) -> None:
        super().__init__("camunda-oidc.sh")

    def requests(self, status: str = "") -> int:
        """How many its REST API has answered since it was started; with that status."""
        return int(self.ask("requests", status))
