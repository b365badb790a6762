"""Checks the files that the configuration names: whether each exists and holds what it should."""

import os
from collections.abc import Callable
from pathlib import Path

from proxy.config.model import SHORTEST_TOKEN
from proxy.errors import ConfigError, Problem
from proxy.files import PATIENCE, NotRegular, read_any, read_regular
from proxy.secret_text import NotText, is_jwt, oddities, read_text

MAX_OCTETS = 1024 * 1024
MAX_SECRET_OCTETS = 64 * 1024
MISSING = "does not exist"


def read_utf8(
    path: Path, name: str, distrusted: Callable[[os.stat_result], str | None] = lambda _: None
) -> str:
    """Read a configuration or a file of variables; drop a byte order mark.

    Args:
        name: of the file in errors.
        distrusted: gets the state of the file that was read; returns why it must not be used, or None.

    Raises:
        ConfigError: not there, not readable, not to be used, too large, not UTF-8.
    """
    try:
        content, state = read_any(path, MAX_OCTETS)
        problem = distrusted(state)
    except (OSError, ValueError) as error:
        raise ConfigError(Problem(name, _why(error))) from None
    if problem is not None:
        raise ConfigError(Problem(name, problem))
    if len(content) > MAX_OCTETS:
        raise ConfigError(Problem(name, "is larger than 1MiB, so it is not a configuration"))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(Problem(name, "is not UTF-8; save it as UTF-8")) from None


def secret_file_problem(path: Path) -> str | None:
    """Say why no secret can be read from the file, as text that follows its name; None: one can."""
    content, problem = _read(path, b"", "is empty")
    if problem is None:
        try:
            problem = None if read_text(content) else "is empty"
        except NotText as error:
            problem = str(error)
    return problem


def secret_file_oddities(path: Path) -> list[str]:
    """Say what looks odd in the secret of a file: predicates about it."""
    content, problem = _read(path, b"", "is empty")
    try:
        return oddities(read_text(content)) if problem is None else []
    except NotText:
        return []


def jwt_file_problem(path: Path) -> str | None:
    """Say why the file holds no JWT, as an assertion has to be; None: it looks as if it does.

    White space around the JWT is allowed, because people write a line end.
    """
    problem = secret_file_problem(path)
    if problem is None and not is_jwt(read_text(_read(path, b"", "is empty")[0]).strip()):
        return "holds no JWT (three parts with a dot between them)"
    return problem


def caller_token_file_problem(path: Path) -> str | None:
    """Say why the file holds no caller token that is hard to guess; None: it does.

    One line end after it is allowed.
    """
    content, problem = _read(path, b"", "is empty")
    if problem is not None:
        return problem
    token = _line(content)
    if len(token) >= SHORTEST_TOKEN and all(0x21 <= byte <= 0x7E for byte in token):
        return None
    return f"must hold {SHORTEST_TOKEN} or more visible ASCII characters and nothing else"


def caller_token_in(path: Path) -> bytes | None:
    """Return the caller token that the file holds; None: it cannot be read."""
    content, problem = _read(path, b"", "is empty")
    return _line(content) if problem is None else None


def _line(content: bytes) -> bytes:
    return content.removesuffix(b"\n").removesuffix(b"\r")


def certificate_file_problem(path: Path) -> str | None:
    """Say why the file holds no certificates; None: it looks as if it does."""
    return _read(path, b"-----BEGIN ", "holds no certificate in PEM form")[1]


def key_file_problem(path: Path) -> str | None:
    """Say why the file holds no private key that can be used; None: it looks as if it does."""
    content, problem = _read(path, b"PRIVATE KEY-----", "holds no private key in PEM form")
    if problem is None and b"ENCRYPTED" in content:
        return "is encrypted; name one without a passphrase"
    return problem


def _read(path: Path, marker: bytes, otherwise: str) -> tuple[bytes, str | None]:
    """Return what the file holds, and what is wrong with it."""
    limit = MAX_OCTETS if marker else MAX_SECRET_OCTETS
    try:
        content, _ = read_regular(path, limit)
    except (OSError, ValueError) as error:
        return b"", _why(error)
    if len(content) > limit:
        return b"", f"is larger than {limit // 1024}KiB"
    return content, None if content.strip() and marker in content else otherwise


def _why(error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return MISSING
        case PermissionError():
            return "cannot be read: permission denied"
        case IsADirectoryError():
            return "is a directory"
        case NotRegular():
            return "is not a regular file"
        case TimeoutError():
            return f"could not be read within {PATIENCE:.0f} s"
    return "cannot be read"
