"""The `login` command: logs a person in, and stores the refresh token for `run`."""

import sys
import webbrowser
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Literal

import click

from proxy.clock import SystemClock, date_of
from proxy.commands.loop import run_loop
from proxy.commands.person import Person, meant, person
from proxy.commands.waiting import waiting, warn
from proxy.credentials.user.code import WAIT, CodeLogin
from proxy.credentials.user.device import DeviceLogin
from proxy.credentials.user.endpoints import Endpoints
from proxy.credentials.user.logged_in import LoggedIn
from proxy.credentials.user.logins import StoredLogin, new_login
from proxy.credentials.user.loopback import Told, loopback
from proxy.errors import CredentialError, CredentialRejected, StartError
from proxy.outgoing.causes import cleaned

if TYPE_CHECKING:
    from proxy.config.model import Config
    from proxy.terms import LoginFlow

DONE, FAILED = 0, 1

Flow = Literal["browser", "device"]


def login(config: "Config", name: str | None, flow: Flow | None, environ: Mapping[str, str]) -> int:
    """Log a person in; return the exit code.

    Args:
        name: of the credential; None: the only one of type `user`.
        flow: None: as its `login` says.

    Raises:
        StartError: no such credential, the provider has no such flow, or a file cannot be used.
    """
    credential = meant(config, name, "camunda-auth-proxy login")
    used_by = [each.name for each in config.upstreams if each.credential == credential.name]

    async def all_of_it() -> int:
        async with person(credential, SystemClock()) as parts:
            try:
                stored = await _log_in(parts, flow or credential.login, environ)
            except CredentialError as error:
                warn(f"The login failed: {error}.")
                return FAILED
        _report(parts, stored, used_by)
        return DONE

    return run_loop(all_of_it())


async def _log_in(parts: Person, wanted: "LoginFlow", environ: Mapping[str, str]) -> StoredLogin:
    endpoints = await parts.client.endpoints()
    flow = chosen_flow(wanted, endpoints, parts.settings.name, display=_has_display(environ))
    if flow == "browser":
        return await _by_browser(parts, endpoints)
    return await _by_device(parts, endpoints)


def chosen_flow(wanted: "LoginFlow", endpoints: Endpoints, name: str, *, display: bool) -> Flow:
    """Return how the person logs in.

    Args:
        name: of the credential.
        display: whether a browser can be opened here.

    Raises:
        StartError: the provider has no endpoint for it.
    """
    has = {"browser": endpoints.authorization is not None, "device": endpoints.device is not None}
    flows: tuple[Flow, ...] = ("browser", "device") if display else ("device", "browser")
    if wanted != "auto":
        flows = (wanted,)
    for flow in flows:
        if has[flow]:
            return flow
    missing = {"browser": "authorization", "device": "device authorization"}
    names = " and no ".join(f"{missing[flow]} endpoint" for flow in flows)
    other = next((f"; log in with --{flow}" for flow, there in has.items() if there), "")
    where = "its issuer names" if endpoints.issuer is not None else "there is"
    raise StartError(f"credentials.{name}: {where} no {names}{other}.")


def _has_display(environ: Mapping[str, str]) -> bool:
    """Tell whether a browser that is opened here is seen by the person."""
    if environ.get("BROWSER"):
        return True
    if sys.platform in ("win32", "darwin"):
        return not environ.get("SSH_CONNECTION")
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


async def _by_device(parts: Person, endpoints: Endpoints) -> StoredLogin:
    begun = DeviceLogin(parts.client, endpoints.device or "", endpoints.token, parts.clock)
    code = await begun.begin()
    click.echo(f"To log in, open this address on any device:\n\n  {code.complete_address or code.address}\n")
    if code.complete_address:
        click.echo(f"Check that it shows this code, or enter it at {code.address}:\n\n  {code.user_code}\n")
    else:
        click.echo(f"Enter this code there:\n\n  {code.user_code}\n")
    with waiting("Waiting for you to log in", code.expires_in, parts.clock):
        return await _stored(parts, await begun.result(code))


async def _by_browser(parts: Person, endpoints: Endpoints) -> StoredLogin:
    async with loopback(warn) as listener:
        endpoint = endpoints.authorization or ""
        begun = CodeLogin(parts.client, endpoint, endpoints, listener, parts.clock)
        address = begun.address
        click.echo(
            f"Log in in the browser. If none opens, open this address on this machine:\n\n  {address}\n"
        )
        _open(address)
        with waiting("Waiting for you to log in", WAIT, parts.clock):
            found = await begun.result()
            try:
                stored = await _stored(parts, found)
            except CredentialError as error:
                listener.tell(Told(False, f"The login failed: {error}."))
                raise
        whom = f" as {stored.username}" if stored.username else ""
        listener.tell(Told(True, f"You are logged in{whom}. You can close this page."))
        return stored


def _open(address: str) -> None:
    """Open the browser in a thread: with some browsers the call lasts until the browser is closed."""

    def open_it() -> None:
        with suppress(Exception):  # whatever a desktop raises: the address is shown
            webbrowser.open(address)

    Thread(target=open_it, name="browser", daemon=True).start()


async def _stored(parts: Person, found: LoggedIn) -> StoredLogin:
    """Store a login.

    An earlier one is replaced, and not revoked: in one browser both may be one session of the provider, which
    would end.

    Raises:
        CredentialError: there is no refresh token, or it could not be stored.
    """
    section = f"credentials.{parts.settings.name}"
    if not found.refresh_token:
        raise CredentialRejected(
            "the identity provider has sent no refresh token, so the login would end within minutes. Add"
            f" offline_access to {section}.scope, or allow refresh tokens for the client of"
            f" {section}.client_id (Spring Authorization Server sends none to a client without a secret)"
        )
    made = new_login(
        parts.store.wall(), subject=found.subject, username=found.username, ends_at=found.ends_at
    )
    async with parts.store.locked(parts.settings.timeout):
        return await parts.store.write(made, found.refresh_token)


def _report(parts: Person, stored: StoredLogin, used_by: list[str]) -> None:
    """Say who is logged in, where that is stored, and what uses it."""
    settings = parts.settings
    whom = stored.username or stored.subject
    at = cleaned(settings.issuer_url or "")
    click.echo(f"Logged in{f' as {whom}' if whom else ''}{f' at {at}' if at else ''}.")
    if stored.ends_at is not None:
        click.echo(f"It ends at {date_of(stored.ends_at)}, or later if it is used.")
    if stored.kept_in == "keyring":
        click.echo("The refresh token is in the keyring of this system.")
    else:
        where = "" if parts.config.storage == "file" else ", because no keyring works here"
        warn(
            f"notice: The refresh token is in a file in {parts.store.path.parent}{where}. Programs that run"
            " as you can read it; other users cannot."
        )
    listed = ", ".join(used_by)
    click.echo(
        f"Used by credentials.{settings.name}, upstreams: {listed}. A proxy that runs takes it by itself."
    )
