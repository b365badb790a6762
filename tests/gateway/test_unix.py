"""A listener on a Unix socket: there is no reset, and yet a cut answer must not look complete."""

import os
from pathlib import Path

import pytest

from tests.gateway.rig import gateway, get
from tests.gateway.wire import OK, answering, origin

TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\nhello"


@pytest.fixture
def path(tmp_path: Path) -> str:
    tmp_path.chmod(0o700)
    return str(tmp_path / "s")


async def test_requests_follow_each_other_on_a_unix_socket(path: str) -> None:
    async with origin(answering(OK)) as site, gateway(site, path=path) as rig:
        caller = await rig.call(get() + get())
        for _ in range(2):
            assert (await caller.message()).body == b"ok"


async def test_an_answer_to_the_end_comes_in_chunks_and_its_connection_stays(path: str) -> None:
    async with origin() as site, gateway(site, path=path) as rig:
        caller = await rig.call(get())
        upstream = await site.accept()
        await upstream.message()
        upstream.send(TO_THE_END)
        upstream.close()
        assert (await caller.message()).body == b"hello"
        caller.send(get())
        upstream = await site.accept()
        await upstream.message()
        upstream.send(OK)
        assert (await caller.message()).body == b"ok"


async def test_an_answer_to_the_end_that_is_cut_lacks_its_last_chunk(path: str) -> None:
    async with origin() as site, gateway(site, path=path) as rig:
        caller = await rig.call(get())
        upstream = await site.accept()
        await upstream.message()
        upstream.send(TO_THE_END)
        assert (await caller.head()).get(b"transfer-encoding") == b"chunked"
        assert await caller.octets(10) == b"5\r\nhello\r\n"
        upstream.reset()
        assert await caller.rest() == b""


async def test_an_old_caller_gets_no_chunks(path: str) -> None:
    async with origin() as site, gateway(site, path=path) as rig:
        caller = await rig.call(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        upstream = await site.accept()
        await upstream.message()
        upstream.send(TO_THE_END)
        upstream.close()
        answer = await caller.message()
        assert (answer.body, answer.head.get(b"transfer-encoding")) == (b"hello", None)


async def test_what_a_caller_sends_after_the_last_answer_does_not_take_the_answer_away(path: str) -> None:
    async with origin(answering(OK)) as site, gateway(site, path=path) as rig:
        caller = await rig.call(get("/", "Connection: close"))
        await rig.until(lambda: rig.tally.sent > 0)
        await rig.clock.settle()
        for _ in range(3):
            os.write(caller.writer.get_extra_info("socket").fileno(), b"GET /2")
        assert (await caller.message()).body == b"ok"
        assert await caller.ended() == "closed"


async def test_where_there_are_resets_an_answer_to_the_end_stays_one() -> None:
    async with origin() as site, gateway(site) as rig:
        caller = await rig.call(get())
        upstream = await site.accept()
        await upstream.message()
        upstream.send(TO_THE_END)
        upstream.close()
        answer = await caller.message()
        assert (answer.body, answer.head.get(b"transfer-encoding")) == (b"hello", None)
