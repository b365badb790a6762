"""From a token to a caller, and what that caller may do."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.clock import date_of
from proxy.errors import RequestRefused
from proxy.gateway.admission import identified
from proxy.gateway.callers import LOOKS, Admission, Caller, Callers, outcome_of
from proxy.gateway.grammar import Field
from proxy.gateway.rate import Bucket, Rate
from proxy.gateway.request_head import RequestHead
from tests.examples import some
from tests.gateway.calling import FixedToken, one_caller
from tests.gateway.test_guard import asked

TOKEN = b"correct-horse-battery"
OTHER = b"another-horse-battery"
BASIC = b"Basic " + b64encode(b"any:" + TOKEN)
SHOWN: list[tuple[list[Field], bool]] = [
    ([(b"x-proxy-token", TOKEN)], True),
    ([(b"authorization", b"Bearer " + TOKEN)], True),
    ([(b"authorization", b"bearer  " + TOKEN)], True),
    ([(b"authorization", b"BEARER " + TOKEN + b" ")], True),
    ([(b"authorization", b"basic  " + BASIC[6:])], True),
    ([(b"authorization", BASIC)], True),
    ([(b"authorization", b"Basic " + b64encode(b":" + TOKEN))], True),
    ([(b"authorization", b"Bearer other"), (b"x-proxy-token", TOKEN)], True),
    ([(b"x-proxy-token", b"wrong"), (b"authorization", BASIC)], True),
    ([], False),
    ([(b"x-proxy-token", b"")], False),
    ([(b"x-proxy-token", TOKEN[:-1])], False),
    ([(b"x-proxy-token", TOKEN + b"x")], False),
    ([(b"x-proxy-token", TOKEN.upper())], False),
    ([(b"x-proxy-token", b"Bearer " + TOKEN)], False),
    ([(b"x-proxy-token", sha256(TOKEN).digest())], False),
    ([(b"x-proxy-token", sha256(TOKEN).hexdigest().encode())], False),
    ([(b"authorization", TOKEN)], False),
    ([(b"authorization", b"Digest " + TOKEN)], False),
    ([(b"authorization", b"Basic " + b64encode(TOKEN))], False),
    ([(b"authorization", b"Basic " + b64encode(TOKEN + b":x"))], False),
    ([(b"authorization", b"Basic not base64")], False),
    ([(b"authorization", BASIC.replace(b"Basic ", b"Basic !"))], False),
    ([(b"authorization", BASIC.replace(b"Basic ", b"Basic \n"))], False),
    ([(b"authorization", b"Basic " + b64encode(b"any:x:" + TOKEN))], False),
    ([(b"authorization", b"Basic \xff")], False),
    ([(b"authorization", b"Basic")], False),
    ([(b"cookie", TOKEN)], False),
    ([(b"proxy-authorization", b"Bearer " + TOKEN)], False),
]


class Wall:
    """A calendar that a test sets."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def found(head: RequestHead, callers: Callers, **more: Any) -> tuple[RequestHead, Caller, Admission]:
    return identified(head, callers, 0.0, **more)


def refusal(action: Callable[[], object]) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        action()
    return caught.value


def of(*each: tuple[Caller, FixedToken], wall: Callable[[], float] = lambda: 0.0) -> Callers:
    callers = Callers(wall)
    callers.switch(
        list({caller.name: caller for caller, _ in each}.values()),
        [(caller.name, token) for caller, token in each],
        0.0,
    )
    return callers


# -- by token --


@pytest.mark.parametrize(("fields", "known"), SHOWN)
def test_a_caller_is_known_by_the_token_it_shows(fields: list[Field], known: bool) -> None:
    callers = one_caller(TOKEN, "ci")
    if known:
        _, caller, admission = found(asked(*fields), callers)
        assert (caller.name, admission) == ("ci", Admission("ci", sha256(TOKEN).digest()))
        return
    error = refusal(lambda: found(asked(*fields), callers))
    assert error.code == "caller_unknown"
    assert ("has the token that the request shows" in error.detail) == (
        any(name == b"x-proxy-token" for name, _ in fields)
    )


def test_the_field_with_the_token_is_removed_and_all_others_stay() -> None:
    others: list[Field] = [(b"authorization", b"Bearer own"), (b"cookie", b"a")]
    shown: list[Field] = [(b"x-proxy-token", TOKEN), (b"authorization", BASIC), (b"x-proxy-token", b"wrong")]
    earlier: Field = (b"authorization", b"Bearer cap_one-that-was-replaced")
    whole = asked(*shown, *others, earlier)
    head, _, _ = found(whole, one_caller(TOKEN))
    assert [field for field in head.notable if field[0] != b"x-proxy-token"] == [
        (b"host", b"localhost"),
        *others,
    ]
    assert replace(head, notable=whole.notable) == whole


def test_a_token_may_hold_a_colon() -> None:
    head = asked((b"authorization", b"Basic " + b64encode(b"any:correct:horse")))
    assert found(head, one_caller(b"correct:horse"))[0].notable == [(b"host", b"localhost")]


def test_a_file_that_was_never_read_lets_no_caller_in() -> None:
    callers = of((Caller("a"), FixedToken(b"", may_change=True)))
    for fields in ([], [(b"x-proxy-token", b"")], [(b"authorization", b"Bearer ")]):
        assert refusal(lambda fields=fields: found(asked(*fields), callers)).code == "caller_unknown"  # type: ignore[misc]


def test_files_that_were_never_read_are_not_the_same_token() -> None:
    told: list[str] = []
    callers = Callers(lambda: 0.0, told.append)
    tokens = [(name, FixedToken(b"", may_change=True)) for name in ("a", "b")]
    callers.switch([Caller("a"), Caller("b")], tokens, 0.0)
    assert told == []


def test_a_hundred_callers_are_told_apart_by_one_lookup() -> None:
    each = [(Caller(f"c{number}"), FixedToken(b"token-of-caller-%d" % number)) for number in range(100)]
    callers = of(*each)
    for number, (caller, _) in enumerate(each):
        shown = asked((b"x-proxy-token", b"token-of-caller-%d" % number))
        assert found(shown, callers)[1] is caller
    assert all(token.looks == 1 for _, token in each)


def test_each_token_of_a_list_is_the_callers() -> None:
    caller = Caller("a")
    callers = of((caller, FixedToken(TOKEN)), (caller, FixedToken(OTHER, may_change=True)))
    for token in (TOKEN, OTHER):
        assert found(asked((b"x-proxy-token", token)), callers)[1].name == "a"


def test_a_request_with_the_tokens_of_two_callers_is_refused() -> None:
    callers = of((Caller("a"), FixedToken(TOKEN)), (Caller("b"), FixedToken(OTHER)))
    head = asked((b"x-proxy-token", TOKEN), (b"authorization", b"Bearer " + OTHER))
    error = refusal(lambda: found(head, callers))
    assert (error.code, "two callers" in error.detail) == ("caller_unknown", True)
    twice = asked((b"x-proxy-token", TOKEN), (b"authorization", b"Bearer " + TOKEN))
    assert found(twice, callers)[1].name == "a"


@settings(max_examples=some(100))
@given(st.lists(st.tuples(st.sampled_from([b"x-proxy-token", b"authorization"]), st.binary(max_size=80))))
def test_no_bytes_are_a_token_that_no_caller_has(fields: list[Field]) -> None:
    assert refusal(lambda: found(asked(*fields), one_caller(TOKEN))).code == "caller_unknown"


# -- files that change --


def test_a_changed_file_counts_at_once_and_costs_one_look() -> None:
    changing = FixedToken(TOKEN, may_change=True)
    others = [FixedToken(b"other-%d" % number, may_change=True) for number in (1, 2)]
    callers = of((Caller("a"), changing), *((Caller(f"o{n}"), token) for n, token in enumerate(others)))
    assert callers.by_token(TOKEN, 0.0) is not None
    assert (changing.looks, [token.looks for token in others]) == (2, [1, 1])
    changing.text = OTHER
    assert callers.by_token(TOKEN, 0.0) is None
    known = callers.by_token(OTHER, 0.0)
    assert known is not None
    assert known[0].name == "a"


def test_unknown_tokens_cause_few_looks_at_the_files() -> None:
    token = FixedToken(TOKEN, may_change=True)
    callers = of((Caller("a"), token))
    for _ in range(10 * LOOKS.burst):
        assert callers.by_token(b"wrong", 5.0) is None
    assert token.looks == 1 + LOOKS.burst
    token.text = OTHER
    assert callers.by_token(OTHER, 5.0) is None
    assert callers.by_token(OTHER, 5.0 + 1.5 / LOOKS.per_second) is not None


def test_tokens_that_cannot_change_are_never_read_again() -> None:
    token = FixedToken(TOKEN)
    callers = of((Caller("a"), token))
    for shown in (b"wrong", TOKEN, b"wrong"):
        callers.by_token(shown, 0.0)
    assert token.looks == 1


def test_a_token_that_a_second_caller_gets_is_accepted_for_neither_and_is_told_once() -> None:
    told: list[str] = []
    callers = Callers(lambda: 0.0, told.append)
    second = FixedToken(OTHER, may_change=True)
    tokens = [("a", FixedToken(TOKEN, may_change=True)), ("b", second)]
    callers.switch([Caller("a"), Caller("b")], tokens, 0.0)
    second.text = TOKEN
    assert callers.by_token(OTHER, 0.0) is None  # read again
    assert callers.by_token(TOKEN, 0.0) is None
    assert callers.by_token(TOKEN, 9.0) is None
    (sentence,) = told
    assert sentence.startswith("callers.a and callers.b have the same token, so it is accepted for neither")
    second.text = OTHER
    assert callers.by_token(TOKEN, 99.0) is not None


# -- without a token --


def test_requests_without_a_token_are_the_anonymous_callers() -> None:
    callers = of((Caller("local"), FixedToken(OTHER)), (Caller("ci"), FixedToken(TOKEN)))
    own: list[Field] = [(b"authorization", b"Basic ZGVtbzpkZW1v"), (b"cookie", b"a")]
    for fields in ([], own):
        head, caller, admission = found(asked(*fields), callers, anonymous="local")
        assert (caller.name, admission) == ("local", Admission("local", anonymous=True))
        assert head.notable[1:] == fields
    assert found(asked((b"x-proxy-token", TOKEN)), callers, anonymous="local")[1].name == "ci"


@pytest.mark.parametrize(
    "shown",
    [
        (b"x-proxy-token", b"wrong"),
        (b"x-proxy-token", b""),
        (b"authorization", b"Bearer cap_wrong"),
        (b"authorization", b"Basic " + b64encode(b"any:cap_wrong")),
    ],
)
def test_a_wrong_token_does_not_become_the_anonymous_caller(shown: Field) -> None:
    callers = one_caller(TOKEN, "local")
    assert refusal(lambda: found(asked(shown), callers, anonymous="local")).code == "caller_unknown"


def test_an_anonymous_caller_that_is_gone_lets_none_in() -> None:
    assert refusal(lambda: found(asked(), one_caller(TOKEN, "a"), anonymous="b")).code == "caller_unknown"


def test_a_certificate_may_prove_who_the_caller_is() -> None:
    ci = Caller("ci", certificate_san=("DNS:ci", "URI:spiffe://a/ci"))
    callers = of((ci, FixedToken(TOKEN)), (Caller("bi", certificate_san=("DNS:bi",)), FixedToken(OTHER)))
    assert found(asked(), callers, identities=("DNS:ci",))[1:] == (ci, Admission("ci", identity="DNS:ci"))
    both = ("email:x", "DNS:ci", "URI:spiffe://a/ci")
    assert found(asked(), callers, identities=both)[1] == ci
    assert found(asked((b"x-proxy-token", TOKEN)), callers, identities=("DNS:ci",))[1].name == "ci"
    assert found(asked((b"x-proxy-token", TOKEN)), callers, identities=("DNS:no", "URI:no"))[1].name == "ci"
    for head, names in (
        (asked(), ("DNS:no",)),
        (asked(), ("ci", "URI:ci", "dns:ci", "")),
        (asked(), ("DNS:ci", "DNS:bi")),
        (asked((b"x-proxy-token", TOKEN)), ("DNS:bi",)),
    ):
        with pytest.raises(RequestRefused) as caught:
            found(head, callers, identities=names)
        assert caught.value.code == "caller_unknown"
    # the nameless caller of guard.caller_token is no identity of a certificate
    assert one_caller(TOKEN).by_identity("") is None


# -- what a caller may do --


def test_a_caller_may_use_the_upstreams_that_it_names() -> None:
    callers = one_caller(TOKEN)
    for caller, upstream, good in (
        (Caller("a"), "zeebe", True),
        (Caller("a", frozenset({"zeebe"})), "zeebe", True),
        (Caller("a", frozenset({"zeebe"})), "operate", False),
        (Caller("a", frozenset()), "zeebe", False),
    ):
        if good:
            callers.check(caller, upstream, 0.0)
            continue
        error = refusal(lambda caller=caller, upstream=upstream: callers.check(caller, upstream, 0.0))  # type: ignore[misc]
        assert error.code == "not_permitted"
        assert "callers.a.upstreams" in error.detail
        assert upstream in error.detail


def test_a_caller_is_refused_from_its_expiry_on() -> None:
    wall = Wall()
    caller = Caller("a", expires=wall.now + 10)
    callers = of((caller, FixedToken(TOKEN)), wall=wall)
    callers.check(caller, "zeebe", 0.0)
    assert callers.admits(Admission("a"), "zeebe")
    wall.now += 9.999
    callers.check(caller, "zeebe", 0.0)
    wall.now = caller.expires or 0.0
    error = refusal(lambda: callers.check(caller, "zeebe", 0.0))
    assert error.code == "caller_expired"
    assert "callers.a.expires: 2027-01-15T08:00:10Z" in error.detail
    assert not callers.admits(Admission("a"), "zeebe")


def test_a_caller_over_its_rate_is_told_when_to_come_back() -> None:
    caller = Caller("a", rate=Rate(0.4, 2))
    callers = of((caller, FixedToken(TOKEN)))
    callers.check(caller, "zeebe", 0.0)
    callers.check(caller, "operate", 0.0)
    error = refusal(lambda: callers.check(caller, "zeebe", 0.0))
    assert (error.code, error.retry_after) == ("rate_limited", 3)
    assert "callers.a.rate allows 0.4 per second, and 2 at once" in error.detail
    callers.check(caller, "zeebe", 2.5)
    assert refusal(lambda: callers.check(caller, "zeebe", 2.5)).retry_after == 3
    assert refusal(lambda: callers.check(caller, "zeebe", 4.9)).retry_after == 1


def test_a_reload_keeps_what_is_left_of_a_rate_that_stays_the_same() -> None:
    caller = Caller("a", rate=Rate(1, 1))
    callers = of((caller, FixedToken(TOKEN)))
    callers.check(caller, "zeebe", 0.0)
    more = Caller("a", frozenset({"zeebe"}), rate=Rate(1, 1))
    callers.switch([more], [("a", FixedToken(TOKEN))], 0.0)
    assert refusal(lambda: callers.check(more, "zeebe", 0.0)).code == "rate_limited"
    other = Caller("a", rate=Rate(1, 2))
    callers.switch([other], [], 0.0)
    callers.check(other, "zeebe", 0.0)
    callers.switch([Caller("a")], [], 0.0)
    for _ in range(9):
        callers.check(Caller("a"), "zeebe", 0.0)


def test_a_running_request_goes_on_only_while_its_caller_and_its_token_are_there() -> None:
    caller = Caller("a", frozenset({"zeebe"}))
    callers = of((caller, FixedToken(TOKEN)), (Caller("b"), FixedToken(OTHER)))
    mine = Admission("a", sha256(TOKEN).digest())
    assert callers.admits(mine, "zeebe")
    assert callers.knows_token(mine)
    assert not callers.admits(mine, "operate")
    assert not callers.knows_token(Admission("a", sha256(OTHER).digest()))  # of another caller
    callers.switch([caller], [("a", FixedToken(OTHER))], 0.0)
    assert callers.admits(mine, "zeebe")
    assert not callers.knows_token(mine)
    callers.switch([Caller("b")], [("b", FixedToken(TOKEN))], 0.0)
    assert not callers.admits(mine, "zeebe")
    assert not callers.knows_token(mine)


# -- rates --


@pytest.mark.parametrize(
    ("rate", "times", "passed"),
    [
        (Rate(1, 1), [0, 0, 1, 1, 2], [True, False, True, False, True]),
        (Rate(1, 1), [0, 0.5, 0.9, 1.0], [True, False, False, True]),
        (Rate(2, 3), [0, 0, 0, 0, 0.5, 0.5], [True, True, True, False, True, False]),
        (Rate(5, 2), [0, 1000, 1000, 1000], [True, True, True, False]),
        (Rate(1, 2), [10, 5, 5, 10], [True, True, False, False]),  # a clock that goes back gives nothing
    ],
)
def test_a_bucket_lets_a_burst_through_and_then_the_rate(
    rate: Rate, times: list[float], passed: list[bool]
) -> None:
    bucket = Bucket(rate, 0.0)
    assert [bucket.take(now) == 0.0 for now in times] == passed


@settings(max_examples=some(200))
@given(
    st.floats(0.001, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 10), max_size=60),
)
def test_no_time_sees_more_than_burst_and_rate_allow(
    per_second: float, burst: int, gaps: list[float]
) -> None:
    bucket, now, passed = Bucket(Rate(per_second, burst), 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        wait = bucket.take(now)
        passed += wait == 0.0
        assert 0.0 <= wait <= 1.0 / per_second + 1e-9
    assert passed <= burst + per_second * now + 1e-6


def test_a_caller_that_waits_as_told_gets_in() -> None:
    bucket, now = Bucket(Rate(3, 1), 0.0), 0.0
    for _ in range(20):
        assert bucket.take(now) == 0.0
        now += bucket.take(now) + 1e-9


# -- words --


@pytest.mark.parametrize(
    ("problem", "answered", "outcome"),
    [
        (None, True, "answered"),
        (None, False, "failed"),
        ("caller_unknown", True, "unknown"),
        ("caller_expired", True, "expired"),
        ("rate_limited", True, "rate_limited"),
        ("not_permitted", True, "not_permitted"),
        ("ambiguous_request", True, "not_permitted"),
        ("not_allowed", True, "not_permitted"),
        ("upstream_timeout", True, "failed"),
    ],
)
def test_outcomes(problem: str | None, answered: bool, outcome: str) -> None:
    assert outcome_of(problem, answered=answered) == outcome


def test_a_date_is_written_as_the_configuration_has_it() -> None:
    assert date_of(1_801_353_600.0) == "2027-01-31T00:00:00Z"


def test_the_words_name_the_setting_that_asks_for_a_token() -> None:
    assert "guard.caller_token" in refusal(lambda: found(asked(), one_caller(TOKEN))).detail
    named = refusal(lambda: found(asked(), one_caller(TOKEN, "ci"))).detail
    assert "token of a caller (callers)" in named
    assert "ci" not in named.split("(")[0]
