"""Pure: the environment of a command that `exec` runs: where the proxy is, and nothing of the credential."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from proxy.commands.environment import choose, variables
from proxy.commands.mcp_entries import TOKEN
from proxy.masking import forms

if TYPE_CHECKING:
    from proxy.config.model import Config

URL: Final = "CAMUNDA_AUTH_PROXY_URL_"
"""Begins the variable with the URL of an upstream; its name follows, in capitals."""

USER: Final = "camunda-auth-proxy"
_GENERAL: Final = frozenset(
    (
        *("HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "USER"),
        *("APPDATA", "LOCALAPPDATA", "SYSTEMROOT", "TEMP", "TMP", "USERNAME", "USERPROFILE"),
    )
)
"""Variables that most programs need, and which may hold a password such as `demo` by chance."""

_LONG: Final = 8
"""Fewest characters of a secret that is looked for within a value; a shorter one is compared with it."""

_LOOPBACK: Final = "localhost,127.0.0.1,::1"
_PROXIES: Final = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy")
_BUT: Final = ("NO_PROXY", "no_proxy")


def child_environment(
    environ: Mapping[str, str],
    config: "Config",
    ports: Mapping[str, int],
    admin: str,
    secrets: Iterable[str],
    token: str | None,
) -> dict[str, str]:
    """Return the environment of the command.

    Args:
        environ: our own.
        ports: of the upstreams, by name.
        admin: `HOST:PORT` of the admin listener.
        secrets: everything that must not be in it, in any form, under any name.
        token: the caller token that the command must send; None: it needs none.
    """
    whole = set(secrets)
    within = {form for secret in whole if len(secret) >= _LONG for form in (secret, *forms(secret))}
    kept = {
        name: value
        for name, value in environ.items()
        if name in _GENERAL
        or not (name in config.private_variables or value in whole or any(form in value for form in within))
    }
    chosen, _ = choose(config.upstreams)
    found = {
        **kept,
        **_no_proxy(kept),
        **variables(chosen, ports),
        **{url_variable(name): f"http://localhost:{port}" for name, port in ports.items()},
        "CAMUNDA_AUTH_PROXY_ADMIN_LISTEN": admin,
    }
    if token is not None:
        del found["CAMUNDA_OAUTH_DISABLED"]  # with it JavaScript's client sends no credential, even for BASIC
        found |= _caller(token)
    return found


def url_variable(upstream: str) -> str:
    """Return the name of the variable with the URL of an upstream."""
    return URL + re.sub(r"[^A-Z0-9]", "_", upstream.upper())


def _no_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables that keep clients from sending requests for localhost to an HTTP proxy."""
    if not any(environ.get(name) for name in _PROXIES):
        return {}
    before = next((environ[name] for name in _BUT if environ.get(name)), "")
    return dict.fromkeys(_BUT, f"{before},{_LOOPBACK}" if before else _LOOPBACK)


def _caller(token: str) -> dict[str, str]:
    """Return variables that make Camunda's clients send the caller token, as a password of HTTP Basic."""
    return {
        "CAMUNDA_AUTH_STRATEGY": "BASIC",
        "CAMUNDA_CLIENT_AUTH_METHOD": "basic",
        "CAMUNDA_BASIC_AUTH_USERNAME": USER,
        "CAMUNDA_BASIC_AUTH_PASSWORD": token,
        TOKEN: token,
    }
