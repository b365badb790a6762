import json
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.admin.status import Snapshot, UpstreamStatus, overview, readiness, startup
from proxy.credentials.report import CredentialStatus
from tests.examples import some

GOOD = CredentialStatus("saas", "", "good", True, 1300.0, 1000.0, "ok", 1225.0, 0, "")
STARTING = CredentialStatus("saas", "", "starting", False, None, None, None, None, 0, "not ended yet")
FAILING = replace(GOOD, condition="failing", outcome="limited", failures=1, reason="limited")
UNUSABLE = CredentialStatus("saas", "", "unusable", False, None, None, "rejected", 1060.0, 2, "refused")
BETWEEN = replace(GOOD, usable=False, expires_at=None, reason="expired")


def upstream(status: CredentialStatus, name: str = "zeebe") -> UpstreamStatus:
    return UpstreamStatus(name, "zeebe", "http://zeebe.test", "saas", ("127.0.0.1:1",), status, {}, 0)


def snapshot(*statuses: CredentialStatus, bound: bool = True, draining: bool = False) -> Snapshot:
    upstreams = tuple(upstream(status, f"u{number}") for number, status in enumerate(statuses))
    return Snapshot(1010.0, upstreams, bound, draining)


@pytest.mark.parametrize(
    ("seen", "state", "started", "reason"),
    [
        (snapshot(GOOD), "ready", True, ""),
        (snapshot(STARTING), "starting", False, "not ended yet"),
        (snapshot(FAILING), "ready", True, "limited"),
        (snapshot(UNUSABLE), "unusable", True, "refused"),
        (snapshot(BETWEEN), "unusable", True, "expired"),
        (snapshot(GOOD, bound=False), "starting", False, "the proxy's listeners are not bound yet"),
        (snapshot(GOOD, draining=True), "draining", True, "the proxy is shutting down"),
        (snapshot(UNUSABLE, draining=True), "draining", True, "the proxy is shutting down"),
    ],
)
def test_state_and_reason_follow_from_the_credential(
    seen: Snapshot, state: str, started: bool, reason: str
) -> None:
    (only,) = seen.upstreams
    assert (seen.state(only), seen.started, seen.reason(only)) == (state, started, reason)
    assert seen.ready == (state == "ready")


def test_nothing_is_ready_before_there_is_anything() -> None:
    assert not Snapshot(0.0, (), bound=False, draining=False).ready
    assert not Snapshot(0.0, (), bound=False, draining=False).started


def test_moments_are_told_as_seconds_from_now() -> None:
    (credential,) = cast(Any, overview(snapshot(GOOD), "1", 0.0))["credentials"]
    assert credential["expires_in"] == 290.0
    assert credential["last_success_ago"] == 10.0
    assert credential["next_attempt_in"] == 215.0


def test_a_credential_that_never_expires_says_null() -> None:
    (credential,) = cast(Any, overview(snapshot(replace(GOOD, expires_at=None)), "1", 0.0))["credentials"]
    assert credential["expires_in"] is None


def test_a_shared_credential_is_told_once() -> None:
    document = cast(Any, overview(snapshot(GOOD, GOOD, replace(GOOD, target="other")), "1", 0.0))
    assert [each["target"] for each in document["credentials"]] == ["", "other"]
    assert len(document["upstreams"]) == 3


moments = st.none() | st.floats(0.0, 1e9)
statuses = st.builds(
    CredentialStatus,
    name=st.sampled_from(["a", "b"]),
    target=st.sampled_from(["", "x"]),
    condition=st.sampled_from(["starting", "good", "failing", "unusable"]),
    usable=st.booleans(),
    expires_at=moments,
    last_success=moments,
    outcome=st.sampled_from([None, "ok", "same", "rejected", "limited", "unavailable", "invalid"]),
    next_attempt=moments,
    failures=st.integers(0, 9),
    reason=st.text(max_size=9),
)


@settings(max_examples=some(60))
@given(
    seen=st.lists(statuses, max_size=4), now=st.floats(0.0, 1e9), bound=st.booleans(), draining=st.booleans()
)
def test_all_documents_agree_and_no_time_is_negative(
    seen: list[CredentialStatus], now: float, bound: bool, draining: bool
) -> None:
    whole = replace(snapshot(*seen, bound=bound, draining=draining), now=now)
    status = json.loads(json.dumps(overview(whole, "1", 1.0), allow_nan=False))
    ready = json.loads(json.dumps(readiness(whole), allow_nan=False))
    start = json.loads(json.dumps(startup(whole), allow_nan=False))

    assert status["ready"] == ready["ready"] == whole.ready
    assert status["started"] == start["started"] == whole.started
    told = {each["name"]: (each["state"] == "ready", each["reason"]) for each in status["upstreams"]}
    assert told == {name: (each["ready"], each["reason"]) for name, each in ready["upstreams"].items()}
    assert not whole.ready or (bound and not draining and all(each.usable for each in seen))
    for credential in status["credentials"]:
        for key in ("expires_in", "last_success_ago", "next_attempt_in"):
            assert credential[key] is None or credential[key] >= 0
