"""The `completion` command: prints scripts that complete commands and options in a shell.

click (BSD-3-Clause) has bash, zsh and fish. PowerShell is added here in the same way: the script calls the
program again with the words so far in variables, and gets one candidate per line.
"""

import os

import click
from click.shell_completion import CompletionItem, ShellComplete, add_completion_class, get_completion_class

_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $before = $commandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { "$_" }
    $env:COMP_WORDS = ConvertTo-Json -Compress -InputObject @($before)
    $env:COMP_INCOMPLETE = $wordToComplete
    $env:%(complete_var)s = 'powershell_complete'
    try {
        & %(prog_name)s | ForEach-Object {
            $value, $help = $_ -split "`t", 2
            if (-not $help) { $help = $value }
            [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
        }
    } finally {
        Remove-Item Env:COMP_WORDS, Env:COMP_INCOMPLETE, Env:%(complete_var)s -ErrorAction SilentlyContinue
    }
}
"""


class PowerShell(ShellComplete):
    """Completion for PowerShell 5.1 and later.

    The words arrive as a JSON array, because PowerShell's own quoting is not that of POSIX shells.
    """

    name = "powershell"
    source_template = _POWERSHELL

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one at the cursor, and that one."""
        import json

        words = json.loads(os.environ["COMP_WORDS"])
        return [str(word) for word in words[1:]], os.environ["COMP_INCOMPLETE"]

    def format_completion(self, item: CompletionItem) -> str:
        """Return one line: the candidate, and its help after a tab."""
        return f"{item.value}\t{item.help}" if item.help else str(item.value)


def register() -> None:
    """Make PowerShell known to click, which has no such class."""
    add_completion_class(PowerShell)


def script(cli: click.Command, program: str, shell: str) -> str:
    """Return the script for a shell: bash (4.4 and later), zsh, fish or powershell."""
    register()
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 -- click has the other three
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    return kind(cli, {}, program, variable).source()
