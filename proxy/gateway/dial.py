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
from proxy.gateway.tls_layer import connect_tls
from proxy.net import ContextMaker, HttpProxy, authority
from proxy.outgoing.alerts import explain
from proxy.outgoing.connect import Connector

LARGEST_CONNECT_ANSWER = 16 * 1024
"""Most bytes of an HTTP proxy's answer to CONNECT, interim answers included."""

P = TypeVar("P", bound=asyncio.Protocol)

_ERRNO = pattern(r"\[Errno ([0-9]{1,4})\]")  # in what aiohappyeyeballs makes of several errors
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


async def dial(
    endpoint: Endpoint,
    protocol: Callable[[], P],
    timeout: float,  # noqa: ASYNC109 -- translated here
    connector: Connector,
) -> P:
    """A connection, TLS and tunnel included.

    Args:
        protocol: makes the protocol of the connection.
        timeout: seconds for all of it.

    Raises:
        UpstreamUnreachable, UpstreamTLS, UpstreamTimeout
    """
    http_proxy, addresses = endpoint.http_proxy, None
    host, port = (http_proxy or endpoint).host, (http_proxy or endpoint).port
    try:
        tls = endpoint.tls() if endpoint.tls is not None else None
        async with asyncio.timeout(timeout):
            addresses = await connector.addresses(host, port)
            while True:
                site, address = await connector.connect(addresses)
                addresses = [each for each in addresses if each != address]
                try:
                    # An address that takes connections may still be dead behind them, as that of a load
                    # balancer: where there is another one, it has half of the time.
                    async with asyncio.timeout(timeout / 2 if addresses else None):
                        return await _opened(endpoint, protocol, tls, site)
                except (OSError, UpstreamTLS):
                    connector.failures.note(address)
                    if not addresses:
                        raise
    except TimeoutError:
        if addresses is None:
            whose = "its name" if http_proxy is None else "the http_proxy's name"
            raise UpstreamTimeout(
                f"{whose} was not resolved in time (connect_timeout): does the DNS server answer?"
            ) from None
        raise UpstreamTimeout("no connection could be made in time (connect_timeout).") from None
    except ssl.SSLError as error:
        raise UpstreamTLS(f"{explain(error)}.") from error
    except (OSError, UnicodeError) as error:
        to = "" if http_proxy is None else " to the http_proxy"
        raise UpstreamUnreachable(f"no connection{to or ' could be made'}: {_plain(error)}.") from error


async def _opened(
    endpoint: Endpoint, protocol: Callable[[], P], tls: ssl.SSLContext | None, site: socket.socket
) -> P:
    """What is spoken on a new connection before the first request: CONNECT, TLS.

    Args:
        site: is closed if it fails.
    """
    loop = asyncio.get_running_loop()
    if endpoint.http_proxy is not None:
        try:
            await _tunnel(loop, site, endpoint.http_proxy, endpoint.host, endpoint.port)
        except BaseException:
            site.close()
            raise
    if tls is None:
        _, made = await loop.create_connection(protocol, sock=site)
        return made
    # A dot at the end is for DNS alone: no certificate has it, nor SNI (RFC 6066 section 3).
    name = (endpoint.server_name or endpoint.host).rstrip(".")
    try:
        return await connect_tls(site, tls, name, protocol)
    except (ssl.SSLError, TimeoutError):
        raise
    except OSError as error:
        raise UpstreamTLS(f"it ended the connection during the TLS handshake: {_plain(error)}.") from error


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


async def _tunnel(
    loop: asyncio.AbstractEventLoop, site: socket.socket, http_proxy: HttpProxy, host: str, port: int
) -> None:
    """Make the upstream the other end of a connection to the proxy.

    Raises:
        UpstreamUnreachable: the proxy refuses.
    """
    try:
        await loop.sock_sendall(site, connect_request(host, port, http_proxy.authorization))
        await _let_through(loop, site)
    except OSError as error:
        raise UpstreamUnreachable(f"the connection to the http_proxy broke: {_plain(error)}.") from error


async def _let_through(loop: asyncio.AbstractEventLoop, site: socket.socket) -> None:
    data = b""
    while not let_through(data):
        piece = await loop.sock_recv(site, 4096)
        if not piece:
            raise UpstreamUnreachable("the http_proxy closed the connection instead of answering.")
        data += piece


def _plain(error: OSError | UnicodeError) -> str:
    """What the system says, without addresses."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, UnicodeError):
        return "its name is none that DNS can have"
    if isinstance(error, socket.gaierror):
        later = error.errno == socket.EAI_AGAIN
        return "its name cannot be resolved" + (", no DNS server has answered" if later else "")
    numbers = [error.errno] if error.errno else _ERRNO.findall(str(error))
    # Of several addresses, each may have failed in its own way.
    said = dict.fromkeys(os.strerror(int(number)).lower() for number in numbers)
    return ", ".join(said) or "it cannot be reached"
