"""The commands `login` and `logout` as their user runs them, against an identity provider on loopback."""

import asyncio
import json
import sys
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from stat import S_IMODE
from typing import Any

import pytest
from aiohttp import web

from tests.app.command import command, proxy
from tests.app.terminal import terminal
from tests.login_provider import LoginProvider, login_provider, refused

BROWSER = """
import sys, urllib.request
urllib.request.urlopen(sys.argv[1]).read()
"""
"""A browser whose person allows everything at once."""


@pytest.fixture
async def provider() -> AsyncIterator[LoginProvider]:
    async with login_provider() as provider:
        provider.device = {"interval": 0.05}
        yield provider


def configured(folder: Path, provider: LoginProvider, *names: str, **changes: Any) -> Path:
    """A configuration with these credentials of type user."""
    user = {
        "type": "user",
        "issuer_url": provider.url,
        "client_id": "tool",
        "scope": "openid offline_access",
        "storage": "file",
        "storage_dir": str(folder / "state"),
    }
    user |= changes
    upstream = {"url": "http://127.0.0.1:1", "listen": "127.0.0.1:0"}
    document = {
        "upstreams": {name: {**upstream, "credential": name} for name in names},
        "credentials": {
            name: {key: value for key, value in user.items() if value is not None} for name in names
        },
        "admin": {"listen": "127.0.0.1:0"},
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(document))
    return path


def browser(folder: Path) -> dict[str, str]:
    script = folder / "browser.py"
    script.write_text(BROWSER)
    return {"BROWSER": f"{sys.executable} {script} %s"}


async def run(config: Path, *arguments: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
    environ = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": ""} | (environ or {})
    return await command(*arguments[:1], "--config", str(config), *arguments[1:], environ=environ)


def stored(folder: Path) -> dict[str, Any]:
    """What is known of the only login."""
    (path,) = (folder / "state").glob("*.json")
    return dict(json.loads(path.read_text()))


def nothing_secret(provider: LoginProvider, *texts: str) -> None:
    found = [secret for secret in provider.secrets() for text in texts if secret and secret in text]
    assert not found


async def test_a_person_logs_in_with_a_code(provider: LoginProvider, tmp_path: Path) -> None:
    provider.polls.extend(("authorization_pending", "approve"))
    code, out, err = await run(configured(tmp_path, provider, "me"), "login")
    assert code == 0, err
    assert f"{provider.url}/enter?user_code=WDJB-MJHT" in out
    assert "WDJB-MJHT" in out.split()
    assert "Waiting for you to log in, for at most 1 min 00 s." in err
    assert f"Logged in as ada at {provider.url}." in out
    assert "Used by credentials.me, upstreams: me." in out
    assert f"notice: The refresh token is in a file in {tmp_path / 'state'}. Programs that run as you" in err
    nothing_secret(provider, out, err)
    login = stored(tmp_path)
    assert (login["username"], login["subject"], login["kept_in"]) == ("ada", "f:1:ada", "file")
    if sys.platform != "win32":
        assert {S_IMODE(each.stat().st_mode) for each in (tmp_path / "state").glob("*.*")} == {0o600}


async def test_a_person_logs_in_in_the_browser(provider: LoginProvider, tmp_path: Path) -> None:
    config = configured(tmp_path, provider, "me")
    code, out, err = await run(config, "login", environ=browser(tmp_path))
    assert code == 0, err
    assert f"{provider.url}/authorize?" in out
    assert "Logged in as ada" in out
    nothing_secret(provider, out, err)
    assert not provider.forms("/device")


@pytest.mark.parametrize(
    ("arguments", "setting", "environ", "path"),
    [
        (("--device",), "browser", {"DISPLAY": ":0"}, "/device"),
        ((), "device", {"DISPLAY": ":0"}, "/device"),
        ((), "auto", {}, "/device"),
        (("--browser",), "device", None, "/authorize"),
    ],
)
async def test_an_option_then_the_setting_then_the_display_decide_how(
    provider: LoginProvider,
    tmp_path: Path,
    arguments: tuple[str, ...],
    setting: str,
    environ: dict[str, str] | None,
    path: str,
) -> None:
    provider.polls.append("approve")
    config = configured(tmp_path, provider, "me", login=setting)
    where = browser(tmp_path) if environ is None else environ
    assert (await run(config, "login", *arguments, environ=where))[0] == 0
    assert provider.asked[0][0] == path


async def test_without_a_device_endpoint_the_browser_is_used_and_the_address_shown(
    provider: LoginProvider, tmp_path: Path
) -> None:
    provider.document = {"device_authorization_endpoint": None}
    config = configured(tmp_path, provider, "me")
    code, out, _ = await run(config, "login", "--device")
    assert (code, out) == (2, "")
    code, _, err = await run(config, "login", environ=browser(tmp_path))
    assert code == 0, err


async def test_a_missing_endpoint_is_named_with_the_other_way_in(
    provider: LoginProvider, tmp_path: Path
) -> None:
    config = configured(tmp_path, provider, "me")
    provider.document = {"device_authorization_endpoint": None}
    code, _, err = await run(config, "login", "--device")
    assert (code, err) == (
        2,
        "credentials.me: its issuer names no device authorization endpoint; log in with --browser.\n",
    )
    provider.document |= {"authorization_endpoint": None}
    code, _, err = await run(config, "login")
    assert code == 2
    assert "no device authorization endpoint and no authorization endpoint." in err


async def test_one_of_several_credentials_has_to_be_named(provider: LoginProvider, tmp_path: Path) -> None:
    config = configured(tmp_path, provider, "me", "you")
    for which in ("login", "logout"):
        code, _, err = await run(config, which)
        assert (code, err) == (
            2,
            f"Name one of the credentials of type user: me, you. Such as: camunda-auth-proxy {which} me\n",
        )
        code, _, err = await run(config, which, "him")
        assert (code, err) == (2, "no upstream uses a credential him. Of type user: me, you.\n")
    provider.polls.append("approve")
    assert (await run(config, "login", "you"))[0] == 0
    assert len([*(tmp_path / "state").glob("you-*.json")]) == 1
    assert not [*(tmp_path / "state").glob("me-*.json")]


async def test_without_such_a_credential_the_command_says_how_to_write_one(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    document = {
        "upstreams": {"zeebe": {"url": "http://127.0.0.1:1", "credential": "none"}},
        "credentials": {"none": {"type": "none"}},
    }
    config.write_text(json.dumps(document))
    code, _, err = await run(config, "login")
    assert code == 2
    assert "      type: user\n" in err
    assert "docs/as-yourself.md" in err
    code, _, err = await run(config, "login", "none")
    assert code == 2
    assert "credentials.none is of type none, for which no person logs in" in err


async def test_without_a_refresh_token_there_is_no_login(provider: LoginProvider, tmp_path: Path) -> None:
    provider.polls.append("approve")
    provider.answers = {"refresh_token": None}
    code, _, err = await run(configured(tmp_path, provider, "me"), "login")
    assert code == 1
    assert "Add offline_access to credentials.me.scope" in err
    assert not [*tmp_path.glob("state/*.json")]


@pytest.mark.parametrize(
    ("polls", "says"),
    [(("access_denied",), "the login was denied"), (("expired_token",), "the code was not used in time")],
)
async def test_a_login_that_fails_says_why_and_stores_nothing(
    provider: LoginProvider, tmp_path: Path, polls: tuple[str, ...], says: str
) -> None:
    provider.polls.extend(polls)
    code, _, err = await run(configured(tmp_path, provider, "me"), "login")
    assert code == 1
    assert says in err
    assert not [*tmp_path.glob("state/*.json")]


async def test_the_page_in_the_browser_says_that_it_failed(provider: LoginProvider, tmp_path: Path) -> None:
    provider.redirect = {"code": None, "error": "access_denied"}
    config = configured(tmp_path, provider, "me")
    code, _, err = await run(config, "login", environ=browser(tmp_path))
    assert code == 1
    assert "the login was denied (access_denied)" in err


async def test_a_failed_login_leaves_the_earlier_one(provider: LoginProvider, tmp_path: Path) -> None:
    config = configured(tmp_path, provider, "me")
    provider.polls.extend(("approve", "access_denied"))
    await run(config, "login")
    before = stored(tmp_path)
    assert (await run(config, "login"))[0] == 1
    assert stored(tmp_path) == before


async def test_another_login_replaces_the_earlier_one_and_revokes_nothing(
    provider: LoginProvider, tmp_path: Path
) -> None:
    config = configured(tmp_path, provider, "me")
    provider.polls.extend(("approve", "approve"))
    await run(config, "login")
    before = stored(tmp_path)
    await run(config, "login")
    assert stored(tmp_path)["login_id"] != before["login_id"]
    assert not provider.forms("/revoke")


async def test_logout_revokes_and_forgets(provider: LoginProvider, tmp_path: Path) -> None:
    config = configured(tmp_path, provider, "me")
    provider.polls.append("approve")
    await run(config, "login")
    (token,) = provider.good.values()
    code, out, err = await run(config, "logout")
    assert (code, err) == (0, "")
    assert out == "The login of ada for credentials.me is forgotten. Its refresh token is revoked.\n"
    assert [form["token"] for form in provider.forms("/revoke")] == [token]
    assert not [*tmp_path.glob("state/*.json"), *tmp_path.glob("state/*.token")]
    nothing_secret(provider, out, err)
    code, out, _ = await run(config, "logout")
    assert (code, out) == (0, "No login for credentials.me is stored.\n")
    assert len(provider.forms("/revoke")) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refused("invalid_client", status=401), "does not accept the client"),
        (web.Response(status=503), "it failed (503)"),
        (None, "it has no revocation endpoint that we know"),
    ],
)
async def test_a_login_that_cannot_be_revoked_is_forgotten_all_the_same(
    provider: LoginProvider, tmp_path: Path, answer: web.Response | None, says: str
) -> None:
    config = configured(tmp_path, provider, "me")
    provider.polls.append("approve")
    await run(config, "login")
    if answer is None:
        provider.document = {"revocation_endpoint": None}
    else:
        provider.script["/revoke"] = deque([answer])
    code, out, err = await run(config, "logout")
    assert (code, out) == (1, "")
    assert says in err
    assert "End the session there" in err
    assert not [*tmp_path.glob("state/*.json"), *tmp_path.glob("state/*.token")]


async def test_a_running_proxy_takes_a_login_and_a_logout_by_itself(
    provider: LoginProvider, tmp_path: Path
) -> None:
    config = configured(tmp_path, provider, "me")
    provider.polls.append("approve")
    async with proxy(tmp_path, config.read_text()) as running:
        await running.message("no usable credential")
        assert (await run(config, "login"))[0] == 0
        await running.message("credential is good")
        assert (await run(config, "logout"))[0] == 0

        async def is_told() -> bool:
            status, text, _ = await running.get("me", "/v2/topology")
            return status == 503 and "No person is logged in" in text and "login me" in text

        await running.until(is_told)
        nothing_secret(provider, running.said, (await running.look("/status.json"))[1])


async def test_ctrl_c_ends_a_login_and_stores_nothing(provider: LoginProvider, tmp_path: Path) -> None:
    config = configured(tmp_path, provider, "me")

    def interrupted() -> tuple[int, str]:
        environ = {"DISPLAY": "", "BROWSER": ""}
        with terminal("login", "--config", str(config), folder=tmp_path, environ=environ) as shown:
            shown.until("Waiting for you to log in: ")
            shown.until(" s left. Ctrl-C stops.")
            code = shown.interrupted()
            return code, shown.rest()

    code, rest = await asyncio.to_thread(interrupted)
    assert code == 130
    assert "Traceback" not in rest
    assert not [*tmp_path.glob("state/*.json")]
