"""Receives the redirect of an authorization server at a free port of loopback (RFC 8252 section 7.3).

Any page in the browser can send requests to this port, so nothing but the answer that has the state of our
login changes anything, and that once. Nothing that a request holds is shown or logged.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html import escape
from typing import Final, NamedTuple, Protocol

# Not from `aiohttp.web`, see `gateway/listener.py`.
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response
from aiohttp.web_runner import ServerRunner, TCPSite
from aiohttp.web_server import Server

PATH: Final = "/callback"
HOST: Final = "127.0.0.1"
"""The address itself and not `localhost`, because providers demand that (RFC 8252 section 8.3)."""

LARGEST: Final = 1 << 16
"""Bytes of a request line or a field: a code may be long, and a browser sends the cookies of every port."""

GOING: Final = 2.0
"""Seconds to finish the last answer when the listener ends."""

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Connection": "close",
}

_SILENT: Final = logging.getLogger("proxy.loopback")
"""aiohttp would log requests that it cannot parse, and these may hold a code."""
_SILENT.disabled = True


class Told(NamedTuple):
    """How a login ended, for the page in the browser.

    Attributes:
        good: whether the person is logged in.
        words: a sentence.
    """

    good: bool
    words: str


class Judgement(Protocol):
    """See `code.Verdict`."""

    @property
    def kind(self) -> str: ...

    @property
    def text(self) -> str: ...


class Loopback:
    """The listener of one login.

    Args:
        warn: is told, as a sentence, of each request that could have been meant for this login and was not
            accepted.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.redirect_uri = ""
        self._authority = ""
        self._warn = warn
        self._judge: Callable[[str], Judgement] | None = None
        self._redirect: asyncio.Future[Judgement] | None = None
        self._ended: asyncio.Future[Told] | None = None

    def bound_to(self, port: int) -> None:
        """Note the port, from now on part of the redirect address."""
        self._authority = f"{HOST}:{port}"
        self.redirect_uri = f"http://{self._authority}{PATH}"

    def expect(self, judge: Callable[[str], Judgement]) -> "asyncio.Future[Judgement]":
        """Return a future that gets the first redirect which `judge` does not call foreign.

        Args:
            judge: gets the query of a request.
        """
        loop = asyncio.get_running_loop()
        self._judge = judge
        self._redirect = loop.create_future()
        self._ended = loop.create_future()
        return self._redirect

    def tell(self, told: Told) -> None:
        """Let the page of the redirect say how the login ended."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(told)

    async def answer(self, request: BaseRequest) -> Response:
        """Answer one request."""
        if [*request.headers.getall("Host", ())] != [self._authority]:
            return _page(421, "This port answers to its own address only.")
        if request.rel_url.raw_path != PATH:
            return _page(404, "There is nothing at this address.")
        if request.method != "GET":
            answer = _page(405, "The redirect of a login is a GET.")
            answer.headers["Allow"] = "GET"
            return answer
        if not _is_navigation(request):
            return _page(403, "Only a page that is opened in the browser may come here.")
        return await self._received(request.rel_url.raw_query_string)

    async def _received(self, query: str) -> Response:
        if self._judge is None or self._redirect is None or self._ended is None:
            return _page(409, "No login is waiting for an answer.")
        judged = self._judge(query)
        if judged.kind == "foreign":
            self._warn(f"A request to the redirect address was refused: {judged.text}. The login goes on.")
            return _page(400, "This is not the answer to the login that waits here. Nothing has changed.")
        if self._redirect.done():
            self._warn("A second answer to this login was refused.")
            return _page(410, "This login has had its answer. You can close this page.")
        self._redirect.set_result(judged)
        # The page says how the login ended, so it has to wait for the token endpoint.
        told = await self._ended
        return _page(200 if told.good else 400, told.words)


def _is_navigation(request: BaseRequest) -> bool:
    """Tell whether the browser opens this as a page (Fetch Metadata). Old browsers do not say.

    The provider's redirect is cross-site, so the site is no criterion; the state is.
    """
    mode = request.headers.get("Sec-Fetch-Mode", "navigate")
    return mode == "navigate" and request.headers.get("Sec-Fetch-Dest", "document") == "document"


def _page(status: int, text: str) -> Response:
    body = (
        "<!DOCTYPE html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>camunda-auth-proxy</title></head>'
        f"<body><h1>camunda-auth-proxy</h1><p>{escape(text)}</p></body></html>\n"
    )
    return Response(status=status, text=body, content_type="text/html", charset="utf-8", headers=_HEADERS)


@asynccontextmanager
async def loopback(warn: Callable[[str], None]) -> AsyncIterator[Loopback]:
    """Listen at a free port until the block ends; see `Loopback`.

    Raises:
        OSError: there is no loopback, or no port.
    """
    listener = Loopback(warn)
    runner = ServerRunner(
        Server(
            listener.answer,
            access_log=None,
            logger=_SILENT,
            max_line_size=LARGEST,
            max_field_size=LARGEST,
        ),
        shutdown_timeout=GOING,
    )
    await runner.setup()
    try:
        await TCPSite(runner, HOST, 0).start()
        listener.bound_to(runner.addresses[0][1])
        yield listener
    finally:
        listener.tell(Told(False, "The login was stopped."))
        await runner.cleanup()
