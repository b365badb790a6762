"""Reads the HTTP proxy to CONNECT through, from the file or from the environment.

Errors never repeat the value, because it may hold a password.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Literal
from urllib.parse import unquote, urlsplit

from proxy.config.document import addresses
from proxy.config.model import BaseUrl
from proxy.net import HttpProxy

_FORM = "http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, with %XX for what a URL cannot hold"
_PROXY = ("HTTPS_PROXY", "https_proxy")
_NO_PROXY = ("NO_PROXY", "no_proxy")


def way_out(value: object) -> HttpProxy | Literal["env"]:
    """Read `env`, or as `http_proxy` does.

    Raises:
        ValueError: anything else, in a sentence.
    """
    return "env" if value == "env" else http_proxy(value)


def http_proxy(value: object) -> HttpProxy:
    """Read `http://HOST:PORT`, perhaps with `USER:PASSWORD@` before the host.

    Raises:
        ValueError: anything else, in a sentence.
    """
    if isinstance(value, HttpProxy):
        return value
    text = str(value)
    if not text.lower().startswith("http://"):
        raise ValueError(f"must be env, or begin with http://, as in {_FORM}")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        user = None if parts.username is None else _user(parts.username, parts.password or "")
    except ValueError:
        raise ValueError(f"is not the URL of a proxy: write {_FORM}") from None
    plain = text.isascii() and text.isprintable() and not set(text) & set(' \\"<>')
    if not plain or parts.path not in {"", "/"} or set(text) & set("?#"):
        raise ValueError(f"is not the URL of a proxy: write {_FORM}")
    if not port:
        raise ValueError(f"names no port: write {_FORM}")
    return HttpProxy(_host(host), port, user)


def _user(name: str, password: str) -> str:
    """Return `NAME:PASSWORD` for HTTP Basic (RFC 7617), in which the first colon ends the name."""
    name, password = unquote(name, errors="strict"), unquote(password, errors="strict")
    if not name or ":" in name or any(ord(char) < 0x20 or ord(char) == 0x7F for char in name + password):
        raise ValueError
    return f"{name}:{password}"


def _host(host: str) -> str:
    """Read a name or an address; return it without brackets."""
    try:
        if "%" not in host:
            return addresses.host_name(host)
    except ValueError:
        pass
    raise ValueError(f"has no host name or address, or one that is not valid: write {_FORM}")


def from_environment(url: BaseUrl, environ: Mapping[str, str]) -> HttpProxy | None:
    """Return the proxy that the environment names for `url`; None: connect directly.

    Other programs read these variables in the same way: HTTPS_PROXY is for https only, this machine is always
    reached directly, and a proxy without a scheme is an http:// one.

    Raises:
        ValueError: the variable is not a proxy's URL; the message names the variable.
    """
    name = next((name for name in _PROXY if environ.get(name)), None)
    if name is None or url.scheme != "https" or url.loopback or spared(url, _spared_hosts(environ)):
        return None
    text = environ[name]
    try:
        return http_proxy(text if "://" in text else f"http://{text}")
    except ValueError as error:
        raise ValueError(f"is env, and {name} {error}") from None


def _spared_hosts(environ: Mapping[str, str]) -> str:
    return next((environ[name] for name in _NO_PROXY if environ.get(name)), "")


def spared(url: BaseUrl, no_proxy: str) -> bool:
    """Tell whether NO_PROXY names the host of `url`.

    Args:
        no_proxy: entries separated by commas or blanks: `*`, names (they include their subdomains),
            addresses, networks such as 10.0.0.0/8. A name or address may have a port.
    """
    return any(_names(entry.lower(), url) for entry in re.split(r"[\s,]+", no_proxy) if entry)


def _names(entry: str, url: BaseUrl) -> bool:
    if entry == "*":
        return True
    match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^:]*)(?::([0-9]{1,5}))?", entry, re.ASCII)
    if match is not None:
        entry = match[1].strip("[]")
        if match[2] is not None and int(match[2]) != url.port:
            return False
    try:
        return ip_address(url.host) in ip_network(entry, strict=False)
    except ValueError:
        name = entry.removeprefix("*").strip(".")
        return bool(name) and f".{url.host.rstrip('.')}".endswith(f".{name}")
