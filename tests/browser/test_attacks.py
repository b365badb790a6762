"""Pages that try to use the port: nothing arrives, nothing can be read. Where nothing guards, all does."""

import secrets

import pytest

from tests.browser.attacks import CASES, ELSEWHERE, Attack, Page, in_page
from tests.browser.chromium import Browser, Tab
from tests.browser.conftest import TOKEN, Port, World
from tests.browser.servers import MARKER, PAGE

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

SECRETS = (MARKER.encode(), TOKEN.encode(), b'"upstreams"', b"camunda_auth_proxy_")
cases = pytest.mark.parametrize(
    ("page", "attack"), CASES, ids=[f"{attack.name} from {page.name}" for page, attack in CASES]
)


async def attempt(tab: Tab, world: World, page: Page, attack: Attack, port: Port, mark: str) -> str:
    """Make it; what the page got."""
    if page.rebound:
        await tab.find_rebound(f"http://{page.host}:{port.tap.port}/", PAGE)
        url = port.url(mark, attack.kind, page.host)
    else:
        await tab.type_address(f"http://{page.host}:{world.pages}/")
        url = port.url(mark, attack.kind)
    return str(await tab.run(in_page(page, attack.script, url)))


@cases
async def test_a_page_gets_nowhere(browser: Browser, world: World, page: Page, attack: Attack) -> None:
    refusals = {page.refusal, 501} if attack.name == "WebSocket" and not page.rebound else {page.refusal}
    async with browser.window() as tab:
        for target in ("attacked", "status", "metrics"):
            port, mark = world.ports[target], secrets.token_hex(8)
            got = await attempt(tab, world, page, attack, port, mark)
            exchanges = await port.tap.answered(mark)
            assert {exchange.status for exchange in exchanges} <= refusals, (target, exchanges)
            shown = [got.encode()] + [exchange.answered for exchange in exchanges]
            assert not any(secret in text for secret in SECRETS for text in shown), (target, shown)
            assert not any(b"access-control-" in text.lower() for text in shown), (target, shown)
    assert world.attacked.requests == []


@cases
async def test_the_same_page_gets_there_where_nothing_guards(
    browser: Browser, world: World, page: Page, attack: Attack
) -> None:
    port, mark = world.ports["naked"], secrets.token_hex(8)
    async with browser.window() as tab:
        got = await attempt(tab, world, page, attack, port, mark)
        await port.tap.answered(mark)
    assert world.naked.seen(mark)
    may_read = attack.reads == "always" or (attack.reads == "of its own origin" and page.rebound)
    assert (MARKER in got) == may_read, got


@pytest.mark.parametrize("script", ["location = url", "form({}).submit()"])
async def test_a_refused_navigation_leaves_a_page_without_origin(
    browser: Browser, world: World, script: str
) -> None:
    """One of our own origin makes Chromium ask for /favicon.ico, with `Sec-Fetch-Site: same-origin`."""
    visit = Attack("visit", f"return later(() => {{ {script}; }})")
    for target in ("attacked", "status"):
        async with browser.window() as tab:
            assert await landed_on(tab, world, visit, world.ports[target]) == "null"
    naked = world.ports["naked"]
    async with browser.window() as tab:
        assert await landed_on(tab, world, visit, naked) == f"http://localhost:{naked.tap.port}"
        await naked.tap.answered("/favicon.ico")


@pytest.mark.parametrize("kind", ["document", "drawing"])
async def test_a_document_that_the_api_serves_runs_no_script_at_the_port(
    browser: Browser, world: World, kind: str
) -> None:
    """Somebody uploads it and sends a link to it; to the guard, a link in a mail is an address typed."""
    port, mark = world.ports["used"], secrets.token_hex(8)
    async with browser.window() as tab:
        await tab.type_address(port.url(mark, kind))
        assert await tab.run("return self.origin") == "null"
        assert await tab.run("return document.documentElement.id") == ""
        # Not even what its browser is told to run from outside comes through: an opaque origin is cross-site.
        got = await tab.run(f"return fetch('{port.url(mark + '-told')}').catch(e => e.name)")
        assert got == "TypeError"
        exchanges = await port.tap.answered(mark + "-told")
    assert {exchange.status for exchange in exchanges} == {403}
    assert world.used.seen(mark) == ["GET"]


@pytest.mark.parametrize("kind", ["document", "drawing"])
async def test_the_same_document_steals_where_nothing_guards(
    browser: Browser, world: World, kind: str
) -> None:
    port, mark = world.ports["naked"], secrets.token_hex(8)
    async with browser.window() as tab:
        await tab.type_address(port.url(mark, kind))
        await port.tap.answered(mark + "-stolen")
    assert world.naked.seen(mark + "-stolen") == ["GET"]


async def landed_on(tab: Tab, world: World, visit: Attack, port: Port) -> str:
    """The origin of the page that a visit ends at."""
    await tab.type_address(f"http://{ELSEWHERE.host}:{world.pages}/")
    async with tab.loading():
        await tab.run(in_page(ELSEWHERE, visit.script, port.url(secrets.token_hex(8))))
    return str(await tab.run("return self.origin"))


@pytest.mark.parametrize("name", ["attacker.example", "foo.localhost", "localhost.", "0.0.0.0"])
async def test_another_name_of_this_machine_is_refused_even_when_it_is_typed(
    browser: Browser, world: World, name: str
) -> None:
    for target in ("attacked", "status", "metrics"):
        port, mark = world.ports[target], secrets.token_hex(8)
        async with browser.window() as tab:
            await tab.type_address(port.url(mark, host=name))
            exchanges = await port.tap.answered(mark)
        assert {exchange.status for exchange in exchanges} == {421}
    assert world.attacked.requests == []
