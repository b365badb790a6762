"""What one writes with aiohttp instead: its server before its client, on uvloop, with a cached token.

Usage: python -m bench.peers.aiohttp_proxy TOKEN_URL CA_FILE LISTEN_PORT UPSTREAM [LISTEN_PORT UPSTREAM]
"""

import asyncio
import ssl
import sys
from typing import Final

import uvloop
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict

HOP_BY_HOP: Final = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"}


class Proxy:
    """One upstream; the token is fetched once, as it lives for longer than the bench."""

    def __init__(self, session: ClientSession, upstream: str, authorization: str) -> None:
        self._session = session
        self._upstream = upstream
        self._authorization = authorization

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        fields = CIMultiDict(
            (name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP
        )
        fields["Authorization"] = self._authorization
        body = request.content if request.body_exists else None
        async with self._session.request(
            request.method, self._upstream + request.path_qs, headers=fields, data=body, allow_redirects=False
        ) as answer:
            kept = ((name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP)
            response = web.StreamResponse(status=answer.status, headers=CIMultiDict(kept))
            await response.prepare(request)
            async for part in answer.content.iter_any():
                await response.write(part)
            await response.write_eof()
            return response


async def main(token_url: str, ca_file: str, *pairs: str) -> None:
    context = ssl.create_default_context(cafile=ca_file)
    connector = TCPConnector(limit=0, ssl=context)
    async with ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None),
    ) as session:
        async with session.post(token_url, data={"grant_type": "client_credentials"}) as answer:
            authorization = "Bearer " + (await answer.json())["access_token"]
        for port, upstream in zip(pairs[::2], pairs[1::2], strict=True):
            proxy = Proxy(session, upstream, authorization)
            runner = web.ServerRunner(web.Server(proxy.handle, access_log=None, keepalive_timeout=3600))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", int(port), backlog=4096).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
