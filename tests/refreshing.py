"""An identity provider on loopback that rotates refresh tokens as Keycloak 26.7: reuse ends the session."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

from aiohttp import web


class RefreshProvider:
    """Answers refreshes, from its script first.

    Attributes:
        url: of the token endpoint.
        asked: the form of each request.
        headers: of each request.
        script: answers to come.
        lose: number of refreshes to come that are used, and whose connection is then cut.
        reuses: how often a refresh token was sent that had been replaced already.
        rotates: whether a refresh brings a new refresh token.
        life: seconds of an access token.
        members: added to each good answer.
        open: it answers while this is set; a refresh token is used before that.
        came: set when a request has come.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.script: deque[web.Response] = deque()
        self.lose = 0
        self.reuses = 0
        self.rotates = True
        self.life = 300
        self.members: dict[str, object] = {}
        self.open = asyncio.Event()
        self.open.set()
        self.came = asyncio.Event()
        self._good: dict[str, str] = {}
        self._spent: dict[str, str] = {}
        self._number = 0

    def log_in(self, person: str = "jane") -> str:
        """Begin a session; return its first refresh token."""
        return self._issue(person)

    def end(self) -> None:
        """An administrator ends all sessions."""
        self._good.clear()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        form = dict(parse_qsl(await request.text(), keep_blank_values=True))
        self.asked.append(form)
        self.headers.append(dict(request.headers))
        self.came.set()
        if self.script:
            return self.script.popleft()
        answer = self._refreshed(form.get("refresh_token", ""))
        await self.open.wait()
        if self.lose:
            self.lose -= 1
            assert request.transport is not None
            request.transport.abort()
        return answer

    def _refreshed(self, token: str) -> web.Response:
        if token in self._spent:
            self.reuses += 1
            person = self._spent[token]
            self._good = {each: owner for each, owner in self._good.items() if owner != person}
            return refused("invalid_grant", "Maximum allowed refresh token reuse exceeded")
        if token not in self._good:
            return refused("invalid_grant", "Session not active")
        members: dict[str, object] = {"token_type": "Bearer", "expires_in": self.life}
        if self.rotates:
            person = self._good.pop(token)
            self._spent[token] = person
            members["refresh_token"] = self._issue(person)
        members["access_token"] = f"access-{self._good_person(token)}-{len(self.asked)}"
        return web.json_response(members | self.members)

    def _good_person(self, token: str) -> str:
        return self._spent.get(token) or self._good[token]

    def _issue(self, person: str) -> str:
        self._number += 1
        token = f"canary-refresh-{person}-{self._number}"
        self._good[token] = person
        return token


def refused(error: str, description: str = "", status: int = 400) -> web.Response:
    """RFC 6749 section 5.2."""
    return web.json_response({"error": error, "error_description": description}, status=status)


@asynccontextmanager
async def refresh_provider() -> AsyncIterator[RefreshProvider]:
    provider = RefreshProvider()
    runner = web.ServerRunner(web.Server(provider.answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
        yield provider
    finally:
        provider.open.set()
        await runner.cleanup()
