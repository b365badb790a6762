"""Who may talk to us."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import RequestRefused
from proxy.gateway.grammar import Field
from proxy.gateway.guard import LOOPBACK_NAMES, Guard
from proxy.gateway.request_head import RequestHead
from tests.examples import some


def asked(
    *fields: Field, host: bytes = b"localhost", method: bytes = b"GET", connection: tuple[bytes, ...] = ()
) -> RequestHead:
    notable = [(b"host", host), *fields]
    length = 3 if (b"content-length", b"3") in fields else None
    return RequestHead(method, b"/", 1, notable, [], notable, host, length, False, connection, True)


def refusal(head: RequestHead, guard: Guard | None = None) -> tuple[str, int | None] | None:
    try:
        (guard or Guard()).check(head)
    except RequestRefused as error:
        return error.code, error.status
    return None


@pytest.mark.parametrize(
    "host",
    [b"localhost", b"LocalHost:19080", b"127.0.0.1", b"127.0.0.1:1", b"[::1]", b"[::1]:65535", b"localhost:"],
)
def test_our_own_names_are_answered_on_any_port(host: bytes) -> None:
    assert refusal(asked(host=host)) is None


@pytest.mark.parametrize(
    "host",
    [
        *(b"evil.example", b"localhost.", b"localhost.evil.example", b"127.0.0.1.evil.example", b"0.0.0.0"),
        *(b"127.1", b"2130706433", b"[::]", b"[0:0:0:0:0:0:0:1]", b"my.local", b"%6cocalhost", b"127.0.0.2"),
        *(
            b"a" * 255,
            b"evil.example:12345",
            b"[FE80::AbCd]",
            b"[0000:0000:0000:0000:0000:ffff:127.100.100.100]",
        ),
    ],
)
def test_other_names_are_not_answered(host: bytes) -> None:
    assert refusal(asked(host=host)) == ("wrong_host", None)


@pytest.mark.parametrize(
    "host",
    [
        *(
            b"",
            b":80",
            b"a b",
            b"localhost, evil",
            b"me@localhost",
            b"localhost/",
            b"::1",
            b"[::1",
            b"localhost:x",
        ),
        *(b"localhost:123456", b"localhost\xff", b"\xc4\xb1ocalhost", b"localhost\x00", b"[localhost]"),
        *(b"a" * 256, b"[" + b"0" * 46 + b"]", b"[:]", b"[]"),
    ],
)
def test_what_is_no_host_is_a_bad_request(host: bytes) -> None:
    assert refusal(asked(host=host)) == ("bad_request", None)


def test_a_name_that_is_allowed_is_answered() -> None:
    guard = Guard(LOOPBACK_NAMES | {"camunda-proxy"})
    for _ in range(2):  # the second time from memory
        assert refusal(asked(host=b"Camunda-Proxy:80"), guard) is None
        assert refusal(asked(host=b"camunda"), guard) == ("wrong_host", None)


def test_so_many_host_names_are_remembered_and_no_more() -> None:
    guard = Guard(browsers=False)
    for number in range(1000):
        assert refusal(asked(host=b"a%d" % number), guard) is None
    assert 0 < len(guard.seen.known) <= 256


PAGES = {
    "same origin": ([(b"sec-fetch-site", b"same-origin")], True),
    "typed": ([(b"sec-fetch-site", b"none")], True),
    "other site": ([(b"sec-fetch-site", b"cross-site")], False),
    "other port": ([(b"sec-fetch-site", b"same-site")], False),
    "unknown": ([(b"sec-fetch-site", b"None")], False),
    "empty": ([(b"sec-fetch-site", b"")], False),
    "twice": ([(b"sec-fetch-site", b"none"), (b"sec-fetch-site", b"none")], False),
    "list": ([(b"sec-fetch-site", b"none, same-origin")], False),
    "our origin": ([(b"origin", b"http://localhost")], True),
    "https": ([(b"origin", b"https://localhost")], False),
    "null": ([(b"origin", b"null")], False),
    "other origin": ([(b"origin", b"http://localhost:3000")], False),
    "other origin, same site": ([(b"origin", b"http://evil"), (b"sec-fetch-site", b"none")], False),
    "two origins": ([(b"origin", b"http://localhost"), (b"origin", b"http://localhost")], False),
    "empty origin": ([(b"origin", b"")], False),
    "prefetch": ([(b"sec-purpose", b"prefetch;prerender"), (b"sec-fetch-site", b"none")], False),
    "old prefetch": ([(b"purpose", b"Prefetch")], False),
    "prefetch before another purpose": ([(b"purpose", b"prefetch"), (b"purpose", b"work")], False),
    "prefetch after another purpose": ([(b"purpose", b"work"), (b"sec-purpose", b"prefetch")], False),
    "prefetch of another site": ([(b"purpose", b"prefetch"), (b"sec-fetch-site", b"none")], False),
    "own prefetch": ([(b"sec-purpose", b"prefetch"), (b"sec-fetch-site", b"same-origin")], True),
    "other purpose": ([(b"purpose", b"work")], True),
}


@pytest.mark.parametrize("case", PAGES)
def test_pages_of_other_sites_are_refused_whatever_the_method(case: str) -> None:
    fields, passes = PAGES[case]
    expected = None if passes else ("cross_site", None)
    for method in (b"GET", b"HEAD", b"OPTIONS", b"POST", b"X"):
        assert (method, refusal(asked(*fields, method=method))) == (method, expected)


def test_an_origin_is_compared_with_the_host_that_was_asked_for() -> None:
    assert refusal(asked((b"origin", b"http://localhost:19080"), host=b"LOCALHOST:19080")) is None
    assert refusal(asked((b"origin", b"http://localhost"), host=b"localhost:19080")) == ("cross_site", None)


@pytest.mark.parametrize(
    "method", [b"CONNECT", b"TRACE", b"trace", b"Trace", b"tRACE", b"connect", b"TRACK", b"track"]
)
def test_connect_and_trace_do_not_pass(method: bytes) -> None:
    assert refusal(asked(method=method)) == ("not_allowed", 405)


@pytest.mark.parametrize("method", [b"TRACER", b"TRAC", b"CONNECTS", b"get", b"TRACKS"])
def test_other_methods_pass_as_they_are_spelled(method: bytes) -> None:
    assert refusal(asked(method=method)) is None


UPGRADES: list[tuple[list[Field], bool]] = [
    ([(b"upgrade", b"websocket")], False),
    ([(b"upgrade", b"h2c")], True),
    ([(b"upgrade", b"h2c"), (b"content-length", b"3")], True),
    ([(b"upgrade", b"TLS/1.2, HTTP/1.1")], True),
    ([(b"upgrade", b"websockets")], True),
    ([(b"upgrade", b"WebSocket/13")], False),
    ([(b"upgrade", b"x"), (b"upgrade", b"WEBSOCKET")], False),
    ([(b"upgrade", b"websocket"), (b"upgrade", b"h2c")], False),
    ([(b"upgrade", b"h2c,\twebsocket/13")], False),
    ([(b"upgrade", b"a/websocket")], True),
    ([], True),
    ([(b"upgrade", b"h2c"), (b"upgrade", b"websocket")], False),
    ([(b"upgrade", b"h2c, websocket")], False),
    ([(b"via", b"x")], True),
]


@pytest.mark.parametrize(("fields", "passes"), UPGRADES)
def test_offers_to_upgrade_are_ignored_but_websocket_is_refused(fields: list[Field], passes: bool) -> None:
    head = asked(*fields, connection=(b"x", b"upgrade"))
    assert refusal(head) == (None if passes else ("unsupported", 501))
    assert refusal(asked(*fields, connection=(b"x",))) is None  # the field is a hop's before the caller's
    assert refusal(replace(head, minor=0)) is None


def test_http_1_0_needs_no_host() -> None:
    assert refusal(replace(asked(host=b""), minor=0)) is None
    assert refusal(replace(asked(host=b"evil.example"), minor=0)) == ("wrong_host", None)
    assert refusal(asked(host=b"")) == ("bad_request", None)


NAMES = st.sampled_from(
    b"origin sec-fetch-site sec-purpose purpose upgrade via authorization x-proxy-token"
    b" access-control-request-method".split()
)


VALUES = st.binary(max_size=10) | st.sampled_from(
    [
        b"http://localhost",
        b"http://app.example",
        b"null",
        b"none",
        b"same-origin",
        b"cross-site",
        b"Basic eDp5",
    ]
)


@settings(max_examples=some(400))
@given(
    st.binary(max_size=20) | st.sampled_from([b"localhost", b"[::1]"]),
    st.lists(st.tuples(NAMES, VALUES), max_size=4),
    st.binary(min_size=1, max_size=8) | st.just(b"OPTIONS"),
    st.booleans(),
)
def test_whatever_is_asked_nothing_but_a_refusal_is_raised(
    host: bytes, fields: list[Field], method: bytes, browsers: bool
) -> None:
    guard = Guard(origins=frozenset({APP}), browsers=browsers)
    head = asked(*fields, host=host, method=method, connection=(b"upgrade",))
    cors = guard.cors(head)
    try:
        guard.check(head)
    except RequestRefused:
        pass
    else:
        assert not browsers or host.lower() in (b"localhost", b"[::1]", b"127.0.0.1")
        origins = [value for name, value in fields if name == b"origin"]
        assert not browsers or origins in ([], [APP], [b"http://" + host.lower()])
        assert (cors == OPENING) == (browsers and origins == [APP])


APP = b"http://app.example"
OPENING = (
    b"Access-Control-Allow-Origin: http://app.example\r\nAccess-Control-Expose-Headers: *\r\nVary: Origin\r\n"
)
ALLOWED = {
    "alone": ([], True),
    "cross-site": ([(b"sec-fetch-site", b"cross-site")], True),
    "same-site": ([(b"sec-fetch-site", b"same-site")], True),
    "none": ([(b"sec-fetch-site", b"none")], True),
    "unknown site": ([(b"sec-fetch-site", b"elsewhere")], False),
    "two sites": ([(b"sec-fetch-site", b"cross-site"), (b"sec-fetch-site", b"cross-site")], False),
    "twice": ([(b"origin", APP)], False),
    "before another": ([(b"origin", b"http://evil.example"), (b"sec-fetch-site", b"none")], False),
    "and another": ([(b"origin", b"http://evil.example")], False),
    "and our own": ([(b"origin", b"http://localhost")], False),
    "prefetch": ([(b"sec-purpose", b"prefetch"), (b"sec-fetch-site", b"cross-site")], False),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_the_page_of_an_allowed_origin_is_let_in_and_reads_the_answer(case: str) -> None:
    fields, passes = ALLOWED[case]
    guard = Guard(origins=frozenset({APP}))
    for method in (b"GET", b"HEAD", b"OPTIONS", b"POST"):
        head = asked((b"origin", APP), *fields, method=method)
        assert (method, refusal(head, guard)) == (method, None if passes else ("cross_site", None))
        assert (method, refusal(head)) == (method, ("cross_site", None))
        if passes:
            assert (method, guard.cors(head)) == (method, OPENING)


@pytest.mark.parametrize(
    "origin",
    [
        *(b"https://app.example", b"http://app.example:80", b"http://app.example.evil", b"http://app.exampl"),
        *(b"HTTP://APP.EXAMPLE", b"null", b"*", b"", b"http://app.example, http://app.example"),
    ],
)
def test_an_origin_is_allowed_to_the_letter(origin: bytes) -> None:
    head = asked((b"origin", origin), (b"sec-fetch-site", b"cross-site"))
    assert refusal(head, Guard(origins=frozenset({APP}))) == ("cross_site", None)


def test_other_pages_read_nothing_though_an_origin_is_allowed() -> None:
    guard = Guard(origins=frozenset({APP}))
    for head in (asked(), asked((b"origin", b"http://localhost")), asked((b"origin", APP), (b"origin", APP))):
        assert guard.cors(head) == b"Vary: Origin\r\n"
    assert Guard().cors(asked((b"origin", APP))) == b""
    assert refusal(asked((b"origin", APP), host=b"evil.example"), guard) == ("wrong_host", None)


def test_of_two_origins_none_is_allowed_whichever_comes_first() -> None:
    guard = Guard(origins=frozenset({APP}))
    for origins in ([APP, b"http://localhost"], [b"http://localhost", APP], [APP, APP]):
        assert refusal(asked(*((b"origin", each) for each in origins)), guard) == ("cross_site", None)


def test_only_options_asks_beforehand() -> None:
    fields = [(b"access-control-request-method", b"PUT"), (b"origin", b"http://localhost")]
    assert refusal(asked(*fields, method=b"POST")) is None
    assert refusal(asked(*fields, method=b"OPTIONS")) == ("cross_site", None)


@pytest.mark.parametrize("origin", [None, b"http://localhost", b"http://evil.example", b"null"])
def test_a_preflight_is_for_an_allowed_origin_alone(origin: bytes | None) -> None:
    fields = [(b"access-control-request-method", b"PUT")]
    if origin is not None:
        fields.append((b"origin", origin))
    guard = Guard(origins=frozenset({APP}))
    assert refusal(asked(*fields, method=b"OPTIONS"), guard) == ("cross_site", None)
    assert refusal(asked(*fields[:1], (b"origin", APP), method=b"OPTIONS"), guard) is None


@pytest.mark.parametrize(
    ("raw", "cors"),
    [
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\nOrigin: http://app.example\r\n\r\n", OPENING),
        (b"GET /\xff HTTP/1.1\r\noRIGIN:http://app.example \r\n\r\n", OPENING),
        (b"GET /\xff HTTP/1.1\r\nOrigin: http://evil.example\r\n\r\n", b"Vary: Origin\r\n"),
        (b"GET /\xff HTTP/1.1\r\nX-Origin: http://app.example\r\n\r\n", b"Vary: Origin\r\n"),
        (b"GET /\r\nOrigin: http://app.example\r\nOrigin: http://app.example\r\n\r\n", b"Vary: Origin\r\n"),
        (b"", b"Vary: Origin\r\n"),
    ],
)
def test_the_page_of_an_allowed_origin_reads_why_its_head_is_refused(raw: bytes, cors: bytes) -> None:
    assert Guard(origins=frozenset({APP})).cors_of(raw) == cors
    assert Guard().cors_of(raw) == b""


def test_where_no_browser_can_be_every_name_and_every_page_passes() -> None:
    guard = Guard(browsers=False, origins=frozenset({APP}))
    assert guard.cors(asked((b"origin", APP))) == b""
    assert refusal(asked((b"origin", b"null"), host=b"zeebe.local:80"), guard) is None
    assert refusal(asked(host=b"a b"), guard) == ("bad_request", None)
    assert refusal(asked((b"sec-fetch-site", b"cross-site"), method=b"OPTIONS"), guard) is None
    assert refusal(asked(method=b"TRACE"), guard) == ("not_allowed", 405)


def test_a_request_that_one_port_lets_pass_is_checked_by_the_others() -> None:
    head = asked(host=b"intranet")
    own = Guard(frozenset(("intranet",)))
    assert [refusal(head, guard) for guard in (own, own, Guard(), own)] == [
        None,
        None,
        ("wrong_host", None),
        None,
    ]
