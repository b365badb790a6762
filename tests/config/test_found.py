"""A configuration that was found is taken only if nobody else could have put it there."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from proxy.config.load import load
from proxy.config.written.found import distrust
from proxy.errors import ConfigError
from tests.config.writing import BEARER, ZEEBE

grp, pwd = (pytest.importorskip(name, reason="files have no such owners here") for name in ("grp", "pwd"))
pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no such owners here")
as_root = pytest.mark.skipif(getattr(os, "geteuid", int)() != 0, reason="only root can give files away")

FILE = "camunda-auth-proxy.yaml"
STRANGER, USER = 12345, 12346


def written(folder: Path, mode: int = 0o644) -> Path:
    path = folder / FILE
    path.write_text(ZEEBE + BEARER)
    path.chmod(mode)
    return path


def said(folder: Path) -> str:
    """What is wrong with the file that is found in the folder; empty: nothing."""
    try:
        load(config=None, env_file=None, environ={}, directory=folder)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_a_file_of_our_own_is_taken(tmp_path: Path, mode: int) -> None:
    written(tmp_path, mode)
    assert said(tmp_path) == ""


@pytest.mark.parametrize(("mode", "who"), [(0o666, "every user"), (0o602, "every user")])
def test_a_file_that_others_can_write_is_not_taken(tmp_path: Path, mode: int, who: str) -> None:
    written(tmp_path, mode)
    assert said(tmp_path) == (
        f"{FILE}: can be written by {who}: chmod go-w it, or name it with --config if you trust it"
    )


@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_a_file_in_a_folder_where_others_can_replace_it_is_not_taken(tmp_path: Path, mode: int) -> None:
    written(tmp_path)
    tmp_path.chmod(mode)
    assert f"can be replaced by every user, who may write in {tmp_path}" in said(tmp_path)


def test_a_file_of_our_own_in_a_sticky_folder_is_taken(tmp_path: Path) -> None:
    """There, only its owner can remove or rename it."""
    written(tmp_path)
    tmp_path.chmod(0o1777)
    assert said(tmp_path) == ""


def test_a_file_that_is_named_is_taken_whoever_could_write_it(tmp_path: Path) -> None:
    path = written(tmp_path, 0o666)
    tmp_path.chmod(0o777)
    for arguments, environ in (
        ({"config": path}, {}),
        ({"config": None}, {"CAMUNDA_AUTH_PROXY_CONFIG": FILE}),
    ):
        assert load(**arguments, env_file=None, environ=environ, directory=tmp_path).upstreams


def test_a_link_is_followed_and_the_folder_behind_it_is_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir(mode=0o755)
    (tmp_path / "there").mkdir(mode=0o755)
    target = written(tmp_path / "there")
    (tmp_path / "here" / FILE).symlink_to(target)
    assert said(tmp_path / "here") == ""
    target.parent.chmod(0o777)
    assert f"who may write in {target.parent}" in said(tmp_path / "here")


def test_other_places_are_looked_at_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "camunda-auth-proxy"
    folder.mkdir(mode=0o755)
    (folder / "config.yaml").write_text(ZEEBE + BEARER)
    (folder / "config.yaml").chmod(0o666)
    with pytest.raises(ConfigError, match="can be written by every user"):
        load(config=None, env_file=None, environ={"XDG_CONFIG_HOME": str(tmp_path)}, directory=tmp_path)


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o1777])
def test_another_users_file_is_not_taken(tmp_path: Path, mode: int) -> None:
    """In a folder of mode 1777, `${CAMUNDA_CLIENT_SECRET}` went to the other user's token_url."""
    os.chown(written(tmp_path), STRANGER, STRANGER)
    tmp_path.chmod(mode)
    assert said(tmp_path) == (
        f"{FILE}: belongs to another user (uid {STRANGER}); name it with --config if you trust it"
    )


@as_root
def test_another_users_link_to_our_own_file_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / FILE).symlink_to(written(tmp_path / "own"))
    os.chown(tmp_path / FILE, STRANGER, STRANGER, follow_symlinks=False)
    assert f"{FILE}: is a link that belongs to another user (uid {STRANGER})" in said(tmp_path)


@as_root
def test_a_file_in_another_users_folder_is_not_taken(tmp_path: Path) -> None:
    written(tmp_path)
    os.chown(tmp_path, STRANGER, STRANGER)
    assert f"is in {tmp_path}, which belongs to another user" in said(tmp_path)


@as_root
@pytest.mark.parametrize("mode", [0o664, 0o620])
def test_what_a_group_can_write_is_not_taken(tmp_path: Path, mode: int) -> None:
    os.chown(written(tmp_path, mode), -1, STRANGER)
    assert f"can be written by its group (gid {STRANGER}): chmod go-w it" in said(tmp_path)


@contextmanager
def user(number: int) -> Iterator[None]:
    """Act as another user. Python's own files may be closed to him: what loads late, loads first."""
    with TemporaryDirectory() as name:
        written(Path(name))
        assert said(Path(name)) == ""
    os.seteuid(number)
    try:
        yield
    finally:
        os.seteuid(0)


@as_root
@pytest.mark.parametrize(
    ("owner", "mode", "folder", "told"),
    [
        (USER, 0o600, USER, ""),
        (0, 0o644, 0, ""),
        (0, 0o644, USER, ""),
        (USER, 0o664, USER, "can be written by its group"),
        (STRANGER, 0o644, USER, "belongs to another user"),
        (USER, 0o644, STRANGER, "which belongs to another user"),
    ],
)
def test_to_another_user_than_root_roots_files_and_his_own_are_good(
    owner: int, mode: int, folder: int, told: str
) -> None:
    with TemporaryDirectory() as name:
        os.chown(written(Path(name), mode), owner, owner)
        os.chown(name, folder, folder)
        Path(name).chmod(0o755)
        with user(USER):
            problem_told = said(Path(name))
    assert told in problem_told
    assert bool(told) == bool(problem_told)


@as_root
@pytest.mark.parametrize("members", ["alone", "another group"])
def test_a_group_that_is_the_users_alone_counts_as_the_user(members: str) -> None:
    """Many systems give each user one, and umask 002: files have mode 0664 there."""
    try:
        entry = pwd.getpwnam("daemon")
        group = grp.getgrgid(entry.pw_gid)
    except KeyError:
        pytest.skip("there is no user `daemon`")
    if group.gr_name != "daemon" or group.gr_mem:
        pytest.skip("the group of `daemon` is not its own")
    with TemporaryDirectory() as name:
        gid = entry.pw_gid if members == "alone" else STRANGER
        os.chown(written(Path(name), 0o664), entry.pw_uid, gid)
        os.chown(name, entry.pw_uid, gid)
        Path(name).chmod(0o775)
        with user(entry.pw_uid):
            told = said(Path(name))
    assert (told == "") == (members == "alone")


def test_what_was_opened_is_judged_and_not_what_lies_there_by_now(tmp_path: Path) -> None:
    path = written(tmp_path)
    state = path.stat()
    opened = os.stat_result((state.st_mode | stat.S_IWOTH, *state[1:]))
    assert "can be written by every user" in (distrust(path, opened, beside_us=True) or "")
