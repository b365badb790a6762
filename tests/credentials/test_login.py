"""What the answers to a login mean: rows of what servers were seen or are said to answer."""

from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.cookies import Jar
from proxy.credentials.login import NoLogin, form, meaning, order, said
from proxy.credentials.reply import Reply
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable
from proxy.terms import Dialect, DialectChoice

JSON = ("content-type", "application/json;charset=UTF-8")
PROBLEM = ("content-type", "application/problem+json")
HTML = ("content-type", "text/html;charset=UTF-8")
TOKEN = ("x-csrf-token", "masked")
SESSION = ("set-cookie", "OPERATE-SESSION=abc; Path=/; HttpOnly")
CSRF_COOKIE = ("set-cookie", "X-CSRF-TOKEN=uuid; Path=/; HttpOnly")
BASIC = ("www-authenticate", 'Basic realm="Realm"')
NO_TOKEN = b'{"detail":"Invalid CSRF Token \'null\' was found"}'

Row = tuple[str, Dialect, int, list[tuple[str, str]], bytes, bool, str]
ROWS: list[Row] = [
    # who, dialect, status, fields, body, a token was shown, meaning
    ("8.8 and later", "login", 204, [SESSION, CSRF_COOKIE, TOKEN], b"", False, "in"),
    ("newest", "login", 204, [SESSION], b"", True, "in"),
    ("8.2 to 8.5.0", "api-login", 204, [SESSION], b"", False, "in"),
    ("some server", "api-login", 200, [SESSION, JSON], b"{}", False, "in"),
    ("8.8, wrong password", "login", 401, [PROBLEM], b'{"status":401}', False, "rejected"),
    ("newest, wrong password", "login", 401, [PROBLEM, TOKEN], b"{}", True, "rejected"),
    ("8.6.0, wrong password", "api-login", 401, [JSON], b'{"message":""}', False, "rejected"),
    ("newest, no token shown", "login", 401, [PROBLEM], NO_TOKEN, False, "csrf"),
    ("newest, no token shown", "login", 403, [PROBLEM, TOKEN], b"{}", False, "csrf"),
    ("newest, no token shown", "login", 401, [PROBLEM, TOKEN, CSRF_COOKIE], b"{}", False, "csrf"),
    ("newest, stale token", "login", 403, [PROBLEM, TOKEN], NO_TOKEN, True, "csrf"),
    (
        "Operate 8.6.0 (observed)",
        "login",
        403,
        [JSON, CSRF_COOKIE],
        b'{"error":"Forbidden"}',
        False,
        "elsewhere",
    ),
    ("Tasklist 8.6.0 (observed)", "login", 405, [("allow", "GET")], b"", False, "elsewhere"),
    ("Operate 8.2", "login", 302, [("location", "/api/login"), SESSION], b"", False, "elsewhere"),
    ("a single page application", "login", 200, [HTML, SESSION], b"<html>csrf", False, "elsewhere"),
    ("8.8 to the older path", "api-login", 401, [PROBLEM], b'{"status":401}', False, "elsewhere"),
    ("auth-basic of 8.6.0 (observed)", "login", 401, [JSON, BASIC, SESSION], b"{}", False, "elsewhere"),
    ("auth-basic of 8.6.0 (observed)", "api-login", 401, [JSON, BASIC], b"{}", False, "elsewhere"),
    ("an ingress", "login", 401, [HTML], b"<html>", False, "elsewhere"),
    ("an ingress", "api-login", 403, [HTML], b"<html>", False, "elsewhere"),
    ("single sign-on", "api-login", 302, [("location", "https://idp/auth")], b"", False, "elsewhere"),
    ("another server", "api-login", 404, [JSON], b"{}", False, "elsewhere"),
    ("another server", "api-login", 204, [], b"", False, "elsewhere"),
    ("another server", "login", 204, [CSRF_COOKIE], b"", False, "elsewhere"),
    ("a limit", "login", 429, [("retry-after", "7")], b"", False, "limited"),
    ("a server that starts", "login", 503, [HTML], b"<html>", False, "unavailable"),
    ("a broken server", "api-login", 500, [JSON], b"csrf", False, "unavailable"),
]


@pytest.mark.parametrize(("who", "dialect", "status", "fields", "body", "shown", "expected"), ROWS)
def test_what_the_answer_to_a_login_means(
    who: str,
    dialect: Dialect,
    status: int,
    fields: list[tuple[str, str]],
    body: bytes,
    shown: bool,
    expected: str,
) -> None:
    before = Jar(csrf=(b"X-CSRF-TOKEN", b"shown") if shown else None)
    answer = Reply(status, body, tuple(fields))
    assert outcome(dialect, answer, before) == expected


def outcome(dialect: Dialect, answer: Reply, before: Jar) -> str:
    try:
        return meaning(dialect, answer, before, before.after(said(answer), 0.0), 0.0)
    except CredentialError as error:
        return error.outcome


def test_an_anonymous_visitors_session_is_no_login() -> None:
    before = Jar(cookies=((b"JSESSIONID", b"anonymous"),))
    assert outcome("login", Reply(200, b"{}", (JSON,)), before) == "elsewhere"


@pytest.mark.parametrize(
    ("choice", "worked", "tried"),
    [
        ("auto", None, ("login", "api-login")),
        ("auto", "login", ("login", "api-login")),
        ("auto", "api-login", ("api-login", "login")),  # and 8.8 where it was upgraded meanwhile
        ("login", "api-login", ("login",)),
        ("api-login", None, ("api-login",)),
    ],
)
def test_what_worked_is_tried_first(
    choice: DialectChoice, worked: Dialect | None, tried: tuple[Dialect, ...]
) -> None:
    assert order(choice, worked) == tried


def test_a_form_is_utf_8() -> None:
    assert parse_qs(form("dému", "p&s=s %+").decode()) == {"username": ["dému"], "password": ["p&s=s %+"]}
    with pytest.raises(CredentialUnavailable) as caught:
        form("demo", "c4n4ry\ud800")
    assert "c4n4ry" not in repr(caught.value)
    assert caught.value.__suppress_context__


def test_no_login_says_what_was_answered_and_what_to_do() -> None:
    plain = NoLogin({"login": Reply(405, b""), "api-login": Reply(404, b"")})
    assert str(plain).startswith(
        "the login server: it has no login that we know (POST /login answered 405, POST /api/login answered"
        " 404). Check the URL and the dialect"
    )
    assert "type: basic" in str(NoLogin({"login": Reply(401, b"", (BASIC,))}))


fields = st.sampled_from([JSON, PROBLEM, HTML, TOKEN, SESSION, CSRF_COOKIE, BASIC, ("location", "/login")])


@given(
    st.sampled_from(["login", "api-login"]),
    st.integers(100, 599),
    st.lists(fields, max_size=4),
    st.binary(max_size=8) | st.just(NO_TOKEN),
    st.booleans(),
)
def test_nothing_but_a_session_lets_in_and_nothing_but_a_401_blames_the_password(
    dialect: Dialect, status: int, given_fields: list[tuple[str, str]], body: bytes, shown: bool
) -> None:
    before = Jar(csrf=(b"X-CSRF-TOKEN", b"shown") if shown else None)
    answer = Reply(status, body, tuple(given_fields))
    after = before.after(said(answer), 0.0)
    try:
        means = meaning(dialect, answer, before, after, 0.0)
    except CredentialRejected:
        assert status == 401
        assert BASIC not in given_fields
        assert b"CSRF" not in body
    except CredentialUnavailable:
        assert status == 429 or status >= 500
    else:
        assert means != "in" or (200 <= status < 300 and after.session)
