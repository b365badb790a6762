"""Requests to the servers that let us in: token endpoints, issuers, login pages. aiohttp ends here.

What went wrong is told in words of ours: aiohttp's own have our header fields in them.
"""

import ssl
from collections.abc import Mapping

import aiohttp
from aiohttp.abc import AbstractResolver

from proxy.credentials.reply import LARGEST_ANSWER, Reply
from proxy.errors import CredentialUnavailable
from proxy.net import ContextMaker, HttpProxy

AGENT = {"User-Agent": "camunda-auth-proxy"}


class Outbound:
    """One way out: no cookies, no redirects followed, no proxy out of the environment.

    A connection for each request: they are rare, and a kept one that the server just closed would be a
    failed fetch, since a POST is not sent twice.

    Args:
        tls: None: the system's CAs, and no certificate of ours.
        server_name: name in the certificate, where it is not the host of the URL.
        http_proxy: None: the straight way.
        resolver: of names; None: the system's.
    """

    def __init__(
        self,
        *,
        tls: ContextMaker | None = None,
        server_name: str | None = None,
        http_proxy: HttpProxy | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._tls = tls
        self._server_name = server_name
        self._http_proxy = http_proxy
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, resolver=resolver),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def close(self) -> None:
        await self._session.close()

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
            to: whom we ask, as messages name it: `the token endpoint`.
            timeout: seconds for the whole exchange.

        Raises:
            CredentialUnavailable: no answer. Any status is one.
        """
        http_proxy = self._http_proxy
        secure = url.lower().startswith("https:")
        own = {"Accept-Encoding": "identity"} | AGENT
        if not secure:
            own |= _to_proxy(http_proxy)  # forwarded in clear: there is no CONNECT to carry them
        try:
            async with self._session.request(
                method,
                url,
                data=body,
                headers={**own, **headers},
                allow_redirects=False,
                ssl=self._tls() if self._tls is not None and secure else True,
                server_hostname=self._server_name,
                proxy=str(http_proxy) if http_proxy is not None else None,
                proxy_headers=AGENT | _to_proxy(http_proxy) if http_proxy is not None else None,
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as response:
                if response.status == 407 and http_proxy is not None:
                    raise CredentialUnavailable(_refused_by_proxy(to, 407))
                fields = tuple((name.lower(), value) for name, value in response.headers.items())
                return Reply(response.status, await _read(response.content, LARGEST_ANSWER + 1), fields)
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise _network_failure(error, to) from None  # its repr has our header fields


def _to_proxy(http_proxy: HttpProxy | None) -> dict[str, str]:
    """The fields that authenticate us to it."""
    authorization = http_proxy.authorization if http_proxy is not None else None
    return {} if authorization is None else {"Proxy-Authorization": authorization}


async def _read(content: aiohttp.StreamReader, most: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < most and (piece := await content.read(most - len(pieces))):
        pieces += piece
    return bytes(pieces)


def _network_failure(error: Exception, to: str) -> CredentialUnavailable:
    """What happened, without a word of the exception's own."""
    match error:
        case TimeoutError():
            return CredentialUnavailable(f"{to} did not answer in time")
        case aiohttp.ClientProxyConnectionError():
            return CredentialUnavailable(f"the http_proxy on the way to {to} cannot be reached")
        case aiohttp.ClientHttpProxyError():
            return CredentialUnavailable(_refused_by_proxy(to, error.status))
        case aiohttp.ClientConnectorDNSError():
            return CredentialUnavailable(f"{to}'s name cannot be resolved")
        case aiohttp.ClientConnectorCertificateError():
            return CredentialUnavailable(f"{to}'s certificate cannot be trusted")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return CredentialUnavailable(f"the TLS handshake with {to} failed")
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return CredentialUnavailable(f"{to} refused the connection")
        case aiohttp.ClientConnectorError(os_error=ConnectionResetError()):
            return CredentialUnavailable(f"{to} ended the TLS handshake")
        case aiohttp.ClientConnectorError():
            return CredentialUnavailable(f"{to} cannot be reached")
        case aiohttp.InvalidURL() | UnicodeError():  # the latter from a host name that no DNS can have
            return CredentialUnavailable(f"{to}'s URL cannot be used", outcome="invalid")
        case aiohttp.ClientResponseError():
            return CredentialUnavailable(f"{to}'s answer is not HTTP", outcome="invalid")
    return CredentialUnavailable(f"the connection to {to} broke")


def _refused_by_proxy(to: str, status: int) -> str:
    hint = ", it wants another user and password" if status == 407 else ""
    return f"the http_proxy did not let us through to {to}: {status}{hint}"
