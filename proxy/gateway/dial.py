"""A connection to the upstream: straight, or through an HTTP proxy by CONNECT (RFC 9110 section 9.3.6).

What is sent to the proxy and how its answer is read are pure functions.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from re import compile as pattern
from typing import TypeVar

from proxy.errors import UpstreamTimeout, UpstreamTLS, UpstreamUnreachable
from proxy.net import ContextMaker, HttpProxy, authority

LARGEST_CONNECT_ANSWER = 16 * 1024
"""Bytes of a proxy's answer to CONNECT, interim ones with it."""

P = TypeVar("P", bound=asyncio.Protocol)

_STATUS_LINE = pattern(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to dial.

    Attributes:
        host, port: as DNS and TCP take them.
        tls: makes the context for the next connection; None for http.
        server_name: name in the certificate, where it is not the host.
        http_proxy: None: the straight way.
    """

    host: str
    port: int
    tls: ContextMaker | None = None
    server_name: str | None = None
    http_proxy: HttpProxy | None = None


async def dial(endpoint: Endpoint, protocol: Callable[[], P], timeout: float) -> P:  # noqa: ASYNC109 -- translated here
    """A connection, TLS and tunnel included.

    Args:
        protocol: makes what reads from it.
        timeout: seconds for all of it.

    Raises:
        UpstreamUnreachable, UpstreamTLS, UpstreamTimeout
    """
    try:
        async with asyncio.timeout(timeout):
            return await _connected(endpoint, protocol)
    except TimeoutError:
        raise UpstreamTimeout("no connection could be made in time (connect_timeout).") from None
    except ssl.SSLCertVerificationError as error:
        raise UpstreamTLS(f"its certificate is not trusted: {error.verify_message}.") from error
    except ssl.SSLError as error:
        raise UpstreamTLS("no TLS connection could be made.") from error
    except OSError as error:
        raise UpstreamUnreachable(f"no connection could be made: {_plain(error)}.") from error


async def _connected(endpoint: Endpoint, protocol: Callable[[], P]) -> P:
    loop = asyncio.get_running_loop()
    tls = endpoint.tls() if endpoint.tls is not None else None
    name = (endpoint.server_name or endpoint.host) if tls is not None else None
    if endpoint.http_proxy is None:
        _, made = await loop.create_connection(
            protocol, endpoint.host, endpoint.port, ssl=tls, server_hostname=name
        )
        return made
    site = await _tunnelled(loop, endpoint.http_proxy, endpoint.host, endpoint.port)
    _, made = await loop.create_connection(protocol, sock=site, ssl=tls, server_hostname=name)
    return made


# -- CONNECT --


def connect_request(host: str, port: int, authorization: str | None) -> bytes:
    """The request for a way to `host`, an IPv6 address without brackets."""
    target = authority(host, port)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: camunda-auth-proxy"]
    if authorization is not None:
        lines.append(f"Proxy-Authorization: {authorization}")
    return "\r\n".join((*lines, "", "")).encode("ascii")


def let_through(data: bytes) -> bool:
    """Whether the way is open, by all that the proxy has sent so far; False: more has to come.

    A 2xx has no body, whatever its fields say. The upstream is first to be spoken to, in TLS and in HTTP, so
    what follows the head can only be the proxy's own.

    Raises:
        UpstreamUnreachable: it is not, and will not be.
    """
    if len(data) > LARGEST_CONNECT_ANSWER:
        raise UpstreamUnreachable("the http_proxy's answer is too large.")
    status = 100
    while 100 <= status < 200 and status != 101:
        head, end, data = data.partition(b"\r\n\r\n")
        if not end:
            return False
        line = _STATUS_LINE.fullmatch(head.partition(b"\r\n")[0])
        if line is None:
            raise UpstreamUnreachable("what the http_proxy answered is not HTTP/1.1.")
        status = int(line[1])
    if status == 407:
        raise UpstreamUnreachable("the http_proxy wants another user and password (407).")
    if not 200 <= status < 300:
        raise UpstreamUnreachable(f"the http_proxy did not let us through ({status}).")
    if data:
        raise UpstreamUnreachable("the http_proxy sent more than its answer.")
    return True


async def _tunnelled(
    loop: asyncio.AbstractEventLoop, http_proxy: HttpProxy, host: str, port: int
) -> socket.socket:
    """A socket whose other end is the upstream.

    Raises:
        UpstreamUnreachable: the proxy cannot be reached, or refuses.
    """
    try:
        site = await _dialled(loop, http_proxy)
    except OSError as error:
        raise UpstreamUnreachable(f"no connection to the http_proxy: {_plain(error)}.") from error
    try:
        await loop.sock_sendall(site, connect_request(host, port, http_proxy.authorization))
        await _let_through(loop, site)
    except OSError as error:
        site.close()
        raise UpstreamUnreachable(f"the connection to the http_proxy broke: {_plain(error)}.") from error
    except BaseException:
        site.close()
        raise
    return site


async def _let_through(loop: asyncio.AbstractEventLoop, site: socket.socket) -> None:
    data = b""
    while not let_through(data):
        piece = await loop.sock_recv(site, 4096)
        if not piece:
            raise UpstreamUnreachable("the http_proxy closed the connection instead of answering.")
        data += piece


async def _dialled(loop: asyncio.AbstractEventLoop, http_proxy: HttpProxy) -> socket.socket:
    """The first of its addresses that answers. Raises OSError: the last one's."""
    last = OSError()
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        http_proxy.host, http_proxy.port, type=socket.SOCK_STREAM
    ):
        site = socket.socket(family, kind, protocol)
        try:
            site.setblocking(False)
            await loop.sock_connect(site, address)
        except OSError as error:
            site.close()
            last = error
        except BaseException:
            site.close()
            raise
        else:
            return site
    raise last


def _plain(error: OSError) -> str:
    """What the system says, without addresses."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    return os.strerror(error.errno).lower() if error.errno else "it cannot be reached"
