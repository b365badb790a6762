"""A token that another issuer writes into a file: what of it is sent, and what is said if none can be."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from proxy.clock import wall_time
from proxy.credentials.secret import FileSecret
from proxy.credentials.standing import FileEnd
from proxy.credentials.token_file import USUAL_LIFE, BothSecrets, TokenFile
from proxy.errors import CredentialUnavailable
from tests.federated import projected, unsigned

SETTING = "credentials.c.client_assertion_file"
FIRST, SECOND = unsigned(), unsigned()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(FIRST)
    return path


def refusal(file: TokenFile) -> str:
    with pytest.raises(CredentialUnavailable) as caught:
        file.take()
    assert FIRST.split(".")[1] not in str(caught.value)
    assert (caught.value.outcome, caught.value.__context__) == ("invalid", None)
    return str(caught.value)


@pytest.mark.parametrize("around", ["%s\n", "%s\r\n", "\ufeff%s", " %s \n\n"])
def test_white_space_around_the_token_is_not_sent(path: Path, around: str) -> None:
    path.write_text(around % FIRST, encoding="utf-8")
    assert TokenFile(path, SETTING).take() == FIRST


def test_the_file_is_read_anew_for_each_attempt_whatever_its_times_say(path: Path) -> None:
    file = TokenFile(path, SETTING)
    file.take()
    before = path.stat()
    path.write_text(SECOND)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert file.take() == SECOND


def test_a_volume_is_followed_as_the_kubelet_swaps_it(tmp_path: Path) -> None:
    file = TokenFile(projected(tmp_path / "volume", "..first", FIRST), SETTING)
    assert file.take() == FIRST
    projected(tmp_path / "volume", "..second", SECOND)
    assert file.take() == SECOND


def directory(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def text(content: bytes) -> Any:
    return lambda path: path.write_bytes(content)


BROKEN = [
    (lambda _: None, "does not exist"),
    (directory, "is no regular file but a directory, a pipe or a device"),
    (pipe, "is no regular file but a directory, a pipe or a device"),
    (text(b""), "is empty"),
    (text(b"\n"), "is empty"),
    (text(FIRST[: FIRST.rindex(".")].encode()), "holds no JWT that is whole"),
    (text(FIRST[: FIRST.index(".") + 20].encode()), "holds no JWT that is whole"),
    (text(b"e30.e30." + FIRST[-20:].encode()), "holds no JWT that is whole"),
    (text(f"{FIRST}\n{SECOND}".encode()), "holds more than one token: it has spaces or line ends in it"),
    (text(FIRST.encode("utf-16")), "is UTF-16 or binary, not UTF-8; save it as UTF-8"),
    (text(b"\xfc" * 30), "is not UTF-8; save it as UTF-8"),
    (text(b"e" * (1 << 21)), "is larger than 1MiB"),
]


@pytest.mark.parametrize(("make", "words"), BROKEN)
def test_a_file_without_a_token_is_one_sentence(tmp_path: Path, make: Any, words: str) -> None:
    make(tmp_path / "token")
    assert refusal(TokenFile(tmp_path / "token", SETTING)) == f"the file of {SETTING} {words}"


@pytest.mark.parametrize(("make", "words"), BROKEN)
def test_the_token_read_last_stays_in_use_until_it_expires(
    path: Path, make: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    now = [wall_time()]
    file = TokenFile(path, SETTING, wall=lambda: now[0])
    assert file.take() == FIRST
    path.unlink()
    make(path)
    with caplog.at_level(logging.WARNING):
        assert [file.take(), file.take()] == [FIRST, FIRST]
    assert [record.getMessage() for record in caplog.records] == [
        f"{SETTING}: its file {words}; the token read last stays in use"
    ]
    now[0] += 601
    assert refusal(file).endswith(
        f", and its file {words} now; it was not sent. Check what writes that file, and the clock of this"
        f" machine"
    )


def test_an_expired_token_is_not_sent(path: Path) -> None:
    path.write_text(unsigned(exp=int(wall_time()) - 300))
    said = refusal(TokenFile(path, SETTING))
    assert said.startswith(
        f"the token in {SETTING} expired 5 min ago, and no new one was written; it was not"
    )


def test_a_token_without_an_end_is_sent_and_warned_of_never(path: Path) -> None:
    path.write_text(unsigned(exp=None))
    file = TokenFile(path, SETTING)
    assert file.take()
    assert file.end(5.0) is None


@pytest.mark.parametrize(
    ("changes", "life"), [({}, 600.0), ({"iat": None}, USUAL_LIFE), ({"iat": "x"}, USUAL_LIFE)]
)
def test_the_end_is_that_of_the_token_in_the_file_now(
    path: Path, changes: dict[str, Any], life: float
) -> None:
    now = wall_time()
    path.write_text(unsigned(exp=int(now) + 600, **changes))
    file = TokenFile(path, SETTING, wall=lambda: float(int(now)))
    assert file.end(1000.0) == FileEnd(SETTING, 1600.0, life)
    path.write_text(unsigned(exp=int(now) + 6000))
    end = file.end(1000.0)
    assert end is not None
    assert end.ends_at == 7000.0


def test_only_a_token_that_failed_is_watched(path: Path) -> None:
    file = TokenFile(path, SETTING)
    file.take()
    path.write_text(SECOND)
    assert file.version() == 0, "it was replaced in time, so no attempt is cut short and none is made"
    file.take()
    file.failed(SECOND)
    assert file.version() == 0
    path.write_text(unsigned())
    file.read()  # as for each line of the log
    assert [file.version(), file.version()] == [1, 1]


def test_a_file_that_could_not_be_used_is_watched(path: Path) -> None:
    path.write_text("half")
    file = TokenFile(path, SETTING)
    refusal(file)
    assert file.version() == 0
    path.write_text(FIRST)
    assert file.version() == 1
    assert file.take() == FIRST


def test_an_access_token_may_be_opaque(path: Path) -> None:
    path.write_text("opaque-canary\n")
    assert TokenFile(path, SETTING, only_jwt=False).take() == "opaque-canary"
    assert refusal(TokenFile(path, SETTING)).endswith("holds no JWT that is whole")


def test_a_secret_and_a_file_are_watched_together(path: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("one")
    secret, file = FileSecret(tmp_path / "secret"), TokenFile(path, SETTING)
    both = BothSecrets(secret, file)
    before = both.version()
    (tmp_path / "secret").write_text("another")
    assert both.version() == before + 1
    file.failed(file.take())
    path.write_text(SECOND)
    assert both.version() == before + 2
    assert both.read() == "another"


def test_no_token_in_a_repr_and_equal_are_files_of_one_path(path: Path) -> None:
    file = TokenFile(path, SETTING)
    file.take()
    assert repr(file) == "***"
    assert file == TokenFile(path, "another")
    assert len({file, TokenFile(path, SETTING), TokenFile(path.parent, SETTING)}) == 2
