"""Commands among programs and files that mean them no good: sentences, never a traceback."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.app.command import CLEAN, command, proxy

ROOT = Path(__file__).parents[2]
CONFIG = """
upstreams: {zeebe: {url: 'http://localhost:8080', listen: 'localhost:0'}}
credentials: {c: {type: bearer, token: x}}
"""


@asynccontextmanager
async def squatter(answer: bytes) -> AsyncIterator[int]:
    """A program that has taken the admin port, and answers so."""

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(answered, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


ESCAPES = "\x1b]0;owned\x07\x1b[31mready\x9b2J\r\n\u202eevil\x00".encode()


@pytest.mark.parametrize("status", [b"HTTP/1.1 503 No", b"HTTP/1.1 200\x1b[2J", b"\x1b[2J", b""])
@pytest.mark.parametrize("verb", [["health"], ["wait", "--timeout", "0"]])
async def test_what_another_program_answers_cannot_steer_the_terminal(verb: list[str], status: bytes) -> None:
    async with squatter(status + b"\r\n\r\n" + ESCAPES) as port:
        code, out, err = await command(*verb, "--address", f"127.0.0.1:{port}")
    assert code == 1
    assert (out + err).startswith("not ready: ")
    assert (out + err).removesuffix("\n").isprintable()
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "status",
    [
        "[" * 100_000,
        '{"upstreams": [{"name": "zeebe", "listen": [[":"]]}]}',
        '{"upstreams": [{"name": "zeebe", "listen": [5]}]}',
        '{"upstreams": [{"name": ["zeebe"], "listen": ["x:1"]}]}',
        '{"upstreams": [{"name": "zeebe", "listen": ["x:99999"]}]}',
        '{"upstreams": [{"name": "zeebe", "listen": ["x:-1"]}]}',
        '{"upstreams": [{"name": "zeebe", "listen": ["x:\u0665"]}]}',
        '{"upstreams": [{"name": "zeebe", "listen": ["x:$(id)"]}]}',
        json.dumps({"upstreams": [{"name": "zeebe", "listen": ["x:" + "9" * 5000]}]}),
        '{"upstreams": 5}',
        "9" * 5000,
    ],
)
async def test_env_takes_no_nonsense_for_a_port(status: str, tmp_path: Path) -> None:
    async with squatter(b"HTTP/1.1 200 OK\r\n\r\n" + status.encode()) as port:
        (tmp_path / "c.yaml").write_text(CONFIG + f"admin: {{listen: '127.0.0.1:{port}'}}\n")
        code, out, err = await command("env", "--config", "c.yaml", folder=tmp_path)
    assert (code, out) == (2, "")
    assert "has port 0" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("a..b:1", 1),
        ("x" * 64 + ".invalid:1", 1),
        ("localhost:" + "9" * 5000, 2),
        ("localhost:\u0665", 2),
        ("http://localhost:19090", 2),
        ("\x1b[2J:1", 2),
        ("[[::1]]:1", 2),
        ("::", 2),
    ],
)
async def test_any_address_is_asked_or_refused(address: str, code: int) -> None:
    got, out, err = await command("health", "--address", address)
    assert got == code, out + err
    assert out.count("\n") == 1
    assert err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
async def test_a_full_disk_is_one_sentence() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(  # noqa: PLW1510 -- the exit code is what is asked for
            [sys.executable, "-m", "proxy", "schema"], stdout=full, stderr=subprocess.PIPE, cwd=ROOT
        )
    assert done.returncode == 2
    assert done.stderr == b"The system refused what this command needs: No space left on device.\n"


async def test_a_file_whose_name_no_terminal_can_show_is_named(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.yaml")
    (tmp_path / name).write_text(CONFIG)
    code, out, err = await command("check", "--config", name, folder=tmp_path)
    assert code == 0, err
    assert out.startswith(r"\udcff.yaml is right.")


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed")
def test_a_working_directory_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    code = f"import os, sys; os.chdir({str(tmp_path / 'gone')!r}); os.rmdir(os.getcwd()); "
    code += "sys.argv[1:] = ['check']; from proxy.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**CLEAN, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "The system refused what this command needs: No such file or directory.\n"


FAULTY = """
from proxy.cli import cli, run

TEXT = "can" + "ary"  # in parts, because Python 3.13 shows the source of `-c`

@cli.command()
def faulty():
    raise ExceptionGroup(TEXT, [ValueError(TEXT)])

raise SystemExit(run())
"""


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_fault_of_ours_is_one_sentence_without_the_text_of_the_error(level: str) -> None:
    """The text of an error often repeats the value that it is about."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTY, "faulty"],
        env={**CLEAN, "PYTHONPATH": str(ROOT), "CAMUNDA_AUTH_PROXY_LOG_LEVEL": level},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("This is a fault of camunda-auth-proxy itself (ValueError")
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr
    assert (", in faulty" in done.stderr) == (level == "debug")


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
async def test_run_writes_no_core_and_can_still_be_looked_into(tmp_path: Path) -> None:
    config = CONFIG + "admin: {listen: '127.0.0.1:0'}\n"
    async with proxy(tmp_path, config) as running:
        await running.message("started")
        limits = Path(f"/proc/{running.pid}/limits").read_text(encoding="ascii")
        owner = Path(f"/proc/{running.pid}/mem").stat().st_uid
    (core,) = (line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core == ["0", "0"]
    assert owner == os.geteuid()  # root's, if PR_SET_DUMPABLE were 0
