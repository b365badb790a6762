"""Debian's Chromium, headless, driven by the DevTools protocol (https://chromedevtools.github.io)."""

import asyncio
import base64
import itertools
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

PATIENCE = 20.0
MISSING = "Chromium is missing: install Debian's package chromium (for root, scripts/test-slow does it)."
# As little traffic of its own as can be, and none of the newer walls around localhost and http: what a
# browser without them could do, we must stop alone.
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-popup-blocking",
    "--disable-features=LocalNetworkAccessChecks,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable",
    "--host-resolver-rules=MAP *.example 127.0.0.1",
    "--remote-debugging-port=0",
)

Params = Mapping[str, Any]


class ScriptFailed(Exception):
    """What a script in a page threw."""


class Browser:
    """The whole browser, and the one connection on which it is driven."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._events: dict[tuple[str | None, str], list[dict[str, Any]]] = {}
        self._news = asyncio.Condition()

    async def listen(self) -> None:
        """Read what it says, to the end."""
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                self._replies.pop(said["id"]).set_result(said)
                continue
            async with self._news:
                self._events.setdefault((said.get("sessionId"), said["method"]), []).append(said["params"])
                self._news.notify_all()

    async def call(self, method: str, params: Params | None = None, session: str | None = None) -> Any:
        """The result of a command."""
        number = next(self._ids)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        where = {"sessionId": session} if session else {}
        await self._socket.send_json({"id": number, "method": method, "params": params or {}, **where})
        async with asyncio.timeout(PATIENCE):
            said = await reply
        assert "error" not in said, (method, said["error"])
        return said["result"]

    def heard(self, method: str, session: str | None) -> int:
        """How often it has said this."""
        return len(self._events.get((session, method), ()))

    async def event(self, method: str, session: str | None, after: int) -> dict[str, Any]:
        """What it says with this event, the one after so many others."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: self.heard(method, session) > after)
        return self._events[session, method][after]

    @asynccontextmanager
    async def window(self) -> AsyncIterator["Tab"]:
        """A blank tab that shares no cookie and no cache with any other."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        try:
            made = await self.call("Target.createTarget", {"url": "about:blank", "browserContextId": context})
            yield await self.attached(made["targetId"], context)
        finally:
            await self.call("Target.disposeBrowserContext", {"browserContextId": context})

    async def attached(self, target: str, context: str) -> "Tab":
        how = {"targetId": target, "flatten": True}
        tab = Tab(self, (await self.call("Target.attachToTarget", how))["sessionId"], target, context)
        await tab.call("Page.enable")
        return tab


class Tab:
    """One tab."""

    def __init__(self, browser: Browser, session: str, target: str, context: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target
        self._context = context

    async def call(self, method: str, params: Params | None = None) -> Any:
        return await self._browser.call(method, params, self._session)

    @asynccontextmanager
    async def loading(self) -> AsyncIterator[None]:
        """What the block begins has brought a page when it ends."""
        before = self._browser.heard("Page.loadEventFired", self._session)
        yield
        await self._browser.event("Page.loadEventFired", self._session, before)

    async def type_address(self, url: str) -> None:
        """What the user does, until the page is there."""
        async with self.loading():
            await self.call("Page.navigate", {"url": url, "transitionType": "typed"})

    async def find_rebound(self, url: str, html: str) -> None:
        """A page of a name that was the attacker's address when the page came, and is ours ever after."""
        await self.call("Fetch.enable", {"patterns": [{"urlPattern": url}]})
        paused = self._browser.heard("Fetch.requestPaused", self._session)
        async with self.loading(), asyncio.TaskGroup() as tasks:
            tasks.create_task(self.call("Page.navigate", {"url": url}))
            request = await self._browser.event("Fetch.requestPaused", self._session, paused)
            headers = [{"name": "Content-Type", "value": "text/html"}]
            body = base64.b64encode(html.encode()).decode()
            answer = {"responseCode": 200, "responseHeaders": headers, "body": body}
            await self.call("Fetch.fulfillRequest", {"requestId": request["requestId"], **answer})
        await self.call("Fetch.disable")

    async def run(self, script: str) -> Any:
        """What an asynchronous function of this body returns in the page.

        Raises:
            ScriptFailed: it threw.
        """
        how = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        said = await self.call("Runtime.evaluate", {"expression": f"(async () => {{{script}}})()", **how})
        if "exceptionDetails" in said:
            raise ScriptFailed(said["exceptionDetails"])
        return said["result"].get("value")

    async def shown(self) -> str:
        """The text of the page."""
        return str(await self.run("return document.documentElement.innerText"))

    async def opened(self) -> "Tab":
        """The window that this one has opened."""
        targets = (await self._browser.call("Target.getTargets"))["targetInfos"]
        (other,) = (
            target["targetId"]
            for target in targets
            if target.get("browserContextId") == self._context and target.get("openerId") == self._target
        )
        return await self._browser.attached(other, self._context)


@asynccontextmanager
async def chromium(profile: Path, *options: str) -> AsyncIterator[Browser]:
    """A browser with an empty profile, until the block ends; with more options, the last of a kind counts."""
    path = shutil.which("chromium")
    assert path is not None, MISSING
    process = await asyncio.create_subprocess_exec(
        path,
        *OPTIONS,
        *options,
        f"--user-data-dir={profile}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            address = b""
            while not address.startswith(b"DevTools listening on "):
                address = await process.stderr.readline()
                assert address, "Chromium ended before it listened."
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address.split()[-1].decode(), max_msg_size=0) as socket,
            asyncio.TaskGroup() as tasks,
        ):
            browser = Browser(socket)
            tasks.create_task(browser.listen())
            tasks.create_task(_drained(process.stderr))
            yield browser
            await browser.call("Browser.close")
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _drained(stream: asyncio.StreamReader) -> None:
    """Read to the end, so that nobody waits for room to write."""
    while await stream.read(1 << 16):
        pass
