"""Defines network values that several rooms share: addresses, an HTTP proxy, functions for TLS contexts."""

import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

ContextMaker = Callable[[], ssl.SSLContext]
"""Makes the TLS context for the next connection: trusted CAs and our client certificate."""


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy, reached without TLS. It gets CONNECT (RFC 9110 section 9.3.6) or plain http requests.

    Attributes:
        host: an IPv6 address without brackets.
        user: `NAME:PASSWORD`, decoded; None: no user is sent.
    """

    host: str
    port: int
    user: str | None = field(default=None, repr=False)

    @property
    def authorization(self) -> str | None:
        """Value of Proxy-Authorization (RFC 9110 section 11.7.2, RFC 7617); None: no user."""
        return None if self.user is None else f"Basic {b64encode(self.user.encode()).decode()}"

    def __str__(self) -> str:
        """Return its URL, without the user."""
        return f"http://{authority(self.host, self.port)}"


def bracketed(host: str) -> str:
    """Return the host as URLs write it, an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def authority(host: str, port: int) -> str:
    """Return `HOST:PORT`, with an IPv6 address in brackets."""
    return f"{bracketed(host)}:{port}"


def is_loopback(host: str) -> bool:
    """Tell whether `host` is always this machine: `localhost` and names below it (RFC 6761), or loopback."""
    host = host.removesuffix(".")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
