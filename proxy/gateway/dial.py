"""Connects to the upstream, directly or through an HTTP proxy by CONNECT (RFC 9110 section 9.3.6).

Pure functions make the request to the HTTP proxy and read its answer.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from re import compile as pattern
from typing import TypeVar

from proxy.errors import UpstreamError, UpstreamTimeout, UpstreamTLS, UpstreamUnreachable
from proxy.gateway.tls_layer import connect_tls
from proxy.net import ContextMaker, HttpProxy, authority
from proxy.outgoing.causes import UPSTREAM, Cause, CauseName, Peer, cause
from proxy.outgoing.connect import Connector
from proxy.outgoing.diagnosis import cause_of

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
        peer: how messages name it.
    """

    host: str
    port: int
    tls: ContextMaker | None = None
    server_name: str | None = None
    http_proxy: HttpProxy | None = None
    peer: Peer = UPSTREAM

    @property
    def gateway(self) -> Peer:
        """How messages name the HTTP proxy."""
        section = self.peer.section
        setting = f"{section}.http_proxy" if section else "http_proxy"
        return Peer("its HTTP proxy", str(self.http_proxy), setting, section)


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
        name: CauseName = "name_timeout" if addresses is None else "connect_timeout"
        section = endpoint.peer.section
        limit = f"{section}.connect_timeout" if section else "connect_timeout"
        why = cause(name, endpoint.gateway if http_proxy else endpoint.peer, timeout=limit)
        raise _error(UpstreamTimeout, why, endpoint) from None
    except ssl.SSLError as error:
        why = cause_of(error, endpoint.peer)
        raise UpstreamTLS(f"{why.words}.", cause=why.name) from error
    except (OSError, UnicodeError) as error:
        why = cause_of(error, endpoint.gateway if http_proxy else endpoint.peer, timeout="connect_timeout")
        raise _error(UpstreamUnreachable, why, endpoint) from error


def _error(kind: type[UpstreamError], why: Cause, endpoint: Endpoint) -> UpstreamError:
    """Make the error of a TCP connection, which goes to the HTTP proxy if there is one."""
    whose = f"{endpoint.gateway}: " if endpoint.http_proxy is not None else ""
    return kind(f"{whose}{why.words}.", cause=why.name)


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
            await _tunnel(loop, site, endpoint)
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
        why = cause("tls_closed", endpoint.peer)
        raise UpstreamTLS(f"{why.words}.", cause=why.name) from error


# -- CONNECT --


def connect_request(host: str, port: int, authorization: str | None) -> bytes:
    """Make the request for a tunnel to `host`, which is without brackets if it is an IPv6 address."""
    target = authority(host, port)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: camunda-auth-proxy"]
    if authorization is not None:
        lines.append(f"Proxy-Authorization: {authorization}")
    return "\r\n".join((*lines, "", "")).encode("ascii")


def let_through(data: bytes, gateway: Peer = Peer("its HTTP proxy")) -> bool:  # noqa: B008 -- a value
    """Tell from all bytes of the HTTP proxy so far whether the tunnel is open; False: more bytes must come.

    A 2xx has no body, regardless of its fields. In TLS and in HTTP the client sends first, so bytes after the
    head can only come from the HTTP proxy itself.

    Raises:
        UpstreamUnreachable: the HTTP proxy refused, or its answer is not valid.
    """
    if len(data) > LARGEST_CONNECT_ANSWER:
        raise _refusal("http_proxy_answer", gateway, said="it is too large")
    status = 100
    while 100 <= status < 200 and status != 101:
        head, end, data = data.partition(b"\r\n\r\n")
        if not end:
            return False
        line = _STATUS_LINE.fullmatch(head.partition(b"\r\n")[0])
        if line is None:
            raise _refusal("http_proxy_answer", gateway, said="it is not HTTP/1.1")
        status = int(line[1])
    if status == 407:
        raise _refusal("http_proxy_login", gateway)
    if not 200 <= status < 300:
        raise _refusal("http_proxy_denied", gateway, status=status)
    if data:
        raise _refusal("http_proxy_answer", gateway, said="it sent more than its answer")
    return True


def _refusal(name: CauseName, gateway: Peer, **values: str | int) -> UpstreamUnreachable:
    why = cause(name, gateway, **values)
    return UpstreamUnreachable(f"{gateway}: {why.words}.", cause=why.name)


async def _tunnel(loop: asyncio.AbstractEventLoop, site: socket.socket, endpoint: Endpoint) -> None:
    """Make the upstream the other end of a connection to the proxy.

    Raises:
        UpstreamUnreachable: the proxy refuses.
    """
    authorization = endpoint.http_proxy.authorization if endpoint.http_proxy is not None else None
    try:
        await loop.sock_sendall(site, connect_request(endpoint.host, endpoint.port, authorization))
        await _let_through(loop, site, endpoint.gateway)
    except OSError as error:
        why = cause_of(error, endpoint.gateway, timeout="connect_timeout")
        raise _error(UpstreamUnreachable, why, endpoint) from error


async def _let_through(loop: asyncio.AbstractEventLoop, site: socket.socket, gateway: Peer) -> None:
    data = b""
    while not let_through(data, gateway):
        piece = await loop.sock_recv(site, 4096)
        if not piece:
            raise _refusal("http_proxy_answer", gateway, said="it closed the connection")
        data += piece
