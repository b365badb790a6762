"""The second net: known secrets are masked in every finished line."""

import json
import logging
import sys

import pytest

from proxy.log import ForMachines, ForPeople, Redactor

SECRET = "canary-0815"
FORMATTERS = [ForPeople, ForMachines]


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "levelno": logging.INFO, "levelname": "INFO"})
    vars(made).update(extra)
    return made


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_a_secret_is_masked_in_message_and_extras(formatter: type[ForPeople | ForMachines]) -> None:
    line = formatter(Redactor(lambda: [SECRET])).format(record(f"got {SECRET}", field=f"x{SECRET}y"))
    assert SECRET not in line
    assert line.count("***") == 2


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_a_secret_is_masked_in_a_traceback(formatter: type[ForPeople | ForMachines]) -> None:
    try:
        int(SECRET)
    except ValueError:
        failed = record("failed", exc_info=sys.exc_info())
    line = formatter(Redactor(lambda: [SECRET])).format(failed)
    assert "ValueError" in line
    assert SECRET not in line


def test_a_secret_that_was_replaced_stays_masked() -> None:
    known = [SECRET]
    redact = Redactor(lambda: known)
    redact("the first line")
    known[:] = ["another-one"]
    assert redact(f"{SECRET} another-one") == "*** ***"


def test_what_is_too_short_to_be_a_secret_does_not_mangle_every_line() -> None:
    assert Redactor(lambda: ["a", ""])("a plain line") == "a plain line"


def test_machines_get_one_json_object_a_line_with_all_extras() -> None:
    line = ForMachines(Redactor()).format(record("request", status=200, path="/v2/topology"))
    assert "\n" not in line
    event = json.loads(line)
    assert event["level"] == "INFO"
    assert (event["message"], event["status"], event["path"]) == ("request", 200, "/v2/topology")
    assert event["time"]


def test_people_get_extras_behind_the_message_and_no_empty_ones() -> None:
    line = ForPeople(Redactor()).format(record("credential is good", credential="saas", target=""))
    assert line.endswith("INFO    credential is good credential=saas")
