"""The commands that run the proxy: run, exec, demo."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxy.cli.group import FAILED, cli, configured, load
from proxy.errors import ProxyError

if TYPE_CHECKING:
    from proxy.config.model import Config


@cli.command(
    "run",
    epilog="""\b
Examples:
  camunda-auth-proxy run
  camunda-auth-proxy run --config camunda-auth-proxy.yaml
  camunda-auth-proxy run --env-file CamundaCloudMgmtAPI-Client.txt

\b
Exit codes:
  0  a signal stopped it
  1  it stopped before all requests had ended, or after a fault
  2  the configuration cannot be used, or a port is taken""",
)
@configured
def run_command(config: Path | None, env_file: Path | None) -> int:
    """Start the proxy.

    SIGTERM or Ctrl-C stops it gracefully, a second one at once. SIGHUP makes it read the configuration again.
    """
    from proxy.commands.serve import serve

    begun = False

    def read() -> "Config":
        nonlocal begun
        loaded = load(config, env_file)
        begun = True
        return loaded

    try:
        return serve(read)
    except (ProxyError, click.ClickException):
        raise
    except Exception as error:
        if not begun:
            raise
        from proxy.commands.fault import tell

        tell(error)
        return FAILED  # and not MUST_CHANGE, so that systemd starts it again


@cli.command(epilog="\b\nExample:\n  camunda-auth-proxy demo --stay")
@click.option("--stay", is_flag=True, help="Keep everything running afterwards, so that you can try it.")
def demo(stay: bool) -> int:
    """See it work, without a Camunda.

    Runs a simulated Camunda and the proxy before it, and makes a call with every kind of credential. Then
    tokens expire, tokens are revoked, and all sessions end while many calls are made at once.
    """
    from proxy.commands.show import show

    return show(stay=stay)
