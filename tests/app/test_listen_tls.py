"""TLS of listeners, end to end: rotation, reloads, callers by certificate, what the operator is told."""

import asyncio
import json
import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

from proxy.app.validity import not_after
from proxy.clock import wall_time
from proxy.errors import StartError
from tests.app.command import command, proxy
from tests.app.in_process import House, ask, house, send
from tests.app.test_sighup import configuration, two_sites
from tests.certificates import certificate, of_client
from tests.config.writing import BEARER, ZEEBE, read, refused
from tests.gateway.wire import Wire

TEAM = "spiffe://example/ns/team"


def pair(folder: Path, **more: Any) -> dict[str, Any]:
    return {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem"), **more}


def prepared(folder: Path, **more: Any) -> Callable[[House], None]:
    """With a certificate in the folder `tls`."""
    certificate(folder / "tls", "127.0.0.1")

    def prepare(here: House) -> None:
        here.document["upstreams"]["zeebe"]["listen_tls"] = pair(folder / "tls", **more)

    return prepare


def trust(folder: Path, client: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "tls" / "cert.pem"))
    if client is not None:
        context.load_cert_chain(*client)
    return context


async def connected(here: House, context: ssl.SSLContext) -> Wire:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", here.port(), ssl=context))
    here._stack.callback(wire.cut)
    return wire


async def serial(here: House, context: ssl.SSLContext) -> str:
    """Serial number of the certificate that a new connection is shown."""
    wire = await connected(here, context)
    assert (await ask(wire, "/v2/topology")).status == 200
    return str(wire.writer.get_extra_info("peercert")["serialNumber"])


async def test_callers_use_https_and_the_operator_sees_how_long_the_certificate_lasts(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, prepared(tmp_path)) as here:
        await serial(here, trust(tmp_path))
        ends = not_after(tmp_path / "tls" / "cert.pem")
        assert ends is not None
        document = json.loads((await here.look("/status.json")).body)
        left = document["upstreams"][0]["listen_tls"]["certificate_expires_in"]
        assert left == pytest.approx(ends - wall_time(), abs=60)
        name = "listener_certificate_expiry_timestamp_seconds"
        assert await here.metric(name, upstream="zeebe") == ends


async def test_a_renewed_certificate_is_used_for_the_next_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "proxy")
    async with house(tmp_path, prepared(tmp_path)) as here:
        old = trust(tmp_path)
        first = await serial(here, old)
        kept = await connected(here, old)
        certificate(tmp_path / "new", "127.0.0.1")
        before = (tmp_path / "tls" / "cert.pem").read_bytes()

        # Only half of the pair: the earlier one stays.
        (tmp_path / "tls" / "cert.pem").write_bytes((tmp_path / "new" / "cert.pem").read_bytes())
        (tmp_path / "old-ca.pem").write_bytes(before)
        known = ssl.create_default_context(cafile=str(tmp_path / "old-ca.pem"))
        assert await serial(here, known) == first
        assert "listen_tls have changed but cannot be used, so the earlier ones stay" in caplog.text
        assert "is not the key of the first certificate" in caplog.text

        # An empty file, as it is while it is written.
        (tmp_path / "tls" / "key.pem").write_bytes(b"")
        assert await serial(here, known) == first

        (tmp_path / "new" / "key.pem").replace(tmp_path / "tls" / "key.pem")
        assert await serial(here, trust(tmp_path)) != first
        assert "upstreams.zeebe.listen_tls have changed and are used" in caplog.text
        assert (await ask(kept, "/v2/topology")).status == 200  # what was connected stays


async def test_the_metric_follows_a_renewed_certificate_without_a_connection(tmp_path: Path) -> None:
    async with house(tmp_path, prepared(tmp_path)) as here:
        later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
        certificate(tmp_path / "tls", "127.0.0.1", not_after=later)
        metric = await here.metric("listener_certificate_expiry_timestamp_seconds")
        assert metric == later.timestamp()


async def test_files_that_cannot_be_used_stop_the_start_and_a_reload(tmp_path: Path) -> None:
    other = certificate(tmp_path / "other", "127.0.0.1")
    wrong = house(tmp_path, prepared(tmp_path, key_file=str(other[1])))
    with pytest.raises(StartError, match=r"upstreams\.zeebe\.listen_tls\.key_file: .* is not the key of"):
        await wrong.__aenter__()
    async with house(tmp_path, prepared(tmp_path)) as here:
        first = await serial(here, trust(tmp_path))
        here.document["upstreams"]["zeebe"]["listen_tls"]["key_file"] = str(other[1])
        with pytest.raises(StartError, match="is not the key of"):
            await here.apply()
        assert await serial(here, trust(tmp_path)) == first


async def test_a_reload_from_plain_to_tls_ends_the_plain_connections_and_keeps_the_port(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as here:
        port = here.port()
        here.document["upstreams"]["zeebe"]["listen"] = port
        await here.apply()
        idle, busy = await here.caller(), await here.caller()
        assert (await ask(idle, "/v2/topology")).status == 200
        send(busy, "/hold")
        await here.a.held.wait()
        prepared(tmp_path)(here)
        await here.apply()
        assert here.port() == port
        assert await idle.ended() == "closed"
        await serial(here, trust(tmp_path))
        here.a.release.set()
        answer = await busy.message()
        assert (answer.status, answer.head.get(b"connection")) == (200, b"close")
        del here.document["upstreams"]["zeebe"]["listen_tls"]
        await here.apply()
        assert await here.says() == "a"


# -- clients' certificates --


def team(folder: Path) -> tuple[Path, tuple[Path, Path], tuple[Path, Path]]:
    """A CA for clients, a certificate of the team, and one of another client of that CA."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "clients.pem")
    return (
        folder / "clients.pem",
        of_client(folder / "team", authority, x509.UniformResourceIdentifier(TEAM)),
        of_client(folder / "other", authority, x509.DNSName("other.example")),
    )


async def test_a_certificate_is_the_identity_of_a_caller_and_it_needs_no_token(tmp_path: Path) -> None:
    ca, mine, other = team(tmp_path)

    def prepare(here: House) -> None:
        prepared(tmp_path, client_ca_file=str(ca))(here)
        here.document["callers"] = {
            "team": {"certificate_san": f"URI:{TEAM}", "deny": ["GET /v2/license"]},
            "ci": {"token": "canary-token-of-ci"},
        }
        here.document["audit"] = {"file": str(tmp_path / "audit.log"), "reads": True}

    async with house(tmp_path, prepare) as here:
        wire = await connected(here, trust(tmp_path, mine))
        assert (await ask(wire, "/v2/topology")).status == 200
        assert (await ask(wire, "/v2/license")).status == 403
        answer = await ask(await connected(here, trust(tmp_path, other)), "/v2/topology")
        assert answer.status == 401  # of the right CA, but no caller has its name
        wire = await connected(here, trust(tmp_path, other))
        assert (await ask(wire, "/v2/topology", "X-Proxy-Token: canary-token-of-ci")).status == 200
        wire = await connected(here, trust(tmp_path, mine))
        assert (await ask(wire, "/v2/topology", "X-Proxy-Token: canary-token-of-ci")).status == 401
        wire = await connected(here, trust(tmp_path))
        wire.send(b"GET /v2/topology HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            await wire.reader.read()
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    told = [(line["caller"], line["operation"], line["refused"]) for line in lines]
    assert told == [
        ("team", "getTopology", None),
        ("team", "getLicense", "not_permitted"),
        (None, "getTopology", "caller_unknown"),
        ("ci", "getTopology", None),
        (None, "getTopology", "caller_unknown"),
    ]


async def test_a_removed_certificate_name_is_out_on_reload_and_its_request_is_cut(tmp_path: Path) -> None:
    ca, mine, _ = team(tmp_path)

    def prepare(here: House) -> None:
        prepared(tmp_path, client_ca_file=str(ca))(here)
        here.document["callers"] = {
            "team": {"certificate_san": [f"URI:{TEAM}", "DNS:x.example"], "token": "canary-token-of-team"}
        }

    async with house(tmp_path, prepare) as here:
        running, kept = [await connected(here, trust(tmp_path, mine)) for _ in range(2)]
        assert (await ask(kept, "/v2/topology")).status == 200
        send(running, "/hold")
        await here.a.held.wait()
        here.document["callers"]["team"]["certificate_san"] = ["DNS:x.example"]
        await here.apply()
        assert await running.ended() == "reset"
        assert (await ask(kept, "/v2/topology")).status == 401


async def test_where_certificates_are_optional_a_token_does(tmp_path: Path) -> None:
    ca, _, _ = team(tmp_path)

    def prepare(here: House) -> None:
        prepared(tmp_path, client_ca_file=str(ca), client_certificate="optional")(here)
        here.document["callers"] = {
            "team": {"certificate_san": f"URI:{TEAM}"},
            "ci": {"token": "canary-token-of-ci"},
        }

    async with house(tmp_path, prepare) as here:
        wire = await connected(here, trust(tmp_path))
        assert (await ask(wire, "/v2/topology")).status == 401
        assert (await ask(wire, "/v2/topology", "X-Proxy-Token: canary-token-of-ci")).status == 200


# -- what the operator is told --


async def test_env_prints_https(tmp_path: Path) -> None:
    certificate(tmp_path / "tls", "127.0.0.1")
    tls = json.dumps(pair(tmp_path / "tls"))
    text = f"upstreams: {{zeebe: {{url: 'http://localhost:8080', listen_tls: {tls}}}}}\n" + BEARER
    (tmp_path / "c.yaml").write_text(text)
    code, out, err = await command("env", "--config", "c.yaml", folder=tmp_path)
    assert code == 0
    assert "export CAMUNDA_REST_ADDRESS=https://localhost:19080\n" in out
    assert "clients must trust the CA" in err
    code, out, _ = await command("env", "--config", "c.yaml", "--format", "mcp", folder=tmp_path)
    assert "https://localhost:19080/mcp/cluster" in out
    code, out, _ = await command("check", "--config", "c.yaml", folder=tmp_path)
    assert "localhost:19080 (TLS)" in out


async def test_doctor_finds_a_pair_that_does_not_fit(tmp_path: Path) -> None:
    other = certificate(tmp_path / "other", "127.0.0.1")
    certificate(tmp_path / "tls", "127.0.0.1")
    tls = json.dumps(pair(tmp_path / "tls", key_file=str(other[1])))
    text = f"upstreams: {{zeebe: {{url: 'http://127.0.0.1:9', listen_tls: {tls}}}}}\n" + BEARER
    (tmp_path / "c.yaml").write_text(text)
    code, out, _ = await command("doctor", "--config", "c.yaml", folder=tmp_path)
    assert code == 1
    assert "upstreams.zeebe.listen_tls.key_file" in out
    assert "is not the key of the first certificate" in " ".join(out.split())


async def test_the_log_says_which_listener_has_tls(tmp_path: Path) -> None:
    certificate(tmp_path / "tls", "127.0.0.1")
    async with two_sites() as (a, b):
        document = configuration(zeebe=a.url, operate=b.url)
        document["upstreams"]["zeebe"]["listen_tls"] = pair(tmp_path / "tls")
        async with proxy(tmp_path, document) as sidecar:
            await sidecar.message("admin listening")
            told = {
                e["upstream"]: e.get("tls", False) for e in sidecar.events if "listen" in e and "url" in e
            }
            assert told == {"zeebe": True, "operate": False}


LISTENING = ZEEBE.replace("}", ", listen: '0.0.0.0:19080'}") + BEARER + "guard: {allow_non_loopback: true"


def test_off_loopback_without_tls_the_notice_says_what_crosses_in_clear(tmp_path: Path) -> None:
    certificate(tmp_path / "tls", "127.0.0.1")
    (notice,) = read(tmp_path, LISTENING + "}").notices
    assert "anyone who can reach it acts with credential `shared`" in notice
    assert notice.endswith(
        "Without upstreams.zeebe.listen_tls, requests and answers cross the network unencrypted"
    )
    (notice,) = read(tmp_path, LISTENING + ", caller_token: canary-canary-canary}").notices
    assert notice == (
        "listening on 0.0.0.0:19080 without TLS: requests, tokens and answers cross the network unencrypted; "
        "set upstreams.zeebe.listen_tls"
    )


def test_off_loopback_with_tls_only_a_missing_token_is_told(tmp_path: Path) -> None:
    ca, _, _ = team(tmp_path)
    certificate(tmp_path / "tls", "127.0.0.1")

    def notices(more: dict[str, Any], token: str = "") -> tuple[str, ...]:
        tls = json.dumps(pair(tmp_path / "tls", **more))
        text = LISTENING.replace("'0.0.0.0:19080'", f"'0.0.0.0:19080', listen_tls: {tls}") + token + "}"
        return read(tmp_path, text).notices

    (notice,) = notices({})
    assert "anyone who can reach it" in notice
    assert "unencrypted" not in notice
    assert notices({}, ", caller_token: canary-canary-canary") == ()
    assert notices({"client_ca_file": str(ca)}) == ()
    (notice,) = notices({"client_ca_file": str(ca), "client_certificate": "optional"})
    assert "anyone who can reach it" in notice


MISTAKES = {
    "listen_tls: {cert_file: CERT}": "upstreams.zeebe.listen_tls.key_file (line 2): is missing",
    "listen_tls: {cert_file: none.pem, key_file: KEY}": "none.pem, which does not exist",
    "listen_tls: {cert_file: KEY, key_file: KEY}": "holds no certificate in PEM form",
    "listen_tls: {cert_file: CERT, key_file: KEY, client_certificate: optional}": "needs client_ca_file",
    "listen_tls: {cert_file: CERT, key_file: KEY, client_ca_file: KEY}": "holds no certificate in PEM form",
    "listen: unix:/run/x.sock, listen_tls: {cert_file: CERT, key_file: KEY}": "is for ports",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_in_listen_tls_is_told_with_its_place(text: str, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path / "tls", "127.0.0.1")
    bad = tmp_path / "tls" / "key-only.pem"
    bad.write_text("not PEM")
    written = text.replace("cert_file: KEY", f"cert_file: {bad}").replace("ca_file: KEY", f"ca_file: {bad}")
    written = written.replace("CERT", str(cert)).replace("KEY", str(key))
    (problem,) = refused(tmp_path, ZEEBE.replace("8080'", f"8080', {written}") + BEARER)
    if "client_ca_file: KEY" in text:
        assert "client_ca_file" in problem
    assert MISTAKES[text] in problem


CALLERS = {
    "team: {certificate_san: 'a.example'}": "must be a name of the client's certificate with its kind",
    "team: {certificate_san: 'DNS:*.example'}": "must be one whole name in ASCII",
    "team: {certificate_san: 'DNS:a.example'}": "no listener that it may use has listen_tls.client_ca_file",
}


@pytest.mark.parametrize("text", CALLERS)
def test_a_mistake_in_the_name_of_a_certificate_is_told(text: str, tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, ZEEBE + BEARER + f"callers: {{{text}}}\n")
    assert problem.startswith("callers.team.certificate_san")
    assert CALLERS[text] in problem


def test_two_callers_cannot_have_the_same_name_of_a_certificate(tmp_path: Path) -> None:
    ca, _, _ = team(tmp_path)
    certificate(tmp_path / "tls", "127.0.0.1")
    tls = json.dumps(pair(tmp_path / "tls", client_ca_file=str(ca)))
    text = ZEEBE.replace("8080'", f"8080', listen_tls: {tls}") + BEARER
    two = "callers: {a: {certificate_san: 'DNS:A.example'}, b: {certificate_san: ['DNS:a.example']}}"
    (problem,) = refused(tmp_path, text + two)
    assert "has a name that callers.a has too" in problem


# -- validity --


@pytest.mark.parametrize("year", [2031, 2049, 2050, 2199])
def test_the_end_of_a_certificate_is_read_in_both_forms_of_time(year: int, tmp_path: Path) -> None:
    end = datetime(year, 2, 28, 23, 59, 58, tzinfo=UTC)
    cert, key = certificate(tmp_path / "x", "127.0.0.1", not_after=end)
    assert not_after(cert) == end.timestamp()
    assert not_after(key) is None
    assert not_after(tmp_path / "none") is None


def test_a_damaged_certificate_has_no_end_that_is_known(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path / "x", "127.0.0.1")
    der = ssl.PEM_cert_to_DER_cert(cert.read_text()[: cert.read_text().index(ssl.PEM_FOOTER) + 25])
    for size in range(0, len(der), 7):
        cert.write_text(ssl.DER_cert_to_PEM_cert(der[:size]))
        assert not_after(cert) is None
