"""Decides which configuration counts: what an option names, then the environment, then a file that it finds.

Whatever was named and is not used gets a notice; an option that is not used is an error.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from proxy.config.camunda.names import GROUP, OF_EXEC, OF_KUBERNETES, OWN
from proxy.config.camunda.notices import listed, unread
from proxy.config.camunda.sources import sources
from proxy.config.camunda.variables import describe_a_configuration
from proxy.config.written.env_file import EnvFile
from proxy.config.written.findings import Written, nearest
from proxy.errors import Problem

FILE = "camunda-auth-proxy.yaml"
SYSTEM_FILE = Path("/etc/camunda-auth-proxy/config.yaml")
PREFIX = OWN
CONFIG = f"{PREFIX}CONFIG"
_SHOWN = re.compile(r"[A-Z_]{1,60}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """A YAML file.

    Attributes:
        path: as it was named; a relative one is below the working directory.
        by: who names it: `--config`, a variable, or empty: the proxy has found it by itself.
    """

    path: Path
    by: str

    @property
    def found(self) -> bool:
        return not self.by

    @property
    def source(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """Name for problems of reading it. It may be a secret if a variable holds it."""
        return f"the file that {CONFIG} names" if self.by == CONFIG else self.source


class Choice:
    """The configuration that counts, as far as that is known.

    Attributes:
        env_file: of `--env-file`.
        place: the YAML file that counts; None: variables count.
        variables: for `${NAME}`: the file's, then the environment's.
        origin: where the configuration comes from, in words.
        notices: about what is not used.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.env_file: EnvFile | None = None
        self.place: Place | None = None
        self.variables = _Asked()
        self.origin = ""
        self._directory = Path()
        self.notices: list[str] = []

    @property
    def source(self) -> str:
        """Where the configuration comes from, in short."""
        if self.place is not None:
            return self.place.source
        return "environment" if self.env_file is None else f"--env-file {self.env_file.name}"

    def begin(self, config: Path | None, directory: Path) -> Place | None:
        """Return the YAML file to read; None: there is none."""
        self._directory = directory
        self.variables.update(self.environ)
        if self.env_file is not None:
            self.variables.update(self.env_file.variables)
            self.notices.extend(self.env_file.notices)
        named = self.environ.get(CONFIG)
        if config is not None:
            self.place = Place(config, "--config")
            if named and Path(named) != config:
                self.notices.append(f"{CONFIG} is not used, because --config names another file")
        elif named:
            self.place = Place(Path(named), CONFIG)
        elif (path := _find(self.environ, directory)) is not None:
            self.place = Place(path, "")
        self.origin = self._origin()
        return self.place

    def counts(self) -> bool:
        """Tell whether the YAML file, which was just read, counts. If not, variables count instead."""
        place, file = self.place, self.env_file
        if place is None or place.by == "--config":
            return True
        if file is not None:
            rival = f"--env-file {file.name}"
            names = file.variables.keys()
            beaten = not self.variables.asked & names and bool(GROUP.keys() & names)
        else:
            rival = "the environment"
            beaten = place.found and not self.variables.asked & GROUP.keys()
        if not (beaten and describe_a_configuration(self.environ, file)):
            return True
        name = place.by or place.source
        self.notices.append(f"{name} is not used, because {rival} counts before it; --config uses the file")
        self.place = None
        self.origin = self._origin()
        return False

    def tell_origins(self, written: Written) -> None:
        """Add to the origin those variables of the environment that complete the file."""
        if self.env_file is None:
            return
        names = {origin for origin in written.origins.values() if isinstance(origin, str)}
        around = sorted((names & self.environ.keys()) - self.env_file.variables.keys())
        if around:
            self.origin += f", and of the environment {listed(around)}"

    def more_problems(self) -> list[Problem]:
        """Return what may have caused other problems: variables that cannot be used as they are written."""
        if not self.origin:
            return []
        if self.place is None:
            return unread(sources(self.environ, self.env_file))
        return list(self.env_file.unusable.values()) if self.env_file is not None else []

    def unused(self) -> list[Problem]:
        """Return the problem of an option that is not used."""
        if self.place is None or self.env_file is None:
            return []
        if self.variables.asked & self.env_file.variables.keys():
            return []
        source = self.place.source
        message = f"is not used: {source} takes no variable from it; write ${{NAME}} there, or leave it out"
        return [Problem(f"--env-file {self.env_file.name}", message)]

    def late_notices(self, ours: frozenset[str]) -> list[str]:
        """Return notices about variables that another source of variables overrules, or that are not known.

        Args:
            ours: names of the proxy's own variables.
        """
        notices = self._twin()
        if self.env_file is not None and CONFIG in self.env_file.variables:
            notices.append(f"{CONFIG} is not read from --env-file; name the file with --config")
        mine = (name for name in sorted(self.variables.keys() - ours) if name.startswith(OWN))
        known = (OF_KUBERNETES, OF_EXEC)
        unknown = [
            name
            for name in mine
            if _SHOWN.fullmatch(name) and not any(each.fullmatch(name) for each in known)
        ]
        notices += [f"{name} is not known{nearest(name, ours)}" for name in unknown]
        return notices if self.place is None else [*notices, *self._overruled(self.place)]

    def _twin(self) -> list[str]:
        """Return a notice about a file that differs in its suffix only, and is not used."""
        place = self.place
        twin = place.path.with_suffix(".yml") if place is not None and place.found else None
        if place is None or twin is None or twin == place.path or not os.path.lexists(self._directory / twin):
            return []
        return [f"{twin} is not used, because {place.source} counts; remove one of them"]

    def _overruled(self, place: Place) -> list[str]:
        """Return notices about variables beside a YAML file that are not used."""
        if (file := self.env_file) is None:
            if self.variables.asked & GROUP.keys() or not describe_a_configuration(self.environ, None):
                return []
            names = listed(sorted(name for name in self.environ if name in GROUP))
            return [f"of the environment not used, because {place.source} counts: {names}"]
        notices = [f"{problem}. The line is left out" for problem in file.unusable.values()]
        both = self.variables.asked & file.variables.keys() & self.environ.keys()
        if differing := sorted(name for name in both if file.variables[name] != self.environ[name]):
            what = f"the environment sets {listed(differing)} otherwise"
            notices.append(f"{what}; --env-file {file.name} is used, and these are not")
        return notices

    def _origin(self) -> str:
        file = f"--env-file {self.env_file.name}" if self.env_file is not None else ""
        if self.place is None:
            return f"the variables of {file or 'the environment'}"
        by = f"named by {self.place.by}" if self.place.by else "found by itself"
        path = "the file" if self.place.by == CONFIG else self.place.source
        return f"{path} ({by}{f', with variables of {file}' if file else ''})"


class _Asked(dict[str, str]):
    """Variables, and which of them were asked for.

    Attributes:
        asked: names that are set and were looked up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self._note(name)
        return super().__getitem__(name)

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """Return the variable."""
        self._note(name)
        return super().get(name, default)

    def _note(self, name: str) -> None:
        if name in self:
            self.asked.add(name)


def _find(environ: Mapping[str, str], directory: Path) -> Path | None:
    """Return the first configuration file that exists, else None. A relative path is below `directory`.

    Each name may end in `.yml` too; of two files in one folder, that with `.yaml` is used.
    """
    home = environ.get("XDG_CONFIG_HOME") or (environ["HOME"] + "/.config" if environ.get("HOME") else None)
    homes = [folder for folder in (home, environ.get("APPDATA")) if folder]  # %APPDATA%: Windows
    places = [Path(FILE), *(Path(each, "camunda-auth-proxy", "config.yaml") for each in homes), SYSTEM_FILE]
    spelled = (spelling for place in places for spelling in (place, place.with_suffix(".yml")))
    return next((place for place in spelled if os.path.lexists(directory / place)), None)
