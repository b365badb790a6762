"""The page at the admin port. It is imported when a browser asks for it.

    /            the page; without JavaScript it names /status.json
    /page.css, /page.js, /icon.svg   its files
    /events      what it shows, as server-sent events: one each second, at most 16 streams at once

The page runs only its own script and reaches only its own origin (Content-Security-Policy), and no page of
another origin can frame it, open it with a handle, or read it. Its script writes every text with
`textContent`; Trusted Types forbid the alternatives.
"""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from proxy.admin import page_state
from proxy.admin.documents import Document, Stream
from proxy.admin.events import Events
from proxy.admin.history import History, Point
from proxy.admin.state import State, UpstreamView
from proxy.admin.status import Json
from proxy.clock import Clock
from proxy.gateway.records import RecentRequest

FILES: Final = Path(__file__).parent / "page_files"
POLICY: Final = (
    (
        "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Frame-Options: DENY",
    "Referrer-Policy: no-referrer",
    "Cross-Origin-Opener-Policy: same-origin",
)
_STATIC: Final = {
    b"/": ("index.html", "text/html; charset=utf-8"),
    b"/page.css": ("page.css", "text/css; charset=utf-8"),
    b"/page.js": ("page.js", "text/javascript; charset=utf-8"),
    b"/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Page:
    """The page, and what it shows.

    Args:
        wall: returns seconds since 1970.
        began: start of the proxy, in seconds on the Clock.
    """

    def __init__(
        self, state: State, clock: Clock, version: str, wall: Callable[[], float], began: float
    ) -> None:
        self._state = state
        self._clock = clock
        self._version = version
        self._wall = wall
        self._began = began
        self._history = History()
        self._events = Events(clock, self._sample, self._whole, self._news, self._forget)
        self._documents: dict[bytes, Document] = {}
        self._requests: tuple[RecentRequest, ...] = ()  # as they were at the last tick
        self._fresh: tuple[RecentRequest, ...] = ()  # of these, the ones since the tick before

    def part(self, path: bytes) -> Document | Stream:
        """Return the answer for one of its paths.

        Raises:
            RequestRefused: too many pages are open.
        """
        if path == b"/events":
            self._events.check()
            return self._events
        if path not in self._documents:
            name, content_type = _STATIC[path]
            self._documents[path] = Document(200, content_type, (FILES / name).read_bytes(), POLICY)
        return self._documents[path]

    # -- events --

    def _sample(self) -> None:
        tallies = ((view.name, view.tally) for view in self._state.upstreams)
        self._history.sample(self._clock.now(), tallies)
        recent = self._state.recent
        requests = tuple(recent.requests) if recent is not None else ()
        before = self._requests[-1] if self._requests else None
        # A request is known by its identity, because equal ones happen.
        known = next((at for at in range(len(requests), 0, -1) if requests[at - 1] is before), 0)
        self._requests, self._fresh = requests, requests[known:]

    def _forget(self) -> None:
        self._history = History()
        self._requests = ()

    def _whole(self) -> Json:
        """Return everything, with all points and requests until the last tick."""
        points = {name: [_rounded(each) for each in kept] for name, kept in self._history.points.items()}
        return self._document(self._requests, points) | {"whole": True}

    def _news(self) -> Json:
        """Return the state, the newest point of each upstream, and the requests since the last tick."""
        points = {name: [_rounded(kept[-1])] for name, kept in self._history.points.items()}
        return self._document(self._fresh, points) | {"whole": False}

    def _document(
        self, requests: tuple[RecentRequest, ...], points: Mapping[str, list[Json]]
    ) -> dict[str, Json]:
        now, wall, state = self._clock.now(), self._wall(), self._state
        shown = page_state.document(
            state.snapshot(now), state.facts(), self._version, now - self._began, wall
        )
        problems = state.recent.problems if state.recent is not None else ()
        return shown | {
            "points": dict(points),
            "problems": page_state.problems(tuple(problems), wall - now),
            "requests": page_state.requests(requests, wall - now) if state.listed else None,
            "certificates": [each for view in state.upstreams for each in _certificates(view)],
        }


def _rounded(point: Point) -> Json:
    return [None if value is None else round(value, 4) for value in point]


def _certificates(view: UpstreamView) -> list[Json]:
    found = view.certificate() or {}
    ends = found.get("notAfter")
    if not isinstance(ends, str):
        return []
    subject = {key: value for part in found.get("subject", ()) for key, value in part}
    names = [str(name) for _, name in found.get("subjectAltName", ())]
    name = names[0] if names else str(subject.get("commonName", ""))
    return [{"upstream": view.name, "name": name, "ends": float(ssl.cert_time_to_seconds(ends))}]
