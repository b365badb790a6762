"""A person with a real browser, who logs in at a real identity provider."""

import asyncio
import json
import os
import re
import secrets
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from proxy.clock import pause
from tests.browser.chromium import Browser, ScriptFailed, Tab
from tests.real.realm_admin import RealmAdmin, realm_admin
from tests.real.servers import AuthorizationServer, Issuer, Keycloak
from tests.real.sidecar import COMMAND
from tests.real.traffic import CLOCK

Flow = Literal["device", "browser"]

LOCAL_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
"""oidc-provider's pages ask for a font of another host."""

NO_BROWSER = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": "true"}
"""The login command opens none: the test opens the address that it shows."""

# Fills the form of a page and presses its button, or what says no.
FILL = """
if (location.pathname === '/callback') return;
const words = ['cancel', 'abort', 'cancel-consent'];
const named = each => [each.name, each.id, each.href?.split('/').pop()];
const says_no = each => words.some(word => named(each).includes(word));
const no = [...document.querySelectorAll('button, input, a')].find(says_no);
const form = [...document.forms].find(each => [...each.elements].some(field => field.type === 'submit'));
for (const field of form?.elements ?? []) {
  if (['username', 'login'].includes(field.name)) field.value = NAME;
  if (field.name === 'password') field.value = PASSWORD;
  if (field.name === 'scope' && field.type === 'checkbox') field.checked = true;
}
const yes = [...form?.elements ?? []].find(field => field.type === 'submit' && !says_no(field));
const button = DENY && no ? no : yes;
if (button) setTimeout(() => button.click(), 0);
"""


@dataclass(frozen=True)
class Person:
    """A person and the client that it logs in with.

    Attributes:
        credential: the settings of `type: user`; the refresh token is stored in a file.
        folder: of the stored login.
    """

    name: str
    credential: dict[str, Any]
    folder: Path
    password: str = "demo"
    secrets: set[str] = field(default_factory=set)

    @property
    def refresh_token(self) -> str:
        """The one that is stored now; noted in `secrets`."""
        (path,) = self.folder.glob("*.token")
        token = path.read_text()
        self.secrets.add(token)
        return token

    @property
    def known(self) -> dict[str, Any]:
        """What is stored of the login."""
        (path,) = self.folder.glob("*.json")
        return dict(json.loads(path.read_text()))

    @property
    def logged_in(self) -> bool:
        return any(self.folder.glob("*.json"))


async def person(
    issuer: Issuer, flow: Flow, folder: Path, *, life: int = 10, offline: bool = False, name: str = "demo"
) -> Person:
    """A person of this provider: one of the test's own at Keycloak, where admins do things to persons.

    Args:
        life: seconds of an access token, at Keycloak; 10 at the others.
        offline: whether Keycloak shall give a refresh token without an end.
        name: at Spring Authorization Server, which remembers what this person has allowed.
    """
    credential: dict[str, Any] = {
        "type": "user",
        "issuer_url": issuer.url,
        "storage": "file",
        "storage_dir": str(folder / "state"),
        "login": flow,
    }
    client = {"device": "device", "browser": "person"}[flow]
    if isinstance(issuer, Keycloak):
        name = f"person-{secrets.token_hex(6)}"
        async with realm_admin(issuer) as admin:
            await _add(admin, name, life)
        scope = "openid offline_access" if offline else "openid"
        return Person(name, credential | {"client_id": name, "scope": scope}, folder / "state")
    if isinstance(issuer, AuthorizationServer):
        secret = folder / "client-secret"
        secret.write_text(issuer.secret(client))
        scope = {"device": "read", "browser": "openid read"}[flow]
        credential |= {"client_secret_file": str(secret), "scope": scope}
    else:
        credential |= {"scope": "openid offline_access"}
    return Person(name, credential | {"client_id": client}, folder / "state")


async def _add(admin: RealmAdmin, name: str, life: int) -> None:
    """A person and a client of that name, in Keycloak's realm."""
    mapper = {"included.custom.audience": "zeebe-api", "access.token.claim": "true"}
    attributes = {
        "access.token.lifespan": str(life),
        "pkce.code.challenge.method": "S256",
        "oauth2.device.authorization.grant.enabled": "true",
        "oauth2.device.polling.interval": "1",
    }
    client = {
        "clientId": name,
        "publicClient": True,
        "redirectUris": ["http://127.0.0.1/callback"],  # any port
        "attributes": attributes,
        "protocolMappers": [
            {
                "name": "zeebe-api",
                "protocol": "openid-connect",
                "protocolMapper": "oidc-audience-mapper",
                "config": mapper,
            }
        ],
    }
    await admin.create("clients", client)
    named = {"firstName": "A", "lastName": "Person", "email": f"{name}@example.org", "emailVerified": True}
    password = {"type": "password", "value": "demo", "temporary": False}
    await admin.create("users", {"username": name, "enabled": True, "credentials": [password], **named})


class Command:
    """`login` or `logout`, as it runs.

    Attributes:
        out, err: what it has said so far.
    """

    def __init__(self, process: Process) -> None:
        self.out = ""
        self.err = ""
        self._process = process
        self._news = asyncio.Condition()

    async def listen(self) -> None:
        """Read what it says, to the end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read("out", self._process.stdout))
            tasks.create_task(self._read("err", self._process.stderr))

    async def _read(self, which: str, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        while piece := await stream.read(4096):
            async with self._news:
                setattr(self, which, getattr(self, which) + piece.decode())
                self._news.notify_all()

    async def address(self) -> str:
        """The first address that it shows on a line of its own."""
        async with asyncio.timeout(60), self._news:
            await self._news.wait_for(lambda: _ADDRESS.search(self.out) or "failed" in self.err)
        found = _ADDRESS.search(self.out)
        assert found is not None, self.err
        return found[1]

    async def ended(self) -> int:
        async with asyncio.timeout(120):
            return await self._process.wait()


_ADDRESS = re.compile(r"^  (http\S+)$", re.MULTILINE)


@asynccontextmanager
async def command(what: str, config: Path) -> AsyncIterator[Command]:
    """Run a command until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, what, "--config", config),
        env=os.environ | NO_BROWSER,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    running = Command(process)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(running.listen())
        try:
            yield running
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def log_in(browser: Browser, who: Person, config: Path, *, deny: bool = False) -> Command:
    """Run `login`, and do in the browser what it says; return the command, which has ended."""
    async with command("login", config) as running, browser.window() as tab:
        address = await running.address()
        await tab.type_address(address)
        await fill_in(tab, who, running, deny=deny)
        await running.ended()
        await note_code(tab, who)
    return running


async def note_code(tab: Tab, who: Person) -> None:
    """Note the code in the address of the last page, if it is the redirect's."""
    query = parse_qs(urlsplit(str(await tab.run("return location.href"))).query)
    who.secrets.update(query.get("code", []))


async def fill_in(tab: Tab, who: Person, running: Command, *, deny: bool = False) -> None:
    """Fill in form after form, until the command has ended."""
    words = {"NAME": who.name, "PASSWORD": who.password, "DENY": deny}
    given = "".join(f"const {name} = {json.dumps(value)};" for name, value in words.items())
    async with asyncio.timeout(60):
        while running._process.returncode is None:
            # A page may go while it is asked.
            with suppress(ScriptFailed, AssertionError):
                await tab.run(given + FILL)
            await pause(CLOCK, 0.3)
