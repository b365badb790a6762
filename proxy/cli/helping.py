"""The commands that help: help, version, completion."""

import click

from proxy.cli.group import DONE, cli, show_version

PROGRAM = "camunda-auth-proxy"


@cli.command(
    "help", epilog="\b\nExamples:\n  camunda-auth-proxy help run\n  camunda-auth-proxy help --man | man -l -"
)
@click.argument("words", metavar="[COMMAND]", nargs=-1)
@click.option("--man", is_flag=True, help="Print the manual page of all commands instead (troff).")
def help_command(words: tuple[str, ...], man: bool) -> int:
    """Show the help of a command, or of all."""
    if man:
        from proxy.commands.manual import manual

        if words:
            raise click.UsageError("The manual page holds all commands: leave out the command or --man.")
        click.echo(manual(cli, PROGRAM), nl=False)
        return DONE
    wanted: click.Command = cli
    context = click.Context(cli, info_name=PROGRAM, **cli.context_settings)
    for word in words:
        found = wanted.get_command(context, word) if isinstance(wanted, click.Group) else None
        if found is None:
            raise click.UsageError(f"There is no command {' '.join(words)!r}; `{PROGRAM} help` lists all.")
        wanted, context = found, click.Context(found, info_name=word, parent=context)
    click.echo(wanted.get_help(context))
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
