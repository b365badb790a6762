"""HTTP clients of other projects: through the proxy their requests arrive, and the answers reach them.

http_clients/ has a program for each. A line of its stdin is a request: `METHOD URL SIZE WORD...`. SIZE is the
length of the body in bytes (the alphabet again and again). The words are `chunks` (the body has no length),
`expect` (`Expect: 100-continue`), `offer` (`Upgrade: h2c`, set by hand) and `origin` (an `Origin`, which the
proxy refuses). The line that the program prints is status, content type and body with tabs between them, or 0
for the status and the error instead of the body.
"""

import asyncio
import hashlib
import json
import socket
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.app.command import proxy
from tests.real.plain_site import REFUSES, Site, site, summary
from tests.real.recorder import Recorder, recorder
from tests.real.servers import HERE
from tests.real.test_official_clients import bare_environment

pytestmark = pytest.mark.real

TOKEN = "canary-0123456789"
ALPHABET = b"abcdefghijklmnopqrstuvwxyz"
SMALL, MEDIUM, LARGE = 1000, 300_000, 5 << 20
H2C, TLS = b"\r\nupgrade: h2c\r\n", b"\r\nupgrade: tls/1.2\r\n"


class Client(NamedTuple):
    """One of those that http_clients.sh runs."""

    name: str
    offers: bytes = b""  # by itself
    can_offer: bool = False  # if it is told to
    expects: str = ""  # `waits`: for 100 before it sends the body; `says`: it sends the field alone
    keeps: bool = True  # its connection, for more than one request


CLIENTS = [
    Client("java-net-http", offers=H2C, expects="waits"),
    Client("spring-restclient", offers=H2C),
    Client("apache-httpclient-5.4", offers=TLS, expects="waits"),  # it offers where there is no body
    Client("apache-httpclient-5.6", can_offer=True, expects="waits"),
    Client("okhttp", can_offer=True, expects="waits"),
    Client("curl", offers=H2C, expects="waits", keeps=False),
    Client("go", can_offer=True, expects="waits"),
    Client("undici"),
    Client("fetch"),
    Client("node-http", can_offer=True, expects="waits"),
    Client("requests", can_offer=True, expects="says"),
    Client("httpx", can_offer=True, expects="says"),
    Client("aiohttp", can_offer=True, expects="waits"),
]

every_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
each_that_expects = pytest.mark.parametrize(
    "client", [client for client in CLIENTS if client.expects], ids=lambda client: client.name
)


class Answer(NamedTuple):
    status: int
    type: str
    body: str


class Way(NamedTuple):
    """A way to the proxy, and what lies behind it.

    Attributes:
        site: the upstream that answers.
        seen: what went between a client and the proxy's port for it.
        dead: URL of the proxy's port for an upstream that is not there.
    """

    site: Site
    seen: Recorder
    dead: str


@asynccontextmanager
async def way(folder: Path) -> AsyncIterator[Way]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nothing = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with (
        site() as served,
        proxy(folder, config(site=served.url, dead=nothing)) as sidecar,
        recorder(await sidecar.url("site")) as seen,
    ):
        yield Way(served, seen, await sidecar.url("dead"))


class Program:
    """A client that runs.

    Attributes:
        way: to the proxy.
    """

    def __init__(self, process: Process, way: Way) -> None:
        self.way = way
        self._process = process

    async def send(self, method: str, target: str = "/", size: int = 0, *words: str) -> Answer:
        """Send one request to the port of the site; `target` may also be a URL."""
        url = target if target.startswith("http:") else self.way.seen.url + target
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{' '.join((method, url, str(size), *words))}\n".encode())
        async with asyncio.timeout(60):
            line = (await stdout.readline()).decode()
        status, kind, body = line.rstrip("\n").split("\t")
        return Answer(int(status), kind, body)


@asynccontextmanager
async def running(client: Client, folder: Path) -> AsyncIterator[Program]:
    async with way(folder) as found:
        process = await asyncio.create_subprocess_exec(
            HERE / "http_clients/http_clients.sh",
            *("run", client.name),
            env=bare_environment(),
            stdin=PIPE,
            stdout=PIPE,
        )
        try:
            yield Program(process, found)
        finally:
            process.kill()
            await process.wait()


def config(**urls: str) -> dict[str, Any]:
    upstreams = {
        name: {"api": "other", "url": url, "listen": "127.0.0.1:0", "credential": "token"}
        for name, url in urls.items()
    }
    return {
        "upstreams": upstreams,
        "credentials": {"token": {"type": "bearer", "token": TOKEN}},
        "admin": {"listen": "127.0.0.1:0"},
    }


def arrived(method: str, size: int, *words: str) -> Answer:
    """What the site answers where this body arrived as it was sent."""
    framing = "chunks" if "chunks" in words else "length"
    body = (ALPHABET * (size // len(ALPHABET) + 1))[:size]
    said = summary(method, framing if size else "", size, hashlib.sha256(body).hexdigest())
    return Answer(200, "application/json", json.dumps(said))


@every_client
async def test_bodies_arrive_and_offers_to_upgrade_do_not_and_the_connection_is_kept(
    client: Client, tmp_path: Path
) -> None:
    offer = ("offer",) if client.can_offer else ()
    async with running(client, tmp_path) as program:
        for method, size, *words in (
            ("GET", 0, *offer),
            ("POST", SMALL, *offer),
            ("POST", MEDIUM, *offer),
            ("POST", MEDIUM, "chunks", *offer),
            ("PUT", SMALL, "chunks"),
            ("POST", SMALL),
            ("GET", 0),
        ):
            assert await program.send(method, "/", size, *words) == arrived(method, size, *words)
        requests = program.way.site.received
        assert len(requests) == 7
        assert all(each.has("authorization", f"Bearer {TOKEN}") for each in requests)
        assert not [each for each in requests if {"upgrade", "http2-settings"} & each.fields.keys()]
        assert not [each for each in requests if "upgrade" in str(each.fields.get("connection")).lower()]

        sent = [connection.sent.lower() for connection in program.way.seen.connections]
        assert len(sent) == (1 if client.keeps else 7)
        assert sum(each.count(H2C) for each in sent) == (7 if client.offers == H2C else 4 * len(offer))
        assert sum(each.count(TLS) for each in sent) == (2 if client.offers == TLS else 0)


async def test_curl_sends_several_bodies_on_one_connection_and_offers_http2_with_each(
    tmp_path: Path,
) -> None:
    async with way(tmp_path) as found:
        process = await asyncio.create_subprocess_exec(
            *("curl", "-sS", "--fail", "--http2", "-d", "{}", *[found.seen.url] * 3),
            env=bare_environment(),
            stdout=DEVNULL,
        )
        assert await process.wait() == 0
        assert [each.size for each in found.site.received] == [2, 2, 2]
        [connection] = found.seen.connections
        assert connection.sent.lower().count(H2C) == 3


@each_that_expects
async def test_a_body_arrives_whose_client_waits_for_100_continue(client: Client, tmp_path: Path) -> None:
    async with running(client, tmp_path) as program:
        for words in (("expect",), ("expect", "chunks")):
            assert await program.send("POST", "/", MEDIUM, *words) == arrived("POST", MEDIUM, *words)
        assert await program.send("POST", "/", SMALL) == arrived("POST", SMALL)
        connections = program.way.seen.connections
        assert len(connections) == (1 if client.keeps else 3)
        assert sum(each.sent.lower().count(b"\r\nexpect: 100-continue\r\n") for each in connections) == 2
        assert sum(each.answered.count(b"HTTP/1.1 100 ") for each in connections) == 2


@each_that_expects
async def test_a_refusal_instead_of_100_continue_is_seen_and_what_follows_arrives(
    client: Client, tmp_path: Path
) -> None:
    async with running(client, tmp_path) as program:
        for words in (("expect",), ("expect", "chunks")):
            assert await program.send("POST", REFUSES, LARGE, *words) == refused()
            assert await program.send("POST", "/", SMALL) == arrived("POST", SMALL)
        assert not any(b"HTTP/1.1 100 " in each.answered for each in program.way.seen.connections)
        if client.expects == "waits":
            assert sum(len(each.sent) for each in program.way.seen.connections) < MEDIUM


@every_client
async def test_an_upload_that_the_upstream_refuses_at_its_head_is_answered_with_the_refusal(
    client: Client, tmp_path: Path
) -> None:
    async with running(client, tmp_path) as program:
        for _ in range(3):
            for words in ((), ("chunks",)):
                assert await program.send("POST", REFUSES, LARGE, *words) == refused()
                assert await program.send("POST", "/", SMALL, *words) == arrived("POST", SMALL, *words)


@every_client
async def test_errors_of_the_proxy_itself_reach_a_client_in_words_during_an_upload_too(
    client: Client, tmp_path: Path
) -> None:
    async with running(client, tmp_path) as program:
        for size, *words in ((0,), (SMALL,), (SMALL, "chunks"), (LARGE,), (LARGE, "chunks")):
            method = "POST" if size else "GET"
            unreachable = await program.send(method, program.way.dead + "/", size, *words)
            assert (unreachable.status, problem(unreachable)) == (502, "upstream_unreachable")
            forbidden = await program.send(method, "/", size, "origin", *words)
            assert (forbidden.status, problem(forbidden)) == (403, "cross_site")
        assert program.way.site.received == []
        assert await program.send("POST", "/", SMALL) == arrived("POST", SMALL)


def refused() -> Answer:
    return Answer(413, "application/json", json.dumps({"refused": "too large"}))


def problem(answer: Answer) -> str:
    """The code of an answer of the proxy itself, which says in words what is wrong."""
    assert answer.type.startswith("application/problem+json"), answer
    said = json.loads(answer.body)
    assert said["detail"]
    return str(said["type"]).rpartition(":")[2]
