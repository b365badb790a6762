"""OPTIONS that end here."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import RequestRefused
from proxy.gateway.grammar import Field
from proxy.gateway.options import allowing, ends_here, is_preflight
from proxy.gateway.request_head import RequestHead, parse_head
from tests.examples import some

METHOD = b"Access-Control-Request-Method"
HEADERS = b"Access-Control-Request-Headers"
PRIVATE = b"Access-Control-Request-Private-Network"


def asked(*fields: Field, line: bytes = b"OPTIONS /v2/topology HTTP/1.1") -> RequestHead:
    lines = [name + b": " + value for name, value in ((b"Host", b"localhost"), *fields)]
    return parse_head(b"\r\n".join((line, *lines, b"", b"")))


def lines(octets: bytes) -> list[bytes]:
    assert octets.endswith(b"\r\n")
    return octets[:-2].split(b"\r\n")


ANSWERED: list[tuple[list[Field], list[bytes]]] = [
    ([(METHOD, b"PUT")], [b"Access-Control-Allow-Methods: PUT"]),
    (
        [(METHOD, b"POST"), (HEADERS, b"content-type,x-proxy-token")],
        [
            b"Access-Control-Allow-Methods: POST",
            b"Access-Control-Allow-Headers: content-type,x-proxy-token",
        ],
    ),
    (
        [(METHOD, b"GET"), (HEADERS, b"a , b"), (HEADERS, b""), (HEADERS, b"c")],
        [b"Access-Control-Allow-Methods: GET", b"Access-Control-Allow-Headers: a , b, c"],
    ),
    ([(METHOD, b"GET"), (HEADERS, b"")], [b"Access-Control-Allow-Methods: GET"]),
    (
        [(METHOD, b"GET"), (PRIVATE, b"true")],
        [b"Access-Control-Allow-Methods: GET", b"Access-Control-Allow-Private-Network: true"],
    ),
    ([(METHOD, b"GET"), (PRIVATE, b"false")], [b"Access-Control-Allow-Methods: GET"]),
]


@pytest.mark.parametrize(("fields", "answer"), ANSWERED)
def test_a_preflight_is_allowed_what_it_asks_for(fields: list[Field], answer: list[bytes]) -> None:
    head = asked(*fields)
    assert is_preflight(head)
    assert lines(allowing(head)) == [*answer, b"Access-Control-Max-Age: 600"]


@pytest.mark.parametrize(
    "fields",
    [
        [(METHOD, b"")],
        [(METHOD, b"GET, PUT")],
        [(METHOD, b"GET"), (METHOD, b"GET")],
        [(METHOD, b"G\xff")],
        [(METHOD, b"x" * 65)],
        [(METHOD, b"GET"), (HEADERS, b"a b")],
        [(METHOD, b"GET"), (HEADERS, b"a,,b")],
        [(METHOD, b"GET"), (HEADERS, b"a: b")],
        [(METHOD, b"GET"), (HEADERS, b"caf\xc3\xa9")],
        [(METHOD, b"GET"), (HEADERS, b"x" * 65)],
    ],
)
def test_what_is_no_method_and_no_name_is_not_repeated(fields: list[Field]) -> None:
    with pytest.raises(RequestRefused) as caught:
        allowing(asked(*fields))
    assert caught.value.code == "bad_request"


TEXT = st.text(alphabet='aZ09-,; \t"\xe9', max_size=20).map(lambda text: text.encode("latin-1"))


@settings(max_examples=some(200))
@given(st.lists(st.tuples(st.sampled_from([METHOD, HEADERS, PRIVATE]), TEXT), max_size=4))
def test_whatever_is_asked_the_answer_is_fields_or_a_refusal(fields: list[Field]) -> None:
    try:
        answer = allowing(asked(*fields))
    except RequestRefused:
        return
    head = parse_head(b"OPTIONS / HTTP/1.1\r\nHost: x\r\n" + answer + b"\r\n")
    assert {name for name, _ in head.fields[1:]} <= {
        b"Access-Control-Allow-Methods",
        b"Access-Control-Allow-Headers",
        b"Access-Control-Allow-Private-Network",
        b"Access-Control-Max-Age",
    }


@pytest.mark.parametrize(
    ("head", "here"),
    [
        (asked(line=b"OPTIONS * HTTP/1.1"), True),
        (asked((b"Max-Forwards", b"0")), True),
        (asked((b"Max-Forwards", b"1")), False),
        (asked(), False),
        (asked((b"Max-Forwards", b"0"), line=b"GET / HTTP/1.1"), False),
    ],
)
def test_options_for_whoever_gets_them_end_here(head: RequestHead, here: bool) -> None:
    assert ends_here(head) is here
    assert not is_preflight(head)


def test_only_options_are_preflights() -> None:
    assert not is_preflight(asked((METHOD, b"PUT"), line=b"GET / HTTP/1.1"))
