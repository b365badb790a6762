"""The credential of a person: what it is resolved to, and the folder of its stored login."""

from pathlib import Path

import pytest

from proxy.config.model import User
from proxy.config.resolve.state_folder import state_folder
from tests.config.writing import ZEEBE, read

PERSON = (
    ZEEBE + "credentials: {me: {type: user, client_id: a, issuer_url: 'https://login.example/realms/r/', %s}}"
)


def person(folder: Path, more: str = "", environ: dict[str, str] | None = None) -> User:
    credential = read(folder, PERSON % more, environ or {"HOME": "/home/me"}).credentials["me"]
    assert isinstance(credential, User)
    return credential


def test_the_defaults(tmp_path: Path) -> None:
    found = person(tmp_path)
    assert (found.issuer_url, found.token_url) == ("https://login.example/realms/r", None)
    assert (found.auth_method, found.client_secret) == ("none", None)
    assert (found.login, found.storage, found.scope) == ("auto", "auto", None)
    assert found.storage_dir == Path("/home/me/.local/state/camunda-auth-proxy")


def test_a_secret_makes_a_confidential_client(tmp_path: Path) -> None:
    assert person(tmp_path, "client_secret: s").auth_method == "client_secret_post"
    basic = person(tmp_path, "client_secret: s, auth_method: client_secret_basic")
    assert basic.auth_method == "client_secret_basic"


def test_a_relative_folder_starts_at_the_file(tmp_path: Path) -> None:
    assert person(tmp_path, "storage_dir: logins").storage_dir == tmp_path / "logins"


def test_an_audience_of_the_upstream_has_no_effect_and_is_told(tmp_path: Path) -> None:
    text = (PERSON % "audience: mine").replace(
        "'http://localhost:8080'", "'http://localhost:8080', audience: x"
    )
    config = read(tmp_path, text, {"HOME": "/home/me"})
    assert any("credentials.me.audience" in notice for notice in config.notices)
    assert config.upstreams[0].audience is None


def test_a_login_over_plain_http_is_noticed(tmp_path: Path) -> None:
    text = (PERSON % "").replace("https://login", "http://login")
    notices = read(tmp_path, text, {"HOME": "/home/me"}).notices
    assert any("`me` is sent unencrypted to http://login.example" in notice for notice in notices)


@pytest.mark.parametrize(
    ("environ", "platform", "folder"),
    [
        ({"HOME": "/home/me"}, "linux", "/home/me/.local/state/camunda-auth-proxy"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "/s"}, "linux", "/s/camunda-auth-proxy"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "s"}, "linux", "/home/me/.local/state/camunda-auth-proxy"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": ""}, "linux", "/home/me/.local/state/camunda-auth-proxy"),
        (
            {"HOME": "/Users/me", "XDG_STATE_HOME": "/s"},
            "darwin",
            "/Users/me/Library/Application Support/camunda-auth-proxy",
        ),
        ({"HOME": "/c", "LOCALAPPDATA": "/l"}, "win32", "/l/camunda-auth-proxy"),
        ({"HOME": "/c"}, "win32", "/c/AppData/Local/camunda-auth-proxy"),
    ],
)
def test_the_folder_of_a_person(environ: dict[str, str], platform: str, folder: str) -> None:
    assert state_folder(environ, platform) == Path(folder)


def test_without_a_home_the_folder_has_to_be_named() -> None:
    assert state_folder({"HOME": "relative"}) is None
