"""Faults on the way to a server: the doctor names the cause of each, and the setting."""

import asyncio
import socket
import threading
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.accepting import accepting
from tests.certificates import certificate, serving
from tests.connect_proxy import connect_proxy
from tests.doctor.rig import SECRET, TOPOLOGY, Said, diagnose, none, oauth2, page, scripted
from tests.silent import linux, silent
from tests.tls_server import tls_server
from tests.token_server import token_server

JUNE = 1_780_000_000.0  # 2026-05-28


def one_name(name: str, port: int) -> Any:
    """Look-ups of the tests: `name` is 127.0.0.1, no other name exists."""

    def getaddrinfo(host: str, *_: Any, **__: Any) -> Any:
        if host != name:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    return getaddrinfo


async def test_a_name_without_an_address(tmp_path: Path) -> None:
    found = await diagnose(tmp_path, none("http://zeebe.example"), getaddrinfo=one_name("other.example", 1))
    assert found.causes == [("upstreams.zeebe", "name_unknown")]
    assert "upstreams.zeebe.url" in found.printed


async def test_a_token_endpoint_without_an_address_names_its_own_setting(tmp_path: Path) -> None:
    async with scripted() as server:
        document = oauth2(server.url, "https://login.example/token")
        found = await diagnose(tmp_path, document, getaddrinfo=one_name("other.example", 1))
    assert found.causes == [("credentials.identity", "name_unknown")]
    assert "credentials.identity.token_url" in found.printed
    assert found.step("upstreams.zeebe", "call").mark == "skipped"


async def test_a_region_that_saas_does_not_have(tmp_path: Path) -> None:
    document = none("https://bru-9.api.camunda.io/x")
    found = await diagnose(tmp_path, document, getaddrinfo=one_name("other.example", 1))
    assert found.causes == [("upstreams.zeebe", "name_unknown")]
    assert "begins with the region" in " ".join(found.printed.split())


async def test_a_dns_server_that_does_not_answer(tmp_path: Path) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    found = await diagnose(tmp_path, none("http://zeebe.example"), getaddrinfo=getaddrinfo)
    assert found.causes == [("upstreams.zeebe", "name_unanswered")]


async def test_a_name_server_that_is_silent(tmp_path: Path) -> None:
    end = threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        end.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    try:
        document = none("http://zeebe.example", connect_timeout=0.1)
        found = await diagnose(tmp_path, document, getaddrinfo=getaddrinfo)
    finally:
        end.set()
    assert found.causes == [("upstreams.zeebe", "name_timeout")]


async def test_a_port_where_no_program_listens(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        found = await diagnose(tmp_path, none(url))
    assert found.causes == [("upstreams.zeebe", "refused")]
    assert url in found.printed


@linux
async def test_a_firewall_that_drops_packets(tmp_path: Path) -> None:
    with silent("127.0.0.1") as port:
        document = none(f"http://127.0.0.1:{port}", connect_timeout=0.2)
        environ = {"HTTPS_PROXY": "http://gate.example:3128"}
        found = await diagnose(tmp_path, document, environ=environ)
    assert found.causes == [("upstreams.zeebe", "connect_timeout")]
    assert "The variable HTTPS_PROXY names an HTTP proxy that is not used" in " ".join(found.printed.split())


async def test_a_server_that_closes_each_connection(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with accepting(serve) as port:
        found = await diagnose(tmp_path, none(f"http://127.0.0.1:{port}"))
    assert found.causes == [("upstreams.zeebe", "closed")]


async def test_a_port_that_speaks_another_protocol(tmp_path: Path) -> None:
    async with scripted(otherwise=b"SSH-2.0-OpenSSH_9.2p1\r\n") as server:
        found = await diagnose(tmp_path, none(server.url))
    assert found.causes == [("upstreams.zeebe", "not_http")]


async def test_the_grpc_port(tmp_path: Path) -> None:
    settings = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x7f\xff\xff\xff"
    async with scripted(otherwise=settings) as server:
        found = await diagnose(tmp_path, none(server.url))
    assert found.causes == [("upstreams.zeebe", "http2")]


# -- TLS --


async def upstream_over_tls(
    folder: Path, pair: tuple[Path, Path], host: str = "127.0.0.1", clients: Path | None = None, **more: Any
) -> Any:
    with tls_server(serving(pair, clients)) as server:
        document = none(f"https://{host}:{server.port}", **more)
        return await diagnose(folder, document, getaddrinfo=one_name("zeebe.example", server.port))


async def test_a_private_ca(tmp_path: Path) -> None:
    pair = certificate(tmp_path / "server", "127.0.0.1")
    found = await upstream_over_tls(tmp_path, pair)
    assert found.causes == [("upstreams.zeebe", "tls_untrusted")]
    assert "upstreams.zeebe.tls.ca_file" in found.printed
    assert "issued by trustme" in found.printed, "the certificate that was presented"


async def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    pair = certificate(tmp_path / "server", "other.example")
    found = await upstream_over_tls(tmp_path, pair, "zeebe.example", tls={"ca_file": str(pair[0])})
    assert found.causes == [("upstreams.zeebe", "tls_name")]
    assert "upstreams.zeebe.tls.server_name" in found.printed
    assert "other.example" in found.printed


async def test_a_certificate_that_has_expired(tmp_path: Path) -> None:
    ended = datetime(2026, 1, 1, tzinfo=UTC)
    pair = certificate(tmp_path / "server", "127.0.0.1", not_after=ended)
    found = await upstream_over_tls(tmp_path, pair, tls={"ca_file": str(pair[0])})
    assert found.causes == [("upstreams.zeebe", "tls_expired")]
    assert "2026-01-01" in found.printed


async def test_a_certificate_that_expires_soon_gets_a_notice(tmp_path: Path) -> None:
    pair = certificate(tmp_path / "server", "127.0.0.1", not_after=datetime(2036, 6, 11, tzinfo=UTC))
    soon = datetime(2036, 6, 1, tzinfo=UTC).timestamp()
    async with AsyncExitStack() as stack:
        server = stack.enter_context(tls_server(serving(pair)))
        document = none(f"https://127.0.0.1:{server.port}", tls={"ca_file": str(pair[0])})
        found = await diagnose(tmp_path, document, wall=lambda: soon)
    step = found.step("upstreams.zeebe", "tls")
    assert step.mark == "notice"
    assert "10 days left" in step.said


async def test_a_client_certificate_that_is_wanted(tmp_path: Path) -> None:
    authority = trustme.CA()
    pair = certificate(tmp_path / "server", "127.0.0.1", authority)
    found = await upstream_over_tls(tmp_path, pair, clients=pair[0], tls={"ca_file": str(pair[0])})
    assert [name for _, name in found.causes] == ["tls_client_certificate"]
    assert "upstreams.zeebe.tls.cert_file" in found.printed


async def test_https_to_a_plain_port(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(bytes(page(400)))
        await writer.drain()

    async with accepting(serve) as port:
        found = await diagnose(tmp_path, none(f"https://127.0.0.1:{port}"))
    assert found.causes == [("upstreams.zeebe", "tls_to_plain")]


async def test_a_port_that_is_silent_when_tls_begins(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"never")

    async with accepting(serve) as port:
        found = await diagnose(tmp_path, none(f"https://127.0.0.1:{port}", connect_timeout=0.2))
    assert found.causes == [("upstreams.zeebe", "tls_timeout")]


async def test_http_to_a_tls_port(tmp_path: Path) -> None:
    pair = certificate(tmp_path / "server", "127.0.0.1")
    with tls_server(serving(pair)) as server:
        found = await diagnose(tmp_path, none(f"http://127.0.0.1:{server.port}"))
    assert found.causes == [("upstreams.zeebe", "plain_to_tls")]


async def test_http_to_the_tls_port_of_nginx(tmp_path: Path) -> None:
    said = page(400, "<center>The plain HTTP request was sent to HTTPS port</center>")
    async with scripted(otherwise=said) as server:
        found = await diagnose(tmp_path, none(server.url))
    assert found.causes == [("upstreams.zeebe", "plain_to_tls")]


async def test_http_to_a_tls_port_of_a_token_endpoint(tmp_path: Path) -> None:
    pair = certificate(tmp_path / "server", "127.0.0.1")
    async with scripted() as server:
        with tls_server(serving(pair)) as tokens:
            found = await diagnose(tmp_path, oauth2(server.url, f"http://127.0.0.1:{tokens.port}/token"))
    assert found.causes == [("credentials.identity", "plain_to_tls")]


async def test_a_private_ca_of_the_token_endpoint(tmp_path: Path) -> None:
    pair = certificate(tmp_path / "server", "127.0.0.1")
    async with scripted() as server, token_server(serving(pair)) as tokens:
        found = await diagnose(tmp_path, oauth2(server.url, tokens.url))
        assert found.causes == [("credentials.identity", "tls_untrusted")]
        assert "credentials.identity.tls.ca_file" in found.printed
        assert not tokens.asked, "no secret is sent"
        good = await diagnose(tmp_path, oauth2(server.url, tokens.url, tls={"ca_file": str(pair[0])}))
    assert not good.causes


async def test_a_ca_file_without_a_certificate(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN NOTHING-----")
    found = await diagnose(tmp_path, none("https://127.0.0.1:1", tls={"ca_file": str(file)}))
    assert found.causes == [("upstreams.zeebe", "files")]


async def test_each_connection_is_ended(tmp_path: Path) -> None:
    ends: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.Event()
        ends.append(ended)
        try:
            head = await reader.read(65536)
            if head:
                writer.write(bytes(TOPOLOGY))
                await writer.drain()
            await reader.read()
        finally:
            ended.set()

    pair = certificate(tmp_path / "server", "127.0.0.1")
    async with accepting(serve, serving(pair)) as port:
        await diagnose(tmp_path, none(f"https://127.0.0.1:{port}", tls={"ca_file": str(pair[0])}))
        assert len(ends) >= 3, "the handshake and two calls"
        async with asyncio.timeout(10):
            for each in ends:
                await each.wait()


# -- HTTP proxies --


async def through(folder: Path, gate: Any, user: str = "") -> Any:
    pair = certificate(folder / "server", "127.0.0.1")
    with tls_server(serving(pair)) as server:
        document = none(
            f"https://127.0.0.1:{server.port}",
            tls={"ca_file": str(pair[0])},
            http_proxy=f"http://{user}127.0.0.1:{gate.port}",
        )
        return await diagnose(folder, document, canaries=(SECRET, "canary-proxy"))


async def test_an_http_proxy_that_wants_a_password(tmp_path: Path) -> None:
    async with connect_proxy() as gate:
        gate.user = "us:right"
        found = await through(tmp_path, gate, "us:canary-proxy@")
    assert found.causes == [("upstreams.zeebe", "http_proxy_login")]
    assert "upstreams.zeebe.http_proxy" in found.printed


async def test_an_http_proxy_that_refuses_the_host(tmp_path: Path) -> None:
    async with connect_proxy() as gate:
        gate.answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        found = await through(tmp_path, gate)
    assert found.causes == [("upstreams.zeebe", "http_proxy_denied")]
    assert found.wrong[0][1].name == "http_proxy"


async def test_an_http_proxy_that_is_none(tmp_path: Path) -> None:
    async with connect_proxy() as gate:
        gate.answer = b"220 mail.example ESMTP\r\n\r\n"
        found = await through(tmp_path, gate)
    assert found.causes == [("upstreams.zeebe", "http_proxy_answer")]


async def test_an_http_proxy_that_cannot_be_reached(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        document = none("https://zeebe.example", http_proxy=f"http://127.0.0.1:{free.getsockname()[1]}")
        found = await diagnose(tmp_path, document)
    assert found.causes == [("upstreams.zeebe", "refused")]
    assert "upstreams.zeebe.http_proxy" in found.printed


async def test_what_lies_behind_an_http_proxy_is_reached_by_it(tmp_path: Path) -> None:
    async with connect_proxy() as gate, scripted() as server:
        found = await diagnose(tmp_path, none(server.url, http_proxy=f"http://127.0.0.1:{gate.port}"))
    assert not found.causes
    assert gate.lines[0].startswith(b"CONNECT ")


@pytest.mark.parametrize(("ahead", "mark"), [(0, "ok"), (20, "notice"), (-20, "notice"), (200, "wrong")])
async def test_a_clock_that_differs(tmp_path: Path, ahead: int, mark: str) -> None:
    headers = {"Content-Type": "application/json", "Date": formatdate(JUNE + ahead, usegmt=True)}
    body = b'{"brokers":[],"gatewayVersion":"8.8.0"}'
    async with scripted(otherwise=Said(200, body, headers)) as server:
        found = await diagnose(tmp_path, none(server.url), wall=lambda: JUNE)
    step = found.step("upstreams.zeebe", "clock")
    assert step.mark == mark
    assert ("ahead of ours" in step.said, "behind ours" in step.said) == (ahead > 0, ahead < 0)
    assert found.causes == ([("upstreams.zeebe", "clock")] if mark == "wrong" else [])
