"""Base URLs, audiences, tenants, and what Camunda 8.10 has removed."""

from pathlib import Path

import pytest

from proxy.config.model import Config
from tests.config.writing import CLUSTER, SAAS, read, refused

ID = "5c34c0a7-0000-0000-0000-000000000000"
ONE = "credentials:\n" + SAAS
OWN = (
    "credentials: {own: {type: oauth2, client_id: id, client_secret: canary, %s: 'https://idp.example/t'}}\n"
)


def one(folder: Path, api: str, url: str, credentials: str = ONE, more: str = "") -> Config:
    return read(folder, f"upstreams: {{{api}: {{url: '{url}'{more}}}}}\n{credentials}")


@pytest.mark.parametrize("page", ["operate", "tasklist", "identity", "admin", "operate/processes"])
@pytest.mark.parametrize("api", ["zeebe", "operate"])
def test_a_page_for_people_is_no_part_of_a_base_url_on_saas(tmp_path: Path, api: str, page: str) -> None:
    config = one(tmp_path, api, f"https://bru-2.api.camunda.io/{ID}/{page}")
    assert str(config.upstreams[0].url) == f"https://bru-2.api.camunda.io/{ID}"
    assert any("page for people, so it is left out" in notice for notice in config.notices)
    first = one(
        tmp_path, api, "https://bru-2.api.camunda.io/operate"
    )  # there the first part is the cluster's id
    assert first.upstreams[0].url.path == "/operate"
    private = one(tmp_path, api, f"https://{ID}.bru-2.privateconnectivity.camunda.io/{page}")
    assert str(private.upstreams[0].url) == f"https://{ID}.bru-2.privateconnectivity.camunda.io"


def test_elsewhere_a_page_may_be_the_context_path_and_stays(tmp_path: Path) -> None:
    config = one(tmp_path, "operate", "https://camunda.example/operate", OWN % "token_url")
    assert config.upstreams[0].url.path == "/operate"
    assert any("unless it is your context path" in notice for notice in config.notices)
    assert not any(
        "page for people" in each for each in one(tmp_path, "zeebe", "https://api.camunda.io/x").notices
    )


@pytest.mark.parametrize("host", ["bru-2.zeebe", "bru-2.operate", "bru-2.tasklist", f"{ID}.bru-2.zeebe"])
def test_a_host_that_8_10_does_not_serve_is_named_with_the_one_that_it_does(
    tmp_path: Path, host: str
) -> None:
    config = one(tmp_path, "zeebe", f"https://{host}.camunda.io/{ID}")
    assert str(config.upstreams[0].url) == f"https://{host}.camunda.io/{ID}"
    assert any(
        "from 8.8 on write https://bru-2.api.camunda.io/CLUSTER-ID" in notice for notice in config.notices
    )


@pytest.mark.parametrize(
    ("api", "url"),
    [
        ("zeebe", f"https://bru-2.api.camunda.io/{ID}"),
        ("optimize", f"https://bru-2.optimize.camunda.io/{ID}"),
        ("modeler", "https://modeler.camunda.io/api"),
        ("modeler", "https://modeler.cloud.camunda.io/api"),
        ("hub", "https://hub.cloud.camunda.io"),
        ("console", "https://api.cloud.camunda.io"),
        ("zeebe", f"https://{ID}.bru-2.privateconnectivity.camunda.io"),
    ],
)
def test_today_s_addresses_cause_no_notice(tmp_path: Path, api: str, url: str) -> None:
    config = one(tmp_path, api, url)
    assert (str(config.upstreams[0].url), config.notices) == (url, ())


@pytest.mark.parametrize(
    ("api", "path"),
    [
        ("zeebe", "/v2"),
        ("operate", "/v1"),
        ("tasklist", "/v1"),
        ("optimize", "/api/public"),
        ("hub", "/api/v2"),
    ],
)
def test_a_path_that_callers_send_themselves_causes_a_notice(tmp_path: Path, api: str, path: str) -> None:
    config = one(tmp_path, api, f"https://camunda.example{path}", OWN % "token_url")
    assert any(f"its url ends in {path}; leave that out" in notice for notice in config.notices)


@pytest.mark.parametrize("key", ["token_url", "issuer_url"])
def test_an_identity_provider_of_the_customer_is_asked_for_no_audience(tmp_path: Path, key: str) -> None:
    config = read(tmp_path, f"{CLUSTER}upstreams: {{zeebe: {{}}, hub: {{}}}}\n{OWN % key}")
    assert [upstream.audience for upstream in config.upstreams] == [None, None]
    written = read(tmp_path, f"{CLUSTER}upstreams: {{zeebe: {{audience: mine}}}}\n{OWN % key}")
    assert written.upstreams[0].audience == "mine"
    camunda = (OWN % key).replace("idp.example", "weblogin.cloud.camunda.io")
    ours = read(tmp_path, f"{CLUSTER}upstreams: {{zeebe: {{}}}}\n{camunda}")
    assert ours.upstreams[0].audience == "zeebe.camunda.io"


def test_hub_self_managed_is_asked_for_no_audience(tmp_path: Path) -> None:
    config = one(tmp_path, "hub", "http://localhost:8088", OWN % "token_url")
    assert (config.upstreams[0].audience, config.upstreams[0].listen.port) == (None, 19088)


@pytest.mark.parametrize("base", ["", "/context", f"/{ID}"])
def test_a_physical_tenant_comes_before_every_path(tmp_path: Path, base: str) -> None:
    tenant = ", physical_tenant: payments"
    upstream = one(tmp_path, "zeebe", f"https://camunda.example{base}", OWN % "token_url", tenant).upstreams[
        0
    ]
    assert (upstream.url.path, upstream.tenant_path) == (
        f"{base}/physical-tenants/payments",
        "/physical-tenants/payments",
    )
    saas = read(tmp_path, f"{CLUSTER}upstreams: {{zeebe: {{physical_tenant: 42}}}}\n{ONE}").upstreams[0]
    assert saas.url.path == f"/{ID}/physical-tenants/42"


@pytest.mark.parametrize(
    ("api", "url", "tenant", "sentence"),
    [
        ("optimize", "https://x.example", "a", "has no effect with api optimize"),
        ("zeebe", "https://x.example/physical-tenants/b", "a", "url names a tenant too"),
        ("zeebe", "https://x.example", "a/b", "may only hold letters"),
        ("zeebe", "https://x.example", "..", "may only hold letters"),
        ("zeebe", "https://x.example", "", "may only hold letters"),
    ],
)
def test_a_tenant_that_cannot_be_is_refused(
    tmp_path: Path, api: str, url: str, tenant: str, sentence: str
) -> None:
    text = f"upstreams: {{{api}: {{url: '{url}', physical_tenant: '{tenant}'}}}}\n{OWN % 'token_url'}"
    (problem,) = refused(tmp_path, text)
    assert problem.startswith(f"upstreams.{api}.physical_tenant (line 1): ")
    assert sentence in problem


BEARER = "credentials: {c: {type: bearer, token: canary}}\n"


@pytest.mark.parametrize(
    ("api", "url", "credentials", "instead"),
    [
        ("operate", "http://localhost:8081", BEARER, "use `zeebe`"),
        ("tasklist", "http://localhost:8082", BEARER, "use `zeebe`"),
        ("optimize", "http://localhost:8083", BEARER, "type oauth2"),
        ("console", "http://localhost:8087", BEARER, "use `hub`"),
        ("optimize", "http://localhost:8083", OWN % "token_url", None),
        ("console", "https://api.cloud.camunda.io", ONE, None),
        ("zeebe", "http://localhost:8080", BEARER, None),
    ],
)
def test_what_8_10_has_removed_is_said_with_what_to_use_instead(
    tmp_path: Path, api: str, url: str, credentials: str, instead: str | None
) -> None:
    config = one(tmp_path, api, url, credentials)
    told = [notice for notice in config.notices if "8.10" in notice]
    assert (len(told), config.upstreams[0].gone is None) == ((0, True) if instead is None else (1, False))
    assert instead is None or (instead in told[0] and f"`{api}`" in told[0])
