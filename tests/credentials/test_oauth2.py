"""Client credentials against a real token endpoint: what is sent, and what comes of each answer."""

import json
import socket
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qs, parse_qsl

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.keeper import Keeper
from proxy.credentials.oauth2 import OAuth2Settings, OAuth2Source, key_of, token_request
from proxy.credentials.outbound import Outbound
from proxy.credentials.secret import FileSecret, TextSecret
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable
from proxy.outgoing.connect import Connector
from tests.clock import FakeClock
from tests.credentials.sources import running
from tests.token_server import TokenServer, raw_server, token_server

CANARY = "c4n4ry-s3cr3t"


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    async with token_server() as server:
        yield server


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound()
    yield outbound
    await outbound.close()


def wanted(url: str, **changes: Any) -> OAuth2Settings:
    return replace(OAuth2Settings(url, "me", TextSecret(CANARY)), **changes)


async def test_a_token_is_fetched_and_stamped(server: TokenServer, outbound: Outbound) -> None:
    clock = FakeClock()
    credential = await OAuth2Source(wanted(server.url, audience="a b"), outbound, clock).fetch()
    assert credential.fields == ((b"Authorization", b"Bearer abc.def.ghi"),)
    assert (credential.fetched_at, credential.expires_at) == (1000.0, 1300.0)
    (asked,) = server.asked
    assert asked.method == "POST"
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert asked.headers["User-Agent"] == "camunda-auth-proxy"
    assert dict(parse_qsl(asked.body.decode(), strict_parsing=True)) == {
        "grant_type": "client_credentials",
        "client_id": "me",
        "client_secret": CANARY,
        "audience": "a b",
    }


async def test_json_as_the_saas_pages_print_it(server: TokenServer, outbound: Outbound) -> None:
    settings = wanted(
        server.url,
        request_format="json",
        scope="s",
        resource="r",
        parameters=(("organization", "ü"), ("grant_type", "password")),
    )
    await OAuth2Source(settings, outbound, FakeClock()).fetch()
    (asked,) = server.asked
    assert asked.headers["Content-Type"] == "application/json"
    assert json.loads(asked.body) == {
        "grant_type": "client_credentials",
        "client_id": "me",
        "client_secret": CANARY,
        "scope": "s",
        "resource": "r",
        "organization": "ü",
    }


async def test_basic_has_id_and_secret_form_encoded_first(server: TokenServer, outbound: Outbound) -> None:
    settings = wanted(
        server.url, client_id="a:b c", secret=TextSecret("ü+/%"), auth_method="client_secret_basic"
    )
    await OAuth2Source(settings, outbound, FakeClock()).fetch()
    (asked,) = server.asked
    scheme, _, pair = asked.headers["Authorization"].partition(" ")
    assert (scheme, b64decode(pair)) == ("Basic", b"a%3Ab+c:%C3%BC%2B%2F%25")
    assert parse_qs(asked.body.decode()) == {"grant_type": ["client_credentials"]}


async def test_a_scope_that_ends_in_default_is_sent_as_it_is(server: TokenServer, outbound: Outbound) -> None:
    scope = "api://5a1b/.default"  # Entra ID
    await OAuth2Source(wanted(server.url, scope=scope), outbound, FakeClock()).fetch()
    (asked,) = server.asked
    assert parse_qs(asked.body.decode())["scope"] == [scope]
    assert "audience" not in parse_qs(asked.body.decode())


async def test_cookies_of_a_token_endpoint_are_not_kept(server: TokenServer, outbound: Outbound) -> None:
    with_cookie = web.json_response({"access_token": "a", "expires_in": 5})
    with_cookie.set_cookie("session", "x")
    server.script.append(with_cookie)
    url = server.url.replace("127.0.0.1", "localhost")  # no jar keeps cookies of bare addresses
    source = OAuth2Source(wanted(url), outbound, FakeClock())
    await source.fetch()
    await source.fetch()
    assert "Cookie" not in server.asked[1].headers


async def test_a_redirect_is_not_followed(server: TokenServer, outbound: Outbound) -> None:
    server.script.append(web.Response(status=307, headers={"Location": "/elsewhere"}))
    error = await failure(OAuth2Source(wanted(server.url), outbound, FakeClock()))
    assert error.outcome == "invalid"
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("response", "outcome", "retry_after"),
    [
        ({"status": 429, "headers": {"Retry-After": "7"}}, "limited", 7.0),
        (
            {
                "status": 503,
                "headers": {
                    "Date": "Sun, 06 Nov 1994 08:49:30 GMT",
                    "Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT",
                },
            },
            "unavailable",
            7.0,
        ),
        ({"status": 401, "body": b'{"error": "invalid_client"}'}, "rejected", None),
        ({"status": 200, "body": b"<html>" + CANARY.encode(), "content_type": "text/html"}, "invalid", None),
        ({"status": 200, "body": b"x" * (3 << 20), "content_type": "application/json"}, "invalid", None),
    ],
)
async def test_each_answer_has_its_outcome_on_the_wire(
    server: TokenServer,
    outbound: Outbound,
    response: dict[str, Any],
    outcome: str,
    retry_after: float | None,
) -> None:
    server.script.append(web.Response(**response))
    error = await failure(OAuth2Source(wanted(server.url), outbound, FakeClock()))
    assert (error.outcome, error.retry_after) == (outcome, retry_after)


async def test_no_answer_in_time(server: TokenServer, outbound: Outbound) -> None:
    server.open.clear()
    error = await failure(OAuth2Source(wanted(server.url, timeout=0.05), outbound, FakeClock()))
    assert str(error).startswith(f"the token endpoint at {server.url}: no answer came in time (timeout)")


async def test_nobody_listens(outbound: Outbound) -> None:
    async with raw_server(b"") as url:
        pass
    error = await failure(OAuth2Source(wanted(url), outbound, FakeClock()))
    assert str(error).startswith(f"the token endpoint at {url.removesuffix('/')}: connection refused: ")


def no_names(*_: object, **__: object) -> NoReturn:
    """Resolves nothing, without asking any server."""
    raise socket.gaierror(socket.EAI_NONAME, CANARY)


async def test_no_such_name() -> None:
    outbound = Outbound(connector=Connector(FakeClock().now, no_names))
    error = await failure(OAuth2Source(wanted("http://nobody.invalid/"), outbound, FakeClock()))
    await outbound.close()
    assert str(error).startswith("the token endpoint at http://nobody.invalid:80: its name has no address")


@pytest.mark.parametrize("url", ["http://a..b/", "http://" + "a" * 70, "http://127.0.0.1:99999/", "nonsense"])
async def test_a_url_that_cannot_be_is_a_failed_fetch(outbound: Outbound, url: str) -> None:
    error = await failure(OAuth2Source(wanted(url), outbound, FakeClock()))
    assert "its host is no name that DNS can have. Correct the URL" in str(error)
    assert error.outcome == "invalid"


async def test_no_tls_at_the_other_end(server: TokenServer, outbound: Outbound) -> None:
    url = server.url.replace("http:", "https:")
    error = await failure(OAuth2Source(wanted(url), outbound, FakeClock()))
    assert "it does not speak TLS at this port. Correct the port in the URL, or write http://" in str(error)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"c4n4ry-s3cr3t\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: c4n4ry-s3cr3t\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc4n4ry-s3cr3t",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 13\r\n\r\nc4n4ry-s3cr3t",
        b"HTTP/1.1 200 OK\r\nX: " + b"c4n4ry-s3cr3t" * 10_000 + b"\r\n\r\n",
    ],
)
async def test_garbage_is_a_failed_fetch(outbound: Outbound, octets: bytes) -> None:
    async with raw_server(octets) as url:
        error = await failure(OAuth2Source(wanted(url), outbound, FakeClock()))
    assert error.outcome in ("unavailable", "invalid")


async def test_no_more_than_1_mib_is_read(outbound: Outbound) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999999\r\n\r\n"
    async with raw_server(head + b" " * (2 << 20)) as url:
        error = await failure(OAuth2Source(wanted(url), outbound, FakeClock()))
    assert str(error).endswith(": its answer is larger than 1 MiB")


async def test_a_secret_that_cannot_be_written_is_told_without_it(outbound: Outbound) -> None:
    settings = wanted("http://127.0.0.1:9/", secret=TextSecret(CANARY + "\ud800"))
    assert (await failure(OAuth2Source(settings, outbound, FakeClock()))).outcome == "invalid"


async def test_a_rotated_secret_is_used_without_a_restart(
    server: TokenServer, outbound: Outbound, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    path.write_text("old\n")
    secret = FileSecret(path)
    source = OAuth2Source(wanted(server.url, secret=secret), outbound, FakeClock())
    await source.fetch()
    path.write_text("the new one\n")
    await source.fetch()
    sent = [parse_qs(asked.body.decode())["client_secret"] for asked in server.asked]
    assert sent == [["old"], ["the new one"]]


async def test_a_keeper_takes_its_token_from_a_real_endpoint(server: TokenServer, outbound: Outbound) -> None:
    clock = FakeClock()
    keeper = Keeper("saas", OAuth2Source(wanted(server.url), outbound, clock), clock=clock)
    async with running(keeper, clock):
        credential = await keeper.get(10.0)
        assert credential.fields == ((b"Authorization", b"Bearer abc.def.ghi"),)
    assert keeper.tally.outcomes == {"ok": 1}


def test_equal_keys_are_what_one_keeper_can_serve() -> None:
    one = wanted("http://a/")
    assert key_of(one) == key_of(wanted("http://a/", timeout=5.0))
    assert hash(key_of(one)) == hash(key_of(wanted("http://a/")))
    others: list[dict[str, Any]] = [
        {"token_url": "http://b/"},
        {"client_id": "you"},
        {"secret": TextSecret("other")},
        {"secret": FileSecret(Path("other"))},
        {"auth_method": "client_secret_basic"},
        {"request_format": "json"},
        {"audience": "a"},
        {"scope": "a"},
        {"resource": "a"},
        {"parameters": (("a", "b"),)},
    ]
    assert len({key_of(replace(one, **change)) for change in others} | {key_of(one)}) == len(others) + 1


def test_no_secret_in_the_repr_of_settings_and_requests() -> None:
    settings = wanted("http://a/", parameters=(("client_assertion", CANARY),))
    assert CANARY not in repr(settings)
    assert CANARY not in repr(token_request(settings, CANARY))
    assert CANARY not in repr(key_of(settings))


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_a_form_says_what_was_meant_whatever_the_characters(client: str, secret: str, scope: str) -> None:
    settings = wanted("http://a/", client_id=client, scope=scope)
    try:
        request = token_request(settings, secret)
    except CredentialUnavailable:
        assert any(0xD800 <= ord(character) <= 0xDFFF for character in client + secret + scope)
        return
    said = dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))
    assert (said["client_id"], said["client_secret"], said["scope"]) == (client, secret, scope)


async def failure(source: OAuth2Source) -> CredentialError:
    """The error of a fetch, after a look that nothing of the secret, the URL or the answer is in it."""
    with pytest.raises((CredentialRejected, CredentialUnavailable)) as caught:
        await source.fetch()
    error = caught.value
    assert CANARY not in f"{error!r} {error}"
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    return error
