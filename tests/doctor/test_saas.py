"""Faults on Camunda SaaS, whose hosts are known by name: look-ups of the test lead them here, over TLS."""

import socket
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from tests.certificates import serving
from tests.doctor.rig import SECRET, Result, Said, as_json, diagnose, oauth2, page, scripted
from tests.doctor.test_tokens import jwt
from tests.token_server import token_server

ID = "5c34c0a7-0000-0000-0000-000000000000"
OTHER = "11111111-0000-0000-0000-000000000000"
NGINX = page(401, "<html><h1>401 Authorization Required</h1><center>nginx</center></html>")


def lead_here(host: str, *_: Any, **__: Any) -> Any:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]


async def cluster(
    folder: Path, answer: Said, *, host: str = "bru-2.api.camunda.io", path: str = f"/{ID}", **claims: Any
) -> Result:
    """The doctor before a cluster on SaaS, with a token of these claims."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    pair = folder / "cert.pem", folder / "key.pem"
    issued = authority.issue_cert(host)
    issued.cert_chain_pems[0].write_to_path(pair[0])
    issued.private_key_pem.write_to_path(pair[1])
    token = jwt(**({"aud": "zeebe.camunda.io", "scope": ID} | claims))
    async with scripted(otherwise=answer, tls=serving(pair)) as server, token_server() as tokens:
        tokens.named = lambda _: token
        url = f"https://{host}:{server.port}{path}"
        document = oauth2(url, tokens.url, upstream={"tls": {"ca_file": "ca.pem"}})
        return await diagnose(folder, document, getaddrinfo=lead_here, canaries=(token, SECRET))


async def test_a_cluster_that_is_good(tmp_path: Path) -> None:
    found = await cluster(tmp_path, as_json(200, {"brokers": [], "gatewayVersion": "8.9.1"}))
    assert not found.causes


@pytest.mark.parametrize(
    ("answer", "cause", "word"),
    [
        (page(404), "cluster_unknown", "cluster id or the region"),
        (page(503), "cluster_paused", "Console"),
        (page(403), "gateway_forbids", "IP allowlist"),
        (NGINX, "ingress", "Console"),
        (as_json(403, {"detail": "no"}), "permission", "client"),
    ],
)
async def test_an_answer_of_saas(tmp_path: Path, answer: Said, cause: str, word: str) -> None:
    found = await cluster(tmp_path, answer)
    assert found.causes == [("upstreams.zeebe", cause)]
    assert word in " ".join(found.printed.split())
    assert "bru-2.api.camunda.io" in found.printed


async def test_a_token_of_another_cluster(tmp_path: Path) -> None:
    found = await cluster(tmp_path, NGINX, scope=OTHER)
    assert found.causes == [("upstreams.zeebe", "other_cluster")]
    assert OTHER in found.printed


async def test_a_token_for_another_api(tmp_path: Path) -> None:
    found = await cluster(tmp_path, NGINX, aud="api.cloud.camunda.io")
    assert found.causes == [("upstreams.zeebe", "ingress")]
    text = " ".join(found.printed.split())
    assert "`api.cloud.camunda.io`" in text
    assert "`zeebe.camunda.io`" in text


async def test_a_host_of_before_8_10(tmp_path: Path) -> None:
    found = await cluster(tmp_path, page(404), host="bru-2.zeebe.camunda.io")
    assert found.causes == [("upstreams.zeebe", "cluster_unknown")]
    assert "https://REGION.api.camunda.io/CLUSTER-ID" in found.printed


async def login(folder: Path, answer: Any, **more: Any) -> Result:
    """The doctor before the token endpoint of SaaS."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("login.cloud.camunda.io")
    pair = folder / "cert.pem", folder / "key.pem"
    issued.cert_chain_pems[0].write_to_path(pair[0])
    issued.private_key_pem.write_to_path(pair[1])
    async with scripted() as server, token_server(serving(pair)) as tokens:
        tokens.always = answer
        if answer is None:
            tokens.open.clear()
        url = tokens.url.replace("127.0.0.1", "login.cloud.camunda.io")
        document = oauth2(server.url, url, tls={"ca_file": "ca.pem"}, **more)
        return await diagnose(folder, document, getaddrinfo=lead_here)


async def test_the_limiter(tmp_path: Path) -> None:
    found = await login(tmp_path, lambda: web.Response(status=429, text="Too Many Requests"))
    assert found.causes == [("credentials.identity", "token_limited")]
    assert "about one token request a second from one IP address" in " ".join(found.printed.split())


async def test_the_delay_after_a_wrong_secret(tmp_path: Path) -> None:
    found = await login(tmp_path, None, timeout=0.3)
    assert found.causes == [("credentials.identity", "no_answer")]
    assert "delays requests with a wrong client or secret by 30 s" in " ".join(found.printed.split())


async def test_a_client_of_another_organisation(tmp_path: Path) -> None:
    members = {"error": "access_denied", "error_description": "Forbidden"}
    found = await login(
        tmp_path,
        lambda: web.json_response(members, status=403),
        upstream={"api": "console", "audience": "api.cloud.camunda.io"},
    )
    assert found.causes == [("credentials.identity", "token_audience")]
    assert "need a client of the organisation" in " ".join(found.printed.split())
