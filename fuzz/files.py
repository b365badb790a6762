"""What operators write: a configuration, or every mistake in sentences that tell no value."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from fuzz.pieces import CANARY, untold
from proxy.config.load import load
from proxy.config.written.env_file import EnvFile, read_env_file
from proxy.config.written.variables import substitute
from proxy.config.written.yaml_reader import read_yaml
from proxy.errors import ConfigError

VARIABLES = {"A": "a", "EMPTY": "", "SECRET": CANARY}


def _refused(call: Callable[[], object]) -> ConfigError | None:
    """Call it; whatever else than ConfigError comes out is a finding."""
    try:
        call()
    except ConfigError as error:
        assert all(line.isprintable() for line in str(error).split("\n")), str(error)
        return error
    return None


def _read(text: str) -> None:
    tree, _ = read_yaml(text, "c.yaml", partial(substitute, variables=VARIABLES))
    untold(tree)


def yaml(octets: bytes) -> None:
    """Any bytes are a configuration or refused."""
    text = octets.decode("utf-8", "replace")
    error = _refused(lambda: _read(text))
    if error is not None:
        untold(error)
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        (Path(name) / "c.yaml").write_bytes(octets)
        load_it = partial(load, config=Path("c.yaml"), env_file=None, environ=VARIABLES, directory=Path(name))
        error = _refused(load_it)
    if error is not None:
        untold(error)


def env_files(octets: bytes) -> None:
    """Any bytes are variables or refused, alone and as what Camunda's clients would read."""
    text = octets.decode("utf-8", "replace")
    files: list[EnvFile] = []
    error = _refused(lambda: files.append(read_env_file(text, "f.env", VARIABLES)))
    if error is not None:
        untold(error)
    found = {name: value for file in files for name, value in file.variables.items()}
    assert all(name.isidentifier() for name in found)
    for file in files:
        untold(file, *file.notices, *file.unusable.values())
    for value in found.values():
        try:
            substitute(value, found)
        except ValueError as wrong:
            untold(wrong)
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        (Path(name) / "f.env").write_bytes(octets)
        load_it = partial(load, config=None, env_file=Path("f.env"), environ={}, directory=Path(name))
        error = _refused(load_it)
    if error is not None:
        untold(error)
