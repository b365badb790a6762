"""The way to a token endpoint: whom to trust, as whom to come, an HTTP proxy in between."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from proxy.app.tls import TlsContexts
from proxy.commands.loop import new_loop
from proxy.config.model import Tls
from proxy.credentials.oauth2 import OAuth2Settings, OAuth2Source
from proxy.credentials.outbound import Outbound
from proxy.credentials.reply import LARGEST_ANSWER, Reply
from proxy.credentials.secret import TextSecret
from proxy.errors import CredentialUnavailable
from proxy.net import HttpProxy
from proxy.outgoing.addresses import AddressInfo
from proxy.outgoing.connect import Connector
from proxy.outgoing.names import GetAddrInfo
from tests.certificates import certificate, serving
from tests.clock import FakeClock
from tests.connect_proxy import ConnectProxy, connect_proxy
from tests.silent import linux, silent
from tests.tls_server import tls_server
from tests.token_server import TokenServer, raw_server, token_server

CANARY = "c4n4ry-s3cr3t"
GOOD = ((b"Authorization", b"Bearer abc.def.ghi"),)
PLAIN = Tls()
WANTED = OAuth2Settings("", "me", TextSecret(CANARY))


@asynccontextmanager
async def way_out(tls: Tls = PLAIN, http_proxy: HttpProxy | None = None) -> AsyncIterator[Outbound]:
    outbound = Outbound(
        tls=TlsContexts().context(tls, "credentials.saas"), server_name=tls.server_name, http_proxy=http_proxy
    )
    try:
        yield outbound
    finally:
        await outbound.close()


async def fetched(
    server: TokenServer,
    tls: Tls = PLAIN,
    http_proxy: HttpProxy | None = None,
) -> Sequence[tuple[bytes, bytes]]:
    """What a fetch brings."""
    async with way_out(tls, http_proxy) as outbound:
        source = OAuth2Source(replace(WANTED, token_url=server.url), outbound, FakeClock())
        return (await source.fetch()).fields


async def failure(server: TokenServer, tls: Tls = PLAIN, http_proxy: HttpProxy | None = None) -> str:
    """What is said of a fetch that fails, after a look that no secret is in it."""
    with pytest.raises(CredentialUnavailable) as caught:
        await fetched(server, tls, http_proxy)
    error = caught.value
    assert CANARY not in f"{error!r} {error}"
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    return str(error)


# -- what comes back --


async def test_fields_come_in_their_order_under_names_in_lower_case() -> None:
    octets = b"HTTP/1.1 302 Found\r\nSet-Cookie: a=1\r\nLocation: /x\r\nset-cookie: a=; Max-Age=0\r\n\r\n"
    async with raw_server(octets) as url, way_out() as outbound:
        answer = await outbound.send("GET", url, to="the login", headers={}, timeout=5.0)
    assert answer.status == 302
    assert answer.fields == (("set-cookie", "a=1"), ("location", "/x"), ("set-cookie", "a=; Max-Age=0"))
    assert answer.get("set-cookie") == "a=1"
    assert answer.get("via") is None


async def test_no_more_is_read_than_is_wanted() -> None:
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + b"x" * (2 << 20)
    async with raw_server(octets) as url, way_out() as outbound:
        answer = await outbound.send("GET", url, to="the login", headers={}, timeout=5.0)
    assert len(answer.body) == LARGEST_ANSWER + 1


async def test_a_server_is_named_as_who_asked_names_it() -> None:
    async with raw_server(b"nonsense\r\n\r\n") as url, way_out() as outbound:
        with pytest.raises(
            CredentialUnavailable, match=r"^the login at http://127.0.0.1:\d+\S*: its answer is not HTTP"
        ):
            await outbound.send("GET", url, to="the login", headers={}, timeout=5.0)


def test_nothing_of_an_answer_is_in_its_repr() -> None:
    answer = Reply(200, CANARY.encode(), (("set-cookie", CANARY),))
    assert CANARY not in repr(answer)


# -- whom we trust --


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls") / "theirs", "login.test")


async def test_an_own_authority_and_another_name_are_verified(theirs: tuple[Path, Path]) -> None:
    async with token_server(serving(theirs)) as server:
        assert await fetched(server, Tls(ca_file=theirs[0], server_name="login.test")) == GOOD


@pytest.mark.parametrize("name", [None, "other.test"])
async def test_a_certificate_for_another_name_gets_no_secret(
    theirs: tuple[Path, Path], name: str | None
) -> None:
    async with token_server(serving(theirs)) as server:
        says = await failure(server, Tls(ca_file=theirs[0], server_name=name))
        assert says.startswith(f"the token endpoint at {server.url}: its certificate is not trusted: ")
        assert "tls.server_name" in says
        assert not server.asked


async def test_an_unknown_authority_gets_no_secret(theirs: tuple[Path, Path]) -> None:
    async with token_server(serving(theirs)) as server:
        says = await failure(server, Tls(server_name="login.test"))
        assert says.startswith(f"the token endpoint at {server.url}: its certificate is not trusted: ")
        assert "tls.ca_file" in says
        assert not server.asked


async def test_an_expired_certificate_gets_no_secret(tmp_path: Path) -> None:
    expired = certificate(tmp_path / "expired", "127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    async with token_server(serving(expired)) as server:
        says = await failure(server, Tls(ca_file=expired[0]))
        assert "its certificate is not trusted: certificate has expired; it has to be renewed" in says
        assert not server.asked


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated")
async def test_old_tls_gets_no_secret(tmp_path: Path) -> None:
    old = certificate(tmp_path / "old", "127.0.0.1")
    context = serving(old)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    async with token_server(context) as server:
        says = await failure(server, Tls(ca_file=old[0]))
        # Who ends it is a matter of OpenSSL's own settings: Debian's package openssl has some.
        assert "during the handshake of TLS" in says or "TLS connection failed" in says or "version" in says
        assert not server.asked


# -- as whom we come --


async def test_tls_client_auth_shows_a_certificate_and_no_secret(
    tmp_path: Path, theirs: tuple[Path, Path]
) -> None:
    ours = certificate(tmp_path / "ours", "me")
    tls = Tls(ca_file=theirs[0], server_name="login.test", cert_file=ours[0], key_file=ours[1])
    async with token_server(serving(theirs, clients=ours[0])) as server, way_out(tls) as outbound:
        settings = OAuth2Settings(server.url, "me", None, auth_method="tls_client_auth")
        assert (await OAuth2Source(settings, outbound, FakeClock()).fetch()).fields == GOOD
    (asked,) = server.asked
    assert parse_qs(asked.body.decode()) == {"grant_type": ["client_credentials"], "client_id": ["me"]}
    assert "Authorization" not in asked.headers


@pytest.mark.parametrize(
    ("version", "alert"),
    [(ssl.TLSVersion.TLSv1_2, "handshake failure"), (ssl.TLSVersion.TLSv1_3, "certificate required")],
)
@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, new_loop])
def test_without_our_certificate_a_server_that_wants_it_gets_no_secret_and_is_quoted(
    tmp_path: Path,
    theirs: tuple[Path, Path],
    version: ssl.TLSVersion,
    alert: str,
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    context = serving(theirs, clients=certificate(tmp_path / "ours", "me")[0])
    context.minimum_version = context.maximum_version = version

    async def fetch(url: str) -> None:
        async with way_out(Tls(ca_file=theirs[0], server_name="login.test")) as outbound:
            said = []
            for _ in range(40):
                with pytest.raises(CredentialUnavailable) as caught:
                    await outbound.send(
                        "POST", url, to="the token endpoint", headers={}, timeout=5.0, body=b"x"
                    )
                said.append(str(caught.value))
        # Under TLS 1.3 a reset follows the alert and may overtake it: seldom on uvloop, often on asyncio.
        told = [each for each in said if f"it sent the TLS alert `{alert}`: " in each]
        assert len(told) >= (1 if loop_factory is asyncio.new_event_loop else 20), said
        assert all("tls.cert_file and tls.key_file" in each for each in told)

    with tls_server(context) as server, asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(fetch(f"https://127.0.0.1:{server.port}/"))
    assert not server.asked


async def test_a_renewed_certificate_is_shown_by_the_next_fetch(
    tmp_path: Path, theirs: tuple[Path, Path]
) -> None:
    ours, renewed = certificate(tmp_path / "ours", "me"), certificate(tmp_path / "renewed", "me")
    tls = Tls(ca_file=theirs[0], server_name="login.test", cert_file=ours[0], key_file=ours[1])
    async with token_server(serving(theirs, clients=renewed[0])) as server, way_out(tls) as outbound:
        source = OAuth2Source(replace(WANTED, token_url=server.url), outbound, FakeClock())
        with pytest.raises(CredentialUnavailable):
            await source.fetch()
        for old, new in zip(ours, renewed, strict=True):
            new.rename(old)
        assert (await source.fetch()).fields == GOOD


# -- names and addresses --


def names(*hosts: str, asked: list[str] | None = None) -> GetAddrInfo:
    """A getaddrinfo that knows one name: these addresses."""

    def look_up(host: str, *_: object, **__: object) -> list[AddressInfo]:
        if asked is not None:
            asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in hosts]

    return look_up


@linux
@pytest.mark.parametrize("through_proxy", [False, True])
async def test_a_silent_first_address_is_passed_over_and_tried_last_next_time(
    proxy: ConnectProxy, through_proxy: bool
) -> None:
    connector = Connector(FakeClock().now, names("127.0.0.2", "127.0.0.1"))
    async with token_server() as server:
        port = proxy.port if through_proxy else int(server.url.split(":")[2].partition("/")[0])
        http_proxy = HttpProxy("proxy.test", proxy.port) if through_proxy else None
        url = server.url if through_proxy else server.url.replace("127.0.0.1", "login.test")
        outbound = Outbound(http_proxy=http_proxy, connector=connector)
        with silent("127.0.0.2", port):
            for _ in range(2):
                reply = await outbound.send("POST", url, to="the token endpoint", headers={}, timeout=4.0)
                assert reply.status == 200
                addresses = await connector.addresses("login.test", port)
                assert [each[4][0] for each in addresses] == ["127.0.0.1", "127.0.0.2"]
        await outbound.close()


async def test_a_name_that_hangs_holds_up_no_other_fetch() -> None:
    released = threading.Event()

    def look_up(host: str, *_: object, **__: object) -> list[AddressInfo]:
        if host == "silent.test":
            released.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    connector = Connector(FakeClock().now, look_up)
    outbounds = [Outbound(connector=connector) for _ in range(20)]
    try:
        async with token_server() as server, asyncio.TaskGroup() as group:
            for each in outbounds:
                group.create_task(_given_up(each, "http://silent.test/"))
            url = server.url.replace("127.0.0.1", "login.test")
            reply = await outbounds[0].send("POST", url, to="the token endpoint", headers={}, timeout=5.0)
            assert reply.status == 200
    finally:
        released.set()
        for each in outbounds:
            await each.close()


async def _given_up(outbound: Outbound, url: str) -> None:
    with pytest.raises(CredentialUnavailable, match=r"^the token endpoint at \S+: no answer came in time"):
        await outbound.send("POST", url, to="the token endpoint", headers={}, timeout=0.5)


@pytest.mark.parametrize("through_proxy", [False, True])
async def test_a_dot_at_the_end_of_a_name_is_for_dns_alone(
    theirs: tuple[Path, Path], proxy: ConnectProxy, through_proxy: bool
) -> None:
    asked: list[str] = []
    connector = Connector(FakeClock().now, names("127.0.0.1", asked=asked))
    context = TlsContexts().context(Tls(ca_file=theirs[0]), "credentials.saas")
    with tls_server(serving(theirs)) as server:
        proxy.site = ("127.0.0.1", server.port)
        http_proxy = HttpProxy("127.0.0.1", proxy.port) if through_proxy else None
        outbound = Outbound(tls=context, http_proxy=http_proxy, connector=connector)
        url = f"https://login.test.:{server.port}/"
        reply = await outbound.send("GET", url, to="the token endpoint", headers={}, timeout=5.0)
        await outbound.close()
    assert reply.status == 200
    assert server.names == ["login.test"]
    if through_proxy:
        assert proxy.lines == [f"CONNECT login.test.:{server.port} HTTP/1.1".encode()]
    else:
        assert asked == ["login.test."]


# -- through a proxy --


@pytest.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    async with connect_proxy() as proxy:
        yield proxy


async def test_https_is_tunnelled_and_the_proxy_sees_no_secret(
    theirs: tuple[Path, Path], proxy: ConnectProxy
) -> None:
    proxy.user = f"me:{CANARY}:é"
    async with token_server(serving(theirs)) as server:
        tls = Tls(ca_file=theirs[0], server_name="login.test")
        assert await fetched(server, tls, HttpProxy("127.0.0.1", proxy.port, proxy.user)) == GOOD
        port = server.url.partition("127.0.0.1:")[2].partition("/")[0]
    (head,) = proxy.asked
    assert head.startswith(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n".encode())
    assert b"aiohttp" not in head
    assert "Proxy-Authorization" not in server.asked[0].headers


async def test_plain_http_is_forwarded(proxy: ConnectProxy) -> None:
    proxy.user = f"me:{CANARY}"
    async with token_server() as server:
        assert await fetched(server, http_proxy=HttpProxy("127.0.0.1", proxy.port, proxy.user)) == GOOD
    assert proxy.lines == [f"POST {server.url} HTTP/1.1".encode()]


@pytest.mark.parametrize("secure", [False, True])
async def test_a_proxy_that_wants_another_user_is_named(
    theirs: tuple[Path, Path], proxy: ConnectProxy, secure: bool
) -> None:
    proxy.user = "somebody:else"
    async with token_server(serving(theirs) if secure else None) as server:
        says = await failure(server, http_proxy=HttpProxy("127.0.0.1", proxy.port, f"me:{CANARY}"))
        assert not server.asked
    assert f": its HTTP proxy at http://127.0.0.1:{proxy.port} (http_proxy): it wants a user" in says


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            b"HTTP/1.1 403 Forbidden\r\n\r\n",
            "(http_proxy): it refused to connect to the server behind it (403)",
        ),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "it refused to connect to the server behind it (503)"),
        (b"", "it closed the connection before it answered"),
        (b"nonsense\r\n\r\n", "its answer is not HTTP"),
    ],
)
async def test_a_proxy_that_does_not_let_through_is_a_failed_fetch(
    theirs: tuple[Path, Path], proxy: ConnectProxy, answer: bytes, says: str
) -> None:
    proxy.answer = answer
    async with token_server(serving(theirs)) as server:
        told = await failure(server, http_proxy=HttpProxy("127.0.0.1", proxy.port, f"me:{CANARY}"))
        assert says in told
        assert not server.asked


async def test_a_proxy_that_is_not_there_is_named(proxy: ConnectProxy) -> None:
    async with connect_proxy() as gone:
        port = gone.port
    async with token_server() as server:
        says = await failure(server, http_proxy=HttpProxy("127.0.0.1", port))
    assert f": its HTTP proxy at http://127.0.0.1:{port} (http_proxy): connection refused: " in says


def test_a_proxys_password_is_not_in_its_repr() -> None:
    assert CANARY not in repr(HttpProxy("::1", 3128, f"me:{CANARY}"))
    assert str(HttpProxy("::1", 3128)) == "http://[::1]:3128"
