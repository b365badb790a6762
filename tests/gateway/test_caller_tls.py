"""TLS on callers' connections: handshakes, limits, ends, and what a client gets to know."""

import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
import trustme
from cryptography import x509

from proxy.gateway.caller_tls import names_in
from proxy.gateway.guard import Guard
from proxy.gateway.limit import ConnectionLimit, Memory
from proxy.gateway.problem_log import ProblemRecord
from proxy.gateway.share import PIECES_A_TURN, Share
from proxy.gateway.watch import StateChange
from tests.certificates import certificate, of_client
from tests.gateway.rig import Rig, gateway, get, post
from tests.gateway.wire import OK, answering, origin

SPIFFE = "spiffe://example/ns/bi"


class Lines:
    """An UpstreamObserver that remembers problems."""

    def __init__(self) -> None:
        self.problems: list[ProblemRecord] = []

    def changed(self, change: StateChange) -> None: ...

    def problem(self, record: ProblemRecord) -> None:
        self.problems.append(record)


@dataclass(frozen=True)
class Site:
    """Certificates for a listener and its clients.

    Attributes:
        server: the listener's certificate and key.
        client, other: clients' certificates and keys: of the CA `clients`, and of another one.
        clients: PEM file of that CA.
    """

    server: tuple[Path, Path]
    client: tuple[Path, Path]
    old: tuple[Path, Path]
    other: tuple[Path, Path]
    clients: Path

    def context(self, verify: ssl.VerifyMode = ssl.CERT_NONE) -> ssl.SSLContext:
        """The listener's."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.server)
        context.load_verify_locations(self.clients)
        context.verify_mode = verify
        context.set_alpn_protocols(["http/1.1"])
        return context

    def trust(self, client: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """A client's."""
        context = ssl.create_default_context(cafile=str(self.server[0]))
        if client is not None:
            context.load_cert_chain(*client)
        return context


NAMES = (
    x509.DNSName("BI.example"),
    x509.UniformResourceIdentifier(SPIFFE),
    x509.RFC822Name("bi@example.com"),
)


@pytest.fixture(scope="module")
def site_files(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("tls")
    clients, others = trustme.CA(), trustme.CA()
    clients.cert_pem.write_to_path(folder / "clients.pem")
    return Site(
        certificate(folder / "server", "127.0.0.1"),
        of_client(folder / "client", clients, *NAMES),
        of_client(folder / "old", clients, *NAMES, not_after=datetime(2020, 1, 1, tzinfo=UTC)),
        of_client(folder / "other", others, *NAMES),
        folder / "clients.pem",
    )


class HalfClosing:
    """A client whose TLS can half-close, and that shows records as they are; Python's own streams cannot."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.reader, self.writer = reader, writer

    def flush(self) -> None:
        self.writer.write(self.outgoing.read())

    async def _more(self) -> bool:
        async with asyncio.timeout(10):
            data = await self.reader.read(65536)
        self.incoming.write(data)
        return bool(data)

    async def shake_hands(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                assert await self._more()
            else:
                self.flush()
                return

    def send(self, data: bytes) -> None:
        self.tls.write(data)
        self.flush()

    async def read(self) -> bytes:
        """What is next; empty: the server has announced its end."""
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                assert await self._more(), "the connection ended without close_notify"
            except ssl.SSLZeroReturnError:
                return b""

    async def rest(self) -> bytes:
        found = b""
        while piece := await self.read():
            found += piece
        return found


async def half_closing(rig: Rig, tls: ssl.SSLContext) -> HalfClosing:
    client = HalfClosing(*await asyncio.open_connection("127.0.0.1", rig.port), tls)
    rig.stack.callback(client.writer.close)
    await client.shake_hands()
    return client


# -- requests --


async def test_requests_are_answered_over_tls(site_files: Site) -> None:
    async with (
        origin(answering(OK, OK)) as site,
        gateway(site, tls=site_files.context(), trust=site_files.trust()) as rig,
    ):
        wire = await rig.call(get("/1"))
        assert (await wire.message()).status == 200
        wire.send(post(b"x" * 100_000, path="/2"))
        assert (await wire.message()).status == 200
        assert rig.tally.received == len(get("/1")) + len(post(b"x" * 100_000, path="/2"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions_of_tls_are_spoken_and_http2_is_not(
    site_files: Site, version: ssl.TLSVersion
) -> None:
    trust = site_files.trust()
    trust.minimum_version = trust.maximum_version = version
    trust.set_alpn_protocols(["h2", "http/1.1"])
    async with origin(answering(OK)) as site, gateway(site, tls=site_files.context(), trust=trust) as rig:
        wire = await rig.call(get())
        assert (await wire.message()).status == 200
        assert wire.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"


async def test_a_large_answer_is_whole_and_waits_for_a_slow_caller(site_files: Site) -> None:
    size = 20_000_000  # more than the buffers of sockets hold
    body = bytes(range(250)) * (size // 250)
    async with (
        origin(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, body))) as site,
        gateway(site, tls=site_files.context(), trust=site_files.trust()) as rig,
    ):
        wire = await rig.caller()
        wire.send(get())
        await wire.head()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        (caller,) = rig.listener.connections
        await rig.until(lambda: caller.paused)
        assert caller.transport.get_write_buffer_size() < 1 << 20
        wire.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await wire.octets(size) == body


async def test_a_page_of_our_own_origin_is_an_https_one(site_files: Site) -> None:
    guard = Guard(scheme=b"https")
    async with (
        origin(answering(OK)) as site,
        gateway(site, tls=site_files.context(), trust=site_files.trust(), guard=guard) as rig,
    ):
        wire = await rig.call(get("/", "Origin: http://localhost"))
        assert (await wire.message()).status == 403
        wire.send(get("/", "Origin: https://localhost"))
        assert (await wire.message()).status == 200


# -- ends --


async def test_an_answer_of_ours_to_an_upload_can_be_read_while_the_upload_goes_on(site_files: Site) -> None:
    async with origin() as site, gateway(site, tls=site_files.context()) as rig:
        client = await half_closing(rig, site_files.trust())
        client.send(get("/", "Content-Length: 9000000", method="POST", host="evil") + b"x")
        answer = await client.rest()  # up to close_notify
        assert answer.startswith(b"HTTP/1.1 421 ")
        for _ in range(3):
            client.send(b"x" * 1000)
            await rig.clock.advance(1.0)
            assert rig.listener.connections
        await rig.clock.advance(2.0)
        await rig.clock.advance(2.0)
        await rig.until(lambda: not rig.listener.connections)


async def test_a_caller_that_sends_no_more_gets_an_answer_of_ours(site_files: Site) -> None:
    async with origin() as site, gateway(site, tls=site_files.context()) as rig:
        client = await half_closing(rig, site_files.trust())
        client.tls.write(get(host="evil"))
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.unwrap()
        client.flush()
        client.writer.write_eof()
        answer = b""
        while piece := client.outgoing.read() or await client.reader.read(65536):
            answer += piece
        assert len(answer) > 500  # it is encrypted; the TLS client has closed, and reads no more
        await rig.until(lambda: not rig.listener.connections)
        assert rig.tally.problems == {"wrong_host": 1}


async def test_a_caller_that_announces_its_end_alone_is_taken_as_gone(site_files: Site) -> None:
    async with origin() as site, gateway(site, tls=site_files.context()) as rig:
        client = await half_closing(rig, site_files.trust())
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.unwrap()  # close_notify, and no FIN
        client.flush()
        await rig.until(lambda: not rig.listener.connections)
        assert await client.reader.read()  # our close_notify
        assert site.accepted == 0


async def test_a_cut_off_answer_does_not_look_whole(site_files: Site) -> None:
    async with (
        origin() as site,
        gateway(site, tls=site_files.context(), trust=site_files.trust()) as rig,
    ):
        client = await half_closing(rig, site_files.trust())
        client.send(get())
        peer = await site.accept()
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")  # it would end with the connection
        head = await client.read()
        assert head.endswith(b"half") or (await client.read()).endswith(b"half")
        peer.reset()
        with pytest.raises((ConnectionResetError, AssertionError)):
            assert await client.read()


async def test_damaged_records_end_the_connection_and_the_upload(site_files: Site) -> None:
    async with origin() as site, gateway(site, tls=site_files.context()) as rig:
        client = await half_closing(rig, site_files.trust())
        client.send(get("/", "Content-Length: 10", method="POST") + b"12345")
        peer = await site.accept()
        await peer.head()
        client.tls.write(b"67890")
        record = bytearray(client.outgoing.read())
        record[-1] ^= 1
        client.writer.write(record)
        await rig.until(lambda: not rig.listener.connections)
        assert await peer.ended() in ("closed", "reset")


class Watched:
    """A share that remembers what was spent, what was left, and how often a connection waited.

    It has a share and is none, because a class may not inherit from a compiled one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._share = Share(loop)
        self.spent: list[int] = []
        self.lefts: list[int] = []
        self.waits = 0

    @property
    def left(self) -> int:
        return self._share.left

    def spend(self, pieces: int) -> None:
        self._share.spend(pieces)
        self.spent.append(pieces)
        self.lefts.append(self.left)

    def later(self, read: Callable[[], None]) -> None:
        self.waits += 1
        self._share.later(read)


async def test_a_flood_of_tiny_records_leaves_the_loop_to_others(site_files: Site) -> None:
    async with origin(answering(OK)) as site, gateway(site, tls=site_files.context()) as rig:
        client = await half_closing(rig, site_files.trust())
        client.send(get("/", "Content-Length: 20000", method="POST"))
        for _ in range(20_000):
            client.tls.write(b"x")
        share = Watched(asyncio.get_running_loop())
        rig.listener.share = cast(Share, share)
        client.flush()
        assert (await client.read()).startswith(b"HTTP/1.1 200 OK")
        assert sum(share.spent) > 15_000
        assert share.waits > 0
        # One read has 256 KiB at most, and after it the connection waits for the next turn.
        assert min(share.lefts) > PIECES_A_TURN - 2 * 12_000


# -- handshakes --


async def test_a_handshake_that_does_not_end_is_ended(site_files: Site) -> None:
    async with origin() as site, gateway(site, tls=site_files.context()) as rig:
        wire = await rig.call(b"\x16\x03\x01\x02\x00\x01")
        silent = await rig.caller()
        await rig.until(lambda: len(rig.listener.connections) == 2)
        await rig.clock.advance(14.0)
        assert len(rig.listener.connections) == 2
        await rig.clock.advance(6.0)
        await rig.until(lambda: not rig.listener.connections)
        assert await wire.ended() in ("closed", "reset")
        assert await silent.ended() in ("closed", "reset")
        assert site.accepted == 0


async def test_connections_in_their_handshake_count_and_give_way_to_new_ones(site_files: Site) -> None:
    limit = ConnectionLimit(2, Memory())
    async with (
        origin(answering(OK)) as site,
        gateway(site, tls=site_files.context(), trust=site_files.trust(), limit=limit) as rig,
    ):
        first = HalfClosing(*await asyncio.open_connection("127.0.0.1", rig.port), site_files.trust())
        second = HalfClosing(*await asyncio.open_connection("127.0.0.1", rig.port), site_files.trust())
        for each in (first, second):
            rig.stack.callback(each.writer.transport.abort)
        await rig.until(lambda: limit.free == 0)
        await rig.clock.advance(2.0)
        wire = await rig.call(get())
        assert (await wire.message()).status == 200
        assert await first.reader.read() == b""
        assert len(rig.listener.connections) == 2
        assert limit.free == 0


async def test_where_there_is_no_room_the_caller_is_told_so_over_tls(site_files: Site) -> None:
    limit = ConnectionLimit(0, Memory())
    async with (
        origin() as site,
        gateway(site, tls=site_files.context(), trust=site_files.trust(), limit=limit) as rig,
    ):
        wire = await rig.call(get())
        answer = await wire.message()
        assert (answer.status, answer.head.get(b"retry-after")) == (503, b"1")


async def test_connections_in_their_handshake_end_with_the_port(site_files: Site) -> None:
    async with origin() as site, gateway(site, tls=site_files.context()) as rig:
        wire = await rig.call(b"\x16\x03\x01")
        await rig.until(lambda: len(rig.listener.connections) == 1)
        assert rig.listener.busy == 0
        rig.listener.wind_down()
        assert await wire.ended() in ("closed", "reset")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(get(), id="HTTP"),
        pytest.param(get("/", "Content-Length: 5", method="POST") + b"12345", id="with a body"),
        pytest.param(b"\0\1\2\3", id="nonsense"),
    ],
)
async def test_a_plain_request_to_a_tls_port_is_told_so(site_files: Site, sent: bytes) -> None:
    async with origin() as site, gateway(site, tls=site_files.context()) as rig:
        wire = await rig.call(sent)
        answer = await wire.message()
        assert answer.status == 400
        assert json.loads(answer.body)["detail"] == (
            "This port speaks TLS: use https:// (upstreams.NAME.listen_tls)."
        )
        await rig.clock.advance(2.0)
        await rig.clock.advance(2.0)
        assert await wire.ended() in ("closed", "reset")
        await rig.until(lambda: not rig.listener.connections)
        assert rig.listener.limit.memory.buffered == 0
        assert site.accepted == 0


async def test_a_tls_handshake_at_a_plain_port_is_told_so(site_files: Site) -> None:
    async with origin() as site, gateway(site) as rig:
        tls = site_files.trust()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = tls.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        wire = await rig.call(outgoing.read())
        answer = await wire.message()
        assert answer.status == 400
        assert "began a TLS handshake" in json.loads(answer.body)["detail"]
        assert "listen_tls" in json.loads(answer.body)["detail"]


# -- clients' certificates --


async def test_a_certificate_of_the_right_ca_identifies_the_caller(site_files: Site) -> None:
    context, trust = site_files.context(ssl.CERT_REQUIRED), site_files.trust(site_files.client)
    async with origin(answering(OK)) as site, gateway(site, tls=context, trust=trust) as rig:
        wire = await rig.call(get())
        assert (await wire.message()).status == 200
        (caller,) = rig.listener.connections
        assert caller.identities == ("DNS:bi.example", f"URI:{SPIFFE}", "email:bi@example.com")


REFUSED: dict[str, tuple[Callable[[Site], tuple[Path, Path] | None], str, str]] = {
    "none": (lambda _: None, "CERTIFICATE_REQUIRED", "The client sent no certificate"),
    "of another CA": (lambda s: s.other, "UNKNOWN_CA", "unable to get local issuer certificate"),
    "expired": (lambda s: s.old, "CERTIFICATE_EXPIRED", "certificate has expired"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_client_without_the_right_certificate_gets_an_alert_that_says_why(
    case: str, site_files: Site
) -> None:
    which, alert, detail = REFUSED[case]
    lines = Lines()
    context = site_files.context(ssl.CERT_REQUIRED)
    async with origin() as site, gateway(site, tls=context, lines=lines) as rig:
        client = await half_closing(rig, site_files.trust(which(site_files)))
        client.send(get())
        with pytest.raises(ssl.SSLError) as caught:
            await client.read()
        assert alert in (caught.value.reason or "")
        (record,) = lines.problems
        assert (record.code, detail in record.detail) == ("caller_unknown", True)
        assert record.address.startswith("127.0.0.1:")
        assert rig.tally.problems == {"caller_unknown": 1}
        await rig.clock.advance(6.0)
        await rig.until(lambda: not rig.listener.connections)
        assert site.accepted == 0


async def test_where_it_is_optional_a_client_without_one_gets_in_and_one_of_another_ca_does_not(
    site_files: Site,
) -> None:
    context = site_files.context(ssl.CERT_OPTIONAL)
    async with (
        origin(answering(OK)) as site,
        gateway(site, tls=context, trust=site_files.trust()) as rig,
    ):
        wire = await rig.call(get())
        assert (await wire.message()).status == 200
        (caller,) = rig.listener.connections
        assert caller.identities == ()
        client = await half_closing(rig, site_files.trust(site_files.other))
        client.send(get())
        with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
            await client.read()


async def test_a_client_that_speaks_no_common_version_is_noted(site_files: Site) -> None:
    lines = Lines()
    context = site_files.context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    trust = site_files.trust()
    trust.maximum_version = ssl.TLSVersion.TLSv1_2
    async with origin() as site, gateway(site, tls=context, lines=lines) as rig:
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await half_closing(rig, trust)
        await rig.until(lambda: bool(lines.problems))
        assert lines.problems[0].detail == "The TLS handshake with a client has failed: unsupported protocol."


def test_only_names_that_can_identify_a_caller_are_taken() -> None:
    assert names_in(None) == names_in({}) == ()
    names = (
        ("DNS", "A.example"),
        ("IP Address", "127.0.0.1"),
        ("DirName", ((("commonName", "x"),),)),
        ("URI", "spiffe://A/b"),
        ("email", "A@b"),
    )
    assert names_in({"subjectAltName": names}) == ("DNS:a.example", "URI:spiffe://A/b", "email:A@b")
