"""The `logout` command: revokes the refresh token of a person's login, and forgets it."""

from typing import TYPE_CHECKING

import click

from proxy.clock import SystemClock
from proxy.commands.loop import run_loop
from proxy.commands.person import Person, meant, person
from proxy.credentials.user.logins import StoredLogin
from proxy.credentials.user.revoke import revoke
from proxy.errors import CredentialError

if TYPE_CHECKING:
    from proxy.config.model import Config

DONE, FAILED = 0, 1


def logout(config: "Config", name: str | None) -> int:
    """Log a person out; return the exit code: 1 if the login could not be revoked.

    Args:
        name: of the credential; None: the only one of type `user`.

    Raises:
        StartError: no such credential, or a file cannot be used.
    """
    credential = meant(config, name, "camunda-auth-proxy logout")

    async def all_of_it() -> int:
        async with person(credential, SystemClock()) as parts:
            try:
                async with parts.store.locked(parts.settings.timeout):
                    return await _log_out(parts)
            except CredentialError as error:
                click.echo(f"The logout failed: {error}.", err=True)
                return FAILED

    return run_loop(all_of_it())


async def _log_out(parts: Person) -> int:
    name = parts.settings.name
    login = parts.store.look()
    if login is None:
        click.echo(f"No login for credentials.{name} is stored.")
        return DONE
    whom = f" of {login.username}" if login.username else ""
    try:
        words, code = await _revoked(parts, login)
    finally:  # even if Ctrl-C stops the request: the person wants to be logged out here
        await parts.store.remove()
    click.echo(f"The login{whom} for credentials.{name} is forgotten. {words}", err=code != DONE)
    return code


async def _revoked(parts: Person, login: StoredLogin) -> tuple[str, int]:
    """Revoke the refresh token; return what to say, and the exit code."""
    if login.ended_at is not None:
        return "The identity provider had ended it already.", DONE
    try:
        url = (await parts.client.endpoints()).revocation
        if url is None:
            return f"{_NOT_REVOKED}: it has no revocation endpoint that we know. {_BY_HAND}", FAILED
        token = await parts.store.refresh_token(login)
        was_good = await revoke(parts.client, url, token)
    except CredentialError as error:
        return f"{_NOT_REVOKED}: {error}. {_BY_HAND}", FAILED
    if was_good:
        return "Its refresh token is revoked.", DONE
    return "The identity provider had ended it already.", DONE


_NOT_REVOKED = "But at the identity provider it could not be revoked"
_BY_HAND = "End the session there, if others may have read the token."
