"""Secrets, and the ways in which their files change."""

import os
import pickle
from pathlib import Path

import pytest

from proxy.credentials.secret import FileSecret, TextSecret
from proxy.errors import CredentialUnavailable

CANARY = "c4n4ry-s3cr3t"


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"abc", "abc"),
        (b"abc\n", "abc"),
        (b"abc\r\n", "abc"),
        (b"abc\n\n", "abc\n"),
        (b" abc ", " abc "),
        ("sch\u00f6n\n".encode(), "sch\u00f6n"),
        (b"\xef\xbb\xbfabc\n", "abc"),
    ],
)
def test_one_trailing_line_end_is_not_part_of_the_secret(tmp_path: Path, octets: bytes, text: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(octets)
    assert FileSecret(path).read() == text


@pytest.mark.parametrize("octets", [None, b"", b"\n", b"\r\n", b"\xff\xfe"])
def test_a_secret_that_never_was_is_an_error_without_the_path(tmp_path: Path, octets: bytes | None) -> None:
    path = tmp_path / CANARY
    if octets is not None:
        path.write_bytes(octets)
    with pytest.raises(CredentialUnavailable) as caught:
        FileSecret(path).read()
    assert CANARY not in repr(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("way", ["rename", "in place", "remove and create"])
def test_a_changed_file_is_seen(tmp_path: Path, way: str) -> None:
    path = tmp_path / "secret"
    path.write_text("one")
    secret = FileSecret(path)
    before = secret.version()
    assert secret.read() == "one"
    if way == "rename":
        (tmp_path / "new").write_text("two")
        (tmp_path / "new").rename(path)
    elif way == "in place":
        path.write_text("another")
    else:
        path.unlink()
        assert secret.read() == "one"
        path.write_text("three")
    assert secret.version() == before + 1
    assert secret.read() != "one"


def test_kubernetes_symlink_swap_is_seen(tmp_path: Path) -> None:
    for name in ("..1", "..2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secret").write_text(f"value of {name}")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "secret").symlink_to("..data/secret")
    secret = FileSecret(tmp_path / "secret")
    assert secret.read() == "value of ..1"
    (tmp_path / "..tmp").symlink_to("..2")
    (tmp_path / "..tmp").rename(tmp_path / "..data")
    assert secret.read() == "value of ..2"


@pytest.mark.parametrize("octets", [None, b"", b"\n", b"\xff\xfe", b"x" * (1 << 21)])
def test_what_is_no_secret_leaves_the_old_one(tmp_path: Path, octets: bytes | None) -> None:
    path = tmp_path / "secret"
    path.write_text("one")
    secret = FileSecret(path)
    version = secret.version()
    if octets is None:
        path.unlink()
    else:
        path.write_bytes(octets)
    assert (secret.read(), secret.version()) == ("one", version)
    path.write_text("two")
    assert (secret.read(), secret.version()) == ("two", version + 1)


def test_touching_a_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("one")
    secret = FileSecret(path)
    version = secret.version()
    os.utime(path, ns=(1, 1))
    assert secret.version() == version


def test_a_pipe_in_place_of_the_file_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "secret")
    with pytest.raises(CredentialUnavailable):
        FileSecret(tmp_path / "secret").read()


def test_secrets_are_equal_where_they_come_from_the_same_place(tmp_path: Path) -> None:
    assert TextSecret("a") == TextSecret("a") != TextSecret("b")
    assert FileSecret(tmp_path / "a") == FileSecret(tmp_path / "a") != FileSecret(tmp_path / "b")
    assert hash(FileSecret(tmp_path / "a")) == hash(FileSecret(tmp_path / "a"))
    assert hash(TextSecret("a")) == hash(TextSecret("a"))


@pytest.mark.parametrize("secret", [TextSecret(CANARY), FileSecret(Path(CANARY))])
def test_a_secret_shows_nothing_and_is_not_pickled(secret: TextSecret | FileSecret) -> None:
    assert repr(secret) == str(secret) == f"{secret}" == "***"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (
            b"\xff\xfea\0",
            "is UTF-16 or binary, not UTF-8; save it as UTF-8; the secret read last stays in use",
        ),
        (b"sch\xf6n", "is not UTF-8; save it as UTF-8; the secret read last stays in use"),
        (b"\n", "is empty or too short; the secret read last stays in use"),
        (b"'c4n4ry-s3cr3t'", "holds a secret that stands in quotes, which then belong to it"),
        (b"c4n4ry-s3cr3t\n\n", "holds a secret that begins or ends with white space or a line end"),
    ],
)
def test_a_secret_that_is_odd_after_a_rotation_is_told_once_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, octets: bytes, says: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"' odd from the start, which `check` and the start tell '")
    secret = FileSecret(path, setting="credentials.c.password_file")
    secret.read()
    assert not caplog.records
    path.write_bytes(octets)
    for _ in range(3):
        secret.read()
    assert [each.getMessage() for each in caplog.records] == [f"credentials.c.password_file: {path} {says}"]
    assert CANARY not in caplog.text


def test_a_secret_that_never_was_is_an_error_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(
        CredentialUnavailable, match=r"^the file of credentials.c.token_file is missing, empty"
    ):
        FileSecret(tmp_path / "none", setting="credentials.c.token_file").read()
