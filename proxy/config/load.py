"""Reads all of the configuration that counts, and reports everything that is wrong with it at once."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from proxy.config.camunda.variables import describe_a_configuration, from_variables
from proxy.config.choice import CONFIG, PREFIX, Choice
from proxy.config.document.addresses import listen_host
from proxy.config.document.mistakes import understand
from proxy.config.model import Config, User
from proxy.config.private import private_variables
from proxy.config.resolve.context import SECRET_FILES, ListenHost
from proxy.config.resolve.upstreams import resolve
from proxy.config.upgrades import key_paths
from proxy.config.written.env_file import read_env_file
from proxy.config.written.files import read_utf8
from proxy.config.written.findings import Findings, KeyPath, Written
from proxy.config.written.found import distrust
from proxy.config.written.variables import substitute
from proxy.config.written.yaml_reader import read_yaml
from proxy.errors import ConfigError, Problem
from proxy.files import all_can_read

SECRETS = frozenset(filter(None, SECRET_FILES.values()))

_OVERRIDES = {
    f"{PREFIX}LOG_LEVEL": ("log", "level"),
    f"{PREFIX}LOG_FORMAT": ("log", "format"),
    f"{PREFIX}ADMIN_LISTEN": ("admin", "listen"),
    f"{PREFIX}ALLOW_NON_LOOPBACK": ("guard", "allow_non_loopback"),
}
_LISTEN_HOST = f"{PREFIX}LISTEN_HOST"
OURS = frozenset((*_OVERRIDES, _LISTEN_HOST, CONFIG))
"""Our own variables, of the environment or of `--env-file`."""


def load(
    *, config: Path | None, env_file: Path | None, environ: Mapping[str, str], directory: Path
) -> Config:
    """Load the configuration that counts: what an option names, before the environment, before a file found.

    Args:
        config: value of `--config`.
        env_file: value of `--env-file`; a variable in it counts before that of `environ`.
        environ: the environment.
        directory: the working directory, for relative paths.

    Raises:
        ConfigError: everything that is wrong; if none was found, how to begin.
    """
    choice = Choice(environ)
    try:
        if env_file is not None:
            name = str(env_file)
            choice.env_file = read_env_file(read_utf8(directory / env_file, name), name, environ)
        return _load(config, choice, directory)
    except ConfigError as error:
        raise ConfigError(
            *dict.fromkeys((*error.problems, *choice.more_problems())), origin=choice.origin
        ) from None


def variables_as_yaml(
    env_file: Path | None, environ: Mapping[str, str], directory: Path
) -> tuple[dict[str, object], tuple[str, ...]] | None:
    """Return what the variables of Camunda's clients describe, as the tree of a YAML file, and notices.

    None: no file is named, and the environment describes no whole configuration.

    Args:
        env_file: counts before the environment.

    Raises:
        ConfigError: the file cannot be used.
    """
    file = None
    if env_file is not None:
        name = str(env_file)
        file = read_env_file(read_utf8(directory / env_file, name), name, environ)
    elif not describe_a_configuration(environ, None):
        return None
    written, notices = from_variables(environ, file)
    return written.tree, notices


def _load(config: Path | None, choice: Choice, directory: Path) -> Config:
    written, problems = _written(config, choice, directory)
    written = _overridden(written, choice.variables)
    findings = Findings(written, problems)
    for notice in choice.notices:
        findings.notice(notice)
    listen_host = _listen_host(choice.variables, findings)
    document = understand(written, findings)
    folder = directory
    if (file := choice.env_file) is not None:
        _notice_readable(directory / file.name, f"--env-file {file.name}:", findings)
    if (place := choice.place) is not None:
        folder = (directory / place.path).parent
        if _holds_secret(written):
            _notice_readable(directory / place.path, f"{place.source} holds a secret, and", findings)
    result = resolve(
        document,
        written,
        findings,
        source=choice.source,
        folder=folder,
        environ=choice.variables,
        listen_host=listen_host,
    )
    if found := findings.problems or choice.unused():
        raise ConfigError(*found)
    found_config = replace(
        result,
        origin=choice.origin,
        notices=(*result.notices, *choice.late_notices(OURS)),
        private_variables=private_variables(choice.environ, written),
        written=frozenset(key_paths(written.tree)),
    )
    credentials = {
        name: replace(each, options=found_config.options) if isinstance(each, User) else each
        for name, each in found_config.credentials.items()
    }
    return replace(found_config, credentials=MappingProxyType(credentials))


def _written(config: Path | None, choice: Choice, directory: Path) -> tuple[Written, dict[KeyPath, Problem]]:
    """Return what is written in the YAML file that counts, or in variables, and what is wrong with it."""
    if (place := choice.begin(config, directory)) is not None:
        whole = directory.absolute() / place.path
        distrusted = partial(distrust, whole, beside_us=not place.path.is_absolute())
        text = read_utf8(whole, place.name, distrusted if place.found else lambda _: None)
        written, problems = read_yaml(text, place.source, partial(substitute, variables=choice.variables))
        if choice.counts():
            return written, problems
    written, notices = from_variables(choice.environ, choice.env_file)
    choice.notices.extend(notices)
    choice.tell_origins(written)
    return written, {}


def _notice_readable(path: Path, what: str, findings: Findings) -> None:
    if all_can_read(path):
        findings.notice(f"{what} every user of this machine can read it; chmod 600 it")


def _holds_secret(written: Written) -> bool:
    """Tell whether the file holds a secret itself, instead of a variable or the name of a file."""
    credentials = written.tree.get("credentials")
    places: list[tuple[KeyPath, object]] = [((each,), written.tree.get(each)) for each in ("guard", "store")]
    callers = written.tree.get("callers")
    if isinstance(callers, dict):
        places += [(("callers", name), section) for name, section in callers.items()]
    if isinstance(credentials, dict):
        places += [(("credentials", name), section) for name, section in credentials.items()]
    return any(
        key in SECRETS and isinstance(text, str) and path not in written.unexpanded
        for place, section in places
        if isinstance(section, dict)
        for key, value in section.items()
        for path, text in _texts((*place, key), value)
    )


def _texts(place: KeyPath, value: object) -> list[tuple[KeyPath, object]]:
    """Return a value, or each entry of a list, with its path."""
    if isinstance(value, list):
        return [((*place, index), entry) for index, entry in enumerate(value)]
    return [(place, value)]


def _overridden(written: Written, environ: Mapping[str, str]) -> Written:
    """Replace values by those of our own variables; an empty variable counts as not set."""
    tree, origins = deepcopy(written.tree), dict(written.origins)
    for name, (section, key) in _OVERRIDES.items():
        if not environ.get(name):
            continue
        if tree.get(section) is None:
            tree[section] = {}
        if isinstance(keys := tree[section], dict):
            keys[key] = environ[name]
            origins[section, key] = name
    return Written(tree, origins, written.unexpanded)


def _listen_host(environ: Mapping[str, str], findings: Findings) -> ListenHost | None:
    if not (host := environ.get(_LISTEN_HOST)):
        return None
    try:
        return ListenHost(listen_host(host), _LISTEN_HOST)
    except ValueError as error:
        findings.add((_LISTEN_HOST,), str(error))
        return None
