"""The loopback redirect under attack, on real sockets: only the answer to our login changes anything."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from proxy.credentials.user.code import Expected, Verdict, judge
from proxy.credentials.user.loopback import Loopback, Told, loopback

STATE = "st4te-of-this-login"
CODE = "c0de-that-only-we-may-use"
RIGHT = f"?state={STATE}&code={CODE}"
NAVIGATES = {
    "Sec-Fetch-Site": "cross-site",  # as the provider's own redirect
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-User": "?1",
}


class World:
    """A listener that waits for the answer to a login, and a browser.

    Attributes:
        warned: what it has told.
        redirect: what it waits for.
    """

    def __init__(self, listener: Loopback, session: aiohttp.ClientSession, warned: list[str]) -> None:
        self.listener = listener
        self.warned = warned
        self.redirect = listener.expect(lambda query: judge(query, Expected(STATE)))
        self._session = session

    async def request(
        self, what: str = RIGHT, method: str = "GET", base: str = "", **how: Any
    ) -> tuple[int, str, Any]:
        """Status, page, fields. `what` follows the redirect address, or `base`."""
        url = (base or self.listener.redirect_uri) + what
        async with self._session.request(method, url, allow_redirects=False, **how) as answer:
            return answer.status, await answer.text(), answer.headers

    async def changes_nothing(self, *arguments: Any, **how: Any) -> int:
        """Its status; the login goes on, and the page shows nothing of it."""
        status, page, _ = await self.request(*arguments, **how)
        assert not self.redirect.done()
        assert STATE not in page
        assert CODE not in page
        assert "<script" not in page
        return status

    async def succeeds(self) -> str:
        """The page after the right answer."""
        self.listener.tell(Told(True, "You are logged in as <ada>."))
        status, page, _ = await self.request(headers=NAVIGATES)
        assert status == 200
        assert self.redirect.result() == Verdict("code", CODE)
        return page

    @property
    def root(self) -> str:
        return self.listener.redirect_uri.removesuffix("/callback")


@asynccontextmanager
async def waiting() -> AsyncIterator[World]:
    warned: list[str] = []
    async with aiohttp.ClientSession() as session, loopback(warned.append) as listener:
        yield World(listener, session, warned)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with waiting() as world:
        yield world
        assert "logged in as &lt;ada&gt;" in await world.succeeds()  # whatever went before


async def test_the_redirect_address_is_the_literal_one_with_a_port_of_its_own(world: World) -> None:
    assert world.listener.redirect_uri.startswith("http://127.0.0.1:")
    assert world.listener.redirect_uri.endswith("/callback")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        f"?code={CODE}",
        f"?state=&code={CODE}",
        f"?state=another&code={CODE}",
        "?state=another&error=x",
    ],
)
async def test_a_foreign_page_that_navigates_here_without_the_state_changes_nothing(
    world: World, query: str
) -> None:
    assert await world.changes_nothing(query, headers=NAVIGATES) == 400
    (told,) = world.warned
    assert "its state is not that of this login. The login goes on" in told
    assert CODE not in told


@pytest.mark.parametrize("query", ["?state=%ff", "?" + "a&" * 60, "?state=%00", f"?state={STATE}%20&code=x"])
async def test_an_odd_query_changes_nothing(world: World, query: str) -> None:
    assert await world.changes_nothing(query) == 400


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS", "DELETE", "TRACE"])
async def test_only_get_is_an_answer(world: World, method: str) -> None:
    assert await world.changes_nothing(RIGHT, method) == 405


async def test_a_form_that_a_page_posts_is_no_answer(world: World) -> None:
    form = {"state": STATE, "code": CODE}
    how = NAVIGATES | {"Origin": "https://evil.example"}
    assert await world.changes_nothing("", "POST", data=form, headers=how) == 405


@pytest.mark.parametrize(
    ("mode", "to"),
    [
        ("no-cors", "image"),
        ("no-cors", "script"),
        ("cors", "empty"),
        ("navigate", "iframe"),
        ("websocket", "empty"),
    ],
)
async def test_what_a_page_loads_is_no_answer(world: World, mode: str, to: str) -> None:
    """Even with the right state, as from a page that has read it elsewhere."""
    how = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": to}
    assert await world.changes_nothing(RIGHT, headers=how) == 403


@pytest.mark.parametrize(
    "host", ["localhost", "evil.example", "127.0.0.1", "127.0.0.1:1", "[::1]", "127.0.0.1.evil.example"]
)
async def test_another_host_name_is_no_answer(world: World, host: str) -> None:
    assert await world.changes_nothing(RIGHT, headers={"Host": host}) == 421


@pytest.mark.parametrize(
    "path", ["/favicon.ico", "/", "/callback/", "/Callback", "//callback", "/callback%2f"]
)
async def test_another_path_is_no_answer(world: World, path: str) -> None:
    assert await world.changes_nothing(path + RIGHT, base=world.root) == 404
    assert not world.warned


async def test_a_second_answer_is_refused_and_told() -> None:
    async with waiting() as world:
        await world.succeeds()
        for query in (RIGHT, f"?state={STATE}&code=another", f"?state={STATE}&error=access_denied"):
            status, page, _ = await world.request(query, headers=NAVIGATES)
            assert status == 410
            assert CODE not in page
        assert world.redirect.result() == Verdict("code", CODE)
        assert world.warned == ["A second answer to this login was refused."] * 3


async def test_two_answers_at_once_are_one_answer_and_a_refusal() -> None:
    async with waiting() as world, asyncio.TaskGroup() as tasks:
        both = [tasks.create_task(world.request(headers=NAVIGATES)) for _ in range(2)]
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        assert [each.result()[0] for each in done] == [410]
        world.listener.tell(Told(True, "You are logged in."))
        assert sorted([(await each)[0] for each in both]) == [200, 410]


async def test_the_page_waits_until_the_login_has_ended_and_says_how() -> None:
    async with waiting() as world, asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(world.request(headers=NAVIGATES))
        await world.redirect
        assert not asked.done()
        world.listener.tell(Told(False, "The login failed: <script>alert(1)</script>."))
        status, page, _ = await asked
        assert status == 400
        assert "The login failed: &lt;script&gt;alert(1)&lt;/script&gt;." in page


async def test_a_listener_that_ends_answers_the_page_that_waits() -> None:
    async with asyncio.TaskGroup() as tasks:
        async with waiting() as world:
            asked = tasks.create_task(world.request(headers=NAVIGATES))
            await world.redirect
        assert "The login was stopped." in (await asked)[1]


async def test_no_page_may_frame_it_keep_it_or_learn_its_address(world: World) -> None:
    for query in (RIGHT, "?state=another"):
        fields = (await world.request(query, headers=NAVIGATES if query != RIGHT else {"Host": "x"}))[2]
        assert fields["Cache-Control"] == "no-store"
        assert fields["Referrer-Policy"] == "no-referrer"
        assert fields["Content-Security-Policy"].startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in fields["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in fields
    world.listener.tell(Told(True, "You are logged in as <ada>."))


async def test_large_cookies_of_other_programs_on_this_host_do_not_matter(world: World) -> None:
    assert await world.changes_nothing("?state=another", headers={"Cookie": "a=" + "b" * 30_000}) == 400
    assert len(world.warned) == 1  # it was read


@pytest.mark.parametrize(
    "sent",
    [
        f"GET /callback{RIGHT} HTTP/1.1\r\n\r\n",
        f"GET /callback{RIGHT} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        f"GET /callback{RIGHT} HTTP/9.9\r\nHost: a\r\n\r\n",
        f"\x16\x03\x01{RIGHT}\r\n\r\n",
        f"GET http://127.0.0.1/callback{RIGHT} HTTP/1.1\r\nHost: a\r\n\r\n",
        f"GET /callback{RIGHT}",
    ],
)
async def test_bytes_that_are_no_request_change_nothing_and_reach_no_log(
    world: World, sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    port = int(world.root.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent.encode("latin-1"))
    writer.write_eof()
    answered = await reader.read()
    writer.close()
    assert not world.redirect.done()
    assert not answered.startswith(b"HTTP/1.1 200")
    assert CODE not in caplog.text
    assert not caplog.records
