"""Help, version, the manual page, and completion."""

import asyncio
import json
import shutil
import sys
from pathlib import Path

import click
import pytest

from proxy.cli import cli
from proxy.cli.group import SECTIONS
from tests.app.command import ROOT, command

COMMANDS = [name for names in SECTIONS.values() for name in names]
MANUAL = ROOT / "proxy" / "man" / "camunda-auth-proxy.1"


def test_each_command_is_in_one_section() -> None:
    assert sorted(COMMANDS) == sorted(cli.commands)


@pytest.mark.parametrize("name", ["", *COMMANDS])
async def test_each_help_fits_80_columns_and_begins_with_a_whole_sentence(name: str) -> None:
    code, out, _ = await command(*filter(None, (name, "--help")), environ={"COLUMNS": "200"})
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "..." not in out.replace("[ARGS]...", "").replace("COMMAND...", "").replace("RANGE...", "")
    if name:
        again, shown, _ = await command("help", name)
        assert (again, shown.split("\n\n", 1)[1]) == (0, out.split("\n\n", 1)[1])
    else:
        assert (await command("help"))[1].split("\n", 1)[1] == out.split("\n", 1)[1]


async def test_the_help_lists_every_command_all_exit_codes_and_the_variables() -> None:
    _, out, _ = await command("help")
    for word in (*COMMANDS, "Exit codes:", "130  interrupted", "CAMUNDA_AUTH_PROXY_ADMIN_LISTEN"):
        assert word in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("help", "nothing"), "There is no command 'nothing'"),
        (("help", "run", "check"), "There is no command 'run check'"),
        (("help", "token", "old"), "There is no command 'token old'"),
        (("help", "--man", "run"), "holds all commands"),
        (("completion", "tcsh"), "'tcsh' is not one of"),
        (("completion",), "Missing argument"),
        (("version", "now"), "unexpected extra argument"),
    ],
)
async def test_a_wrong_usage_is_told(arguments: tuple[str, ...], words: str) -> None:
    code, out, err = await command(*arguments)
    assert (code, out) == (2, "")
    assert words in err


async def test_the_version_is_a_word_too() -> None:
    assert await command("version") == await command("--version")


async def test_the_manual_page_is_that_of_the_help() -> None:
    """If not: `camunda-auth-proxy help --man > proxy/man/camunda-auth-proxy.1`."""
    code, out, _ = await command("help", "--man")
    assert (code, out) == (0, MANUAL.read_text(encoding="utf-8"))
    for name, each in cli.commands.items():
        assert f".SS camunda\\-auth\\-proxy {name}" in out
        for parameter in each.params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[-1].replace("-", "\\-") in out


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
async def test_the_manual_page_has_no_mistake_for_groff() -> None:
    process = await asyncio.create_subprocess_exec(
        *("groff", "-man", "-Tascii", "-ww", str(MANUAL)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert b"sh -c 'curl \"$CAMUNDA_REST_ADDRESS/v2/topology\"'" in out


PROGRAM = f"""#!/bin/sh
exec {sys.executable} -c 'import sys; sys.argv[0] = "camunda-auth-proxy"
from proxy.__main__ import main
sys.exit(main())' "$@"
"""
PRESS_TAB = """
eval "$(camunda-auth-proxy completion bash)"
COMP_WORDS=(camunda-auth-proxy "$@") COMP_CWORD=$#
$(complete -p camunda-auth-proxy | sed 's/.*-F \\([^ ]*\\) .*/\\1/') camunda-auth-proxy
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """An environment in which the program is found."""
    (tmp_path / "camunda-auth-proxy").write_text(PROGRAM)
    (tmp_path / "camunda-auth-proxy").chmod(0o755)
    return {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("st",), ["status"]),
        (("env", "--format", "mcp-"), ["mcp-cursor", "mcp-vscode"]),
        (("wait", "--ti"), ["--timeout"]),
    ],
)
async def test_bash_completes_commands_options_and_values(
    words: tuple[str, ...], offered: list[str], installed: dict[str, str]
) -> None:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", PRESS_TAB, "bash", *words), env=installed, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().split() == offered


async def test_powershell_gets_a_candidate_a_line(installed: dict[str, str]) -> None:
    """As its script asks."""
    _, script, _ = await command("completion", "powershell")
    assert "Register-ArgumentCompleter -Native -CommandName camunda-auth-proxy" in script
    assert "$env:_CAMUNDA_AUTH_PROXY_COMPLETE = 'powershell_complete'" in script
    process = await asyncio.create_subprocess_exec(
        "camunda-auth-proxy",
        env={
            **installed,
            "_CAMUNDA_AUTH_PROXY_COMPLETE": "powershell_complete",
            "COMP_WORDS": json.dumps(["camunda-auth-proxy", "health"]),
            "COMP_INCOMPLETE": "--a",
        },
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert out.decode().startswith("--address\tAdmin listener of the running proxy")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
async def test_other_shells_have_a_script(shell: str) -> None:
    code, out, _ = await command("completion", shell)
    assert code == 0
    assert f"_CAMUNDA_AUTH_PROXY_COMPLETE={shell}_complete" in out
