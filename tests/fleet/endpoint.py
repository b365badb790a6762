"""A token endpoint that grants or refuses one request a second for all, as Camunda SaaS does per address."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

TAKES = 0.15
"""Seconds that it takes to answer."""


@dataclass
class Endpoint:
    """A running token endpoint.

    Attributes:
        life: seconds of each token, which is named `t-1`, `t-2` and so on.
        granted: moments of all tokens, in seconds of the loop.
        outcomes: answers by status, for each secret.
    """

    life: float
    url: str = ""
    granted: list[float] = field(default_factory=list)
    outcomes: Counter[tuple[str, int]] = field(default_factory=Counter)
    last: dict[str, float] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        secret = str(form["client_secret"])
        now = asyncio.get_running_loop().time()
        # The one of the wrong secret does not take turns from the others, because both run at one time.
        limited = now < self.last.get(secret, 0.0) + 1.0
        self.last[secret] = now if not limited else self.last[secret]
        await asyncio.sleep(TAKES)
        if limited:
            return self._answer(secret, 429, {"error": "slow_down"})
        if secret == "wrong":
            return self._answer(secret, 401, {"error": "invalid_client"})
        self.granted.append(now)
        token = {"access_token": f"t-{len(self.granted)}", "token_type": "Bearer", "expires_in": self.life}
        return self._answer(secret, 200, token)

    def _answer(self, secret: str, status: int, body: dict[str, object]) -> web.Response:
        self.outcomes[secret, status] += 1
        return web.json_response(body, status=status)


@asynccontextmanager
async def endpoint(life: float) -> AsyncIterator[Endpoint]:
    one = Endpoint(life)
    app = web.Application()
    app.router.add_post("/token", one.answer)
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    [(_, port)] = [address[:2] for address in runner.addresses]
    one.url = f"http://127.0.0.1:{port}/token"
    try:
        yield one
    finally:
        await runner.cleanup()
