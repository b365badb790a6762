"""Why something failed, in words: the table, and which cause an exception or an answer has."""

import errno
import socket
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.outgoing.answer_causes import Asked, TokenAnswer, of_answer
from proxy.outgoing.causes import LONGEST, TEXTS, CauseName, Peer, cause, cleaned, shown
from proxy.outgoing.diagnosis import cause_of

UPSTREAM = Peer("zeebe", "http://camunda.test:8080", "upstreams.zeebe.url", "upstreams.zeebe")
TOKENS = Peer(
    "the token endpoint", "https://login.test:443/t", "credentials.saas.token_url", "credentials.saas"
)
ASKED = Asked(credential="credentials.saas.client_secret")


@pytest.mark.parametrize("name", get_args(CauseName))
def test_each_cause_has_words_and_names_no_placeholder(name: CauseName) -> None:
    values = dict.fromkeys(("said", "told", "status", "timeout", "scope", "audience", "credential"), "VALUE")
    text = cause(name, TOKENS, **values).words
    assert "{" not in text
    assert not text.endswith(".")
    assert cause(name, Peer("it"), **values).words.count("..") == 0
    assert set(TEXTS) == set(get_args(CauseName))


def test_a_peer_is_named_with_its_address_and_its_setting() -> None:
    assert str(UPSTREAM) == "zeebe at http://camunda.test:8080 (upstreams.zeebe.url)"
    assert str(Peer("zeebe")) == "zeebe"


@pytest.mark.parametrize(
    ("error", "name", "says"),
    [
        (ConnectionRefusedError(), "refused", "correct host and port in upstreams.zeebe.url"),
        (OSError(errno.ECONNREFUSED, "x"), "refused", "no program listens"),
        (OSError("Multiple exceptions: [Errno 111] a, [Errno 111] b"), "refused", "no program listens"),
        (
            OSError("Multiple exceptions: [Errno 111] a, [Errno 113] b"),
            "unreachable",
            "connection refused, no route to host",
        ),
        (ConnectionResetError(), "reset", "upstreams.zeebe.url has the right port"),
        (OSError(errno.EHOSTUNREACH, "x"), "no_route", "VPN"),
        (OSError(errno.ENETUNREACH, "x"), "no_route", "the host in upstreams.zeebe.url"),
        (OSError(errno.EMFILE, "x"), "no_files", "ulimit -n"),
        (OSError(errno.ETIMEDOUT, "x"), "connect_timeout", "upstreams.zeebe.connect_timeout"),
        (TimeoutError(), "connect_timeout", "upstreams.zeebe.http_proxy"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "name_unknown", "host in upstreams.zeebe.url"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "name_unanswered", "no DNS server has answered"),
        (UnicodeError("x"), "name_invalid", "Correct upstreams.zeebe.url"),
        (OSError("x"), "unreachable", "names no reason"),
    ],
)
def test_each_failure_of_the_network_has_its_cause(error: Exception, name: str, says: str) -> None:
    found = cause_of(error, UPSTREAM, timeout="connect_timeout")
    assert found.name == name
    assert says in found.words


@pytest.mark.parametrize(
    ("answer", "asked", "name", "says"),
    [
        (TokenAnswer(404), ASKED, "no_such_path", "Correct credentials.saas.token_url: Keycloak's ends in"),
        (TokenAnswer(404, "text/html"), ASKED, "no_such_path", "there is no token endpoint at this path"),
        (TokenAnswer(405), ASKED, "no_post", "takes no POST"),
        (
            TokenAnswer(302, location="https://login.test/sso?next=x"),
            ASKED,
            "redirect",
            "(302 to https://login.test:443/sso)",
        ),
        (TokenAnswer(307), ASKED, "redirect", "final URL in credentials.saas.token_url"),
        (TokenAnswer(200, "text/html"), ASKED, "html", "HTML page instead of JSON"),
        (TokenAnswer(403, "text/html"), ASKED, "html", "answered 403"),
        (
            TokenAnswer(
                400, "text/html", beginning=b"<h1>The plain HTTP request was sent to HTTPS port</h1>"
            ),
            ASKED,
            "plain_to_tls",
            "https:// in credentials.saas.token_url",
        ),
        (
            TokenAnswer(400, "text/plain", beginning=b"Client sent an HTTP request to an HTTPS server.\n"),
            ASKED,
            "plain_to_tls",
            "speaks TLS",
        ),
        (TokenAnswer(429), ASKED, "limited", "429"),
        (TokenAnswer(503, error="temporarily_unavailable"), ASKED, "server_error", "503 temporarily_unav"),
        (
            TokenAnswer(401, error="invalid_client", description="Invalid client credentials"),
            ASKED,
            "client_refused",
            "(401 invalid_client: Invalid client credentials). Check credentials.saas.client_id and cred",
        ),
        (TokenAnswer(401), ASKED, "client_refused", "credentials.saas.client_secret"),
        (TokenAnswer(401, error="unauthorized_client"), ASKED, "client_unauthorized", "service account"),
        (TokenAnswer(400, error="unsupported_grant_type"), ASKED, "grant_refused", "Allow that grant"),
        (
            TokenAnswer(400, error="invalid_scope"),
            Asked(scope="app/.default"),
            "scope_refused",
            "refused the scope `app/.default` (400 invalid_scope). Correct credentials.saas.scope",
        ),
        (TokenAnswer(400, error="invalid_scope"), ASKED, "request_refused", "scope and audience"),
        (
            TokenAnswer(403, error="access_denied"),
            Asked(audience="zeebe.camunda.io"),
            "audience_refused",
            "refused the audience `zeebe.camunda.io`",
        ),
        (TokenAnswer(403), Asked(audience="a", scope="s"), "audience_refused", "`a`"),
        (TokenAnswer(403), Asked(scope="s"), "scope_refused", "`s`"),
        (TokenAnswer(403), ASKED, "client_unauthorized", "client_id"),
        (TokenAnswer(400, error="invalid_target"), Asked(audience="a"), "audience_refused", "`a`"),
        (TokenAnswer(400, error="new_error"), ASKED, "no_token", "400 without a token new_error"),
        (TokenAnswer(200, "application/json"), ASKED, "no_token", "200 without a token"),
    ],
)
def test_each_answer_without_a_token_has_its_cause(
    answer: TokenAnswer, asked: Asked, name: str, says: str
) -> None:
    found = of_answer(answer, TOKENS, asked)
    assert (found.name, says in found.words) == (name, True), found


@given(st.builds(TokenAnswer, st.integers(100, 599), st.text(), st.text(), st.text(), st.text(), st.binary()))
def test_whatever_is_answered_its_cause_is_short_and_printable(answer: TokenAnswer) -> None:
    text = of_answer(answer, TOKENS, ASKED).words
    assert text.isprintable()
    assert len(text) < 4 * LONGEST + 600


@given(st.text())
def test_cleaned_text_is_printable_and_short(text: str) -> None:
    assert cleaned(text).isprintable()
    assert len(cleaned(text)) <= LONGEST


def test_a_long_text_is_cut() -> None:
    assert cleaned("x" * 1000) == "x" * 197 + "..."
    assert cleaned("x" * 200) == "x" * 200


def test_a_token_in_a_text_is_masked() -> None:
    assert cleaned("got eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln instead") == "got *** instead"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://user:pw@login.test/t?key=secret#f", "https://login.test:443/t"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("nonsense", ""),
        ("http://x:99999/", ""),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, says: str) -> None:
    assert shown(url) == says
