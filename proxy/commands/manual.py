"""The `help --man` command: makes the manual page (troff, man(7)) from the help texts of all commands."""

import re
from collections.abc import Iterator

import click

_BEGINS_LIKE_A_REQUEST = re.compile(r"^([.'])", re.MULTILINE)


def manual(cli: click.Group, program: str) -> str:
    """Return the manual page."""
    context = click.Context(cli, info_name=program)
    short = (cli.help or "").rstrip(".")
    lines = [
        f'.TH {program.upper()} 1 "" "{program}" "User Commands"',
        ".SH NAME",
        f"{_text(program)} \\- {_text(short[0].lower() + short[1:])}",
        ".SH SYNOPSIS",
        f".B {_text(program)}",
        "COMMAND [OPTIONS] [ARGUMENTS]",
        ".SH COMMANDS",
    ]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            of_group = click.Context(command, info_name=name, parent=context)
            for each in command.list_commands(of_group):
                lines += _command(
                    click.Context(command.commands[each], info_name=f"{name} {each}", parent=context), program
                )
        elif command is not None:
            lines += _command(click.Context(command, info_name=name, parent=context), program)
    for block in re.split(r"\n\n", cli.epilog or ""):
        lines += _block(block, ".SH")
    return "\n".join(lines) + "\n"


def _command(context: click.Context, program: str) -> Iterator[str]:
    command = context.command
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_text(f'{program} {context.info_name} {usage}')}"
    for number, paragraph in enumerate((command.help or "").split("\n\n")):
        if number:
            yield ".PP"
        yield from _block(paragraph, ".PP") if paragraph.startswith("\b") else [_text(_joined(paragraph))]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and parameter.name != "help":
            yield from (".TP", f".B {_text(record[0])}", _text(_joined(record[1])))
    for block in re.split(r"\n\n", command.epilog or ""):
        if block:
            yield from _block(block, ".PP")


def _block(block: str, macro: str) -> Iterator[str]:
    """Yield a block of the help that keeps its lines (click's \\b): a heading, and lines as they are."""
    heading, _, body = block.removeprefix("\b\n").partition("\n")
    title = heading.rstrip(":")
    yield from ([f".SH {_text(title.upper())}"] if macro == ".SH" else [".PP", _text(heading)])
    yield from (".PP", ".nf", _text(body), ".fi")


def _joined(text: str) -> str:
    return " ".join(text.split())


def _text(text: str) -> str:
    """Escape what troff would interpret: backslashes, hyphens, and a dot or quote at a line's beginning."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return _BEGINS_LIKE_A_REQUEST.sub(r"\\&\1", escaped)
