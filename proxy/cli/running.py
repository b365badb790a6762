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
    from proxy.commands.reading import begin_reading, dump_no_core

    dump_no_core()
    first = begin_reading(lambda: load(config, env_file))
    from proxy.commands.serve import serve  # takes half a second, in which the child reads

    begun = False

    def read() -> "Config":
        nonlocal begun
        loaded = load(config, env_file) if begun else first()
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


@cli.command(
    "exec",
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  camunda-auth-proxy exec -- ./job.sh
  camunda-auth-proxy exec --env-file FILE -- python report.py
  camunda-auth-proxy exec -- sh -c 'curl "$CAMUNDA_REST_ADDRESS/v2/topology"'

\b
Exit codes:
  0 to 255  of the command; 128 + N if signal N ended it
  1         the proxy was not ready in time; the reasons are on stderr
  2         usage or configuration
  126, 127  the command cannot be executed, is not found""",
)
@configured
@click.option(
    "--timeout",
    default="30s",
    show_default=True,
    help="Longest wait until the proxy is ready: 30s, 5m, or seconds.",
)
@click.option(
    "--log-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Append the proxy's log to this file. Default: warnings and errors go to stderr.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_command(
    config: Path | None, env_file: Path | None, timeout: str, log_file: Path | None, command: tuple[str, ...]
) -> int:
    """Run a command beside a proxy of its own.

    The proxy uses free ports. The command starts when the proxy is ready, with the variables that `env`
    prints, and without any variable that holds a part of the credential. For each upstream NAME,
    CAMUNDA_AUTH_PROXY_URL_NAME holds its address. Signals are passed on to the command. When it ends, the
    proxy ends too.
    """
    from proxy.commands.execute import execute
    from proxy.config.document.units import seconds

    try:
        limit = seconds(timeout)
    except ValueError as error:
        raise click.UsageError(f"--timeout {error}") from error
    return execute(load(config, env_file), command, timeout=limit, log_file=log_file)


@cli.command(epilog="\b\nExample:\n  camunda-auth-proxy demo --stay")
@click.option(
    "--stay",
    is_flag=True,
    help="Keep everything running until Ctrl-C, on fixed ports, and print the configuration, a client id and "
    "a secret.",
)
@click.option(
    "--port", type=click.IntRange(1024, 65000), help="First of 50 ports for --stay.  [default: 19180]"
)
def demo(*, stay: bool, port: int | None) -> int:
    """See it work, without a Camunda.

    Runs a simulated Camunda and the proxy before it, and makes a call with every kind of credential. Then
    tokens expire, tokens are revoked, and all sessions end while many calls are made at once.
    """
    from proxy.commands.show import FIRST_PORT, show

    if port is not None and not stay:
        raise click.UsageError("--port is for --stay only; without it the demo takes free ports.")
    return show((port or FIRST_PORT) if stay else None)
