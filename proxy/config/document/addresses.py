"""Reads addresses to listen on and to connect to, strictly.

Errors never repeat the value, because a URL may hold a secret.
"""

import os
import re
import sys
from ipaddress import ip_address
from typing import Final, Literal, cast
from urllib.parse import SplitResult, urlsplit

from proxy.config.model import BaseUrl, Listen
from proxy.net import authority, bracketed
from proxy.terms import DISCOVERY

LONGEST_PATH: Final = 107 if sys.platform == "linux" else 103
"""Most bytes of the path of a Unix socket: the operating system's `sun_path` less its final NUL."""


_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^\[\]:/?#@]+)(?::([0-9]{1,5}))?", re.ASCII)
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*", re.ASCII)
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*", re.ASCII)


def listen_at(value: object) -> Listen:
    """Read as `listen` does, or `unix:` and an absolute path.

    Raises:
        ValueError: anything else, in a sentence.
    """
    text = str(value)
    if not text.startswith("unix:"):
        return listen(value)
    path = text.removeprefix("unix:")
    if not path.startswith("/") or path.endswith("/") or not path.isprintable():
        raise ValueError("a Unix socket needs its absolute path: write unix:/run/user/1000/zeebe.sock")
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ValueError(
            f"the path of a Unix socket may have {LONGEST_PATH} bytes at most; choose a shorter one"
        )
    return Listen("", 0, path)


def listen(value: object) -> Listen:
    """Read `HOST:PORT` or `PORT`; the host is `localhost`, an IPv4 address, or an IPv6 address in brackets.

    Raises:
        ValueError: anything else, in a sentence.
    """
    if isinstance(value, Listen):
        return value
    text = str(value)
    if text.startswith("unix:"):
        raise ValueError("only an upstream's listen can be a Unix socket; write HOST:PORT or PORT")
    host, colon, port = text.rpartition(":")
    if not colon:
        host = "localhost"
    if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65535:
        raise ValueError("must be HOST:PORT or PORT, the port a number from 0 to 65535")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("an IPv6 address is written in brackets: [::1]:19080")
    return Listen(listen_host(host.removeprefix("[").removesuffix("]")), int(port))


def listen_host(value: object) -> str:
    """Read the host of a listener, `localhost` or an IP address, and return it without brackets.

    Raises:
        ValueError: anything else, in a sentence.
    """
    text = str(value).removeprefix("[").removesuffix("]").lower()
    if text == "localhost":
        return text
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(
            "the host to listen on must be localhost or an IP address; 0.0.0.0 is every IPv4 interface"
        ) from None


def base_url(value: object) -> BaseUrl:
    """Read a URL of `http` or `https`, a host, and perhaps a port and a path; nothing else.

    Raises:
        ValueError: anything else, in a sentence.
    """
    if isinstance(value, BaseUrl):
        return value
    parts, host, port = _split(str(value))
    if "?" in str(value):
        raise ValueError("must end with its path: no ? or # in it")
    path = parts.path.rstrip("/")
    if any(segment in {".", ".."} for segment in path.split("/")):
        raise ValueError("must not hold . or .. in its path")
    return BaseUrl(_scheme(parts), host, port, path)


def token_url(value: object) -> str:
    """Check as `base_url` does, but allow a query (RFC 6749 section 3.2), and return the URL as written.

    Raises:
        ValueError: anything else, in a sentence.
    """
    parts, _, _ = _split(str(value))
    if not _QUERY.fullmatch(parts.query):
        raise ValueError("its query holds a character that must be percent-encoded")
    return str(value)


def login_url(value: object) -> BaseUrl:
    """Read as `base_url` does, but refuse a URL that ends with the path of a login.

    Raises:
        ValueError: anything else, in a sentence.
    """
    url = base_url(value)
    if url.path.endswith("/login"):
        raise ValueError("must be the base URL alone: leave off /login or /api/login")
    return url


def issuer_url(value: object) -> str:
    """Check as `base_url` does; return the URL as written but without a trailing slash.

    Source: OpenID Connect Discovery 1.0 section 4.

    Raises:
        ValueError: anything else, in a sentence.
    """
    if base_url(value).path.endswith(DISCOVERY):
        raise ValueError(f"must be the issuer alone: leave off {DISCOVERY}")
    return str(value).rstrip("/")


def token_host(url: str) -> BaseUrl:
    """Return the host of a checked token URL as a base URL without a path."""
    parts, host, port = _split(url)
    return BaseUrl(_scheme(parts), host, port)


def _scheme(parts: SplitResult) -> Literal["http", "https"]:
    return cast("Literal['http', 'https']", parts.scheme)


def _split(text: str) -> tuple[SplitResult, str, int]:
    """Split a URL into its parts, host and port, and check all but its query.

    Raises:
        ValueError: it is not valid, in a sentence.
    """
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("holds a space, a backslash or a character that is not ASCII; encode it")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL: look at its host and port") from None
    if parts.scheme not in {"http", "https"} or not text.lower().startswith(f"{parts.scheme}://"):
        raise ValueError("must begin with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or a password; a credential belongs under credentials")
    if "#" in text:
        raise ValueError("must end with its path: no ? or # in it")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("its port must be a number from 1 to 65535")
    if not _PATH.fullmatch(parts.path):
        raise ValueError("its path holds a character that must be percent-encoded")
    return parts, _host(parts), port or (443 if parts.scheme == "https" else 80)


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if "[" in parts.netloc:
        if "%" in parts.netloc:
            raise ValueError("must not name an interface in its IPv6 address")
        try:
            return str(ip_address(host))
        except ValueError:
            raise ValueError("its IPv6 address is not valid") from None
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise ValueError("has no host name or address, or one that is not valid")
    return host


def origin(value: object) -> str:
    """Read the origin of a web page as browsers send it (RFC 6454 section 6.2); drop a default port.

    Raises:
        ValueError: anything else, in a sentence.
    """
    text = str(value).lower()
    if text in {"*", "null"}:
        raise ValueError("must be one origin, as in http://localhost:3000; * and null would allow every page")
    match = _ORIGIN.fullmatch(text)
    if match is None:
        raise ValueError("must be scheme://host or scheme://host:port, without a path")
    scheme, host, port = match.groups()
    host = host_name(host)
    if port is not None and not 0 < int(port) < 65536:
        raise ValueError("its port must be a number from 1 to 65535")
    default = port is None or (scheme, int(port)) in {("http", 80), ("https", 443)}
    return (
        f"{scheme}://{bracketed(host)}"
        if default
        else f"{scheme}://{authority(host, int(cast('str', port)))}"
    )


def host_name(value: object) -> str:
    """Read a name or an address without port; return it in lower case, an IPv6 address without brackets.

    Raises:
        ValueError: anything else, in a sentence.
    """
    text = str(value).lower()
    if text.startswith("[") or ":" in text:
        try:
            return str(ip_address(text.removeprefix("[").removesuffix("]")))
        except ValueError:
            raise ValueError("must be a host name or an address, without scheme and port") from None
    if not _NAME.fullmatch(text):
        raise ValueError("must be a host name or an address, without scheme, port or *")
    return text
