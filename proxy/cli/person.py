"""The commands of a person who logs in: login, logout."""

import os
from pathlib import Path
from typing import Literal

import click
from click.shell_completion import CompletionItem

from proxy.cli.group import cli, configured, load


def _names(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the credentials of type `user`, for completion in a shell."""
    from proxy.config.model import User

    try:
        config = load(context.params.get("config"), context.params.get("env_file"))
    except Exception:  # noqa: BLE001 -- a shell that completes shows no error
        return []
    users = [each.name for each in config.credentials.values() if isinstance(each, User)]
    return [CompletionItem(name) for name in users if name.startswith(incomplete)]


@cli.command(
    short_help="Log in as yourself, for a credential of type user.",
    epilog="""\b
Examples:
  camunda-auth-proxy login
  camunda-auth-proxy login me --device

\b
Exit codes:
  0  logged in
  1  the login failed, was denied, or was not finished in time
  2  usage or configuration
  130  interrupted""",
)
@configured
@click.option("--browser", "flow", flag_value="browser", help="Log in in a browser on this machine.")
@click.option("--device", "flow", flag_value="device", help="Log in with a code, on any device.")
@click.argument("name", required=False, shell_complete=_names)
def login(
    config: Path | None, env_file: Path | None, flow: Literal["browser", "device"] | None, name: str | None
) -> int:
    """Log in as yourself, for the credential NAME of type user.

    Shows an address and a code, or opens the browser, waits until you have logged in, and stores the refresh
    token in the keyring of this system, or in a file that only you can read. A proxy that runs takes it by
    itself. NAME may be left out if there is only one such credential. For unattended use take a client of its
    own instead (type: oauth2).
    """
    from proxy.commands.login import login as log_in

    return log_in(load(config, env_file), name, flow, os.environ)


@cli.command(
    short_help="Revoke such a login, and forget it.",
    epilog="""\b
Example:
  camunda-auth-proxy logout

\b
Exit codes:
  0  logged out, or no login was stored
  1  it is forgotten here, but could not be revoked
  2  usage or configuration""",
)
@configured
@click.argument("name", required=False, shell_complete=_names)
def logout(config: Path | None, env_file: Path | None, name: str | None) -> int:
    """Revoke the login for the credential NAME, and forget it.

    A proxy that runs stops using it at once. NAME may be left out if there is only one such credential.
    """
    from proxy.commands.logout import logout as log_out

    return log_out(load(config, env_file), name)
