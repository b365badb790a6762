"""What Camunda's APIs answer, 8.2 to 8.10: the doctor names the cause of each fault."""

import asyncio
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from proxy.demo import SimulatedCamunda, simulated_camunda
from tests.accepting import accepting
from tests.clock import FakeClock
from tests.doctor.rig import (
    ITEMS,
    TOPOLOGY,
    Result,
    Said,
    as_json,
    diagnose,
    none,
    oauth2,
    page,
    problem,
    scripted,
)
from tests.doctor.test_tokens import bearer, jwt
from tests.token_server import token_server

JUNE = 1_780_000_000.0
SEARCH = "POST /v2/process-instances/search"


async def asked(
    folder: Path,
    answers: Mapping[str, Said | bytes],
    otherwise: Said | bytes = TOPOLOGY,
    *,
    api: str = "zeebe",
    path: str = "",
    claims: Mapping[str, Any] | None = None,
    **upstream: Any,
) -> Result:
    """The doctor with a good token before an API with these answers."""
    claims = {
        "aud": "zeebe-api",
        "iss": "http://keycloak:8080/realms/c",
        "azp": "orchestration",
        **(claims or {}),
    }
    async with scripted(answers, otherwise) as server, token_server() as tokens:
        token = jwt(**claims)
        tokens.named = lambda _: token
        document = oauth2(server.url + path, tokens.url, upstream={"api": api, **upstream})
        return await diagnose(folder, document, canaries=(token,))


def cause(found: Result) -> str:
    ((subject, name),) = found.causes
    assert subject == "upstreams.zeebe"
    why = found.wrong[0][1].why
    assert why is not None
    assert "127.0.0.1" in why.words, "the host"
    assert "upstreams.zeebe." in why.words or "credentials.identity" in why.words, "the setting"
    return name


async def test_everything_is_good(tmp_path: Path) -> None:
    found = await asked(tmp_path, {SEARCH: ITEMS})
    assert not found.causes
    assert "Nothing is wrong." in found.printed
    assert "Camunda 8.8.1" in found.printed
    assert "aud zeebe-api" in found.printed


BEARER = {"WWW-Authenticate": "Bearer"}


def invalid_token(text: str) -> Said:
    """Spring Security's resource server, as in 8.8 and later."""
    field = f'Bearer error="invalid_token", error_description="{text}"'
    return problem(401, "An Authentication object was not found", **{"WWW-Authenticate": field})


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        # the engine of 8.6, observed
        (problem(401, "the provided claims are invalid"), "issuer"),
        (problem(401, "the token signature is invalid"), "signature"),
        (problem(401, "the token has expired"), "clock"),
        (problem(401, "JWKS error"), "issuer_unreachable"),
        (problem(401, "Access Denied"), "issuer"),
        # Operate and Tasklist up to 8.7, observed
        (Said(403, b"", BEARER), "issuer"),
        (as_json(401, {"message": ""}), "wants_session"),
        # Spring Security's resource server, 8.8 and later
        (invalid_token("The iss claim is not valid"), "issuer"),
        (invalid_token("The required audience is missing"), "audience"),
        (invalid_token("Jwt expired at 2026-01-01T00:00:00Z"), "clock"),
        (invalid_token("Jwt used before 2026-01-01T00:00:00Z"), "clock"),
        (
            invalid_token("Signed JWT rejected: Another algorithm expected, or no matching key(s) found"),
            "signature",
        ),
        (invalid_token("Couldn't retrieve remote JWK set: Connection refused"), "issuer_unreachable"),
        (as_json(500, {"status": 500, "error": "Internal Server Error"}), "issuer_unreachable"),
        (Said(401, b"", {"WWW-Authenticate": 'Basic realm="Realm"'}), "wants_basic"),
        # permissions
        (
            problem(403, "Command rejected: Unauthorized to perform operation 'READ' on resource 'SYSTEM'"),
            "permission",
        ),
        (Said(403, b"", {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}), "permission"),
        (problem(403, "Forbidden"), "permission"),
        (problem(401, "Invalid CSRF Token 'null' was found"), "csrf"),
        (page(403), "gateway_forbids"),
        # the way there
        (page(200), "page"),
        (as_json(200, {"hello": "world"}), "not_camunda"),
        (page(404), "path"),
        (as_json(404, {"status": 404, "error": "Not Found"}), "path"),
        (Said(302, b"", {"Location": "https://sso.example/realms/x?state=y"}), "redirect_to_login"),
        (Said(302, b"", {"Location": "/login"}), "redirect_to_login"),
        (Said(301, b"", {"Location": "/orchestration/v2/topology"}), "redirect"),
        (Said(301, b"", {"Location": "https://127.0.0.1/v2/topology"}), "redirect_to_https"),
        # load and health
        (Said(429), "api_limited"),
        (page(502), "gateway"),
        (page(503), "gateway"),
        (problem(503, "starting", **{"Retry-After": "5"}), "degraded"),
        (problem(503, "RESOURCE_EXHAUSTED"), "server_error"),
        (Said(421), "misdirected"),
        (Said(431), "head_too_large"),
    ],
)
async def test_an_answer_to_a_call_with_a_good_token(tmp_path: Path, answer: Said, name: str) -> None:
    assert cause(await asked(tmp_path, {}, answer)) == name


async def test_an_audience_that_camunda_does_not_accept_names_what_the_token_has(tmp_path: Path) -> None:
    found = await asked(
        tmp_path, {}, problem(401, "the provided claims are invalid"), claims={"aud": "account"}
    )
    assert cause(found) == "audience"
    assert "`account`" in found.printed
    assert "`zeebe-api`" in found.printed


async def test_an_issuer_with_the_name_that_it_has_on_a_laptop(tmp_path: Path) -> None:
    claims = {"iss": "http://localhost:18080/auth/realms/camunda-platform"}
    found = await asked(tmp_path, {}, invalid_token("The iss claim is not valid"), claims=claims)
    assert cause(found) == "issuer"
    assert "http://localhost:18080/auth/realms/camunda-platform" in found.printed
    assert "takes its name from the URL of the request" in " ".join(found.printed.split())


async def test_clocks_of_camunda_and_its_identity_provider_that_differ(tmp_path: Path) -> None:
    late = problem(401, "the token has expired", Date=formatdate(JUNE + 910, usegmt=True))
    async with scripted(otherwise=late) as server, token_server() as tokens:
        members = {"access_token": jwt(aud="zeebe-api"), "token_type": "Bearer", "expires_in": 60}
        tokens.always = lambda: web.json_response(
            members, headers={"Date": formatdate(JUNE + 40, usegmt=True)}
        )
        found = await diagnose(tmp_path, oauth2(server.url, tokens.url), wall=lambda: JUNE)
    assert found.causes[0] == ("upstreams.zeebe", "clock")
    assert "14 min ahead of the token endpoint's" in " ".join(found.printed.split())


async def test_an_opaque_token(tmp_path: Path) -> None:
    async with scripted(otherwise=problem(401, "error decoding jwt")) as server, token_server() as tokens:
        tokens.named = lambda _: "opaque-token-canary"
        document = oauth2(server.url, tokens.url)
        found = await diagnose(tmp_path, document, canaries=("opaque-token-canary",))
    assert found.causes == [("upstreams.zeebe", "opaque_token")]


async def test_a_token_with_so_many_claims_that_tomcat_refuses_it(tmp_path: Path) -> None:
    claims = {"groups": ["group-of-a-large-company"] * 300}
    assert cause(await asked(tmp_path, {}, page(400), claims=claims)) == "head_too_large"


async def test_a_bad_request_that_is_not_about_size(tmp_path: Path) -> None:
    assert cause(await asked(tmp_path, {}, page(400))) == "bad_request"


async def test_another_program_that_answers_json(tmp_path: Path) -> None:
    elasticsearch = as_json(400, {"error": "no handler found for uri [/v2/topology]", "status": 400})
    assert cause(await asked(tmp_path, {}, elasticsearch)) == "bad_request"


async def test_a_search_that_this_version_wants_in_another_form_shows_that_we_are_let_in(
    tmp_path: Path,
) -> None:
    found = await asked(tmp_path, {SEARCH: problem(400, "Unknown property")})
    assert not found.causes


@pytest.mark.parametrize("answer", [page(200), page(404), Said(405), Said(204)])
async def test_an_api_that_is_not_known_may_answer_what_it_likes(tmp_path: Path, answer: Said) -> None:
    assert not (await asked(tmp_path, {}, answer, api="other")).causes


async def test_no_secondary_storage(tmp_path: Path) -> None:
    detail = "This endpoint requires secondary storage to be set"
    found = await asked(tmp_path, {SEARCH: problem(403, detail)})
    assert cause(found) == "no_secondary_storage"
    assert "nothing to do with credentials" in " ".join(found.printed.split())


async def test_a_missing_permission_names_the_operation_and_the_client(tmp_path: Path) -> None:
    detail = "Unauthorized to perform operation 'READ_PROCESS_INSTANCE' on resource 'PROCESS_DEFINITION'"
    found = await asked(tmp_path, {SEARCH: problem(403, detail)})
    assert cause(found) == "permission"
    assert "READ_PROCESS_INSTANCE on PROCESS_DEFINITION" in found.printed
    assert "client `orchestration`" in found.printed


async def test_a_search_that_an_older_version_lacks_gets_a_notice(tmp_path: Path) -> None:
    found = await asked(tmp_path, {SEARCH: as_json(404, {"status": 404})})
    assert not found.causes
    assert found.notices() == ["older_version"]


@pytest.mark.parametrize("api", ["operate", "tasklist"])
async def test_the_v1_apis_are_gone_in_8_10(tmp_path: Path, api: str) -> None:
    answers = {"GET /v2/topology": as_json(200, {"brokers": [], "gatewayVersion": "8.10.1"})}
    found = await asked(tmp_path, answers, as_json(404, {"status": 404}), api=api)
    assert cause(found) == "v1_removed"
    assert "8.10.1" in found.printed


async def test_the_v1_apis_are_off_with_rdbms(tmp_path: Path) -> None:
    answers = {"GET /v2/topology": as_json(200, {"brokers": [], "gatewayVersion": "8.9.2"})}
    found = await asked(tmp_path, answers, as_json(404, {"status": 404}), api="operate")
    assert cause(found) == "v1_off"


async def test_operate_at_a_url_where_there_is_no_camunda(tmp_path: Path) -> None:
    assert cause(await asked(tmp_path, {}, Said(404), api="operate")) == "path"


async def test_camunda_8_5_has_no_v2(tmp_path: Path) -> None:
    old = as_json(200, {"brokers": [], "gatewayVersion": "8.5.4"})
    assert cause(await asked(tmp_path, {"GET /v1/topology": old}, Said(404))) == "version_too_old"


async def test_a_base_url_that_ends_in_the_name_of_a_web_application(tmp_path: Path) -> None:
    found = await asked(tmp_path, {}, page(200), path="/operate")
    assert cause(found) == "page"
    assert "Remove /operate" in found.printed


async def test_a_physical_tenant_that_does_not_exist(tmp_path: Path) -> None:
    found = await asked(tmp_path, {}, as_json(404, {}), path="/physical-tenants/north")
    assert cause(found) == "tenant_unknown"


async def test_optimize_at_a_wrong_url(tmp_path: Path) -> None:
    assert cause(await asked(tmp_path, {}, Said(404), api="optimize")) == "optimize_path"


async def test_a_server_that_wants_a_credential_and_gets_none(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        found = await diagnose(tmp_path, none(camunda.url("orchestration")))
    assert found.causes == [("upstreams.zeebe", "credential_missing")]
    assert "type oauth2" in found.printed


# -- the simulated Camunda --


async def simulated(folder: Path, camunda: SimulatedCamunda, api: str, preset: str, **more: Any) -> Result:
    client = camunda.keycloak.clients[more.pop("client", "orchestration")]
    document = oauth2(
        camunda.url(api),
        camunda.keycloak.url,
        client_id=client.name,
        client_secret=client.secret,
        upstream={"api": preset},
    )
    return await diagnose(folder, document, canaries=tuple(camunda.secrets))


@pytest.mark.parametrize("api", ["zeebe", "orchestration", "operate", "tasklist", "optimize"])
async def test_a_client_for_another_audience(tmp_path: Path, api: str) -> None:
    preset = "zeebe" if api == "orchestration" else api
    async with simulated_camunda() as camunda:
        found = await simulated(tmp_path, camunda, api, preset, client="other-audience")
    assert found.causes == [("upstreams.zeebe", "audience")]
    assert "`other-api`" in found.printed


@pytest.mark.parametrize("api", ["zeebe", "orchestration"])
async def test_camunda_cannot_reach_its_own_issuer(tmp_path: Path, api: str) -> None:
    async with simulated_camunda() as camunda:
        camunda.api(api).keys_lost = True
        found = await simulated(tmp_path, camunda, api, "zeebe")
    assert found.causes == [("upstreams.zeebe", "issuer_unreachable")]


async def saas(folder: Path, camunda: SimulatedCamunda, url: str, audience: str) -> Result:
    client = camunda.saas.clients["saas-client"]
    document = oauth2(
        url,
        camunda.saas.url,
        client_id=client.name,
        client_secret=client.secret,
        upstream={"audience": audience},
    )
    return await diagnose(folder, document, canaries=tuple(camunda.secrets))


async def test_a_token_for_another_api_of_saas(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        found = await saas(tmp_path, camunda, camunda.url("zeebe", saas=True), "operate.camunda.io")
    assert found.causes == [("upstreams.zeebe", "audience")]
    assert "`operate.camunda.io`" in found.printed


async def test_a_shared_token_that_optimize_does_not_know(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        document = bearer(camunda.url("optimize-shared"), "canary-shared-token", api="optimize")
        found = await diagnose(tmp_path, document, canaries=("canary-shared-token",))
    assert found.causes == [("upstreams.zeebe", "shared_token")]
    assert "OPTIMIZE_API_ACCESS_TOKEN" in found.printed


async def test_a_fixed_token_that_camunda_does_not_know(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        document = bearer(camunda.url("zeebe"), "canary-shared-token")
        found = await diagnose(tmp_path, document, canaries=("canary-shared-token",))
    assert found.causes == [("upstreams.zeebe", "bearer_refused")]


async def test_a_fixed_token_that_camunda_calls_expired(tmp_path: Path) -> None:
    token = jwt(exp=JUNE + 5000, aud="zeebe-api")
    async with scripted(otherwise=problem(401, "the token has expired")) as server:
        found = await diagnose(tmp_path, bearer(server.url, token), canaries=(token,), wall=lambda: JUNE)
    assert ("upstreams.zeebe", "token_expired") in found.causes


async def test_an_interim_answer_is_not_the_answer(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        await FakeClock().settle()  # it is read before the rest is sent
        writer.write(bytes(TOPOLOGY))
        await writer.drain()

    async with accepting(serve) as port:
        assert not (await diagnose(tmp_path, none(f"http://127.0.0.1:{port}"))).causes


async def test_an_answer_that_ends_with_its_connection(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    async with scripted(otherwise=head + TOPOLOGY.body) as server:
        assert not (await diagnose(tmp_path, none(server.url))).causes


async def test_an_upstream_that_hangs(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"never")

    async with accepting(serve) as port:
        found = await diagnose(tmp_path, none(f"http://127.0.0.1:{port}"), patience=0.2)
    assert found.causes == [("upstreams.zeebe", "answer_timeout")]


async def test_a_secret_that_an_api_repeats_stays_hidden(tmp_path: Path) -> None:
    """Also where the text is cut off in the middle of it."""
    said = f"{'x' * 180} canary-shared-token"
    async with scripted(otherwise=as_json(404, {"status": 404, "message": said})) as server:
        document = bearer(server.url, "canary-shared-token")
        found = await diagnose(tmp_path, document, canaries=("canary-sh",))
    assert found.causes == [("upstreams.zeebe", "path")]
    assert "x" * 100 in found.printed
