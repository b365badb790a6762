"""Faults of token endpoints, issuers and fixed tokens: the doctor names the cause of each."""

import asyncio
import json
import socket
from base64 import urlsafe_b64encode
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from proxy.demo import Client, Fault, Rules, SimulatedCamunda, simulated_camunda
from proxy.demo.assertions import AVAILABLE
from tests.accepting import accepting
from tests.doctor.rig import SECRET, TOPOLOGY, Result, Said, as_json, diagnose, none, oauth2, scripted
from tests.token_server import invalid_client, raw_server, token_server

ALL = ("zeebe.camunda.io", "zeebe-api", "orchestration-api")


async def answered(
    folder: Path, status: int, members: Any = None, *, text: str = "", media_type: str = "", **more: Any
) -> Result:
    """The doctor before a token endpoint with this answer."""
    headers = more.pop("headers", {})
    async with scripted() as server, token_server() as tokens:
        body = text or json.dumps(members)
        kind = media_type or ("text/html" if text else "application/json")
        tokens.always = lambda: web.Response(status=status, text=body, content_type=kind, headers=headers)
        found = await diagnose(folder, oauth2(server.url, tokens.url, **more))
        assert len(tokens.asked) == 1, "one attempt is enough"
        assert not server.asked, "nothing is sent to Camunda without a credential"
        return found


WRONG = "Invalid client or Invalid client credentials"
REFUSALS = [
    # Keycloak 26.7, observed
    (401, "unauthorized_client", WRONG, "token_wrong_secret", "credentials.identity.client_secret"),
    (401, "invalid_client", WRONG, "token_wrong_secret", "credentials.identity.client_id"),
    (
        401,
        "unauthorized_client",
        "Invalid method used to get client secret. Client requires method 'client_secret_basic'",
        "token_auth_method",
        "credentials.identity.auth_method",
    ),
    (
        401,
        "unauthorized_client",
        "Client not enabled to retrieve service account",
        "token_service_account_off",
        "service accounts roles",
    ),
    (
        401,
        "unauthorized_client",
        "Public client not allowed to retrieve service account",
        "token_service_account_off",
        "orchestration",
    ),
    (401, "invalid_client", "Client disabled", "token_client_disabled", "orchestration"),
    (400, "invalid_request", "Missing form parameter: grant_type", "token_request_format", "request_format"),
    (
        400,
        "unsupported_grant_type",
        "Unsupported grant_type",
        "token_grant_refused",
        "client credentials grant",
    ),
    (404, "Realm does not exist", "", "token_realm", "camunda-platform"),
    (403, "invalid_request", "HTTPS required", "token_https_required", "https://"),
    (400, "invalid_client", "Token reuse detected", "token_assertion_reused", "assertion"),
    (400, "invalid_client", "Invalid token audience", "token_assertion_audience", "token_url"),
    (400, "invalid_client", "Token is not active", "token_assertion_time", "NTP"),
    (400, "invalid_client", "Unable to load public key", "token_assertion_key", "key_id"),
    # Entra ID
    (401, "invalid_client", "AADSTS7000215: Invalid client secret", "token_wrong_secret", "secret's value"),
    (401, "invalid_client", "AADSTS7000222: secret keys are expired", "token_secret_expired", "expired"),
    (400, "unauthorized_client", "AADSTS700016: Application not found", "token_unknown_client", "client_id"),
    (400, "invalid_request", "AADSTS90002: Tenant not found", "token_tenant", "tenant"),
    (400, "invalid_scope", "AADSTS1002012: The scope is not valid", "token_scope", ".default"),
    # Auth0, and with it Camunda SaaS
    (403, "access_denied", 'Client is not authorized to access "zeebe-api"', "token_audience", "zeebe-api"),
    (401, "access_denied", "Unauthorized", "token_wrong_secret", "client_secret"),
    # RFC 6749 and 8707
    (400, "invalid_scope", "Invalid scopes: foo", "token_scope_refused", "credentials.identity.scope"),
    (400, "invalid_target", "unknown resource", "token_audience_refused", "zeebe-api"),
]


@pytest.mark.parametrize(("status", "error", "description", "cause", "word"), REFUSALS)
async def test_a_refusal_of_the_token_endpoint(
    tmp_path: Path, status: int, error: str, description: str, cause: str, word: str
) -> None:
    members = {"error": error, "error_description": description}
    upstream = {"audience": "zeebe-api"}
    found = await answered(tmp_path, status, members, scope="foo", upstream=upstream)
    assert found.causes == [("credentials.identity", cause)]
    assert word in found.printed.replace("\n           ", " ")
    assert "127.0.0.1" in found.wrong[0][1].why.words  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("status", "text", "media_type", "headers", "cause", "word"),
    [
        (404, "not here", "text/plain", {}, "token_no_such_path", "credentials.identity.token_url"),
        (405, "no", "text/plain", {}, "token_no_post", "token_url"),
        (415, "no", "text/plain", {}, "token_request_format", "request_format"),
        (429, "slow down", "text/plain", {}, "token_limited", "429"),
        (500, "oops", "text/plain", {}, "token_server_error", "500"),
        (503, "<html>busy</html>", "text/html", {}, "token_server_error", "503"),
        (200, "<html>login</html>", "text/html", {}, "token_html", "page for people"),
        (400, "<html>no</html>", "text/html", {}, "token_html", "400"),
        (302, "-", "text/plain", {"Location": "https://sso.example/x"}, "token_redirect", "sso.example"),
        (302, "-", "text/plain", {"Location": "/login"}, "token_client_to_login", "auth_method"),
        (200, "nonsense", "text/plain", {}, "token_answer_unusable", "JSON"),
        (200, '{"a":1}', "application/json", {}, "token_answer_unusable", "access_token"),
        (
            200,
            '{"access_token":"e30.e30.a","token_type":"DPoP"}',
            "application/json",
            {},
            "token_answer_unusable",
            "Bearer",
        ),
        (
            400,
            "The plain HTTP request was sent to HTTPS port",
            "text/html",
            {},
            "token_plain_to_tls",
            "https://",
        ),
    ],
)
async def test_an_answer_that_is_no_token(
    tmp_path: Path, status: int, text: str, media_type: str, headers: Any, cause: str, word: str
) -> None:
    found = await answered(tmp_path, status, text=text, media_type=media_type, headers=headers)
    assert found.causes == [("credentials.identity", cause)]
    assert word in found.printed.replace("\n           ", " ")


async def test_an_error_in_a_200(tmp_path: Path) -> None:
    found = await answered(tmp_path, 200, {"error": "invalid_scope", "error_description": "no"}, scope="foo")
    assert found.causes == [("credentials.identity", "token_scope_refused")]


async def test_a_text_of_the_server_is_cleaned_and_holds_no_secret(tmp_path: Path) -> None:
    description = f"you sent {SECRET} \u202e and eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln\n" + "x" * 500
    members = {"error": "weird", "error_description": description}
    async with scripted() as server, token_server() as tokens:
        tokens.always = lambda: web.json_response(members, status=400)
        document = oauth2(server.url, tokens.url)
        found = await diagnose(tmp_path, document)
    assert SECRET not in found.printed
    assert "\u202e" not in found.printed
    assert "eyJ" not in found.printed
    assert "x" * 250 not in found.printed


async def test_a_secret_that_is_a_word_of_ours_hides_nothing(tmp_path: Path) -> None:
    """As in Camunda's own Compose files."""
    description = "Invalid method used to get client secret. Client requires method 'client_secret_basic'"
    members = {"error": "unauthorized_client", "error_description": description}
    async with scripted() as server, token_server() as tokens:
        tokens.always = lambda: web.json_response(members, status=401)
        document = oauth2(server.url, tokens.url, client_secret="secret")
        found = await diagnose(tmp_path, document)
    assert found.causes == [("credentials.identity", "token_auth_method")]
    assert "client_secret_basic" in found.printed


async def test_a_token_endpoint_that_speaks_no_http(tmp_path: Path) -> None:
    async with scripted() as server, raw_server(b"SSH-2.0-OpenSSH_9.2p1\r\n") as url:
        found = await diagnose(tmp_path, oauth2(server.url, url))
    assert found.causes == [("credentials.identity", "no_answer")]
    assert "HTTP" in found.printed


async def test_a_token_endpoint_that_hangs(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        camunda.keycloak.fault = Fault.HANG
        document = oauth2(camunda.url("zeebe"), camunda.keycloak.url, timeout=0.3)
        found = await diagnose(tmp_path, document)
    assert found.causes == [("credentials.identity", "no_answer")]
    assert "does not answer" in found.printed


async def test_a_clock_of_the_token_endpoint_that_differs(tmp_path: Path) -> None:
    june = 1_780_000_000.0
    async with scripted() as server, token_server() as tokens:
        date = formatdate(june - 300, usegmt=True)
        members = {"access_token": "e30.e30.AAAA", "token_type": "Bearer", "expires_in": 60}
        tokens.always = lambda: web.json_response(members, headers={"Date": date})
        found = await diagnose(tmp_path, oauth2(server.url, tokens.url), wall=lambda: june)
    assert ("credentials.identity", "clock") in found.causes
    assert "behind ours" in found.step("credentials.identity", "clock").said


# -- issuers --


def discovery(issuer: str, endpoint: str) -> dict[str, str]:
    return {"issuer": issuer, "token_endpoint": endpoint}


async def issued(folder: Path, said: Any) -> Result:
    async with scripted() as server, scripted(otherwise=said) as issuer:
        return await diagnose(folder, oauth2(server.url, "", issuer_url=issuer.url))


async def test_an_issuer_that_calls_itself_by_another_name(tmp_path: Path) -> None:
    said = as_json(200, discovery("http://keycloak:8080/realms/camunda-platform", "http://keycloak:8080/t"))
    found = await issued(tmp_path, said)
    assert found.causes == [("credentials.identity", "issuer_name")]
    assert "http://keycloak:8080/realms/camunda-platform" in found.printed
    assert "credentials.identity.issuer_url" in found.printed


async def test_an_issuer_that_names_an_endpoint_inside_its_own_network(tmp_path: Path) -> None:
    async with scripted() as server, scripted() as issuer:
        endpoint = "http://keycloak.inside.example:8080/token"
        issuer.otherwise = as_json(200, discovery(issuer.url, endpoint))

        def getaddrinfo(*_: Any, **__: Any) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")

        document = oauth2(server.url, "", issuer_url=issuer.url)
        found = await diagnose(tmp_path, document, getaddrinfo=getaddrinfo)
    assert found.causes == [("credentials.identity", "issuer_endpoint")]
    assert endpoint in found.printed
    assert "credentials.identity.token_url" in found.printed


async def test_an_issuer_without_a_document(tmp_path: Path) -> None:
    found = await issued(tmp_path, Said(404))
    assert found.causes == [("credentials.identity", "issuer_path")]


async def test_an_issuer_that_redirects(tmp_path: Path) -> None:
    found = await issued(tmp_path, Said(301, b"", {"Location": "https://login.example/"}))
    assert found.causes == [("credentials.identity", "issuer")]
    assert "redirect" in found.printed


# -- the simulated Camunda --


async def simulated(folder: Path, camunda: SimulatedCamunda, api: str = "zeebe", **more: Any) -> Result:
    more = {"client_secret": camunda.keycloak.clients["orchestration"].secret} | more
    document = oauth2(camunda.url(api), camunda.keycloak.url, **more)
    return await diagnose(folder, document, canaries=tuple(camunda.secrets))


async def test_a_wrong_secret_at_keycloak(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        found = await simulated(tmp_path, camunda, client_secret=SECRET)
    assert found.causes == [("credentials.identity", "token_wrong_secret")]


async def test_a_client_that_keycloak_lets_in_by_basic_only(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        secret = camunda.keycloak.clients["basic-only"].secret
        found = await simulated(tmp_path, camunda, client_id="basic-only", client_secret=secret)
    assert found.causes == [("credentials.identity", "token_auth_method")]


async def test_a_json_body_at_keycloak(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        found = await simulated(tmp_path, camunda, request_format="json")
    assert found.causes == [("credentials.identity", "token_request_format")]


async def test_a_scope_that_keycloak_does_not_know(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        found = await simulated(tmp_path, camunda, scope="foo")
    assert found.causes == [("credentials.identity", "token_scope_refused")]
    assert "`foo`" in found.printed


@pytest.mark.skipif(not AVAILABLE, reason="needs cryptography")
async def test_a_key_that_the_identity_provider_does_not_know(tmp_path: Path) -> None:
    from proxy.demo.assertions import new_signing_key

    file = tmp_path / "other.key"
    file.write_text(new_signing_key().private_key)
    async with simulated_camunda() as camunda:
        document = oauth2(camunda.url("zeebe"), camunda.keycloak.url, client_id="signed")
        credential = document["credentials"]["identity"]
        del credential["client_secret"]
        credential |= {"auth_method": "private_key_jwt", "private_key_file": str(file), "key_id": "unknown"}
        found = await diagnose(tmp_path, document)
    (cause,) = found.causes
    assert cause[1] in ("token_assertion_key", "token_assertion_signature", "token_client_refused")
    assert "private_key_file" in found.printed


async def test_a_wrong_secret_on_saas(tmp_path: Path) -> None:
    async with simulated_camunda(rules=Rules(tarpit=0.1)) as camunda:
        document = oauth2(camunda.url("zeebe", saas=True), camunda.saas.url, client_id="saas-client")
        document["upstreams"]["zeebe"]["audience"] = "zeebe.camunda.io"
        found = await diagnose(tmp_path, document)
    assert found.causes == [("credentials.identity", "token_wrong_secret")]


async def test_an_api_that_the_client_has_no_scope_for_on_saas(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        camunda.saas.clients["narrow"] = Client("narrow", ("operate.camunda.io",))
        secret = camunda.saas.clients["narrow"].secret
        document = oauth2(
            camunda.url("zeebe", saas=True), camunda.saas.url, client_id="narrow", client_secret=secret
        )
        document["upstreams"]["zeebe"]["audience"] = "zeebe.camunda.io"
        found = await diagnose(tmp_path, document, canaries=tuple(camunda.secrets))
    assert found.causes == [("credentials.identity", "token_audience")]
    assert "`zeebe.camunda.io`" in found.printed


async def test_the_limiter_of_saas(tmp_path: Path) -> None:
    async with simulated_camunda(rules=Rules(token_gap=60.0)) as camunda:
        client = camunda.saas.clients["saas-client"]
        document = oauth2(
            camunda.url("zeebe", saas=True),
            camunda.saas.url,
            client_id=client.name,
            client_secret=client.secret,
        )
        document["upstreams"]["zeebe"]["audience"] = "zeebe.camunda.io"
        assert not (await diagnose(tmp_path, document)).causes
        found = await diagnose(tmp_path, document)
    assert found.causes == [("credentials.identity", "token_limited")]


async def test_a_requested_audience_that_the_token_lacks_gets_a_notice(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        found = await simulated(tmp_path, camunda, upstream={"audience": "my-api"})
    assert not found.causes
    assert found.notices() == ["audience_not_in_token"]


# -- fixed tokens --


def jwt(**claims: Any) -> str:
    def part(members: Any) -> str:
        return urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2lnbmF0dXJl"


def bearer(url: str, token: str, **upstream: Any) -> Any:
    document = none(url, **upstream)
    document["credentials"]["nothing"] = {"type": "bearer", "token": token}
    return document


async def test_a_fixed_token_that_has_expired(tmp_path: Path) -> None:
    token = jwt(exp=1_700_000_000, aud="zeebe-api")
    async with scripted() as server:
        found = await diagnose(
            tmp_path, bearer(server.url, token), canaries=(token,), wall=lambda: 1_780_000_000.0
        )
    assert ("credentials.nothing", "token_expired") in found.causes
    assert "2023-11-14" in found.printed


async def test_a_fixed_token_that_expires_soon_gets_a_notice(tmp_path: Path) -> None:
    token = jwt(exp=1_780_003_600, aud="zeebe-api")
    async with scripted() as server:
        found = await diagnose(
            tmp_path, bearer(server.url, token), canaries=(token,), wall=lambda: 1_780_000_000.0
        )
    assert "token_expires_soon" in found.notices()
    assert not found.causes


async def test_a_secret_in_a_file(tmp_path: Path) -> None:
    async with scripted() as server, token_server() as tokens:
        document = oauth2(server.url, tokens.url)
        del document["credentials"]["identity"]["client_secret"]
        (tmp_path / "secret").write_text("x")
        document["credentials"]["identity"]["client_secret_file"] = "secret"
        found = await diagnose(tmp_path, document)
        assert not found.causes
        assert len(tokens.asked) == 1


async def test_a_credential_that_is_refused_is_not_tried_again_meanwhile(tmp_path: Path) -> None:
    running: set[str] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        running.update(task.get_name() for task in asyncio.all_tasks())
        writer.write(bytes(TOPOLOGY))

    async with accepting(serve) as port, token_server() as tokens, token_server() as others:
        tokens.always = invalid_client
        document = oauth2(f"http://127.0.0.1:{port}", tokens.url)
        good = oauth2(f"http://127.0.0.1:{port}", others.url)
        document["upstreams"]["good"] = {"api": "zeebe"} | good["upstreams"]["zeebe"] | {"credential": "good"}
        document["credentials"]["good"] = good["credentials"]["identity"]
        found = await diagnose(tmp_path, document)
    assert found.causes == [("credentials.identity", "token_wrong_secret")]
    assert "refresh good " in running
    assert "refresh identity " not in running
