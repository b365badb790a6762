"""The group of all commands: its help, the options that several commands share, and the exit codes."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from proxy import __version__, is_compiled

if TYPE_CHECKING:
    from proxy.config.model import Config

DONE, FAILED, MUST_CHANGE, INTERRUPTED = 0, 1, 2, 130

Command = TypeVar("Command", bound=Callable[..., object])

SECTIONS: Final = {
    "Begin": ("demo", "init", "check", "doctor"),
    "Run": ("run", "exec"),
    "As yourself": ("login", "logout"),
    "Ask a running proxy": ("status", "health", "wait"),
    "For other programs": ("env", "token", "schema", "completion"),
    "Help": ("help", "version"),
}
"""Every command, in the order of the help."""

EPILOG: Final = """\b
Exit codes:
  0    done
  1    it failed
  2    change something first: usage, configuration, a file, a taken port
  130  interrupted

\b
Variables:
  CAMUNDA_AUTH_PROXY_CONFIG              YAML file, if --config names none
  CAMUNDA_AUTH_PROXY_ADMIN_LISTEN        HOST:PORT of the admin port
  CAMUNDA_AUTH_PROXY_LISTEN_HOST         host of the ports of all upstreams
  CAMUNDA_AUTH_PROXY_LOG_LEVEL           debug, info, warning or error
  CAMUNDA_AUTH_PROXY_LOG_FORMAT          auto, console or json
  CAMUNDA_AUTH_PROXY_ALLOW_NON_LOOPBACK  true: the network may use the ports
Without a YAML file the variables of Camunda's own clients count, such as
CAMUNDA_REST_ADDRESS, CAMUNDA_CLIENT_ID and CAMUNDA_CLIENT_SECRET.

\b
Examples:
  camunda-auth-proxy demo                      see it work, without a Camunda
  camunda-auth-proxy run --env-file FILE       FILE: downloaded from Console
  camunda-auth-proxy init                      write a configuration
  camunda-auth-proxy doctor                    find out what is wrong
  camunda-auth-proxy help run                  the help of a command"""


class Commands(click.Group):
    """The group, whose help lists the commands in sections."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, in the order of the help."""
        ordered = [name for names in SECTIONS.values() for name in names if name in self.commands]
        return [*ordered, *(name for name in super().list_commands(ctx) if name not in ordered)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, section by section."""
        widest = max(len(name) for name in self.commands)
        for title, names in SECTIONS.items():
            with formatter.section(title):
                limit = formatter.width - widest - 6
                found = [(name, self.commands[name]) for name in names if name in self.commands]
                rows = [(name.ljust(widest), each.get_short_help_str(limit)) for name, each in found]
                formatter.write_dl(rows)


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


def load(config: Path | None, env_file: Path | None) -> "Config":
    """Load the configuration that counts.

    Raises:
        ConfigError: everything that is wrong.
    """
    from proxy.config.load import load as load_it

    return load_it(config=config, env_file=env_file, environ=os.environ, directory=Path.cwd())


def show_version() -> None:
    """Print the versions that matter in a report of a fault."""
    from importlib.metadata import version
    from platform import python_version

    from proxy.commands.loop import loop_name

    python, aiohttp = python_version(), version("aiohttp")
    build = "compiled" if is_compiled() else "pure Python"
    click.echo(
        f"camunda-auth-proxy {__version__} ({build}, Python {python}, aiohttp {aiohttp}, {loop_name()})"
    )


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        show_version()
        context.exit()


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=EPILOG,
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show versions."
)
def cli() -> None:
    """Open a local port for each Camunda 8 API, and add a fresh credential to every request."""
