"""The device flow against a provider on loopback: what is shown, how often it polls, and every end."""

import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from proxy.credentials.reply import Reply
from proxy.credentials.user.device import DeviceCode, DeviceLogin, device_code
from proxy.credentials.user.logged_in import LoggedIn
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable
from proxy.outgoing.causes import Peer
from tests.credentials.user.hurried import SECRET, HurriedClock, client
from tests.login_provider import LoginProvider, login_provider, refused

PEER = Peer("the device authorization endpoint")
GOOD = {
    "device_code": "d3v1ce",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://login.test/device",
    "verification_uri_complete": "https://login.test/device?user_code=WDJB-MJHT",
    "expires_in": 600,
    "interval": 2,
}


@pytest.fixture
async def provider() -> AsyncIterator[LoginProvider]:
    async with login_provider() as provider:
        yield provider


def answer(**changes: Any) -> Reply:
    members = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return Reply(200, json.dumps(members).encode(), (("content-type", "application/json"),))


async def logged_in(provider: LoginProvider, *polls: str, **changes: Any) -> tuple[LoggedIn, HurriedClock]:
    provider.polls.extend(polls)
    clock = HurriedClock()
    async with client(provider, **changes) as known:
        login = DeviceLogin(known, f"{provider.url}/device", f"{provider.url}/token", clock)
        return await login.result(await login.begin()), clock


async def failed(provider: LoginProvider, *polls: str, **changes: Any) -> CredentialError:
    with pytest.raises(CredentialError) as caught:
        await logged_in(provider, *polls, **changes)
    return caught.value


def test_the_answer_says_what_to_show() -> None:
    assert device_code(answer(), PEER) == DeviceCode(
        "d3v1ce",
        "WDJB-MJHT",
        "https://login.test/device",
        "https://login.test/device?user_code=WDJB-MJHT",
        600.0,
        2.0,
    )
    assert "d3v1ce" not in repr(device_code(answer(), PEER))


def test_google_names_the_address_differently() -> None:
    named = answer(verification_uri=None, verification_url="https://google.test/device")
    assert device_code(named, PEER).address == "https://google.test/device"


@pytest.mark.parametrize(
    ("changes", "interval"),
    [({"interval": None}, 5.0), ({"interval": 0}, 5.0), ({"interval": "2"}, 5.0), ({"interval": 1e9}, 60.0)],
)
def test_without_a_usable_interval_it_polls_every_five_seconds(
    changes: dict[str, Any], interval: float
) -> None:
    assert device_code(answer(**changes), PEER).interval == interval


@pytest.mark.parametrize("expires_in", [None, -1, "60", True, 1e30])
def test_without_a_usable_end_it_waits_for_half_an_hour(expires_in: object) -> None:
    assert device_code(answer(expires_in=expires_in), PEER).expires_in == 1800.0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"device_code": None}, "no device_code and user_code"),
        ({"device_code": ["x"]}, "no device_code and user_code"),
        ({"user_code": ""}, "no device_code and user_code"),
        ({"user_code": "\x1b]0;owned\x07"}, "no device_code and user_code"),
        ({"user_code": "A" * 65}, "no device_code and user_code"),
        ({"verification_uri": None}, "no verification_uri"),
        ({"verification_uri": "javascript:alert(1)"}, "no verification_uri"),
        ({"verification_uri": "https:///device"}, "no verification_uri"),
        ({"verification_uri": "vbscript://login.test/device"}, "no verification_uri"),
        ({"verification_uri": "https://login.test/\x1b[2J"}, "no verification_uri"),
        ({"verification_uri": "https://[::1/"}, "no verification_uri"),
    ],
)
def test_an_answer_that_cannot_be_shown_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(CredentialUnavailable, match=says) as caught:
        device_code(answer(**changes), PEER)
    assert caught.value.outcome == "invalid"


def test_an_address_with_the_code_that_cannot_be_shown_is_left_out() -> None:
    assert device_code(answer(verification_uri_complete="file:///etc/passwd"), PEER).complete_address == ""


async def test_it_polls_until_the_person_has_logged_in(provider: LoginProvider) -> None:
    found, clock = await logged_in(provider, "authorization_pending", "authorization_pending", "approve")
    assert (found.refresh_token, found.username, found.subject) == (*provider.good.values(), "ada", "f:1:ada")
    assert clock.waits == [1.0, 1.0, 1.0]
    (begun,) = provider.forms("/device")
    assert begun.pop("code_challenge")
    assert begun == {"client_id": "tool", "scope": "openid offline_access", "code_challenge_method": "S256"}
    assert set(provider.forms("/token")[0]) == {"grant_type", "device_code", "client_id", "code_verifier"}


async def test_the_same_secret_and_parameters_go_to_both_endpoints(provider: LoginProvider) -> None:
    extra = {"parameters": (("access_type", "offline"),), "audience": "api", "resource": "https://api.test"}
    await logged_in(provider, "approve", secret=True, **extra)
    for (form,) in (provider.forms("/device"), provider.forms("/token")):
        sent = ("client_secret", "access_type", "audience", "resource")
        assert [form[name] for name in sent] == [SECRET, "offline", "api", "https://api.test"]


async def test_it_polls_less_often_when_asked_to(provider: LoginProvider) -> None:
    _, clock = await logged_in(provider, "slow_down", "authorization_pending", "slow_down", "approve")
    assert clock.waits == [1.0, 6.0, 6.0, 11.0]


async def test_a_provider_that_fails_is_polled_less_and_less_and_then_as_before(
    provider: LoginProvider,
) -> None:
    busy = web.Response(status=429, headers={"Retry-After": "30"})
    provider.script["/token"] = deque([web.Response(status=503), web.Response(status=502), busy])
    _, clock = await logged_in(provider, "approve")
    assert clock.waits == [1.0, 2.0, 4.0, 30.0]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("access_denied", "the login was denied"),
        ("expired_token", "the code was not used in time"),
        ("invalid_grant", "does not accept the code any more"),
        ("invalid_client", "credentials.me.client_id"),
        ("unauthorized_client", "OAuth 2.0 Device Authorization Grant on"),
        ("weird", "weird"),
    ],
)
async def test_each_end_is_told_and_nothing_is_polled_after_it(
    provider: LoginProvider, error: str, says: str
) -> None:
    failure = await failed(provider, "authorization_pending", error)
    assert isinstance(failure, CredentialRejected)
    assert says in str(failure)
    assert len(provider.forms("/token")) == 2


async def test_it_gives_up_when_the_code_has_expired(provider: LoginProvider) -> None:
    provider.device = {"expires_in": 3}
    failure = await failed(provider)
    assert "within 3 s. Start the login again" in str(failure)
    assert len(provider.forms("/token")) == 4


async def test_a_provider_that_never_recovers_is_told_and_not_the_code(provider: LoginProvider) -> None:
    provider.device = {"expires_in": 3}
    provider.script["/token"] = deque(web.Response(status=503) for _ in range(9))
    assert "it failed (503)" in str(await failed(provider))


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (refused("unauthorized_client", "The flow is disabled for the client."), "disabled for the client"),
        (refused("invalid_client", status=401), "does not accept the client"),
        (refused("invalid_scope"), "takes no openid with a code"),
        (refused("invalid_request", "Missing parameter"), "Missing parameter"),
        (
            web.Response(status=302, headers={"Location": "/login"}),
            "client_secret_file, or log in with --browser",
        ),
        (web.Response(status=404), "it answered 404"),
        (web.Response(text="<html>", content_type="text/html", status=400), "and not as this endpoint does"),
        (web.Response(status=500), "it failed (500)"),
        (web.Response(status=429), "limits how often"),
    ],
)
async def test_a_refused_start_names_the_setting_to_change(
    provider: LoginProvider, reply: web.Response, says: str
) -> None:
    provider.script["/device"] = deque([reply])
    assert says in str(await failed(provider))
    assert not provider.forms("/token")


async def test_no_secret_is_told_even_if_the_provider_repeats_it(provider: LoginProvider) -> None:
    provider.script["/device"] = deque([refused("invalid_client", f"{SECRET} is wrong; {{0}}", 401)])
    failure = await failed(provider, secret=True)
    assert SECRET not in str(failure)
    assert "*** is wrong; {0}" in str(failure)
