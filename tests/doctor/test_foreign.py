"""Tokens of other issuers: the doctor shows what they say, and names why one is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from proxy.clock import wall_time
from tests.doctor.rig import Document, Result, Said, as_json, diagnose, scripted
from tests.federated import SUBJECT, unsigned
from tests.token_server import token_server

AUDIENCE = "https://login.example/realms/camunda"
CANARY = "c2lnbmF0dXJlLWNhbmFyeS1vZi10aGUtdG9rZW4"
PLAIN = "Invalid client or Invalid client credentials"


def federated(url: str, folder: Path, **more: Any) -> Document:
    path = folder / "jwt"
    if not path.exists():
        path.write_text(unsigned() + "\n")
    client = {"type": "oauth2", "auth_method": "client_assertion", "client_assertion_file": str(path)}
    return {
        "upstreams": {"zeebe": {"url": url, "listen": "localhost:0", "credential": "identity"}},
        "credentials": {"identity": client | more},
    }


def granted(url: str, folder: Path, grant: str, key: str, **more: Any) -> Document:
    """With a secret of its own and a token of another issuer to exchange."""
    (folder / "jwt").write_text(unsigned())
    client = {"client_id": "me", "client_secret": "canary-of-the-client-secret", "type": "oauth2"}
    document = federated(url, folder)
    document["credentials"]["identity"] = client | {"grant_type": grant, key: str(folder / "jwt")} | more
    return document


REFUSALS = [
    (400, "Token reuse detected", "token_assertion_reused", "supportsClientAssertionReuse"),
    (400, "Token jti claim is required", "token_assertion_reused", "supportsClientAssertionReuse"),
    (400, "Invalid token audience", "token_assertion_audience", f"is `{AUDIENCE}`"),
    (400, "Multiple audiences not allowed", "token_assertion_audience", "`audience` of the projected volume"),
    (400, "Token is not active", "token_assertion_time", "NTP"),
    (400, "Token was issued in the future", "token_assertion_time", "NTP"),
    (
        400,
        "Token was issued too far in the past to be used now",
        "token_assertion_old",
        "fedClientAssertionMaxExp",
    ),
    (400, "Token exp claim is required", "token_assertion_claims", "lacks a claim"),
    (
        *(400, "client_id parameter does not match authenticated client", "token_assertion_client"),
        "credentials.identity.client_id",
    ),
    (401, PLAIN, "token_assertion_refused", f"its sub `{SUBJECT}`"),
    (401, "Client disabled", "token_assertion_refused", "the client or that identity provider is disabled"),
    # Entra ID
    (
        *(401, "AADSTS700211: No matching federated identity record found for presented assertion issuer"),
        *("token_assertion_issuer", "`https://issuer.example`"),
    ),
    (
        *(401, "AADSTS700212: No matching federated identity record found for presented assertion audience"),
        *("token_assertion_audience", "api://AzureADTokenExchange"),
    ),
    (
        *(401, "AADSTS700213: No matching federated identity record found for presented assertion subject"),
        *("token_assertion_subject", SUBJECT),
    ),
    (401, "AADSTS700024: Client assertion is not within its valid time range", "token_assertion_time", "NTP"),
]


async def refused(
    folder: Path, status: int, said: dict[str, str], make: Any = federated, **more: Any
) -> Result:
    async with scripted() as server, token_server() as tokens:
        tokens.always = lambda: web.Response(
            status=status, text=json.dumps(said), content_type="application/json"
        )
        document = make(server.url, folder, token_url=tokens.url, **more)
        found = await diagnose(folder, document, canaries=(CANARY,))
        assert not server.asked
        return found


@pytest.mark.parametrize(("status", "description", "cause", "word"), REFUSALS)
async def test_a_refused_assertion(
    tmp_path: Path, status: int, description: str, cause: str, word: str
) -> None:
    said = {"error": "invalid_client", "error_description": description}
    found = await refused(tmp_path, status, said)
    assert found.causes == [("credentials.identity", cause)]
    assert word in found.printed.replace("\n           ", " ")
    assert "{" not in found.wrong[0][1].why.words  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("grant", "key", "error", "description", "cause", "word"),
    [
        (
            "jwt-bearer",
            "assertion_file",
            "invalid_grant",
            "Token reuse detected",
            "token_assertion_reused",
            "jwtAuth",
        ),
        (
            *("jwt-bearer", "assertion_file", "invalid_grant", "No Identity Provider for provided issuer"),
            *("token_assertion_issuer", "https://issuer.example"),
        ),
        (
            "jwt-bearer",
            "assertion_file",
            "invalid_grant",
            "User not found",
            "token_assertion_subject",
            SUBJECT,
        ),
        (
            *("jwt-bearer", "assertion_file", "invalid_grant"),
            *("JWT Authorization Grant is not supported for the requested client", "token_subject_refused"),
            "JWT authorization grant",
        ),
        (
            "jwt-bearer",
            "assertion_file",
            "invalid_grant",
            "no",
            "token_subject_refused",
            "issuer and subject",
        ),
        ("jwt-bearer", "assertion_file", "unsupported_grant_type", "no", "token_grant_refused", "RFC 7523"),
        (
            *("token-exchange", "subject_token_file", "invalid_request"),
            *(
                "Parameter 'subject_token' supports access tokens only",
                "token_subject_refused",
                "access_token",
            ),
        ),
        (
            *("token-exchange", "subject_token_file", "invalid_request", "Invalid token"),
            *("token_subject_refused", "same realm"),
        ),
        (
            *("token-exchange", "subject_token_file", "invalid_client", PLAIN),
            *("token_wrong_secret", "credentials.identity.client_secret"),
        ),
    ],
)
async def test_a_refused_grant(
    tmp_path: Path, grant: str, key: str, error: str, description: str, cause: str, word: str
) -> None:
    def make(url: str, folder: Path, **more: Any) -> Document:
        return granted(url, folder, grant, key, **more)

    said = {"error": error, "error_description": description}
    found = await refused(tmp_path, 400, said, make)
    assert found.causes == [("credentials.identity", cause)]
    assert word in found.printed.replace("\n           ", " ")


async def test_what_the_token_says_is_shown_and_never_the_token(tmp_path: Path) -> None:
    now = int(wall_time())
    (tmp_path / "jwt").write_text(unsigned(iat=now - 300, exp=now + 3000))
    async with scripted() as server, token_server() as tokens:
        document = federated(server.url, tmp_path, token_url=tokens.url)
        found = await diagnose(tmp_path, document, canaries=(CANARY,))
    assert not found.causes
    step = found.step("credentials.identity", "assertion")
    assert step.said == (
        f"iss https://issuer.example, sub {SUBJECT}, aud {AUDIENCE}, kid key-1, 5 min old, good for 50 min"
    )
    assert (step.facts["aud"], step.facts["kid"]) == ([AUDIENCE], "key-1")


async def test_an_expired_token_is_told_before_it_is_sent(tmp_path: Path) -> None:
    (tmp_path / "jwt").write_text(unsigned(exp=int(wall_time()) - 300))
    async with scripted() as server, token_server() as tokens:
        document = federated(server.url, tmp_path, token_url=tokens.url)
        found = await diagnose(tmp_path, document, canaries=(CANARY,))
        assert tokens.asked == []
    assert found.causes == [("credentials.identity", "secret")]
    assert found.notices() == ["token_assertion_time"]
    assert "expired 5 min ago" in found.printed.replace("\n           ", " ")


def metadata(url: str, **more: Any) -> Said:
    return as_json(200, {"issuer": url, "token_endpoint": f"{url}/token", **more})


async def test_what_the_issuer_offers_is_shown(tmp_path: Path) -> None:
    async with scripted() as server, scripted() as issuer, token_server() as tokens:
        offers = {
            "grant_types_supported": ["client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer", 5],
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_post"],
            "token_endpoint": tokens.url,
        }
        issuer.otherwise = metadata(issuer.url, **offers)
        found = await diagnose(tmp_path, federated(server.url, tmp_path, issuer_url=issuer.url))
    assert not found.causes
    assert found.step("credentials.identity", "issuer").said == (
        "offers grants: client_credentials jwt-bearer;"
        " client authentication: private_key_jwt client_secret_post"
    )


@pytest.mark.parametrize(
    ("offers", "more", "word"),
    [
        ({}, {}, None),
        ({"grant_types_supported": "nonsense"}, {}, None),
        ({"grant_types_supported": ["client_credentials"]}, {}, None),
        (
            {"grant_types_supported": ["authorization_code"]},
            {},
            "does not offer the grant client_credentials, only: authorization_code.",
        ),
        (
            {"token_endpoint_auth_methods_supported": ["client_secret_post"]},
            {},
            "does not offer client authentication by private_key_jwt (credentials.identity.auth_method)",
        ),
        (
            {"token_endpoint_auth_methods_supported": ["client_secret_post"]},
            {"client_assertion_type": "jwt-spiffe"},
            None,  # Keycloak takes it, and lists no name for it
        ),
    ],
)
async def test_what_is_refused_and_not_offered_is_said(
    tmp_path: Path, offers: dict[str, Any], more: dict[str, str], word: str | None
) -> None:
    async with scripted() as server, scripted() as issuer:
        issuer.answers["GET /.well-known/openid-configuration"] = metadata(issuer.url, **offers)
        issuer.otherwise = as_json(401, {"error": "invalid_client"})
        found = await diagnose(tmp_path, federated(server.url, tmp_path, issuer_url=issuer.url, **more))
    assert found.causes == [("credentials.identity", "token_assertion_refused")]
    words = found.wrong[0][1].why.words  # type: ignore[union-attr]
    assert (word in words) if word is not None else ("offer" not in words)


@pytest.mark.parametrize(
    ("error", "setting"), [("invalid_client", "client_assertion_file"), ("invalid_grant", "assertion_file")]
)
async def test_of_two_tokens_the_refused_one_is_named(tmp_path: Path, error: str, setting: str) -> None:
    def make(url: str, folder: Path, **more: Any) -> Document:
        return federated(url, folder, grant_type="jwt-bearer", assertion_file=str(folder / "jwt"), **more)

    said = {"error": error, "error_description": "Token is not active"}
    found = await refused(tmp_path, 400, said, make)
    words = found.wrong[0][1].why.words  # type: ignore[union-attr]
    assert f"The token in credentials.identity.{setting} is not valid at this time" in words
