"""The admin page in a real browser: what it shows, hostile texts, and pages that try to reach it."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.app.command import Running, proxy
from tests.browser.attacks import ATTACKS, ELSEWHERE, NEIGHBOUR, REBOUND, SANDBOX, Page
from tests.browser.chromium import Browser, Tab
from tests.browser.conftest import World, configuration, number
from tests.browser.page_states import SECRET, in_state
from tests.browser.servers import recording_upstream
from tests.browser.test_attacks import attempt
from tests.gateway.wire import Wire
from tests.token_server import token_server

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

# Runs before the page's own script: what the browser refuses the page, and what its script throws.
WATCH = """
globalThis.refused = [];
addEventListener('securitypolicyviolation', event => refused.push(event.effectiveDirective));
addEventListener('error', event => refused.push(event.message));
addEventListener('unhandledrejection', event => refused.push(String(event.reason)));
"""
# Waits until the page's text has it, or fails after a while.
UNTIL = """
const until = (true_) => new Promise((done, fail) => {
  const look = () => true_() && done(true);
  const all = {subtree: true, childList: true, characterData: true, attributes: true};
  new MutationObserver(look).observe(document, all);
  setTimeout(() => fail(document.body.innerText), 15000);
  look();
});
"""
MARKUP = "<img src=/x onerror=globalThis.stolen=1><script>globalThis.stolen=1</script>"
IN_A_PATH = b"/v2/<img/src=/x/onerror=globalThis.stolen=1>"
ENDS = ("fetch cors", "fetch no-cors", "script", "stylesheet", "image", "iframe", "object", "EventSource")
STANDS: tuple[Page, ...] = (ELSEWHERE, NEIGHBOUR, REBOUND, SANDBOX)


async def fits(tab: Tab, width: int) -> None:
    """The page has no horizontal scroll bar at this width, and no text outside its box."""
    shape = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    await tab.call("Emulation.setDeviceMetricsOverride", shape)
    content, window = await tab.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert content <= window, width
    outside = """
        return [...document.querySelectorAll('h3, p:not(.sr), td, article')]
          .filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.textContent);
    """
    assert await tab.run(outside) == [], width


async def opened(tab: Tab, url: str) -> None:
    """Open the page, and wait for its first event."""
    await tab.call("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    await tab.type_address(url)
    await has(tab, "document.querySelector('.upstream')")


async def has(tab: Tab, true: str) -> None:
    """Wait until an expression is true in the page."""
    await tab.run(f"{UNTIL} await until(() => {true})")


async def nothing_was_refused(tab: Tab) -> None:
    assert await tab.run("return refused") == []
    assert await tab.run("return globalThis.stolen") is None


@asynccontextmanager
async def hostile(folder: Path) -> AsyncIterator[tuple[Running, str]]:
    """A proxy whose client id, token endpoint, user and callers try to bring markup into the page."""

    def refusal() -> web.Response:
        return web.json_response({"error": "invalid_request", "error_description": MARKUP}, status=400)

    async with token_server() as tokens, recording_upstream() as upstream:
        tokens.always = refusal
        config: dict[str, Any] = configuration({"zeebe": upstream, "operate": upstream})
        config["upstreams"]["zeebe"]["credential"] = "hostile"
        config["upstreams"]["a" * 64] = {**config["upstreams"]["operate"], "api": "zeebe"}
        config["credentials"] |= {
            "hostile": {
                "type": "oauth2",
                "token_url": tokens.url,
                "client_id": MARKUP,
                "client_secret": SECRET,
                "wait": "0s",
            }
        }
        async with proxy(folder, config) as running:
            yield running, (await running.admin()).replace("127.0.0.1", "localhost")


async def test_hostile_texts_are_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    async with hostile(tmp_path) as (running, url), browser.window() as tab:
        await opened(tab, url)
        wire = Wire(*await asyncio.open_connection("127.0.0.1", number(await running.url("operate"))))
        wire.send(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % IN_A_PATH)
        await wire.message()
        wire.send(b"<IMG!> /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wire.cut()
        await running.get("zeebe", "/v2/topology")
        for text in (IN_A_PATH.decode(), f"as client {MARKUP}", "onerror=globalThis.stolen=1"):
            await has(tab, f"document.body.textContent.includes({json.dumps(text)})")
        await has(tab, "document.querySelectorAll('#problem-list li').length > 0")
        assert await tab.run("return document.querySelectorAll('img, #request-list script').length") == 0
        for width in (320, 1280):
            await fits(tab, width)
        await nothing_was_refused(tab)


async def test_a_script_that_got_in_finds_no_way_to_markup_code_or_another_place(
    browser: Browser, world: World
) -> None:
    """Gadgets: what an injected call could use is refused by the policy or by Trusted Types."""
    async with browser.window() as tab:
        await opened(tab, world.ports["page"].url(secrets.token_hex(8)))
        elsewhere = f"http://localhost:{world.pages}/"
        throws = {
            "markup": "document.body.innerHTML = '<p>x'",
            "inserted markup": "document.body.insertAdjacentHTML('beforeend', '<p>x')",
            "a frame's document": "document.createElement('iframe').srcdoc = 'x'",
            "a script's text": "document.createElement('script').text = 'globalThis.stolen = 1'",
            "a script's address": "document.createElement('script').src = '/page.js'",
            "a policy of its own": "trustedTypes.createPolicy('default', {createHTML: text => text})",
            "eval": "eval('globalThis.stolen = 1')",
            "new Function": "new Function('globalThis.stolen = 1')()",
            "a timer with a text": "setTimeout('globalThis.stolen = 1')",
        }
        for name, script in throws.items():
            # The protocol's own evaluation would allow eval, also where the policy does not.
            tried = f"try {{ {script}; 'done' }} catch (error) {{ error.name }}"
            how = {"expression": tried, "returnByValue": True, "allowUnsafeEvalBlockedByCSP": False}
            got = (await tab.call("Runtime.evaluate", how))["result"]["value"]
            assert got in ("TypeError", "EvalError"), name
        fails = {
            "fetch": f"await fetch('{elsewhere}', {{mode: 'no-cors'}})",
            "image": f"await new Promise((good, bad) => Object.assign(new Image(), "
            f"{{onload: good, onerror: bad, src: '{elsewhere}'}}))",
            "EventSource": "await new Promise((good, bad) => Object.assign("
            f"new EventSource('{elsewhere}'), {{onopen: good, onerror: bad}}))",
        }
        for name, script in fails.items():
            got = await tab.run(f"try {{ {script}; return 'done'; }} catch {{ return 'refused'; }}")
            assert got == "refused", name
        await tab.run(f"const form = document.createElement('form'); form.action = '{elsewhere}'; "
                      "document.body.append(form); form.submit();")  # fmt: skip
        for source in ("/", "/status.json"):
            await tab.run(
                f"document.body.append(Object.assign(document.createElement('iframe'), {{src: '{source}'}}))"
            )
        refused = await tab.run("return refused")
        assert {"connect-src", "img-src", "form-action", "frame-src"} <= set(refused)
        assert await tab.run("return globalThis.stolen") is None
        assert await tab.run("return location.port") == str(world.ports["page"].tap.port)


@pytest.mark.parametrize("stand", STANDS, ids=lambda page: page.name)
async def test_no_page_of_another_origin_gets_at_it(browser: Browser, world: World, stand: Page) -> None:
    """Frames, reads, streams, a rebound name; `test_attacks.py` has all ways to the other routes."""
    async with browser.window() as tab:
        for attack in (each for each in ATTACKS if each.name in ENDS and stand in each.pages):
            for target in ("page", "script", "events"):
                port, mark = world.ports[target], secrets.token_hex(8)
                got = await attempt(tab, world, stand, attack, port, mark)
                exchanges = await port.tap.answered(mark)
                assert {exchange.status for exchange in exchanges} == {stand.refusal}, (attack.name, target)
                assert not any(
                    text in got for text in ("camunda-auth-proxy <span", "use strict", "upstreams")
                )
                assert not any(b"access-control-" in each.answered.lower() for each in exchanges)


async def test_it_follows_the_proxy_and_says_so_while_it_is_gone(browser: Browser, tmp_path: Path) -> None:
    async with recording_upstream() as upstream, browser.window() as tab:
        config: dict[str, Any] = configuration({"zeebe": upstream})
        async with proxy(tmp_path, config) as running:
            url = (await running.admin()).replace("127.0.0.1", "localhost")
            await opened(tab, url)
            await running.get("zeebe", "/v2/topology?secret=in-a-query")
            await has(tab, "document.querySelector('#request-list').innerText.includes('/v2/topology')")
            shown = await tab.shown()
            assert "The upstream is ready." in shown
            assert "in-a-query" not in shown
        await has(tab, "!document.querySelector('#connection').hidden")
        assert "No connection to the proxy since" in await tab.shown()
        config["admin"]["listen"] = f"localhost:{number(url)}"
        async with proxy(tmp_path, config):
            await has(tab, "document.querySelector('#connection').hidden")
            await has(tab, "document.querySelector('#no-requests:not([hidden])')")
        await nothing_was_refused(tab)


async def test_it_can_be_paused_copied_from_and_used_with_the_keyboard(
    browser: Browser, world: World
) -> None:
    async with browser.window() as tab:
        await opened(tab, world.ports["page"].url(secrets.token_hex(8)))
        focused = []
        for _ in range(5):
            for kind in ("keyDown", "keyUp"):
                await tab.call("Input.dispatchKeyEvent", {"type": kind, "key": "Tab", "code": "Tab"})
            focused.append(await tab.run("return document.activeElement.textContent"))
        assert focused[:2] == ["Skip to the upstreams", "Pause"]
        assert "Copy the example call of zeebe" in focused
        await tab.run("document.querySelector('[data-copies=address]').click()")
        await has(tab, "document.querySelector('[data-copies=address]').firstChild.textContent !== 'Copy'")
        await tab.run("document.querySelector('#pause').click()")
        await has(tab, "document.querySelector('#pause').textContent === 'Resume'")
        assert "Paused. The values are those of" in await tab.shown()
        await tab.run("document.querySelector('#pause').click()")
        await has(tab, "document.querySelector('#connection').hidden")
        await nothing_was_refused(tab)


async def test_a_screen_reader_finds_landmarks_names_and_captions(browser: Browser, world: World) -> None:
    async with browser.window() as tab:
        await opened(tab, world.ports["page"].url(secrets.token_hex(8)))
        await tab.call("Accessibility.enable")
        tree = (await tab.call("Accessibility.getFullAXTree"))["nodes"]
        seen = [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in tree
            if not node.get("ignored") and "role" in node
        ]
        roles = {role for role, _ in seen}
        assert {"banner", "main", "contentinfo", "status", "list", "article"} <= roles
        assert ("region", "Upstreams") in seen
        assert [name for role, name in seen if role == "button" and not name] == []
        assert ("button", "Copy the address of zeebe") in seen
        assert ("heading", "Last problems") in seen


async def test_without_javascript_it_names_the_status(browser: Browser, world: World) -> None:
    async with browser.window() as tab:
        await tab.call("Emulation.setScriptExecutionDisabled", {"value": True})
        await tab.type_address(world.ports["page"].url(secrets.token_hex(8)))
        snapshot = await tab.call("DOMSnapshot.captureSnapshot", {"computedStyles": []})
        assert any("This page needs JavaScript." in text for text in snapshot["strings"])


async def test_thirty_upstreams_fit_every_width(browser: Browser, tmp_path: Path) -> None:
    async with in_state("thirty", tmp_path) as url, browser.window() as tab:
        for width in (320, 360, 768, 1280, 3840):
            await opened(tab, url)
            assert await tab.run("return document.querySelectorAll('.upstream').length") == 30
            await fits(tab, width)
        await nothing_was_refused(tab)
