"""What a browser may do: the user's address line, pages of the port itself, pages of an allowed origin."""

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.app.command import proxy
from tests.browser.attacks import DATA, ELSEWHERE, NEIGHBOUR, SANDBOX, Page, in_page
from tests.browser.chromium import Browser, Tab
from tests.browser.conftest import Port, World, configuration, number
from tests.browser.servers import MARKER, PAGE, Exchange, tapped

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

APP = Page("the web app", "app.example")
STATUS_AND_TEXT = ".then(async answer => `${answer.status} ${await answer.text()}`)"
JSON = "{method: 'POST', body: '{}', headers: {'Content-Type': 'application/json', 'X-Mine': '1'}}"


async def test_an_address_that_is_typed_gets_its_answer(browser: Browser, world: World) -> None:
    port, mark = world.ports["used"], secrets.token_hex(8)
    async with browser.window() as tab:
        await tab.type_address(port.url(mark))
        assert MARKER in await tab.shown()
    (exchange,) = port.tap.seen(mark)
    assert b"\r\nSec-Fetch-Site: none\r\n" in exchange.asked
    assert world.used.seen(mark) == ["GET"]


async def test_the_status_of_the_admin_port_can_be_looked_at(browser: Browser, world: World) -> None:
    async with browser.window() as tab:
        await tab.type_address(world.ports["status"].url(secrets.token_hex(8)))
        assert '"upstreams"' in await tab.shown()


async def test_a_bookmark_that_redirects_here_is_a_visit_that_no_page_can_read(
    browser: Browser, world: World
) -> None:
    """The documented limit: nothing in such a GET tells it from an address that was typed."""
    port, mark = world.ports["used"], secrets.token_hex(8)
    bookmark = f"http://{ELSEWHERE.host}:{world.pages}/redirect?status=302&to=" + port.url(mark).replace(
        "&", "%26"
    )
    async with browser.window() as tab:
        await tab.type_address(f"http://{ELSEWHERE.host}:{world.pages}/")
        await tab.run("globalThis.other = window.open('about:blank')")
        other = await tab.opened()
        await other.type_address(bookmark)
        assert MARKER in await other.shown()
        reads = "try { return other.document.body.innerText; } catch (e) { return e.name; }"
        assert await tab.run(reads) == "SecurityError"
    (exchange,) = port.tap.seen(mark)
    assert b"\r\nSec-Fetch-Site: none\r\n" in exchange.asked
    assert b"\r\nReferer:" not in exchange.asked
    assert world.used.seen(mark) == ["GET"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def opened(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Port]]:
    """A proxy that lets the web app in: its listener and its admin port."""
    guard = {"allowed_origins": [f"http://{APP.host}:{world.pages}"]}
    config = configuration({"zeebe": world.used}, guard=guard)
    async with (
        proxy(tmp_path_factory.mktemp("open"), config) as running,
        tapped(number(await running.url("zeebe"))) as listener,
        tapped(number(await running.admin())) as admin,
    ):
        yield {
            "listener": Port(listener, "/v2/topology"),
            "admin": Port(admin, "/status.json"),
        }


async def asked(tab: Tab, world: World, page: Page, port: Port, how: str) -> tuple[str, list[Exchange], str]:
    """What a page got for a fetch, what went over the wire for it, and its mark."""
    mark = secrets.token_hex(8)
    await tab.type_address(f"http://{page.host}:{world.pages}/")
    got = await tab.run(in_page(page, f"return fetch(url, {how}){STATUS_AND_TEXT}", port.url(mark)))
    return got, await port.tap.answered(mark), mark


@pytest.mark.parametrize("how", ["{}", JSON, "{method: 'DELETE'}", "{mode: 'cors', keepalive: true}"])
async def test_a_page_of_an_allowed_origin_may_ask_and_read(
    browser: Browser, world: World, opened: dict[str, Port], how: str
) -> None:
    async with browser.window() as tab:
        got, exchanges, mark = await asked(tab, world, APP, opened["listener"], how)
    assert got.startswith("200 ")
    assert MARKER in got
    method = "POST" if how == JSON else "DELETE" if "DELETE" in how else "GET"
    assert world.used.seen(mark) == [method]  # the preflight is answered by the proxy
    assert [each.status for each in exchanges] == ([200] if method == "GET" else [204, 200])


@pytest.mark.parametrize("how", ["{}", JSON, "{mode: 'no-cors'}"])
@pytest.mark.parametrize("page", [ELSEWHERE, NEIGHBOUR, SANDBOX, DATA], ids=lambda page: page.name)
async def test_where_one_origin_is_allowed_no_other_is(
    browser: Browser, world: World, opened: dict[str, Port], page: Page, how: str
) -> None:
    async with browser.window() as tab:
        got, exchanges, mark = await asked(tab, world, page, opened["listener"], how)
    assert MARKER not in got
    assert {each.status for each in exchanges} == {403}
    assert world.used.seen(mark) == []


async def test_a_name_that_is_rebound_to_an_open_port_is_refused(
    browser: Browser, world: World, opened: dict[str, Port]
) -> None:
    port, mark = opened["listener"], secrets.token_hex(8)
    async with browser.window() as tab:
        await tab.find_rebound(f"http://{APP.host}:{port.tap.port}/", PAGE)
        got = await tab.run(f"return fetch('{port.url(mark, host=APP.host)}'){STATUS_AND_TEXT}")
    assert got.startswith("421 ")
    assert world.used.seen(mark) == []


async def test_no_page_may_look_at_the_admin_port(
    browser: Browser, world: World, opened: dict[str, Port]
) -> None:
    async with browser.window() as tab:
        got, exchanges, _ = await asked(tab, world, APP, opened["admin"], "{}")
    assert got == "TypeError"
    assert [each.status for each in exchanges] == [403]
