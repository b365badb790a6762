"""From one configuration to the next: what changes, and what is in the way."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from proxy.app.upstreams import RunningUpstream
from proxy.config.model import Config
from proxy.errors import StartError


@dataclass(frozen=True, slots=True)
class Change:
    """What a new configuration changed.

    Attributes:
        added, changed, removed: names of upstreams; a change of its credential or of the guard changes an
            upstream too.
        anything: whether the configuration changed anything at all.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    anything: bool


class Problems:
    """Collects errors, to raise all of them at once."""

    def __init__(self) -> None:
        self._said: dict[str, None] = {}

    def note(self, error: StartError) -> None:
        self._said[str(error)] = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        try:
            yield
        except StartError as error:
            self.note(error)

    def check(self) -> None:
        if self._said:
            raise StartError("\n".join(self._said))


def what_changed(
    before: Sequence[RunningUpstream], after: Sequence[RunningUpstream], old: Config | None, new: Config
) -> Change:
    was = {served.upstream.name: served for served in before}
    now = {served.upstream.name: served for served in after}
    added = tuple(name for name in now if name not in was)
    changed = tuple(name for name, served in now.items() if was.get(name, served) is not served)
    removed = tuple(name for name in was if name not in now)
    same = old is not None and (old.admin, old.callers, old.guard, old.log, old.shutdown, old.audit) == (
        new.admin,
        new.callers,
        new.guard,
        new.log,
        new.shutdown,
        new.audit,
    )
    return Change(added, changed, removed, bool(added or changed or removed) or not same)
