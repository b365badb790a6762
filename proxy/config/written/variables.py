"""Replaces variables: `${NAME}` in a text."""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?", re.ASCII)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}", re.ASCII)


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
