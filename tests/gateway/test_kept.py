"""An answer of our own that keeps the connection leaves it readable, whatever body the request brought."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.errors import CredentialRejected, CredentialUnavailable
from proxy.gateway.call import MAX_DISCARDED
from tests.clock import FakeClock
from tests.credentials.sources import ScriptedSource
from tests.gateway.rig import Rig, gateway, get, post
from tests.gateway.wire import OK, answering, origin

SIZES = (0, 1, 1000, 65_535, 65_536, 65_537, 70_000, 100_000, 131_072, 131_073, 200_000, 1_000_000)
FAILING = {
    "credential_unavailable": (503, CredentialUnavailable("the token endpoint is down")),
    "credential_rejected": (502, CredentialRejected("the token endpoint refused our client")),
}


@asynccontextmanager
async def without_credential(problem: str) -> AsyncIterator[Rig]:
    """A first fetch that takes two seconds of the test's clock and fails."""
    source = ScriptedSource(FakeClock(), takes=2.0)
    source.always = FAILING[problem][1]
    async with origin(answering(OK)) as site, gateway(site, source=source) as rig:
        yield rig


@pytest.mark.parametrize("problem", FAILING)
async def test_a_body_that_was_held_while_the_request_waited_for_a_credential(problem: str) -> None:
    async with without_credential(problem) as rig:
        for size in SIZES:
            before = len(rig.notes.all)
            wire = await rig.call(post(b"x" * size))
            await rig.until(lambda: rig.tally.in_flight == 1 or len(rig.notes.all) > before)  # noqa: B023
            await rig.clock.advance(40.0)
            answer = await wire.message()
            assert (size, answer.status) == (size, FAILING[problem][0])
            assert answer.head.get(b"connection") is None, size
            wire.send(get("/next"))
            await rig.clock.advance(40.0)
            assert (size, (await wire.message()).status) == (size, FAILING[problem][0])
            wire.cut()


@pytest.mark.parametrize("size", SIZES)
async def test_a_body_whose_upstream_cannot_be_reached(size: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    async with gateway(port) as rig:
        wire = await rig.call(post(b"x" * size))
        for _ in range(3):
            answer = await wire.message()
            assert (answer.status, answer.head.get(b"connection")) == (502, None)
            wire.send(get("/next"))
        assert (await wire.message()).status == 502


@pytest.mark.parametrize("size", SIZES)
async def test_a_body_of_a_request_that_the_guard_refuses_comes_after_the_answer(size: int) -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        head, body = get("/", f"Content-Length: {size}", method="POST", host="other.example"), b"x" * size
        wire = await rig.call(head + body[: size // 2])
        answer = await wire.message()
        assert (answer.status, answer.head.get(b"connection")) == (421, None)
        wire.send(body[size // 2 :] + get("/next"))
        assert (await wire.message()).status == 200


@pytest.mark.parametrize(
    "fields",
    [
        (f"Content-Length: {MAX_DISCARDED + 1}",),
        ("Transfer-Encoding: chunked",),
        ("Content-Length: 5", "Expect: 100-continue"),
    ],
    ids=["too long", "of unknown length", "perhaps never sent"],
)
async def test_a_body_that_is_not_worth_reading_ends_the_connection(fields: tuple[str, ...]) -> None:
    async with origin(answering(OK)) as site, gateway(site) as rig:
        wire = await rig.call(get("/", *fields, method="POST", host="other.example"))
        answer = await wire.message()
        assert (answer.status, answer.head.get(b"connection")) == (421, b"close")
        wire.send(get("/next"))
        assert await wire.rest() == b""
        assert site.accepted == 0
