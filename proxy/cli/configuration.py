"""The commands about the configuration: init, check, doctor, env, schema, token."""

from pathlib import Path

import click

from proxy import __version__
from proxy.cli.group import DONE, cli, configured, load
from proxy.errors import ConfigError


@cli.command(
    epilog="""\b
Examples:
  camunda-auth-proxy init
  camunda-auth-proxy init --from CamundaCloudMgmtAPI-Client.txt
  camunda-auth-proxy init --output prod.yaml

\b
Exit codes:
  0  written
  2  a file exists, or the values cannot be used
  130  interrupted""",
    short_help="Write a configuration, from a file or your answers.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of NAME=value lines, such as the credentials file that you download from Console. Default: "
    "the variables of Camunda's clients in the environment, else init asks.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="camunda-auth-proxy.yaml",
    show_default=True,
    help="YAML file to write.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
def init(source: Path | None, output: Path, force: bool) -> int:
    """Write a small configuration, and each secret into a file that only you can read.

    On a terminal it first looks for a Camunda on this machine. It never replaces a file without --force.
    """
    from proxy.commands.init import init as write

    return write(source, output, force=force)


@cli.command(
    short_help="Check the configuration, without a connection.",
    epilog="""\b
Examples:
  camunda-auth-proxy check --config camunda-auth-proxy.yaml
  camunda-auth-proxy check --from 0.1.0        before a change of version

\b
Exit codes:
  0  it can be used
  2  it cannot, or it was not found""",
)
@configured
@click.option(
    "--from",
    "earlier",
    metavar="VERSION",
    help="Also print what changed since this version and concerns the configuration. For a copy of the "
    "repository: its date, as 2026-11-22.",
)
def check(config: Path | None, env_file: Path | None, earlier: str | None) -> int:
    """Check the configuration, without a connection to any server.

    Prints where the configuration and each value came from, or every mistake at once.
    """
    from proxy.commands.tables import configuration
    from proxy.commands.upgrade import told
    from proxy.config.upgrades import upgrades

    try:
        later = upgrades().since(earlier, __version__) if earlier is not None else None
    except ValueError as error:
        raise click.UsageError(f"--from {error}") from error
    try:
        loaded = load(config, env_file)
    except ConfigError as error:
        if error.origin:
            click.echo(f"The configuration comes from {error.origin}.")
        if later is not None:
            click.echo(f"\n{told(None, later, str(earlier))}\n")
        raise
    click.echo(configuration(loaded))
    for notice in loaded.notices:
        click.echo(f"notice: {notice}")
    if later is not None:
        click.echo(f"\n{told(loaded, later, str(earlier))}")
    return DONE


@cli.command(
    epilog="""\b
Examples:
  camunda-auth-proxy doctor
  camunda-auth-proxy doctor --env-file FILE --report report.txt

\b
Exit codes:
  0  nothing is wrong
  1  something is wrong
  2  the configuration cannot be used""",
    short_help="Try everything, and name the cause of every fault.",
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
    running proxy, and disturbs none.
    """
    from proxy.commands.doctor.command import run as examine

    return examine(lambda: load(config, env_file), as_json=as_json, report=report)


@cli.command(
    epilog="""\b
Examples:
  eval "$(camunda-auth-proxy env)"
  camunda-auth-proxy env --format powershell | Out-String | iex
  camunda-auth-proxy env --format dotenv > .env.local
  camunda-auth-proxy env --format mcp > .mcp.json          for Claude Code
  camunda-auth-proxy env --format mcp-vscode > .vscode/mcp.json""",
    short_help="Print variables for Camunda's or MCP clients.",
)
@configured
@click.option(
    "--format",
    "form",
    type=click.Choice(["shell", "powershell", "dotenv", "json", "mcp", "mcp-cursor", "mcp-vscode"]),
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

        return mcp_entries.show(load(config, env_file), form)
    from proxy.commands.environment import show

    return show(load(config, env_file), form)


@cli.command(
    epilog="""\b
Example:
  camunda-auth-proxy schema > schema.json
then write as first line of the configuration:
  # yaml-language-server: $schema=schema.json""",
    short_help="Print the JSON Schema of the configuration.",
)
def schema() -> int:
    """Print the JSON Schema of the configuration, for editors."""
    from json import dumps

    from proxy.config.document.schema import schema as of_configuration

    click.echo(dumps(of_configuration(), indent=2))
    return DONE


@cli.group(short_help="Make tokens for callers.")
def token() -> None:
    """Make tokens for callers (`callers` in the configuration)."""


@token.command(
    "new",
    epilog="""\b
Example:
  camunda-auth-proxy token new ci-job

\b
Exit codes:
  0  printed
  2  the name cannot be used""",
    short_help="Make a token, and print it once.",
)
@click.argument("name")
def token_new(name: str) -> int:
    """Make a token for the caller NAME, and print it once.

    Prints the lines for the configuration, which hold only its SHA-256, and how the caller sends it. The
    proxy stores nothing: the token cannot be shown again.
    """
    from proxy.commands.caller_token import new

    click.echo(new(name))
    return DONE
