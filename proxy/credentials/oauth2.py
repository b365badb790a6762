"""The client credentials grant of OAuth 2.0 (RFC 6749 section 4.4): one POST, and what its answer brings.

Building the request is a pure function, reading the answer is `token_answer`; `OAuth2Source` carries octets.
"""

import json
import ssl
from base64 import b64encode
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import quote_plus, urlencode

import aiohttp

from proxy.clock import Clock, wall_time
from proxy.credentials.credential import Credential
from proxy.credentials.secret import Secret
from proxy.credentials.token_answer import LARGEST_ANSWER, TokenAnswer, parse_token_answer
from proxy.errors import CredentialUnavailable


@dataclass(frozen=True, slots=True)
class OAuth2Settings:
    """What to ask for, and as whom.

    Attributes:
        audience, scope, resource: None: not sent.
        parameters: sent beside them; what is named above wins.
        timeout: seconds for the whole exchange. SaaS delays its answer by 30 s after a wrong secret.
    """

    token_url: str
    client_id: str
    secret: Secret
    auth_method: Literal["client_secret_post", "client_secret_basic"] = "client_secret_post"
    request_format: Literal["form", "json"] = "form"
    audience: str | None = None
    scope: str | None = None
    resource: str | None = None
    parameters: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout: float = 45.0


def key_of(settings: OAuth2Settings) -> Hashable:
    """Equal keys share one keeper: all that makes a token another token, and where its secret comes from."""
    return replace(settings, timeout=0.0)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One POST to the token endpoint."""

    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def token_request(settings: OAuth2Settings, secret: str) -> TokenRequest:
    """The request for these settings.

    Raises:
        CredentialUnavailable: something in them cannot be written as UTF-8.
    """
    named = {"audience": settings.audience, "scope": settings.scope, "resource": settings.resource}
    fields = dict(settings.parameters)
    fields |= {"grant_type": "client_credentials"}
    fields |= {name: value for name, value in named.items() if value is not None}
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "camunda-auth-proxy",
    }
    try:
        if settings.auth_method == "client_secret_basic":
            # RFC 6749 section 2.3.1: both are form-encoded first.
            pair = f"{quote_plus(settings.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            fields |= {"client_id": settings.client_id, "client_secret": secret}
        if settings.request_format == "json":
            headers["Content-Type"] = "application/json"
            return TokenRequest(headers, json.dumps(fields, ensure_ascii=False).encode())
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return TokenRequest(headers, urlencode(fields).encode())
    except UnicodeError:  # its text is what could not be written
        raise CredentialUnavailable(
            "the client's id, secret or parameters are not text", outcome="invalid"
        ) from None


def token_session(tls: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    """A session fit for token endpoints: no cookies, no proxy out of the environment.

    A connection for each request: they are rare, and a kept one that the server just closed would be a
    failed fetch, since a POST is not sent twice.

    Args:
        tls: whom to trust; None: the system's CAs.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, ssl=tls if tls is not None else True),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


class OAuth2Source:
    """Gets tokens by client credentials.

    Args:
        session: see `token_session`; whoever opened it closes it.
        server_name: name in the certificate, where it is not the host of the URL.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        settings: OAuth2Settings,
        session: aiohttp.ClientSession,
        clock: Clock,
        *,
        server_name: str | None = None,
        wall: Callable[[], float] = wall_time,
    ) -> None:
        self._server_name = server_name
        self._settings = settings
        self._session = session
        self._clock = clock
        self._wall = wall

    async def fetch(self) -> Credential:
        """A token, as `CredentialSource.fetch`."""
        request = token_request(self._settings, self._settings.secret.read())
        fetched_at = self._clock.now()
        answer = await self._exchange(request)
        return parse_token_answer(answer, fetched_at, self._wall())

    async def _exchange(self, request: TokenRequest) -> TokenAnswer:
        try:
            async with self._session.post(
                self._settings.token_url,
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                server_hostname=self._server_name,
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
            ) as response:
                return TokenAnswer(
                    status=response.status,
                    body=await _read(response.content, LARGEST_ANSWER + 1),
                    content_type=response.headers.get("Content-Type"),
                    retry_after=response.headers.get("Retry-After"),
                    date=response.headers.get("Date"),
                )
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise _network_failure(error) from None  # its repr has our header fields


async def _read(content: aiohttp.StreamReader, most: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < most and (piece := await content.read(most - len(pieces))):
        pieces += piece
    return bytes(pieces)


def _network_failure(error: Exception) -> CredentialUnavailable:
    """What happened, without a word of the exception's own."""
    match error:
        case TimeoutError():
            return CredentialUnavailable("the token endpoint did not answer in time")
        case aiohttp.ClientConnectorDNSError():
            return CredentialUnavailable("the token endpoint's name cannot be resolved")
        case aiohttp.ClientConnectorCertificateError():
            return CredentialUnavailable("the token endpoint's certificate cannot be trusted")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return CredentialUnavailable("the TLS handshake with the token endpoint failed")
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return CredentialUnavailable("the token endpoint refused the connection")
        case aiohttp.ClientConnectorError():
            return CredentialUnavailable("the token endpoint cannot be reached")
        case aiohttp.InvalidURL() | UnicodeError():  # the latter from a host name that no DNS can have
            return CredentialUnavailable("the token endpoint's URL cannot be used", outcome="invalid")
        case aiohttp.ClientResponseError():
            return CredentialUnavailable("the token endpoint's answer is not HTTP", outcome="invalid")
    return CredentialUnavailable("the connection to the token endpoint broke")
