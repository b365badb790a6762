"""How a path is read, and what is refused because two servers read it differently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access.spelling import Unclear, check_query, is_form, overrides, segments

CLEAR = {
    b"/": ("",),
    b"/v2/topology": ("v2", "topology"),
    b"/v2/topology/": ("v2", "topology", ""),
    b"/v2/%70rocess-instances": ("v2", "process-instances"),
    b"/v2/users/joe%40example.org": ("v2", "users", "joe@example.org"),
    b"/v2/users/joe%20smith": ("v2", "users", "joe smith"),
    b"/v2/users/%C3%A9t%C3%A9": ("v2", "users", "été"),
    b"/v2/users/%E6%97%A5%E6%9C%AC": ("v2", "users", "日本"),
    b"/v2/users/%F0%9F%98%80": ("v2", "users", "\U0001f600"),
    b"/v2/users/a:b!c@d.e,f=g&h+i~j$(k)*'l": ("v2", "users", "a:b!c@d.e,f=g&h+i~j$(k)*'l"),
    b"/a/b...c": ("a", "b...c"),
    b"/.well-known/x": (".well-known", "x"),
    b"/a/b.": ("a", "b."),
    b"/a/..b": ("a", "..b"),
    b"/a%7Bb%7D": ("a{b}",),
}
UNCLEAR = [
    *(b"", b"*", b"v2", b"http://a/v2"),
    *(b"//", b"//v2", b"/v2//x", b"/v2///x", b"/v2//"),
    *(b"/.", b"/..", b"/v2/.", b"/v2/..", b"/v2/./x", b"/v2/../x", b"/v2/.../x", b"/..../x", b"/v2/x/.."),
    *(b"/v2/%20", b"/v2/.%20/x", b"/v2/%20../x", b"/v2/%C2%A0/x", b"/v2/..%20"),
    *(b"/v2/%2e%2e/x", b"/v2/%2E/x", b"/v2/.%2e/x", b"/v2/a%2eb", b"/v2/%2e%2e%2fx"),
    *(b"/v2%2fx", b"/v2%2Fx", b"/v2/%5cx", b"/v2/%5Cx", b"/v2\\x", b"/v2/\\..\\x"),
    *(b"/v2/%252e", b"/v2/%252f", b"/v2/a%25b", b"/v2/%25252e", b"/v2/%2570"),
    *(b"/v2;a=b/x", b"/v2/x;", b"/v2/x;a=/y", b"/v2/x%3b", b"/v2/x%3Ba=b", b"/v2/..;/x", b"/;/v2"),
    *(b"/v2#x", b"/v2%23x", b"/v2%3fx", b"/v2%3Fx=y"),
    *(b"/v2/%00", b"/v2/x%00", b"/v2/%0a", b"/v2/x%0d%0ay", b"/v2/%09x", b"/v2/%7f", b"/v2/%1f"),
    *(b"/v2/%", b"/v2/%4", b"/v2/%zz", b"/v2/%u002e", b"/v2/%u006c"),
    *(b"/v2/%c0%af", b"/v2/%c0%ae", b"/v2/%e0%80%af", b"/v2/%f0%80%80%af", b"/v2/%ff", b"/v2/%ed%a0%80"),
    *(b"/v2/%ef%bc%8f", b"/v2/%EF%BC%8E", b"/v2/%e2%80%a5", b"/v2/a%e2%80%a4b", b"/v2/%ef%bc%9b"),
    *(b"/v2/%c2%85", b"/v2/%e2%84%80"),
    *(b"/v2/ x", b"/v2/x\ty", b"/v2/x\r\n", b"/v2/\x00", b"/v2/\xc3\xa9", b"/v2/\xff"),
    *(b'/v2/"', b"/v2/<a>", b"/v2/a^b", b"/v2/a`b", b"/v2/{a}", b"/v2/a|b", b"/v2/[a]"),
]


def test_clear_paths_are_decoded_once() -> None:
    for path, expected in CLEAR.items():
        assert segments(path) == expected, path


@pytest.mark.parametrize("path", UNCLEAR)
def test_a_path_that_servers_read_differently_is_refused(path: bytes) -> None:
    with pytest.raises(Unclear):
        segments(path)


@given(st.binary(max_size=64) | st.text("/.%25ef;\\ab ", max_size=24).map(str.encode))
def test_every_path_is_read_or_refused(path: bytes) -> None:
    try:
        found = segments(path)
    except Unclear:
        return
    assert all(found[:-1])
    assert not any(set(each) & set("/\\;?#%") or (each and not each.strip(". ")) for each in found)


@pytest.mark.parametrize(
    "query",
    [
        *(b"_method=DELETE", b"a=b&_method=DELETE", b"_METHOD=put", b"_method", b"%5fmethod=PUT"),
        *(b"a;_method=PUT", b"a?_method=PUT", b"%255Fmethod=PUT", b"+_method=PUT", b"_method%00=PUT"),
    ],
)
def test_a_query_that_replaces_the_method_is_refused(query: bytes) -> None:
    with pytest.raises(Unclear):
        check_query(query)


@pytest.mark.parametrize(
    "query",
    [b"", b"next=/../%2f;a", b"x=_method", b"my_method=1", b"_methods=1", b"a=%26_method%3d1", b"%zz=%"],
)
def test_no_other_query_is_refused(query: bytes) -> None:
    check_query(query)


def test_fields_that_replace_method_or_path_are_known_in_every_spelling() -> None:
    for name in (
        *(b"X-HTTP-Method-Override", b"x-http-method-override", b"X_HTTP_Method_Override", b"X-HTTP-Method"),
        *(b"X-Method-Override", b"x-method_override", b"X-Original-URL", b"X-Rewrite-URL"),
        *(b"X-Override-URL", b"X-HTTP-Path-Override", b"X-Original-Method"),
    ):
        assert overrides(name), name
    for name in (b"X-HTTP-Methods", b"X-Original-Host", b"Method", b"X-Request-Id", b"Accept"):
        assert not overrides(name), name


def test_types_of_forms_are_known() -> None:
    for value in (
        b"application/x-www-form-urlencoded",
        b"Multipart/Form-Data; boundary=x",
        b"multipart/mixed",
    ):
        assert is_form(value), value
    for value in (b"application/json", b"application/json;charset=UTF-8", b"text/plain", b""):
        assert not is_form(value), value
