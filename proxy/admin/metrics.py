"""Turns the plain counts of credentials and gateway into Prometheus' samples, at each scrape."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from proxy import is_compiled
from proxy.admin.state import AuditCounts, State
from proxy.admin.status import Seen, Snapshot
from proxy.clock import Clock, wall_time
from proxy.credentials.keeper import Keeper
from proxy.credentials.sharing import StoreAnswer, StoreTally
from proxy.errors import FetchOutcome
from proxy.gateway.tally import Tally
from proxy.gateway.watch import UpstreamHealth
from proxy.histogram import Histogram

OPENMETRICS: Final = "application/openmetrics-text"
PREFIX: Final = "camunda_auth_proxy_"
RELOADS: Final = ("ok", "refused")
STATES: Final = get_args(UpstreamHealth)
REPAIRS: Final = ("ok", "refused_again", "same_credential", "no_credential", "not_replayable", "too_soon")

_Labels = tuple[str, ...]


class Metrics:
    """The metrics, in a registry of their own, so that no other library adds to them.

    Args:
        wall: returns seconds since 1970, for times that Prometheus compares with its own clock.
    """

    def __init__(
        self, state: State, clock: Clock, version: str, wall: Callable[[], float] = wall_time
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Counts(state, clock, version, wall))
        ProcessCollector(registry=self._registry)

    def exposition(self, accept: str) -> tuple[str, bytes]:
        """Return the content type and the bytes.

        Args:
            accept: the Accept field; a client that names OpenMetrics there gets that, others the text format.
        """
        # Not the field itself, because a version in it would be copied to our Content-Type, or raise.
        encode, content_type = choose_encoder(OPENMETRICS if OPENMETRICS in accept.lower() else "")
        return content_type, encode(self._registry)


class _Counts(Collector):
    def __init__(self, state: State, clock: Clock, version: str, wall: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock
        self._version = version
        self._wall = wall

    def collect(self) -> Iterable[Metric]:
        now = self._clock.now()
        snapshot = self._state.snapshot(now)
        tallies = {upstream.name: upstream.tally for upstream in self._state.upstreams}
        callers = frozenset(caller.name for caller in self._state.callers)
        yield from _request_counts(tallies, callers | {""} if callers else callers)
        yield from _upstream_connections(tallies)
        yield from _request_times(tallies)
        yield from _fetches(upstream.keeper for upstream in self._state.upstreams)
        yield from _credentials(snapshot, self._wall() - now)
        yield from _upstream_states(snapshot)
        yield from _stores(self._state.stores)
        yield _counter(
            "config_reloads",
            "Times that the configuration was read again, and whether it was applied or refused.",
            ("outcome",),
            {(outcome,): self._state.reloads[outcome] for outcome in RELOADS},
        )
        yield _gauge(
            "listener_certificate_expiry_timestamp_seconds",
            "When the certificate of the upstream's listener expires; absent without listen_tls.",
            ("upstream",),
            {
                (upstream.name,): upstream.certificate_ends
                for upstream in snapshot.upstreams
                if upstream.certificate_ends is not None
            },
        )
        yield from _audit(self._state.audit)
        yield _gauge("ready", "Whether every upstream has a usable credential.", (), {(): snapshot.ready})
        yield InfoMetricFamily(
            PREFIX + "build",
            "Versions of the proxy and of Python.",
            {
                "version": self._version,
                "python": platform.python_version(),
                "compiled": str(is_compiled()).lower(),
            },
        )


def _audit(counts: AuditCounts | None) -> Iterator[Metric]:
    written, lost = (counts.written, counts.lost) if counts is not None else (0, 0)
    yield _counter("audit_written", "Lines of the audit log that were written.", (), {(): written})
    yield _counter(
        "audit_lost",
        "Lines of the audit log that were not written, because its file or stdout took none for too long.",
        (),
        {(): lost},
    )


def _stores(tallies: Mapping[str, StoreTally]) -> Iterator[Metric]:
    """Yield the metrics of the stores that a fleet shares."""
    yield _gauge(
        "store_reachable",
        "Whether the store that the fleet shares answers; if not, each proxy fetches its own tokens.",
        ("store",),
        {(where,): tally.reachable for where, tally in tallies.items()},
    )
    yield _counter(
        "store_answers",
        "What the store said when the proxy asked for a token.",
        ("store", "answer"),
        {
            (where, answer): tally.answers[answer]
            for where, tally in tallies.items()
            for answer in get_args(StoreAnswer)
        },
    )
    yield _counter(
        "store_ignored_values",
        "Values in the store that were changed by others, or damaged.",
        ("store",),
        {(where,): tally.ignored for where, tally in tallies.items()},
    )


def _upstream_states(snapshot: Snapshot) -> Iterator[Metric]:
    each = {upstream.name: upstream.seen for upstream in snapshot.upstreams}
    yield _gauge(
        "upstream_state",
        "What the last answers of the upstream say: 1 for its present state, 0 for all others.",
        ("upstream", "state"),
        {(name, state): seen.state == state for name, seen in each.items() for state in STATES},
    )
    yield _gauge(
        "upstream_state_seconds",
        "How long that state has lasted; 0 if no request was sent yet.",
        ("upstream",),
        {(name,): _lasted(seen, snapshot.now) for name, seen in each.items()},
    )


def _lasted(seen: Seen, now: float) -> float:
    return 0.0 if seen.state == "unknown" else now - seen.since


def _request_counts(tallies: Mapping[str, Tally], callers: frozenset[str]) -> Iterator[Metric]:
    each = tallies.items()
    yield _counter(
        "requests",
        "Requests answered, by class of their status; 4xx also if the caller left before its answer.",
        ("upstream", "method", "code"),
        {
            (name, method, f"{digit}xx"): count
            for name, tally in each
            for (method, digit), count in tally.requests.items()
        },
    )
    yield _counter(
        "received_bytes",
        "Bytes from callers.",
        ("upstream",),
        {(name,): tally.received for name, tally in each},
    )
    yield _counter(
        "sent_bytes", "Bytes to callers.", ("upstream",), {(name,): tally.sent for name, tally in each}
    )
    yield _counter(
        "problems",
        "Answers of the proxy itself, by their code.",
        ("upstream", "problem"),
        {(name, code): count for name, tally in each for code, count in tally.problems.items()},
    )
    yield _counter(
        "caller_requests",
        "Requests by caller, and what became of them; caller is empty while it is not known.",
        ("caller", "upstream", "outcome"),
        {
            (caller, name, outcome): count
            for name, tally in each
            for (caller, outcome), count in tally.callers.items()
            if caller in callers
        },
    )
    yield _counter(
        "repairs",
        "Refusals of a credential by the upstream, and what the proxy did about them.",
        ("upstream", "outcome"),
        {(name, outcome): tally.repairs[outcome] for name, tally in each for outcome in REPAIRS},
    )
    yield _gauge(
        "requests_in_flight",
        "Requests being answered now.",
        ("upstream",),
        {(name,): tally.in_flight for name, tally in each},
    )


def _upstream_connections(tallies: Mapping[str, Tally]) -> Iterator[Metric]:
    connections = {name: tally.connections() for name, tally in tallies.items()}
    yield _gauge(
        "upstream_requests_waiting",
        "Requests that wait for a connection to the upstream, because max_connections are in use.",
        ("upstream",),
        {(name,): counts.pop("waiting") for name, counts in connections.items()},
    )
    yield _gauge(
        "upstream_connections",
        "Connections to the upstream.",
        ("upstream", "state"),
        {(name, state): count for name, counts in connections.items() for state, count in counts.items()},
    )


def _request_times(tallies: Mapping[str, Tally]) -> Iterator[Metric]:
    each = tallies.items()
    yield _histogram(
        "request_duration_seconds",
        "From a request's head to the end of its answer.",
        ("upstream",),
        {(name,): tally.request_seconds for name, tally in each},
    )
    yield _histogram(
        "upstream_response_seconds",
        "From sending a request to the head of the upstream's response.",
        ("upstream",),
        {(name,): tally.response_seconds for name, tally in each},
    )
    yield _histogram(
        "upstream_connect_seconds",
        "Time to connect to the upstream, TLS included.",
        ("upstream",),
        {(name,): tally.connect_seconds for name, tally in each},
    )


def _fetches(keepers: Iterable[Keeper]) -> Iterator[Metric]:
    """Yield the metrics of fetches; each keeper counts once, even if several upstreams share it."""
    labels = ("credential", "target")
    each = {(keeper.name, keeper.target): keeper.tally for keeper in keepers}
    yield _counter(
        "credential_fetches",
        "Attempts to get a credential.",
        (*labels, "outcome"),
        {
            (*key, outcome): tally.outcomes[outcome]
            for key, tally in each.items()
            for outcome in get_args(FetchOutcome)
        },
    )
    yield _histogram(
        "credential_fetch_seconds",
        "How long attempts to get a credential took.",
        labels,
        {key: tally.fetch_seconds for key, tally in each.items()},
    )
    yield _histogram(
        "credential_wait_seconds",
        "How long requests waited for a credential; only requests that had to wait count.",
        labels,
        {key: tally.wait_seconds for key, tally in each.items()},
    )


def _credentials(snapshot: Snapshot, offset: float) -> Iterator[Metric]:
    """Yield the gauges of each credential; `offset` turns seconds on the Clock into seconds since 1970."""
    labels = ("credential", "target")
    each = {
        (status.name, status.target): status
        for status in (upstream.status for upstream in snapshot.upstreams)
    }
    yield _gauge(
        "credential_expiry_timestamp_seconds",
        "When the credential in use expires; absent if it never does, or if there is none.",
        labels,
        {key: s.expires_at + offset for key, s in each.items() if s.expires_at is not None},
    )
    yield _gauge(
        "credential_login_expiry_timestamp_seconds",
        "When the login of a person ends; absent if that is not known.",
        labels,
        {key: s.login_ends_at + offset for key, s in each.items() if s.login_ends_at is not None},
    )
    yield _gauge(
        "credential_last_success_timestamp_seconds",
        "When a credential was last fetched with success.",
        labels,
        {key: s.last_success + offset for key, s in each.items() if s.last_success is not None},
    )
    yield _gauge(
        "credential_usable",
        "Whether there is a credential that has not expired.",
        labels,
        {key: s.usable for key, s in each.items()},
    )


def _counter(name: str, text: str, labels: _Labels, values: Mapping[_Labels, int]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _gauge(name: str, text: str, labels: _Labels, values: Mapping[_Labels, float]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, float(value))
    return family


def _histogram(name: str, text: str, labels: _Labels, values: Mapping[_Labels, Histogram]) -> Metric:
    family = HistogramMetricFamily(PREFIX + name, text, labels=labels)
    for key, histogram in values.items():
        bounds = (*map(floatToGoString, histogram.bounds), "+Inf")
        family.add_metric(key, list(zip(bounds, accumulate(histogram.counts), strict=True)), histogram.total)
    return family
