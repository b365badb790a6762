"""Sends requests to token endpoints, issuers and login pages; the only module here that uses aiohttp.

Errors are told in our own words, because aiohttp's contain our header fields.
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
    """An HTTP client that keeps no cookies, follows no redirects and takes no proxy from the environment.

    Each request has its own connection. Requests are rare, and on a kept connection that the server just
    closed the fetch would fail, because a POST is not sent twice.

    Args:
        tls: None: the system's CAs, and no client certificate.
        server_name: name in the certificate, if it is not the host of the URL.
        http_proxy: None: connect directly.
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
            to: name of the server in messages: `the token endpoint`.
            timeout: seconds for the whole exchange.

        Raises:
            CredentialUnavailable: there is no answer. An answer of any status is returned.
        """
        http_proxy = self._http_proxy
        secure = url.lower().startswith("https:")
        own = {"Accept-Encoding": "identity"} | AGENT
        if not secure:
            own |= _to_proxy(http_proxy)  # http has no CONNECT request that could carry them
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
    """Return the fields that authenticate us to the proxy."""
    authorization = http_proxy.authorization if http_proxy is not None else None
    return {} if authorization is None else {"Proxy-Authorization": authorization}


async def _read(content: aiohttp.StreamReader, most: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < most and (piece := await content.read(most - len(pieces))):
        pieces += piece
    return bytes(pieces)


def _network_failure(error: Exception, to: str) -> CredentialUnavailable:
    """Describe the failure without the exception's own text."""
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
    hint = "; check the user and password in http_proxy" if status == 407 else ""
    return f"the http_proxy refused to connect to {to}: {status}{hint}"
