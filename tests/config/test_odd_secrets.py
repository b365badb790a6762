"""Notices and errors about secrets that look odd, at `check` and at the start. The value is never shown."""

from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.errors import ConfigError
from tests.config.writing import ZEEBE

CANARY = "c4n4ry-s3cr3t"


def told(folder: Path, credential: str, environ: dict[str, str] | None = None) -> list[str]:
    (folder / "c.yaml").write_text(f"{ZEEBE}credentials: {{c: {{{credential}}}}}\n", encoding="utf-8")
    config = load(config=Path("c.yaml"), env_file=None, environ=environ or {}, directory=folder)
    assert CANARY not in str(config.notices)
    return [each for each in config.notices if "can read" not in each]


@pytest.mark.parametrize(
    ("key", "credential"),
    [
        ("client_secret", "type: oauth2, client_id: a, token_url: 'https://x'"),
        ("password", "type: basic, username: a"),
        ("password", "type: session, username: a"),
        ("token", "type: bearer"),
    ],
)
def test_a_file_with_an_odd_secret_gets_a_notice(tmp_path: Path, key: str, credential: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{CANARY}\n")
    assert told(tmp_path, f"{credential}, {key}_file: secret") == []
    secret.write_text(f"CLIENT_SECRET={CANARY}")
    assert told(tmp_path, f"{credential}, {key}_file: secret") == [
        f"credentials.c.{key}_file: the secret in {secret} begins like NAME=value; write the value alone"
    ]


def test_a_file_that_is_no_utf8_is_an_error_that_names_it(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CANARY.encode("utf-16"))
    with pytest.raises(ConfigError) as caught:
        told(tmp_path, "type: bearer, token_file: secret")
    assert "credentials.c.token_file" in str(caught.value)
    assert f"names {secret}, which is UTF-16 or binary, not UTF-8; save it as UTF-8" in str(caught.value)


def test_an_odd_value_in_the_configuration_gets_a_notice(tmp_path: Path) -> None:
    assert told(tmp_path, f"type: basic, username: \u201cdemo\u201d, password: \"'{CANARY}'\"") == [
        "credentials.c.username: the value stands in quotes, which then belong to it",
        "credentials.c.username: the value has curly quotes or long dashes, as word processors write them",
        "credentials.c.password: the value stands in quotes, which then belong to it",
    ]


def test_an_odd_value_of_a_variable_names_the_variable(tmp_path: Path) -> None:
    credential = "type: oauth2, client_id: '${ID}', client_secret: '${SECRET}', token_url: 'https://x'"
    environ = {"ID": "\u201cabc\u201d", "SECRET": f"{CANARY} "}
    assert (
        "credentials.c.client_secret (${SECRET}): the value begins or ends with white space or a line end"
        in (told(tmp_path, credential, environ))
    )
    assert any(
        each.startswith("credentials.c.client_id (${ID}): ") for each in told(tmp_path, credential, environ)
    )
