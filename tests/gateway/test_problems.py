"""Answers of our own."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import (
    CredentialRejected,
    CredentialUnavailable,
    LoginNeeded,
    ProxyError,
    RequestRefused,
    UpstreamBusy,
    UpstreamClosed,
    UpstreamProtocol,
    UpstreamTimeout,
    UpstreamTLS,
    UpstreamUnreachable,
)
from proxy.gateway.problems import KINDS, OwnAnswer, answer_to, own_head
from proxy.outgoing.causes import Peer

TABLE = [
    (CredentialUnavailable("down"), "credential_unavailable", 503, 1),
    (CredentialUnavailable("down", retry_after=12.3), "credential_unavailable", 503, 13),
    (CredentialUnavailable("down", retry_after=0.0), "credential_unavailable", 503, 1),
    (CredentialRejected("refused", retry_after=60.0), "credential_rejected", 502, None),
    (LoginNeeded("no person is logged in", "camunda-auth-proxy login me"), "login_needed", 503, 2),
    (UpstreamUnreachable("x"), "upstream_unreachable", 502, None),
    (UpstreamTLS("x"), "upstream_tls", 502, None),
    (UpstreamTimeout("x"), "upstream_timeout", 504, None),
    (UpstreamProtocol("x"), "upstream_protocol", 502, None),
    (UpstreamBusy("x"), "upstream_busy", 503, 1),
    (RequestRefused("bad_request", "x"), "bad_request", 400, None),
    (RequestRefused("head_too_large", "x"), "head_too_large", 431, None),
    (RequestRefused("head_too_large", "x", status=414), "head_too_large", 414, None),
    (RequestRefused("unsupported", "x"), "unsupported", 501, None),
    (RequestRefused("unsupported", "x", status=505), "unsupported", 505, None),
    (RequestRefused("wrong_host", "x"), "wrong_host", 421, None),
    (RequestRefused("cross_site", "x"), "cross_site", 403, None),
    (RequestRefused("not_allowed", "x"), "not_allowed", 403, None),
    (RequestRefused("caller_expired", "x"), "caller_expired", 401, None),
    (RequestRefused("rate_limited", "x", retry_after=7), "rate_limited", 429, 7),
    (RequestRefused("not_allowed", "x", status=405), "not_allowed", 405, None),
    (RequestRefused("not_permitted", "x"), "not_permitted", 403, None),
    (RequestRefused("not_permitted", "x", status=405), "not_permitted", 405, None),
    (RequestRefused("ambiguous_request", "x"), "ambiguous_request", 400, None),
    (RequestRefused("request_timeout", "x"), "request_timeout", 408, None),
    (RequestRefused("not_found", "x"), "not_found", 404, None),
    (RequestRefused("caller_unknown", "x"), "caller_unknown", 401, None),
    (RequestRefused("loop", "x"), "loop", 508, None),
    (RequestRefused("too_many_callers", "x"), "too_many_callers", 503, 1),
    (ProxyError("a secret"), "internal", 500, None),
]


@pytest.mark.parametrize(("error", "code", "status", "retry_after"), TABLE)
def test_each_error_has_its_answer(
    error: ProxyError, code: str, status: int, retry_after: int | None
) -> None:
    answer = answer_to(error, Peer("zeebe"), "saas")
    assert (answer.code, answer.status, answer.retry_after) == (code, status, retry_after)
    octets = answer.encoded("id-1", "now", keep_alive=False)
    head, _, body = octets.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % status)
    for line in (
        b"Content-Type: application/problem+json",
        b"Content-Length: %d" % len(body),
        b"Cache-Control: no-store",
        b"Proxy-Status: camunda-auth-proxy; error=" + KINDS[code].proxy_status.encode(),
        b"X-Request-Id: id-1",
        b"Date: now",
        b"Connection: close",
    ):
        assert lines.count(line) == 1
    assert (b"Retry-After: %d" % (retry_after or 0) in lines) == (retry_after is not None)
    problem = json.loads(body)
    assert problem["type"] == "urn:camunda-auth-proxy:" + code
    assert problem["status"] == status
    assert problem["help"] == "docs/troubleshooting.md#" + code
    assert "a secret" not in problem["detail"]


def test_every_code_has_an_answer() -> None:
    assert {code for _, code, _, _ in TABLE} == set(KINDS)


def test_every_code_has_a_section_of_its_own_at_the_anchor_that_its_answer_names() -> None:
    page = (Path(__file__).parents[2] / "docs/troubleshooting.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### `?([a-z_]+)`?$", page, re.MULTILINE)  # the heading is the anchor
    assert sorted(sections) == sorted(KINDS)


def test_a_connection_that_the_upstream_closed_has_a_title_of_its_own() -> None:
    answer = answer_to(UpstreamClosed("x"), Peer("zeebe"), "saas")
    head, _, body = answer.encoded("id-1", "now", keep_alive=False).partition(b"\r\n\r\n")
    assert b"Proxy-Status: camunda-auth-proxy; error=connection_terminated" in head.split(b"\r\n")
    problem = json.loads(body)
    assert (problem["type"].rpartition(":")[2], problem["status"]) == ("upstream_protocol", 502)
    assert problem["title"] == "The upstream closed the connection"


def test_a_caller_that_is_no_browser_may_show_its_token_as_a_basic_password() -> None:
    answer = OwnAnswer("caller_unknown", 401, "x")
    challenge = b'WWW-Authenticate: Basic realm="camunda-auth-proxy", charset="UTF-8"'
    assert challenge in answer.encoded("id-1", "now", keep_alive=True).split(b"\r\n")
    assert b"Basic" not in answer.encoded("id-1", "now", keep_alive=True, to_browser=True)


@pytest.mark.parametrize(
    "error", [CredentialUnavailable("the login is down"), CredentialRejected("wrong password")]
)
def test_where_a_refused_credential_cannot_be_replaced_both_are_said(error: ProxyError) -> None:
    detail = answer_to(error, Peer("operate"), "demo", refused=302).detail
    assert "operate refused the credential it was sent (302)" in detail
    assert str(error).capitalize() in detail
    assert "credentials.demo" in detail
    assert "nothing is sent" not in detail.lower()  # the refused one stays in use


def test_where_a_setting_is_wrong_it_is_said_that_waiting_does_not_help() -> None:
    wrong = answer_to(CredentialUnavailable("404", outcome="invalid"), Peer("operate"), "demo").detail
    down = answer_to(CredentialUnavailable("down"), Peer("operate"), "demo").detail
    assert "tried again by itself, but waiting alone will hardly help." in wrong
    assert down.endswith("credentials.demo is tried again by itself.")


def test_what_a_server_says_to_its_client_alone_is_not_told_to_callers() -> None:
    error = CredentialRejected("401 invalid_client: c4n4ry", detail="401 invalid_client")
    detail = answer_to(error, Peer("operate"), "demo").detail
    assert "401 invalid_client" in detail
    assert "c4n4ry" not in detail


def test_an_answer_to_head_has_the_same_head_and_no_body() -> None:
    answer = OwnAnswer("loop", 508, "x")
    whole = answer.encoded("a", "b", keep_alive=True)
    assert answer.encoded("a", "b", keep_alive=True, with_body=False) == whole[: whole.index(b"\r\n\r\n") + 4]
    assert b"Connection" not in whole


@given(st.text(max_size=40))
def test_whatever_the_detail_says_the_message_is_one(detail: str) -> None:
    octets = OwnAnswer("bad_request", 400, detail).encoded("a", "b", keep_alive=True)
    head, _, body = octets.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head.split(b"\r\n")
    assert json.loads(body)["detail"] == detail


def test_who_must_show_a_token_is_told_so_by_a_realm_of_ours() -> None:
    head, _, _ = (
        answer_to(RequestRefused("caller_unknown", "x"), Peer("zeebe"), "saas")
        .encoded("id-1", "now", keep_alive=True)
        .partition(b"\r\n\r\n")
    )
    assert b'WWW-Authenticate: Bearer realm="camunda-auth-proxy"' in head.split(b"\r\n")


@pytest.mark.parametrize(
    ("keep_alive", "minor", "field"),
    [
        (True, 1, b""),
        (True, 0, b"Connection: keep-alive\r\n"),
        (False, 1, b"Connection: close\r\n"),
        (False, 0, b"Connection: close\r\n"),
    ],
)
def test_a_head_of_ours_says_whether_the_connection_stays(keep_alive: bool, minor: int, field: bytes) -> None:
    head = own_head(204, "now", "A: 1", keep_alive=keep_alive, minor=minor)
    assert head == b"HTTP/1.1 204 No Content\r\nDate: now\r\nA: 1\r\n" + field


def test_fields_that_let_a_page_read_it_stand_in_the_head() -> None:
    cors = b"Access-Control-Allow-Origin: http://a\r\nVary: Origin\r\n"
    message = OwnAnswer("upstream_busy", 503, "x").encoded("id-1", "now", keep_alive=False, cors=cors)
    head, _, body = message.partition(b"\r\n\r\n")
    assert head.endswith(b"\r\n" + cors.rstrip())
    assert json.loads(body)["status"] == 503


def test_a_refused_navigation_leaves_no_document_of_our_origin() -> None:
    # Chromium asks for /favicon.ico of whatever document it shows, as same-origin: one credentialed request
    # that a foreign page would have caused.
    answer = OwnAnswer("cross_site", 403, "No.").encoded("id", "date", keep_alive=True)
    assert b"\r\nContent-Security-Policy: default-src 'none'; sandbox\r\n" in answer
