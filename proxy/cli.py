"""Defines the commands and their exit codes. Heavy imports stay inside the commands that need them."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from proxy import __version__, is_compiled
from proxy.errors import ConfigError, ProxyError, StartError

if TYPE_CHECKING:
    from proxy.config.model import Config

DONE, FAILED, MUST_CHANGE, INTERRUPTED = 0, 1, 2, 130

Command = TypeVar("Command", bound=Callable[..., object])

log = logging.getLogger("proxy")


def configured(command: Command) -> Command:
    """Add the options of every command that needs a configuration."""
    command = click.option(
        "--env-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File of NAME=value lines, such as the credentials file that you download from Console.",
    )(command)
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="YAML file. Default: one in the usual places, else the variables of Camunda's clients.",
    )(command)


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version
    from platform import python_version

    from proxy.commands.loop import loop_name

    python, aiohttp = python_version(), version("aiohttp")
    build = "compiled" if is_compiled() else "pure Python"
    click.echo(
        f"camunda-auth-proxy {__version__} ({build}, Python {python}, aiohttp {aiohttp}, {loop_name()})"
    )
    context.exit()


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="""\b
Examples:
  camunda-auth-proxy demo                          see it work, without a Camunda
  camunda-auth-proxy run --env-file credentials    serve all APIs of the file downloaded from Console
  camunda-auth-proxy check                         check the configuration
  camunda-auth-proxy doctor                        try it, and say what is wrong""",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show versions."
)
def cli() -> None:
    """Open a local port for each Camunda 8 API, and add a fresh credential to every request."""


@cli.command(
    "run",
    epilog="""\b
Examples:
  camunda-auth-proxy run
  camunda-auth-proxy run --config camunda-auth-proxy.yaml
  camunda-auth-proxy run --env-file CamundaCloudMgmtAPI-Client.txt""",
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
        loaded = _load(config, env_file)
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


@cli.command(epilog="\b\nExample:\n  camunda-auth-proxy check --config camunda-auth-proxy.yaml")
@configured
def check(config: Path | None, env_file: Path | None) -> int:
    """Check the configuration, without a connection to any server.

    Prints where the configuration and each value came from, or every mistake at once.
    """
    from proxy.commands.tables import configuration

    try:
        loaded = _load(config, env_file)
    except ConfigError as error:
        if error.origin:
            click.echo(f"The configuration comes from {error.origin}.")
        raise
    click.echo(configuration(loaded))
    for notice in loaded.notices:
        click.echo(f"notice: {notice}")
    return DONE


@cli.command(
    epilog="""\b
Examples:
  camunda-auth-proxy doctor
  camunda-auth-proxy doctor --env-file CamundaCloudMgmtAPI-Client.txt --report report.txt"""
)
@configured
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a report without secrets to this file, for the operators of Camunda.",
)
def doctor(config: Path | None, env_file: Path | None, as_json: bool, report: Path | None) -> int:
    """Try each credential and each upstream, and name the cause of every fault.

    Tries names, TCP, HTTP proxies, TLS, tokens or logins, clocks, and harmless calls of each API. It needs no
    running proxy, and disturbs none. Exit code 0 if nothing is wrong, 1 if anything is, 2 if the
    configuration cannot be used.
    """
    from proxy.commands.doctor.command import run as examine

    return examine(lambda: _load(config, env_file), as_json=as_json, report=report)


@cli.command(
    epilog="""\b
Examples:
  eval "$(camunda-auth-proxy env)"
  camunda-auth-proxy env --format dotenv > .env.local
  camunda-auth-proxy env --format mcp > .mcp.json                  for Claude Code
  camunda-auth-proxy env --format mcp-vscode > .vscode/mcp.json"""
)
@configured
@click.option(
    "--format",
    "form",
    type=click.Choice(["shell", "dotenv", "json", "mcp", "mcp-cursor", "mcp-vscode"]),
    default="shell",
    show_default=True,
    help="Format of the output; mcp: the entries of an MCP client (Claude Code, Cursor, VS Code).",
)
def env(config: Path | None, env_file: Path | None, form: str) -> int:
    """Print what points Camunda's own clients, or MCP clients, at the proxy.

    Upstreams that such clients cannot use are named on stderr, each with the reason.
    """
    if form.startswith("mcp"):
        from proxy.commands import mcp_entries

        return mcp_entries.show(_load(config, env_file), form)
    from proxy.commands.environment import show

    return show(_load(config, env_file), form)


@cli.command(
    epilog="""\b
Example:
  camunda-auth-proxy schema > schema.json
then write as first line of the configuration:  # yaml-language-server: $schema=schema.json"""
)
def schema() -> int:
    """Print the JSON Schema of the configuration, for editors."""
    from json import dumps

    from proxy.config.document.schema import schema as of_configuration

    click.echo(dumps(of_configuration(), indent=2))
    return DONE


@cli.group()
def token() -> None:
    """Make tokens for callers (callers in the configuration)."""


@token.command("new", epilog="\b\nExample:\n  camunda-auth-proxy token new ci-job")
@click.argument("name")
def token_new(name: str) -> int:
    """Make a token for the caller NAME, and print it once.

    Prints the lines for the configuration, which hold only its SHA-256, and how the caller sends it. The
    proxy stores nothing: the token cannot be shown again.
    """
    from proxy.commands.caller_token import new

    click.echo(new(name))
    return DONE


@cli.command(epilog="\b\nExample:\n  camunda-auth-proxy demo --stay")
@click.option("--stay", is_flag=True, help="Keep everything running afterwards, so that you can try it.")
def demo(stay: bool) -> int:
    """See it work, without a Camunda.

    Runs a simulated Camunda and the proxy before it, and makes a call with every kind of credential. Then
    tokens expire, tokens are revoked, and all sessions end while many calls are made at once.
    """
    from proxy.commands.show import show

    return show(stay=stay)


@cli.command(epilog="\b\nExample:\n  camunda-auth-proxy health --address 127.0.0.1:19090")
@click.option("--json", "for_machines", is_flag=True, help="Print the answer as one line of JSON.")
@click.option("--address", help="Admin listener of the running proxy, HOST:PORT.")
def health(*, for_machines: bool, address: str | None) -> int:
    """Ask the running proxy whether it is ready, and what each upstream's last answers say.

    Exit code 0 if it is ready, else 1. An upstream that is down changes no exit code.
    """
    from proxy.commands.probe import health as ask

    return ask([*(["--json"] if for_machines else []), *([] if address is None else ["--address", address])])


@cli.command(epilog="\b\nExample:\n  camunda-auth-proxy wait --timeout 60s && ./job.sh")
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


def _load(config: Path | None, env_file: Path | None) -> "Config":
    from proxy.config.load import load

    return load(config=config, env_file=env_file, environ=os.environ, directory=Path.cwd())


def _discard_output() -> None:
    """Point stdout at /dev/null, because at exit Python would write the rest again, and print an error."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run() -> int:
    """Run the command line; return the exit code."""
    try:
        result = cli.main(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, so that a full disk is reported without a traceback
    except click.ClickException as error:
        error.show()
        return MUST_CHANGE
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except ConfigError as error:
        count = len(error.problems)
        click.echo(f"The configuration has {count} problem{'s' if count > 1 else ''}:", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        return MUST_CHANGE
    except StartError as error:
        click.echo(str(error), err=True)
        return MUST_CHANGE
    except BrokenPipeError:
        _discard_output()
        return FAILED
    except OSError as error:  # a full disk, a working directory that is gone
        _discard_output()
        reason = error.strerror or "it gave no reason"
        click.echo(f"The system refused what this command needs: {reason}.", err=True)
        return MUST_CHANGE
    except Exception as error:  # noqa: BLE001 -- no traceback for users, see `fault`
        from proxy.commands.fault import tell

        tell(error)
        return MUST_CHANGE
    return result if isinstance(result, int) else DONE
