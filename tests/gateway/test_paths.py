"""What a server may take a path for: the spellings of a login, dot segments, and what is neither."""

import re
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.gateway.paths import MAX_DECODINGS, has_dot_segments, is_plain, read, signs_in

DOORS = [
    b"/login",
    b"/logout",
    b"/api/login",
    b"/api/logout",
    b"/sso-callback",
    b"/login/oauth2/code/oidc",
    b"/logout/connect/back-channel/oidc",
    b"/oauth2/authorization/oidc",
    b"/physical-tenants/blue/login",
    b"/physical-tenants/blue/logout",
    b"/physical-tenants/v2/login",
    b"/physical-tenants/login/login",
    b"/camunda/login",
    b"/camunda/operate/api/logout",
    b"/operate/login",
    b"/v2/login",
    b"/v1/logout",
    b"/api/authentication/callback",
]
SPELLINGS = [  # of /login, unless they say otherwise
    b"/%6cogin",
    b"/%6C%6F%67%69%6E",
    b"/%4Cogin",
    b"/LOGIN",
    b"/LogIn",
    b"/%256cogin",
    b"/%2525256cogin",
    b"/%6%63ogin",  # what is left of a first decoding can be decoded again
    b"/%" + b"25" * MAX_DECODINGS * 2 + b"6cogin",
    b"/%u006cogin",
    b"/%U006Cogin",
    b"/%c1%acogin",
    b"/%e0%81%acogin",
    b"/%f0%80%81%acogin",
    b"/%ef%bd%8cogin",  # full width
    b"/%uff4cogin",
    b"/log%c4%b1n",  # the dotless i, whose upper case is I
    b"/log%c4%b0n",
    b"/%c5%bfso-callback",  # the long s
    b"//login",
    b"///login",
    b"/login/",
    b"/login//",
    b"/./login",
    b"/x/../login",
    b"/login/.",
    b"/%2e/login",
    b"/x/%2e%2e/login",
    b"/x/..;/login",
    b"/..%2flogin",
    b"/..%5clogin",
    b"/x/%c0%ae%c0%ae/login",
    b"/%2flogin",
    b"/%2Flogin",
    b"/%5clogin",
    b"\\login",
    b"/x\\login",
    b"/api%2flogin",
    b"/api%5Clogout",
    b"/api%c0%aflogin",
    b"/api%ef%bc%8flogin",
    b"/api;x=1/login",
    b"/;/login",
    b"/;x/login",
    b"/login;",
    b"/login;x=1",
    b"/login;x=1/y",
    b"/login;x%2fy",  # the whole is a parameter where it is cut off before it is decoded
    b"/login%3bx",
    b"/login%3bx/y",
    b"/login;jsessionid=0123",
    b"/login.",
    b"/login...",
    b"/login%2e",
    b"/login%20",
    b"/login%20/",
    b"/login%09",
    b"/login%00",
    b"/login%00.json",
    b"/login%0d%0a",
    b"/%20login",
    b"/login%3fx",
    b"/login%23x",
    b"/login?next=/",
    b"/login?",
    b"/login#x",
    b"/physical-tenants/blue%2flogin",
    b"/physical-tenants/a%2fb/login",
    b"/v2/x/../login",
    b"/v2/..%2flogin",
    b"/v2/x;/../login",
    b"//v2/users/login",
    b"/v2/users/x%2flogin",
]
NO_DOORS = [
    b"*",
    b"/",
    b"/v2/topology",
    b"/v2/users/login",
    b"/v2/users/login/roles",
    b"/v2/users/%6cogin",
    b"/v2/tenants/logout/users/login",
    b"/v2/users/login%40example.com",
    b"/v2/users/login.smith",
    b"/physical-tenants/blue/v2/users/login",
    b"/cluster/v2/brokers/login",
    b"/mcp/cluster/login",
    b"/physical-tenants/login/v2/topology",
    b"/v1/process-definitions/search?next=/login",
    b"/v2/topology?/login",
    b"/v2/logins",
    b"/v2/login-attempts",
    b"/mylogin",
    b"/loginx",
    b"/login.js",
    b"/log/in",
    b"/log%2fin",
    b"/v2/documents/a%20b",
    b"/v2/variables/%C3%A9t%C3%A9",
    b"/v2/messages/a;b",
    b"/blog",
    b"/v2/decision-definitions/callback",
    b"/oauth2",
]


@pytest.mark.parametrize("target", DOORS)
def test_a_login_a_logout_and_a_callback_are_known_below_every_prefix(target: bytes) -> None:
    assert signs_in(target)
    assert signs_in(b"/any/context" + target)
    assert signs_in(target + b"?username=act")


def test_a_login_is_known_however_it_is_spelled() -> None:
    assert [target for target in SPELLINGS if not signs_in(target)] == []


def test_what_only_looks_like_a_login_passes() -> None:
    assert [target for target in NO_DOORS if signs_in(target)] == []


@pytest.mark.parametrize("path", DOORS)
def test_no_encoding_hides_a_door(path: bytes) -> None:
    for every in (False, True):
        hidden = path.decode()
        for _ in range(3):
            hidden = "".join(f"%{ord(each):02x}" for each in hidden) if every else quote(hidden)
            assert signs_in(b"/x" + hidden.encode()), hidden


DOTTED = [
    b"/..",
    b"/../x",
    b"/.",
    b"/./x",
    b"/x/..",
    b"/x/../y",
    b"/x/./y",
    b"/%2e%2e/x",
    b"/.%2E/x",
    b"/%2e/x",
    b"/v2/..%2f..%2fother/x",
    b"/v2/..%5cother",
    b"/..\\other",
    b"\\..\\other",
    b"/x%2f..%2fy",
    b"/x%5c..%5cy",
    b"/%252e%252e/x",
    b"/%25252e./x",
    b"/..%252fx",
    b"/..;/x",
    b"/..;a=b/x",
    b"/..;a%2fb",
    b"/..%3b/x",
    b"/;/../x",
    b"/.;/x",
    b"/..%00/x",
    b"/..%20/x",
    b"/%20../x",
    b"/..%3fx",
    b"/..%23",
    b"/%c0%ae%c0%ae/x",
    b"/%e0%80%ae./x",
    b"/%ef%bc%8e%ef%bc%8e/x",
    b"/%u002e%u002e/x",
    b"/..%c0%afx",
    b"/..%ef%bc%8fx",
    b"/" + b"%" + b"25" * MAX_DECODINGS * 2 + b"2e/",
    b"//..//x",
]
NOT_DOTTED = [
    b"/",
    b"*",
    b"/x",
    b"//evil.example/x",
    b"/a%2Fb%2f..%2e/c?x=%41&y=a+b;z",
    b"/a...b",
    b"/.../x",
    b"/versions/compare/1...2",
    b"/.well-known/x",
    b"/x.y/..z/z..",
    b"/a..%2f",
    b"/%2e%2e%2e/x",
    b"/x?../..",
    b"/x?a=/../b",
    b"/x;a=../y;b",
    b"/v2/documents/a%20b.pdf",
    b"/v2/users/a%40b.de",
    b"/%C3%A9/x",
    b"/a.b;c/",
]


def test_a_dot_segment_is_known_however_it_is_spelled() -> None:
    assert [target for target in DOTTED if not has_dot_segments(target)] == []


def test_dots_that_are_no_segment_pass() -> None:
    assert [target for target in NOT_DOTTED if has_dot_segments(target)] == []


@pytest.mark.parametrize(
    ("path", "plain"),
    [(b"/v2/x.y~z:@!$&'()*+,=[]|^`{}<>\"", True), (b"/%41", False), (b"/a;b", False), (b"/a\\b", False)],
)
def test_a_path_that_all_servers_read_alike_is_plain(path: bytes, plain: bool) -> None:
    assert is_plain(path) is plain


PIECES = st.lists(
    st.sampled_from(
        [b"%", b"25", b"2", b"5", b"6c", b"%c0", b"%ae", b"%u00", b"\xef\xbc", b"\x85", b"/", b";"]
    )
    | st.sampled_from(["\u0307", "\u0130", "\uff05", "\u2100", "\ufb03", "\u1e9e"]).map(str.encode)
    | st.binary(max_size=3),
    max_size=30,
).map(b"".join)


@given(PIECES | st.binary())
@example(b"%2" * 50 + b"5" * 50)
def test_reading_ends_and_changes_nothing_twice(path: bytes) -> None:
    text = read(path)
    if text is not None:
        assert read(text) == text
        assert re.search(rb"%[0-9a-f]{2}|[A-Z]", text) is None


@given(PIECES | st.binary(), st.sampled_from([*DOORS, *DOTTED]))
def test_whatever_stands_before_it_a_door_is_a_door_and_dots_are_dots(before: bytes, path: bytes) -> None:
    before = b"/" + before.replace(b"?", b"").rstrip(b"%")
    if path in DOORS:
        resource = re.match(rb"/(physical-tenants/[^/]+/)?v[12]/", read(before + path) or b"")
        assert signs_in(before + path) or resource
    else:
        assert has_dot_segments(before + path)


def test_a_path_of_any_length_is_read_in_so_many_steps() -> None:
    """Linear: what is encoded more often is not read on."""
    deep = b"/%" + b"25" * 100_000
    assert read(deep) is None
    assert signs_in(deep)
    assert has_dot_segments(deep)
