"""The doctor before real Spring Security, as in five Camunda releases, and a real Keycloak."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.doctor.rig import Document, diagnose, user
from tests.doctor.rig import oauth2 as with_tokens
from tests.real.conftest import only, shared
from tests.real.realm_admin import realm_admin
from tests.real.servers import Keycloak, StandIn
from tests.real.test_basic import APPS as BASIC
from tests.real.test_sessions import APPS as SESSIONS

pytestmark = pytest.mark.real


def oauth2(standin: StandIn, keycloak: Keycloak, **credential: Any) -> Document:
    settings = {"client_id": "orchestration", "client_secret": "secret"} | credential
    return with_tokens(standin.url("zeebe"), keycloak.token_url, **settings)


async def test_nothing_is_wrong_with_a_good_token(
    standin: StandIn, keycloak: Keycloak, tmp_path: Path
) -> None:
    found = await diagnose(tmp_path, oauth2(standin, keycloak))
    assert not found.causes, found.printed
    assert "aud " in found.step("credentials.identity", "token").said


async def test_a_client_for_another_audience(standin: StandIn, keycloak: Keycloak, tmp_path: Path) -> None:
    async with realm_admin(keycloak) as admin:
        client = await admin.add_client(f"other-audience-{uuid4()}", audience="other-api")
    found = await diagnose(tmp_path, oauth2(standin, keycloak, client_id=client))
    assert found.causes == [("upstreams.zeebe", "audience")], found.printed
    assert "`other-api`" in found.printed


@only("8.10")
@pytest.mark.parametrize(
    ("credential", "cause"),
    [
        ({"client_secret": "not-the-secret"}, "token_wrong_secret"),
        ({"client_id": "nobody"}, "token_wrong_secret"),
        ({"client_id": "basic-only"}, "token_auth_method"),
        ({"request_format": "json"}, "token_request_format"),
        ({"scope": "foo"}, "token_scope_refused"),
    ],
)
async def test_what_keycloak_refuses(
    standin: StandIn, keycloak: Keycloak, tmp_path: Path, credential: dict[str, str], cause: str
) -> None:
    found = await diagnose(tmp_path, oauth2(standin, keycloak, **credential))
    assert found.causes == [("credentials.identity", cause)], found.printed


@only("8.10")
async def test_a_realm_that_does_not_exist(standin: StandIn, keycloak: Keycloak, tmp_path: Path) -> None:
    document = oauth2(standin, keycloak)
    credential = document["credentials"]["identity"]
    credential["token_url"] = credential["token_url"].replace("camunda-platform", "other-platform")
    found = await diagnose(tmp_path, document)
    assert found.causes == [("credentials.identity", "token_realm")], found.printed


async def test_a_password_of_basic(standin: StandIn, tmp_path: Path) -> None:
    for password, causes in (("demo", []), ("wrong", [("upstreams.zeebe", "password")])):
        document = user(standin.url(BASIC[standin.release]), "basic", password=password)
        found = await diagnose(tmp_path, document, canaries=())
        assert found.causes == causes, found.printed


@pytest.mark.parametrize(("release", "app"), SESSIONS)
async def test_a_password_of_a_session(release: str, app: str, tmp_path: Path) -> None:
    api = app if app in ("operate", "tasklist") else "zeebe"
    for password, causes in (("demo", []), ("wrong", [("credentials.login", "login_password")])):
        document = user(shared(release).url(app), "session", password=password, upstream={"api": api})
        found = await diagnose(tmp_path, document, canaries=())
        assert found.causes == causes, found.printed
