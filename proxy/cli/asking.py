"""The commands that ask a running proxy: status, health, wait."""

import click

from proxy.cli.group import DONE, FAILED, cli


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
