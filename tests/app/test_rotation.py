"""A shared token whose file changes, in every way that files change: nobody restarts anything."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.in_process import House, house
from tests.token_server import invalid_client

OLD, NEW = "canary-old-token", "canary-another-token"


def projected(folder: Path, name: str, token: str) -> None:
    """A volume as Kubernetes projects it: `..data` is a link that is renamed over."""
    (folder / name).mkdir()
    (folder / name / "token").write_text(token + "\n")
    (folder / "..data_tmp").symlink_to(name)
    (folder / "..data_tmp").rename(folder / "..data")


def in_place(folder: Path) -> None:
    (folder / "token").write_text(NEW)


def renamed_over(folder: Path) -> None:
    (folder / "new").write_text(NEW + "\n")
    (folder / "new").rename(folder / "token")


def created_anew(folder: Path) -> None:
    (folder / "token").unlink()
    in_place(folder)


def swapped_by_kubernetes(folder: Path) -> None:
    projected(folder, "..second", NEW)


WAYS = (in_place, renamed_over, created_anew, swapped_by_kubernetes)


def shared(folder: Path) -> Callable[[House], None]:
    """`zeebe` before site a, with the token in `folder/token`."""
    folder.mkdir()
    projected(folder, "..first", OLD)

    def prepare(it: House) -> None:
        it.document["credentials"] = {"identity": {"type": "bearer", "token_file": str(folder / "token")}}
        it.a.accepts = f"Bearer {OLD}".encode()

    return prepare


def laid_out(folder: Path, way: Callable[[Path], None]) -> None:
    """The token's file as the way of changing it needs it: a file, or Kubernetes' link."""
    if way is swapped_by_kubernetes:
        (folder / "token").symlink_to("..data/token")
    else:
        (folder / "token").write_text(OLD)


@pytest.mark.parametrize("way", WAYS)
async def test_a_changed_token_is_used_within_five_seconds(
    tmp_path: Path, way: Callable[[Path], None]
) -> None:
    folder = tmp_path / "run"
    prepare = shared(folder)
    laid_out(folder, way)
    async with house(tmp_path, prepare) as it:
        assert (await it.ask()).status == 200
        way(folder)
        it.a.accepts = None  # nobody is refused, so it is the watch that sees it
        await it.clock.advance(5)
        assert (await it.ask()).status == 200
        assert it.a.shown == [f"Bearer {token}".encode() for token in (OLD, NEW)]


@pytest.mark.parametrize("way", WAYS)
async def test_a_changed_token_is_used_at_once_where_the_old_one_is_refused(
    tmp_path: Path, way: Callable[[Path], None]
) -> None:
    folder = tmp_path / "run"
    prepare = shared(folder)
    laid_out(folder, way)
    async with house(tmp_path, prepare) as it:
        assert (await it.ask()).status == 200
        way(folder)
        it.a.accepts = f"Bearer {NEW}".encode()
        now = it.clock.now()
        assert (await it.ask()).status == 200
        assert it.clock.now() == now
        assert it.a.shown == [f"Bearer {token}".encode() for token in (OLD, OLD, NEW)]
        assert await it.metric("repairs_total", outcome="ok") == 1


@pytest.mark.parametrize("content", [None, "", "\n", "\x00" * 8192, "no token \u00e4\u00f6\u00fc"])
async def test_what_is_no_token_leaves_the_old_one_and_the_next_good_one_is_used(
    tmp_path: Path, content: str | None
) -> None:
    folder = tmp_path / "run"
    prepare = shared(folder)
    laid_out(folder, in_place)
    async with house(tmp_path, prepare) as it:
        if content is None:
            (folder / "token").unlink()
        else:
            (folder / "token").write_text(content)
        await it.clock.advance(60)
        assert (await it.ask()).status == 200
        assert (await it.look("/health/ready")).status == 200
        in_place(folder)
        it.a.accepts = None
        await it.clock.advance(35)
        await it.until(lambda: it.upstream().keeper.snapshot().condition == "good")
        assert (await it.ask()).status == 200
        assert it.a.shown[-1] == f"Bearer {NEW}".encode()


async def test_a_half_written_token_costs_no_request(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    prepare = shared(folder)
    laid_out(folder, in_place)
    async with house(tmp_path, prepare) as it:
        (folder / "token").write_text(NEW[:9])
        await it.clock.advance(5)  # the half is taken for a token
        in_place(folder)
        it.a.accepts = f"Bearer {NEW}".encode()
        assert (await it.ask()).status == 200
        assert it.a.shown == [f"Bearer {token}".encode() for token in (NEW[:9], NEW)]


async def test_a_changed_client_secret_cuts_the_slow_lane_short(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary-wrong-secret")

    def prepare(it: House) -> None:
        it.tokens.always = invalid_client
        identity = it.document["credentials"]["identity"]
        del identity["client_secret"]
        identity["client_secret_file"] = str(secret)

    async with house(tmp_path, prepare) as it:
        await it.clock.advance(1)  # a file that is still being written gets a second
        assert (await it.ask()).status == 502
        asked = len(it.tokens.asked)
        it.tokens.always = None
        secret.write_text("canary-right-secret-at-last")
        await it.clock.advance(6)
        await it.until(lambda: len(it.tokens.asked) > asked)
        await it.until(lambda: it.upstream().keeper.current is not None)
        assert b"canary-right-secret-at-last" in it.tokens.asked[-1].body
        assert await it.says() == "a"
