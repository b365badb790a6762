"""Logging: one line per event on stderr, for people on a terminal, JSON elsewhere.

Nothing secret is logged on purpose. As a second net every finished line, tracebacks included, loses the
secrets that are known when it is written.
"""

import logging
import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

MASK = "***"
SHORTEST = 4
"""Characters; masking anything shorter would mangle every line, and hide nothing."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Redactor:
    """Masks known secrets, the present ones and those that were known before.

    Args:
        known: the secrets of this moment; asked for each line.
    """

    def __init__(self, known: Callable[[], Iterable[str]] = tuple) -> None:
        self.known = known
        self._earlier: deque[str] = deque(maxlen=256)

    def __call__(self, line: str) -> str:
        for secret in self.known():
            if len(secret) >= SHORTEST and secret not in self._earlier:
                self._earlier.append(secret)
        for secret in self._earlier:
            line = line.replace(secret, MASK)
        return line


class ForPeople(logging.Formatter):
    """`12:34:56 INFO    message key=value`."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        extras = "".join(f" {key}={value}" for key, value in extras_of(record).items() if value != "")
        head, *traceback = super().format(record).split("\n")
        return self._redact("\n".join((head + extras, *traceback)))


class ForMachines(JsonFormatter):
    """One JSON object per line."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__(
            "%(levelname)s %(message)s",
            rename_fields={"levelname": "level", "exc_info": "traceback"},
            timestamp="time",
        )
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


def extras_of(record: logging.LogRecord) -> dict[str, object]:
    """What was given as `extra`."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def set_up(level: str, style: Literal["auto", "console", "json"], redact: Redactor) -> None:
    """Send all logging to stderr.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        style: `auto` is console on a terminal, else json.
        redact: applied to every line.
    """
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ForPeople(redact) if console else ForMachines(redact))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # A closed pipe must not stop the proxy, nor fill stderr with tracebacks of logging itself.
    logging.raiseExceptions = False
    # What aiohttp says of a connection may hold octets of it; all that matters of it we say ourselves.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
