"""Where an issuer's token endpoint is: what is believed, and when it is asked for again."""

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.discovery import token_endpoint
from proxy.credentials.oauth2 import OAuth2Settings, OAuth2Source
from proxy.credentials.outbound import Outbound
from proxy.credentials.reply import Reply
from proxy.credentials.secret import TextSecret
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable
from proxy.terms import DISCOVERY
from tests.clock import FakeClock
from tests.token_server import TOKEN

CANARY = "c4n4ry-s3cr3t"
ISSUER = "https://login.test/realms/r"
ENDPOINT = "https://tokens.test/t"


def answer(status: int = 200, body: bytes | None = None, **changes: Any) -> Reply:
    members = {"issuer": ISSUER, "token_endpoint": ENDPOINT, "x": [1]} | changes
    members = {name: value for name, value in members.items() if value is not ...}
    return Reply(
        status,
        json.dumps(members).encode() if body is None else body,
        (("content-type", "application/json"), ("retry-after", "7")),
    )


@pytest.mark.parametrize(
    "endpoint",
    [
        ENDPOINT,
        "https://login.test:8443/t?tenant=a",
        "HTTPS://LOGIN.TEST/t",
        "https://[::1]:8443/t",
    ],
)
def test_the_token_endpoint_is_taken_as_it_is_written(endpoint: str) -> None:
    assert token_endpoint(answer(token_endpoint=endpoint), ISSUER, 0.0) == endpoint


def test_an_issuer_may_write_itself_with_a_slash_at_the_end() -> None:
    assert token_endpoint(answer(issuer=f"{ISSUER}/"), ISSUER, 0.0) == ENDPOINT


def test_what_is_asked_in_clear_may_answer_so() -> None:
    plain = answer(issuer="http://127.0.0.1:18080/r", token_endpoint="http://127.0.0.1:18080/t")
    assert token_endpoint(plain, "http://127.0.0.1:18080/r", 0.0) == "http://127.0.0.1:18080/t"


@pytest.mark.parametrize(
    ("given", "outcome", "says"),
    [
        (answer(issuer="https://login.test/realms/R"), "invalid", "names another issuer"),
        (answer(issuer=f"{ISSUER}//"), "invalid", "names another issuer"),
        (answer(issuer="http://login.test/realms/r"), "invalid", "names another issuer"),
        (answer(issuer=...), "invalid", "names another issuer"),
        (answer(issuer=[ISSUER]), "invalid", "names another issuer"),
        (answer(token_endpoint="http://login.test/t"), "invalid", "is plain http"),
        (answer(token_endpoint=...), "invalid", "names no token_endpoint"),
        (answer(token_endpoint=None), "invalid", "names no token_endpoint"),
        (answer(token_endpoint=""), "invalid", "names no token_endpoint"),
        (answer(token_endpoint="/t"), "invalid", "names no token_endpoint"),
        (answer(token_endpoint="//login.test/t"), "invalid", "names no token_endpoint"),
        (answer(token_endpoint="file:///etc/passwd"), "invalid", "names no token_endpoint"),
        (answer(token_endpoint="https:///t"), "invalid", "names no token_endpoint"),
        (answer(token_endpoint="https://login.test:x/t"), "invalid", "names no token_endpoint"),
        (answer(token_endpoint="https://login.test:0/t"), "invalid", "names no token_endpoint"),
        (answer(token_endpoint="https://[::1/t"), "invalid", "names no token_endpoint"),
        (answer(token_endpoint="https://me:pw@login.test/t"), "invalid", "names no token_endpoint"),
        (answer(token_endpoint="https://login.test/t#f"), "invalid", "names no token_endpoint"),
        (answer(token_endpoint="https://login.test/t\r\nX: y"), "invalid", "names no token_endpoint"),
        (answer(token_endpoint="https://login.test/\u00fc"), "invalid", "names no token_endpoint"),
        (answer(token_endpoint="https://login.test/" + "t" * 2048), "invalid", "names no token_endpoint"),
        (answer(body=b"<html>"), "invalid", "is not JSON"),
        (answer(body=b'{"issuer":1,"issuer":2}'), "invalid", "is not JSON"),
        (answer(body=b"[]"), "invalid", "is not a JSON object"),
        (answer(body=b" " * ((1 << 20) + 1)), "invalid", "is larger than 1 MiB"),
        (Reply(200, b"{}", (("content-type", "text/html"),)), "invalid", "by its Content-Type"),
        (answer(301), "invalid", "redirect (301), which the proxy does not follow"),
        (answer(404), "invalid", "answered 404 at /.well-known/openid-configuration"),
        (answer(401), "invalid", "answered 401 at /.well-known/openid-configuration"),
        (answer(429), "limited", "(429)"),
        (answer(503), "unavailable", "failed (503)"),
    ],
)
def test_what_makes_no_sense_is_told(given: Reply, outcome: str, says: str) -> None:
    with pytest.raises(CredentialUnavailable) as caught:
        token_endpoint(given, ISSUER, 0.0)
    assert says in str(caught.value)
    assert caught.value.outcome == outcome
    if given.status != 200:
        assert caught.value.retry_after == 7.0


@given(st.text(max_size=40) | st.builds("https://{}".format, st.text(max_size=40)))
def test_no_text_becomes_a_place_that_is_no_https_url(text: str) -> None:
    try:
        found = token_endpoint(answer(token_endpoint=text), ISSUER, 0.0)
    except CredentialUnavailable:
        return
    assert found == text
    assert text.isascii()
    assert text.isprintable()
    parts = urlsplit(text)
    assert (parts.scheme, parts.username) == ("https", None)
    assert parts.hostname


# -- on the wire --


class IssuerServer:
    """An issuer and its token endpoint.

    Attributes:
        url: the issuer's, without a slash at the end.
        place: path of its token endpoint.
        discoveries: how often it was asked for its document.
        bodies: of token requests, by the path they came to.
        script: answers to come from the token endpoint; then a good token.
        document: what stands in the document beside issuer and endpoint, and instead of them.
    """

    def __init__(self) -> None:
        self.url = ""
        self.place = "/t1"
        self.discoveries = 0
        self.bodies: list[tuple[str, str]] = []
        self.script: deque[web.Response | None] = deque()
        self.document: dict[str, object] = {}

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if request.path == f"/realms/r{DISCOVERY}":
            self.discoveries += 1
            assert request.method == "GET"
            assert not await request.read()
            endpoint = self.url.replace("/realms/r", self.place)
            return web.json_response({"issuer": self.url, "token_endpoint": endpoint} | self.document)
        self.bodies.append((request.path, await request.text()))
        if self.script:
            scripted = self.script.popleft()
            if scripted is None:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            return scripted
        return web.json_response(TOKEN) if request.path == self.place else web.Response(status=404)


@pytest.fixture
async def issuer() -> AsyncIterator[IssuerServer]:
    issuer = IssuerServer()
    runner = web.ServerRunner(web.Server(issuer.answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}/realms/r"
    yield issuer
    await runner.cleanup()


@asynccontextmanager
async def asking(issuer: IssuerServer) -> AsyncIterator[OAuth2Source]:
    outbound = Outbound()
    settings = OAuth2Settings(None, "me", TextSecret(CANARY), issuer_url=issuer.url)
    try:
        yield OAuth2Source(settings, outbound, FakeClock())
    finally:
        await outbound.close()


async def failure(source: OAuth2Source) -> CredentialError:
    with pytest.raises((CredentialRejected, CredentialUnavailable)) as caught:
        await source.fetch()
    assert CANARY not in f"{caught.value!r} {caught.value}"
    return caught.value


async def test_the_endpoint_is_asked_for_once_and_the_secret_goes_there_alone(issuer: IssuerServer) -> None:
    async with asking(issuer) as source:
        for _ in range(3):
            assert (await source.fetch()).fields == ((b"Authorization", b"Bearer abc.def.ghi"),)
    assert issuer.discoveries == 1
    assert {path for path, _ in issuer.bodies} == {"/t1"}
    assert parse_qs(issuer.bodies[0][1])["client_secret"] == [CANARY]


@pytest.mark.parametrize(
    "fault",
    [None, web.Response(status=500), web.Response(status=503), web.Response(status=404), web.Response()],
)
async def test_an_endpoint_that_fails_is_asked_for_again(
    issuer: IssuerServer, fault: web.Response | None
) -> None:
    async with asking(issuer) as source:
        await source.fetch()
        issuer.script.append(fault)
        await failure(source)
        issuer.place = "/t2"
        await source.fetch()
    assert issuer.discoveries == 2
    assert [path for path, _ in issuer.bodies] == ["/t1", "/t1", "/t2"]


async def test_an_endpoint_that_moves_is_found_after_one_failure(issuer: IssuerServer) -> None:
    async with asking(issuer) as source:
        await source.fetch()
        issuer.place = "/t2"
        await failure(source)
        await source.fetch()
    assert issuer.discoveries == 2


@pytest.mark.parametrize("status", [401, 429])
async def test_a_refused_client_is_no_reason_to_ask_again(issuer: IssuerServer, status: int) -> None:
    async with asking(issuer) as source:
        issuer.script.append(web.Response(status=status))
        await failure(source)
        await source.fetch()
    assert issuer.discoveries == 1


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "http://127.0.0.1/elsewhere"},
        {"token_endpoint": "ftp://127.0.0.1/t"},
        {"token_endpoint": None},
    ],
)
async def test_an_issuer_that_makes_no_sense_gets_no_secret_and_is_asked_again(
    issuer: IssuerServer, document: dict[str, object]
) -> None:
    async with asking(issuer) as source:
        issuer.document = document
        error = await failure(source)
        assert error.outcome == "invalid"
        assert str(error).startswith("the issuer")
        assert not issuer.bodies
        issuer.document = {}
        await source.fetch()


async def test_an_issuer_that_is_not_there_is_named(issuer: IssuerServer) -> None:
    issuer.url = issuer.url.replace("/realms", "/other")
    async with asking(issuer) as source:
        said = str(await failure(source))
        assert said.startswith(f"the issuer at {issuer.url}: it answered 404 at /.well-known/openid-conf")
    issuer.url = "http://127.0.0.1:1/r"
    async with asking(issuer) as source:
        said = str(await failure(source))
        assert said.startswith(
            "the issuer at http://127.0.0.1:1/r/.well-known/openid-configuration: connection refused: "
        )
