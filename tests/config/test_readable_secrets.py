"""A notice for each file with a secret that every user of the machine can read."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from proxy.config.load import load
from proxy.files import all_can_read
from tests.config.writing import ZEEBE
from tests.federated import unsigned

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no such modes here")

KEY = "-----BEGIN PRIVATE KEY-----"
FILES = {
    "secret": "s" * 20,
    "key.pem": KEY,
    "cert.pem": "-----BEGIN CERTIFICATE-----",
    "jwt": unsigned(),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that everybody can look into, as far as the system's folder for temporary files is such."""
    with TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        if not all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents):
            pytest.skip("the folder of temporary files is closed to others")
        for file, content in FILES.items():
            (path / file).write_text(content)
            (path / file).chmod(0o600)
        yield path


def notices(folder: Path, credential: str, more: str = "", mode: int = 0o600, env: str = "") -> list[str]:
    path = folder / "c.yaml"
    path.write_text(f"{ZEEBE}credentials: {{c: {{{credential}}}}}\n{more}")
    path.chmod(mode)
    if env:
        (folder / "env").write_text(env)
        (folder / "env").chmod(mode)
    config = load(config=Path("c.yaml"), env_file=Path("env") if env else None, environ={}, directory=folder)
    return [notice for notice in config.notices if "can read" in notice]


OAUTH2 = "type: oauth2, client_id: a, token_url: 'https://x'"
CASES = {
    "credentials.c.client_secret_file": (f"{OAUTH2}, client_secret_file: secret", "", "secret"),
    "credentials.c.password_file": ("type: basic, username: a, password_file: secret", "", "secret"),
    "credentials.c.token_file": ("type: bearer, token_file: secret", "", "secret"),
    "credentials.c.private_key_file": (
        f"{OAUTH2}, auth_method: private_key_jwt, private_key_file: key.pem",
        "",
        "key.pem",
    ),
    "credentials.c.client_assertion_file": (
        f"{OAUTH2}, auth_method: client_assertion, client_assertion_file: jwt",
        "",
        "jwt",
    ),
    "credentials.c.assertion_file": (
        f"{OAUTH2}, auth_method: none, grant_type: jwt-bearer, assertion_file: jwt",
        "",
        "jwt",
    ),
    "credentials.c.subject_token_file": (
        f"{OAUTH2}, auth_method: none, grant_type: token-exchange, subject_token_file: jwt",
        "",
        "jwt",
    ),
    "credentials.c.tls.key_file": (
        f"{OAUTH2}, client_secret_file: secret, tls: {{cert_file: cert.pem, key_file: key.pem}}",
        "",
        "key.pem",
    ),
    "callers.ci.token_file": ("type: none", "callers: {ci: {token_file: secret}}", "secret"),
    "callers.ci.token_file[0]": ("type: none", "callers: {ci: {token_file: [secret]}}", "secret"),
    "guard.caller_token_file": ("type: none", "guard: {caller_token_file: secret}", "secret"),
}


@pytest.mark.parametrize("place", CASES)
def test_a_secrets_file_that_all_can_read_gets_a_notice(place: str, folder: Path) -> None:
    credential, more, file = CASES[place]
    assert notices(folder, credential, more) == []
    for mode in (0o644, 0o604):
        (folder / file).chmod(mode)
        assert notices(folder, credential, more) == [
            f"{place}: every user of this machine can read {folder / file}; chmod 600 it"
        ]
    (folder / file).chmod(0o640)
    assert notices(folder, credential, more) == []


def test_a_closed_folder_on_the_way_is_as_good(folder: Path) -> None:
    (folder / "secret").chmod(0o644)
    assert all_can_read(folder / "secret")
    folder.chmod(0o700)
    assert not all_can_read(folder / "secret")


def test_what_is_behind_a_link_counts(folder: Path) -> None:
    """As Kubernetes lays secrets out."""
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "secret").write_text("s")
    (folder / "link").symlink_to("data/secret")
    assert not all_can_read(folder / "link")
    (folder / "data").chmod(0o755)
    (folder / "data" / "secret").chmod(0o644)
    assert all_can_read(folder / "link")


@pytest.mark.parametrize(
    ("credential", "env", "told"),
    [
        ("type: bearer, token: secret", "", ["c.yaml holds a secret, and"]),
        ("type: bearer, token: '${TOKEN}'", "TOKEN=secret", ["--env-file env:"]),
        ("type: bearer, token_file: secret", "", []),
    ],
)
def test_a_configuration_and_a_file_of_variables_count_where_they_hold_the_secret(
    folder: Path, credential: str, env: str, told: list[str]
) -> None:
    assert notices(folder, credential, mode=0o644, env=env) == [
        f"{what} every user of this machine can read it; chmod 600 it" for what in told
    ]
    assert notices(folder, credential, mode=0o600, env=env) == []


def test_the_password_of_a_store_is_a_secret(folder: Path) -> None:
    store = "store: {url: 'rediss://h', password: secret}"
    told = ["c.yaml holds a secret, and every user of this machine can read it; chmod 600 it"]
    assert notices(folder, "type: none", store, mode=0o644) == told
    assert notices(folder, "type: none", store, mode=0o600) == []


def test_a_certificate_is_no_secret(folder: Path) -> None:
    (folder / "cert.pem").chmod(0o644)
    assert notices(folder, CASES["credentials.c.tls.key_file"][0]) == []
