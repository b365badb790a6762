"""Where a person logs in and out: configured, or found through the issuer."""

from collections.abc import AsyncIterator

import pytest

from proxy.credentials.outbound import Outbound
from proxy.credentials.user.endpoints import Endpoints, endpoints_in, find_endpoints
from proxy.errors import CredentialUnavailable
from proxy.outgoing.causes import Peer
from tests.credentials.user.hurried import settings
from tests.login_provider import LoginProvider, login_provider

SECURE = {"issuer": "https://login.test", "token_endpoint": "https://login.test/token"}
PEER = Peer("the issuer")


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound()
    yield outbound
    await outbound.close()


@pytest.fixture
async def provider() -> AsyncIterator[LoginProvider]:
    async with login_provider() as provider:
        yield provider


async def test_the_issuer_names_them(provider: LoginProvider, outbound: Outbound) -> None:
    at = provider.url
    assert await find_endpoints(settings(provider), outbound) == Endpoints(
        f"{at}/token", f"{at}/authorize", f"{at}/device", f"{at}/revoke", at, sends_issuer=True
    )


async def test_configured_ones_need_no_request(provider: LoginProvider, outbound: Outbound) -> None:
    urls = {"token_url": "http://127.0.0.1:1/t", "device_authorization_url": "http://127.0.0.1:1/d"}
    found = await find_endpoints(settings(provider, issuer_url=None, **urls), outbound)
    assert found == Endpoints("http://127.0.0.1:1/t", device="http://127.0.0.1:1/d")


@pytest.mark.parametrize("value", [None, "", 7, "/authorize", "javascript:alert(1)", "https://a.test/x#y"])
def test_what_is_no_address_is_none(value: object) -> None:
    assert (
        endpoints_in(SECURE | {"authorization_endpoint": value}, "https://login.test", PEER).authorization
        is None
    )


@pytest.mark.parametrize(
    "member", ["authorization_endpoint", "device_authorization_endpoint", "revocation_endpoint"]
)
def test_no_endpoint_of_a_secure_issuer_is_plain_http(member: str) -> None:
    with pytest.raises(CredentialUnavailable, match=f"its {member} is plain http"):
        endpoints_in(SECURE | {member: "http://login.test/x"}, "https://login.test", PEER)


def test_no_query_of_an_endpoint_is_in_a_repr() -> None:
    assert "s3cr3t" not in repr(Endpoints(*("https://login.test/?key=s3cr3t",) * 4))
