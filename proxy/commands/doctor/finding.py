"""Pure: what the doctor finds, as values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from urllib.parse import SplitResult, urlsplit

Mark = Literal["ok", "notice", "wrong", "skipped"]


class Why(NamedTuple):
    """Why a step found something wrong.

    Attributes:
        name: of the cause, for machines and tests.
        words: sentences for people, with the setting, or the place in Console, Identity or Camunda's own
            configuration, to change.
    """

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: `dns`, `tcp`, `http_proxy`, `tls`, `token`, `clock`, or what was called: `GET /v2/topology`.
        said: what was seen.
        seconds: how long it took; None: not measured.
        why: set if the mark is `wrong` or `notice`.
        facts: the same as `said` for machines.
    """

    name: str
    mark: Mark
    said: str = ""
    seconds: float | None = None
    why: Why | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """The steps of one credential or upstream.

    Attributes:
        subject: `configuration`, `credentials.NAME`, `store`, `upstreams.NAME`.
        title: for people.
    """

    subject: str
    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was found; `source`: where the configuration came from."""

    source: str
    sections: tuple[Section, ...]

    @property
    def wrong(self) -> tuple[tuple[Section, Step], ...]:
        """The steps that found something wrong."""
        return tuple(
            (section, step) for section in self.sections for step in section.steps if step.mark == "wrong"
        )


def failed(steps: Iterable[Step]) -> bool:
    """Tell whether one of them found something wrong."""
    return any(step.mark == "wrong" for step in steps)


def day(moment: float) -> str:
    """Return a time in seconds since 1970 for people; empty: there is no such date."""
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return ""


def duration(seconds: float) -> str:
    """Return a duration for people: `45 s`, `12 min`, `3 h`, `63 days`."""
    for size, unit, most in ((1, "s", 120), (60, "min", 7200), (3600, "h", 172800)):
        if abs(seconds) < most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def listed(values: Iterable[str]) -> str:
    """Return values for people, each in backticks."""
    return ", ".join(f"`{value}`" for value in values)


def split(url: str) -> SplitResult:
    """Return the parts of a URL that a server wrote; all are empty if it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")
