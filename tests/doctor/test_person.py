"""The doctor and a person: who is logged in, that a login is needed, and why a refresh fails."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from proxy.app.user import settings_of, store_of
from proxy.config.load import load
from proxy.config.model import User
from proxy.credentials.secret import TextSecret
from proxy.credentials.user.logins import new_login
from tests.doctor.rig import Document, diagnose, scripted
from tests.refreshing import RefreshProvider, refresh_provider, refused

COMMAND = "camunda-auth-proxy login me"


@pytest.fixture
async def provider() -> AsyncIterator[RefreshProvider]:
    async with refresh_provider() as provider:
        yield provider


def document(url: str, provider: RefreshProvider, folder: Path, **more: Any) -> Document:
    person = {
        "type": "user",
        "client_id": "proxy",
        "token_url": provider.url,
        "device_authorization_url": provider.url,
        "storage": "file",
        "storage_dir": str(folder / "logins"),
    }
    return {
        "upstreams": {"zeebe": {"url": url, "listen": "localhost:0"}},
        "credentials": {"me": person | more},
    }


async def log_in(folder: Path, written: Document, token: str) -> None:
    import json

    (folder / "c.yaml").write_text(json.dumps(written))
    config = load(config=folder / "c.yaml", env_file=None, environ={}, directory=folder).credentials["me"]
    assert isinstance(config, User)
    store = store_of(config, settings_of(config, lambda ref, setting: TextSecret("")))
    async with store.locked(5):
        await store.write(new_login(1_900_000_000.0, username="jane"), token)


async def test_without_a_login_the_doctor_names_the_command(
    tmp_path: Path, provider: RefreshProvider
) -> None:
    async with scripted() as server:
        found = await diagnose(tmp_path, document(server.url, provider, tmp_path))
    assert ("credentials.me", "login_needed") in found.causes
    assert COMMAND in found.printed
    assert not provider.asked


async def test_the_doctor_says_who_is_logged_in(tmp_path: Path, provider: RefreshProvider) -> None:
    async with scripted() as server:
        written = document(server.url, provider, tmp_path)
        await log_in(tmp_path, written, provider.log_in())
        found = await diagnose(tmp_path, written, canaries=("canary-refresh-jane",))
    step = found.step("credentials.me", "login")
    assert step.mark == "ok"
    assert step.said.startswith("jane, logged in 2030-03-17 17:46:40 UTC, refresh token in a file in ")
    assert found.step("credentials.me", "token").mark == "ok"
    assert provider.reuses == 0


@pytest.mark.parametrize(
    ("answer", "cause", "said"),
    [
        (lambda: refused("invalid_grant", "Session not active"), "login_needed", COMMAND),
        (lambda: refused("invalid_client", status=401), "token", "credentials.me.client_id"),
        (
            lambda: web.Response(status=302, headers={"Location": "/login"}),
            "token",
            "credentials.me.client_id",
        ),
        (lambda: web.Response(status=500), "token", "500"),
    ],
)
async def test_the_doctor_says_why_a_refresh_fails(
    tmp_path: Path, provider: RefreshProvider, answer: Any, cause: str, said: str
) -> None:
    async with scripted() as server:
        written = document(server.url, provider, tmp_path)
        await log_in(tmp_path, written, provider.log_in())
        provider.script.append(answer())
        found = await diagnose(tmp_path, written, canaries=("canary-refresh-jane",))
    assert ("credentials.me", cause) in found.causes
    assert said in found.printed
