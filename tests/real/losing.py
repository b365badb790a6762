"""A front before a token endpoint: it forwards each request, and can keep the answer to one to itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web


class LosingFront:
    """Forwards POSTs.

    Attributes:
        url: of the token endpoint, as it is to be configured.
        loses: whether the answer to the next refresh that is granted gets lost.
        lost: how many were.
    """

    def __init__(self, target: str, session: aiohttp.ClientSession) -> None:
        self.url = ""
        self.loses = False
        self.lost = 0
        self._target = target
        self._session = session

    async def answer(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        headers = {"Content-Type": request.headers["Content-Type"]}
        async with self._session.post(self._target, data=body, headers=headers) as answer:
            text = await answer.text()
            if self.loses and answer.status == 200 and b"grant_type=refresh_token" in body:
                self.loses, self.lost = False, self.lost + 1
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=answer.status, text=text, content_type="application/json")


@asynccontextmanager
async def losing_front(target: str) -> AsyncIterator[LosingFront]:
    """A front before the token endpoint at `target`."""
    async with aiohttp.ClientSession() as session:
        front = LosingFront(target, session)
        runner = web.ServerRunner(web.Server(front.answer, access_log=None))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            front.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
            yield front
        finally:
            await runner.cleanup()
