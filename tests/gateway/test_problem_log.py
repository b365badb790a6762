"""Which answers of our own get a line in the log."""

from proxy.gateway.problem_log import ProblemLog, ProblemRecord


class Lines:
    """A ProblemObserver that remembers."""

    def __init__(self) -> None:
        self.all: list[ProblemRecord] = []

    def problem(self, record: ProblemRecord) -> None:
        self.all.append(record)


def record(code: str, number: int = 0) -> ProblemRecord:
    return ProblemRecord("zeebe", code, 502, "x", f"id-{number}")


def test_a_flood_is_counted_and_the_count_is_told_with_the_next_line() -> None:
    lines = Lines()
    problems = ProblemLog(lines)
    for number in range(1000):
        problems.note(number / 1000, record("bad_request", number))
    problems.note(20.0, record("bad_request", 1000))
    problems.note(40.0, record("bad_request", 1001))
    assert [(each.request_id, each.unlogged) for each in lines.all] == [
        ("id-0", 0),
        ("id-1", 0),
        ("id-2", 0),
        ("id-1000", 997),
        ("id-1001", 0),
    ]


def test_a_flood_of_one_kind_hides_no_other() -> None:
    lines = Lines()
    problems = ProblemLog(lines)
    for number in range(1000):
        problems.note(1.0, record("bad_request", number))
    problems.note(1.0, record("cross_site"))
    assert lines.all[-1].code == "cross_site"


def test_a_steady_trickle_is_a_line_each_ten_seconds() -> None:
    lines = Lines()
    problems = ProblemLog(lines)
    for second in range(1, 101):
        problems.note(float(second), record("wrong_host"))
    assert 12 <= len(lines.all) <= 13


def test_without_an_observer_nothing_happens() -> None:
    ProblemLog().note(0.0, record("loop"))
