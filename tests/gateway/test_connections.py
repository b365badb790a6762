"""Connections in any order of events: each answer is its request's, none is lost, nothing is left behind."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, cast

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from proxy.commands.loop import new_loop
from tests.gateway.rig import Rig, gateway
from tests.gateway.site import ANSWERS, FAULTS, WAYS, Site, said, site
from tests.http.strict import Answer, read_answer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE: Final = 10.0
"""Seconds of real time after which what was due is lost."""

EXAMPLES: Final = int(os.environ.get("CONNECTION_EXAMPLES", "500"))

MOST: Final = 6
"""Callers at once."""

WHICH: Final = st.integers(0, MOST - 1)
SHARE: Final = st.sampled_from((0.0, 0.3, 0.8, 1.0))
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE")


@dataclass
class Asked:
    """A request, as it was or will be sent.

    Attributes:
        wire: its bytes.
        sent: how many of them are on their way.
        lost: whether the upstream lost its connections meanwhile, so that it may fail.
    """

    name: str
    method: str
    way: str
    body: bytes
    wire: bytes
    sent: int = 0
    lost: bool = False

    @property
    def whole(self) -> bool:
        return self.sent == len(self.wire)


class Caller(asyncio.Protocol):
    """A caller's connection, and what it may expect."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: list[Answer] = []
        self.octets = b""
        self.ended = False
        self.reset = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, octets: bytes) -> None:
        self.octets += octets
        self.read(ended=False)

    def eof_received(self) -> bool:
        self.ended = True
        self.read(ended=True)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.reset = error is not None and not self.ended
        self.ended = True

    def read(self, *, ended: bool) -> None:
        """Answers that are whole."""
        while self.octets:
            assert len(self.answers) < len(self.asked), f"an answer to no request: {self.octets[:200]!r}"
            method = self.asked[len(self.answers)].method.encode()
            answer = read_answer(self.octets, method, ended=ended)
            if answer is None or not answer.complete:
                return
            self.octets = self.octets[answer.end :]
            self.answers.append(answer)

    @property
    def open(self) -> bool:
        return not self.ended and not (self.answers and self.answers[-1].all(b"connection") == [b"close"])

    @property
    def due(self) -> int:
        """Answers that must come without anything more being sent or released."""
        for place, asked in enumerate(self.asked):
            if not asked.whole or asked.way == "slow":
                return max(place, len(self.answers))
        return len(self.asked)


def body_of(name: str, size: int) -> bytes:
    return (name.encode() + b"-") * size


@dataclass
class House:
    """What is under test, in one task from its beginning to its end."""

    site: Site
    rig: Rig
    over: asyncio.Event = field(default_factory=asyncio.Event)


async def keep(started: "asyncio.Future[House]") -> None:
    async with site() as here, gateway(here.port, max_connections=64) as rig:
        house = House(here, rig)
        started.set_result(house)
        await house.over.wait()
        await rig.clock.advance(3.0)  # those who let a caller read have waited long enough


class Connections(RuleBasedStateMachine):
    """Callers that behave and misbehave before an upstream that does."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = new_loop()
        self.callers: list[Caller] = []
        self.count = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        async def begun() -> House:
            started: asyncio.Future[House] = self.loop.create_future()
            self.main = self.loop.create_task(keep(started))
            return await started

        self.house: House = self.run(begun())

    # -- what callers do --

    @precondition(lambda self: len(self.callers) < MOST)
    @rule()
    def connect(self) -> None:
        async def connected() -> Caller:
            _, caller = await self.loop.create_connection(Caller, "127.0.0.1", self.house.rig.port)
            return caller

        self.callers.append(self.run(connected()))

    def ask(self, caller: Caller, method: str, way: str, size: int, framing: str) -> Asked:
        """A request to be sent on this connection."""
        self.count += 1
        name = f"r{self.count}"
        body = body_of(name, size) if method in ("POST", "PUT") else b""
        lines = [f"{method} /{name}/{way} HTTP/1.1", "Host: localhost"]
        if not body:
            wire = b""
        elif framing == "length":
            lines.append(f"Content-Length: {len(body)}")
            wire = body
        else:
            lines.append("Transfer-Encoding: chunked")
            pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
            wire = b"".join(b"%x;a=b\r\n%b\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
        asked = Asked(name, method, way, body, "\r\n".join((*lines, "", "")).encode() + wire)
        caller.asked.append(asked)
        return asked

    def idle(self) -> list[Caller]:
        """Those who may begin another request."""
        return [each for each in self.callers if each.open and (not each.asked or each.asked[-1].whole)]

    def halfway(self) -> list[Caller]:
        return [each for each in self.callers if each.open and each.asked and not each.asked[-1].whole]

    requests = st.tuples(
        st.sampled_from(METHODS),
        st.sampled_from(WAYS),
        st.sampled_from((1, 3, 40)),
        st.sampled_from(("length", "chunks")),
    )

    # What is drawn depends on nothing that sockets do, so that a failure can be repeated.

    @rule(which=WHICH, wanted=st.lists(requests, min_size=1, max_size=4))
    def send(self, which: int, wanted: list[tuple[str, str, int, str]]) -> None:
        """One request, or several in one piece."""
        if not (idle := self.idle()):
            return
        caller = idle[which % len(idle)]
        asked = [self.ask(caller, *each) for each in wanted]
        for each in asked:
            each.sent = len(each.wire)
        caller.transport.write(b"".join(each.wire for each in asked))
        self.settle()

    @rule(which=WHICH, wanted=requests, share=SHARE)
    def send_a_part(self, which: int, wanted: tuple[str, str, int, str], share: float) -> None:
        if idle := self.idle():
            caller = idle[which % len(idle)]
            self.send_more(caller, self.ask(caller, *wanted), share)

    @rule(which=WHICH, share=SHARE)
    def go_on(self, which: int, share: float) -> None:
        if halfway := self.halfway():
            caller = halfway[which % len(halfway)]
            self.send_more(caller, caller.asked[-1], share)

    def send_more(self, caller: Caller, asked: Asked, share: float) -> None:
        size = max(1, int((len(asked.wire) - asked.sent) * share))
        caller.transport.write(asked.wire[asked.sent : asked.sent + size])
        asked.sent += size
        self.settle()

    @precondition(lambda self: self.callers)
    @rule(which=WHICH, how=st.sampled_from(("close", "abort")))
    def leave(self, which: int, how: str) -> None:
        caller = self.callers.pop(which % len(self.callers))
        getattr(caller.transport, how)()
        self.settle()

    # -- what the upstream does by itself --

    @rule()
    def release(self) -> None:
        """It answers what it was slow with."""
        for caller in self.callers:
            for asked in caller.asked:
                asked.way = "length" if asked.way == "slow" and asked.whole else asked.way
        self.house.site.released = True
        self.house.site.release()
        self.settle()
        self.house.site.released = False

    @rule()
    def lose_all_connections(self) -> None:
        for caller in self.callers:
            for asked in caller.asked[len(caller.answers) :]:
                asked.lost = True
                asked.way = "reset" if asked.way == "slow" and asked.whole else asked.way
        self.house.site.released = True  # what is sent once more is answered
        self.house.site.reset_all()
        self.settle()
        self.house.site.released = False

    @rule()
    def grow_old(self) -> None:
        """Idle upstream connections reach their age; no caller has been slow for long enough to be cut."""
        if not self.halfway():
            self.run(self.house.rig.clock.advance(1.0))

    # -- what must hold --

    def settle(self) -> None:
        """Wait for all that must come, then judge it."""
        self.until(
            lambda: all(each.ended or len(each.answers) >= each.due for each in self.callers), "no answer"
        )
        for caller in self.callers:
            judge(caller)
        assert not self.house.site.faults, self.house.site.faults
        for (name, method), times in self.house.site.came.items():
            assert times == 1 or method != b"POST", f"{name} was delivered {times} times"

    def until(self, fact: Callable[[], bool], otherwise: str) -> None:
        async def turned() -> None:
            async with asyncio.timeout(PATIENCE):
                while not fact():
                    await asyncio.sleep(0)
            for _ in range(10):
                await asyncio.sleep(0)

        try:
            self.run(turned())
        except TimeoutError:
            told = [(each.due, len(each.answers), each.octets[:200], each.asked) for each in self.callers]
            rig, here = self.house.rig, self.house.site
            counts = rig.pool.counts(), len(here.peers), len(rig.listener.connections), rig.tally.in_flight
            raise AssertionError(f"{otherwise} stays, of {counts}: {told}") from None

    def teardown(self) -> None:
        if not hasattr(self, "house"):
            self.loop.close()
            return
        try:
            self.left_behind()
        finally:
            self.house.over.set()
            self.run(asyncio.wait_for(self.main, PATIENCE))
            tasks = asyncio.all_tasks(self.loop)
            self.loop.close()
        assert not tasks, tasks
        assert not any(self.house.rig.pool.counts().values())

    def left_behind(self) -> None:
        """Once the callers are gone: nothing but idle connections, as many as the upstream sees."""
        for caller in self.callers:
            caller.transport.abort()
        rig, here = self.house.rig, self.house.site
        # Who has sent ahead and goes is taken for one who only stops sending: those requests are answered.
        here.released = True
        here.release()
        self.run(rig.clock.advance(3.0))
        self.until(lambda: not rig.listener.connections, "a caller's connection")
        self.until(lambda: not rig.tally.in_flight, "a request")
        self.until(lambda: not rig.pool.counts()["active"], "an upstream connection in use")
        self.until(
            lambda: len(here.peers) == rig.pool.counts()["idle"], "a connection that only one side knows"
        )
        assert rig.listener.limit.memory.buffered == 0
        assert rig.listener.busy == 0


def judge(caller: Caller) -> None:
    """Each answer is that of its request; one that is missing has a reason."""
    for asked, answer in zip(caller.asked, caller.answers, strict=False):
        if answer.status == 200:
            assert answer.all(b"x-id") == [asked.name.encode()], (asked, answer)
            told = {said(asked.name, asked.body), said(asked.name, b"early")}
            cut = asked.method == "HEAD" and asked.way in ("cut", "cut-chunks")  # there is nothing to cut
            assert asked.way in ANSWERS or asked.lost or cut, (asked, answer)
            assert asked.method == "HEAD" or answer.body in told, (asked, answer)
        else:
            assert answer.status == 502, (asked, answer)
            assert asked.way in FAULTS or asked.lost, (asked, answer)
    unanswered = [each for each in caller.asked[len(caller.answers) :] if each.whole]
    if caller.ended and unanswered:
        last = caller.answers[-1].all(b"connection") if caller.answers else []
        cut = unanswered[0].way in ("cut", "cut-chunks") or unanswered[0].lost
        assert last == [b"close"] or cut, (unanswered[0], caller.octets[:200])


def test_connections_in_any_order_of_events() -> None:
    # Not made shorter: each attempt at that would wait in vain for what is due.
    run_state_machine_as_test(
        Connections,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=30, phases=[Phase.generate], deadline=None
        ),
    )
