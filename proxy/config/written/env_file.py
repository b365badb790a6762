"""Reads files of variables: what Camunda's Console offers, `.env` files, files for `docker run --env-file`.

The rules are those of shells, Docker Compose and dotenv where these agree: `export`, comments, quotes over
several lines, `${NAME}` outside single quotes. Lines of other formats are left out with a notice, or refused
with the name of their format. No message holds a value, or a text that may be one.
"""

import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from proxy.config.written.variables import substitute
from proxy.errors import ConfigError, Problem

NOTHING: Mapping[str, str] = MappingProxyType({})

LARGEST = 4 * 1024 * 1024
"""Most characters of all values together, after `${NAME}` is replaced."""
LONGEST = 400
"""Most lines of one value; a chain of certificates needs about a hundred."""

_SHELL = r"(?:(?:export|readonly|declare\s+-x|typeset\s+-x|set(?=\s+[A-Za-z_]\w*=))\s+)?"
_ASSIGNMENT = re.compile(
    rf"(?:{_SHELL}([A-Za-z_][A-Za-z0-9_]*)|\$\{{?[Ee][Nn][Vv]:([A-Za-z_][A-Za-z0-9_]*)\}}?)\s*=\s*(.*)",
    re.ASCII,
)
_PROPERTY = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*[-.][A-Za-z0-9_.-]*)\s*=\s*(.*)", re.ASCII)
"""A name that Docker and Spring take and shells do not."""

_QUOTED = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)
_END = re.compile(r"\s*;?\s*(?:#.*)?")
_ESCAPED = re.compile(r'\\([\\"$`])')

_CAMUNDAS = re.compile(r"(CAMUNDA|ZEEBE)_[A-Z0-9_]{1,90}", re.ASCII)
_BARE = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)
_SHOWN = re.compile(r"(camunda|zeebe)[a-z_.-]{1,90}", re.ASCII | re.IGNORECASE)
"""Names that messages show; they have no digits, so none of them is a piece of a secret."""

_LEFT_OUT = (
    (
        re.compile(r"(?:set|unset|source|\.|echo|eval|alias|cd|umask|shopt|trap|printf)(?:\s|$)"),
        "it is a shell command",
    ),
    (re.compile(r"-----(?:BEGIN|END) [A-Z ]+-----"), "it is a part of a certificate or key without quotes"),
    (re.compile(r";|//|--(?!env[\s=])|!|::|@|[Rr][Ee][Mm](?:\s|$)"), "it is a comment of another format"),
    (re.compile(r"\[[^\]=]*\]\s*(?:[#;].*)?$"), "it is a heading"),
)
_REFUSED = (
    (re.compile(r"-\s.*"), "is an entry of a YAML list; write NAME=value, without the dash"),
    (
        re.compile(r"""[A-Za-z_][A-Za-z0-9_.-]*\s*:(?:\s.*)?"""),
        "is YAML (NAME: value), as in a Compose file; write NAME=value. The proxy's own YAML is for --config",
    ),
    (re.compile(r"""[{}]\s*,?|["'][^"']*["']\s*:.*"""), "is JSON; write NAME=value"),
    (re.compile(r"(?:-e|--env)[\s=].*"), "is an option of docker run; write NAME=value, without -e"),
    (re.compile(r"setx\s.*", re.IGNORECASE), "is a command of Windows (setx NAME value); write NAME=value"),
    (re.compile(r"setenv\s.*"), "is a command of csh (setenv NAME value); write NAME=value"),
)
UNKNOWN = "is not NAME=value, a comment or a blank line"
UNCLOSED = "has a quote that is not closed, or text after the closing quote"


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The variables of a file.

    Attributes:
        name: of the file, for people.
        variables: names and values. Names with `-` or `.` are here in the form of the environment, as Spring
            Boot reads them (`camunda.client.auth.client-id` is CAMUNDA_CLIENT_AUTH_CLIENTID).
        spelled: the names of these as they were written.
        unusable: variables whose `${NAME}` cannot be replaced; each with its problem.
        notices: sentences about lines that were left out.
    """

    name: str
    variables: Mapping[str, str] = field(repr=False)
    spelled: Mapping[str, str] = field(default_factory=dict)
    unusable: Mapping[str, Problem] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def read_env_file(text: str, name: str, environ: Mapping[str, str] = NOTHING) -> EnvFile:
    """Read lines of `NAME=value`; of several lines for one name the last wins.

    Args:
        text: the file; lines may end with CRLF.
        name: of the file, for messages.
        environ: where `${NAME}` is looked up if no line above it sets the name.

    Raises:
        ConfigError: lines that may have been meant as variables, by their numbers.
    """
    reader = _Reader(text, name, environ)
    while reader.at < len(reader.lines) and reader.size <= LARGEST:
        reader.read()
    if reader.size > LARGEST:
        raise ConfigError(Problem(name, "holds more than 4MiB of text after ${NAME} is replaced", reader.at))
    if reader.problems:
        raise ConfigError(*reader.problems)
    for written, value in reader.properties.items():
        variable = as_variable(written)
        if variable not in reader.found and variable not in reader.unusable:
            reader.found[variable] = value
            reader.spelled[variable] = written
    return EnvFile(name, reader.found, reader.spelled, reader.unusable, tuple(reader.notices))


def as_variable(name: str) -> str:
    """Return the variable of a property of Spring Boot: dots become `_`, dashes go, all in upper case."""
    return name.replace(".", "_").replace("-", "").upper()


class _Reader:
    """Reads line by line.

    Attributes:
        at: index of the next line.
        found: variables so far; `properties`: those whose names have `-` or `.`.
        size: characters of all values so far.
    """

    def __init__(self, text: str, name: str, environ: Mapping[str, str]) -> None:
        self.lines = text.split("\n")
        self.at = 0
        self.size = 0
        self.found: dict[str, str] = {}
        self.properties: dict[str, str] = {}
        self.spelled: dict[str, str] = {}
        self.unusable: dict[str, Problem] = {}
        self.problems: list[Problem] = []
        self.notices: list[str] = []
        self._name = name
        self._known = ChainMap(self.found, dict(environ))
        self._longest = max(map(len, environ.values()), default=0)
        self._several = True

    def read(self) -> None:
        """Read the next line, and those that its quotes span."""
        line, self.at = self.lines[self.at].removesuffix("\r").lstrip(), self.at + 1
        if not line or line.startswith("#"):
            return
        if (match := _ASSIGNMENT.fullmatch(line)) is not None:
            self._assign(match[1] or match[2], match[3], self.found)
        elif (match := _PROPERTY.fullmatch(line)) is not None:
            self._property(match[1], match[2])
        else:
            self._other(line.rstrip())

    def _property(self, written: str, value: str) -> None:
        if _CAMUNDAS.fullmatch(as_variable(written)):
            self._assign(written, value, self.properties)
        else:
            self._leave_out("no shell takes its name, which has a - or .")

    def _other(self, line: str) -> None:
        for pattern, why in _LEFT_OUT:
            if pattern.match(line):
                self._leave_out(why)
                return
        if _BARE.fullmatch(line) and (line in self._known or _CAMUNDAS.fullmatch(line)):
            if line not in self._known:
                self._leave_out("it has no value")
            return
        told = (why for pattern, why in _REFUSED if pattern.fullmatch(line))
        self.problems.append(Problem(self._name, next(told, UNKNOWN), self.at))

    def _leave_out(self, why: str) -> None:
        self.notices.append(f"{self._name} (line {self.at}): the line is left out, because {why}")

    def _assign(self, name: str, text: str, into: dict[str, str]) -> None:
        number = self.at
        try:
            value = self._value(text)
        except ValueError as error:
            shown = name if _CAMUNDAS.fullmatch(name) or _SHOWN.fullmatch(name) else "the variable"
            message = f"{shown} {error}; if the ${{ is part of the value, put it in single quotes"
            into.pop(name, None)
            self.unusable[as_variable(name)] = Problem(self._name, message, number)
            return
        if value is None:
            self.problems.append(Problem(self._name, UNCLOSED, number))
            return
        self.unusable.pop(as_variable(name), None)
        into[name] = value
        self.size += len(value)
        self._longest = max(self._longest, len(value))

    def _value(self, text: str) -> str | None:
        """Return the value that begins with `text`; None: a quote is not closed.

        Raises:
            ValueError: a `${` that cannot be replaced; the sentence holds no value.
        """
        if not text.startswith(("'", '"')):
            return self._replaced(re.sub(r"(?:^|\s)#.*", "", text).rstrip())
        begin = self.at
        pieces, rest = _pieces(text)
        if rest is None and self._several:
            pieces, rest = self._several_lines(text)
        if rest is None or not _END.fullmatch(rest):
            self.at = begin
            return None
        return "".join(self._unquoted(single, double) for single, double in pieces)

    def _several_lines(self, text: str) -> tuple[list[tuple[str | None, str | None]], str | None]:
        """Return what `_pieces` does for `text` and as many of the next lines as its quotes span."""
        for line in self.lines[self.at : self.at + LONGEST]:
            text, self.at = f"{text}\n{line.removesuffix(chr(13))}", self.at + 1
            if "'" in line or '"' in line:
                pieces, rest = _pieces(text)
                if rest is not None:
                    return pieces, rest
        self._several = False  # because a file of many open quotes would take a quadratic time
        return [], None

    def _unquoted(self, single: str | None, double: str | None) -> str:
        if double is None:
            return single or ""
        parts = _ESCAPED.split(double)  # every second one is an escaped character
        parts[::2] = map(self._replaced, parts[::2])
        return "".join(parts)

    def _replaced(self, text: str) -> str:
        if (references := text.count("${")) == 0:
            return text
        if references * self._longest > LARGEST:
            self.size = LARGEST + 1
            return ""
        return substitute(text, self._known)


def _pieces(text: str) -> tuple[list[tuple[str | None, str | None]], str | None]:
    """Return the quoted pieces that `text` begins with, one behind the other, and what follows the last one.

    None instead of the rest: a quote is not closed.
    """
    pieces: list[tuple[str | None, str | None]] = []
    at = 0
    while text[at : at + 1] in {"'", '"'}:
        match = _QUOTED.match(text, at)
        if match is None:
            return pieces, None
        pieces.append((match[1], match[2]))
        at = match.end()
    return pieces, text[at:]
