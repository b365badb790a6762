"""The real servers: started, stopped and asked through the scripts beside this file."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

HERE = Path(__file__).parent


class Logins(NamedTuple):
    """Token requests as Keycloak counts them."""

    granted: int
    refused: int


class Server:
    """One script and the server behind it; `settings` are variables that the script reads."""

    def __init__(self, script: str, **settings: str) -> None:
        self._script = HERE / script
        self._settings = settings

    def ask(self, *arguments: str) -> str:
        """What the script prints. Its complaints go to stderr; raises CalledProcessError where it fails."""
        done = subprocess.run(
            (self._script, *arguments),
            check=True,
            env=os.environ | self._settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.strip()

    @property
    def url(self) -> str:
        return self.ask("url")

    async def stop(self) -> None:
        await asyncio.to_thread(self.ask, "stop")

    async def start(self) -> None:
        """Returns when it is ready."""
        await asyncio.to_thread(self.ask, "start")


class Keycloak(Server):
    """Realm `camunda-platform`; its clients are in realm.json."""

    def __init__(self) -> None:
        super().__init__("keycloak.sh")

    @property
    def token_url(self) -> str:
        return f"{self.url}/protocol/openid-connect/token"

    @property
    def signing_key(self) -> Path:
        """PEM; the client `signed` signs with it."""
        return Path(self.ask("folder"), "signing.key")

    @property
    def certificate(self) -> Path:
        """PEM, of `signing_key`."""
        return Path(self.ask("folder"), "signing.crt")

    def logins(self, client: str) -> Logins:
        """Since Keycloak was started."""
        granted, refused = self.ask("logins", client).split()
        return Logins(int(granted), int(refused))

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Keycloak is gone inside, and there again afterwards."""
        await self.stop()
        try:
            yield
        finally:
            await self.start()


class TokenChecker(Server):
    """A resource server that wants Keycloak's tokens, audience `zeebe-api` (token_checker.py)."""

    def __init__(self) -> None:
        super().__init__("checker.sh")


# Nothing fetches or starts the vendor's server: the tests on it wait for open servers and do not run.


class Engine(Server):
    """Camunda 8.6 that wants Keycloak's tokens, audience `zeebe-api`."""

    def __init__(self) -> None:
        super().__init__("camunda-oidc.sh")

    def requests(self, status: str = "") -> int:
        """How many its REST API has answered since it was started; with that status."""
        return int(self.ask("requests", status))


class Camunda(Server):
    """The single application of Camunda 8.6; who is let in, the profiles say (camunda-session.sh)."""

    def __init__(self, profiles: str, idle_life: str = "30m") -> None:
        super().__init__(
            "camunda-session.sh", CAMUNDA_SESSION_PROFILES=profiles, CAMUNDA_SESSION_TIMEOUT=idle_life
        )

    async def restart(self) -> None:
        """Returns when it is healthy again; its sessions are gone."""
        await asyncio.to_thread(self.ask, "restart")


class BasicEngine(Server):
    """Camunda 8.6 that wants HTTP Basic, demo/demo."""

    def __init__(self) -> None:
        super().__init__("camunda-basic.sh")


S = TypeVar("S", bound=Server)


@contextmanager
def started(server: S) -> Iterator[S]:
    server.ask("stop")  # what a run that was killed has left
    try:
        server.ask("start")
        yield server
    finally:
        server.ask("stop")
