"""The page of the running proxy: what it lists, how it is switched off, and how it ends."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.app.facts import EXAMPLES, facts
from proxy.commands.doctor.calls import CALLS
from tests.app.command import PATIENCE, proxy
from tests.app.in_process import House, ask, house


class Page:
    """A page that is open."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def event(self) -> Any:
        """The next event; None: the stream has ended."""
        async with asyncio.timeout(PATIENCE):
            while not (line := await self._reader.readline()).startswith(b"data: "):
                if not line:
                    return None
        return json.loads(line[6:])


@asynccontextmanager
async def page(address: str) -> AsyncIterator[Page]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 22)
    writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    try:
        yield Page(reader)
    finally:
        writer.close()


async def next_event(it: House, shown: Page) -> Any:
    """The event of the next second."""
    await it.clock.advance(1.0)
    return await shown.event()


def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_a_request_is_listed_with_its_path_and_without_its_query(tmp_path: Path) -> None:
    async with house(tmp_path) as it, page(it.proxy.admin_address) as shown:
        await shown.event()
        await ask(await it.caller(), "/v2/topology?access_token=in-the-query")
        event = await next_event(it, shown)
        (listed,) = event["requests"]
        (upstream,) = event["upstreams"]
    wanted = ("zeebe", "GET", "/v2/topology", 200, None, False)
    assert (
        tuple(listed[name] for name in ("upstream", "method", "path", "status", "problem", "repaired"))
        == wanted
    )
    assert (upstream["level"], upstream["requests"], event["points"]["zeebe"][-1][0]) == ("good", 1, 1.0)
    assert "in-the-query" not in json.dumps(event)


async def test_a_request_that_was_sent_again_and_one_that_failed_say_so(tmp_path: Path) -> None:
    async with house(tmp_path) as it, page(it.proxy.admin_address) as shown:
        await shown.event()
        it.a.accepts = b"Bearer token-2"
        await it.clock.advance(2.0)  # a repair has to wait a second after the fetch
        assert await it.says() == "a"
        await ask(await it.caller(), "/v2/topology", "Sec-Fetch-Site: cross-site")
        for _ in range(2):
            await shown.event()
        again, refused = (await next_event(it, shown))["requests"]
    assert (again["status"], again["repaired"]) == (200, True)
    assert (refused["status"], refused["problem"]) == (403, "cross_site")


async def test_what_the_log_says_of_an_upstream_is_listed(tmp_path: Path) -> None:
    async with house(tmp_path) as it, page(it.proxy.admin_address) as shown:
        await shown.event()
        await ask(await it.caller(), "/v2/topology", "Sec-Fetch-Site: cross-site")
        (problem,) = (await next_event(it, shown))["problems"]
    assert problem["upstream"] == "zeebe"
    assert problem["said"].startswith("The request comes from a web page of another site")
    assert problem["request_id"]


async def test_the_list_can_be_switched_off_and_on_again_without_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path) as it, page(it.proxy.admin_address) as shown:
        recent = it.proxy.state.recent
        assert recent is not None
        await it.says()
        for wanted, expected in ((False, None), (True, [])):
            it.document["admin"]["recent_requests"] = wanted
            await it.apply()
            assert (await next_event(it, shown)) is not None
            event = await next_event(it, shown)
            assert event["requests"] == expected
            assert len(recent.requests) == 0
            await it.says()
        assert len(recent.requests) == 1


async def test_pages_end_when_a_reload_moves_the_admin_port(tmp_path: Path) -> None:
    async with house(tmp_path) as it, page(it.proxy.admin_address) as shown:
        await shown.event()
        it.document["admin"]["listen"] = f"127.0.0.1:{free_port()}"
        await it.apply()
        await it.clock.advance(2.0)
        while await shown.event() is not None:
            pass
        async with page(it.proxy.admin_address) as other:
            assert (await other.event())["level"] == "good"


async def test_an_open_page_does_not_delay_the_end_of_the_process(tmp_path: Path) -> None:
    """The grace is longer than the patience of `proxy`, which expects exit code 0."""
    config = {
        "upstreams": {
            "zeebe": {"url": "http://127.0.0.1:9", "listen": "localhost:0", "credential": "shared"}
        },
        "credentials": {"shared": {"type": "bearer", "token": "a-token-of-this-test"}},
        "admin": {"listen": "127.0.0.1:0"},
        "shutdown": {"grace": "10m"},
    }
    async with proxy(tmp_path, config) as running:
        address = (await running.admin()).removeprefix("http://")
        async with page(address) as shown:
            event = await shown.event()
            assert event["upstreams"][0]["credential"]["account"] == "with a shared token"
            assert "a-token-of-this-test" not in json.dumps(event)
            running.signal()
            assert await running.ended() == 0


def test_the_page_and_the_metrics_are_not_imported_until_they_are_asked_for() -> None:
    code = "import proxy.commands.serve, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    seldom = {"proxy.admin.page", "proxy.admin.events", "proxy.admin.history", "proxy.app.facts"}
    seldom |= {"proxy.admin.metrics", "prometheus_client"}
    assert "proxy.admin.server" in loaded.split()
    assert not seldom & set(loaded.split())


@pytest.mark.parametrize(
    ("credential", "account"),
    [
        (
            {
                "type": "oauth2",
                "token_url": "http://127.0.0.1:9/t?key=1",
                "client_id": "c",
                "client_secret": "s" * 20,
            },
            "as client c",
        ),
        ({"type": "basic", "username": "demo", "password": "s" * 20}, "as user demo"),
        ({"type": "bearer", "token": "s" * 20}, "with a shared token"),
        ({"type": "none"}, "without a credential"),
    ],
)
async def test_it_says_as_whom_the_proxy_calls(
    tmp_path: Path, credential: dict[str, Any], account: str
) -> None:
    def prepare(it: House) -> None:
        it.document["credentials"] = {"identity": credential}

    async with house(tmp_path, prepare) as it:
        assert it.proxy.config is not None
        found = facts(it.proxy.config, it.proxy.served)["zeebe"]
        assert (found.account, found.kind) == (account, credential["type"])
        assert found.address == f"http://localhost:{it.port()}"
        assert found.example == f"curl http://localhost:{it.port()}/v2/topology"
        assert "s" * 20 not in repr(found)


async def test_the_example_is_a_command_that_works_for_a_posix_shell(tmp_path: Path) -> None:
    def prepare(it: House) -> None:
        zeebe = it.document["upstreams"]["zeebe"]
        zeebe |= {"api": "operate", "listen": f"unix:{tmp_path}/operate.sock"}
        it.document["guard"] = {"caller_token": "t" * 20}

    async with house(tmp_path, prepare) as it:
        assert it.proxy.config is not None
        found = facts(it.proxy.config, it.proxy.served)["zeebe"]
    assert found.address == f"unix:{tmp_path}/operate.sock"
    assert found.example == (
        f"curl http://localhost/v1/process-definitions/search --unix-socket {tmp_path}/operate.sock "
        "-H 'X-Proxy-Token: TOKEN' -H 'Content-Type: application/json' -d '{\"size\":1}'"
    )


def test_the_examples_are_calls_that_doctor_makes() -> None:
    made = {api: {(call.path, call.content) for call in calls} for api, calls in CALLS.items()}
    assert EXAMPLES.keys() == made.keys()
    for api, example in EXAMPLES.items():
        assert example in made[api]
