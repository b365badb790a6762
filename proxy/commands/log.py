"""Sets up logging: one line per event on stderr, as text on a terminal, else as JSON.

No code logs a secret on purpose. As a second protection, the secrets known at that moment are masked in every
finished line, tracebacks included.
"""

import logging
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

from proxy.masking import MASK, SHORTEST, forms

REMEMBERED = 1024
"""Most secrets that stay masked, those included that have been replaced."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Redactor:
    """Masks known secrets, present and earlier ones, in every form that `forms` returns.

    Args:
        known: returns the present secrets; called for each line.
    """

    def __init__(self, known: Callable[[], Iterable[str]] = tuple) -> None:
        self.known = known
        self._earlier: OrderedDict[str, set[str]] = OrderedDict()
        self._begin: dict[str, set[str]] = {}

    def __call__(self, line: str) -> str:
        for secret in self.known():
            if len(secret) >= SHORTEST and secret not in self._earlier:
                self._remember(secret)
        # Looked up by their first characters, so that many secrets cost no more than few: one pass per line.
        places = range(len(line) - SHORTEST + 1)
        begun = {start for place in places if (start := line[place : place + SHORTEST]) in self._begin}
        for form in sorted({form for start in begun for form in self._begin[start]}, key=len, reverse=True):
            line = line.replace(form, MASK)
        return line

    def _remember(self, secret: str) -> None:
        self._earlier[secret] = forms(secret)
        if len(self._earlier) > REMEMBERED:
            self._earlier.popitem(last=False)
        self._begin = {}
        for written in self._earlier.values():
            for form in written:
                self._begin.setdefault(form[:SHORTEST], set()).add(form)


class ForPeople(logging.Formatter):
    """Writes `12:34:56 INFO    message key=value`."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        extras = "".join(f" {key}={value}" for key, value in extras_of(record).items() if value != "")
        head, *traceback = super().format(record).split("\n")
        return self._redact("\n".join((head + extras, *traceback)))


class ForMachines(JsonFormatter):
    """Writes one JSON object per line."""

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
    """Return the values that were given as `extra`."""
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
    # aiohttp's messages about a connection may hold bytes of it; we log ourselves whatever matters.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
