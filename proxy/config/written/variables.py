"""Reads variables: `${NAME}` in a text, and files of variables, such as Camunda's Console offers."""

import re
from collections.abc import Mapping

from proxy.errors import ConfigError, Problem

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?", re.ASCII)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}", re.ASCII)
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.ASCII)
_VALUE = re.compile(r"""'([^']*)'\s*(?:#.*)?|"([^"]*)"\s*(?:#.*)?|([^'"].*)?""")


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """Replace `${NAME}` and `${NAME:-default}` in `text`; `$${` is a plain `${`.

    The default is used if the variable is unset or empty, as in a shell. A `${` in a variable's value stays.

    Raises:
        ValueError: an unset variable, by name, or another `${`; the message never holds the text itself.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if match[0] == "$${":
            return "${"
        if name is None or (default is not None and "${" in default):
            raise ValueError("has a ${ that is not ${NAME} or ${NAME:-default}; $${ is a plain ${")
        if default is not None:
            return variables.get(name) or default
        if name not in variables:
            if not _VARIABLE.fullmatch(name):  # it may be part of a password
                raise ValueError("needs a variable that is not set; set it, or write $${ for a plain ${")
            raise ValueError(
                f"needs the variable {name}, which is not set; set it or write ${{{name}:-default}}"
            )
        return variables[name]

    return _REFERENCE.sub(value, text)


def without_defaults(text: str) -> str:
    """Replace `${NAME:-default}` in `text` by `${NAME}`, because a default may be a secret."""
    return _REFERENCE.sub(lambda match: f"${{{match[1]}}}" if match[1] else match[0], text)


def parse_env_file(text: str, name: str) -> dict[str, str]:
    """Parse lines of `NAME=value`; of several lines for one name the last wins.

    `export`, one pair of quotes, comments and blank lines are allowed.

    Args:
        text: the file; lines may end with CRLF.
        name: of the file, for the errors.

    Raises:
        ConfigError: every other line, by its number; the message never holds its content.
    """
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if (assignment := _LINE.fullmatch(line)) is None:
            problems.append(Problem(name, "is not NAME=value, a comment or a blank line", number))
        elif (value := _VALUE.fullmatch(assignment[2])) is None:
            problems.append(
                Problem(name, "has a quote that is not closed, or text after the closing quote", number)
            )
        else:
            bare = re.sub(r"(?:^|\s)#.*", "", value[3] or "").rstrip()
            found[assignment[1]] = value[1] or value[2] or bare
    if problems:
        raise ConfigError(*problems)
    return found
