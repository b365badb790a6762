"""The loopback redirect of `login` in a real browser: foreign pages get nowhere while a login waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.credentials.user.code import Expected, Verdict, judge
from proxy.credentials.user.loopback import Judgement, Loopback, Told, loopback
from tests.browser.chromium import Browser, Tab
from tests.browser.servers import PAGE, page_server

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

STATE = "st4te-of-this-login"
CODE = "c0de-that-only-we-may-use"

# What a page may try with the address of the listener, and what it gets to know.
ATTEMPTS = {
    "fetch cors": "return fetch(url).then(answer => answer.text(), String)",
    "fetch no-cors": "return fetch(url, {mode: 'no-cors'}).then(answer => answer.type, String)",
    "fetch POST": "return fetch(url, {method: 'POST', mode: 'no-cors'}).then(answer => answer.type, String)",
    "beacon": "return String(navigator.sendBeacon(url))",
    "image": """return new Promise(done => {
        const image = new Image(); image.onload = () => done('loaded'); image.onerror = () => done('error');
        image.src = url; })""",
    "script": """return new Promise(done => {
        const script = document.createElement('script'); script.onload = () => done('loaded');
        script.onerror = () => done('error'); script.src = url; document.head.append(script); })""",
    "iframe": """return new Promise(done => {
        const read = () => { try { return frame.contentDocument.body.innerText } catch { return 'no' } };
        const frame = document.createElement('iframe'); frame.onload = () => done(read());
        frame.src = url; document.body.append(frame); })""",
}


@asynccontextmanager
async def waiting() -> AsyncIterator[tuple[Loopback, "asyncio.Future[Judgement]", list[str]]]:
    """A listener, what it waits for, and what it has told."""
    warned: list[str] = []
    async with loopback(warned.append) as listener:
        yield listener, listener.expect(lambda query: judge(query, Expected(STATE))), warned


async def the_right_answer(
    tab: Tab, listener: Loopback, pages: int, redirect: "asyncio.Future[Judgement]"
) -> None:
    """The provider's page redirects the browser, which shows how the login has ended."""
    listener.tell(Told(True, "You are logged in as <b>ada</b>."))
    to = f"{listener.redirect_uri}?state={STATE}%26code={CODE}"
    await tab.type_address(f"http://127.0.0.1:{pages}/redirect?status=302&to={to}")
    assert "You are logged in as <b>ada</b>." in await tab.shown()
    assert redirect.result() == Verdict("code", CODE)


@pytest.mark.parametrize("name", ATTEMPTS)
@pytest.mark.parametrize("host", ["127.0.0.1", "evil.example"])
async def test_a_foreign_page_gets_nowhere_even_with_the_state(
    browser: Browser, host: str, name: str
) -> None:
    async with page_server() as pages, waiting() as (listener, redirect, _), browser.window() as tab:
        await tab.type_address(f"http://{host}:{pages}/")
        url = f"{listener.redirect_uri}?state={STATE}&code=of-the-attacker"
        got = str(await tab.run(f"const url = {url!r}; {ATTEMPTS[name]}"))
        assert not redirect.done(), got
        assert "camunda-auth-proxy" not in got
        await the_right_answer(tab, listener, pages, redirect)


async def test_a_rebound_name_gets_nowhere(browser: Browser) -> None:
    async with page_server() as pages, waiting() as (listener, redirect, _), browser.window() as tab:
        port = listener.redirect_uri.removesuffix("/callback").rpartition(":")[2]
        await tab.find_rebound(f"http://evil.example:{port}/", PAGE)
        path = f"/callback?state={STATE}&code=of-the-attacker"
        got = await tab.run(f"return fetch({path!r}).then(answer => answer.text(), String)")
        assert not redirect.done(), got
        await the_right_answer(tab, listener, pages, redirect)


async def test_a_page_that_navigates_here_with_a_wrong_state_changes_nothing_and_is_told(
    browser: Browser,
) -> None:
    async with page_server() as pages, waiting() as (listener, redirect, warned), browser.window() as tab:
        to = f"{listener.redirect_uri}?state=guessed%26code=of-the-attacker"
        await tab.type_address(f"http://evil.example:{pages}/redirect?status=302&to={to}")
        assert "Nothing has changed." in await tab.shown()
        assert not redirect.done()
        assert len(warned) == 1
        await the_right_answer(tab, listener, pages, redirect)


async def test_a_form_that_a_page_posts_changes_nothing(browser: Browser) -> None:
    async with page_server() as pages, waiting() as (listener, redirect, _), browser.window() as tab:
        await tab.type_address(f"http://evil.example:{pages}/")
        url = f"{listener.redirect_uri}?state={STATE}&code=of-the-attacker"
        async with tab.loading():
            await tab.run(f"""
                const form = document.createElement('form'); form.method = 'POST'; form.action = {url!r};
                document.body.append(form); setTimeout(() => form.submit(), 0)""")
        assert not redirect.done()
        await the_right_answer(tab, listener, pages, redirect)


async def test_the_favicon_and_a_reload_are_no_second_answer(browser: Browser) -> None:
    async with page_server() as pages, waiting() as (listener, redirect, warned), browser.window() as tab:
        await the_right_answer(tab, listener, pages, redirect)
        assert warned == []  # Chromium has asked for /favicon.ico by now, or will
        async with tab.loading():
            await tab.call("Page.reload")
        assert "This login has had its answer" in await tab.shown()
        assert warned == ["A second answer to this login was refused."]
