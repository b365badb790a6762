"""The commands that help: help, version, completion."""

import click

from proxy.cli.group import DONE, cli, show_version

PROGRAM = "camunda-auth-proxy"


@cli.command(
    "help", epilog="\b\nExamples:\n  camunda-auth-proxy help run\n  camunda-auth-proxy help --man | man -l -"
)
@click.argument("command", required=False)
@click.option("--man", is_flag=True, help="Print the manual page of all commands instead (troff).")
def help_command(command: str | None, man: bool) -> int:
    """Show the help of a command, or of all."""
    if man:
        from proxy.commands.manual import manual

        if command is not None:
            raise click.UsageError("The manual page holds all commands: leave out the command or --man.")
        click.echo(manual(cli, PROGRAM), nl=False)
        return DONE
    context = click.Context(cli, info_name=PROGRAM, **cli.context_settings)
    if command is None:
        click.echo(cli.get_help(context))
        return DONE
    wanted = cli.get_command(context, command)
    if wanted is None:
        raise click.UsageError(f"There is no command {command!r}; `{PROGRAM} help` lists all.")
    click.echo(wanted.get_help(click.Context(wanted, info_name=command, parent=context)))
    return DONE


@cli.command()
def version() -> int:
    """Show versions, as --version does."""
    show_version()
    return DONE


@cli.command(
    epilog="""\b
Examples:
  ~/.bashrc:    eval "$(camunda-auth-proxy completion bash)"
  ~/.zshrc:     eval "$(camunda-auth-proxy completion zsh)"
  config.fish:  camunda-auth-proxy completion fish | source
  $PROFILE:     camunda-auth-proxy completion powershell | Out-String |
                  Invoke-Expression""",
    short_help="Print a script that completes commands in a shell.",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]))
def completion(shell: str) -> int:
    """Print a script that completes commands and options in a shell."""
    from proxy.commands.completion import script

    click.echo(script(cli, PROGRAM, shell))
    return DONE
