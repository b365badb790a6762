"""Where to listen, where to connect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.document.addresses import (
    LONGEST_PATH,
    base_url,
    host_name,
    listen,
    listen_at,
    origin,
    token_url,
)
from proxy.config.model import BaseUrl, Listen
from proxy.config.resolve.checks import overlap

BOTH = ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("text", "addresses", "port", "shown"),
    [
        ("19080", BOTH, 19080, "localhost:19080"),
        ("localhost:0", BOTH, 0, "localhost:0"),
        ("LOCALHOST:1", BOTH, 1, "localhost:1"),
        ("127.0.0.2:65535", ("127.0.0.2",), 65535, "127.0.0.2:65535"),
        ("[::1]:19080", ("::1",), 19080, "[::1]:19080"),
        ("0.0.0.0:80", ("0.0.0.0",), 80, "0.0.0.0:80"),
    ],
)
def test_a_listener_is_a_host_and_a_port(
    text: str, addresses: tuple[str, ...], port: int, shown: str
) -> None:
    result = listen(text)
    assert (result.addresses, result.port, str(result)) == (addresses, port, shown)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        ":80",
        "*:80",
        "example.com:80",
        "::1:80",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "1:2:3",
        "[::1]",
        "unix:/run/x",
        "0x50",
        "127.1:80",
    ],
)
def test_any_other_listener_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        listen(text)


def test_an_upstreams_listener_may_be_a_unix_socket() -> None:
    longest = "unix:/" + "x" * (LONGEST_PATH - 1)
    for text in ("unix:/run/zeebe.sock", longest):
        result = listen_at(text)
        assert (str(result), result.path, result.loopback) == (text, text.removeprefix("unix:"), True)
    assert listen_at("19080") == listen("19080")


@pytest.mark.parametrize(
    "text",
    [
        *("unix:", "unix:x", "unix:./x", "unix:/", "unix:/run/", "unix:/a\0b", "unix:/a\nb", "unix:@x"),
        *("UNIX:/x", "unix:/" + "x" * LONGEST_PATH, "unix:/" + "ü" * (LONGEST_PATH // 2 + 1)),
    ],
)
def test_any_other_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        listen_at(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback_is_only_this_machine(host: str, loopback: bool) -> None:
    assert Listen(host, 1).loopback is loopback


@pytest.mark.parametrize(
    ("one", "other", "taken"),
    [
        ("19080", "127.0.0.1:19080", True),
        ("19080", "[::1]:19080", True),
        ("127.0.0.1:19080", "[::1]:19080", False),
        ("127.0.0.1:19080", "127.0.0.2:19080", False),
        ("0.0.0.0:19080", "127.0.0.2:19080", True),
        ("0.0.0.0:19080", "[::1]:19080", False),
        ("[::]:19080", "localhost:19080", True),
        ("19080", "19081", False),
        ("0", "0", False),
        ("unix:/a", "unix:/a", True),
        ("unix:/a", "unix:/b", False),
        ("unix:/a", "0", False),
    ],
)
def test_listeners_overlap_where_both_cannot_be_bound(one: str, other: str, taken: bool) -> None:
    assert overlap(listen_at(one), listen_at(other)) is taken
    assert overlap(listen_at(other), listen_at(one)) is taken


@pytest.mark.parametrize(
    ("text", "url", "authority"),
    [
        (
            "https://bru-2.zeebe.camunda.io:443/ID/",
            BaseUrl("https", "bru-2.zeebe.camunda.io", 443, "/ID"),
            "bru-2.zeebe.camunda.io",
        ),
        ("http://LocalHost:8080", BaseUrl("http", "localhost", 8080), "localhost:8080"),
        ("http://[::1]:8080/a%2Fb/", BaseUrl("http", "::1", 8080, "/a%2Fb"), "[::1]:8080"),
        ("HTTP://camunda", BaseUrl("http", "camunda", 80), "camunda"),
        ("http://x:443", BaseUrl("http", "x", 443), "x:443"),
        ("http://my_svc.ns:80/", BaseUrl("http", "my_svc.ns", 80), "my_svc.ns"),
    ],
)
def test_a_base_url_is_taken_apart(text: str, url: BaseUrl, authority: str) -> None:
    assert base_url(text) == url
    assert base_url(text).authority == authority


WRONG = [
    "",
    "camunda:8080",
    "ftp://x",
    "http:x",
    "http:///x",
    "http://",
    "http://:80",
    "http://u:p@x",
    "http://u@x",
    "http://x#f",
    "http://x#",
    "http://x:0",
    "http://x:",
    "http://x:65536",
    "http://x:a",
    "http://a b",
    "http://x/ü",
    "http://[::1",
    "http://[x]",
    "http://[fe80::1%25eth0]",
    "http://x/%zz",
    "http://x\\y",
    "http://x\n",
    "http://ex..ample",
    "http://-x",
    " http://x",
]


@pytest.mark.parametrize("text", [*WRONG, "http://x?q", "http://x/?", "http://x/../y", "http://x/."])
def test_any_other_base_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        base_url(text)


@pytest.mark.parametrize("text", WRONG)
def test_a_token_url_is_as_strict(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        token_url(text)


def test_a_token_url_may_have_a_query_and_stays_as_written() -> None:
    assert token_url("https://login.example/token/?p=b2c_1") == "https://login.example/token/?p=b2c_1"


@pytest.mark.parametrize(
    "text",
    [
        "canary",
        "http://user:canary@x",
        "http://x/canary ü",
        "http://x:canary",
        "http://[canary",
        "http://x?canary",
    ],
)
def test_a_refused_url_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        base_url(text)
    assert "canary" not in str(caught.value)


@given(st.text(alphabet="abhtps:/[].%@?#0123 \\", max_size=30))
def test_whatever_is_taken_comes_out_the_same_when_read_again(rest: str) -> None:
    try:
        url = base_url("http://" + rest)
    except ValueError:
        return
    assert base_url(str(url)) == url
    assert not set(url.host) & set(" @?#\\/")
    assert not set(url.path) & set(" ?#\\")


@pytest.mark.parametrize(
    ("text", "name"), [("Foo.Example", "foo.example"), ("[::1]", "::1"), ("10.0.0.1", "10.0.0.1")]
)
def test_a_host_name_stands_alone(text: str, name: str) -> None:
    assert host_name(text) == name


@pytest.mark.parametrize("text", ["", "*", "*.example", "x:80", "http://x", "a b"])
def test_a_host_name_with_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        host_name(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://App.Example", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:080", "http://app.example"),
        ("http://app.example:443", "http://app.example:443"),
        ("http://[0:0:0:0:0:0:0:1]:1", "http://[::1]:1"),
        ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
    ],
)
def test_an_origin_is_written_as_browsers_do(text: str, shown: str) -> None:
    assert origin(text) == shown
    assert origin(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "null", "NULL", "localhost:3000", "http://", "http://*", "http://*.example", "file://"),
        *("http://a/", "http://a/b", "http://a?q", "http://a#f", "http://u@a", "http://a:", "http://a:0"),
        *("http://a:65536", "http://a:x", "http://a b", "http://a, http://b", "http://::1", "http://[x]"),
        *("http://a\r\nX: y", "http://\xfc.example", "http://a\n"),
    ],
)
def test_any_other_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        origin(text)


@given(st.text(alphabet="abht*ps:/[].%@?#0123 \r\n\u0130", max_size=30))
def test_whatever_origin_is_taken_can_stand_in_a_field(rest: str) -> None:
    try:
        shown = origin("http://" + rest)
    except ValueError:
        return
    assert shown.isascii()
    assert not set(shown) & set("\r\n *,@?#")
    assert origin(shown) == shown


@pytest.mark.parametrize(
    ("text", "saas", "loopback"),
    [
        ("https://bru-2.zeebe.camunda.io/x", True, False),
        ("https://bru-2.zeebe.camunda.io./x", True, False),
        ("https://zeebe.camunda.io.example.com/", False, False),
        ("http://localhost:1", False, True),
        ("http://localhost.:1", False, True),
        ("http://a.localhost.:1", False, True),
        ("http://localhost.example.:1", False, False),
    ],
)
def test_a_dot_at_the_end_of_a_host_changes_nothing_about_what_it_is(
    text: str, saas: bool, loopback: bool
) -> None:
    url = base_url(text)
    assert (url.saas, url.loopback) == (saas, loopback)
