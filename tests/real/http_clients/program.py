"""Sends the requests that stdin names, one line each, with the client that the argument names, and prints one
line for each answer. test_http_clients.py describes both lines."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

PIECE = 16384
OFFER = {
    "Connection": "Upgrade, HTTP2-Settings",
    "Upgrade": "h2c",
    "HTTP2-Settings": "AAMAAABkAAQAAP__",
}


class Request(NamedTuple):
    method: str
    url: str
    body: bytes
    words: frozenset[str]

    @property
    def headers(self) -> dict[str, str]:
        fields = OFFER if "offer" in self.words else {}
        return fields | ({"Origin": "http://elsewhere.example"} if "origin" in self.words else {})

    @property
    def expects(self) -> dict[str, str]:
        return {"Expect": "100-continue"} if "expect" in self.words else {}

    def pieces(self) -> Iterator[bytes]:
        for at in range(0, len(self.body), PIECE):
            yield self.body[at : at + PIECE]


Answer = tuple[int, str, str]


@cache
def of_requests() -> Any:
    import requests

    return requests.Session()


def with_requests(request: Request) -> Answer:
    data = request.pieces() if "chunks" in request.words else request.body
    headers = request.headers | request.expects
    answer = of_requests().request(request.method, request.url, data=data or None, headers=headers)
    return answer.status_code, answer.headers["Content-Type"], answer.text


@cache
def of_httpx() -> Any:
    import httpx

    return httpx.Client(timeout=60)


def with_httpx(request: Request) -> Answer:
    content = request.pieces() if "chunks" in request.words else request.body
    headers = request.headers | request.expects
    answer = of_httpx().request(request.method, request.url, content=content or None, headers=headers)
    return answer.status_code, answer.headers["Content-Type"], answer.text


@cache
def runner() -> asyncio.Runner:
    return asyncio.Runner()


@cache
def of_aiohttp() -> Any:
    import aiohttp

    return aiohttp.ClientSession()


def with_aiohttp(request: Request) -> Answer:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in request.pieces():
            yield piece

    async def send() -> Answer:
        data = pieces() if "chunks" in request.words else request.body
        expects = "expect" in request.words
        async with of_aiohttp().request(
            request.method, request.url, data=data or None, headers=request.headers, expect100=expects
        ) as answer:
            return answer.status, answer.headers["Content-Type"], await answer.text()

    return runner().run(send())


def with_curl(request: Request) -> Answer:
    """A process for each request: `curl --http2` offers HTTP/2 by itself."""
    with TemporaryDirectory() as folder:
        sent, got = Path(folder, "sent"), Path(folder, "got")
        sent.write_bytes(request.body)
        fields = request.headers | (request.expects or {"Expect": ""})  # else it adds one above 1 MiB
        if "chunks" in request.words:
            fields["Transfer-Encoding"] = "chunked"
        data = ("--data-binary", f"@{sent}") if request.body else ()
        headers = [word for name, value in fields.items() for word in ("-H", f"{name}: {value}".strip())]
        command = ("curl", "-sS", "--http2", "--expect100-timeout", "60", "-X", request.method)
        printed = ("-o", str(got), "-w", "%{http_code}\t%{content_type}")
        done = subprocess.run(
            (*command, *headers, *data, *printed, request.url),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        status, _, kind = done.stdout.rpartition("\n")[2].partition("\t")
        return int(status), kind, got.read_text()


def main(send: Callable[[Request], Answer]) -> None:
    for line in sys.stdin:
        method, url, size, *words = line.split()
        letters = b"abcdefghijklmnopqrstuvwxyz"
        body = (letters * (int(size) // 26 + 1))[: int(size)]
        try:
            status, kind, text = send(Request(method, url, body, frozenset(words)))
        except Exception as error:  # noqa: BLE001 (the test shows it, whatever it is)
            said = error.stdout if isinstance(error, subprocess.CalledProcessError) else repr(error)
            status, kind, text = 0, "-", str(said)
        sys.stdout.write(f"{status}\t{kind}\t{' '.join(text.split())}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(globals()[f"with_{sys.argv[1]}"])
