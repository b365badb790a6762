"""Fields in and out: strip first, stamp last."""

from itertools import product
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.gateway.answer_head import AnswerEnd, AnswerFields, usual_head
from proxy.gateway.fields import HeadRewriter
from proxy.gateway.grammar import Field
from proxy.gateway.request_head import RequestHead, parse_head
from tests.examples import some

OURS = (b"Authorization", b"Bearer ours")
CREDENTIAL = b"Authorization: Bearer ours\r\n"
INJECTING = HeadRewriter(b"https://up.example", b"up.example", b"/base", b"us-1", injects=True)
PASSING = HeadRewriter(b"https://up.example", b"up.example", b"", b"us-1", injects=False)


def caller(*fields: Field, line: bytes = b"GET /p HTTP/1.1") -> RequestHead:
    lines = [name + b": " + value for name, value in ((b"Host", b"localhost"), *fields)]
    return parse_head(b"\r\n".join((line, *lines, b"", b"")))


def sent(head: RequestHead, address: HeadRewriter = INJECTING, credential: bytes = CREDENTIAL) -> RequestHead:
    return parse_head(address.request_head(head, credential))


def named(head: RequestHead, name: bytes) -> list[bytes]:
    return [value for each, value in head.fields if each.lower() == name]


GO_ON = [
    (b"X-A", b"1"),
    (b"Accept-Encoding", b"gzip"),
    (b"User-Agent", b""),
    (b"Origin", b"http://localhost"),
    (b"Expect", b"100-continue"),
    (b"Sec-Fetch-Site", b"same-origin"),
    (b"Sec-Purpose", b"prefetch"),
    (b"Purpose", b"prefetch"),
    (b"Access-Control-Request-Method", b"PUT"),
    (b"Max-Forwards", b"7"),
    (b"Content-Type", b"caf\xc3\xa9"),
]
END_HERE = [
    *(
        (name, b"x")
        for name in (b"Keep-Alive", b"Proxy-Connection", b"Proxy-Authenticate", b"TE", b"Trailer")
    ),
    *((name, b"x") for name in (b"Proxy-Authorization", b"Upgrade", b"HTTP2-Settings", b"X-Proxy-Token")),
    *((name, b"x") for name in (b"Proxy_Authorization", b"Keep_Alive", b"X_Proxy_Token", b"HTTP2_settings")),
]


@pytest.mark.parametrize("field", GO_ON)
def test_what_means_nothing_to_us_goes_on(field: Field) -> None:
    for count in (1, 2):
        head = sent(caller(*[field] * count))
        assert named(head, field[0].lower()) == [field[1]] * count
    assert named(sent(caller(field, (b"Via", b"1.1 a"))), b"via") == [b"1.1 a", b"1.1 us-1"]


@pytest.mark.parametrize("field", END_HERE)
def test_what_belongs_to_one_connection_ends_here(field: Field) -> None:
    assert not named(sent(caller(field)), field[0].lower())


@pytest.mark.parametrize("field", [*END_HERE, *GO_ON])
def test_connection_removes_every_field_that_it_names(field: Field) -> None:
    for option in (field[0], field[0].upper(), b"x, " + field[0].lower()):
        head = sent(caller((b"Connection", option), field))
        assert (option, named(head, field[0].lower())) == (option, [])


def test_a_body_is_framed_as_it_was() -> None:
    assert sent(caller()).length is None
    assert sent(caller((b"Content-Length", b"0"))).length == 0
    assert sent(caller((b"Content-Length", b"5"))).length == 5
    chunked = sent(caller((b"Transfer-Encoding", b"chunked")))
    assert (chunked.chunked, chunked.length) == (True, None)


def test_a_head_that_requests_share_is_made_anew_for_each_rewriter_and_session() -> None:
    head = caller((b"X-CSRF-TOKEN", b"theirs"), (b"Authorization", b"theirs"))
    ways = [(rewriter, session) for rewriter in (INJECTING, PASSING) for session in (False, True)]
    alone = {
        (rewriter.injects, session): rewriter.request_head(
            caller((b"X-CSRF-TOKEN", b"theirs"), (b"Authorization", b"theirs")), CREDENTIAL, session=session
        )
        for rewriter, session in ways
    }
    assert len(set(alone.values())) == 4
    for before, session_before in ways:
        for rewriter, session in ways:
            before.request_head(head, b"", session=session_before)
            shared = rewriter.request_head(head, CREDENTIAL, session=session)
            assert shared == alone[rewriter.injects, session]


@pytest.mark.parametrize("name", [b"Authorization", b"AUTHORIZATION", b"Cookie"])
def test_a_callers_own_credentials_pass_only_where_we_have_none(name: bytes) -> None:
    head = caller((name, b"one"), (name, b"two"))
    assert b"one" not in INJECTING.request_head(head, CREDENTIAL)
    assert b"two" not in INJECTING.request_head(head, b"")
    assert named(sent(head, PASSING, b""), name.lower()) == [b"one", b"two"]


THEIRS = b"X-CSRF-TOKEN x_csrf_token X-Csrf_Token OPERATE-X-CSRF-TOKEN Tasklist_X_Csrf_Token".split()


@pytest.mark.parametrize("name", THEIRS)
def test_a_callers_csrf_token_passes_only_where_no_session_of_ours_is_stamped(name: bytes) -> None:
    head = caller((b"A", b"1"), (name, b"theirs"), (b"B", b"2"))
    under_session = parse_head(INJECTING.request_head(head, CREDENTIAL, session=True))
    assert b"theirs" not in [value for _, value in under_session.fields]
    assert [value for _, value in under_session.fields if value in (b"1", b"2")] == [b"1", b"2"]
    assert (name, b"theirs") in sent(head).fields
    assert (name, b"theirs") in sent(head, PASSING, b"").fields


def test_under_a_session_connection_removes_what_it_names_too() -> None:
    head = caller((b"Connection", b"x"), (b"X", b"1"), (b"X-CSRF-TOKEN", b"2"), (b"Y", b"3"))
    octets = INJECTING.request_head(head, b"X-CSRF-TOKEN: ours\r\n", session=True)
    assert not named(parse_head(octets), b"x")
    assert named(parse_head(octets), b"x-csrf-token") == [b"ours"]
    assert named(parse_head(octets), b"y") == [b"3"]


@pytest.mark.parametrize(
    "options", [b"authorization", b"Authorization, close", b"x, host, content-length, via, AUTHORIZATION"]
)
def test_connection_removes_what_it_names_but_nothing_of_ours(options: bytes) -> None:
    head = sent(
        caller(
            (b"Connection", options),
            (b"X", b"1"),
            (b"Via", b"1.1 a"),
            (b"Content-Length", b"3"),
            line=b"POST / HTTP/1.1",
        )
    )
    assert head.fields[-1] == OURS
    assert head.host == b"up.example"
    assert head.length == 3
    assert named(head, b"via") == ([b"1.1 us-1"] if b"via" in options else [b"1.1 a", b"1.1 us-1"])
    assert bool(named(head, b"x")) == (b"x" not in options)


@pytest.mark.parametrize(
    ("line", "value", "passed"),
    [
        (b"OPTIONS / HTTP/1.1", b"5", b"4"),
        (b"OPTIONS / HTTP/1.1", b"1", b"0"),
        (b"OPTIONS / HTTP/1.1", b"00", b"0"),
        (b"OPTIONS / HTTP/1.1", b"9" * 5000, b"999999998"),  # int() takes 4300 digits at most
        (b"OPTIONS / HTTP/1.1", b"x", b"x"),
        (b"GET / HTTP/1.1", b"5", b"5"),
    ],
)
def test_max_forwards_counts_down_for_options(line: bytes, value: bytes, passed: bytes) -> None:
    assert named(sent(caller((b"Max-Forwards", value), line=line)), b"max-forwards") == [passed]


def test_a_request_that_has_passed_us_is_known() -> None:
    assert INJECTING.our_own(caller((b"Via", b"1.0 x, 1.1 us-1")))
    assert INJECTING.our_own(caller((b"VIA", b"1.0 x"), (b"Via", b"1.1 us-1")))
    assert not INJECTING.our_own(caller((b"Via", b"1.0 x"), (b"Max-Forwards", b"us-1"), (b"X", b"us-1")))


TOKEN = st.text(st.sampled_from("abcXYZ019-_!"), min_size=1, max_size=8).map(str.encode)
VALUE = st.binary(max_size=12).map(lambda octets: bytes(o for o in octets if o >= 32 and o != 127).strip())
SPECIAL = st.sampled_from(
    [b"Connection", b"Authorization", b"Cookie", b"Via", b"TE", b"X-A", b"Max-Forwards"]
)
FIELDS = st.lists(st.tuples(TOKEN | SPECIAL, VALUE), max_size=8)


@settings(max_examples=some(300))
@given(FIELDS, st.sampled_from([b"/", b"/a?b", b"//x", b"/%2F../"]), st.booleans())
def test_what_is_sent_is_one_request_that_means_what_was_meant(
    fields: list[Field], target: bytes, chunked: bool
) -> None:
    framing = (b"Transfer-Encoding", b"chunked") if chunked else (b"Content-Length", b"007")
    fields = [field for field in fields if field[0].lower() not in (b"host", b"content_length")]
    came = caller(*fields, framing, line=b"POST " + target + b" HTTP/1.1")
    head = sent(came)
    assert (head.method, head.target, head.host) == (b"POST", b"/base" + target, b"up.example")
    assert (head.chunked, head.length) == (chunked, None if chunked else 7)
    assert head.fields[-1] == OURS
    assert named(head, b"authorization") == [OURS[1]]
    assert not named(head, b"cookie")
    assert not named(head, b"connection")
    plain = [field for field in fields if field[0].lower() not in came.connection]
    for field in plain:
        if field[0].lower() == b"x-a":
            assert field in head.fields


# -- answers --


def answer(*fields: Field) -> AnswerFields:
    result = AnswerFields()
    for name, value in fields:
        result.add(name, value)
    return result


def relayed(
    *fields: Field,
    end: AnswerEnd | None = None,
    status: int = 200,
    minor: int = 1,
    keep_alive: bool = True,
    session: bool = False,
    by: HeadRewriter = INJECTING,
) -> list[Field]:
    octets = by.response_head(
        status,
        answer(*fields),
        end or AnswerEnd("length", 3),
        minor=minor,
        keep_alive=keep_alive,
        session=session,
    )
    assert octets.endswith(b"\r\n\r\n")
    assert octets.count(b"\r\n\r\n") == 1
    lines = octets[:-4].split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % status)
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines[1:])]


@pytest.mark.parametrize(
    "name",
    [
        *(b"Connection", b"Keep-Alive", b"Proxy-Authenticate", b"Trailer", b"Upgrade", b"Transfer-Encoding"),
        *(
            b"Access-Control-Allow-Origin",
            b"ACCESS-CONTROL-X",
            b"Timing-Allow-Origin",
            b"Strict-Transport-Security",
        ),
    ],
)
def test_of_an_answer_what_was_not_meant_for_the_caller_goes(name: bytes) -> None:
    assert name.lower() not in [each.lower() for each, _ in relayed((name, b"x"))]


@pytest.mark.parametrize("options", [b"X-Hop", b"x-hop", b"close, X-HOP", b"keep-alive,x-hop,"])
def test_of_an_answer_what_connection_names_goes(options: bytes) -> None:
    fields = relayed((b"X-Stays", b"1"), (b"X-Hop", b"1"), (b"Connection", options), (b"x-hop", b"2"))
    assert [name for name, _ in fields[:2]] == [b"X-Stays", b"Cross-Origin-Resource-Policy"]


def test_of_an_answer_what_connection_names_goes_but_not_its_framing() -> None:
    fields = relayed((b"Connection", b"X-Hop, content-length"), (b"x-hop", b"1"), (b"X-Stays", b"1"))
    assert (b"X-Stays", b"1") in fields
    assert (b"x-hop", b"1") not in fields
    assert (b"Content-Length", b"3") in fields


def test_of_an_answer_all_else_passes_in_order() -> None:
    came = [
        (b"Set-Cookie", b"a=1"),
        (b"X", b"\xff"),
        (b"set-cookie", b"b=2"),
        (b"Date", b"x"),
        (b"Server", b"y"),
    ]
    assert relayed(*came, by=PASSING)[:5] == came
    assert (b"www-authenticate", b"Bearer") in relayed((b"WWW-Authenticate", b"Bearer"))


@pytest.mark.parametrize("name", [b"Set-Cookie", b"set-cookie", b"SET-COOKIE", b"Set-Cookie2"])
def test_of_an_answer_to_our_credential_no_cookie_passes(name: bytes) -> None:
    came = [(b"X-A", b"1"), (name, b"JSESSIONID=1"), (b"X-Cookie", b"2")]
    assert relayed(*came)[:2] == [came[0], came[2]]
    assert relayed(*came, by=PASSING)[:3] == came
    lines = b"".join(b"%b: %b\r\n" % each for each in came)
    usual = usual_head(b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 3")
    assert usual is not None
    for address, kept in ((INJECTING, False), (PASSING, True)):
        head = address.response_head(200, usual.fields, usual.end, minor=1, keep_alive=True)
        assert (b"JSESSIONID" in head) is kept
        early = address.interim_head(103, answer(*came))
        assert (b"JSESSIONID" in early) is kept
        assert b"X-Cookie: 2\r\n" in early


def test_of_an_answer_what_was_meant_for_our_session_goes() -> None:
    came = [
        (b"Set-Cookie", b"OPERATE-SESSION=1"),
        (b"X", b"1"),
        (b"x-csrf-token", b"2"),
        (b"SET-COOKIE", b"b=2"),
        (b"OPERATE-X-CSRF-TOKEN", b"3"),
        (b"Tasklist-X-CSRF-Token", b"4"),
        (b"Connection", b"Y"),
        (b"Y", b"5"),
        (b"Z", b"6"),
    ]
    assert relayed(*came, session=True)[:2] == [(b"X", b"1"), (b"Z", b"6")]
    assert answer(*came).noted() == [
        (b"connection", b"Y"),
        (b"set-cookie", b"OPERATE-SESSION=1"),
        (b"x-csrf-token", b"2"),
        (b"set-cookie", b"b=2"),
        (b"operate-x-csrf-token", b"3"),
        (b"tasklist-x-csrf-token", b"4"),
    ]


def test_two_fields_that_keep_other_sites_out_are_added_where_they_are_absent() -> None:
    assert (b"Cross-Origin-Resource-Policy", b"same-origin") in relayed()
    assert (b"X-Content-Type-Options", b"nosniff") in relayed()
    fields = relayed((b"Cross-Origin-Resource-Policy", b"cross-origin"), (b"X-Content-Type-Options", b"x"))
    assert [value for name, value in fields if name.lower() == b"cross-origin-resource-policy"] == [
        b"cross-origin"
    ]
    assert [value for name, value in fields if name.lower() == b"x-content-type-options"] == [b"x"]


@pytest.mark.parametrize("theirs", [None, b"default-src 'self'", b"sandbox allow-scripts allow-same-origin"])
def test_an_answers_document_is_sandboxed_beside_the_upstreams_own_policy(theirs: bytes | None) -> None:
    came = [] if theirs is None else [(b"content-security-policy", theirs)]
    for status, by in product((200, 206, 302, 304, 401, 404, 500), (INJECTING, PASSING)):
        fields = relayed(*came, status=status, by=by)
        policies = [value for name, value in fields if name.lower() == b"content-security-policy"]
        assert policies == [*(value for _, value in came), b"sandbox"], (status, by)


@pytest.mark.parametrize(
    ("status", "end", "minor", "framing"),
    [
        (200, AnswerEnd("length", 3), 1, (b"Content-Length", b"3")),
        (200, AnswerEnd("length", 0), 1, (b"Content-Length", b"0")),
        (200, AnswerEnd("chunked", None), 1, (b"Transfer-Encoding", b"chunked")),
        (200, AnswerEnd("chunked", None), 0, None),
        (200, AnswerEnd("close", None), 1, None),
        (204, AnswerEnd("none", 5), 1, None),
        (304, AnswerEnd("none", 5), 1, (b"Content-Length", b"5")),
        (200, AnswerEnd("none", 5), 1, (b"Content-Length", b"5")),
    ],
)
def test_an_answer_is_framed_once(status: int, end: AnswerEnd, minor: int, framing: Field | None) -> None:
    fields = relayed(
        (b"Content-Length", b"77"), (b"Transfer-Encoding", b"x"), end=end, status=status, minor=minor
    )
    found = [field for field in fields if field[0].lower() in (b"content-length", b"transfer-encoding")]
    assert found == ([framing] if framing else [])


CORS = b"Access-Control-Allow-Origin: http://app.example\r\nVary: Origin\r\n"
ENDS = [AnswerEnd("length", 3), AnswerEnd("chunked", None), AnswerEnd("length", 4)]


def test_an_answer_that_callers_share_is_made_anew_for_each_kind_of_caller() -> None:
    def came() -> AnswerFields:
        return answer((b"X-CSRF-TOKEN", b"1"), (b"Set-Cookie", b"a=1"), (b"Location", b"/base/x"))

    def made(fields: AnswerFields, way: tuple[Any, ...]) -> bytes:
        by, end, minor, keep_alive, cors, session = way
        head: bytes = by.response_head(
            200, fields, end, minor=minor, keep_alive=keep_alive, cors=cors, session=session
        )
        return head

    ways = list(product((INJECTING, PASSING), ENDS, (0, 1), (False, True), (b"", CORS), (False, True)))
    alone = [made(came(), way) for way in ways]
    shared = came()
    for place, way in enumerate(ways):
        for other in ways[place:]:
            if sum(one != another for one, another in zip(way, other, strict=True)) == 1:
                assert made(shared, way) == alone[place]
                assert made(shared, other) == alone[ways.index(other)]


def test_an_answer_that_callers_share_is_made_once_for_callers_of_one_kind() -> None:
    fields = answer((b"X", b"1"))
    one, two = [
        INJECTING.response_head(200, fields, ENDS[0], minor=1, keep_alive=True, cors=CORS) for _ in range(2)
    ]
    assert one is two
    assert CORS in one


def test_an_answer_of_a_status_without_a_reason_has_none() -> None:
    head = INJECTING.response_head(299, answer(), ENDS[0], minor=1, keep_alive=True)
    assert head.startswith(b"HTTP/1.1 299 \r\n")
    assert head.count(b"Via: 1.1 us-1\r\n") == 1
    assert INJECTING.interim_head(110, answer()) == b"HTTP/1.1 110 \r\n\r\n"


def test_an_answer_says_when_its_connection_ends() -> None:
    for minor in (0, 1):
        assert (b"Connection", b"close") in relayed(keep_alive=False, minor=minor)
    assert (b"Connection", b"keep-alive") in relayed(minor=0)  # HTTP/1.0 keeps no connection unasked
    assert b"Connection" not in [name for name, _ in relayed()]


LOCATIONS = [
    (b"https://up.example/base/x?y#z", b"/x?y#z"),
    (b"HTTPS://UP.example/base", b"/"),
    (b"https://up.example/base?x", b"/?x"),
    (b"/base/x", b"/x"),
    (b"/base", b"/"),
    (b"/other", b"/other"),
    (b"/basement", b"/basement"),
    (b"x/y", b"x/y"),
    (b"", b""),
    (b"//evil.example/base/", b"//evil.example/base/"),
    (b"https://up.example.evil/base/x", b"https://up.example.evil/base/x"),
    (b"https://up.example:8443/base/x", b"https://up.example:8443/base/x"),
    (b"https://up.example@evil/base/x", b"https://up.example@evil/base/x"),
    (b"http://up.example/base/x", b"http://up.example/base/x"),
    (b"https://up.example/base//evil.example", b"https://up.example/base//evil.example"),
    (b"https://up.example/base/x?a=//b#/../c", b"/x?a=//b#/../c"),
    (b"https://up.example/base/x%20y%2Fz;a", b"/x%20y%2Fz;a"),
    (b"/base/caf\xc3\xa9", b"/caf\xc3\xa9"),
    (b"https://up.example/base#f", b"/#f"),
    (b"https://up.example", b"https://up.example"),
    (b"https://up.example/", b"https://up.example/"),
    (b"https://up.example?a", b"https://up.example?a"),
    (b"/base?x", b"/?x"),
    (b"/base#f", b"/#f"),
    (b"base/x", b"base/x"),
    (b"?a", b"?a"),
    (b"/base/x//y", b"/x//y"),
]
LEFT_ALONE = [
    *(
        b"/base/" + rest
        for rest in (b"/evil", b"//evil", b"\\evil", b"\\\\evil", b"\t/evil", b"/\tevil", b"\x00/evil")
    ),
    *(
        b"/base/" + rest
        for rest in (b" /evil", b"x\ty", b"x y", b"x\\y", b"\x1f/evil", b"\x7f", b"\x0b/evil", b"\r\nX: y")
    ),
    *(
        b"/base/" + rest
        for rest in (b"%09/evil", b"%2fevil", b"%2F/evil", b"%5cevil", b"%00/evil", b"%20/evil")
    ),
    *(b"/base/" + rest for rest in (b"%252fevil", b"%c0%afevil", b"\xef\xbc\x8fevil", b"\xc0\xafevil")),
    *(
        b"/base/" + rest
        for rest in (b".//evil", b"../x", b"x/../../y", b"%2e%2e/x", b"..;/x", b"..%2fx", b".")
    ),
    *(b"/base" + rest for rest in (b"\\evil", b"\t/evil", b"%2fevil", b";//evil", b"@evil", b" ", b"\t")),
    *(b" /base/x", b"\t/base/x", b"\\base/x", b"/\\evil", b"/\t/evil", b"///evil", b"/./evil", b"http:/base"),
    *(b"https:/\\up.example/base/x", b"https://u:p@up.example/base/x", b"https://up.example\\@evil/base/x"),
    *(
        b"https://up.example/base/\t/evil.example",
        b"https://up.example\t/base/x",
        b"https://up.example./base",
    ),
]


def test_a_location_that_a_client_may_take_for_another_host_or_path_is_left_alone() -> None:
    assert [INJECTING.local(location) for location in LEFT_ALONE] == LEFT_ALONE


@pytest.mark.parametrize(("location", "local"), LOCATIONS)
def test_a_location_under_the_base_url_becomes_a_path_of_ours(location: bytes, local: bytes) -> None:
    assert INJECTING.local(location) == local
    assert (b"location", local) in relayed((b"Location", location))


@pytest.mark.parametrize(
    ("location", "local"),
    [
        (b"https://up.example", b"/"),
        (b"https://UP.example?a", b"/?a"),
        (b"https://up.example#f", b"/#f"),
        (b"https://up.example/x", b"/x"),
        (b"https://up.examples", b"https://up.examples"),
        (b"x", b"x"),
        (b"", b""),
        (b"/x", b"/x"),
        (b"//x", b"//x"),
    ],
)
def test_a_location_becomes_a_path_of_ours_where_the_base_url_has_none(location: bytes, local: bytes) -> None:
    assert PASSING.local(location) == local


@given(
    st.binary(max_size=20) | st.text("/\\\t %2f5c09.;", max_size=12).map(str.encode),
    st.sampled_from([b"", b"https://up.example", b"https://up.example/base", b"/base"]),
)
def test_a_rewritten_location_stays_with_us(rest: bytes, before: bytes) -> None:
    location = before + rest
    local = INJECTING.local(location)
    if local != location:
        assert local[:1] == b"/"
        assert not set(local) & {*range(33), 0x7F, 0x5C}
        assert unquote_to_bytes(local)[1:].lstrip(bytes(range(33)))[:1] not in (b"/", b"\\")


def test_an_interim_head_holds_no_more_than_it_may() -> None:
    octets = INJECTING.interim_head(103, answer((b"Link", b"</a>"), (b"Connection", b"X"), (b"X", b"1")))
    assert octets == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    octets = INJECTING.interim_head(
        103, answer((b"Set-Cookie", b"a=1"), (b"Link", b"</a>"), (b"X-CSRF-TOKEN", b"1")), session=True
    )
    assert octets == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
