"""Commands, their words and their exit codes."""

import re
import socket
from pathlib import Path

import pytest

from tests.app.command import command

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
    "not known yet": (GOOD.replace("type: oauth2", "type: session"), "not known yet"),
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
    assert re.search(r"camunda-auth-proxy \S+ \(Python 3\.\S+, aiohttp \S+, (uvloop \S+|asyncio)\)", out)


async def test_the_demo_shows_everything_answered() -> None:
    code, out, err = await command("demo")
    assert code == 0, out + err
    assert "Everything was answered." in out
    assert " 0 waited for a token" in out
    assert "1 request sent again" in out
