"""Streams of events, and callers that read them slowly or not at all."""

import asyncio
import json
from typing import Any

import pytest

from proxy.admin.events import KEPT, SLOW, STREAMS, Events
from proxy.errors import RequestRefused
from proxy.gateway.call import Call
from proxy.gateway.request_reader import RequestReader
from tests.clock import FakeClock


class Sink:
    """A caller's connection that keeps what is written to it."""

    resets = True
    address = ""
    identities: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.written = b""
        self.paused = False
        self.ends = False
        self.cut = False

    def write(self, data: bytes) -> None:
        self.written += data

    def reset(self) -> None:
        self.cut = True

    @property
    def events(self) -> list[Any]:
        """The documents so far, after the head."""
        lines = self.written.partition(b"\r\n\r\n")[2].split(b"\n")
        return [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]


class World:
    """Events whose documents are numbered.

    Attributes:
        made: names of the functions that were called, so far.
    """

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.made: list[str] = []
        self.events = Events(
            self.clock,
            lambda: self.made.append("sample"),
            lambda: self._document("whole"),
            lambda: self._document("news"),
            lambda: self.made.append("forget"),
        )

    def _document(self, name: str) -> str:
        self.made.append(name)
        return f"{name} {self.made.count('sample')}"

    def call(self, sink: Sink, start: bytes = b"GET /events HTTP/1.1") -> Call:
        reader = RequestReader()
        reader.feed(start + b"\r\nHost: localhost\r\n\r\n")
        head = reader.head()
        assert head is not None
        return Call(head, None, sink, self.clock.now())

    async def stream(self, tasks: asyncio.TaskGroup, sink: Sink) -> asyncio.Task[None]:
        task = tasks.create_task(self.events.answer(self.call(sink), "a date"))
        await self.clock.settle()
        return task


async def test_all_pages_share_what_is_made_each_second() -> None:
    world, sinks = World(), [Sink() for _ in range(5)]
    async with asyncio.TaskGroup() as tasks:
        streams = [await world.stream(tasks, sink) for sink in sinks]
        assert world.made == ["sample", "news", "whole"]
        for number in (2, 3):
            await world.clock.advance(1.0)
            assert world.made[-2:] == ["sample", "news"]
            assert [sink.events[-1] for sink in sinks] == [f"news {number}"] * 5
        assert world.made.count("whole") == 1
        for stream in streams:
            stream.cancel()


async def test_a_later_page_begins_with_everything_and_misses_nothing() -> None:
    world, first, later = World(), Sink(), Sink()
    async with asyncio.TaskGroup() as tasks:
        streams = [await world.stream(tasks, first)]
        await world.clock.advance(2.5)
        streams.append(await world.stream(tasks, later))
        assert later.events == ["whole 3"]
        await world.clock.advance(1.0)
        assert later.events == ["whole 3", "news 4"]
        for stream in streams:
            stream.cancel()


async def test_a_page_that_reads_slowly_gets_no_event_and_then_everything() -> None:
    world, slow = World(), Sink()
    async with asyncio.TaskGroup() as tasks:
        stream = await world.stream(tasks, slow)
        slow.paused = True
        await world.clock.advance(SLOW - 1.0)
        assert slow.events == ["whole 1"]
        slow.paused = False
        await world.clock.advance(2.0)
        assert slow.events == ["whole 1", f"whole {SLOW + 1}", f"news {SLOW + 2}"]
        slow.paused = True
        await world.clock.advance(SLOW - 1.0)
        assert not slow.cut
        stream.cancel()


async def test_a_page_that_does_not_read_is_cut() -> None:
    world, silent = World(), Sink()
    async with asyncio.TaskGroup() as tasks:
        stream = await world.stream(tasks, silent)
        silent.paused = True
        await world.clock.advance(SLOW)
        assert silent.cut
        assert stream.done()


async def test_a_stream_ends_when_its_port_closes() -> None:
    world, sink = World(), Sink()
    async with asyncio.TaskGroup() as tasks:
        stream = await world.stream(tasks, sink)
        sink.ends = True
        await world.clock.advance(1.0)
        assert stream.done()
    assert sink.written.endswith(b"\r\n0\r\n\r\n")


async def test_there_is_a_limit_and_a_page_that_leaves_makes_room() -> None:
    world = World()
    async with asyncio.TaskGroup() as tasks:
        streams = [await world.stream(tasks, Sink()) for _ in range(STREAMS)]
        with pytest.raises(RequestRefused, match="16 pages are open already"):
            world.events.check()
        streams.pop().cancel()
        await world.clock.settle()
        world.events.check()
        for stream in streams:
            stream.cancel()


async def test_sampling_goes_on_for_a_while_and_then_everything_is_forgotten() -> None:
    world = World()
    async with asyncio.TaskGroup() as tasks:
        (await world.stream(tasks, Sink())).cancel()
        await world.clock.advance(KEPT)
        assert world.made.count("sample") == KEPT + 1
        assert "forget" not in world.made
        await world.clock.advance(1000.0)
        assert world.made.count("sample") == KEPT + 2
        assert world.made[-1] == "forget"
        again = Sink()
        (await world.stream(tasks, again)).cancel()
        assert again.events == [f"whole {KEPT + 3}"]


async def test_an_http_1_0_caller_gets_events_without_chunks() -> None:
    world, sink = World(), Sink()
    async with asyncio.TaskGroup() as tasks:
        call = world.call(sink, b"GET /events HTTP/1.0")
        stream = tasks.create_task(world.events.answer(call, "a date"))
        await world.clock.settle()
        stream.cancel()
    head, _, body = sink.written.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert body == b'data: "whole 1"\n\n'
    assert call.last


async def test_head_gets_the_head_alone_and_no_stream() -> None:
    world, sink = World(), Sink()
    await world.events.answer(world.call(sink, b"HEAD /events HTTP/1.1"), "a date")
    head, end, body = sink.written.partition(b"\r\n\r\n")
    assert (end, body, world.made) == (b"\r\n\r\n", b"", [])
    assert b"Content-Type: text/event-stream\r\n" in head
