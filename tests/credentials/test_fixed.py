"""Credentials that are fetched from nowhere."""

import json
from base64 import urlsafe_b64encode

import pytest

from proxy.credentials.fixed import AT_ONCE, Anonymous, BasicLogin, SharedToken
from proxy.credentials.keeper import Keeper
from proxy.credentials.secret import TextSecret
from proxy.errors import CredentialUnavailable
from tests.clock import FakeClock
from tests.credentials.sources import Notebook, running

CANARY = "c4n4ry"


@pytest.mark.parametrize("token", ["abc", "a.b-c_d~e+f/g==", "{}!$%&"])
async def test_a_shared_token_is_stamped_as_bearer(token: str) -> None:
    credential = await SharedToken(TextSecret(token), FakeClock()).fetch()
    assert credential.fields == ((b"Authorization", b"Bearer " + token.encode()),)
    assert credential.expires_at is None


@pytest.mark.parametrize("odd", ["", " ", "\r\n", "\n", "\x00", "\x7f", "é", "\u017f", "x" * (1 << 16)])
async def test_a_shared_token_of_anything_but_visible_ascii_is_not_used(odd: str) -> None:
    token = CANARY + odd if odd else ""
    with pytest.raises(CredentialUnavailable) as caught:
        await SharedToken(TextSecret(token), FakeClock()).fetch()
    assert caught.value.outcome == "invalid"
    assert CANARY not in repr(caught.value)


@pytest.mark.parametrize(
    ("username", "password", "encoded"),
    [
        ("Aladdin", "open sesame", b"QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),  # RFC 7617 section 2
        ("test", "123£", b"dGVzdDoxMjPCow=="),  # RFC 7617 section 2.1
        ("demo", "a:b", b"ZGVtbzphOmI="),
    ],
)
async def test_basic_is_that_of_rfc_7617_in_utf_8(username: str, password: str, encoded: bytes) -> None:
    credential = await BasicLogin(username, TextSecret(password), FakeClock()).fetch()
    assert credential.fields == ((b"Authorization", b"Basic " + encoded),)


@pytest.mark.parametrize(
    ("username", "password"),
    [("a:b", CANARY), ("a", CANARY + "\n"), ("a\x00", CANARY), ("a", CANARY + "\ud800")],
)
async def test_basic_with_colon_or_control_characters_is_not_used(username: str, password: str) -> None:
    with pytest.raises(CredentialUnavailable) as caught:
        await BasicLogin(username, TextSecret(password), FakeClock()).fetch()
    assert caught.value.outcome == "invalid"
    assert CANARY not in repr(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


async def test_none_stamps_nothing() -> None:
    credential = await Anonymous(FakeClock()).fetch()
    assert (credential.fields, credential.expires_at) == ((), None)


def jwt(**claims: object) -> str:
    payload = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{payload}.c2ln"


async def test_a_shared_jwt_has_its_own_end_which_is_told_and_not_obeyed() -> None:
    clock, observer = FakeClock(), Notebook()
    source = SharedToken(TextSecret(jwt(exp=10_000)), clock, wall=lambda: 9_000.0)
    keeper = Keeper("shared", source, clock=clock, policy=AT_ONCE, observer=observer)
    async with running(keeper, clock):
        assert (keeper.snapshot().reason, keeper.snapshot().ends_at) == ("", clock.now() + 1000.0)
        await clock.advance(930.0)
        assert keeper.snapshot().reason.startswith("the shared token says that it expires in 70 s; put a new")
        await clock.advance(200.0)
        status = keeper.snapshot()
        assert status.reason.startswith("the shared token says that it expired 2 min ago; put a new one")
        assert status.usable
        assert keeper.current is not None
    assert [(each.condition, each.reason[:37]) for each in observer.changes] == [
        ("good", ""),
        ("good", "the shared token says that it expires"),
        ("good", "the shared token says that it expired"),
    ]


@pytest.mark.parametrize("exp", [None, True, "5", -5, 0, 10**400, 1e300, [], {}])
async def test_a_shared_token_without_a_sensible_exp_never_ends(exp: object) -> None:
    clock = FakeClock()
    assert (await SharedToken(TextSecret(jwt(exp=exp)), clock).fetch()).ends_at is None
    assert (await SharedToken(TextSecret("opaque.token.x"), clock).fetch()).ends_at is None
