"""Files the configuration names: is each there, and is it what it should be?"""

import stat
from pathlib import Path

from proxy.config.model import SHORTEST_TOKEN
from proxy.errors import ConfigError, Problem

MAX_OCTETS = 1024 * 1024
MAX_SECRET_OCTETS = 64 * 1024


def read_utf8(path: Path, name: str) -> str:
    """A configuration or a file of variables, without a byte order mark.

    Args:
        name: what to call the file in errors.

    Raises:
        ConfigError: not there, not readable, too large, not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_OCTETS + 1)
    except OSError as error:
        raise ConfigError(Problem(name, _why(error))) from None
    if len(content) > MAX_OCTETS:
        raise ConfigError(Problem(name, "is larger than 1MiB, so it is not a configuration"))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(Problem(name, "is not UTF-8; save it as UTF-8")) from None


def secret_file_problem(path: Path) -> str | None:
    """Why no secret can be read from the file; None: one can."""
    return _problem(path, b"", "is empty")


def caller_token_file_problem(path: Path) -> str | None:
    """Why the file holds no caller token; None: it does, a hard one to guess, less one trailing line end."""
    if (problem := secret_file_problem(path)) is not None:
        return problem
    token = path.read_bytes().removesuffix(b"\n").removesuffix(b"\r")
    if len(token) >= SHORTEST_TOKEN and all(0x21 <= octet <= 0x7E for octet in token):
        return None
    return f"names {path}, which does not hold {SHORTEST_TOKEN} or more visible ASCII characters alone"


def certificate_file_problem(path: Path) -> str | None:
    """Why the file holds no certificates; None: it looks as if it does."""
    return _problem(path, b"-----BEGIN ", "holds no certificate in PEM form")


def key_file_problem(path: Path) -> str | None:
    """Why the file holds no private key that can be used; None: it looks as if it does."""
    if (problem := _problem(path, b"PRIVATE KEY-----", "holds no private key in PEM form")) is not None:
        return problem
    if b"ENCRYPTED" in path.read_bytes():
        return f"names {path}, which is encrypted; name one without a passphrase"
    return None


def _problem(path: Path, marker: bytes, otherwise: str) -> str | None:
    limit = MAX_OCTETS if marker else MAX_SECRET_OCTETS
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return f"names {path}, which is not a regular file"
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:
        return f"names {path}, which {_why(error)}"
    if len(content) > limit:
        return f"names {path}, which is larger than {limit // 1024}KiB"
    return None if content.strip() and marker in content else f"names {path}, which {otherwise}"


def _why(error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return "does not exist"
        case PermissionError():
            return "cannot be read: permission denied"
        case IsADirectoryError():
            return "is a directory"
    return "cannot be read"
