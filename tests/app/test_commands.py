"""Commands, their words and their exit codes."""

import asyncio
import json
import re
import socket
import sys
from pathlib import Path

import pytest

from proxy.config.written.env_file import read_env_file
from tests.app.command import command, proxy

ROOT = Path(__file__).parents[2]
SECRET = "canary-0815-secret"
GOOD = f"""
upstreams:
  zeebe: {{url: http://localhost:8080, credential: identity}}
credentials:
  identity: {{type: oauth2, token_url: http://localhost:18080/token, client_id: a, client_secret: {SECRET}}}
"""

WRONG = {
    "unknown key": (GOOD.replace("url:", "urll:"), "urll", "url"),
    "missing secret": (GOOD.replace(f", client_secret: {SECRET}", ""), "client_secret"),
    "bad URL": (GOOD.replace("http://localhost:8080", "htp//x"), "upstreams.zeebe.url"),
    "two on one port": (
        GOOD.replace(
            "upstreams:",
            "upstreams:\n  operate: {url: http://localhost:8081, listen: 19080, credential: identity}",
        ),
        "19080",
        "operate",
        "zeebe",
    ),
    "Self-Managed without token_url": (
        GOOD.replace("token_url: http://localhost:18080/token, ", ""),
        "token_url",
    ),
    "unset variable": (GOOD.replace(SECRET, "'${NOT_SET_ANYWHERE}'"), "NOT_SET_ANYWHERE"),
    "no YAML": ("upstreams: [", "line"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("verb", ["check", "run"])
async def test_a_wrong_configuration_is_told_in_words(verb: str, name: str, tmp_path: Path) -> None:
    text, *words = WRONG[name]
    (tmp_path / "camunda-auth-proxy.yaml").write_text(text, encoding="utf-8")
    code, out, err = await command(verb, folder=tmp_path)
    assert code == 2, out + err
    for word in words:
        assert word in err
    assert SECRET not in out + err
    assert "Traceback" not in err


async def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("url: http://localhost:8080", "url: nonsense, lissten: 1").replace(
        "client_id: a, ", ""
    )
    (tmp_path / "camunda-auth-proxy.yaml").write_text(text, encoding="utf-8")
    _, _, err = await command("check", folder=tmp_path)
    assert "has 3 problems" in err


async def test_a_taken_port_is_told_for_each_listener(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        config = GOOD.replace("credential: identity}", f"credential: identity, listen: {port}}}")
        (tmp_path / "camunda-auth-proxy.yaml").write_text(
            config + "admin: {listen: '127.0.0.1:0'}\n", encoding="utf-8"
        )
        code, _, err = await command("run", folder=tmp_path)
    assert code == 2
    assert f"upstreams.zeebe.listen: port {port}" in err
    assert "Traceback" not in err


async def test_nothing_to_start_with_shows_three_ways(tmp_path: Path) -> None:
    code, _, err = await command("run", folder=tmp_path, environ={"HOME": str(tmp_path)})
    assert code == 2
    assert "config.example.yaml" in err
    assert "--env-file" in err
    assert "CAMUNDA_CLIENT_ID" in err


async def test_check_prints_where_each_value_came_from(tmp_path: Path) -> None:
    (tmp_path / "camunda-auth-proxy.yaml").write_text(GOOD, encoding="utf-8")
    code, out, _ = await command("check", folder=tmp_path)
    assert code == 0
    assert "localhost:19080" in out
    assert "preset zeebe" in out
    assert "line 3" in out
    assert SECRET not in out


@pytest.mark.parametrize(
    ("arguments", "environ", "origin"),
    [
        ((), {}, "camunda-auth-proxy.yaml (found by itself)"),
        (("--config", "camunda-auth-proxy.yaml"), {}, "camunda-auth-proxy.yaml (named by --config)"),
        ((), {"CAMUNDA_AUTH_PROXY_CONFIG": "x.yaml"}, "the file (named by CAMUNDA_AUTH_PROXY_CONFIG)"),
        (("--env-file", "good.txt"), {}, "the variables of --env-file good.txt"),
        (
            ("--env-file", "bad.txt", "--config", "y.yaml"),
            {},
            "y.yaml (named by --config, with variables of ",
        ),
    ],
)
async def test_check_begins_with_where_the_configuration_came_from(
    tmp_path: Path, arguments: tuple[str, ...], environ: dict[str, str], origin: str
) -> None:
    """Also of one that is refused: x.yaml and y.yaml are not there."""
    (tmp_path / "camunda-auth-proxy.yaml").write_text(GOOD, encoding="utf-8")
    lines = ("REST_ADDRESS=http://x", "OAUTH_URL=https://x", "CLIENT_ID=a", f"CLIENT_SECRET={SECRET}")
    (tmp_path / "good.txt").write_text("".join(f"CAMUNDA_{line}\n" for line in lines))
    (tmp_path / "bad.txt").write_text("FOO=1\n")
    _, out, err = await command("check", *arguments, folder=tmp_path, environ=environ)
    assert f"The configuration comes from {origin}" in out.splitlines()[0]
    assert SECRET not in out + err


async def test_a_shell_with_what_env_printed_can_start_the_proxy(tmp_path: Path) -> None:
    (tmp_path / "camunda-auth-proxy.yaml").write_text(GOOD, encoding="utf-8")
    _, printed, _ = await command("env", folder=tmp_path)
    environ = await evaluated(printed)
    assert environ["CAMUNDA_AUTH_STRATEGY"] == "NONE"
    code, out, err = await command("check", folder=tmp_path, environ=environ)
    assert (code, err) == (0, "")
    assert "http://localhost:8080" in out


KINDS = """
upstreams:
  zeebe: {url: 'https://camunda.example', credential: signed, http_proxy: env}
  operate: {url: 'http://localhost:8081', credential: login}
credentials:
  signed: {type: oauth2, issuer_url: 'https://login.example', client_id: a, client_secret: %s,
    http_proxy: 'http://user:%s@proxy.example:3128'}
  login: {type: session, username: demo, password: %s, dialect: login}
"""


async def test_check_prints_how_and_where_each_credential_is_got(tmp_path: Path) -> None:
    (tmp_path / "camunda-auth-proxy.yaml").write_text(KINDS.replace("%s", SECRET), encoding="utf-8")
    environ = {"HTTPS_PROXY": f"http://u:{SECRET}@other.example:8"}
    code, out, err = await command("check", folder=tmp_path, environ=environ)
    assert code == 0, err
    lines = [re.split(r"  +", line.strip()) for line in out.splitlines()]
    assert "https://camunda.example via http://other.example:8" in out
    at = lines.index(
        [
            "signed",
            "oauth2, client_secret_post",
            "https://login.example (issuer) via http://proxy.example:3128",
        ]
    )
    assert lines[at + 1] == ["line 6", "line 6"]
    assert lines[at + 2 : at + 4] == [
        ["login", "session", "the upstream, dialect login"],
        ["line 8", "default"],
    ]
    assert SECRET not in out + err


async def test_the_schema_is_printed() -> None:
    code, out, _ = await command("schema")
    assert code == 0
    assert json.loads(out)["$id"] == "urn:camunda-auth-proxy:configuration"


ENV = """
upstreams:
  open: {api: zeebe, url: 'http://localhost:8080', listen: 19380}
  second: {api: zeebe, url: 'http://localhost:8080', listen: 0}
  operate: {url: 'http://localhost:8081', listen: '0.0.0.0:19381'}
  console: {url: 'http://localhost:8087', listen: '127.0.0.1:19387'}
  modeler: {url: 'http://localhost:8070'}
  tasklist: {url: 'http://localhost:8082', listen: 'unix:/tmp/tasklist.sock'}
  engine: {url: 'http://localhost:9', listen: '[::1]:19388'}
credentials: {nothing: {type: none}}
guard: {allow_non_loopback: true}
"""
POINTED = {
    "CAMUNDA_AUTH_STRATEGY": "NONE",
    "CAMUNDA_OAUTH_DISABLED": "true",
    "CAMUNDA_CLIENT_MODE": "self-managed",
    "CAMUNDA_CLIENT_AUTH_METHOD": "none",
    "CAMUNDA_REST_ADDRESS": "http://localhost:19380",
    "CAMUNDA_CLIENT_RESTADDRESS": "http://localhost:19380",
    "CAMUNDA_BASE_URL": "http://localhost:19380",
    "ZEEBE_REST_ADDRESS": "http://localhost:19380",
    "CAMUNDA_OPERATE_BASE_URL": "http://127.0.0.1:19381",
    "CAMUNDA_CONSOLE_BASE_URL": "http://127.0.0.1:19387",
    "CAMUNDA_MODELER_BASE_URL": "http://localhost:19070/api",
}


@pytest.mark.parametrize("form", ["shell", "powershell", "dotenv", "json"])
async def test_env_points_every_client_at_the_proxy(form: str, tmp_path: Path) -> None:
    (tmp_path / "camunda-auth-proxy.yaml").write_text(ENV, encoding="utf-8")
    code, out, err = await command("env", "--format", form, folder=tmp_path)
    assert code == 0, err
    match form:
        case "shell":
            assert "export CAMUNDA_REST_ADDRESS=http://localhost:19380\n" in out
            found = await evaluated(out)
        case "powershell":
            assert "$env:CAMUNDA_REST_ADDRESS = 'http://localhost:19380'\n" in out
            found = dict(read_env_file(out, "out").variables)  # it understands this form, too
        case "dotenv":
            found = dict(read_env_file(out, "out").variables)
        case _:
            found = json.loads(out)
    assert found == POINTED
    assert [line for line in err.splitlines() if "left out" in line] == [
        "upstream `second` is left out: `open` is the first of its API.",
        "upstream `tasklist` is left out: Camunda's clients cannot use a Unix socket.",
        "upstream `engine` is left out: Camunda's clients have no variable for it.",
    ]


async def test_env_says_how_clients_show_the_callers_token(tmp_path: Path) -> None:
    text = GOOD + f"guard: {{caller_token: {SECRET}}}\n"
    (tmp_path / "camunda-auth-proxy.yaml").write_text(text, encoding="utf-8")
    code, out, err = await command("env", folder=tmp_path)
    assert (code, "CAMUNDA_REST_ADDRESS=http://localhost:19080\n" in out) == (0, True)
    assert "guard.caller_token is set, so clients must send it" in err
    assert "CAMUNDA_OAUTH_DISABLED" not in out
    assert SECRET not in out + err


async def evaluated(text: str) -> dict[str, str]:
    """What a shell's environment has, once it has evaluated `text`."""
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        f'eval "$TEXT"; exec {sys.executable} -c "import json, os; print(json.dumps(dict(os.environ)))"',
        env={"TEXT": text},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    environ = json.loads(out)
    return {name: environ[name] for name in environ if name.startswith(("CAMUNDA_", "ZEEBE_"))}


async def test_env_asks_the_running_proxy_for_its_free_ports(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        admin = f"127.0.0.1:{sock.getsockname()[1]}"
    text = (
        "upstreams: {optimize: {url: 'http://localhost:8083', listen: 0}}\n"
        f"credentials: {{nothing: {{type: none}}}}\nadmin: {{listen: '{admin}'}}\n"
    )
    async with proxy(tmp_path, text) as running:
        url = await running.url("optimize")
        await running.admin()
        code, out, err = await command("env", "--format", "json", folder=tmp_path)
        assert code == 0, err
        found = json.loads(out)
        assert (found["CAMUNDA_OPTIMIZE_BASE_URL"], found["CAMUNDA_OAUTH_DISABLED"]) == (url, "true")
        (tmp_path / "other.yaml").write_text(text.replace("optimize: {", "mine: {api: optimize, "))
        code, _, err = await command("env", "--config", "other.yaml", folder=tmp_path)
        assert (
            code,
            "upstreams.mine.listen has port 0, and the running proxy does not serve this upstream" in err,
        ) == (
            2,
            True,
        )
    code, out, err = await command("env", folder=tmp_path)
    assert (code, out) == (2, "")
    assert f"no proxy answers at http://{admin}. Start the proxy first" in err
    assert "Traceback" not in err


async def test_health_and_wait_say_that_nobody_answers() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers, and nobody else takes it
        where = f"127.0.0.1:{sock.getsockname()[1]}"
        code, out, _ = await command("health", "--address", where)
        assert (code, "no proxy answers" in out) == (1, True)
        code, _, err = await command(
            "wait", "--timeout", "0s", environ={"CAMUNDA_AUTH_PROXY_ADMIN_LISTEN": where}
        )
        assert (code, "no proxy answers" in err) == (1, True)


@pytest.mark.parametrize(
    "arguments", [["health", "--adress", "x"], ["wait", "--timeout", "soon"], ["rum"], ["run", "--x"]]
)
async def test_a_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    code, out, err = await command(*arguments)
    assert code == 2
    assert out + err
    assert "Traceback" not in err


async def test_health_imports_nothing_heavy() -> None:
    code, out, err = await command(
        "health", "--address", "127.0.0.1:1", environ={"PYTHONPROFILEIMPORTTIME": "1"}
    )
    assert code == 1, out
    assert not re.search(r"\b(aiohttp|asyncio|pydantic|click|yaml|uvloop)\b", err)


async def test_the_version_names_python_aiohttp_and_the_loop() -> None:
    code, out, _ = await command("--version")
    assert code == 0
    loop = r"(uvloop \S+|asyncio)"
    build = r"(compiled|pure Python)"
    assert re.search(rf"camunda-auth-proxy \S+ \({build}, Python 3\.\S+, aiohttp \S+, {loop}\)", out)
