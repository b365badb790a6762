"""Ports: both loopbacks together, or not at all. Unix sockets: for their owner alone."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from stat import S_IMODE, S_ISSOCK

import pytest

from proxy.app.sockets import bind, bind_unix
from proxy.errors import StartError

ROOT = Path(__file__).parents[2]
BOTH = ("127.0.0.1", "::1")


def test_a_free_port_is_the_same_on_both_loopbacks() -> None:
    bound = bind(BOTH, 0, "upstreams.zeebe.listen")
    try:
        assert {sock.getsockname()[1] for sock in bound.sockets} == {bound.port}
        assert bound.addresses == (f"127.0.0.1:{bound.port}", f"[::1]:{bound.port}")
        assert not bound.notice
    finally:
        bound.close()


@pytest.mark.parametrize("taken", BOTH)
def test_a_port_that_somebody_owns_on_either_is_refused_and_nothing_stays_bound(taken: str) -> None:
    family = socket.AF_INET6 if ":" in taken else socket.AF_INET
    with socket.socket(family) as owner:
        owner.bind((taken, 0))
        owner.listen()
        port = owner.getsockname()[1]
        with pytest.raises(StartError, match=rf"upstreams\.zeebe\.listen: port {port} .* is taken"):
            bind(BOTH, port, "upstreams.zeebe.listen")
        other = BOTH[1] if taken == BOTH[0] else BOTH[0]
        bind((other,), port, "again").close()


def test_a_second_listener_on_a_bound_port_is_refused_before_either_accepts() -> None:
    bound = bind(BOTH, 0, "first")
    try:
        with pytest.raises(StartError, match="second: port"):
            bind(BOTH, bound.port, "second")
    finally:
        bound.close()


def test_an_address_of_another_machine_is_said_so() -> None:
    with pytest.raises(StartError, match=r"192\.0\.2\.1 is not an address of this machine"):
        bind(("192.0.2.1",), 0, "upstreams.zeebe.listen")


SETTING = "upstreams.zeebe.listen"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path / "zeebe.sock"


def test_a_unix_socket_is_its_owners_alone_and_is_removed_with_its_listener(path: Path) -> None:
    before = os.umask(0)
    try:
        bound = bind_unix(str(path), SETTING)
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert S_ISSOCK(path.lstat().st_mode)
    assert S_IMODE(path.lstat().st_mode) == 0o600
    assert bound.addresses == (f"unix:{path}",)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
    bound.close()
    assert not path.exists()
    bound.close()


def test_a_socket_that_a_dead_proxy_left_is_taken_over(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.exists()
    bind_unix(str(path), SETTING).close()


@pytest.mark.parametrize("backlog", [1024, 0])
def test_a_socket_on_which_somebody_answers_is_refused_and_stays(path: Path, backlog: int) -> None:
    with socket.socket(socket.AF_UNIX) as owner, socket.socket(socket.AF_UNIX) as caller:
        owner.bind(str(path))
        owner.listen(backlog)
        caller.connect(str(path))  # with the smallest backlog, nobody else can
        with pytest.raises(StartError, match=rf"^{SETTING}: {path} is taken by another process"):
            bind_unix(str(path), SETTING)
        assert path.exists()


def test_two_listeners_cannot_share_a_path(path: Path) -> None:
    bound = bind_unix(str(path), "first")
    with pytest.raises(StartError, match=r"second: .* is taken"):
        bind_unix(str(path), "second")
    bound.close()


def test_what_has_taken_the_place_of_our_socket_is_not_removed(path: Path) -> None:
    bound = bind_unix(str(path), SETTING)
    path.unlink()
    path.write_text("another's")
    bound.close()
    assert path.read_text() == "another's"


def test_what_is_no_socket_stays(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(StartError, match=r"exists and is no socket of this user"):
        bind_unix(str(path), SETTING)
    assert path.read_text() == "precious"


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    path.symlink_to(tmp_path / "dead.sock")
    with pytest.raises(StartError, match="is no socket of this user"):
        bind_unix(str(path), SETTING)


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o702, 0o1777])
def test_a_directory_in_which_others_may_write_is_refused(path: Path, mode: int) -> None:
    path.parent.chmod(mode)
    with pytest.raises(StartError, match=f"other users may write in {path.parent} .* chmod 700"):
        bind_unix(str(path), SETTING)
    assert not path.exists()


def test_a_directory_that_others_can_read_is_good_enough(path: Path) -> None:
    path.parent.chmod(0o755)
    bind_unix(str(path), SETTING).close()


def test_a_directory_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(StartError, match=r"zeebe.sock/x cannot be bound: No such file or directory\."):
        bind_unix(str(path / "x"), SETTING)
    path.write_text("")
    with pytest.raises(StartError, match="is not a directory"):
        bind_unix(str(path / "x"), SETTING)


def test_a_path_that_is_too_long_is_told(path: Path) -> None:
    with pytest.raises(StartError, match="cannot be bound: AF_UNIX path too long"):
        bind_unix(str(path.parent / ("x" * 120)), SETTING)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_another_users_directory_and_socket_are_refused(path: Path) -> None:
    path.parent.chmod(0o755)
    os.chown(path.parent, 1, 1)
    with pytest.raises(StartError, match="belongs to another user, who"):
        bind_unix(str(path), SETTING)
    os.chown(path.parent, 0, 0)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    os.chown(path, 1, 1)
    with pytest.raises(StartError, match="is no socket of this user"):
        bind_unix(str(path), SETTING)


@pytest.mark.parametrize(("mode", "who"), [(0o777, "every user"), (0o757, "every user")])
def test_each_folder_on_the_way_is_looked_at(path: Path, mode: int, who: str) -> None:
    deep = path.parent / "a" / "b"
    deep.mkdir(parents=True, mode=0o755)
    deep.parent.chmod(mode)
    with pytest.raises(StartError, match=f"because {deep.parent} can be written by {who}"):
        bind_unix(str(deep / "s"), SETTING)


def test_in_a_sticky_folder_a_private_one_is_good(path: Path) -> None:
    """/tmp/mine/s; /tmp/s itself is not."""
    private = path.parent / "tmp" / "mine"
    private.mkdir(parents=True)
    private.chmod(0o700)
    private.parent.chmod(0o1777)
    bind_unix(str(private / "s"), SETTING).close()
    with pytest.raises(StartError, match="other users may write in"):
        bind_unix(str(private.parent / "s"), SETTING)


def test_a_link_of_our_own_on_the_way_is_followed_and_what_is_behind_it_looked_at(path: Path) -> None:
    (path.parent / "open" / "deep").mkdir(parents=True, mode=0o755)
    (path.parent / "open" / "deep").chmod(0o700)
    for target in ("open/deep", str(path.parent / "open" / "deep"), "./open/../open/deep"):
        (path.parent / "open").chmod(0o755)
        (path.parent / "link").symlink_to(target)
        bind_unix(str(path.parent / "link" / "s"), SETTING).close()
        (path.parent / "open").chmod(0o777)
        with pytest.raises(StartError, match=r"because .*open can be written by every user"):
            bind_unix(str(path.parent / "link" / "s"), SETTING)
        (path.parent / "link").unlink()


def test_links_that_lead_in_a_circle_are_told(path: Path) -> None:
    (path.parent / "one").symlink_to("two")
    (path.parent / "two").symlink_to("one")
    with pytest.raises(StartError, match="Too many levels of symbolic links"):
        bind_unix(str(path.parent / "one" / "s"), SETTING)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
@pytest.mark.parametrize("theirs", ["a", "a/b", "link"])
def test_another_users_part_of_the_way_is_refused(path: Path, theirs: str) -> None:
    deep = path.parent / "a" / "b" / "c"
    deep.mkdir(parents=True, mode=0o755)
    (path.parent / "link").symlink_to("a/b")
    os.chown(path.parent / theirs, 1, 1, follow_symlinks=False)
    with pytest.raises(StartError, match=rf"because .*{theirs} belongs to another user \(uid 1\)"):
        bind_unix(str(path.parent / "link" / "c" / "s"), SETTING)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_what_a_group_can_write_on_the_way_is_refused(path: Path) -> None:
    deep = path.parent / "a" / "b"
    deep.mkdir(parents=True, mode=0o755)
    os.chown(deep.parent, 0, 1)
    deep.parent.chmod(0o775)
    with pytest.raises(StartError, match=r"a can be written by its group \(gid 1\); choose"):
        bind_unix(str(deep / "s"), SETTING)


def test_there_is_room_for_half_of_the_files_that_may_be_open() -> None:
    code = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (188, 188));"
    code += "from proxy.app.sockets import room_for_callers as room; print(room(3))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "32\n"
