"""How findings are shown: each text is redacted, and JSON stays JSON."""

import json

from proxy.commands.doctor import show
from proxy.commands.doctor.finding import Findings, Section, Step, Why, day, duration
from proxy.commands.log import Redactor

CANARY = "canary 12345"
REDACT = Redactor(lambda: (CANARY, "12345"))


def findings(why: Why | None, mark: str = "wrong") -> Findings:
    facts = {"text": CANARY, "list": [CANARY, 12345], "inner": {"text": CANARY}, "number": 12345.5}
    step = Step("token", mark, CANARY, 1.5, why, facts)  # type: ignore[arg-type]
    return Findings(CANARY, (Section("credentials.a", CANARY, (step, Step("clock", "ok", "as ours"))),))


WRONG = findings(Why("cause", f"{'long words ' * 20}{CANARY} is in it."))


def test_no_text_keeps_a_secret_also_where_a_line_is_wrapped() -> None:
    for shown in (
        show.text(WRONG, REDACT),
        show.report(WRONG, REDACT, version="1", system="Linux", date="today"),
        show.as_json(WRONG, REDACT, "1").replace("12345.5", "").replace("12345\n", ""),
    ):
        assert "canary" not in shown
        assert "12345" not in shown


def test_numbers_stay_numbers_so_that_json_stays_json() -> None:
    (section,) = json.loads(show.as_json(WRONG, REDACT, "1"))["sections"]
    facts = section["steps"][0]["facts"]
    assert facts == {"text": "***", "list": ["***", 12345], "inner": {"text": "***"}, "number": 12345.5}


def test_text_has_a_line_for_each_step_and_wraps_what_is_wrong_below_it() -> None:
    lines = show.text(WRONG, lambda text: text).splitlines()
    assert lines[0] == f"credentials.a  {CANARY}"
    assert lines[1] == f"  WRONG    token       {CANARY}  (1.5 s)"
    assert all(len(line) <= show.WIDTH for line in lines)
    assert lines[-3] == "  ok       clock       as ours"
    assert lines[-1] == "1 thing is wrong: see credentials.a."


def test_the_summary_counts() -> None:
    assert show.summary(findings(None, "ok")) == "Nothing is wrong."
    noticed = show.summary(findings(Why("a", "b."), "notice"))
    assert noticed == "Nothing is wrong. There is 1 notice."
    twice = Findings("", WRONG.sections * 2)
    assert show.summary(twice) == "2 things are wrong: see credentials.a."


def test_times_are_for_people() -> None:
    assert [duration(each) for each in (3.2, 119, 120, 7199, 7200, 172800)] == [
        *("3 s", "119 s", "2 min", "120 min", "2 h", "2 days"),
    ]
    assert day(0) == "1970-01-01 00:00:00 UTC"
    assert day(1e300) == ""
