"""SIGHUP to the proxy as its user runs it."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.app.command import CLEAN, PATIENCE, Running, proxy
from tests.app.in_process import Site
from tests.gateway.wire import origin

SECRET = "canary-shared-token"
LAN = "192.0.2.1"


@asynccontextmanager
async def two_sites() -> AsyncIterator[tuple[Site, Site]]:
    a, b = Site("a"), Site("b")
    async with origin(a.play) as at_a, origin(b.play) as at_b:
        a.url, b.url = f"http://127.0.0.1:{at_a.port}", f"http://127.0.0.1:{at_b.port}"
        yield a, b
        a.release.set()
        b.release.set()


def configuration(**urls: str) -> dict[str, Any]:
    return {
        "upstreams": {name: {"url": url, "listen": "localhost:0"} for name, url in urls.items()},
        "credentials": {"shared": {"type": "bearer", "token": SECRET}},
        "admin": {"listen": "127.0.0.1:0"},
    }


async def reloaded(sidecar: Running, folder: Path, document: dict[str, Any] | str) -> None:
    """Write the file, send the signal, and wait until it has been heeded."""

    def heeded() -> int:
        endings = ("configuration applied", "nothing changed", "everything stays as it was")
        return sum(any(ending in event["message"] for ending in endings) for event in sidecar.events)

    await sidecar.message("admin listening")
    before = heeded()
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / "camunda-auth-proxy.yaml").write_text(text, encoding="utf-8")
    sidecar.signal(signal.SIGHUP)
    await sidecar.event(lambda _: heeded() > before)


async def test_a_stream_of_requests_meets_no_failure_while_everything_changes(tmp_path: Path) -> None:
    async with (
        two_sites() as (a, b),
        proxy(tmp_path, configuration(zeebe=a.url)) as sidecar,
        aiohttp.ClientSession() as session,
        asyncio.TaskGroup() as tasks,
    ):
        url = await sidecar.url("zeebe")
        answers: list[str] = []
        over = asyncio.Event()

        async def stream(connection: str) -> None:
            while not over.is_set():
                async with session.get(f"{url}/v2/topology", headers={"Connection": connection}) as answer:
                    assert answer.status == 200
                    answers.append(await answer.text())

        async def new_answers(number: int) -> list[str]:
            begun = len(answers)
            while len(answers) < begun + number:
                await sidecar.look("/health/live")
            return answers[begun:]

        for connection in ("keep-alive", "keep-alive", "close"):
            tasks.create_task(stream(connection))
        for zeebe, more in ((a, {"operate": b.url}), (b, {"operate": b.url}), (a, {}), (b, {})):
            changed = configuration(zeebe=zeebe.url, **more)
            changed["guard"] = {"allowed_hosts": [f"with-{len(more)}-more"]}
            await reloaded(sidecar, tmp_path, changed)
            await new_answers(3)  # were under way
            assert set(await new_answers(50)) == {zeebe.name}
            if more:
                assert (await sidecar.get("operate", "/v2"))[:2] == (200, "b")
        over.set()
    assert {"added", "changed", "removed"} <= {key for event in sidecar.events for key in event}
    assert SECRET not in sidecar.said


async def test_a_bad_file_is_told_problem_by_problem_and_changes_nothing(tmp_path: Path) -> None:
    async with two_sites() as (a, b), proxy(tmp_path, configuration(zeebe=a.url)) as sidecar:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            wrong = configuration(zeebe=b.url)
            wrong["upstreams"]["zeebe"]["lissten"] = wrong["upstreams"]["zeebe"].pop("listen")
            wrong["credentials"]["shared"]["tokenn"] = 1
            taken = configuration(zeebe=b.url, operate=b.url)
            taken["upstreams"]["operate"]["listen"] = sock.getsockname()[1]
            for document in (wrong, "upstreams: [", "", taken):
                await reloaded(sidecar, tmp_path, document)
                assert (await sidecar.get("zeebe", "/"))[:2] == (200, "a")
        said = [event["message"] for event in sidecar.events if event.get("level") == "ERROR"]
        assert sum("lissten" in line for line in said) == sum("tokenn" in line for line in said) == 1
        assert any("upstreams.operate.listen: port" in line for line in said)
        assert sum("everything stays as it was" in line for line in said) == 4
        assert await sidecar.metric("config_reloads_total", outcome="refused") == 4
        await reloaded(sidecar, tmp_path, configuration(zeebe=b.url))
        assert (await sidecar.get("zeebe", "/"))[:2] == (200, "b")
        assert await sidecar.metric("config_reloads_total", outcome="ok") == 1
        assert await sidecar.metric("config_reloads_total", outcome="refused") == 4
    assert SECRET not in sidecar.said


async def test_nothing_new_is_told_and_counted(tmp_path: Path) -> None:
    async with two_sites() as (a, _), proxy(tmp_path, configuration(zeebe=a.url)) as sidecar:
        assert (await sidecar.get("zeebe", "/"))[0] == 200
        await reloaded(sidecar, tmp_path, "# a comment\n" + json.dumps(configuration(zeebe=a.url), indent=1))
        await sidecar.message("nothing changed")
        assert (await sidecar.get("zeebe", "/"))[0] == 200
        assert a.open == 1
        assert await sidecar.metric("config_reloads_total", outcome="ok") == 1


async def test_the_log_and_the_environment_file_are_read_again_too(tmp_path: Path) -> None:
    file = tmp_path / "variables"
    file.write_text("TOKEN=canary-one\n")
    document = configuration(zeebe="")
    document["credentials"]["shared"]["token"] = "${TOKEN}"
    async with two_sites() as (a, b):
        document["upstreams"]["zeebe"]["url"] = a.url
        a.accepts, b.accepts = b"Bearer canary-one", b"Bearer canary-two"
        async with proxy(tmp_path, document, None, "--env-file", str(file)) as sidecar:
            assert (await sidecar.get("zeebe", "/"))[0] == 200
            file.write_text("TOKEN=canary-two\n")
            document["upstreams"]["zeebe"]["url"] = b.url
            document["log"] = {"requests": True, "level": "debug"}
            await reloaded(sidecar, tmp_path, document)
            assert (await sidecar.get("zeebe", "/"))[0] == 200
            assert (await sidecar.message("request"))["upstream"] == "zeebe"
            document["upstreams"]["zeebe"]["url"] = f"http://{LAN}:1"
            await reloaded(sidecar, tmp_path, document)
            assert "unencrypted" in (await sidecar.message(LAN))["message"]
        assert "canary-one" not in sidecar.said
        assert "canary-two" not in sidecar.said


async def test_many_signals_end_in_the_last_configuration(tmp_path: Path) -> None:
    async with two_sites() as (a, b), proxy(tmp_path, configuration(zeebe=a.url)) as sidecar:
        await sidecar.message("admin listening")
        for site in (b, a, b, a, b):
            document = json.dumps(configuration(zeebe=site.url))
            (tmp_path / "new").write_text(document, encoding="utf-8")
            (tmp_path / "new").rename(tmp_path / "camunda-auth-proxy.yaml")
            sidecar.signal(signal.SIGHUP)

        async def arrived() -> bool:
            return (await sidecar.get("zeebe", "/"))[1] == "b"

        await sidecar.until(arrived)
        assert 1 <= await sidecar.metric("config_reloads_total", outcome="ok") <= 5
        assert await sidecar.metric("config_reloads_total", outcome="refused") == 0


async def test_while_it_stops_nothing_is_read_again(tmp_path: Path) -> None:
    async with two_sites() as (a, b), proxy(tmp_path, configuration(zeebe=a.url)) as sidecar:
        async with asyncio.TaskGroup() as tasks:
            held = tasks.create_task(sidecar.get("zeebe", "/hold"))
            await asyncio.wait_for(a.held.wait(), 5)
            sidecar.signal(signal.SIGTERM)
            await sidecar.message("stopping")
            document = json.dumps(configuration(zeebe=b.url))
            (tmp_path / "camunda-auth-proxy.yaml").write_text(document, encoding="utf-8")
            sidecar.signal(signal.SIGHUP)
            await sidecar.message("SIGHUP while stopping")
            a.release.set()
        assert held.result()[:2] == (200, "a")
        assert await sidecar.ended() == 0
        assert "configuration" not in sidecar.events[-1]["message"]


@asynccontextmanager
async def on_terminal(folder: Path, url: str, before: str = "pass") -> AsyncIterator[tuple[Any, Path, int]]:
    """A proxy in a session of its own, whose terminal is ours: as a terminal window starts a shell.

    Args:
        before: statements before it starts.

    Yields:
        The process, the file that its stderr goes to, and our side of the terminal.
    """
    file, errors = folder / "c.yaml", folder / "stderr"
    file.write_text(json.dumps(configuration(zeebe=url)), encoding="utf-8")
    ours, theirs = os.openpty()
    with errors.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import fcntl, os, signal, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
            f"{before};"
            "os.execv(sys.executable, [sys.executable, '-m', 'proxy', 'run', '--config', sys.argv[1]])",
            str(file),
            env={**CLEAN, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=theirs,
            stdout=theirs,
            stderr=stderr,
        )
    os.close(theirs)
    try:
        yield process, errors, ours
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said(errors: Path, words: bytes) -> None:
    async with asyncio.timeout(50):  # a start takes its time on a busy machine
        while words not in errors.read_bytes():
            await asyncio.to_thread(errors.stat)


async def test_a_terminal_that_is_closed_ends_it_wherever_its_output_goes(tmp_path: Path) -> None:
    async with two_sites() as (a, _), on_terminal(tmp_path, a.url) as (process, errors, ours):
        await said(errors, b"listening")
        os.close(ours)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0


async def test_started_with_sighup_ignored_it_outlives_its_terminal(tmp_path: Path) -> None:
    ignoring = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    async with two_sites() as (a, _), on_terminal(tmp_path, a.url, ignoring) as (process, errors, ours):
        await said(errors, b"listening")
        os.close(ours)
        await said(errors, b"configuration read again")
        assert process.returncode is None
        process.terminate()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
