"""The code flow: what the browser is sent to, how the redirect is judged, what the code is exchanged for."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import pytest
from aiohttp import web

from proxy.credentials.user.code import CodeLogin, Expected, Verdict, address, judge
from proxy.credentials.user.endpoints import Endpoints
from proxy.credentials.user.logged_in import LoggedIn
from proxy.credentials.user.loopback import Told, loopback
from proxy.credentials.user.pkce import Proof, new_proof
from proxy.errors import CredentialError, CredentialRejected
from tests.clock import FakeClock
from tests.credentials.user.hurried import SECRET, HurriedClock, client
from tests.login_provider import LoginProvider, login_provider, refused

ISSUER = "https://login.test/realms/r"
EXPECTED = Expected("right", ISSUER)
WARNED: list[str] = []


@pytest.fixture
async def provider() -> AsyncIterator[LoginProvider]:
    async with login_provider() as provider:
        yield provider


async def logged_in(provider: LoginProvider, **changes: Any) -> LoggedIn:
    """A browser opens the address, and goes where it is sent."""
    async with client(provider, **changes) as known, loopback(WARNED.append) as listener:
        endpoints = await known.endpoints()
        login = CodeLogin(known, endpoints.authorization or "", endpoints, listener, FakeClock())

        async def opened() -> None:
            async with aiohttp.ClientSession() as browser, browser.get(login.address):
                pass

        async def ended() -> LoggedIn:
            found = await login.result()
            listener.tell(Told(True, "You are logged in."))
            return found

        found, _ = await asyncio.gather(ended(), opened(), return_exceptions=True)
        if isinstance(found, BaseException):
            raise found
        return found


def test_the_challenge_is_that_of_the_rfc() -> None:
    """RFC 7636 appendix B."""
    proof = Proof("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert proof.challenge["code_challenge"] == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert proof.verifier not in repr(proof)


def test_each_login_has_another_verifier_of_a_length_that_the_rfc_allows() -> None:
    made = {new_proof().verifier for _ in range(9)}
    assert len(made) == 9
    assert all(43 <= len(each) <= 128 for each in made)


def test_the_query_of_the_authorization_endpoint_stays() -> None:
    assert address("https://a.test/x?tenant=1", {"state": "a b"}) == "https://a.test/x?tenant=1&state=a+b"


@pytest.mark.parametrize(
    ("query", "verdict"),
    [
        ({"state": "right", "code": "c", "iss": ISSUER}, Verdict("code", "c")),
        ({"state": "right", "code": "c"}, Verdict("code", "c")),
        ({"state": "wrong", "code": "c"}, Verdict("foreign", "its state is not that of this login")),
        ({"code": "c"}, Verdict("foreign", "its state is not that of this login")),
        ({"state": "rightß", "code": "c"}, Verdict("foreign", "its state is not that of this login")),
        ({"state": "right"}, Verdict("error", "the redirect has no code")),
        ({"state": "right", "code": ""}, Verdict("error", "the redirect has no code")),
    ],
)
def test_the_state_and_then_the_rest_decide(query: dict[str, str], verdict: Verdict) -> None:
    assert judge(urlencode(query), EXPECTED) == verdict


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("state=right&code=c&iss=https%3A%2F%2Fevil.test", "from another issuer (https://evil.test:443)"),
        (f"state=right&code=c&iss={ISSUER}%2F", "from another issuer"),
        ("state=right&code=c&code=d", "has a parameter twice"),
        ("state=right&error=access_denied&error_description=No%21", "was denied (access_denied: No!)"),
        ("state=right&error=invalid_scope", "refused the scope `s`"),
        ("state=right&error=unauthorized_client", "Standard flow on"),
        ("state=right&error=login_required", "the login failed there (login_required)"),
        ("state=right&error=%1b%5b2J", "the login failed there (?[2J)"),
        ("state=right&error=x&code=c", "the login failed there (x)"),
    ],
)
def test_an_answer_of_ours_that_is_no_code_ends_the_login(query: str, says: str) -> None:
    verdict = judge(query, Expected("right", ISSUER, scope="s"))
    assert verdict.kind == "error"
    assert says in verdict.text


def test_an_issuer_that_promises_to_name_itself_has_to() -> None:
    promised = Expected("right", ISSUER, sends_issuer=True)
    assert judge("state=right&code=c", promised).text.startswith("the redirect does not name the issuer")
    assert judge(urlencode({"state": "right", "code": "c", "iss": ISSUER}), promised).kind == "code"


def test_no_code_is_in_a_repr() -> None:
    assert "c0de" not in repr(Verdict("code", "c0de"))
    assert "right" not in repr(EXPECTED)


async def test_the_code_of_the_redirect_is_exchanged_with_the_verifier(provider: LoginProvider) -> None:
    found = await logged_in(provider)
    assert [found.refresh_token] == [*provider.good.values()]
    assert found.username == "ada"
    (query,), (form,) = provider.forms("/authorize"), provider.forms("/token")
    assert (query["response_type"], query["client_id"]) == ("code", "tool")
    assert (query["scope"], query["code_challenge_method"]) == ("openid offline_access", "S256")
    assert query["redirect_uri"] == form["redirect_uri"]
    assert "code_verifier" not in query
    assert set(form) == {"grant_type", "code", "redirect_uri", "code_verifier", "client_id"}


async def test_a_confidential_client_sends_its_secret_to_the_token_endpoint_only(
    provider: LoginProvider,
) -> None:
    extra = {"parameters": (("prompt", "consent"),), "audience": "api", "resource": "https://api.test"}
    await logged_in(provider, secret=True, **extra)
    (query,), (form,) = provider.forms("/authorize"), provider.forms("/token")
    assert "client_secret" not in query
    assert form["client_secret"] == SECRET
    for sent in (query, form):
        assert (sent["prompt"], sent["audience"], sent["resource"]) == ("consent", "api", "https://api.test")


@pytest.mark.parametrize(
    ("redirect", "says"),
    [
        ({"iss": "https://evil.test"}, "came from another issuer"),
        ({"iss": None}, "does not name the issuer"),
        ({"code": None, "error": "access_denied"}, "the login was denied"),
    ],
)
async def test_a_redirect_that_cannot_be_trusted_sends_no_code(
    provider: LoginProvider, redirect: dict[str, Any], says: str
) -> None:
    provider.redirect = redirect
    with pytest.raises(CredentialRejected, match=says):
        await logged_in(provider)
    assert not provider.forms("/token")


async def test_a_refused_exchange_is_told_without_the_code(provider: LoginProvider) -> None:
    async def repeat(code: str) -> None:
        provider.script["/token"] = deque([refused("invalid_grant", f"Code {code} not valid")])

    await repeat("authorization-code-1")
    with pytest.raises(CredentialError) as caught:
        await logged_in(provider)
    assert "Code *** not valid" in str(caught.value)
    assert "authorization-code" not in str(caught.value)


async def test_a_redirect_of_the_token_endpoint_is_not_followed(provider: LoginProvider) -> None:
    provider.script["/token"] = deque(
        [web.Response(status=302, headers={"Location": f"{provider.url}/login"})]
    )
    with pytest.raises(CredentialRejected, match="do not accept the client"):
        await logged_in(provider)
    assert [path for path, _ in provider.asked] == ["/authorize", "/token"]


async def test_a_provider_whose_error_page_never_comes_back_is_given_ten_minutes(
    provider: LoginProvider,
) -> None:
    clock = HurriedClock()
    async with client(provider) as known, loopback(WARNED.append) as listener:
        login = CodeLogin(
            known, f"{provider.url}/authorize", Endpoints(f"{provider.url}/token"), listener, clock
        )
        with pytest.raises(CredentialRejected, match="within 10 min"):
            await login.result()
    assert clock.waits == [600.0]


async def test_state_and_challenge_are_others_for_each_login(provider: LoginProvider) -> None:
    await logged_in(provider)
    await logged_in(provider)
    one, two = provider.forms("/authorize")
    assert not {one["state"], one["code_challenge"]} & {two["state"], two["code_challenge"]}
    assert len(one["state"]) >= 43


async def test_a_setting_cannot_replace_what_protects_the_login(provider: LoginProvider) -> None:
    forged = (("state", "known"), ("redirect_uri", "https://evil.test"), ("code_challenge_method", "plain"))
    async with client(provider, parameters=forged) as known, loopback(WARNED.append) as listener:
        login = CodeLogin(known, f"{provider.url}/authorize", Endpoints("x"), listener, FakeClock())
        query = dict(parse_qsl(urlsplit(login.address).query))
    assert query["state"] != "known"
    assert query["redirect_uri"].startswith("http://127.0.0.1:")
    assert query["code_challenge_method"] == "S256"
