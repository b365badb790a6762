"""Sends requests to token endpoints, issuers and login pages; the only module here that uses aiohttp.

Errors are told in our own words, because aiohttp's contain our header fields.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection

from proxy.clock import SystemClock
from proxy.credentials.reply import LARGEST_ANSWER, Reply
from proxy.errors import CredentialUnavailable
from proxy.net import ContextMaker, HttpProxy
from proxy.outgoing.addresses import AddressInfo
from proxy.outgoing.alerts import tls_error
from proxy.outgoing.causes import CauseName, Peer, cause, shown
from proxy.outgoing.connect import Connector, open_socket
from proxy.outgoing.diagnosis import cause_of

CONNECT = 10.0
"""Seconds for a connection with TLS; where a host has addresses left after that, the next ones are tried."""

TURNS = 3
"""Turns of the event loop after which a closed connection has said why."""

AGENT = {"User-Agent": "camunda-auth-proxy"}


_NONE: Mapping[str, str] = MappingProxyType({})


class Outbound:
    """An HTTP client that keeps no cookies, follows no redirects and takes no proxy from the environment.

    Each request has its own connection. Requests are rare, and on a kept connection that the server just
    closed the fetch would fail, because a POST is not sent twice.

    Args:
        tls: None: the system's CAs, and no client certificate.
        server_name: name in the certificate, if it is not the host of the URL.
        http_proxy: None: connect directly.
        connector: what it shares with others; None: its own.
        section: the setting that holds `tls` and `http_proxy`, for messages: `credentials.saas`.
        addresses: the settings that hold the URLs, for messages, by the name of the server there:
            `{"the token endpoint": "credentials.saas.token_url"}`.
    """

    def __init__(
        self,
        *,
        tls: ContextMaker | None = None,
        server_name: str | None = None,
        http_proxy: HttpProxy | None = None,
        connector: Connector | None = None,
        section: str = "",
        addresses: Mapping[str, str] = _NONE,
    ) -> None:
        self._section = section
        self._addresses = addresses
        self._connector = connector if connector is not None else Connector(SystemClock().now)
        self._tls = tls
        self._server_name = server_name.rstrip(".") if server_name is not None else None
        self._http_proxy = http_proxy
        self._session = aiohttp.ClientSession(
            connector=_TcpConnector(
                force_close=True,
                resolver=_Resolver(self._connector),
                use_dns_cache=False,  # so that a name that moves is followed
                socket_factory=_open_socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def close(self) -> None:
        await self._session.close()

    def peer(self, to: str, url: str) -> Peer:
        """Return a server as messages name it; arguments as those of `send`."""
        return Peer(to, shown(url), self._addresses.get(to, ""), self._section)

    async def send(
        self,
        method: str,
        url: str,
        *,
        to: str,
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 -- aiohttp's, for all of the exchange
        body: bytes | None = None,
    ) -> Reply:
        """Send a request and read the answer.

        Args:
            to: name of the server in messages: `the token endpoint`.
            timeout: seconds for the whole exchange.

        Raises:
            CredentialUnavailable: there is no answer. An answer of any status is returned.
        """
        attempt = _Attempt()
        _attempt.set(attempt)
        try:
            reply = await self._exchange(method, url, to, headers, timeout, body)
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            attempt.failed(self._connector)
            why = await attempt.why(error)
            failure = self._failure(error, self.peer(to, url), why)
            failure.unsent = attempt.closed is None
            raise failure from None  # its repr has our fields
        attempt.succeeded(self._connector)
        return reply

    async def _exchange(
        self,
        method: str,
        url: str,
        to: str,
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 -- aiohttp's
        body: bytes | None,
    ) -> Reply:
        http_proxy = self._http_proxy
        secure = url.lower().startswith("https:")
        own = {"Accept-Encoding": "identity"} | AGENT
        if not secure:
            own |= _to_proxy(http_proxy)  # forwarded in clear: there is no CONNECT to carry them
        async with self._session.request(
            method,
            url,
            data=body,
            headers={**own, **headers},
            allow_redirects=False,
            ssl=self._tls() if self._tls is not None and secure else True,
            server_hostname=self._server_name or _without_dot(url),
            proxy=str(http_proxy) if http_proxy is not None else None,
            proxy_headers=AGENT | _to_proxy(http_proxy) if http_proxy is not None else None,
            timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT, timeout)),
        ) as response:
            if response.status == 407 and http_proxy is not None:
                raise self._refused_by_proxy(self.peer(to, url), 407)
            fields = tuple((name.lower(), value) for name, value in response.headers.items())
            return Reply(response.status, await _read(response.content, LARGEST_ANSWER + 1), fields)

    def _failure(self, error: Exception, peer: Peer, why: ssl.SSLError | None) -> CredentialUnavailable:
        """What happened, without a word of the exception's own."""
        match error:
            case aiohttp.ClientProxyConnectionError():
                at = cause_of(error.os_error, self._gateway)
                return CredentialUnavailable(f"{peer}: {self._gateway}: {at.words}")
            case aiohttp.ClientHttpProxyError():
                return self._refused_by_proxy(peer, error.status)
            case TimeoutError():
                name: CauseName = "answer_timeout"
            case _ if why is not None:
                return CredentialUnavailable(f"{peer}: {cause_of(why, peer).words}")
            case aiohttp.ClientConnectorError(os_error=ConnectionResetError()):
                name = "tls_closed" if peer.url.startswith("https:") else "reset"
            case aiohttp.ClientConnectorError():  # and those of DNS
                return CredentialUnavailable(f"{peer}: {cause_of(error.os_error, peer).words}")
            case aiohttp.InvalidURL() | UnicodeError():  # the latter from a host name that no DNS can have
                name = "name_invalid"
            case aiohttp.ClientResponseError():
                name = "not_http"
            case _:
                name = "closed"
        limit = f"{peer.section}.timeout" if peer.section else "timeout"
        text = cause(name, peer, timeout=limit, said="before it answered").words
        if name in ("name_invalid", "not_http"):
            return CredentialUnavailable(f"{peer}: {text}", outcome="invalid")
        return CredentialUnavailable(f"{peer}: {text}")

    @property
    def _gateway(self) -> Peer:
        setting = f"{self._section}.http_proxy" if self._section else "http_proxy"
        return Peer("its HTTP proxy", str(self._http_proxy), setting, self._section)

    def _refused_by_proxy(self, peer: Peer, status: int) -> CredentialUnavailable:
        name: CauseName = "http_proxy_login" if status == 407 else "http_proxy_denied"
        text = cause(name, self._gateway, status=status).words
        failure = CredentialUnavailable(f"{peer}: {self._gateway}: {text}")
        failure.unsent = True
        return failure


class _Attempt:
    """What one request learns of its connections.

    Attributes:
        tried: addresses to which it has tried to connect, in that order.
        closed: done when the connection that it uses is closed; None: it has none.
    """

    def __init__(self) -> None:
        self.tried: list[AddressInfo] = []
        self.closed: asyncio.Future[None] | None = None

    def failed(self, connector: Connector) -> None:
        for each in self.tried:
            connector.failures.note(each)

    def succeeded(self, connector: Connector) -> None:
        connector.failures.learn(self.tried)
        for each in self.tried[-1:]:
            connector.failures.forget(each)

    async def why(self, error: Exception) -> ssl.SSLError | None:
        """The TLS error behind an error; None: there is none.

        In TLS 1.3 a server refuses our certificate, or the lack of one, after our handshake has ended. The
        request may fail because the connection is closed, a turn of the loop before the connection says why.
        """
        if (found := tls_error(error)) is not None or self.closed is None:
            return found
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return tls_error(_error_of(self.closed)) if self.closed.done() else None


def _error_of(closed: "asyncio.Future[None]") -> BaseException | None:
    return None if closed.cancelled() else closed.exception()


_attempt: ContextVar[_Attempt] = ContextVar("attempt")
"""Of the request that is sent; aiohttp connects to each address in a task of its own."""


def _open_socket(address: AddressInfo) -> socket.socket:
    _attempt.get().tried.append(address)
    return open_socket(address)


def _without_dot(url: str) -> str | None:
    """The host of `https://NAME.`, as SNI and certificates have it (RFC 6066 section 3).

    aiohttp keeps the dot behind an HTTP proxy. None: there is no dot, or this is no URL, which aiohttp says.
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    return host.rstrip(".") if host.endswith(".") else None


class _TcpConnector(aiohttp.TCPConnector):
    """Shows the request which connection it gets."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- aiohttp's
    ) -> Connection:
        made = await super().connect(req, traces, timeout)
        if made.protocol is not None and (closed := made.protocol.closed) is not None:
            closed.add_done_callback(_error_of)  # or asyncio would log that it was never retrieved
            _attempt.get().closed = closed
        return made


class _Resolver(AbstractResolver):
    """Gives aiohttp the addresses of a name, in the order in which they are to be tried."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=at[0],
                port=at[1],
                family=found,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found, _, proto, _, at in await self._connector.addresses(host, port)
            if family in (socket.AF_UNSPEC, found)
        ]

    async def close(self) -> None: ...


def _to_proxy(http_proxy: HttpProxy | None) -> dict[str, str]:
    """Return the fields that authenticate us to the proxy."""
    authorization = http_proxy.authorization if http_proxy is not None else None
    return {} if authorization is None else {"Proxy-Authorization": authorization}


async def _read(content: aiohttp.StreamReader, most: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < most and (piece := await content.read(most - len(pieces))):
        pieces += piece
    return bytes(pieces)
