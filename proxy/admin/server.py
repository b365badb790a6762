"""Answers at the admin ports.

    /health/startup   200 once the listeners are bound and the first fetches have ended, else 503
    /health/live      200, because the event loop runs
    /health/ready     200 while every upstream has a usable credential and we are not shutting down, else 503
    /metrics          Prometheus' text format, or OpenMetrics by Accept
    /status.json      the state of everything
    /                 the page for people, with /page.css, /page.js, /icon.svg and /events (see `page.py`)

Only GET and HEAD are allowed, and no request changes anything. `admin.listen` is guarded as every listener
is. `admin.probe_listen` has health and metrics only, and accepts any host name, because the kubelet and
Prometheus use the pod's address.
"""

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from proxy.admin import status
from proxy.admin.documents import Document, Stream, json_document
from proxy.admin.state import State
from proxy.clock import Clock, http_date, wall_time
from proxy.errors import ProxyError, RequestRefused
from proxy.gateway.call import Addressed, AnswerSink, Call, Service
from proxy.gateway.guard import Guard
from proxy.gateway.outcomes import record_of
from proxy.gateway.problem_log import ProblemLog, ProblemObserver
from proxy.gateway.problems import OwnAnswer, answer_to
from proxy.gateway.request_head import RequestHead

if TYPE_CHECKING:
    from proxy.admin.metrics import Metrics
    from proxy.admin.page import Page

log = logging.getLogger(__name__)

PAGE_PATHS: Final = (b"/", b"/page.css", b"/page.js", b"/icon.svg", b"/events")

Route = Callable[[RequestHead], Document | Stream]


class Admin:
    """Makes the services of the admin ports.

    Args:
        version: of the proxy.
        wall: returns seconds since 1970.
        notes: gets the errors that are worth a line in the log; None: none.
    """

    def __init__(
        self,
        state: State,
        clock: Clock,
        version: str,
        wall: Callable[[], float] = wall_time,
        notes: ProblemObserver | None = None,
    ) -> None:
        self._problems = ProblemLog(notes)
        self._state = state
        self._clock = clock
        self._version = version
        self._wall = wall
        self._metrics: Metrics | None = None
        self._began = clock.now()
        self._page: Page | None = None
        self._probes: dict[bytes, Route] = {
            b"/health/startup": self._startup,
            b"/health/live": self._live,
            b"/health/ready": self._ready,
            b"/metrics": self._exposition,
        }

    def service(self, guard: Guard) -> Service:
        """Make the service of `admin.listen`."""
        routes: dict[bytes, Route] = {
            **self._probes,
            b"/status.json": self._overview,
            **dict.fromkeys(PAGE_PATHS, self._part_of_page),
        }
        return _AdminService(routes, self._state, guard, self._note)

    def probe_service(self) -> Service:
        """Make the service of `admin.probe_listen`."""
        self._collect()  # Prometheus will ask there, and then no request should wait for an import
        return _AdminService(self._probes, self._state, None, self._note)

    def _note(self, answer: OwnAnswer, request_id: str, caller: AnswerSink, head: RequestHead | None) -> None:
        record = record_of("", answer, request_id, caller, head.notable if head is not None else [])
        self._problems.note(self._clock.now(), record)

    def _startup(self, _: RequestHead) -> Document:
        snapshot = self._state.snapshot(self._clock.now())
        return json_document(status.startup(snapshot), ok=snapshot.started)

    def _live(self, _: RequestHead) -> Document:
        return json_document({"live": True})

    def _ready(self, _: RequestHead) -> Document:
        snapshot = self._state.snapshot(self._clock.now())
        return json_document(status.readiness(snapshot), ok=snapshot.ready)

    def _overview(self, _: RequestHead) -> Document:
        now = self._clock.now()
        snapshot, uptime = self._state.snapshot(now), now - self._began
        return json_document(status.overview(snapshot, self._version, uptime, self._wall()))

    def _part_of_page(self, head: RequestHead) -> Document | Stream:
        if self._page is None:
            from proxy.admin.page import Page  # only when a browser asks for it

            self._page = Page(self._state, self._clock, self._version, self._wall, self._began)
        return self._page.part(head.target.split(b"?", 1)[0])

    def _exposition(self, head: RequestHead) -> Document:
        accept = b",".join(value for name, value in head.fields if name.lower() == b"accept")
        return Document(200, *self._collect().exposition(accept.decode("latin-1")))

    def _collect(self) -> "Metrics":
        if self._metrics is None:
            from proxy.admin.metrics import Metrics  # with prometheus_client it takes 5 MiB

            self._metrics = Metrics(self._state, self._clock, self._version, self._wall)
        return self._metrics


class _AdminService:
    """A `Service` that answers at the routes of a port.

    Args:
        guard: decides which requests are allowed; None: all.
        note: is told of each error.
    """

    replay_buffer = 0
    patience = 10.0

    def __init__(
        self,
        routes: Mapping[bytes, Route],
        state: State,
        guard: Guard | None,
        note: Callable[[OwnAnswer, str, AnswerSink, RequestHead | None], None],
    ) -> None:
        self._note = note
        self._routes = routes
        self._state = state
        self._guard = guard
        more = " The page for people is /, the state as JSON is /status.json." if b"/" in routes else ""
        self._no_such_path = f"There is no such path on this port.{more}"

    async def forward(self, call: Call) -> None:
        """Answer one request."""
        head, date = call.head, http_date()
        call.last = call.last or call.unread or self._state.draining
        keep_alive, with_body = call.keeps_connection(), head.method != b"HEAD"
        answer = self._answer(head)
        if isinstance(answer, Document):
            data = answer.encoded(date, keep_alive=keep_alive, minor=head.minor, with_body=with_body)
        elif not isinstance(answer, OwnAnswer):
            await answer.answer(call, date)
            return
        else:
            request_id = _new_id()
            data = answer.encoded(
                request_id, date, keep_alive=keep_alive, minor=head.minor, with_body=with_body
            )
            self._note(answer, request_id, call.caller, head)
        call.caller.write(data)

    def refuse(self, caller: AnswerSink, error: RequestRefused, raw: bytes) -> None:
        """Answer bytes that are no request; the connection ends after it."""
        answer, request_id = _problem(error), _new_id()
        caller.write(answer.encoded(request_id, http_date(), keep_alive=False))
        self._note(answer, request_id, caller, None)

    def unheard(self, caller: Addressed, error: RequestRefused) -> None:
        """Do nothing, because the admin ports have no TLS."""

    def received(self, size: int) -> None:
        """Ignore the number of bytes; the admin ports do not count them."""

    def admits(self, _call: Call, *, reloaded: bool = False) -> bool:
        """Let each request end, because the admin ports know no callers."""
        return True

    def _answer(self, head: RequestHead) -> Document | Stream | OwnAnswer:
        try:
            if self._guard is not None:
                self._guard.check(head)
            route = self._routes.get(head.target.split(b"?", 1)[0])
            if head.method not in (b"GET", b"HEAD"):
                return _problem(RequestRefused("not_allowed", "Use GET or HEAD at this port.", status=405))
            if route is None:
                return _problem(RequestRefused("not_found", self._no_such_path))
            return route(head)
        except ProxyError as error:
            return _problem(error)
        except Exception:
            # caught here, because otherwise aiohttp would send its own error page
            log.exception("a fault in the proxy's admin port")
            return _problem(ProxyError())


def _problem(error: ProxyError) -> OwnAnswer:
    return answer_to(error)._replace(allow="GET, HEAD")


def _new_id() -> str:
    return secrets.token_hex(8)
