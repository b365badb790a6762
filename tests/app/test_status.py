"""`status`: what a running proxy says of itself."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.commands.blocks import WIDTH
from proxy.commands.status import NoStatus, report
from tests.app.command import command, proxy
from tests.app.terminal import terminal

SECRET = "canary-of-status-0815"
TEXT = f"""
upstreams:
  zeebe: {{url: 'http://127.0.0.1:9', listen: 0, credential: shared}}
  operate: {{url: 'http://127.0.0.1:9', listen: 0, credential: identity}}
credentials:
  shared: {{type: bearer, token: {SECRET}}}
  identity: {{type: oauth2, token_url: 'http://127.0.0.1:9/token', client_id: a, client_secret: {SECRET}}}
admin: {{listen: 'localhost:PORT'}}
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def test_the_status_shows_each_upstream_and_the_exit_code_whether_all_are_ready(tmp_path: Path) -> None:
    port = free_port()
    async with proxy(tmp_path, TEXT.replace("PORT", str(port))) as running:
        zeebe = await running.url("zeebe")
        await running.message("no usable credential")
        assert (await running.get("zeebe", "/v2/topology"))[0] == 502
        code, out, err = await command("status", folder=tmp_path)  # the configuration holds the address
        assert (code, err) == (1, "")
        assert f"\nzeebe  {zeebe}  ready, unreachable\n  to  http://127.0.0.1:9\n" in out
        assert "\n  as  credential shared\n" in out
        assert "  not ready\n" in out
        assert "connection refused" in out
        assert "\n  Requests: 1, of which running: 0." in out
        assert out.startswith("camunda-auth-proxy ")
        assert max(map(len, out.splitlines())) <= WIDTH
        assert SECRET not in out
        for admin in (f"http://localhost:{port}/", f"localhost:{port}", str(port), f"http://[::1]:{port}"):
            code, out, _ = await command("status", "--admin", admin, "--json")
            assert (code, json.loads(out)["upstreams"][0]["name"], out.count("\n")) == (1, "zeebe", 1), admin
        environ = {"CAMUNDA_AUTH_PROXY_ADMIN_LISTEN": f"127.0.0.1:{port}"}
        assert "operate" in (await command("status", environ=environ))[1]


async def test_the_exit_code_is_0_if_all_are_ready(tmp_path: Path) -> None:
    port = free_port()
    text = TEXT.replace("PORT", str(port)).replace("credential: identity", "credential: shared")
    async with proxy(tmp_path, text) as running:
        await running.admin()
        assert (await command("status", "--admin", str(port)))[0] == 0


async def test_without_a_proxy_the_status_says_so(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{sock.getsockname()[1]}"
        code, out, err = await command("status", "--admin", where, folder=tmp_path)
        assert (code, out) == (1, "")
        assert err.startswith(f"No proxy answers at http://{where}: Connection refused. ")
        code, out, _ = await command("status", "--admin", where, "--json", folder=tmp_path)
        assert (code, json.loads(out)["ready"]) == (1, False)


@asynccontextmanager
async def stranger(body: bytes) -> AsyncIterator[int]:
    """Another program at the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


ESCAPES = {
    "name": "\x1b]0;title\x07",
    "listen": ["127.0.0.1:1"],
    "url": "x\x1b[2J",
    "credential": "c",
    "target": "",
    "state": "ready",
    "reason": "",
    "requests": 1,
    "in_flight": 0,
    "upstream": {"state": "answers"},
}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"upstreams": 1}',
        b'{"upstreams": [1], "ready": true, "draining": false, "version": "1", "uptime": 1}',
        b'{"upstreams": [], "ready": true, "draining": false, "version": "1", "uptime": "x"}',
        b"[" * 100_000,
    ],
)
async def test_another_program_at_the_port_is_one_sentence(body: bytes) -> None:
    async with stranger(body) as port:
        code, out, err = await command("status", "--admin", str(port))
    assert (code, out, err.count("\n")) == (1, "", 1), err
    assert "Traceback" not in err


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
GOOD = {
    "upstreams": [ESCAPES],
    "credentials": [{"name": "c", "target": "", "usable": True, "expires_in": 5.0}],
    "ready": True,
    "draining": False,
    "version": "1",
    "uptime": 1.0,
}


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", "null", "[1]"])
def test_a_number_that_is_none_is_one_sentence(value: str) -> None:
    text = json.dumps(GOOD).replace('"requests": 1', f'"requests": {value}')
    with pytest.raises(NoStatus, match="cannot be understood"):
        report(json.loads(text))


@given(data=st.data(), value=JSON)
def test_any_value_at_any_place_is_shown_or_one_sentence(data: st.DataObject, value: Any) -> None:
    document = json.loads(json.dumps(GOOD))
    places = [document, document["upstreams"][0], document["upstreams"][0]["upstream"]]
    place = data.draw(st.sampled_from([*places, document["credentials"][0]]))
    place[data.draw(st.sampled_from(sorted(place)))] = value
    try:
        shown = report(document)
    except NoStatus:
        return
    assert "".join(shown.split("\n")).isprintable()
    assert max(map(len, shown.splitlines()[1:])) <= WIDTH


async def test_another_program_cannot_write_to_the_terminal() -> None:
    document = {"upstreams": [ESCAPES], "credentials": [], "ready": True, "draining": False}
    async with stranger(json.dumps({**document, "version": "\x1b[31m", "uptime": 1}).encode()) as port:
        code, out, _ = await command("status", "--admin", str(port))
    assert code == 0
    assert "".join(out.split("\n")).isprintable()


async def test_watching_goes_on_until_it_is_interrupted(tmp_path: Path) -> None:
    """The first status says that no proxy answers."""
    with terminal("status", "--watch", "--admin", str(free_port()), folder=tmp_path) as screen:
        await asyncio.to_thread(screen.until, "No proxy answers")
        await asyncio.to_thread(screen.until, "No proxy answers")
        screen.type("\x03")
        assert screen.ended() == 130


@pytest.mark.parametrize(
    "arguments", [("--admin", "https://localhost:1"), ("--admin", "x"), ("--config", "none.yaml"), ("--xx",)]
)
async def test_a_wrong_usage_is_exit_code_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    code, out, err = await command("status", *arguments, folder=tmp_path)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
