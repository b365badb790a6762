"""Tokens for tokens of another issuer: what a token endpoint gets, and what a keeper does about the file."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from proxy.clock import wall_time
from proxy.credentials.keeper import Keeper
from proxy.credentials.oauth2 import OAuth2Settings, OAuth2Source
from proxy.credentials.outbound import Outbound
from proxy.credentials.secret import TextSecret
from proxy.credentials.token_file import TokenFile
from proxy.errors import CredentialRejected, CredentialUnavailable
from tests.clock import FakeClock
from tests.credentials.sources import Notebook, running
from tests.federated import unsigned
from tests.token_server import TokenServer, invalid_client, token_server

SETTING = "credentials.c.client_assertion_file"
FIRST, SECOND = unsigned(), unsigned()
URN = "urn:ietf:params:oauth:"


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    async with token_server() as server:
        yield server


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound()
    yield outbound
    await outbound.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{FIRST}\n")
    return path


def federated(url: str, path: Path, **changes: Any) -> OAuth2Settings:
    settings = OAuth2Settings(url, None, None, "client_assertion", client_assertion=TokenFile(path, SETTING))
    return replace(settings, **changes)


def sent(server: TokenServer) -> list[dict[str, str]]:
    return [dict(parse_qsl(asked.body.decode(), strict_parsing=True)) for asked in server.asked]


@pytest.mark.parametrize("kind", ["jwt-bearer", "jwt-spiffe"])
async def test_the_file_authenticates_the_client(
    server: TokenServer, outbound: Outbound, path: Path, kind: Any
) -> None:
    settings = federated(server.url, path, client_assertion_type=kind, scope="s")
    await OAuth2Source(settings, outbound, FakeClock()).fetch()
    await OAuth2Source(replace(settings, client_id="me"), outbound, FakeClock()).fetch()
    assertion = {
        "grant_type": "client_credentials",
        "scope": "s",
        "client_assertion_type": f"{URN}client-assertion-type:{kind}",
        "client_assertion": FIRST,
    }
    assert sent(server) == [assertion, assertion | {"client_id": "me"}]


async def test_a_rotated_token_is_used_by_the_next_attempt(
    server: TokenServer, outbound: Outbound, path: Path
) -> None:
    source = OAuth2Source(federated(server.url, path), outbound, FakeClock())
    await source.fetch()
    path.write_text(SECOND)
    await source.fetch()
    assert [each["client_assertion"] for each in sent(server)] == [FIRST, SECOND]


async def test_the_grant_jwt_bearer_sends_the_assertion_of_a_file(
    server: TokenServer, outbound: Outbound, path: Path
) -> None:
    subject = TokenFile(path, "credentials.c.assertion_file")
    settings = OAuth2Settings(server.url, "me", TextSecret("shh"), grant_type="jwt-bearer", subject=subject)
    await OAuth2Source(settings, outbound, FakeClock()).fetch()
    assert sent(server) == [
        {
            "grant_type": f"{URN}grant-type:jwt-bearer",
            "assertion": FIRST,
            "client_id": "me",
            "client_secret": "shh",
        }
    ]


@pytest.mark.parametrize("kind", ["jwt", "access_token", "id_token"])
async def test_a_subject_token_is_exchanged_without_a_client_too(
    server: TokenServer, outbound: Outbound, path: Path, kind: Any
) -> None:
    settings = OAuth2Settings(
        server.url,
        None,
        None,
        "none",
        grant_type="token-exchange",
        subject=TokenFile(path, "credentials.c.subject_token_file"),
        subject_token_type=kind,
        parameters=(("requested_token_type", f"{URN}token-type:access_token"),),
        audience="a",
    )
    await OAuth2Source(settings, outbound, FakeClock()).fetch()
    assert sent(server) == [
        {
            "requested_token_type": f"{URN}token-type:access_token",
            "grant_type": f"{URN}grant-type:token-exchange",
            "subject_token": FIRST,
            "subject_token_type": f"{URN}token-type:{kind}",
            "audience": "a",
        }
    ]


async def test_an_expired_token_is_said_before_the_token_endpoint_is_asked(
    server: TokenServer, outbound: Outbound, path: Path
) -> None:
    path.write_text(unsigned(exp=int(wall_time()) - 60))
    with pytest.raises(CredentialUnavailable, match=rf"^the token in {SETTING} expired 6\d s ago"):
        await OAuth2Source(federated(server.url, path), outbound, FakeClock()).fetch()
    assert server.asked == []


@pytest.mark.parametrize("subject", [False, True])
async def test_a_refused_token_is_never_in_the_words_that_say_so(
    server: TokenServer, outbound: Outbound, path: Path, subject: bool
) -> None:
    path.write_text("opaque-canary-of-a-token")
    file = TokenFile(path, SETTING, only_jwt=False)
    settings = federated(server.url, path, client_assertion=file)
    if subject:
        settings = OAuth2Settings(server.url, "me", None, "none", grant_type="token-exchange", subject=file)
    said = {
        "error": "invalid_grant" if subject else "invalid_client",
        "error_description": "no: " + file.take(),
    }
    server.script.append(web.json_response(said, status=400))
    source = OAuth2Source(settings, outbound, FakeClock(), credential=SETTING)
    with pytest.raises((CredentialRejected, CredentialUnavailable)) as caught:
        await source.fetch()
    words = "the token" if subject else "the assertion"
    assert f"it refused {words} in {SETTING} (400 in" in str(caught.value)
    assert "canary" not in f"{caught.value!r} {caught.value.detail}"


async def test_a_file_that_is_replaced_ends_the_pause_after_a_refusal(
    server: TokenServer, outbound: Outbound, path: Path
) -> None:
    clock = FakeClock()
    server.script.extend([invalid_client(), invalid_client()])
    settings = federated(server.url, path)
    source = OAuth2Source(settings, outbound, clock)
    keeper = Keeper("c", source, clock=clock, secret=settings.client_assertion, file_end=source.file_end)
    async with running(keeper, clock):
        await until(clock, lambda: keeper.snapshot().failures == 2)
        path.write_text(SECOND)
        await until(clock, lambda: keeper.current is not None, within=6)
    assert [each["client_assertion"] for each in sent(server)] == [FIRST, FIRST, SECOND]


async def test_a_file_that_is_replaced_meanwhile_does_not_cut_a_fetch_short(
    server: TokenServer, outbound: Outbound, path: Path
) -> None:
    """A slow token endpoint and a file that is replaced every second would never meet."""
    clock = FakeClock()
    server.open.clear()
    settings = federated(server.url, path)
    keeper = Keeper(
        "c", OAuth2Source(settings, outbound, clock), clock=clock, secret=settings.client_assertion
    )
    async with running(keeper, clock):
        await until(clock, lambda: len(server.asked) == 1)
        for _ in range(3):
            path.write_text(unsigned())
            await clock.advance(1)
        server.open.set()
        await until(clock, lambda: keeper.current is not None)
        await clock.advance(30)
    assert len(server.asked) == 1, "and a token that is good is not fetched again"


async def test_a_token_that_is_not_replaced_is_warned_of(
    server: TokenServer, outbound: Outbound, path: Path
) -> None:
    clock, observer = FakeClock(), Notebook()
    begun = wall_time()

    def wall() -> float:
        return begun + clock.now() - 1000.0

    def token() -> str:
        return unsigned(iat=int(wall()), exp=int(wall()) + 600)

    path.write_text(token())
    settings = federated(server.url, path, client_assertion=TokenFile(path, SETTING, wall=wall))
    source = OAuth2Source(settings, outbound, clock)
    server.members = {"expires_in": 86400}
    keeper = Keeper(
        *("c", source),
        clock=clock,
        observer=observer,
        secret=settings.client_assertion,
        file_end=source.file_end,
    )
    async with running(keeper, clock):
        await until(clock, lambda: keeper.current is not None)
        assert keeper.snapshot().reason == ""
        assert 540 < (keeper.snapshot().file_ends_at or 0) - clock.now() <= 600
        await clock.advance(550)
        assert keeper.snapshot().reason.startswith(f"the token in {SETTING} expires in ")
        await clock.advance(60)
        assert keeper.snapshot().reason.startswith(f"the token in {SETTING} expired ")
        assert keeper.snapshot().usable
        path.write_text(token())
        await clock.advance(5)
        assert keeper.snapshot().reason == ""
    told = [each.reason.partition(SETTING)[2][:9] for each in observer.changes]
    assert told == ["", " expires ", " expired ", ""]


async def until(clock: FakeClock, fact: Any, within: int = 120) -> None:
    """Lets the sockets work, and moves the clock on by a second at a time."""
    for _ in range(within):
        for _ in range(20):
            if fact():
                return
            await clock.settle()
        await clock.advance(1)
    assert fact()
