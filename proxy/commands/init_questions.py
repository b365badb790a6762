"""The questions of `init`: where Camunda is, as whom to log in, and the secret."""

from typing import Any, Final
from urllib.parse import urlsplit

import click

from proxy.commands.local_camunda import REALM, Found, find, look_at
from proxy.config.document.addresses import base_url
from proxy.net import is_loopback

_TOKEN_PATH: Final = "/protocol/openid-connect/token"  # noqa: S105 -- of Keycloak
_APIS: Final = ("operate", "tasklist", "optimize")

Answers = tuple[dict[str, Any], tuple[str, ...]]


def ask() -> Answers:
    """Ask on the terminal; return the tree of a configuration with its secret, and notices."""
    click.echo("Looking for Camunda on this machine ...", err=True)
    found = find()
    for each in found:
        click.echo(f"  {each}", err=True)
    if not found:
        click.echo("  none found", err=True)
    cluster = next((each for each in found if each.kind == "cluster"), None)
    url = _ask_url("Address of Camunda's REST API", None if cluster is None else cluster.url)
    at = cluster if cluster is not None and cluster.url == url else _look(url)
    credential = _credential(url, at, found)
    upstreams = {"zeebe": {"url": url, "credential": "camunda"}}
    if at is not None and credential["type"] in ("oauth2", "session"):
        others = {each.kind: each.url for each in found if each.kind in _APIS}
        upstreams |= {kind: {"url": other, "credential": "camunda"} for kind, other in others.items()}
    return {"upstreams": upstreams, "credentials": {"camunda": credential}}, ()


def _look(url: str) -> Found | None:
    """Look at an address of this machine; nothing else is asked."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or not is_loopback(host) or parts.path:
        return None
    return look_at("127.0.0.1" if host == "localhost" else host, parts.port or 80)


def _credential(url: str, at: Found | None, found: list[Found]) -> dict[str, Any]:
    wants = "unknown" if at is None else at.wants
    if wants == "nothing":
        click.echo("It answers without a credential.", err=True)
        return {"type": "none"}
    if wants == "login":
        return _session()
    if (urlsplit(url).hostname or "").endswith(".camunda.io"):
        return _client({})
    keycloak = next((each for each in found if each.kind == "keycloak"), None)
    usual = None if keycloak is None or at is None else f"{keycloak.url}{REALM}{_TOKEN_PATH}"
    may_be_empty = wants != "token" and usual is None
    hint = " (empty: log in with user and password)" if may_be_empty else ""
    token_url = _ask_url(f"Token endpoint{hint}", usual, may_be_empty=may_be_empty)
    return _client({"token_url": token_url}) if token_url else _session()


def _client(more: dict[str, Any]) -> dict[str, Any]:
    client_id = _ask_text("Client id")
    return {"type": "oauth2", **more, "client_id": client_id, "client_secret": _ask_secret("Client secret")}


def _session() -> dict[str, Any]:
    username = _ask_text("User name", "demo")
    return {"type": "session", "username": username, "password": _ask_secret("Password")}


def _ask_url(question: str, usual: str | None, *, may_be_empty: bool = False) -> str:
    while True:
        answer = _ask_text(question, usual, may_be_empty=may_be_empty)
        if not answer:
            return ""
        try:
            return str(base_url(answer)).removesuffix("/v2")  # callers send the API's own path
        except ValueError as error:
            click.echo(f"The address {error}.", err=True)


def _ask_text(question: str, usual: str | None = None, *, may_be_empty: bool = False) -> str:
    default = "" if usual is None and may_be_empty else usual
    answer: str = click.prompt(question, default=default, show_default=bool(default), err=True)
    return answer.strip()


def _ask_secret(question: str) -> str:
    answer: str = click.prompt(f"{question} (not shown)", hide_input=True, err=True)
    return answer
