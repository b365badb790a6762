"""Variables: `${NAME}` in a text, and files of them as Camunda's Console lets people download."""

import re
from collections.abc import Mapping

from proxy.errors import ConfigError, Problem

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?", re.ASCII)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}", re.ASCII)
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.ASCII)
_VALUE = re.compile(r"""'([^']*)'\s*(?:#.*)?|"([^"]*)"\s*(?:#.*)?|([^'"].*)?""")


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """`text` with `${NAME}` and `${NAME:-default}` replaced; `$${` is a plain `${`.

    The default counts where the variable is unset or empty, as in a shell; what is put in is not read again.

    Raises:
        ValueError: an unset variable, by name, or a `${` that is neither; never the text itself.
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
    """`text` with `${NAME}` for `${NAME:-default}`, since a default may be a secret."""
    return _REFERENCE.sub(lambda match: f"${{{match[1]}}}" if match[1] else match[0], text)


def parse_env_file(text: str, name: str) -> dict[str, str]:
    """Lines `NAME=value`, also with `export`, one pair of quotes, comments, blank lines; the last one wins.

    Args:
        text: the file; CRLF will do.
        name: of the file, for the errors.

    Raises:
        ConfigError: every line that is none of these, by its number; never its content.
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
                Problem(name, "has a quote without its partner, or text behind the second", number)
            )
        else:
            bare = re.sub(r"(?:^|\s)#.*", "", value[3] or "").rstrip()
            found[assignment[1]] = value[1] or value[2] or bare
    if problems:
        raise ConfigError(*problems)
    return found
