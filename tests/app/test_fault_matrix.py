"""What a caller sees, and what the token endpoint hears, when something on the way of a token is broken.

Each test is one fault. The proxy is whole: its listeners, its admin port, its keepers; the token endpoint
and the upstream are servers that do what the test says. Time stands still until a test moves it.
"""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proxy.app.proxy import Proxy, running
from proxy.config.load import load
from proxy.credentials.keeper import Keeper
from tests.clock import FakeClock
from tests.token_server import TokenServer, token_server

WAIT = 10.0
CANARY = "canary-client-secret"


class Camunda:
    """An upstream that takes any token that was not revoked, unless it is told otherwise.

    Attributes:
        seen: Authorization of each request; None: it had none.
        revoked: tokens that it takes no more.
        instead: what to answer to everything.
        hurdle: how many refusals to collect before the first of them is answered.
    """

    def __init__(self) -> None:
        self.seen: list[str | None] = []
        self.revoked: set[str] = set()
        self.instead: Callable[[], web.Response] | None = None
        self.hurdle = 0
        self._over = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        body = await request.content.read()
        shown = request.headers.get("Authorization")
        self.seen.append(shown)
        if self.instead is not None:
            return self.instead()
        if shown is None or shown.removeprefix("Bearer ") in self.revoked:
            self.hurdle -= 1
            if self.hurdle <= 0:
                self._over.set()
            await self._over.wait()
            return web.Response(status=401)
        return web.Response(body=body or b"in")


@dataclass
class House:
    """The proxy and its surroundings."""

    clock: FakeClock
    tokens: TokenServer
    camunda: Camunda
    proxy: Proxy
    session: aiohttp.ClientSession
    said: list[str] = field(default_factory=list)

    @property
    def keeper(self) -> Keeper:
        return self.proxy.served[0].keeper

    @property
    def fetches(self) -> int:
        """Attempts that have ended."""
        return self.keeper.tally.outcomes.total()

    async def ask(self, method: str = "GET", body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        url = f"http://{self.proxy.served[0].bound.addresses[0]}/v2/topology"
        data = BytesIO(body) if body else None  # aiohttp warns of large bytes
        async with self.session.request(method, url, data=data) as answer:
            return answer.status, dict(answer.headers), await answer.read()

    async def patiently(
        self, method: str = "GET", body: bytes | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """As `ask`; where it must wait, time goes on."""
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(self.ask(method, body))
            while not asked.done():
                for _ in range(20):
                    await self.clock.settle()
                if not asked.done():
                    await self.clock.advance(1)
        return asked.result()

    async def asks(self, number: int) -> list[int]:
        """Statuses of so many requests at once."""
        return [answer[0] for answer in await asyncio.gather(*(self.ask() for _ in range(number)))]

    async def health(self, name: str) -> int:
        async with self.session.get(f"http://{self.proxy.admin_address}/health/{name}") as answer:
            return answer.status

    async def until(self, fact: Callable[[], bool]) -> None:
        """Let sockets speak, while time stands still."""
        async with asyncio.timeout(10):
            while not fact():
                await self.clock.settle()

    async def fetched(self, times: int = 1) -> None:
        """So many further attempts, waiting for each in its time."""
        for _ in range(times):
            done = self.fetches
            async with asyncio.timeout(10):
                while self.fetches == done:
                    due = self.keeper.snapshot().next_attempt
                    if due is not None and due > self.clock.now():
                        await self.clock.advance(due - self.clock.now())
                    await self.clock.settle()

    def warnings(self) -> list[str]:
        return [line for line in self.said if line.startswith(("WARNING", "ERROR"))]


class Listener(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(f"{record.levelname} {record.getMessage()} {vars(record)}")


@asynccontextmanager
async def serving(answer: Any) -> AsyncIterator[str]:
    runner = web.ServerRunner(
        web.Server(answer, access_log=None, max_field_size=1 << 18), shutdown_timeout=0.1
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def house(
    folder: Path, prepare: Callable[[TokenServer], None] = lambda _: None, *, secret: str = CANARY
) -> AsyncIterator[House]:
    """All of it, once the first attempt to get a token has ended. Nothing it says holds a secret."""
    clock = FakeClock()
    camunda = Camunda()
    secret_file = folder / "secret"
    secret_file.write_text(secret, encoding="utf-8")
    async with token_server(clock=clock) as tokens, serving(camunda.answer) as url:
        tokens.named = lambda number: f"canary-token-{number}"
        prepare(tokens)
        document = {
            "upstreams": {"zeebe": {"url": url, "listen": "localhost:0"}},
            "credentials": {
                "identity": {
                    "type": "oauth2",
                    "token_url": tokens.url,
                    "client_id": "orchestration",
                    "client_secret_file": str(secret_file),
                    "wait": WAIT,
                }
            },
            "admin": {"listen": "127.0.0.1:0"},
        }
        file = folder / "c.yaml"
        file.write_text(json.dumps(document), encoding="utf-8")
        config = load(config=file, env_file=None, environ={}, directory=folder)
        said: list[str] = []
        log, listener = logging.getLogger("proxy"), Listener(said)
        log.addHandler(listener)
        log.setLevel(logging.DEBUG)
        try:
            connector = aiohttp.TCPConnector(limit=0)
            async with running(config, clock) as proxy, aiohttp.ClientSession(connector=connector) as session:
                it = House(clock, tokens, camunda, proxy, session, said)
                if tokens.open.is_set():
                    await it.until(lambda: it.fetches == 1)
                yield it
        finally:
            log.removeHandler(listener)
            log.setLevel(logging.NOTSET)
        everything = "\n".join(said)
        assert secret not in everything
        assert all(b"client_secret=" in asked.body for asked in tokens.asked)
        assert not [token for token in tokens.issued if token in everything]


def gaps(tokens: TokenServer) -> list[float]:
    """Seconds between requests."""
    moments = [asked.at for asked in tokens.asked]
    return [later - sooner for sooner, later in pairwise(moments)]


def status(code: int, **headers: str) -> Callable[[], web.Response]:
    return lambda: web.Response(status=code, headers=headers, text="canary-client-secret said the server")


def error(code: int, name: str) -> Callable[[], web.Response]:
    members = {"error": name, "error_description": "canary-description"}
    return lambda: web.json_response(members, status=code)


def answers(*, body: bytes, content_type: str = "application/json") -> Callable[[], web.Response]:
    return lambda: web.Response(body=body, content_type=content_type)


def jwt(**claims: float) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.AAAA"


# -- the token endpoint --


async def test_down_at_start_the_proxy_is_up_not_ready_and_ready_with_the_first_token(tmp_path: Path) -> None:
    async with house(tmp_path, lambda tokens: setattr(tokens, "always", status(503))) as it:
        assert await it.health("live") == 200
        assert await it.health("ready") == 503
        code, headers, body = await it.patiently()
        assert code == 503
        assert int(headers["Retry-After"]) >= 1
        assert json.loads(body)["type"] == "urn:camunda-auth-proxy:credential_unavailable"
        assert not it.camunda.seen
        it.tokens.always = None
        await it.fetched()
        assert await it.health("ready") == 200
        assert (await it.ask())[0] == 200


async def test_down_at_refresh_requests_go_on_with_the_old_token(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        it.tokens.always = status(500)
        await it.fetched(4)
        assert (await it.ask())[0] == 200
        assert it.camunda.seen == ["Bearer canary-token-1"]
        assert await it.health("ready") == 200
        assert it.keeper.tally.outcomes["unavailable"] == 4
        assert len(it.warnings()) == 1, "one line for a change of state, however many attempts fail"


async def test_down_past_expiry_nothing_is_forwarded_and_it_heals_within_the_back_off(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        it.tokens.always = status(502)
        await it.clock.advance(1)
        while it.keeper.current is not None:
            await it.fetched()
        assert (await it.patiently())[0] == 503
        assert it.camunda.seen == []
        assert await it.health("ready") == 503
        it.tokens.always = None
        broken_at = it.clock.now()
        await it.fetched()
        assert it.clock.now() - broken_at <= 30
        assert (await it.ask())[0] == 200


async def test_slow_there_is_one_fetch_callers_are_told_and_the_late_answer_is_used(tmp_path: Path) -> None:
    async with house(tmp_path, lambda tokens: tokens.open.clear()) as it:
        await it.until(lambda: len(it.tokens.asked) == 1)
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(it.ask()) for _ in range(50)]
            await it.until(lambda: it.proxy.busy == 50)
            await it.clock.advance(WAIT)
        assert {task.result()[0] for task in asked} == {503}
        await it.clock.advance(20)
        assert len(it.tokens.asked) == 1
        it.tokens.open.set()
        await it.until(lambda: it.keeper.current is not None)
        assert (await it.ask())[0] == 200
        assert it.camunda.seen == ["Bearer canary-token-1"]


@pytest.mark.parametrize("retry_after", ["120", "Sun, 22 Nov 2026 12:02:00 GMT"])
async def test_429_with_retry_after_is_obeyed_also_by_repairs(tmp_path: Path, retry_after: str) -> None:
    async with house(tmp_path) as it:
        fields = {"Retry-After": retry_after, "Date": "Sun, 22 Nov 2026 12:00:00 GMT"}
        it.tokens.always = status(429, **fields)
        await it.fetched()
        limited_at = it.tokens.asked[-1].at
        it.tokens.always = None
        it.camunda.revoked.add("canary-token-1")
        while it.clock.now() < limited_at + 110:
            assert (await it.patiently("POST", b"{}"))[0] == 503
            await it.clock.advance(5)
        assert it.tokens.asked[-1].at == limited_at
        await it.fetched()
        assert it.tokens.asked[-1].at - limited_at >= 120
        assert (await it.ask())[0] == 200


@pytest.mark.parametrize("code", [500, 502, 503])
async def test_5xx_backs_off_and_requests_add_nothing_to_it(tmp_path: Path, code: int) -> None:
    async with house(tmp_path, lambda tokens: setattr(tokens, "always", status(code))) as it:
        began = it.clock.now()
        while it.clock.now() < began + 120:
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(it.ask()) for _ in range(20)]
                while not all(task.done() for task in asked):
                    await it.clock.advance(1)
            assert {task.result()[0] for task in asked} == {503}
        assert min(gaps(it.tokens)) >= 1
        assert len(it.tokens.asked) <= 40, "full jitter under a cap of 30 s"
        assert not it.camunda.seen


@pytest.mark.parametrize(
    ("code", "name"), [(400, "invalid_client"), (401, "invalid_client"), (401, "unauthorized_client")]
)
async def test_a_refused_client_is_a_502_in_the_slow_lane_until_its_secret_changes(
    tmp_path: Path, code: int, name: str
) -> None:
    async with house(tmp_path, lambda tokens: setattr(tokens, "always", error(code, name))) as it:
        answered, _, body = await it.patiently()
        assert answered == 502
        assert json.loads(body)["type"] == "urn:camunda-auth-proxy:credential_rejected"
        assert b"canary-description" not in body
        before = len(it.tokens.asked)  # a refused secret from a file is looked at twice
        await it.clock.advance(58)
        assert set(await it.asks(20)) == {502}
        assert before <= 2
        assert len(it.tokens.asked) == before + 4  # after 3, 6, 12 and 24 s
        assert it.keeper.tally.outcomes["rejected"] == before + 4
        it.tokens.always = None
        (tmp_path / "secret").write_text("canary-rotated", encoding="utf-8")
        await it.clock.advance(5)
        await it.until(lambda: it.keeper.current is not None)
        assert (await it.ask())[0] == 200


SENSELESS = {
    "malformed JSON": answers(body=b'{"access_token": "canary-leak", "expi'),
    "HTML": answers(body=b"<!doctype html><title>canary-leak</title>", content_type="text/html"),
    "empty": answers(body=b""),
    "an error in a 200": answers(body=b'{"error": "invalid_client", "access_token": "canary-leak"}'),
    "a list": answers(body=b'[{"access_token": "canary-leak"}]'),
    "another content type": answers(body=b"access_token=canary-leak", content_type="text/plain"),
    "no token": answers(body=b'{"token_type": "Bearer", "expires_in": 300}'),
    "over 1 MiB": answers(body=b'{"access_token": "canary-leak", "x": "' + b"y" * (1 << 20) + b'"}'),
}


@pytest.mark.parametrize("instead", SENSELESS.values(), ids=SENSELESS)
async def test_a_senseless_answer_is_a_failure_and_never_logged(
    tmp_path: Path, instead: Callable[[], web.Response]
) -> None:
    async with house(tmp_path, lambda tokens: setattr(tokens, "always", instead)) as it:
        assert it.keeper.current is None
        await it.fetched(2)
        assert it.keeper.tally.outcomes.keys() <= {"invalid", "unavailable"}
        assert not it.camunda.seen
        assert "canary-leak" not in "\n".join(it.said)
        it.tokens.always = None
        await it.fetched()
        assert (await it.ask())[0] == 200


@pytest.mark.parametrize(
    ("token", "life"), [(jwt(iat=100, exp=160), 60), ("opaque", 300), (jwt(exp=160), 300)]
)
async def test_without_expires_in_the_jwt_tells_or_five_minutes_count(
    tmp_path: Path, token: str, life: float
) -> None:
    def prepare(tokens: TokenServer) -> None:
        tokens.members = {"expires_in": None}
        tokens.named = lambda number: token if number == 1 else f"canary-token-{number}"

    async with house(tmp_path, prepare) as it:
        credential = it.keeper.current
        assert credential is not None
        assert credential.expires_at == credential.fetched_at + life
        it.camunda.revoked.add(token)
        await it.clock.advance(2)
        assert (await it.ask())[0] == 200, "a 401 refreshes all the same"
        it.tokens.issued.remove(token)  # too short a word to be looked for in the log


@pytest.mark.parametrize(("written", "life"), [("60", 60), (60.9, 60.9), (10**9, 86400)])
async def test_expires_in_is_read_as_it_is_meant(tmp_path: Path, written: Any, life: float) -> None:
    async with house(tmp_path, lambda tokens: setattr(tokens, "members", {"expires_in": written})) as it:
        credential = it.keeper.current
        assert credential is not None
        assert credential.expires_at == pytest.approx(credential.fetched_at + life)


@pytest.mark.parametrize("written", [0, -300, "soon", [], True])
async def test_an_expires_in_that_cannot_be_is_a_failure(tmp_path: Path, written: Any) -> None:
    async with house(tmp_path, lambda tokens: setattr(tokens, "members", {"expires_in": written})) as it:
        assert it.keeper.current is None
        assert it.keeper.tally.outcomes == {"invalid": 1}
        it.tokens.members = {}
        await it.fetched()
        assert (await it.ask())[0] == 200


@pytest.mark.parametrize(
    ("written", "taken"), [("mac", False), ("DPoP", False), (None, True), ("bearer", True)]
)
async def test_a_token_of_another_type_is_not_injected(
    tmp_path: Path, written: str | None, taken: bool
) -> None:
    async with house(tmp_path, lambda tokens: setattr(tokens, "members", {"token_type": written})) as it:
        assert (it.keeper.current is not None) == taken
        if taken:
            await it.ask()
            assert it.camunda.seen == ["Bearer canary-token-1"]


@pytest.mark.parametrize("octets", ["\r\n", "\n", " ", "\u00e4", "\x00", "\x7f"])
async def test_a_token_with_octets_that_do_not_belong_there_is_never_on_the_wire(
    tmp_path: Path, octets: str
) -> None:
    def prepare(tokens: TokenServer) -> None:
        tokens.named = lambda number: f"canary{octets}X-Smuggled: {number}"

    async with house(tmp_path, prepare) as it:
        assert it.keeper.tally.outcomes == {"invalid": 1}
        assert it.keeper.current is None
        it.tokens.issued.clear()


async def test_with_tokens_of_five_seconds_none_waits_and_the_endpoint_is_spared(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, lambda tokens: setattr(tokens, "members", {"expires_in": 5})) as it:
        began, seen = it.clock.now(), 0
        while it.clock.now() < began + 600:
            assert (await it.ask())[0] == 200
            seen += 1
            await it.clock.advance(1)
            due = it.keeper.snapshot().next_attempt
            if due is None:  # an attempt is on the wire: it takes no time here
                await it.until(lambda: it.keeper.snapshot().next_attempt is not None)
        assert len(it.tokens.asked) / 600 <= 0.3
        assert not any(it.keeper.tally.wait_seconds.counts)
        assert len(it.camunda.seen) == seen


async def test_a_token_of_16_kib_works_and_one_that_is_too_large_is_a_clear_error(tmp_path: Path) -> None:
    async with house(tmp_path, lambda tokens: setattr(tokens, "named", lambda _: "t" * 16384)) as it:
        assert (await it.ask())[0] == 200
        assert it.camunda.seen == ["Bearer " + "t" * 16384]
        it.tokens.named = lambda _: "t" * (1 << 17)
        await it.fetched()
        assert it.keeper.tally.outcomes["invalid"] == 1
        assert (await it.ask())[0] == 200


@pytest.mark.parametrize("skew", [-600, 600])
async def test_a_wrong_clock_on_either_side_changes_nothing(tmp_path: Path, skew: float) -> None:
    def prepare(tokens: TokenServer) -> None:
        tokens.members = {"expires_in": None}
        tokens.named = lambda number: jwt(iat=1_000_000 + skew, exp=1_000_300 + skew, jti=number)

    async with house(tmp_path, prepare) as it:
        credential = it.keeper.current
        assert credential is not None
        assert credential.expires_at == credential.fetched_at + 300


async def test_after_a_suspend_the_first_request_refreshes_before_it_is_sent(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        assert (await it.ask())[0] == 200
        it.clock.jump(7200)
        assert (await it.ask())[0] == 200
        assert it.camunda.seen == ["Bearer canary-token-1", "Bearer canary-token-2"]


async def test_a_redirect_of_the_token_endpoint_is_refused_and_the_secret_stays(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as it:
        url = it.proxy.served[0].upstream.url
        it.tokens.always = status(307, Location=f"{url}/stolen")
        await it.fetched()
        assert it.keeper.tally.outcomes["ok"] == 1
        assert it.fetches == 2
        assert not it.camunda.seen


# -- 401 --


async def test_401_once_one_refresh_one_replay_and_the_caller_sees_200(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        await it.clock.advance(2)
        it.camunda.revoked.add("canary-token-1")
        code, _, body = await it.ask("POST", b"all of it")
        assert (code, body) == (200, b"all of it")
        assert it.camunda.seen == ["Bearer canary-token-1", "Bearer canary-token-2"]


async def test_401_to_what_cannot_be_sent_again_passes_and_the_next_has_the_new_token(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        await it.clock.advance(2)
        it.camunda.revoked.add("canary-token-1")
        assert (await it.ask("POST", b"x" * (5 << 20)))[0] == 401
        await it.until(lambda: it.fetches == 2)
        assert (await it.ask())[0] == 200
        assert it.camunda.seen == ["Bearer canary-token-1", "Bearer canary-token-2"]


async def test_a_storm_of_500_parallel_401s_is_one_fetch_and_one_replay_each(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        await it.clock.advance(2)
        it.camunda.revoked.add("canary-token-1")
        it.camunda.hurdle = 256  # all connections there are
        assert await it.asks(500) == [200] * 500
        assert len(it.tokens.asked) == 2
        assert it.camunda.seen.count("Bearer canary-token-2") == 500
        assert it.camunda.seen.count("Bearer canary-token-1") <= 500


async def test_a_401_that_never_heals_reaches_the_caller_and_the_endpoint_is_spared(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        it.camunda.instead = status(401)
        await it.clock.advance(2)
        for _ in range(600):
            assert (await it.ask())[0] == 401
            await it.clock.advance(1)
        assert len(it.tokens.asked) <= 12, "gaps double from 1 s to 5 min"


@pytest.mark.parametrize("code", [403, 407, 429, 500, 502, 503, 504])
async def test_any_other_refusal_passes_and_nothing_is_fetched(tmp_path: Path, code: int) -> None:
    async with house(tmp_path) as it:
        await it.clock.advance(2)
        it.camunda.instead = status(code, **{"Retry-After": "7"})
        answered, headers, _ = await it.ask("POST", b"{}")
        assert (answered, headers["Retry-After"]) == (code, "7")
        assert "Proxy-Status" not in headers
        assert len(it.camunda.seen) == len(it.tokens.asked) == 1
