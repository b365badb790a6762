"""Whatever a server answers, the doctor has an opinion and no fault."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.commands.doctor.api_answers import judge, version_of
from proxy.commands.doctor.api_asked import ApiAsked
from proxy.commands.doctor.calls import ANYTHING, CALLS, Answer
from proxy.commands.doctor.claims import Claims, claims
from proxy.commands.doctor.clocks import clock_step, difference
from proxy.commands.doctor.finding import Why
from proxy.commands.doctor.login_answers import LoginAsked, of_login
from proxy.commands.doctor.recording import Exchange
from proxy.commands.doctor.token_answers import TokenAsked, of_discovery, of_token_answer, of_unusable_token
from proxy.credentials.reply import Reply
from tests.doctor.test_tokens import jwt

NAMES = ("www-authenticate", "location", "content-type", "retry-after", "date", "x")
VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ("Bearer", "Basic realm=x", "text/html", "application/problem+json", "//[", "https://a:x/")
    ),
)
FIELDS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4).map(tuple)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ("detail", "message", "error", "error_description", "issuer", "gatewayVersion", "aud")
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)
BODIES = st.one_of(st.binary(max_size=80), JSON.map(lambda value: json.dumps(value).encode()))
STATUSES = st.sampled_from((200, 204, 302, 307, 400, 401, 403, 404, 405, 415, 421, 429, 431, 500, 503))
CLAIMS = st.one_of(
    st.none(),
    st.lists(st.text(max_size=9), max_size=2).map(lambda audiences: claims(jwt(aud=audiences, iss="//["))),
)


@given(
    STATUSES,
    FIELDS,
    BODIES,
    st.sampled_from([*CALLS, "other"]),
    st.sampled_from(("oauth2", "session", "bearer", "basic", "none")),
    CLAIMS,
    st.booleans(),
    st.sampled_from(("", "8.10.0", "8.9", "x")),
    st.one_of(st.none(), st.floats(-1e9, 1e9)),
)
def test_an_api_may_answer_anything(
    status: int,
    fields: Any,
    body: bytes,
    api: str,
    kind: str,
    found: Claims | None,
    saas: bool,
    version: str,
    ahead: float | None,
) -> None:
    for call in CALLS.get(api, ANYTHING):
        asked = ApiAsked(
            "upstreams.a",
            "http://a:1/b",
            api,
            saas,
            kind,
            "credentials.c",
            call,
            claims=found,
            version=version,
            ahead=ahead,
        )
        mark, why = judge(Answer(status, fields, body), asked)
        assert (why is None) == (mark == "ok")
        assert why is None or printable(why)
    version_of(Answer(status, fields, body))


NO_URL = (("location", "//["),)


def test_a_location_that_is_no_url() -> None:
    for kind in ("oauth2", "session"):
        asked = ApiAsked(
            "upstreams.a", "http://a:1", "zeebe", False, kind, "credentials.c", CALLS["zeebe"][0]
        )
        assert judge(Answer(302, NO_URL), asked)[0] == "wrong"
    token = TokenAsked("credentials.c", "http://a:1/t", "client", "client_secret_post", "form")
    assert of_token_answer(Reply(302, b"", NO_URL), 0.0, token).name == "token_redirect"
    login = LoginAsked("credentials.c", "http://a:1", "upstreams.a.url", "demo", "auto")
    posted = Exchange("POST", "http://a:1/login", Reply(302, b"", NO_URL), "", 0.0, 0.0)
    assert of_login([posted], False, "it is wrong", login).name == "login_unknown"


def printable(why: Why) -> bool:
    return why.words.isprintable() and why.words.endswith(".") and len(why.words) < 2000


@given(
    STATUSES, FIELDS, BODIES, st.sampled_from(("client_secret_post", "private_key_jwt", "tls_client_auth"))
)
def test_a_token_endpoint_may_answer_anything(status: int, fields: Any, body: bytes, method: str) -> None:
    reply = Reply(status, body, fields)
    asked = TokenAsked("credentials.c", "http://a:1/t", "client", method, "form", None, "s")
    for why in (
        of_token_answer(reply, 31.0, asked),
        of_unusable_token(reply, "it is wrong", asked),
        of_discovery(reply, "http://a:1", "it is wrong", "credentials.c"),
    ):
        assert printable(why)


@given(st.lists(st.builds(Reply, STATUSES, BODIES, FIELDS), max_size=3), st.booleans())
def test_a_login_may_answer_anything(replies: list[Reply], rejected: bool) -> None:
    exchanges = [Exchange("POST", "http://a:1/login", each, "", 0.0, 0.0) for each in replies]
    asked = LoginAsked("credentials.c", "http://a:1", "upstreams.a.url", "demo", "auto")
    assert printable(of_login(exchanges, rejected, "it is wrong", asked))


@given(st.one_of(st.text(max_size=60), JSON.map(json.dumps)))
def test_a_token_may_be_anything(text: str) -> None:
    from base64 import urlsafe_b64encode

    for token in (
        text,
        f"a.{text}.b",
        f"a.{urlsafe_b64encode(text.encode('utf-8', 'surrogatepass')).decode()}.b",
    ):
        found = claims(token)
        assert found is None or found.said().isprintable()


def test_claims_are_cleaned_before_they_are_shown() -> None:
    found = claims(jwt(iss="a\nb\u202e", aud=["x\x1b[2K"], azp="c\r", scope="d\x00 e", exp=1e300))
    assert found is not None
    assert found.said() == "aud x?[2K, iss a b?, client c, scope d? e"


@given(st.text(max_size=40), st.floats(-1e12, 1e12))
def test_a_date_may_be_anything(date: str, wall: float) -> None:
    clock_step(difference(date, wall), "it")
