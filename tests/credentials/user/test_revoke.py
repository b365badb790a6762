"""Revocation (RFC 7009): what is sent, and what each answer means."""

from collections import deque
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from proxy.credentials.user.revoke import revoke
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable
from tests.credentials.user.hurried import SECRET, client
from tests.login_provider import LoginProvider, login_provider, refused

TOKEN = "r3fr3sh-t0ken"


@pytest.fixture
async def provider() -> AsyncIterator[LoginProvider]:
    async with login_provider() as provider:
        yield provider


async def revoked(provider: LoginProvider, *answers: web.Response) -> bool:
    provider.script["/revoke"] = deque(answers)
    async with client(provider, secret=True) as known:
        return await revoke(known, f"{provider.url}/revoke", TOKEN)


async def test_the_refresh_token_is_sent_as_the_client(provider: LoginProvider) -> None:
    assert await revoked(provider)
    (form,) = provider.forms("/revoke")
    assert form == {
        "token": TOKEN,
        "token_type_hint": "refresh_token",
        "client_id": "tool",
        "client_secret": SECRET,
    }


async def test_keycloak_says_that_it_was_not_good_any_more(provider: LoginProvider) -> None:
    said = web.json_response({"error": "invalid_token", "error_description": "Invalid token"})
    assert not await revoked(provider, said)


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (refused("invalid_request", "Unmatching clients"), CredentialRejected, "Unmatching clients"),
        (refused("invalid_client", status=401), CredentialRejected, "credentials.me.client_id"),
        (
            web.Response(status=302, headers={"Location": "/login"}),
            CredentialRejected,
            "sent us to another page",
        ),
        (web.Response(status=404), CredentialRejected, "it answered 404"),
        (web.Response(status=503), CredentialUnavailable, "it failed (503)"),
    ],
)
async def test_a_refusal_is_told_without_the_token(
    provider: LoginProvider, answer: web.Response, kind: type[CredentialError], says: str
) -> None:
    with pytest.raises(kind) as caught:
        await revoked(provider, answer)
    assert says in str(caught.value)
    assert TOKEN not in str(caught.value)
