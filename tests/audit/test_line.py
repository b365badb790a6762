"""What a line of the audit log says."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.audit.line import line
from proxy.gateway.audited import AuditRecord, audit_record
from proxy.gateway.call import Call
from proxy.gateway.request_head import parse_head

RECORD = AuditRecord(
    request_id="0123456789abcdef",
    client_request_id="",
    caller="",
    address="127.0.0.1:50123",
    upstream="zeebe",
    method="POST",
    path="/v2/process-instances",
    status=200,
    problem=None,
    repaired=False,
    seconds=0.25,
)
NOON = 1796040000.5


def written(record: AuditRecord, operation: str | None = None) -> dict[str, object]:
    found = json.loads(line(record, NOON, operation))
    assert isinstance(found, dict)
    return found


def test_a_line_tells_who_did_what_when_and_with_which_result() -> None:
    record = replace(RECORD, caller="bi", client_request_id="abc-1", repaired=True)
    assert line(record, NOON, "createProcessInstance").endswith(b"\n")
    assert written(record, "createProcessInstance") == {
        "time": "2026-11-30T12:00:00.250Z",
        "request_id": "0123456789abcdef",
        "client_request_id": "abc-1",
        "caller": "bi",
        "address": "127.0.0.1:50123",
        "upstream": "zeebe",
        "method": "POST",
        "path": "/v2/process-instances",
        "operation": "createProcessInstance",
        "status": 200,
        "refused": None,
        "problem": None,
        "repaired": True,
        "seconds": 0.25,
    }


def test_what_is_not_known_is_null() -> None:
    found = written(replace(RECORD, address=""))
    assert [found[name] for name in ("caller", "client_request_id", "address", "operation")] == [None] * 4


def test_a_refusal_by_our_rules_differs_from_another_answer_of_our_own() -> None:
    found = written(replace(RECORD, status=403, problem="not_allowed"))
    assert (found["refused"], found["problem"]) == ("not_allowed", "not_allowed")
    found = written(replace(RECORD, status=502, problem="upstream_unreachable"))
    assert (found["refused"], found["problem"]) == (None, "upstream_unreachable")


def test_a_long_path_is_cut_and_its_length_is_told() -> None:
    found = written(replace(RECORD, path="/" + "x" * 9999))
    assert (found["path"], found["path_length"]) == ("/" + "x" * 2047, 10000)
    assert "path_length" not in written(replace(RECORD, path="/" + "x" * 2047))


@given(path=st.binary(max_size=3000), method=st.binary(min_size=1, max_size=32))
def test_any_bytes_make_one_line_of_ascii(path: bytes, method: bytes) -> None:
    data = line(replace(RECORD, path=path.decode("latin-1"), method=method.decode("latin-1")), NOON, None)
    assert data.isascii()
    assert data.count(b"\n") == 1
    assert all(byte >= 0x20 for byte in data[:-1])
    assert json.loads(data)["path"] == path.decode("latin-1")[:2048]


class Caller:
    """The connection of a call, as far as a record needs it."""

    address = "127.0.0.1:50123"


def recorded(*fields: bytes, target: bytes = b"/v2/jobs") -> AuditRecord:
    head = parse_head(b"POST %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (target, b"".join(fields)))
    call = Call(head, None, Caller(), 0.0)  # type: ignore[arg-type]
    call.request_id = "ours"
    return audit_record(call, "zeebe", 200, 0.5)


def test_the_query_is_not_recorded() -> None:
    assert recorded(target=b"/v2/jobs?token=canary").path == "/v2/jobs"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ((b"X-Request-Id: 7f3c-1\r\n",), "7f3c-1"),
        ((b"x-request-ID: a.b:c/d+e=f@g_h\r\n",), "a.b:c/d+e=f@g_h"),
        ((b"X-Request-Id: " + b"a" * 128 + b"\r\n",), "a" * 128),
        ((b"X-Request-Id: " + b"a" * 129 + b"\r\n",), ""),
        ((b"X-Request-Id: a b\r\n",), ""),
        ((b'X-Request-Id: a"b\r\n',), ""),
        ((b"X-Request-Id: \xe2\x80\xae\r\n",), ""),
        ((b"X-Request-Id:\r\n",), ""),
        ((b"X-Request-Id: a\r\n", b"X-Request-Id: b\r\n"), ""),
        ((), ""),
    ],
)
def test_the_callers_own_id_is_told_if_it_is_a_usual_one_and_ours_stays(
    fields: tuple[bytes, ...], told: str
) -> None:
    record = recorded(*fields)
    assert (record.request_id, record.client_request_id) == ("ours", told)
