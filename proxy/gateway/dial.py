"""Connects to the upstream, directly or through an HTTP proxy by CONNECT (RFC 9110 section 9.3.6).

Pure functions make the request to the HTTP proxy and read its answer.
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
"""Most bytes of an HTTP proxy's answer to CONNECT, interim answers included."""

P = TypeVar("P", bound=asyncio.Protocol)

_STATUS_LINE = pattern(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of an upstream, and how to connect to it.

    Attributes:
        host, port: for DNS and TCP.
        tls: makes the context for the next connection; None for http.
        server_name: name in the certificate, if it is not the host.
        http_proxy: None: connect directly.
    """

    host: str
    port: int
    tls: ContextMaker | None = None
    server_name: str | None = None
    http_proxy: HttpProxy | None = None


async def dial(endpoint: Endpoint, protocol: Callable[[], P], timeout: float) -> P:  # noqa: ASYNC109 -- translated here
    """Connect, TLS and tunnel included.

    Args:
        protocol: makes the protocol of the connection.
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
    """Make the request for a tunnel to `host`, which is without brackets if it is an IPv6 address."""
    target = authority(host, port)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: camunda-auth-proxy"]
    if authorization is not None:
        lines.append(f"Proxy-Authorization: {authorization}")
    return "\r\n".join((*lines, "", "")).encode("ascii")


def let_through(data: bytes) -> bool:
    """Tell from all bytes of the HTTP proxy so far whether the tunnel is open; False: more bytes must come.

    A 2xx has no body, regardless of its fields. In TLS and in HTTP the client sends first, so bytes after the
    head can only come from the HTTP proxy itself.

    Raises:
        UpstreamUnreachable: the HTTP proxy refused, or its answer is not valid.
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
            raise UpstreamUnreachable("the http_proxy's answer is not HTTP/1.1.")
        status = int(line[1])
    if status == 407:
        message = "the http_proxy refused us (407); check the user and password in http_proxy."
        raise UpstreamUnreachable(message)
    if not 200 <= status < 300:
        raise UpstreamUnreachable(f"the http_proxy refused to connect to the upstream ({status}).")
    if data:
        raise UpstreamUnreachable("the http_proxy sent more than its answer.")
    return True


async def _tunnelled(
    loop: asyncio.AbstractEventLoop, http_proxy: HttpProxy, host: str, port: int
) -> socket.socket:
    """Open a tunnel; return its socket, whose other end is the upstream.

    Raises:
        UpstreamUnreachable: the HTTP proxy cannot be reached, or refuses.
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
    """Connect to the first address of the HTTP proxy that answers, else raise the last one's OSError."""
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
    """Return the system's message, without addresses."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    return os.strerror(error.errno).lower() if error.errno else "it cannot be reached"
