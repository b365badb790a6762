"""A request's body: sent as it comes, kept as long as it can be sent again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import RequestRefused
from proxy.gateway.limit import KEPT_FREELY, MAX_KEPT, Memory
from proxy.gateway.request_reader import RequestReader
from proxy.gateway.upload import UNSENT_LIMIT, Upload
from tests.examples import some


class Line:
    """A sink and a flow that remember."""

    def __init__(self) -> None:
        self.sent = b""
        self.last = False
        self.error: Exception | None = None
        self.flowing = True

    def send(self, octets: bytes, *, last: bool) -> None:
        self.sent += octets
        self.last = last

    def fail(self, error: Exception) -> None:
        self.error = error

    def hold_upload(self) -> None:
        self.flowing = False

    def release_upload(self) -> None:
        self.flowing = True


def test_what_came_before_the_connection_goes_with_the_head() -> None:
    line = Line()
    upload = Upload(line, chunked=False, keep=100, memory=Memory())
    upload.feed(b"one", last=False)
    assert upload.attach(line) == b"one"
    upload.feed(b"two", last=True)
    assert (line.sent, line.last, upload.size) == (b"two", True, 6)


def test_what_is_within_the_buffer_can_be_sent_again() -> None:
    line = Line()
    upload = Upload(line, chunked=False, keep=6, memory=Memory())
    upload.attach(line)
    upload.feed(b"one", last=False)
    upload.detach()
    upload.feed(b"two", last=True)
    assert upload.replayable
    again = Line()
    assert upload.attach(again) == b"onetwo"


@pytest.mark.parametrize("before", [0, 4, 7])
def test_what_is_over_the_buffer_cannot(before: int) -> None:
    line = Line()
    upload = Upload(line, chunked=False, keep=6, memory=Memory())
    upload.feed(bytes(before), last=False)
    assert upload.attach(line) == bytes(before)
    upload.feed(bytes(7 - before), last=True)
    assert not upload.replayable


def test_large_bodies_are_kept_while_the_memory_of_all_has_room() -> None:
    memory, size = Memory(), MAX_KEPT // 4
    uploads = [Upload(Line(), chunked=False, keep=size, memory=memory) for _ in range(6)]
    for upload in uploads:
        upload.attach(Line())
        for _ in range(4):
            upload.feed(bytes(size // 4), last=False)
    assert [upload.replayable for upload in uploads] == [True] * 4 + [False] * 2
    assert memory.kept == MAX_KEPT
    small = Upload(Line(), chunked=False, keep=size, memory=memory)
    small.attach(Line())
    small.feed(bytes(KEPT_FREELY), last=False)
    before = small.replayable
    small.feed(b"x", last=True)
    assert (before, small.replayable) == (True, False)
    for upload in uploads:
        upload.detach()
        upload.discard()
    assert memory.kept == 0


@pytest.mark.parametrize("before", [True, False])
def test_a_large_body_that_is_sent_again_is_counted_once(before: bool) -> None:
    memory = Memory()
    upload = Upload(Line(), chunked=False, keep=MAX_KEPT, memory=memory)
    if not before:
        upload.attach(Line())
    upload.feed(bytes(100_000), last=False)
    for _ in range(3):
        assert len(upload.attach(Line())) == 100_000
        assert memory.kept == 100_000
        upload.detach()
    upload.discard()
    assert memory.kept == 0


def test_a_body_that_waits_for_a_connection_holds_its_caller_up() -> None:
    line = Line()
    upload = Upload(line, chunked=False, keep=6, memory=Memory())
    upload.feed(bytes(UNSENT_LIMIT), last=False)
    assert [line.flowing, upload.replayable] == [True, True]
    upload.feed(b"x", last=False)
    assert [line.flowing, upload.replayable] == [False, True]
    assert len(upload.attach(line)) == UNSENT_LIMIT + 1
    assert [line.flowing, upload.replayable] == [True, False]


def test_a_sink_that_is_full_holds_its_caller_up_until_it_is_gone() -> None:
    line = Line()
    upload = Upload(line, chunked=False, keep=6, memory=Memory())
    upload.attach(line)
    upload.pause()
    assert [upload.held, line.flowing] == [True, False]
    upload.resume()
    assert [upload.held, line.flowing] == [False, True]
    upload.pause()
    upload.detach()
    assert [upload.held, line.flowing] == [False, True]


def test_a_fault_reaches_the_sink_now_or_later() -> None:
    line = Line()
    fault = RequestRefused("bad_request", "x")
    upload = Upload(line, chunked=True, keep=6, memory=Memory())
    upload.attach(line)
    upload.fail(fault)
    assert line.error is fault
    upload.detach()
    with pytest.raises(RequestRefused):
        upload.attach(Line())


@settings(max_examples=some(100))
@given(st.lists(st.binary(max_size=20), max_size=6), st.integers(0, 6), st.booleans(), st.integers(0, 60))
def test_whatever_the_pieces_the_upstream_reads_the_same_body(
    pieces: list[bytes], attached: int, chunked: bool, keep: int
) -> None:
    line = Line()
    upload = Upload(line, chunked=chunked, keep=keep, memory=Memory())
    body = b"".join(pieces)
    for number, piece in enumerate(pieces):
        if number == attached:
            line.sent = upload.attach(line)
        upload.feed(piece, last=False)
    if attached >= len(pieces):
        line.sent = upload.attach(line)
    upload.feed(b"", last=True)
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\nHost: h\r\n" + framing + b"\r\n\r\n" + line.sent)
    assert reader.head() is not None
    assert reader.body() == (body, True)
    assert upload.replayable or upload.size > keep
    if upload.replayable:
        assert upload.attach(Line()) == line.sent
