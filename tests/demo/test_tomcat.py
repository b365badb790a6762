"""How the simulated Camunda reads paths, and that no spelling hides a login from it."""

import aiohttp
import pytest
from yarl import URL

from proxy.demo import DIALECTS, SimulatedCamunda
from proxy.demo.tomcat import read_path
from tests.demo.visitor import Visitor

READ = [
    ("/login", "/login"),
    ("/%6cogin", "/login"),
    ("/LOGIN", "/LOGIN"),
    ("/login;x=1", "/login"),
    ("/login;x=1/y", "/login/y"),
    ("/;a/login", "/login"),
    ("/login%3bx", "/login;x"),
    ("//login", "/login"),
    ("/./login", "/login"),
    ("/x/../login", "/login"),
    ("/x/%2e%2e/login", "/login"),
    ("/x/..;/login", "/login"),
    ("/%256cogin", "/%6cogin"),
    ("/login/", "/login/"),
    ("/v2/tenants/..", "/v2/"),
    ("/v2/tenants/a%25b", "/v2/tenants/a%b"),
    ("/caf%C3%A9", "/caf\u00e9"),
    ("/", "/"),
    ("/..", None),
    ("/%2e%2e/x", None),
    ("/x%2flogin", None),
    ("/x\\login", None),
    ("/x%5clogin", None),
    ("/login%00", None),
    ("/%c1%acogin", None),
]


@pytest.mark.parametrize(("sent", "seen"), READ)
def test_a_path_is_read_as_tomcat_reads_it(sent: str, seen: str | None) -> None:
    assert read_path(sent) == seen


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("door", ["login", "logout"])
@pytest.mark.parametrize("hidden", [False, True])
async def test_a_login_or_logout_through_a_proxy_under_a_session_is_complained_of(
    camunda: SimulatedCamunda, name: str, door: str, hidden: bool
) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        visitor = Visitor(camunda, client, name)
        await visitor.log_in()
        assert camunda.complaints == []
        path = getattr(visitor.dialect, door)
        if hidden:
            path = path.replace("log", "%6Co%67") + ";x=1"
        shown = {
            "Cookie": "; ".join(f"{each}={value}" for each, value in visitor.jar.items()),
            "Via": "1.1 x",
        }
        url = URL(camunda.url(name) + path, encoded=True)
        async with client.post(url, headers=shown, data={"username": "act", "password": "x"}) as answer:
            await answer.read()
    complaint = "a caller's login or logout under the proxy's session"
    assert (name, complaint) in camunda.complaints
