"""Finds the configuration, reads all of it, and reports everything that is wrong with it at once."""

import os
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path

from proxy.config.camunda.variables import from_variables
from proxy.config.document.addresses import listen_host
from proxy.config.document.mistakes import understand
from proxy.config.model import Config
from proxy.config.resolve.context import SECRET_FILES, ListenHost
from proxy.config.resolve.upstreams import resolve
from proxy.config.written.files import read_utf8
from proxy.config.written.findings import Findings, KeyPath, Written
from proxy.config.written.found import distrust
from proxy.config.written.variables import parse_env_file, substitute
from proxy.config.written.yaml_reader import read_yaml
from proxy.errors import ConfigError, Problem
from proxy.files import all_can_read

FILE = "camunda-auth-proxy.yaml"
SYSTEM_FILE = Path("/etc/camunda-auth-proxy/config.yaml")
PREFIX = "CAMUNDA_AUTH_PROXY_"

SECRETS = frozenset(filter(None, SECRET_FILES.values()))

_OVERRIDES = {
    f"{PREFIX}LOG_LEVEL": ("log", "level"),
    f"{PREFIX}LOG_FORMAT": ("log", "format"),
    f"{PREFIX}ADMIN_LISTEN": ("admin", "listen"),
    f"{PREFIX}ALLOW_NON_LOOPBACK": ("guard", "allow_non_loopback"),
}
_LISTEN_HOST = f"{PREFIX}LISTEN_HOST"


def load(
    *, config: Path | None, env_file: Path | None, environ: Mapping[str, str], directory: Path
) -> Config:
    """Load the configuration from the first place that has one.

    Args:
        config: value of `--config`.
        env_file: value of `--env-file`; a variable in it counts unless `environ` has it too.
        environ: the environment.
        directory: the working directory, for relative paths.

    Raises:
        ConfigError: everything that is wrong; if none was found, how to begin.
    """
    variables: dict[str, str] = {}
    if env_file is not None:
        variables = parse_env_file(read_utf8(directory / env_file, str(env_file)), str(env_file))
    known = {**variables, **environ}
    path = _named(config, environ)
    found = path is None
    if path is None:
        path = _find(environ, directory)
    problems: dict[KeyPath, Problem] = {}
    notices: tuple[str, ...] = ()
    if path is None:
        source, folder = ("environment" if env_file is None else f"--env-file {env_file}"), directory
        written, notices = from_variables(environ, variables)
    else:
        source, folder = str(path), (directory / path).parent
        put = partial(substitute, variables=known)
        whole = directory.absolute() / path
        distrusted = partial(distrust, whole, beside_us=not path.is_absolute()) if found else lambda _: None
        written, problems = read_yaml(read_utf8(whole, source, distrusted), source, put)
    written = _overridden(written, environ)
    findings = Findings(written, problems)
    findings.notices.extend(notices)
    listen_host = _listen_host(environ, findings)
    document = understand(written, findings)
    if env_file is not None:
        _notice_readable(directory / env_file, f"--env-file {env_file}:", findings)
    if path is not None and _holds_secret(written):
        _notice_readable(directory / path, f"{source} holds a secret, and", findings)
    result = resolve(
        document, written, findings, source=source, folder=folder, environ=known, listen_host=listen_host
    )
    if findings.problems:
        raise ConfigError(*findings.problems)
    return result


def _notice_readable(path: Path, what: str, findings: Findings) -> None:
    if all_can_read(path):
        findings.notice(f"{what} every user of this machine can read it; chmod 600 it")


def _holds_secret(written: Written) -> bool:
    """Tell whether the file holds a secret itself, instead of a variable or the name of a file."""
    credentials = written.tree.get("credentials")
    places: list[tuple[KeyPath, object]] = [(("guard",), written.tree.get("guard"))]
    if isinstance(credentials, dict):
        places += [(("credentials", name), section) for name, section in credentials.items()]
    return any(
        key in SECRETS and isinstance(section[key], str) and (*place, key) not in written.unexpanded
        for place, section in places
        if isinstance(section, dict)
        for key in section
    )


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


def _named(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    if config is None and (named := environ.get(f"{PREFIX}CONFIG")):
        return Path(named)
    return config


def _find(environ: Mapping[str, str], directory: Path) -> Path | None:
    """Return the first configuration file that exists, else None. A relative path is below `directory`."""
    home = environ.get("XDG_CONFIG_HOME") or (environ["HOME"] + "/.config" if environ.get("HOME") else None)
    places = [Path(FILE), *([Path(home, "camunda-auth-proxy", "config.yaml")] if home else []), SYSTEM_FILE]
    return next((place for place in places if os.path.lexists(directory / place)), None)
