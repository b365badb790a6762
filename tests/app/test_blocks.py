"""What `run` prints on a terminal: a block per upstream, an example that works, and the page's URL."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from proxy.app.proxy import running
from proxy.clock import SystemClock
from proxy.commands.blocks import WIDTH, Block, blocks, command_lines, sentence
from proxy.commands.tables import EXAMPLES, running_table
from proxy.config.load import load
from proxy.demo import Fault, SimulatedCamunda, simulated_camunda
from tests.app.terminal import terminal

NAME = "n" * 64
LONG = "https://" + "x" * 120 + ".example/with/a/path-that-does/not/end"


def test_a_block_has_all_facts_and_the_reasons_below() -> None:
    block = Block(
        "zeebe", "http://localhost:19080", "https://camunda.example", "user demo", "ready", ("Why.",)
    )
    assert blocks([block, block]) == "\n\n".join(
        ["zeebe  http://localhost:19080  ready\n  to  https://camunda.example\n  as  user demo\n  Why."] * 2
    )


def test_no_line_has_more_than_76_columns() -> None:
    words = ("an unusually long reason " * 20).strip()
    text = blocks([Block(NAME, "unix:/" + "s" * 100, LONG, f"client {'c' * 200}", words, (words, LONG))])
    assert max(map(len, text.splitlines())) <= WIDTH == 76
    assert NAME in text
    assert "".join(text.split()).count("unusually") == 40


def test_a_long_command_continues_after_a_backslash() -> None:
    words = [
        "curl",
        "-H 'Content-Type: application/json'",
        "-d '{\"size\":1}'",
        "http://localhost:19081/v1/x",
    ]
    first, second = command_lines(words, "try   ")
    assert first == "try   curl -H 'Content-Type: application/json' -d '{\"size\":1}' \\"
    assert second == "        http://localhost:19081/v1/x"


def test_a_reason_becomes_a_sentence_and_a_name_keeps_its_case() -> None:
    assert sentence("the token endpoint is down") == "The token endpoint is down."
    assert sentence("zeebe at http://x: refused.") == "zeebe at http://x: refused."


def upstream(camunda: SimulatedCamunda, api: str, **more: Any) -> dict[str, Any]:
    name = {"operate": "operate", "optimize": "optimize"}.get(api, api)
    return {"api": api, "url": camunda.url(name), "credential": "identity", "listen": 0, **more}


def configuration(camunda: SimulatedCamunda, upstreams: dict[str, Any], **more: Any) -> dict[str, Any]:
    client = {"type": "oauth2", "token_url": camunda.keycloak.url, "client_id": "orchestration"}
    client["client_secret"] = camunda.keycloak.clients["orchestration"].secret
    admin = {"listen": "localhost:0"}
    return {"upstreams": upstreams, "credentials": {"identity": client}, "admin": admin, **more}


async def example(folder: Path, document: dict[str, Any], environ: dict[str, str]) -> tuple[str, str]:
    """What the table shows, and the status that its example gets when a shell runs it."""
    file = folder / "c.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    config = load(config=file, env_file=None, environ={}, directory=folder)
    async with running(config, SystemClock()) as app:
        await app.first_fetches(asyncio.get_running_loop().create_future())
        shown = running_table(app)
        lines = shown[shown.index("\ntry ") :].split("\npage ")[0].removeprefix("\ntry ")
        process = await asyncio.create_subprocess_shell(
            f"{lines} --silent --output /dev/null --write-out '%{{http_code}}'",
            env=environ,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
    return shown, out.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_the_example_works_as_typed_for_each_api(tmp_path: Path) -> None:
    path = {"PATH": "/usr/bin:/bin"}
    async with simulated_camunda() as camunda:
        for api in EXAMPLES:
            shown, status = await example(
                tmp_path, configuration(camunda, {"it": upstream(camunda, api)}), path
            )
            assert status == "200", (api, status, shown)
            assert "  as  client orchestration: credential identity (oauth2)\n" in shown
        guard = {"caller_token": "a-caller-token-of-22-c"}
        tmp_path.chmod(0o700)
        socket = upstream(camunda, "zeebe", listen=f"unix:{tmp_path}/s")
        _, status = await example(
            tmp_path,
            configuration(camunda, {"it": socket}, guard=guard),
            {**path, "TOKEN": guard["caller_token"]},
        )
        assert status == "200"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_the_example_is_one_of_an_upstream_that_is_ready(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        camunda.keycloak.fault = Fault.DOWN
        document = configuration(
            camunda,
            {
                "other": {"url": "http://127.0.0.1:9", "listen": 0, "credential": "none"},
                "first": upstream(camunda, "zeebe"),
                "second": upstream(camunda, "zeebe", credential="none", url=camunda.url("zeebe-open")),
            },
        )
        document["credentials"]["none"] = {"type": "none"}
        shown, status = await example(tmp_path, document, {"PATH": "/usr/bin:/bin"})
    assert status == "200"
    assert "first  http://localhost:" in shown
    assert "  not ready\n" in shown
    assert "  The proxy tries again by itself." in shown
    assert f"\nwhy   camunda-auth-proxy doctor --config {tmp_path}" in shown


def test_run_prints_the_blocks_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "camunda-auth-proxy.yml").write_text(
        "upstreams: {zeebe: {url: 'http://127.0.0.1:9', listen: 0}}\ncredentials: {c: {type: none}}\n"
        "admin: {listen: 'localhost:0'}\n"
    )
    with terminal("run", folder=tmp_path) as screen:
        shown = screen.until("\r\npage  http://localhost:") + screen.until("/\r\n")
        screen.type("\x03")
        assert screen.ended() == 0
    assert "\r\nzeebe  http://localhost:" in shown
    assert "/v2/topology\r\n" in shown
