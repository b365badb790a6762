"""The `init` command: writes a configuration and the files of its secrets.

The values come from a file of variables, from the environment, or from a few questions on a terminal.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import click

from proxy.commands.init_files import PRIVATE, PUBLIC, refuse_existing, write_all
from proxy.commands.init_text import text, with_absolute_files, without_secrets
from proxy.config.load import load, variables_as_yaml
from proxy.errors import StartError

if TYPE_CHECKING:
    from proxy.config.model import Config

NAME: Final = "camunda-auth-proxy.yaml"


@dataclass(frozen=True, slots=True)
class Draft:
    """A configuration that is not written yet.

    Attributes:
        tree: as in YAML; it holds the secrets.
        origin: where the values came from, for the first line of the file.
        notices: sentences for the user.
    """

    tree: Mapping[str, Any] = field(repr=False)
    origin: str
    notices: tuple[str, ...] = ()


def init(source: Path | None, output: Path, *, force: bool) -> int:
    """Write the configuration; return the exit code.

    Args:
        source: file of variables, such as Console's; None: the environment, else questions.

    Raises:
        ConfigError: the variables cannot be used.
        StartError: a file exists, or there is nothing to write.
    """
    if not force:
        refuse_existing({output: None})
    folder = Path.cwd()
    draft = _from_variables(source, folder)
    if draft is None:
        draft = _asked()
    tree = dict(draft.tree)
    if output.absolute().parent != folder:
        tree = with_absolute_files(tree, folder)
    notices = _write(tree, draft.origin, output, force=force)
    for notice in dict.fromkeys((*draft.notices, *notices)):
        click.echo(f"notice: {notice}")
    options = "" if output == Path(NAME) else f" --config {quote(str(output))}"
    click.echo(f"Next:  camunda-auth-proxy run{options}")
    return 0


def _from_variables(source: Path | None, folder: Path) -> Draft | None:
    found = variables_as_yaml(source, os.environ, folder)
    if found is None:
        return None
    tree, notices = found
    origin = "variables of the environment" if source is None else f"the variables of {source.name}"
    return Draft(tree, origin if origin.isprintable() else "a file of variables", notices)


def _asked() -> Draft:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise StartError(
            "There is nothing to write a configuration from: name the credentials file that you downloaded "
            "from Console with --from FILE, set the variables of Camunda's clients, or start init on a "
            "terminal, where it asks."
        )
    from proxy.commands.init_questions import ask

    tree, notices = ask()
    return Draft(tree, "answers to its questions", notices)


def _write(tree: Mapping[str, Any], origin: str, output: Path, *, force: bool) -> tuple[str, ...]:
    """Write all files, if `check` would find them right; return its notices."""
    stem = output.name.removesuffix(".yaml").removesuffix(".yml")
    clean, secrets = without_secrets(tree, stem)
    config = _check(with_absolute_files(tree, Path.cwd()), stem)
    private = {output.parent / name: (f"{secret}\n", PRIVATE) for name, secret in secrets.items()}
    write_all({**private, output: (text(clean, origin), PUBLIC)}, force=force)
    click.echo(f"{output} is written.")
    for path in private:
        click.echo(f"{path} holds a secret: only you can read it. Do not commit it.")
    return config.notices


def _check(tree: Mapping[str, Any], stem: str) -> "Config":
    """Return the configuration; raise ConfigError if it cannot be used."""
    clean, secrets = without_secrets(tree, stem)
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file, secret in secrets.items():
            (folder / file).write_text(f"{secret}\n", encoding="utf-8")
        (folder / NAME).write_text(text(clean, "a trial"), encoding="utf-8")
        return load(config=folder / NAME, env_file=None, environ=os.environ, directory=folder)
