"""Names the variables of the environment that may hold a credential: no child process gets them."""

import re
from collections.abc import Iterator, Mapping

from proxy.config.camunda.names import GROUP, PREFIXES
from proxy.config.resolve.context import SECRET_FILES
from proxy.config.written.env_file import as_variable
from proxy.config.written.findings import Written

_NAME = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}", re.ASCII)
_SECRETS = frozenset(filter(None, SECRET_FILES.values()))


def private_variables(environ: Mapping[str, str], written: Written) -> frozenset[str]:
    """Return the names of variables that may hold a part of a credential.

    These are the variables of Camunda's clients, in any spelling that is read, and each variable that is
    a whole value of the YAML, or a part of a secret there. A variable that is only a part of a path or of a
    URL is not among them.
    """
    of_clients = {name for name in environ if name in GROUP or _as_property(name) in GROUP}
    return frozenset(of_clients | set(_taken(written)))


def _as_property(name: str) -> str:
    """Return the usual form of a name with `-` or `.`, which Docker allows."""
    variable = as_variable(name) if "-" in name or "." in name else ""
    return variable if variable.startswith(PREFIXES) else ""


def _taken(written: Written) -> Iterator[str]:
    for path, text in written.unexpanded.items():
        if path[-1] in _SECRETS or _NAME.fullmatch(text):
            yield from _NAME.findall(text)
