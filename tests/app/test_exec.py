"""`exec -- CMD`: a command beside a proxy of its own."""

import asyncio
import json
import os
import signal
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from proxy.demo import Fault, SimulatedCamunda, simulated_camunda
from tests.app.command import CLEAN, PATIENCE, ROOT, command
from tests.app.terminal import terminal

SECRET = "canary-of-exec-0815"
STATIC = f"""
upstreams: {{zeebe: {{url: 'http://127.0.0.1:9', credential: shared}}}}
credentials: {{shared: {{type: bearer, token: {SECRET}}}}}
"""
GET = """
import os, sys, urllib.request
request = urllib.request.Request(os.environ["CAMUNDA_REST_ADDRESS"] + "/v2/topology")
if password := os.environ.get("CAMUNDA_BASIC_AUTH_PASSWORD"):
    request.add_header("X-Proxy-Token", password)
with urllib.request.urlopen(request) as answer:
    print(answer.status, len(answer.read()) > 2)
"""
DUMP = "import json, os; print(json.dumps(dict(os.environ)))"
posix = pytest.mark.skipif(sys.platform == "win32", reason="a command or a signal of POSIX")
UNTIL_SIGNALLED = """
import signal, sys
def seen(number, frame):
    print("got", signal.Signals(number).name, flush=True)
    sys.exit(5)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
    signal.signal(number, seen)
print("up", flush=True)
while True:
    signal.pause()
"""
COUNTS = """
import signal
count = 0
def interrupted(number, frame):
    global count
    count += 1
    print("interrupted", flush=True)
def told(number, frame):
    print("count", count, flush=True)
    raise SystemExit(0)
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGUSR1, told)
print("up", flush=True)
while True:
    signal.pause()
"""


def written(folder: Path, text: str = STATIC) -> Path:
    path = folder / "camunda-auth-proxy.yaml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return folder


def with_tokens(camunda: SimulatedCamunda) -> str:
    client = {
        "type": "oauth2",
        "token_url": camunda.keycloak.url,
        "client_id": "orchestration",
        "client_secret": camunda.keycloak.clients["orchestration"].secret,
    }
    upstreams = {"zeebe": {"url": camunda.url("zeebe"), "credential": "identity"}}
    return json.dumps({"upstreams": upstreams, "credentials": {"identity": client}})


@asynccontextmanager
async def begun(folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`exec` without a terminal, in a session of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", "exec", *arguments),
        env={**CLEAN, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            yield process
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_command_reaches_the_api_and_its_output_is_all_there_is(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        written(tmp_path, with_tokens(camunda))
        code, out, err = await command("exec", "--", sys.executable, "-c", GET, folder=tmp_path)
    assert (code, out, err) == (0, "200 True\n", "")


async def test_options_after_the_command_are_its_own(tmp_path: Path) -> None:
    show = "import sys; print(*sys.argv[1:])"
    arguments = ("exec", sys.executable, "-c", show, "--config", "--", "--help")
    code, out, _ = await command(*arguments, folder=written(tmp_path))
    assert (code, out) == (0, "--config -- --help\n")


async def test_the_exit_code_is_the_commands_on_every_system(tmp_path: Path) -> None:
    leave = "raise SystemExit(7)"
    code, _, _ = await command("exec", "--", sys.executable, "-c", leave, folder=written(tmp_path))
    assert code == 7


@posix
async def test_stdin_reaches_the_command(tmp_path: Path) -> None:
    """As an MCP client writes to a server that it starts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", "exec", "--", "cat"),
        env={**CLEAN, "PYTHONPATH": str(ROOT)},
        cwd=written(tmp_path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(b'{"jsonrpc": "2.0"}\n')
    assert (process.returncode, out) == (0, b'{"jsonrpc": "2.0"}\n')


@posix
@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("exit 0", 0)]
)
async def test_the_exit_code_is_the_commands(script: str, code: int, tmp_path: Path) -> None:
    assert (await command("exec", "--", "sh", "-c", script, folder=written(tmp_path)))[0] == code


@posix
async def test_a_command_that_cannot_be_executed_is_told_as_a_shell_does(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "plain").write_text("echo\n")
    (tmp_path / "empty").write_text("echo\n")
    (tmp_path / "empty").chmod(0o755)
    (tmp_path / "lost").write_text("#!/there/is/no/such/interpreter\n")
    (tmp_path / "lost").chmod(0o755)
    for name, expected, words in (
        ("no-such-command", 127, "There is no command no-such-command."),
        ("./plain", 126, "no permission"),
        (".", 126, "folder"),
        ("./empty", 126, "no #! line"),
        ("./lost", 127, "interpreter"),
    ):
        code, out, err = await command("exec", "--", name, folder=tmp_path)
        assert (code, out, words in err, err.count("\n")) == (expected, "", True, 1), (name, err)


async def test_nothing_of_the_credential_is_in_the_commands_environment(tmp_path: Path) -> None:
    text = f"""
upstreams: {{zeebe: {{url: 'http://127.0.0.1:9', credential: login}}}}
credentials:
  login: {{type: basic, username: '${{WHO}}', password_file: '${{MY_FILE}}'}}
  shared: {{type: bearer, token: 'x${{PART}}-{SECRET}'}}
log: {{level: '${{LEVEL}}'}}
"""
    text = text.replace("credential: login}", "credential: login}, other: {api: other, listen: 19999, "
                        "url: 'http://127.0.0.1:9/${BASE}', credential: shared}")  # fmt: skip
    (tmp_path / "secret").write_text("canary-in-a-file")
    (tmp_path / "secret").chmod(0o600)
    gone = {
        "CAMUNDA_CLIENT_SECRET": "other-1",
        "ZEEBE_CLIENT_SECRET": "other-2",
        "ZEEBE_CLIENT_ID": "other-3",
        "CAMUNDA_CLIENT_AUTH_CLIENT_SECRET": "other-4",
        "camunda.client.auth.client-secret": "other-5",
        "CAMUNDA_BASIC_AUTH_PASSWORD": "other-6",
        "CAMUNDA_CONSOLE_CLIENT_SECRET": "other-7",
        "CAMUNDA_OAUTH_TOKEN": "other-8",
        "CAMUNDA_OPERATE_BASE_URL": "http://operate:8080",
        "WHO": "me",
        "PART": "part",
        "MY_FILE": str(tmp_path / "secret"),
        "LEVEL": "error",
        "COPY_OF_TOKEN": f"Bearer xpart-{SECRET}",
        "COPY_OF_FILE": "canary-in-a-file",
        "IN_BASE64": b64encode(b"me:canary-in-a-file").decode(),
    }
    kept = {"HOME": str(tmp_path), "BASE": "part-of-a-url", "MINE": "value", "GITHUB_TOKEN": "ghp_other"}
    written(tmp_path, text)
    code, out, err = await command(
        "exec", "--", sys.executable, "-c", DUMP, folder=tmp_path, environ={**gone, **kept}
    )
    assert code == 0, err
    found = json.loads(out)
    assert not found.keys() & gone.keys()
    assert kept.items() <= found.items()
    assert "canary" not in out
    assert found["CAMUNDA_AUTH_STRATEGY"] == "NONE"
    assert (
        found["CAMUNDA_REST_ADDRESS"] == found["ZEEBE_REST_ADDRESS"] == found["CAMUNDA_AUTH_PROXY_URL_ZEEBE"]
    )
    assert found["CAMUNDA_AUTH_PROXY_URL_OTHER"].startswith("http://localhost:")


async def test_a_short_password_takes_no_general_variable_away(tmp_path: Path) -> None:
    """C8Run's user and password are demo; HOME may hold that word, too."""
    written(
        tmp_path,
        STATIC.replace("type: bearer, token: " + SECRET, "type: basic, username: demo, password: demo"),
    )
    environ = {"USER": "demo", "HOME": "/home/demo", "PATH": os.environ["PATH"], "A": "a demo", "PW": "demo"}
    _, out, _ = await command("exec", "--", sys.executable, "-c", DUMP, folder=tmp_path, environ=environ)
    found = json.loads(out)
    assert (found["USER"], found["HOME"], found["A"], "PW" in found) == (
        "demo",
        "/home/demo",
        "a demo",
        False,
    )


async def test_an_http_proxy_of_the_environment_is_not_asked_for_localhost(tmp_path: Path) -> None:
    environ = {"HTTP_PROXY": "http://proxy.example:3128", "no_proxy": ".corp"}
    _, out, _ = await command(
        "exec", "--", sys.executable, "-c", DUMP, folder=written(tmp_path), environ=environ
    )
    found = json.loads(out)
    assert found["NO_PROXY"] == found["no_proxy"] == ".corp,localhost,127.0.0.1,::1"


async def test_the_command_gets_the_caller_token_that_it_must_send(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        guard = {"guard": {"caller_token": "a-caller-token-of-22-c"}}
        written(tmp_path, json.dumps(json.loads(with_tokens(camunda)) | guard))
        code, out, err = await command("exec", "--", sys.executable, "-c", GET, folder=tmp_path)
        assert (code, out) == (0, "200 True\n"), err
        _, out, _ = await command("exec", "--", sys.executable, "-c", DUMP, folder=tmp_path)
    found = json.loads(out)
    assert found["CAMUNDA_AUTH_STRATEGY"] == "BASIC"
    assert "CAMUNDA_OAUTH_DISABLED" not in found


@posix
async def test_with_callers_the_command_gets_a_token_of_its_own(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        callers = {"callers": {"ci": {"token": "a-token-of-ci-22-chars"}}}
        written(tmp_path, json.dumps(json.loads(with_tokens(camunda)) | callers))
        code, out, err = await command("exec", "--", sys.executable, "-c", GET, folder=tmp_path)
        assert (code, out) == (0, "200 True\n"), err


@posix
async def test_without_a_credential_the_command_is_not_started(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        camunda.keycloak.rejected.add("orchestration")
        written(tmp_path, with_tokens(camunda))
        code, out, err = await command("exec", "--timeout", "1s", "--", "touch", "began", folder=tmp_path)
        secret = camunda.keycloak.clients["orchestration"].secret
    assert (code, out) == (1, "")
    assert "The command was not started, because the proxy was not ready within 1 s:\n  zeebe: " in err
    assert "client_id" in err
    assert secret not in err
    assert not (tmp_path / "began").exists()


@posix
async def test_a_signal_before_the_start_ends_all(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        camunda.keycloak.fault = Fault.HANG
        written(tmp_path, with_tokens(camunda))
        async with begun(tmp_path, "--", "touch", "began") as process:
            await camunda.news.until(lambda: bool(camunda.keycloak.requests))
            process.terminate()
    assert process.returncode == 143
    assert not (tmp_path / "began").exists()


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGUSR1"])
async def test_signals_are_passed_on(name: str, tmp_path: Path) -> None:
    arguments = ("--", sys.executable, "-c", UNTIL_SIGNALLED)
    async with begun(written(tmp_path), *arguments) as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"up\n"
        process.send_signal(getattr(signal, name))
        assert await process.stdout.readline() == f"got {name}\n".encode()
    assert process.returncode == 5


@posix
def test_an_interrupt_from_the_terminal_is_not_sent_twice(tmp_path: Path) -> None:
    """The terminal sends it to the command itself. Then SIGUSR1 shows what has arrived until then."""
    arguments = ("exec", "--", sys.executable, "-c", COUNTS)
    with terminal(*arguments, folder=written(tmp_path)) as screen:
        screen.until("up\r\n")
        screen.type("\x03")
        screen.until("interrupted\r\n")
        screen.process.send_signal(signal.SIGUSR1)
        screen.until("count 1\r\n")
        assert screen.ended() == 0


@posix
async def test_the_ports_close_although_the_command_leaves_a_process_behind(tmp_path: Path) -> None:
    """The pipes end too, so that a caller which reads them does not wait for that process."""
    script = "sleep 300 >/dev/null 2>&1 </dev/null & echo $! $CAMUNDA_REST_ADDRESS"
    code, out, _ = await command("exec", "--", "sh", "-c", script, folder=written(tmp_path))
    pid, url = out.split()
    try:
        assert code == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    finally:
        os.kill(int(pid), signal.SIGKILL)


@posix
async def test_the_log_goes_to_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        written(tmp_path, with_tokens(camunda))
        code, out, err = await command("exec", "--log-file", "p.log", "--", "true", folder=tmp_path)
    assert (code, out, err) == (0, "", "")
    assert (tmp_path / "p.log").stat().st_mode & 0o777 == 0o600
    assert "credential" in (tmp_path / "p.log").read_text()
    code, _, err = await command("exec", "--log-file", "no/p.log", "--", "true", folder=written(tmp_path))
    assert (code, err) == (2, "--log-file no/p.log cannot be written: No such file or directory.\n")


@posix
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Missing argument"),
        (("--",), "Missing argument"),
        (("--timeout", "soon", "--", "true"), "--timeout"),
        (("--tiemout", "1s", "true"), "No such option"),
    ],
)
async def test_a_wrong_usage_is_one_sentence(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    code, out, err = await command("exec", *arguments, folder=written(tmp_path))
    assert (code, out) == (2, "")
    assert words in err


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() == 0, reason="root reads every process")
async def test_the_command_cannot_read_the_environment_of_the_proxy(tmp_path: Path) -> None:
    script = "cat /proc/$PPID/environ"
    code, out, err = await command("exec", "--", "sh", "-c", script, folder=written(tmp_path))
    assert (code, out) == (1, ""), err
