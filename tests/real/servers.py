"""The real servers: started, stopped and asked through the scripts beside this file.

A start where the server runs already does nothing, and scripts/test-real stops whatever was started: so
servers are shared by all processes of a test run, and each is started when the first test needs it.
"""

import asyncio
import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Self

from proxy.clock import SystemClock, pause

HERE = Path(__file__).parent
RUN = Path(
    os.environ.get("REAL_DIR")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "camunda-auth-proxy", "real"),
)

RELEASES = ("8.6", "8.7", "8.8", "8.9", "8.10")


class Logins(NamedTuple):
    """Token requests as Keycloak counts them."""

    granted: int
    refused: int


class Server:
    """One script and the server behind it; `names` say which, where the script has several."""

    def __init__(self, script: str, *names: str) -> None:
        self._script = HERE / script
        self._names = names

    def ask(self, action: str, *names: str) -> str:
        """What the script prints. Its complaints go to stderr; raises CalledProcessError where it fails."""
        done = subprocess.run(
            (self._script, action, *names),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.strip()

    async def stop(self) -> None:
        await asyncio.to_thread(self.ask, "stop", *self._names)

    async def start(self) -> None:
        """Returns when it is ready."""
        await asyncio.to_thread(self.ask, "start", *self._names)

    async def restart(self) -> None:
        """Returns when it is ready again, on the same ports."""
        await self.stop()
        await self.start()

    def down(self) -> None:
        self.ask("stop", *self._names)

    def up(self) -> Self:
        """Itself, ready."""
        self.ask("start", *self._names)
        return self


class Issuer(Server):
    """An identity provider.

    Attributes:
        url: the issuer, as in its tokens.
        token_url, tls_token_url: of its token endpoint; the second asks for a client certificate.
    """

    url: str
    token_url: str
    tls_token_url: str

    @property
    def keys(self) -> Path:
        """The folder of keys.sh."""
        return RUN / "keys"

    def secret(self, client: str) -> str:
        return f"secret-of-{client}"


class Keycloak(Issuer):
    """Realms `camunda-platform` and `rotating`, the same but for their keys; clients are in realm.json."""

    def __init__(self, realm: str = "camunda-platform") -> None:
        super().__init__("keycloak.sh")
        self.url = self.ask("url", realm)
        self.token_url = f"{self.url}/protocol/openid-connect/token"
        self.tls_token_url = f"{self.ask('tls', realm)}/protocol/openid-connect/token"

    def secret(self, client: str) -> str:
        return "secret"

    def logins(self, client: str) -> Logins:
        """Since the beginning, in both realms."""
        return self._count("logins", client)

    def refreshes(self, client: str) -> Logins:
        """The same of refreshes."""
        return self._count("refreshes", client)

    def _count(self, what: str, client: str) -> Logins:
        granted, refused = self.ask(what, client).split()
        return Logins(int(granted), int(refused))

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Keycloak is gone inside, and there again afterwards."""
        await self.stop()
        try:
            yield
        finally:
            await self.start()


class OidcProvider(Issuer):
    """npm's oidc-provider (provider.mjs)."""

    def __init__(self) -> None:
        super().__init__("issuers.sh", "oidc-provider")
        self.url = self.ask("url", *self._names)
        self.token_url = f"{self.url}/token"
        self.tls_token_url = f"{self.ask('tls', *self._names)}/token"


class AuthorizationServer(Issuer):
    """Spring Authorization Server (spring/issuer)."""

    def __init__(self) -> None:
        super().__init__("issuers.sh", "authorization-server")
        self.url = self.ask("url", *self._names)
        self.token_url = f"{self.url}/oauth2/token"
        self.tls_token_url = f"{self.ask('tls', *self._names)}/oauth2/token"


class StandIn(Server):
    """All applications of one Camunda release (spring/src/standin/App.java has the list).

    Args:
        release: such as `8.10`.
        name: of an instance of its own; None: the one that all tests share.
    """

    def __init__(self, release: str, name: str | None = None) -> None:
        self.release = release
        self._folder = RUN / "run" / (name or f"spring-{release}")
        super().__init__("spring.sh", self._folder.name, release)

    def url(self, app: str) -> str:
        """Base URL of an application, without a slash at its end."""
        for line in (self._folder / "ports").read_text().splitlines():
            name, port, path = line.split(" ")
            if name == app:
                return f"http://127.0.0.1:{port}{path}"
        raise LookupError(f"{self.release} has no application {app}")

    def log(self, app: str) -> list[str]:
        """A line for each answer so far."""
        return (self._folder / "access" / f"{app}.log").read_text().splitlines()

    async def statuses(self, app: str, agent: str, total: int) -> Counter[int]:
        """Of all answers to requests with that User-Agent: the server writes each down a moment after it.

        Raises:
            TimeoutError: there were not `total` of them within 5 s.
        """
        async with asyncio.timeout(5):
            while True:
                seen = [int(line.split(" ", 1)[0]) for line in self.log(app) if line.endswith(f" {agent}")]
                if len(seen) >= total:
                    return Counter(seen)
                await pause(SystemClock(), 0.1)
