"""The second net: known secrets are masked in every finished line."""

import json
import logging
import re
import sys
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.commands.log import ForMachines, ForPeople, Redactor

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


AWKWARD = {
    "a quote": 'can"ary\\0815',
    "both quotes": "can\"ar'y-0815",
    "beyond ASCII": "k\u00e4n\u00e4ry-\U0001f511-\u20ac0815",
    "percent": "c@n/a r+y%0815&=?",
    "plain": "canary0815",
    "line ends": "canary\r\n\t0815",
}


def without_time(line: str) -> str:
    """A log line without its times, whose microseconds may have the digits of a secret."""
    return re.sub(r"\d\d:\d\d:\d\d[.,]?\d*", "", line)


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("secret", AWKWARD.values(), ids=AWKWARD)
def test_a_secret_is_masked_in_every_form_that_is_written(
    secret: str, formatter: type[ForPeople | ForMachines]
) -> None:
    octets = secret.encode()
    written = {
        "text": secret,
        "repr": repr(secret),
        "of bytes": repr(octets),
        "JSON": json.dumps({"a": secret}),
        "JSON in UTF-8": json.dumps({"a": secret}, ensure_ascii=False),
        "form": urlencode({"client_secret": secret}),
        "URL": quote(secret, safe=""),
        "path": quote(secret),
        "list": [secret],
        "dict": {"a": secret},
        "Basic": b64encode(b"user:" + octets).decode(),
        "Basic, form-encoded first": b64encode(f"user:{quote_plus(secret)}".encode()).decode(),
        "base64 of two before": b64encode(b"ab" + octets + b"cd").decode(),
        "base64 for URLs": urlsafe_b64encode(b"\xff" + octets).decode(),
    }
    for kind, value in written.items():
        line = formatter(Redactor(lambda: [secret])).format(record("got it", field=value))
        assert "***" in line, (kind, line)
        line = without_time(line)
        assert not any(part in line for part in ("0815", "MDgxN", "A4MTU", "wODE1")), (kind, line)


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("secret", AWKWARD.values(), ids=AWKWARD)
def test_a_secret_is_masked_in_the_text_and_the_source_line_of_a_traceback(
    secret: str, formatter: type[ForPeople | ForMachines]
) -> None:
    try:
        raise ValueError(f"refused {secret!r}, {secret}, {secret.encode()!r}")  # noqa: TRY301
    except ValueError:
        failed = record("failed", exc_info=sys.exc_info())
    assert "0815" not in without_time(formatter(Redactor(lambda: [secret])).format(failed))


@given(st.text(min_size=4, max_size=30), st.binary(max_size=5), st.binary(max_size=5))
def test_base64_is_masked_whatever_stands_before_and_behind(
    secret: str, before: bytes, behind: bytes
) -> None:
    octets = secret.encode("utf-8", "surrogatepass")
    line = b64encode(before + octets + behind).decode()
    masked = Redactor(lambda: [secret])(line)
    left = len(masked.replace("***", ""))
    # What is left holds nothing of the secret but bits of its first and last byte.
    assert left <= 4 * ((len(before) + len(behind)) // 3 + 2) + 3 or len(octets) < 6


def test_masking_is_no_work_that_grows_with_each_line() -> None:
    """1024 secrets are remembered, and each is looked at once."""
    asked = []

    def known() -> list[str]:
        asked.append(1)
        return [f"secret-{len(asked)}-{number}" for number in range(10)]

    redact = Redactor(known)
    for _ in range(110):
        redact("a line")
    assert redact("secret-1-0 secret-111-9") == "secret-1-0 ***"


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
