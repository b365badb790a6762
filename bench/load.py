"""Load: as fast as answers come (wrk), at a fixed pace whatever comes back, and bodies that are counted."""

import http.client
import json
import random
import select
import socket
import subprocess
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Final

from bench.peers import BENCH

_SEED: Final = 7
"""Every peer meets the same moments."""


@dataclass(frozen=True)
class Answers:
    """What came of a load.

    Attributes:
        requests: answered, rightly or not.
        lost: without an answer.
        wrong: with another answer.
    """

    requests: int
    lost: int = 0
    wrong: int = 0


def wrk(port: int, path: str, connections: int, seconds: float, size: int, *, close: bool = False) -> Answers:
    """As many requests as `connections` bring about, each answered with `size` bytes.

    Args:
        close: a new connection for each request.
    """
    options = ["-H", "Connection: close"] if close else []
    done = subprocess.run(
        [
            *("wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds:.0f}s"),
            *("--timeout", "30s", "--script", str(BENCH / "conf" / "done.lua"), *options),
            f"http://127.0.0.1:{port}{path}",
        ],
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        raise OSError(f"wrk: {done.stdout} {done.stderr}")
    told = json.loads(done.stdout.splitlines()[-1])
    # Whole heads stand among these bytes: too few of them is what can be seen from here.
    short = told["requests"] if told["octets"] < told["requests"] * size else 0
    return Answers(told["requests"], lost=told["lost"], wrong=told["refused"] + short)


@dataclass
class Pace:
    """Requests at a pace, answers in whatever order they come.

    Attributes:
        delays: seconds from the moment a request was due until its answer was whole.
    """

    lost: int = 0
    wrong: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def answers(self) -> Answers:
        return Answers(len(self.delays), self.lost, self.wrong)

    def percentile(self, percent: int) -> float:
        """Milliseconds."""
        return quantiles(self.delays, n=100)[percent - 1] * 1000 if len(self.delays) > 1 else 0.0


class OpenLoop:
    """`rate` requests a second at moments of a Poisson process, which do not wait for each other's answers.

    Moments are met to a millisecond, as that is how long epoll can sleep at the least.
    """

    def __init__(self, port: int, path: str, size: int, connections: int = 32) -> None:
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        self._size = size
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._got: dict[int, bytes] = {}
        self._due: dict[int, float] = {}
        self._idle: deque[int] = deque()
        for _ in range(connections):
            caller = socket.create_connection(("127.0.0.1", port))
            caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[caller.fileno()] = caller
            self._idle.append(caller.fileno())
            self._poll.register(caller, select.EPOLLIN)

    def run(self, rate: float, seconds: float) -> Pace:
        pace = Pace()
        moments = random.Random(_SEED)
        start = time.perf_counter()
        waiting: deque[float] = deque()
        due = start
        while True:
            now = time.perf_counter()
            while due <= now and due < start + seconds:
                waiting.append(due)
                due += moments.expovariate(rate)
            while waiting and self._idle:
                self._send(waiting.popleft())
            if due >= start + seconds and not waiting and not self._due:
                return pace
            if now > start + seconds + 30 or not self._sockets:
                pace.lost += len(waiting) + len(self._due)
                return pace
            for number, _ in self._poll.poll(max(0.0, min(due - now, 1.0))):
                self._read(number, pace)

    def close(self) -> None:
        self._poll.close()
        for caller in self._sockets.values():
            caller.close()

    def _send(self, due: float) -> None:
        number = self._idle.popleft()
        self._due[number] = due
        self._got[number] = b""
        self._sockets[number].send(self._request)

    def _read(self, number: int, pace: Pace) -> None:
        try:
            data = self._sockets[number].recv(65_536)
        except ConnectionResetError:
            data = b""
        if not data:
            pace.lost += self._due.pop(number, None) is not None
            self._poll.unregister(number)
            self._sockets.pop(number).close()
            if number in self._idle:
                self._idle.remove(number)
            return
        self._got[number] += data
        head, end, body = self._got[number].partition(b"\r\n\r\n")
        right = b" 200 " in head[:20]
        if not end or (right and len(body) < self._size):
            return
        pace.wrong += not right or len(body) > self._size
        pace.delays.append(time.perf_counter() - self._due.pop(number))
        self._idle.append(number)


def uploads(port: int, size: int, connections: int, each: int) -> Answers:
    """`each` bodies of `size` bytes on each of `connections`; the origin says how much reached it."""
    body = bytes(size)

    def one_caller(_: int) -> int:
        caller = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        right = 0
        try:
            for _ in range(each):
                caller.request("POST", "/upload", body, {"Content-Type": "application/octet-stream"})
                answer = caller.getresponse()
                right += _arrived(answer.read()) >= size and answer.status == 200
        except (OSError, http.client.HTTPException):
            return right
        finally:
            caller.close()
        return right

    with ThreadPoolExecutor(connections) as callers:
        right = sum(callers.map(one_caller, range(connections)))
    return Answers(right, wrong=connections * each - right)


def _arrived(answer: bytes) -> int:
    """Bytes of a request, head and body, that the origin says it got."""
    return int(answer) if answer.isdigit() else 0


def ask(port: int, path: str, timeout: float = 60) -> tuple[int, bytes]:
    """Status and body.

    Raises:
        OSError: nobody there.
    """
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        caller.request("GET", path)
        answer = caller.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from None
    finally:
        caller.close()
