"""The commands that ask a running proxy: status, health, wait."""

import os
from pathlib import Path

import click

from proxy.cli.group import DONE, FAILED, cli, configured, load
from proxy.errors import ConfigError


@cli.command(
    epilog="""\b
Examples:
  camunda-auth-proxy status
  camunda-auth-proxy status --watch
  camunda-auth-proxy status --admin http://localhost:19090 --json

\b
Exit codes:
  0  every upstream has a usable credential
  1  one has none, or no proxy answers
  2  usage"""
)
@configured
@click.option("--admin", help="Address of the admin port of the running proxy: URL, HOST:PORT, or PORT.")
@click.option("--json", "as_json", is_flag=True, help="Print /status.json in one line.")
@click.option("--watch", is_flag=True, help="Print it every 2 s, until Ctrl-C.")
def status(config: Path | None, env_file: Path | None, admin: str | None, as_json: bool, watch: bool) -> int:
    """Show each upstream of the running proxy.

    Shows where it is, as whom the proxy calls it, and what its last answers say. The admin port is --admin,
    else CAMUNDA_AUTH_PROXY_ADMIN_LISTEN, else that of the configuration, else localhost:19090.
    """
    from proxy.commands.probe import address
    from proxy.commands.status import show

    try:
        where = address(_host_and_port(admin) if admin is not None else _configured_admin(config, env_file))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return show(where, as_json=as_json, watch=watch)


def _host_and_port(admin: str) -> str:
    return admin.removeprefix("http://").removesuffix("/")


def _configured_admin(config: Path | None, env_file: Path | None) -> str | None:
    """Return the admin address of the configuration; None: the usual one.

    Raises:
        ConfigError: an option names a configuration that cannot be used.
    """
    if os.environ.get("CAMUNDA_AUTH_PROXY_ADMIN_LISTEN"):
        return None
    try:
        return str(load(config, env_file).admin.listen)
    except ConfigError:
        if config is not None or env_file is not None:
            raise
        return None


@cli.command(
    short_help="Ask whether the proxy is ready, for a probe.",
    epilog="""\b
Example:
  camunda-auth-proxy health --address 127.0.0.1:19090

\b
Exit codes:
  0  it is ready
  1  it is not, or no proxy answers
  2  usage""",
)
@click.option("--json", "for_machines", is_flag=True, help="Print the answer as one line of JSON.")
@click.option("--address", help="Admin listener of the running proxy, HOST:PORT.")
def health(*, for_machines: bool, address: str | None) -> int:
    """Ask the running proxy whether it is ready, and what each upstream's last answers say.

    An upstream that is down changes no exit code.
    """
    from proxy.commands.probe import health as ask

    return ask([*(["--json"] if for_machines else []), *([] if address is None else ["--address", address])])


@cli.command(
    epilog="""\b
Example:
  camunda-auth-proxy wait --timeout 60s && ./job.sh

\b
Exit codes:
  0  it is ready
  1  it was not ready in time
  2  usage"""
)
@click.option("--timeout", default="60s", show_default=True, help="Longest wait: 30s, 5m, or seconds.")
@click.option("--address", help="Admin listener of the running proxy, HOST:PORT.")
def wait(timeout: str, address: str | None) -> int:
    """Wait until the running proxy is ready."""
    from proxy.clock import SystemClock
    from proxy.commands.probe import address as parsed
    from proxy.commands.probe import wait_until_ready
    from proxy.config.document.units import seconds

    try:
        where, limit = parsed(address), seconds(timeout)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    good, sentence = wait_until_ready(where, limit, SystemClock())
    click.echo(sentence, err=not good)
    return DONE if good else FAILED
