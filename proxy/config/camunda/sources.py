"""Decides which variables count: those of a file that an option names, those of the environment, or none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy.config.camunda.names import (
    ADDRESSES,
    AGREEING,
    AUDIENCES,
    GROUP,
    PREFIXES,
    READ,
    SECRETS,
    Use,
)
from proxy.config.presets import PRESETS
from proxy.config.written.env_file import EnvFile, as_variable
from proxy.net import is_loopback
from proxy.terms import WITHOUT_CREDENTIALS

_PORTS = frozenset(preset.port for preset in PRESETS.values())


def _meanings() -> Iterator[tuple[str, object]]:
    for kind in (READ, ADDRESSES, AUDIENCES):
        for meaning, names in kind.items():
            yield from ((name, (id(kind), meaning)) for name in names)


MEANING = dict(_meanings())
"""Variables that are read; those of one meaning are aliases."""
_SECRETS = {use: READ[use] for use in SECRETS}


@dataclass(frozen=True, slots=True)
class Sources:
    """The variables that count.

    Attributes:
        usable: the file's, then the environment's.
        every: names of all variables that are set, also of those that do not count.
        spelled: names that were written in another form, such as `camunda.client.auth.client-id`.
        for_clients: variables that point at this proxy, so that they are for its clients.
        notices: sentences about variables that do not count.
    """

    usable: tuple[Mapping[str, str], Mapping[str, str]]
    every: tuple[str, ...]
    spelled: Mapping[str, str]
    for_clients: frozenset[str]
    notices: tuple[str, ...]

    def shown(self, name: str) -> str:
        """Return the name of a variable as the operator wrote it."""
        return self.spelled.get(name, name)


def sources(environ: Mapping[str, str], file: EnvFile | None) -> Sources:
    """Choose the variables that count.

    The file counts before the environment. Addresses, credentials and TLS are each taken from one of them as
    a whole, so that no secret goes to an address from elsewhere. Only a secret that the file lacks may come
    from the environment.
    """
    written = dict(file.variables) if file is not None else {}
    around = _with_properties(environ)
    notices: list[str] = []
    for_clients: set[str] = set()
    for source in (written, around):
        mine = made_for_clients(source)
        for_clients |= mine
        for name in mine:
            del source[name]
    groups = {GROUP[name] for name, value in written.items() if value and name in GROUP}
    wanted = {name for names in _SECRETS.values() if not any(map(written.get, names)) for name in names}
    overruled = {name for name in around if GROUP.get(name) in groups and name not in wanted}
    if file is not None and (differing := sorted(_differing(written, around, overruled))):
        notices.append(
            f"the environment sets {', '.join(differing)} otherwise; --env-file {file.name} is used, "
            "and these are not"
        )
    if for_clients:
        names = ", ".join(sorted(for_clients))
        notices.append(
            f"{names} point at this proxy itself, so they are for its clients and are not used here"
        )
    usable = {name: value for name, value in around.items() if name not in overruled}
    return Sources(
        usable=(written, usable),
        every=tuple(dict.fromkeys((*written, *usable))),
        spelled=file.spelled if file is not None else {},
        for_clients=frozenset(for_clients),
        notices=tuple(notices),
    )


def made_for_clients(variables: Mapping[str, str]) -> frozenset[str]:
    """Return the variables that point clients at this proxy, as the command `env` prints them."""
    printed = all(
        variables.get(name, "").lower() == value.lower() for name, value in WITHOUT_CREDENTIALS.items()
    )
    addresses = {
        name
        for names in ADDRESSES.values()
        for name in names
        if (url := variables.get(name)) and (printed or _is_ours(url))
    }
    if not addresses:
        return frozenset()
    without = {name for name in READ[Use.STRATEGY] if variables.get(name, "").lower() == "none"}
    return frozenset(addresses | without | {name for name in AGREEING if name in variables})


def _is_ours(url: str) -> bool:
    """Tell whether a URL leads to a port of the presets on this machine."""
    try:
        parts = urlsplit(url)
        return parts.port in _PORTS and is_loopback(parts.hostname or "")
    except ValueError:
        return False


def _with_properties(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment; of a name with `-` or `.`, which Docker allows, also its usual form."""
    found = {
        variable: value
        for name, value in environ.items()
        if ("-" in name or "." in name) and (variable := as_variable(name)).startswith(PREFIXES)
    }
    return found | dict(environ)


def _differing(written: Mapping[str, str], around: Mapping[str, str], names: set[str]) -> Iterator[str]:
    """Yield those of `names` whose value in the environment is not that of an alias in the file."""
    known: dict[object, set[str]] = {}
    for name, value in written.items():
        known.setdefault(MEANING.get(name), set()).add(value)
    for name in names:
        if around[name] and around[name] not in known.get(MEANING[name], ()):
            yield name
