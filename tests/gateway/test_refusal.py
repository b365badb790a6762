"""Does an answer say that the credential was refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.gateway.grammar import Field
from proxy.gateway.refusal import Asked, Verdict, belongs_to_session, judge

PASSES, REFUSED, SUSPECTED = Verdict.PASSES, Verdict.REFUSED, Verdict.SUSPECTED

CHALLENGES: list[tuple[int, list[bytes], Verdict]] = [
    (401, [], REFUSED),
    (401, [b"Basic realm=x"], REFUSED),
    (403, [], PASSES),
    (403, [b"Bearer"], REFUSED),
    (403, [b'bearer error="invalid_token"'], REFUSED),
    (403, [b'Bearer error="insufficient_scope"'], PASSES),
    (403, [b"Bearerish"], PASSES),
    (403, [b"Basic"], PASSES),
    (403, [b"Basic", b"Bearer"], REFUSED),
    (403, [b"Bearer", b"Basic"], REFUSED),
    (403, [b'Bearer realm="c", Error="Insufficient_Scope", scope="a"'], PASSES),
    (403, [b""], PASSES),
    (407, [b"Bearer"], PASSES),
    (302, [b"Bearer"], PASSES),
    (500, [], PASSES),
    (200, [b"Bearer"], PASSES),
]


@pytest.mark.parametrize(("status", "challenges", "expected"), CHALLENGES)
def test_a_refusal_of_any_credential(status: int, challenges: list[bytes], expected: Verdict) -> None:
    fields: list[Field] = [(b"location", b"Bearer"), *((b"www-authenticate", each) for each in challenges)]
    assert judge(status, fields) is expected
    assert judge(status, fields, asked("GET /operate")) is expected


def asked(line: str, cookies: bytes = b"OPERATE-SESSION=s; X-CSRF-TOKEN=old") -> Asked:
    method, path = line.encode().split(b" ")
    return Asked(method, path, b"up.example:8080", cookies)


def leads(location: bytes) -> list[Field]:
    return [(b"location", location)]


HTML: list[Field] = [(b"content-type", b"text/html;charset=UTF-8")]
JSON: list[Field] = [(b"content-type", b"application/json")]
NEW_COOKIE: list[Field] = [
    (b"set-cookie", b"X-CSRF-TOKEN=; Max-Age=0"),
    (b"set-cookie", b"X-CSRF-TOKEN=new; Path=/; HttpOnly"),
]
OLD_COOKIE: list[Field] = [(b"set-cookie", b"X-CSRF-TOKEN=old; Path=/; HttpOnly")]
NO_COOKIE: list[Field] = [(b"set-cookie", b"X-CSRF-TOKEN=; Max-Age=0")]
MASKED: list[Field] = [(b"x-csrf-token", b"another")]
TASKLIST_8_6 = b'{"error": "Access denied due to invalid CSRF token."}'
OPERATE_8_6 = b'{"timestamp":"...","status":403,"error":"Forbidden","path":"..."}'

UNDER_A_SESSION: list[tuple[str, int, list[Field], bytes, Verdict]] = [
    # -- redirects --
    ("GET /v2/topology", 302, leads(b"http://up.example:8080/api/login"), b"", REFUSED),
    ("GET /v1/x", 301, leads(b"/login"), b"", REFUSED),
    ("GET /api/x", 303, leads(b"/operate/login/?next=%2Fv1#x"), b"", REFUSED),
    ("POST /v2/x", 307, leads(b"/login;jsessionid=1"), b"", REFUSED),
    ("GET /v2", 302, leads(b"sso-callback"), b"", REFUSED),
    ("GET /v2/x", 302, leads(b"login"), b"", REFUSED),
    ("GET /v2/x", 302, leads(b"https://idp.example/auth"), b"", REFUSED),
    ("GET /v2/x", 302, leads(b"HTTPS://idp.example/auth"), b"", REFUSED),
    ("GET /v2/x", 302, leads(b"///auth"), b"", REFUSED),
    ("GET /v2/x", 302, [*leads(b"/x"), *leads(b"/login")], b"", REFUSED),
    ("GET /v2/x", 302, leads(b"//idp.example/auth"), b"", REFUSED),
    ("GET /v2/x", 302, leads(b"http://up.example:18080/auth/realms/camunda"), b"", REFUSED),
    ("GET /v2/x", 302, leads(b"http://up.example:8080@evil/"), b"", REFUSED),
    ("GET /v2/x", 302, leads(b"HTTP://UP.example:8080/v2/x/"), b"", PASSES),
    ("GET /v2/x", 302, leads(b"/v2/x/"), b"", PASSES),
    ("GET /v2/x", 302, leads(b"/mylogin"), b"", PASSES),
    ("GET /v2/x", 302, leads(b"/x?to=/login"), b"", PASSES),
    ("GET /v2/x", 302, leads(b"/x;to=/login"), b"", PASSES),
    ("GET /v2/x", 302, leads(b"/x#/login"), b"", PASSES),
    ("GET /v2/x", 302, [(b"content-type", b"/login"), *leads(b"/x")], b"", PASSES),
    ("GET /v2/x", 308, leads(b"/login"), b"", PASSES),
    ("GET /x/v2/y", 302, leads(b"/login"), b"", PASSES),
    *(
        (f"POST {path}", 302, leads(b"/login"), b"", REFUSED)
        for path in (
            "/mcp",
            "/mcp/cluster",
            "/cluster/v2/topology",
            "/physical-tenants/a/mcp/processes",
            "/physical-tenants/a/v2/x",
            "/physical-tenants/a/cluster/v2/x",
        )
    ),
    *(
        (f"POST {path}", 302, leads(b"/login"), b"", PASSES)
        for path in (
            "/mcpx",
            "/cluster/v3/x",
            "/cluster",
            "/physical-tenants/a/b/v2/x",
            "/physical-tenants/v2",
        )
    ),
    ("GET /v2/x", 302, [], b"", PASSES),
    ("GET /v2/x", 304, leads(b"/login"), b"", PASSES),
    ("GET /v2/x", 201, leads(b"/login"), b"", PASSES),
    ("GET /operate", 302, leads(b"/api/login"), b"", PASSES),
    ("GET /v22/x", 302, leads(b"/login"), b"", PASSES),
    ("GET /apis", 302, leads(b"/login"), b"", PASSES),
    # -- pages --
    ("GET /v2/x", 200, HTML, b"", REFUSED),
    ("POST /api/x", 200, HTML, b"", REFUSED),
    ("GET /v1/x", 403, HTML, b"", REFUSED),
    ("GET /v1/x", 401, HTML, b"", REFUSED),
    ("GET /v1/x", 200, [(b"content-type", b"TEXT/HTML")], b"", REFUSED),
    ("GET /v1/x", 404, HTML, b"", PASSES),
    ("GET /v1/x", 503, HTML, b"", PASSES),
    ("GET /v1/x", 200, JSON, b"<html>", PASSES),
    ("GET /operate", 200, HTML, b"", PASSES),
    ("GET /v1/x", 200, [(b"x-type", b"text/html")], b"", PASSES),
    ("GET /", 403, HTML, b"", PASSES),
    # -- CSRF, and what may be --
    ("POST /v1/x", 403, JSON, TASKLIST_8_6, REFUSED),
    ("POST /anything", 403, JSON, b"Invalid CSRF Token 'null'", REFUSED),
    ("GET /v1/x", 403, JSON, TASKLIST_8_6, REFUSED),
    ("POST /v1/x", 400, JSON, TASKLIST_8_6, PASSES),
    ("POST /v1/x", 200, JSON, TASKLIST_8_6, PASSES),
    ("POST /v1/x", 403, JSON, OPERATE_8_6, SUSPECTED),
    ("PUT /v1/x", 403, JSON, OPERATE_8_6, SUSPECTED),
    ("PATCH /v1/x", 403, [], b"", SUSPECTED),
    ("DELETE /v1/x", 403, MASKED, b"", SUSPECTED),
    ("POST /operate/x", 403, [], b"", SUSPECTED),
    ("POST /v1/x", 403, NEW_COOKIE, OPERATE_8_6, REFUSED),
    ("POST /v1/x", 403, OLD_COOKIE, OPERATE_8_6, SUSPECTED),
    ("POST /v1/x", 403, NO_COOKIE, OPERATE_8_6, SUSPECTED),
    ("POST /v1/x", 403, [(b"set-cookie", b"x-csrf-token= old ; Path=/")], OPERATE_8_6, SUSPECTED),
    ("POST /v1/x", 403, [(b"set-cookie", b"Xsrf=new"), (b"set-cookie", b"a=csrf")], b"", SUSPECTED),
    ("POST /v1/x", 403, [(b"set-cookie", b"a=b"), (b"set-cookie", b"XCsrf=new")], b"", REFUSED),
    ("POST /v1/x", 403, [(b"www-authenticate", b'Bearer error="insufficient_scope"')], b"", PASSES),
    ("GET /v1/x", 403, JSON, OPERATE_8_6, PASSES),
    ("GET /v1/x", 403, MASKED, b"", PASSES),
    ("GET /v1/x", 403, NEW_COOKIE, b"", PASSES),
    ("HEAD /v1/x", 403, [], b"", PASSES),
    ("OPTIONS /v1/x", 403, [], b"", PASSES),
    ("post /v1/x", 403, [], b"", PASSES),
    ("POST /v1/x", 409, NEW_COOKIE, b"", PASSES),
    # -- a resource that is called so --
    ("GET /v2/users/login", 401, [], b"", REFUSED),
]


@pytest.mark.parametrize(("line", "status", "fields", "body", "expected"), UNDER_A_SESSION)
def test_a_refusal_of_a_session(
    line: str, status: int, fields: list[Field], body: bytes, expected: Verdict
) -> None:
    assert judge(status, fields, asked(line), body) is expected


@pytest.mark.parametrize(
    ("authority", "location", "expected"),
    [
        (b"up.example", b"https://up.example:443/v2/x", PASSES),
        (b"up.example", b"http://up.example:80/v2/x", PASSES),
        (b"up.example", b"//up.example:/v2/x", PASSES),
        (b"up.example", b"http://up.example:8080/v2/x", REFUSED),
        (b"up.example", b"http://up.example:4430/v2/x", REFUSED),
        (b"up.example:443", b"https://up.example/v2/x", PASSES),
        (b"up.example:80", b"http://up.example/v2/x", PASSES),
        (b"up.example:8080", b"http://up.example/v2/x", REFUSED),
        (b"UP.example", b"http://up.EXAMPLE/v2/x", PASSES),
    ],
)
def test_another_host_or_port_is_an_identity_provider(
    authority: bytes, location: bytes, expected: Verdict
) -> None:
    request = Asked(b"GET", b"/v2/x", authority, b"")
    assert judge(302, leads(location), request) is expected


def test_what_was_asked_is_not_shown() -> None:
    assert repr(asked("GET /secret")) == "Asked(***)"


@pytest.mark.parametrize(
    ("line", "status", "expected"),
    [
        ("GET /v2/topology", 200, True),
        ("GET /v2/topology", 404, True),
        ("POST /v2/users/a%40b.de/roles", 204, False),
        ("POST /%6cogin", 204, False),
        ("POST /x;y/login", 204, False),
        ("POST /x\\login", 204, False),
        ("GET /operate", 302, False),
    ],
)
def test_cookies_that_are_the_sessions(line: str, status: int, expected: bool) -> None:
    assert belongs_to_session(status, asked(line)) is expected


FIELD = st.tuples(
    st.sampled_from([b"www-authenticate", b"location", b"content-type", b"set-cookie", b"x-csrf-token"]),
    st.binary(max_size=20)
    | st.sampled_from([b"Bearer", b"Bearer x", b"text/html", b"/login", b"//x", b"X-CSRF-TOKEN=x"]),
)
STATUS = st.integers(200, 999) | st.sampled_from([200, 302, 401, 403])
LINE = st.sampled_from(["GET /v2/x", "POST /v1/x", "POST /", "GET /", "DELETE /api/x", "POST /%6cogin"])


@given(STATUS, st.lists(FIELD, max_size=4), st.binary(max_size=20) | st.just(b"csrf"))
def test_without_a_session_only_401_and_a_challenged_403_are_refusals(
    status: int, fields: list[Field], body: bytes
) -> None:
    verdict = judge(status, fields, None, body)
    assert verdict is not SUSPECTED
    assert verdict is REFUSED or status != 401
    if verdict is REFUSED and status != 401:
        assert status == 403
        assert any(
            name == b"www-authenticate" and value.lower().startswith(b"bearer") for name, value in fields
        )


@given(STATUS, st.lists(FIELD, max_size=4), LINE, st.binary(max_size=20) | st.just(b"Csrf"))
def test_under_a_session_only_a_403_to_a_change_is_suspected(
    status: int, fields: list[Field], line: str, body: bytes
) -> None:
    request = asked(line)
    verdict = judge(status, fields, request, body)
    if verdict is SUSPECTED:
        assert status == 403
        assert request.method in (b"POST", b"PUT", b"PATCH", b"DELETE")
        assert judge(status, fields, None, body) is PASSES
    if judge(status, fields, None, body) is REFUSED:
        assert verdict is REFUSED
    if verdict is REFUSED:
        assert status in (200, 301, 302, 303, 307, 401, 403)


@given(st.lists(FIELD, max_size=4), LINE, st.binary(max_size=20) | st.just(b"csrf"))
def test_a_body_can_only_turn_a_403_into_a_refusal(fields: list[Field], line: str, body: bytes) -> None:
    before, after = judge(403, fields, asked(line)), judge(403, fields, asked(line), body)
    assert after in (before, REFUSED)
