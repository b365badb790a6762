"""Certificates and proxies, apart for token endpoint and upstream, as users set them."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from proxy.demo import simulated_camunda
from tests.app.command import command, proxy
from tests.certificates import certificate, serving
from tests.connect_proxy import ConnectProxy, connect_proxy
from tests.gateway.wire import OK, answering, origin
from tests.token_server import token_server

Files = tuple[Path, Path]
CANARY = "c4n4ry-s3cr3t"


def configuration(url: str, upstream: Mapping[str, Any], credential: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "upstreams": {"zeebe": {"url": url, "listen": "localhost:0", "credential": "saas", **upstream}},
        "credentials": {"saas": {"type": "oauth2", "client_id": "me", **credential}},
        "admin": {"listen": "127.0.0.1:0"},
    }


def tls(theirs: Files, ours: Files) -> dict[str, str]:
    return {
        "ca_file": str(theirs[0]),
        "server_name": "camunda.test",
        "cert_file": str(ours[0]),
        "key_file": str(ours[1]),
    }


@pytest.fixture
def pki(tmp_path: Path) -> dict[str, Files]:
    """Four parties, each with an authority of its own."""
    servers = {name: certificate(tmp_path / name, "camunda.test") for name in ("tokens", "api")}
    return servers | {name: certificate(tmp_path / name, "me") for name in ("to-tokens", "to-api")}


@pytest.fixture
async def ways() -> AsyncIterator[tuple[ConnectProxy, ConnectProxy]]:
    async with connect_proxy() as to_tokens, connect_proxy() as to_api:
        to_tokens.user, to_api.user = "tokens:p%20", "api:p:q"
        yield to_tokens, to_api


async def test_each_side_has_its_own_authority_certificate_and_proxy(
    tmp_path: Path, pki: dict[str, Files], ways: tuple[ConnectProxy, ConnectProxy]
) -> None:
    to_tokens, to_api = ways
    async with (
        token_server(serving(pki["tokens"], clients=pki["to-tokens"][0])) as tokens,
        origin(answering(OK), serving(pki["api"], clients=pki["to-api"][0])) as site,
    ):
        config = configuration(
            f"https://127.0.0.1:{site.port}",
            {
                "tls": tls(pki["api"], pki["to-api"]),
                "http_proxy": f"http://api:p%3Aq@127.0.0.1:{to_api.port}",
            },
            {
                "token_url": tokens.url,
                "auth_method": "tls_client_auth",
                "tls": tls(pki["tokens"], pki["to-tokens"]),
                "http_proxy": f"http://tokens:p%2520@127.0.0.1:{to_tokens.port}",
            },
        )
        async with proxy(tmp_path, config) as sidecar:
            for _ in range(2):
                status, body, _ = await sidecar.get("zeebe", "/v2/topology")
                assert (status, body) == (200, "ok"), body
        assert to_tokens.lines == [f"CONNECT {urlsplit(tokens.url).netloc} HTTP/1.1".encode()]
        assert to_api.lines == [b"CONNECT 127.0.0.1:%d HTTP/1.1" % site.port]
        assert site.accepted == 1
        assert parse_qs(tokens.asked[0].body.decode()) == {
            "grant_type": ["client_credentials"],
            "client_id": ["me"],
        }


async def test_the_upstreams_certificate_does_not_open_the_token_endpoint(
    tmp_path: Path, pki: dict[str, Files]
) -> None:
    async with (
        token_server(serving(pki["tokens"], clients=pki["to-tokens"][0])) as tokens,
        origin(answering(OK), serving(pki["api"], clients=pki["to-api"][0])) as site,
    ):
        config = configuration(
            f"https://127.0.0.1:{site.port}",
            {"tls": tls(pki["api"], pki["to-api"])},
            {
                "token_url": tokens.url,
                "auth_method": "tls_client_auth",
                "tls": tls(pki["tokens"], pki["to-api"]),
                "wait": "0s",
            },
        )
        async with proxy(tmp_path, config) as sidecar:
            status, body, _ = await sidecar.get("zeebe", "/v2/topology")
            assert status == 503, body
        assert not tokens.asked
        assert not site.accepted


async def test_renewed_certificates_are_shown_without_a_restart(
    tmp_path: Path, pki: dict[str, Files]
) -> None:
    wanted = certificate(tmp_path / "wanted", "me")
    async with (
        token_server() as tokens,
        origin(answering(OK), serving(pki["api"], clients=wanted[0])) as site,
    ):
        config = configuration(
            f"https://127.0.0.1:{site.port}",
            {"tls": tls(pki["api"], pki["to-api"])},
            {"token_url": tokens.url, "client_secret": CANARY},
        )
        async with proxy(tmp_path, config) as sidecar:
            status, _, _ = await sidecar.get("zeebe", "/v2/topology")
            assert status == 502
            for old, new in zip(pki["to-api"], wanted, strict=True):
                new.rename(old)
            status, body, _ = await sidecar.get("zeebe", "/v2/topology")
            assert (status, body) == (200, "ok")


async def test_a_proxy_that_refuses_is_told_and_its_password_is_not(
    tmp_path: Path, ways: tuple[ConnectProxy, ConnectProxy]
) -> None:
    async with token_server() as tokens, origin(answering(OK)) as site:
        config = configuration(
            f"http://127.0.0.1:{site.port}",
            {"http_proxy": f"http://api:{CANARY}@127.0.0.1:{ways[1].port}"},
            {"token_url": tokens.url, "client_secret": "s"},
        )
        async with proxy(tmp_path, config) as sidecar:
            status, body, _ = await sidecar.get("zeebe", "/v2/topology")
            assert status == 502
            assert "it wants a user and password (407)" in body
            assert CANARY not in body + sidecar.said
        assert not site.accepted


async def test_an_issuer_and_a_signing_key_let_in(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        key = camunda.keycloak.signing_key()
        (tmp_path / "key.pem").write_text(key.private_key)
        (tmp_path / "cert.pem").write_text(key.certificate)
        config = configuration(
            camunda.url("zeebe"),
            {},
            {
                "client_id": "signed",
                "issuer_url": f"{camunda.keycloak.issuer}/",
                "auth_method": "private_key_jwt",
                "private_key_file": "key.pem",
                "certificate_file": "cert.pem",
                "key_id": key.key_id,
            },
        )
        async with proxy(tmp_path, config) as sidecar:
            status, body, _ = await sidecar.get("zeebe", "/v2/topology")
            assert status == 200, body
        assert camunda.keycloak.discoveries == 1
        assert not camunda.complaints


async def test_what_signs_is_asked_for_where_it_is_missing(tmp_path: Path, pki: dict[str, Files]) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['cryptography'] = None\n")
    (tmp_path / "config.json").write_text(
        json.dumps(
            configuration(
                "http://127.0.0.1:1",
                {},
                {
                    "token_url": "http://127.0.0.1:1/t",
                    "auth_method": "private_key_jwt",
                    "private_key_file": str(pki["to-api"][1]),
                },
            )
        )
    )
    code, _, err = await command(
        "run", "--config", str(tmp_path / "config.json"), environ={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}
    )
    assert code == 2, err
    assert "pip install 'PyJWT[crypto]'" in err


async def test_a_key_of_another_certificate_is_told_before_the_start(
    tmp_path: Path, pki: dict[str, Files]
) -> None:
    config = configuration(
        "https://127.0.0.1:1",
        {"tls": tls(pki["api"], (pki["to-api"][0], pki["to-tokens"][1]))},
        {"token_url": "http://127.0.0.1:1/t", "client_secret": CANARY},
    )
    (tmp_path / "config.json").write_text(json.dumps(config))
    code, _, err = await command("run", "--config", str(tmp_path / "config.json"))
    assert code == 2, err
    assert "upstreams.zeebe.tls.key_file" in err
    assert "is not the key of the first certificate" in err
