"""The way to an upstream: an HTTP proxy in between, certificates of both sides."""

import asyncio
import errno
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.app.tls import TlsContexts
from proxy.config.model import Tls
from proxy.errors import UpstreamUnreachable
from proxy.gateway.dial import Endpoint, connect_request, let_through
from proxy.gateway.timeouts import Timeouts
from proxy.net import HttpProxy
from proxy.outgoing.addresses import AddressInfo
from proxy.outgoing.names import GetAddrInfo
from tests.certificates import certificate, serving
from tests.connect_proxy import ConnectProxy, connect_proxy
from tests.gateway.rig import gateway, get, post
from tests.gateway.wire import OK, Answer, answering, origin
from tests.silent import linux, silent
from tests.tls_server import tls_server

CANARY = "p:a s+s%20&=é"
REFUSED = "it refused to connect to the server behind it (%d)."


def problem(answer: Answer) -> tuple[int, str, str]:
    """Status, code, and the sentence that says what failed."""
    told = json.loads(answer.body)
    return answer.status, told["type"].rpartition(":")[2], told["detail"]


# -- CONNECT: what is sent, and how the answer is read --


@pytest.mark.parametrize(
    ("host", "authority"),
    [("camunda.test", b"camunda.test:8443"), ("127.0.0.1", b"127.0.0.1:8443"), ("::1", b"[::1]:8443")],
)
def test_a_way_is_asked_for_by_name_and_port(host: str, authority: bytes) -> None:
    line, host_field, agent, user, *end = connect_request(
        host, 8443, HttpProxy("p", 1, CANARY).authorization
    ).split(b"\r\n")
    assert line == b"CONNECT " + authority + b" HTTP/1.1"
    assert host_field == b"Host: " + authority
    assert agent.startswith(b"User-Agent: ")
    assert user == b"Proxy-Authorization: Basic cDphIHMrcyUyMCY9w6k="
    assert end == [b"", b""]
    assert b"Proxy-Authorization" not in connect_request(host, 8443, None)


@pytest.mark.parametrize(
    ("octets", "opened"),
    [
        (b"", False),
        (b"HTTP/1.1 200 OK\r\n", False),
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200\r\n\r\n", True),
        (b"HTTP/1.0 200 Connection established\r\nVia: 1.0 x\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", False),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 500, False),
        (
            b"HTTP/1.1 407 Who\r\n\r\n",
            "it wants a user and password (407). Check the user and password in the URL",
        ),
        (b"HTTP/1.1 403 No\r\n\r\nno", REFUSED % 403),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 9999\r\n\r\n", REFUSED % 502),
        (b"HTTP/1.1 302 Login\r\nLocation: /\r\n\r\n", REFUSED % 302),
        (b"HTTP/1.1 101 Switching\r\n\r\n", REFUSED % 101),
        (b"HTTP/1.1 200 OK\r\n\r\n\x15\x03", "it sent more than its answer"),
        (b"HTTP/2 200 OK\r\n\r\n", "it is not HTTP/1.1"),
        (b" HTTP/1.1 200 OK\r\n\r\n", "it is not HTTP/1.1"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "it is not HTTP/1.1"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "it is not HTTP/1.1"),
        (b"HTTP/1.1 \xb2\xb200 OK\r\n\r\n", "it is not HTTP/1.1"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "it is not HTTP/1.1"),
        (b"x" * 20_000, "it is too large"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 900, "it is too large"),
    ],
)
def test_only_a_2xx_and_nothing_behind_it_opens_the_way(octets: bytes, opened: bool | str) -> None:
    if isinstance(opened, bool):
        assert let_through(octets) is opened
        return
    with pytest.raises(UpstreamUnreachable) as caught:
        let_through(octets)
    assert opened in str(caught.value)


@given(st.binary(max_size=200))
def test_no_answer_of_a_proxy_opens_the_way_in_half(octets: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nX: " + octets.replace(b"\r\n\r\n", b"") + b"\r\n\r\n"
    end = head.index(b"\r\n\r\n") + 4
    assert [let_through(head[:size]) for size in range(end)] == [False] * end
    if end == len(head):
        assert let_through(head)


# -- CONNECT: on the wire --


@pytest.fixture
async def way() -> AsyncIterator[ConnectProxy]:
    async with connect_proxy() as way:
        yield way


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"), "camunda.test")


async def test_plain_http_goes_through_a_proxy_and_its_connection_is_used_again(way: ConnectProxy) -> None:
    async with origin(answering(OK)) as site:
        endpoint = Endpoint("127.0.0.1", site.port, http_proxy=HttpProxy("localhost", way.port))
        async with gateway(site, endpoint=endpoint) as rig:
            wire = await rig.call(get())
            assert (await wire.message()).body == b"ok"
            wire.send(get())
            assert (await wire.message()).body == b"ok"
    assert way.lines == [b"CONNECT 127.0.0.1:%d HTTP/1.1" % site.port]


async def test_tls_goes_through_a_proxy_that_sees_the_name_alone(
    way: ConnectProxy, server: tuple[Path, Path]
) -> None:
    way.user = f"me:{CANARY}"
    trusting = TlsContexts().context(Tls(ca_file=server[0]), "upstreams.zeebe")
    async with origin(answering(OK), serving(server)) as site:
        http_proxy = HttpProxy("127.0.0.1", way.port, f"me:{CANARY}")
        endpoint = Endpoint("127.0.0.1", site.port, trusting, "camunda.test", http_proxy)
        async with gateway(site, endpoint=endpoint) as rig:
            assert (await (await rig.call(get("/v2/topology"))).message()).body == b"ok"
    (head,) = way.asked
    assert b"topology" not in head
    assert b"Bearer" not in head


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 407 Who\r\n\r\n", "it wants a user and password (407)"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refused to connect to the server behind it (403)"),
        (b"HTTP/1.1 504 Slow\r\n\r\n", "refused to connect to the server behind it (504)"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "sent more"),
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 O", "closed the connection"),
    ],
)
async def test_a_proxy_that_does_not_let_through_is_a_502_that_names_it(
    way: ConnectProxy, answer: bytes, says: str
) -> None:
    way.answer = answer
    async with origin(answering(OK)) as site:
        http_proxy = HttpProxy("127.0.0.1", way.port, f"me:{CANARY}")
        async with gateway(site, endpoint=Endpoint("127.0.0.1", site.port, http_proxy=http_proxy)) as rig:
            told = await (await rig.call(get())).message()
            status, code, detail = problem(told)
            assert (status, code) == (502, "upstream_unreachable")
            assert "http_proxy" in detail
            assert says in detail
            assert CANARY.encode() not in told.body
            assert CANARY not in repr(http_proxy)
            assert not any(rig.pool.counts().values())
        assert site.accepted == 0


async def test_a_proxy_that_is_not_there_is_a_502_that_names_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        http_proxy = HttpProxy("127.0.0.1", taken.getsockname()[1])
        async with gateway(1, endpoint=Endpoint("127.0.0.1", 1, http_proxy=http_proxy)) as rig:
            status, code, detail = problem(await (await rig.call(get())).message())
    assert (status, code) == (502, "upstream_unreachable")
    assert f"its HTTP proxy at {http_proxy} (http_proxy): connection refused: " in detail


async def test_a_proxy_that_is_silent_is_a_504(way: ConnectProxy) -> None:
    way.silent = True
    endpoint = Endpoint("127.0.0.1", 1, http_proxy=HttpProxy("127.0.0.1", way.port))
    async with gateway(1, endpoint=endpoint, timeouts=Timeouts(connect=0.05)) as rig:
        assert problem(await (await rig.call(get())).message())[:2] == (504, "upstream_timeout")
        assert not any(rig.pool.counts().values())


async def test_a_wrong_name_behind_a_proxy_is_a_502_and_nothing_is_sent(
    way: ConnectProxy, server: tuple[Path, Path]
) -> None:
    trusting = TlsContexts().context(Tls(ca_file=server[0]), "upstreams.zeebe")
    async with origin(answering(OK), serving(server)) as site:
        endpoint = Endpoint("127.0.0.1", site.port, trusting, "other.test", HttpProxy("127.0.0.1", way.port))
        async with gateway(site, endpoint=endpoint) as rig:
            assert problem(await (await rig.call(get())).message())[:2] == (502, "upstream_tls")
        assert site.accepted == 0


# -- as whom we come --


async def test_an_upstream_that_wants_our_certificate_gets_it(
    tmp_path: Path, server: tuple[Path, Path]
) -> None:
    ours = certificate(tmp_path / "ours", "me")
    tls = Tls(ca_file=server[0], cert_file=ours[0], key_file=ours[1])
    context = TlsContexts().context(tls, "upstreams.zeebe")
    async with (
        origin(answering(OK), serving(server, clients=ours[0])) as site,
        gateway(site, endpoint=Endpoint("127.0.0.1", site.port, context, "camunda.test")) as rig,
    ):
        assert (await (await rig.call(get())).message()).body == b"ok"


async def test_without_our_certificate_an_upstream_that_wants_it_gets_nothing(
    tmp_path: Path, server: tuple[Path, Path]
) -> None:
    ours = certificate(tmp_path / "ours", "me")
    context = TlsContexts().context(Tls(ca_file=server[0]), "upstreams.zeebe")
    async with origin(answering(OK), serving(server, clients=ours[0])) as site:
        async with gateway(site, endpoint=Endpoint("127.0.0.1", site.port, context, "camunda.test")) as rig:
            assert (await (await rig.call(get())).message()).status == 502
        assert site.accepted == 0


async def test_a_renewed_certificate_is_shown_on_the_next_connection(
    tmp_path: Path, server: tuple[Path, Path]
) -> None:
    ours = certificate(tmp_path / "ours", "me")
    tls = Tls(ca_file=server[0], cert_file=ours[0], key_file=ours[1])
    context = TlsContexts().context(tls, "upstreams.zeebe")
    wanted = certificate(tmp_path / "new", "me")
    async with (
        origin(answering(OK), serving(server, clients=wanted[0])) as site,
        gateway(site, endpoint=Endpoint("127.0.0.1", site.port, context, "camunda.test")) as rig,
    ):
        assert (await (await rig.call(get())).message()).status == 502
        for old, new in zip(ours, wanted, strict=True):
            new.rename(old)
        assert (await (await rig.call(get())).message()).body == b"ok"


async def test_a_caller_that_goes_while_a_proxy_is_silent_frees_the_place(way: ConnectProxy) -> None:
    way.silent = True
    endpoint = Endpoint("127.0.0.1", 1, http_proxy=HttpProxy("127.0.0.1", way.port))
    async with gateway(1, endpoint=endpoint, max_connections=1) as rig:
        wire = await rig.call(get())
        await rig.until(lambda: bool(way.asked))
        wire.close()
        await rig.until(lambda: not any(rig.pool.counts().values()))


async def test_what_a_proxy_sends_in_pieces_is_read_as_one() -> None:
    async with origin() as way:
        endpoint = Endpoint("camunda.test", 80, http_proxy=HttpProxy("127.0.0.1", way.port))
        async with gateway(1, endpoint=endpoint) as rig:
            wire = await rig.call(get("/through"))
            peer = await way.accept()
            assert (await peer.head()).line == b"CONNECT camunda.test:80 HTTP/1.1"
            for octet in b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n":
                peer.send(bytes([octet]))
                await asyncio.sleep(0)
            assert (await peer.head()).line == b"GET /through HTTP/1.1"
            peer.send(OK)
            assert (await wire.message()).body == b"ok"


async def test_a_fault_of_a_library_while_it_connects_fails_one_request_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults = [RuntimeError("File descriptor 97 is used by transport")]

    def context() -> ssl.SSLContext:
        if faults:
            raise faults.pop()
        raise ssl.SSLError("no TLS today")

    async with gateway(1, endpoint=Endpoint("127.0.0.1", 1, tls=context)) as rig:
        wire = await rig.call(get())
        assert problem(await wire.message())[:2] == (500, "internal")
        assert "File descriptor 97" in caplog.text
        caplog.clear()
        wire.send(get())
        assert problem(await wire.message())[:2] == (502, "upstream_tls")
    assert rig.tally.problems == {"internal": 1, "upstream_tls": 1}


# -- names and addresses --


def names(*hosts: str, asked: list[str] | None = None) -> GetAddrInfo:
    """A getaddrinfo that knows one name: these addresses."""

    def look_up(host: str, *_: object, **__: object) -> list[AddressInfo]:
        if asked is not None:
            asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in hosts]

    return look_up


def hanging(released: threading.Event) -> GetAddrInfo:
    """A getaddrinfo whose server is silent."""

    def look_up(*_: object, **__: object) -> list[AddressInfo]:
        released.wait()
        return []

    return look_up


async def test_a_name_whose_server_is_silent_is_a_504_that_says_so() -> None:
    released = threading.Event()
    endpoint = Endpoint("silent.test", 80)
    try:
        async with gateway(
            1, endpoint=endpoint, timeouts=Timeouts(connect=0.05), getaddrinfo=hanging(released)
        ) as rig:
            status, code, detail = problem(await (await rig.call(get())).message())
    finally:
        released.set()
    assert (status, code) == (504, "upstream_timeout")
    assert "its name was not resolved in time (connect_timeout)" in detail


async def test_the_name_of_a_proxy_whose_server_is_silent_is_a_504_that_says_so() -> None:
    released = threading.Event()
    endpoint = Endpoint("camunda.test", 80, http_proxy=HttpProxy("silent.test", 3128))
    try:
        async with gateway(
            1, endpoint=endpoint, timeouts=Timeouts(connect=0.05), getaddrinfo=hanging(released)
        ) as rig:
            assert (
                "its HTTP proxy at http://silent.test:3128 (http_proxy): its name was not resolved in time"
                in (problem(await (await rig.call(get())).message())[2])
            )
    finally:
        released.set()


async def test_a_dns_server_that_does_not_answer_is_told_apart_from_a_name_that_is_not_there() -> None:
    said = []
    for number in (socket.EAI_AGAIN, socket.EAI_NONAME):

        def failing(*_: object, number: int = number, **__: object) -> list[AddressInfo]:
            raise socket.gaierror(number, CANARY)

        async with gateway(1, endpoint=Endpoint("camunda.test", 80), getaddrinfo=failing) as rig:
            status, code, detail = problem(await (await rig.call(get())).message())
            assert (status, code) == (502, "upstream_unreachable")
            assert CANARY not in detail
            said.append(detail)
    assert "its name cannot be resolved, because no DNS server has answered" in said[0]
    assert "its name has no address in DNS" in said[1]


@linux
async def test_a_silent_first_address_is_passed_over_and_tried_last_next_time() -> None:
    with silent("127.0.0.2") as port:
        async with origin(answering(OK), port=port) as site:
            endpoint = Endpoint("camunda.test", port)
            async with gateway(site, endpoint=endpoint, getaddrinfo=names("127.0.0.2", "127.0.0.1")) as rig:
                assert (await (await rig.call(get())).message()).status == 200
                addresses = await rig.pool._connector.addresses("camunda.test", port)
                assert [each[4][0] for each in addresses] == ["127.0.0.1", "127.0.0.2"]


@linux
async def test_a_silent_first_address_of_a_proxy_is_passed_over() -> None:
    async with connect_proxy() as way, origin(answering(OK)) as site:
        with silent("127.0.0.2", way.port):
            endpoint = Endpoint("127.0.0.1", site.port, http_proxy=HttpProxy("proxy.test", way.port))
            async with gateway(site, endpoint=endpoint, getaddrinfo=names("127.0.0.2", "127.0.0.1")) as rig:
                assert (await (await rig.call(get())).message()).status == 200


@linux
async def test_an_address_that_accepts_and_is_silent_then_is_passed_over(server: tuple[Path, Path]) -> None:
    await _passes_over_a_dead_load_balancer(server, closing=False)


@linux
async def test_an_address_that_accepts_and_hangs_up_is_passed_over(server: tuple[Path, Path]) -> None:
    await _passes_over_a_dead_load_balancer(server, closing=True)


async def _passes_over_a_dead_load_balancer(server: tuple[Path, Path], *, closing: bool) -> None:
    context = TlsContexts().context(Tls(ca_file=server[0], server_name="camunda.test"), "upstreams.zeebe")
    loop = asyncio.get_running_loop()

    def hang_up() -> None:
        dead.accept()[0].close()

    async with origin(answering(OK), serving(server)) as site:
        with socket.create_server(("127.0.0.2", site.port)) as dead:  # silent: its backlog accepts
            if closing:
                loop.add_reader(dead, hang_up)
            endpoint = Endpoint("camunda.test", site.port, context)
            try:
                async with gateway(
                    site,
                    endpoint=endpoint,
                    timeouts=Timeouts(connect=2.0),
                    getaddrinfo=names("127.0.0.2", "127.0.0.1"),
                ) as rig:
                    assert (await (await rig.call(get())).message()).status == 200
                    addresses = await rig.pool._connector.addresses("camunda.test", site.port)
                    assert [each[4][0] for each in addresses] == ["127.0.0.1", "127.0.0.2"]
            finally:
                loop.remove_reader(dead)


async def test_a_dot_at_the_end_of_a_name_is_for_dns_alone(server: tuple[Path, Path]) -> None:
    context = TlsContexts().context(Tls(ca_file=server[0]), "upstreams.zeebe")
    asked: list[str] = []
    with tls_server(serving(server)) as site:
        for endpoint in (
            Endpoint("camunda.test.", site.port, context),
            Endpoint("x.test.", site.port, context, "camunda.test."),
        ):
            async with gateway(1, endpoint=endpoint, getaddrinfo=names("127.0.0.1", asked=asked)) as rig:
                assert (await (await rig.call(get())).message()).status == 200
    assert asked == ["camunda.test.", "x.test."]
    assert site.names == ["camunda.test", "camunda.test"]


async def test_a_dot_at_the_end_of_a_name_reaches_a_proxy(
    way: ConnectProxy, server: tuple[Path, Path]
) -> None:
    way.answer = b"HTTP/1.1 403 No\r\n\r\n"
    endpoint = Endpoint("camunda.test.", 443, http_proxy=HttpProxy("127.0.0.1", way.port))
    async with gateway(1, endpoint=endpoint) as rig:
        await (await rig.call(get())).message()
    assert way.lines == [b"CONNECT camunda.test.:443 HTTP/1.1"]


# -- why TLS failed --


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("request_", [get(), post(b"x" * 10_000)])
async def test_a_certificate_that_is_asked_for_is_named_under_every_version(
    tmp_path: Path,
    server: tuple[Path, Path],
    version: ssl.TLSVersion,
    request_: bytes,
    request: pytest.FixtureRequest,
) -> None:
    if version is ssl.TLSVersion.TLSv1_3 and "asyncio" in request.node.name:
        pytest.skip("asyncio reports the reset that comes after the alert, not the alert")
    theirs = serving(server, clients=certificate(tmp_path / "ours", "me")[0])
    theirs.minimum_version = theirs.maximum_version = version
    context = TlsContexts().context(Tls(ca_file=server[0]), "upstreams.zeebe")
    with tls_server(theirs) as site:
        endpoint = Endpoint("127.0.0.1", site.port, context, "camunda.test")
        async with gateway(site.port, endpoint=endpoint) as rig:
            for _ in range(5):
                status, code, detail = problem(await (await rig.call(request_)).message())
                assert (status, code) == (502, "upstream_tls")
                assert "the TLS alert `" in detail
                assert "tls.cert_file and tls.key_file" in detail
        assert not site.asked


async def test_what_is_wrong_with_a_certificate_is_said_with_the_setting(server: tuple[Path, Path]) -> None:
    said = []
    for ca_file, name in ((None, "camunda.test"), (server[0], "other.test")):
        context = TlsContexts().context(Tls(ca_file=ca_file), "upstreams.zeebe")
        async with origin(answering(OK), serving(server)) as site:
            endpoint = Endpoint("127.0.0.1", site.port, context, name)
            async with gateway(site, endpoint=endpoint) as rig:
                said.append(problem(await (await rig.call(get())).message())[2])
    assert "tls.ca_file" in said[0]
    assert "tls.server_name" in said[1]


async def test_a_handshake_that_the_upstream_ends_is_about_tls() -> None:
    async with origin() as site:
        endpoint = Endpoint("127.0.0.1", site.port, ssl.create_default_context)
        async with gateway(site, endpoint=endpoint) as rig:
            wire = await rig.call(get())
            (await site.accept()).close()
            status, code, detail = problem(await wire.message())
    assert (status, code) == (502, "upstream_tls")
    assert "it closed the connection during the handshake of TLS" in detail


async def test_a_peer_that_vanishes_is_a_504_that_says_so() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        await (await site.accept()).head()
        (connection,) = rig.pool._all
        connection.connection_lost(OSError(errno.ETIMEDOUT, "Connection timed out"))
        answer = await wire.message()
        status, code, detail = problem(answer)
        connection.abort()
    assert (status, code) == (504, "upstream_timeout")
    assert json.loads(answer.body)["title"] == "The upstream took too long"
    assert "it vanished before it answered" in detail
