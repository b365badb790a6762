"""What a jar makes of what servers set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.cookies import LARGEST, Jar, jar_of, note_session_fields, same_session
from proxy.credentials.credential import Credential
from proxy.terms import CSRF_NAMES

WALL = 1_800_000_000.0
GONE = b"X-CSRF-TOKEN=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:10 GMT; Path=/"


def jar(*lines: bytes) -> Jar:
    return Jar().after([(b"set-cookie", line) for line in lines], WALL)


@pytest.mark.parametrize(
    ("lines", "cookie"),
    [
        ((b"OPERATE-SESSION=abc; Path=/; HttpOnly; SameSite=Lax",), b"OPERATE-SESSION=abc"),
        ((b"a=1", b"b=2"), b"a=1; b=2"),
        ((b"a=1", b"a=2"), b"a=2"),
        ((b" a = 1 2 ; Path=/",), b"a=1 2"),
        ((b'a="x=y,z"',), b'a="x=y,z"'),
        ((b"a=\xe9",), b"a=\xe9"),
        ((b"a=1", GONE, b"X-CSRF-TOKEN=new"), b"a=1; X-CSRF-TOKEN=new"),  # 8.6.0, in one answer
        ((b"X-CSRF-TOKEN=old", b"a=1", GONE), b"a=1"),
        ((b"a=1", b"a=2; max-age=0"), b""),
        ((b"a=1", b"a=2; Max-Age=-1"), b""),
        ((b"a=1; Max-Age=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT",), b"a=1"),  # RFC 6265 section 5.3
        ((b"a=1; Max-Age=soon",), b"a=1"),
        ((b"a=1; Expires=Thu, 01-Jan-1970 00:00:00 GMT",), b""),
        ((b"a=1; Expires=Fri, 31 Dec 2100 00:00:00 GMT",), b"a=1"),
        ((b"a=1; Expires=some day",), b"a=1"),
        ((b"a=1; Expires=Thu, 01 Jan 99999 00:00:00 GMT",), b"a=1"),
        ((b"a=1", b"a="), b""),
        ((b"no cookie",), b""),
        ((b"=1",), b""),
        ((b"a b=1",), b""),
        ((b"a=1\r\nX: y",), b""),
        ((b"a=\x00", b"b=\x7f"), b""),
        ((b"",), b""),
    ],
)
def test_set_cookie_lines_are_taken_in_their_order(lines: tuple[bytes, ...], cookie: bytes) -> None:
    assert jar(*lines).fields == (((b"Cookie", cookie),) if cookie else ())


@pytest.mark.parametrize("name", sorted(CSRF_NAMES))
def test_a_csrf_header_goes_back_under_the_name_it_came_with(name: bytes) -> None:
    fields = Jar().after([(b"set-cookie", b"s=1"), (name, b"masked")], WALL).fields
    assert fields == ((b"Cookie", b"s=1"), (name.upper(), b"masked"))


@pytest.mark.parametrize("value", [b"", b"a\r\nX: y", b"\x00", b"x" * (LARGEST + 1)])
def test_a_csrf_header_that_could_not_be_sent_is_left_out(value: bytes) -> None:
    before = Jar().after([(b"x-csrf-token", b"good")], WALL)
    assert before.after([(b"x-csrf-token", value)], WALL) == before


@pytest.mark.parametrize(
    ("lines", "session"),
    [
        ((), False),
        ((b"X-CSRF-TOKEN=1", b"operate-x-csrf-token=2"), False),
        ((b"X-CSRF-TOKEN=1", b"whatever=2"), True),
    ],
)
def test_a_session_is_whatever_cookie_is_not_for_csrf(lines: tuple[bytes, ...], session: bool) -> None:
    assert jar(*lines).session is session


def test_cookies_stay_below_what_a_server_takes_as_a_head() -> None:
    flood = jar(b"session=1", *(b"c%d=" % number + b"x" * 1000 for number in range(20)))
    assert flood.session
    assert 7000 < len(flood.fields[0][1]) <= LARGEST


def test_a_jar_shows_nothing_of_itself() -> None:
    full = Jar().after([(b"set-cookie", b"s=c4n4ry"), (b"x-csrf-token", b"c4n4ry")], WALL)
    assert "c4n4ry" not in repr(full)


SESSION = Credential(
    ((b"Cookie", b"S=1; X-CSRF-TOKEN=c; AWSALB=r"), (b"X-CSRF-TOKEN", b"masked")), 1000.0, session=True
)


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        ([], None),
        ([(b"x-csrf-token", b"another mask")], None),
        ([(b"set-cookie", b"X-CSRF-TOKEN=c; Path=/")], None),
        ([(b"set-cookie", b"JSESSIONID=foreign")], None),
        ([(b"set-cookie", b"S=; Max-Age=0"), (b"set-cookie", b"AWSALB=; Max-Age=0")], None),
        (
            [(b"set-cookie", b"X-CSRF-TOKEN=d"), (b"x-csrf-token", b"mask of d")],
            ((b"Cookie", b"S=1; X-CSRF-TOKEN=d; AWSALB=r"), (b"X-CSRF-TOKEN", b"mask of d")),
        ),
        (
            [(b"set-cookie", GONE), (b"set-cookie", b"X-CSRF-TOKEN=d"), (b"x-csrf-token", b"mask of d")],
            ((b"Cookie", b"S=1; AWSALB=r; X-CSRF-TOKEN=d"), (b"X-CSRF-TOKEN", b"mask of d")),
        ),
        (
            [(b"set-cookie", b"S=2"), (b"set-cookie", b"foreign=1")],
            ((b"Cookie", b"S=2; X-CSRF-TOKEN=c; AWSALB=r"), (b"X-CSRF-TOKEN", b"masked")),
        ),
    ],
)
def test_an_answer_makes_another_session_only_by_its_cookies(
    answer: list[tuple[bytes, bytes]], fields: tuple[tuple[bytes, bytes], ...] | None
) -> None:
    new = note_session_fields(SESSION, answer, WALL)
    assert (new.fields if new is not None else None) == fields
    assert new is None or (new.session, new.fetched_at) == (True, 1000.0)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (b"S=1; X-CSRF-TOKEN=c", True),
        (b"S=1; X-CSRF-TOKEN=d", True),
        (b"S=2; X-CSRF-TOKEN=c", False),
        (b"S=2; x-csrf-token=c", False),
        (b"T=1", False),
        (b"S=2; R=r", True),
    ],
)
def test_two_sessions_are_one_where_a_cookie_that_is_not_csrfs_is_the_same(other: bytes, same: bool) -> None:
    one = ((b"Cookie", b"S=1; X-CSRF-TOKEN=c; R=r"), (b"X-CSRF-TOKEN", b"m"))
    assert same_session(one, ((b"Cookie", other),)) is same
    assert not same_session(one, ((b"Authorization", b"Basic x"),))


octets = st.binary(max_size=12) | st.sampled_from([b"a", b"S", b"X-CSRF-TOKEN", b"Max-Age=0", b"x; Path=/"])
lines = st.builds(lambda *parts: b"".join(parts), octets, st.sampled_from([b"=", b"; ", b"\r\n"]), octets)


@given(st.lists(st.tuples(st.sampled_from([b"set-cookie", b"x-csrf-token", b"date"]), lines | octets)))
def test_whatever_a_server_sets_the_fields_are_sound_and_can_be_read_again(
    answer: list[tuple[bytes, bytes]],
) -> None:
    full = Jar().after(answer, WALL)
    for name, value in full.fields:
        assert name == b"Cookie" or name.lower() in CSRF_NAMES
        assert not any(octet < 32 or octet == 127 for octet in value)
        assert len(value) <= LARGEST
    assert jar_of(full.fields) == full
