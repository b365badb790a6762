"""Proxies on the way out, as they are written and as the environment names them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.document.addresses import base_url
from proxy.config.document.egress import from_environment, http_proxy, spared, way_out
from proxy.net import HttpProxy

HTTPS = base_url("https://a.b.example:8443/base")


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy:3128", HttpProxy("proxy", 3128)),
        ("HTTP://Proxy.Example:80/", HttpProxy("proxy.example", 80)),
        ("http://[::1]:3128", HttpProxy("::1", 3128)),
        ("http://10.0.0.1:3128", HttpProxy("10.0.0.1", 3128)),
        ("http://u:p@proxy:3128", HttpProxy("proxy", 3128, "u:p")),
        ("http://u@proxy:3128", HttpProxy("proxy", 3128, "u:")),
        ("http://corp%5Cu:p%40%3A%2F%20%C3%BC@proxy:3128", HttpProxy("proxy", 3128, "corp\\u:p@:/ ü")),
        ("http://u:p:q@proxy:3128", HttpProxy("proxy", 3128, "u:p:q")),
    ],
)
def test_a_proxy_is_a_host_a_port_and_perhaps_a_user(text: str, proxy: HttpProxy) -> None:
    assert http_proxy(text) == proxy
    assert way_out(text) == proxy
    assert proxy.user is None or proxy.user not in repr(proxy)


@pytest.mark.parametrize(
    "text",
    [
        *("", "proxy:3128", "https://x:1", "socks5://x:1", "http:x:1", "http://", "http://:3128", "http://x"),
        *("http://x:0", "http://x:65536", "http://x:a", "http://x:1/path", "http://x:1?q", "http://x:1#f"),
        *("http://x:1?", "http://@x:1", "http://:p@x:1", "http://u%3A:p@x:1", "http://u:%0d%0a@x:1"),
        *("http://u:%ff@x:1", "http://u:pa/ss@x:1", "http://u:p@ss w@x:1", "http://ü@x:1", "http://-x:1"),
        *("http://[x]:1", "http://[fe80::1%25eth0]:1", "http://x\\y:1", "http://x\n:1", "ENV"),
    ],
)
def test_any_other_proxy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must be|is not|names no|has no).*http://HOST:PORT"):
        way_out(text)


@given(st.text(max_size=20), st.sampled_from(["", "http://", "http://u:", "http://x:1/"]))
def test_a_refused_proxy_is_not_repeated(text: str, before: str) -> None:
    said = ""
    try:
        way_out(f"{before}canary{text}")
    except ValueError as error:
        said = str(error)
    assert "canary" not in said


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://x", {}, None),
        ("https://x", {"HTTPS_PROXY": "http://p:1"}, HttpProxy("p", 1)),
        ("https://x", {"https_proxy": "http://p:1"}, HttpProxy("p", 1)),
        ("https://x", {"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:2"}, HttpProxy("q", 2)),
        ("https://x", {"HTTPS_PROXY": ""}, None),
        ("https://x", {"HTTPS_PROXY": "p:1"}, HttpProxy("p", 1)),
        ("https://x", {"HTTPS_PROXY": "u:s@p:1"}, HttpProxy("p", 1, "u:s")),
        ("https://x", {"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://p:1"}, None),
        ("http://x", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://localhost", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://[::1]:8", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://x", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "x"}, None),
        ("https://x", {"HTTPS_PROXY": "http://p:1", "no_proxy": "x"}, None),
        ("https://x", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "y", "no_proxy": "x"}, HttpProxy("p", 1)),
        ("http://x", {"HTTPS_PROXY": "not a proxy"}, None),
    ],
)
def test_the_environment_names_a_proxy_as_others_read_it(
    url: str, environ: dict[str, str], proxy: HttpProxy | None
) -> None:
    assert from_environment(base_url(url), environ) == proxy


def test_a_variable_that_is_no_proxy_is_named_and_not_repeated() -> None:
    with pytest.raises(ValueError, match=r"^is env, and HTTPS_PROXY must be env, or begin with") as caught:
        from_environment(HTTPS, {"HTTPS_PROXY": "https://u:canary@p:1"})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        ("https://a.b.example", "", False),
        ("https://a.b.example", "*", True),
        ("https://a.b.example", "a.b.example", True),
        ("https://a.b.example", "B.Example", True),
        ("https://a.b.example", ".b.example", True),
        ("https://a.b.example", "*.example", True),
        ("https://b.example", ".b.example", True),
        ("https://ab.example", "b.example", False),
        ("https://a.b.example", "x.a.b.example", False),
        ("https://a.b.example", "y, b.example ,z", True),
        ("https://a.b.example", "y b.example", True),
        ("https://a.b.example:8443", "b.example:8443", True),
        ("https://a.b.example:8443", "b.example:443", False),
        ("https://a.b.example", "b.example:443", True),
        ("https://a.b.example", ",.,*.,:443", False),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3", "11.0.0.0/8", False),
        ("https://10.1.2.3:8", "10.1.2.3:9", False),
        ("https://[fd00::1]", "fd00::/8", True),
        ("https://[fd00::1]:8", "[fd00::1]:8", True),
        ("https://a.b.example", "10.0.0.0/8", False),
    ],
)
def test_no_proxy_names_hosts_that_are_reached_directly(url: str, no_proxy: str, direct: bool) -> None:
    assert spared(base_url(url), no_proxy) is direct


@given(st.text(alphabet="ab.*:[]/0123456789, example", max_size=30))
def test_any_no_proxy_can_be_read(no_proxy: str) -> None:
    assert spared(HTTPS, no_proxy) in {True, False}
    assert spared(HTTPS, f"{no_proxy},b.example")
