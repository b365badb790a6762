"""What the last answers of an upstream say: its state, and which lines the log gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.gateway.watch import LINES, StateChange, UpstreamHealth, UpstreamWatch
from proxy.outgoing.causes import Peer

PEER = Peer("zeebe", "http://camunda.test:8080", "upstreams.zeebe.url", "upstreams.zeebe")


class Lines:
    """A WatchObserver that remembers."""

    def __init__(self) -> None:
        self.all: list[StateChange] = []

    @property
    def kinds(self) -> list[tuple[str, str]]:
        return [(each.kind, each.state) for each in self.all]

    def changed(self, change: StateChange) -> None:
        self.all.append(change)


def watching() -> tuple[UpstreamWatch, Lines]:
    lines = Lines()
    return UpstreamWatch(PEER, lines), lines


def test_nothing_is_known_before_the_first_request() -> None:
    watch, lines = watching()
    assert (watch.state, watch.accepted, watch.pending, watch.problem) == ("unknown", False, True, None)
    assert not lines.all


def test_a_good_answer_with_the_credential_leaves_nothing_to_learn() -> None:
    watch, lines = watching()
    watch.answered(5.0, 200, credential=True)
    assert (watch.state, watch.since, watch.accepted, watch.pending) == ("answers", 5.0, True, False)
    assert not lines.all


@pytest.mark.parametrize(("status", "credential"), [(200, False), (404, True), (500, True), (403, True)])
def test_an_answer_that_proves_nothing_leaves_the_credential_untried(status: int, credential: bool) -> None:
    watch, _ = watching()
    watch.answered(5.0, status, credential=credential)
    assert (watch.state, watch.accepted, watch.pending) == ("answers", False, True)


def test_a_change_is_told_once_and_its_end_with_duration_and_cost() -> None:
    watch, lines = watching()
    watch.answered(0.0, 200, credential=True)
    told = [watch.failed(10.0 + n, "unreachable", "refused", f"reason {n}", f"id-{n}") for n in range(5)]
    watch.answered(44.0, 200, credential=True)
    assert told == [True, False, False, False, False]
    assert lines.kinds == [("change", "unreachable"), ("over", "unreachable")]
    first = lines.all[0]
    assert (first.reason, first.request_id, first.cause) == ("reason 0", "id-0", "refused")
    assert (lines.all[1].seconds, lines.all[1].requests) == (34.0, 5)
    assert watch.problem is not None
    assert (watch.problem.reason, watch.problem.request_id) == ("reason 4", "id-4")
    assert (watch.state, watch.requests, watch.pending) == ("answers", 0, False)


def test_a_state_that_lasts_is_told_again_every_ten_minutes() -> None:
    watch, lines = watching()
    for second in range(0, 1801, 60):
        watch.failed(float(second), "refuses", "token_refused", "x", "")
    assert [(each.kind, each.seconds, each.requests) for each in lines.all] == [
        ("change", 0.0, 1),
        ("reminder", 600.0, 11),
        ("reminder", 1200.0, 21),
        ("reminder", 1800.0, 31),
    ]


def test_another_cause_of_the_same_state_is_a_line_and_no_new_state() -> None:
    watch, lines = watching()
    watch.failed(0.0, "unreachable", "refused", "x", "")
    watch.failed(60.0, "unreachable", "name_unknown", "y", "")
    assert [(each.cause, each.seconds, each.requests) for each in lines.all] == [
        ("refused", 0.0, 1),
        ("name_unknown", 60.0, 2),
    ]


def test_a_refusal_takes_back_that_the_credential_was_accepted() -> None:
    watch, _ = watching()
    watch.answered(0.0, 200, credential=True)
    watch.failed(1.0, "refuses", "token_refused", "x", "")
    assert (watch.accepted, watch.pending) == (False, True)


def test_an_upstream_that_is_down_says_nothing_about_the_credential() -> None:
    watch, _ = watching()
    watch.answered(0.0, 200, credential=True)
    watch.failed(1.0, "unreachable", "refused", "x", "")
    assert watch.accepted


@pytest.mark.parametrize(
    ("statuses", "cause"),
    [
        ([404, 404, 404, 404], "only_404"),
        ([403, 403, 403], "only_403"),
        ([404, 404], None),
        ([404, 200, 404, 404], None),
        ([404, 403, 404, 404], None),
        ([500, 500, 500], None),
    ],
)
def test_the_same_403_or_404_from_the_start_is_doubted_once(statuses: list[int], cause: str | None) -> None:
    watch, lines = watching()
    for status in statuses:
        if watch.pending:
            watch.answered(1.0, status, credential=True)
    assert [each.cause for each in lines.all] == ([cause] if cause else [])
    if cause:
        assert lines.all[0].kind == "doubt"
        assert lines.all[0].reason.startswith(f"{PEER}: ")


def test_a_good_answer_to_an_open_path_ends_the_doubt() -> None:
    watch, lines = watching()
    for status, credential in ((404, True), (404, True), (200, False), (404, True)):
        watch.answered(1.0, status, credential=credential)
    assert not lines.all


@given(st.lists(st.tuples(st.sampled_from(["slow", "refuses", "unreachable", None]), st.floats(0.0, 5.0))))
def test_whatever_alternates_writes_few_lines(events: list[tuple[UpstreamHealth | None, float]]) -> None:
    """At most LINES at once, then one each 30 s and the end of each: no flood."""
    watch, lines = watching()
    now = 0.0
    for state, later in events:
        now += later
        if state is None:
            if watch.pending:
                watch.answered(now, 200, credential=True)
        else:
            watch.failed(now, state, state, "x", "")
    changes = [each for each in lines.all if each.kind == "change"]
    assert len(changes) <= LINES + now / 30.0
    assert len([each for each in lines.all if each.kind == "over"]) <= len(changes)
    assert watch.pending == (watch.state != "answers" or not watch.accepted)
