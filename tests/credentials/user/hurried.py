"""A clock on which every wait is over at once, and what a login needs of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from proxy.clock import Timer
from proxy.credentials.outbound import Outbound
from proxy.credentials.secret import TextSecret
from proxy.credentials.user.client import UserClient
from proxy.credentials.user.settings import UserSettings
from tests.login_provider import LoginProvider

SECRET = "c4n4ry-s3cr3t"


class HurriedClock:
    """`proxy.clock.Clock`: time moves on when something waits, by so much.

    Attributes:
        waits: seconds of each wait, in order.
    """

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._now = 1000.0

    def now(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        self.waits.append(delay)
        self._now += delay
        return asyncio.get_running_loop().call_soon(callback)


def settings(provider: LoginProvider, **changes: Any) -> UserSettings:
    return replace(
        UserSettings("me", "tool", issuer_url=provider.url, scope="openid offline_access"), **changes
    )


@asynccontextmanager
async def client(provider: LoginProvider, **changes: Any) -> AsyncIterator[UserClient]:
    """A client of the provider; confidential if `secret` is True."""
    if changes.pop("secret", False):
        changes |= {"secret": TextSecret(SECRET), "auth_method": "client_secret_post"}
    outbound = Outbound(section="credentials.me")
    try:
        yield UserClient(settings(provider, **changes), outbound, lambda: 1_800_000_000.0)
    finally:
        await outbound.close()
