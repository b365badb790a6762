"""Who may talk to us."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import RequestRefused
from proxy.gateway.framing import Field, RequestHead
from proxy.gateway.guard import LOOPBACK_NAMES, Guard


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
    ],
)
def test_what_is_no_host_is_a_bad_request(host: bytes) -> None:
    assert refusal(asked(host=host)) == ("bad_request", None)


def test_a_name_that_is_allowed_is_answered() -> None:
    guard = Guard(LOOPBACK_NAMES | {"camunda-proxy"})
    for _ in range(2):  # the second time from memory
        assert refusal(asked(host=b"Camunda-Proxy:80"), guard) is None
        assert refusal(asked(host=b"camunda"), guard) == ("wrong_host", None)


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
    "own prefetch": ([(b"sec-purpose", b"prefetch"), (b"sec-fetch-site", b"same-origin")], True),
    "other purpose": ([(b"purpose", b"work")], True),
}


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"POST", b"X"])
@pytest.mark.parametrize("case", PAGES)
def test_pages_of_other_sites_are_refused_whatever_the_method(case: str, method: bytes) -> None:
    fields, passes = PAGES[case]
    assert refusal(asked(*fields, method=method)) == (None if passes else ("cross_site", None))


def test_an_origin_is_compared_with_the_host_that_was_asked_for() -> None:
    assert refusal(asked((b"origin", b"http://localhost:19080"), host=b"LOCALHOST:19080")) is None
    assert refusal(asked((b"origin", b"http://localhost"), host=b"localhost:19080")) == ("cross_site", None)


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE"])
def test_connect_and_trace_do_not_pass(method: bytes) -> None:
    assert refusal(asked(method=method)) == ("not_allowed", 405)


UPGRADES: list[tuple[list[Field], bool]] = [
    ([(b"upgrade", b"websocket")], False),
    ([(b"upgrade", b"h2c")], True),
    ([(b"upgrade", b"h2c"), (b"content-length", b"3")], False),
    ([(b"upgrade", b"h2c"), (b"upgrade", b"websocket")], False),
    ([(b"upgrade", b"h2c, websocket")], False),
    ([(b"via", b"x")], False),
]


@pytest.mark.parametrize(("fields", "passes"), UPGRADES)
def test_upgrades_do_not_pass_but_an_offer_of_h2c_may_be_ignored(fields: list[Field], passes: bool) -> None:
    head = asked(*fields, connection=(b"upgrade",))
    assert refusal(head) == (None if passes else ("unsupported", 501))


NAMES = st.sampled_from([b"origin", b"sec-fetch-site", b"sec-purpose", b"purpose", b"upgrade", b"via"])


@settings(max_examples=300)
@given(
    st.binary(max_size=20) | st.sampled_from([b"localhost", b"[::1]"]),
    st.lists(st.tuples(NAMES, st.binary(max_size=10)), max_size=3),
    st.binary(min_size=1, max_size=8),
)
def test_whatever_is_asked_nothing_but_a_refusal_is_raised(
    host: bytes, fields: list[Field], method: bytes
) -> None:
    refused = refusal(asked(*fields, host=host, method=method, connection=(b"upgrade",)))
    if refused is None:
        assert host.lower() in (b"localhost", b"[::1]", b"127.0.0.1")
