"""What the page says of each state."""

from dataclasses import replace

import pytest

from proxy.admin.page_state import LONGEST_PATH, document, printable, problems, requests, standing, summary
from proxy.admin.recent import RecentProblem
from proxy.admin.state import Facts
from proxy.admin.status import Seen, Snapshot, UpstreamStatus
from proxy.credentials.report import CredentialStatus
from proxy.gateway.records import RecentRequest
from proxy.gateway.watch import LastProblem

NOW = 1000.0
GOOD = CredentialStatus("saas", "zeebe.camunda.io", "good", True, 1240.0, 940.0, "ok", 1180.0, 0, "")
NONE_YET = replace(
    GOOD,
    condition="starting",
    usable=False,
    expires_at=None,
    last_success=None,
    outcome=None,
    next_attempt=None,
    reason="the first fetch of a credential has not ended yet",
)
REFUSED = replace(
    NONE_YET, condition="unusable", outcome="rejected", failures=3, reason="it refused our client"
)
FAILING = replace(GOOD, condition="failing", failures=1, reason="the refresh fails")
REASON = "zeebe at http://camunda.test: connection refused."


def seen(state: str, credential: str = "accepted") -> Seen:
    failed = state in ("slow", "refuses", "unreachable")
    problem = LastProblem(NOW - 5, "unreachable", "refused", REASON, "") if failed else None
    return Seen(state, NOW - 12, 3, credential, problem)  # type: ignore[arg-type]


def upstream(
    status: CredentialStatus = GOOD, looks: Seen | None = None, name: str = "zeebe", in_flight: int = 0
) -> UpstreamStatus:
    counts = {("GET", 2): 7, ("POST", 4): 1, ("GET", 5): 2}
    return UpstreamStatus(
        name,
        "zeebe",
        "http://camunda.test",
        "saas",
        ("127.0.0.1:19080",),
        status,
        counts,
        in_flight,
        looks or seen("answers"),
    )


def snapshot(*upstreams: UpstreamStatus, draining: bool = False) -> Snapshot:
    return Snapshot(NOW, upstreams, True, draining)


@pytest.mark.parametrize(
    ("status", "looks", "expected"),
    [
        (GOOD, seen("answers"), ("good", "ready", "")),
        (GOOD, seen("unknown", "untried"), ("good", "ready", "")),
        (
            GOOD,
            seen("answers", "untried"),
            ("good", "ready", "The upstream has not accepted the credential yet."),
        ),
        (FAILING, seen("answers"), ("warn", "ready", "The refresh fails.")),
        (
            NONE_YET,
            seen("unknown"),
            ("wait", "starting", "The first fetch of a credential has not ended yet."),
        ),
        (REFUSED, seen("answers"), ("bad", "no credential", "It refused our client.")),
        (
            GOOD,
            seen("unreachable"),
            ("bad", "unreachable", f"It is unreachable, for 12 s and 3 requests: {REASON}"),
        ),
        (
            GOOD,
            seen("slow"),
            ("bad", "too slow", f"It does not answer in time, for 12 s and 3 requests: {REASON}"),
        ),
        (
            GOOD,
            seen("refuses", "refused"),
            (
                "bad",
                "refuses the credential",
                f"It refuses our credential, for 12 s and 3 requests: {REASON}",
            ),
        ),
    ],
)
def test_the_credential_counts_first_and_then_what_the_last_answers_say(
    status: CredentialStatus, looks: Seen, expected: tuple[str, str, str]
) -> None:
    one = upstream(status, looks)
    assert standing(snapshot(one), one) == expected
    assert standing(snapshot(one, draining=True), one) == ("wait", "shutting down", "")


@pytest.mark.parametrize(
    ("upstreams", "expected"),
    [
        ((upstream(),), ("good", "The upstream is ready.")),
        ((upstream(), upstream(name="b")), ("good", "All 2 upstreams are ready.")),
        ((upstream(REFUSED),), ("bad", "1 of 1 upstream is not working: zeebe.")),
        (
            (upstream(NONE_YET, name="a"), upstream(REFUSED, name="b"), upstream(FAILING, name="c")),
            ("bad", "1 of 3 upstreams is not working: b."),
        ),
        ((upstream(NONE_YET), upstream(FAILING, name="c")), ("wait", "1 of 2 upstreams is starting: zeebe.")),
        ((upstream(FAILING), upstream()), ("warn", "1 of 2 upstreams is ready, but not well: zeebe.")),
        (
            tuple(upstream(REFUSED, name=name) for name in "abcde"),
            ("bad", "5 of 5 upstreams are not working: a, b, c and 2 more."),
        ),
    ],
)
def test_the_summary_names_the_worst_upstreams(
    upstreams: tuple[UpstreamStatus, ...], expected: tuple[str, str]
) -> None:
    assert summary(snapshot(*upstreams)) == expected


@pytest.mark.parametrize(
    ("running", "said"),
    [(0, "No request is running."), (1, "1 request is still running."), (7, "7 requests are still running.")],
)
def test_while_it_shuts_down_the_summary_counts_the_running_requests(running: int, said: str) -> None:
    state = snapshot(upstream(REFUSED, in_flight=running), draining=True)
    assert summary(state) == ("wait", f"The proxy is shutting down. {said}")


def test_an_upstream_is_described_with_what_the_configuration_says() -> None:
    facts = Facts("http://localhost:19080", "as client c", "oauth2", "curl x")
    shown = document(snapshot(upstream()), {"zeebe": facts}, "9.8.7", 61.0, 1_700_000_000.0)
    assert shown["requests_total"] == 10
    assert shown["upstreams"] == [
        {
            "name": "zeebe",
            "api": "zeebe",
            "address": "http://localhost:19080",
            "url": "http://camunda.test",
            "level": "good",
            "label": "ready",
            "said": "",
            "requests": 10,
            "failed": 3,
            "in_flight": 0,
            "example": "curl x",
            "credential": {
                "kind": "oauth2",
                "account": "as client c",
                "usable": True,
                "renewed": 60.0,
                "ends": 240.0,
                "life": 300.0,
                "next": 180.0,
                "failures": 0,
            },
        }
    ]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/v2/topology", "/v2/topology"),
        (b"/a?access_token=x", "/a"),
        (b"/a?", "/a"),
        ("/\u202e<b>".encode(), "/%E2%80%AE<b>"),
        (b"a" * LONGEST_PATH + b"?" + b"b" * LONGEST_PATH, "a" * LONGEST_PATH),
        (b"a" * (LONGEST_PATH + 1), "a" * LONGEST_PATH + "…"),
    ],
)
def test_a_request_is_listed_without_its_query_and_with_nothing_that_cannot_be_seen(
    target: bytes, path: str
) -> None:
    entry: RecentRequest = ("zeebe", b"GET", target, 200, 990.0, 0.01234, None, False, "grafana")
    (shown,) = requests([entry], 500.0)
    assert isinstance(shown, dict)
    assert shown["path"] == path
    assert (shown["at"], shown["seconds"], shown["caller"]) == (1490.0, 0.0123, "grafana")


def test_every_byte_is_printable_ascii() -> None:
    shown = printable(bytes(range(256)))
    assert shown.isascii()
    assert shown.isprintable()
    assert " " not in shown


def test_problems_are_listed_with_the_newest_first() -> None:
    old = RecentProblem(10.0, "zeebe", False, "zeebe: gone.", "id-1", 3)
    new = RecentProblem(20.0, "", True, "over", "", 1)
    assert [each["said"] for each in problems((old, new), 0.0) if isinstance(each, dict)] == [
        "over.",
        "zeebe: gone.",
    ]
