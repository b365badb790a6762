"""Sessions on the request path: what their answers say, what stays between us and the server."""

import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from proxy.clock import pause
from proxy.credentials.credential import Credential
from proxy.credentials.schedule import Policy
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable
from proxy.gateway.call import Call
from proxy.gateway.grammar import Field
from proxy.gateway.timeouts import Timeouts
from tests.clock import FakeClock
from tests.gateway.rig import Rig, get, post
from tests.gateway.rig import gateway as any_gateway
from tests.gateway.wire import OK, Answer, Origin, Wire, answering, origin


class Logins:
    """A CredentialSource whose credentials are sessions: cookie, CSRF cookie and CSRF header, numbered.

    Attributes:
        clock: of the test.
        takes: seconds of a login.
        fails: what logins bring; None: sessions.
        basic: whether they bring Basic instead.
        count: logins so far.
        told: what answers told.
    """

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.takes = 0.0
        self.fails: CredentialError | None = None
        self.basic = False
        self.count = 0
        self.session_fields: list[list[Field]] = []

    async def fetch(self) -> Credential:
        self.count += 1
        number = self.count
        now = self.clock.now()
        if self.takes:
            await pause(self.clock, self.takes)
        if self.fails is not None:
            raise self.fails
        if self.basic:
            return Credential(((b"Authorization", b"Basic x"),), now)
        return session(number, b"c%d" % number, b"m%d" % number, now)

    def note_session_fields(self, used: Credential, fields: Sequence[Field]) -> Credential | None:
        self.session_fields.append(list(fields))
        for name, value in fields:
            if name == b"set-cookie" and value.startswith(b"X-CSRF-TOKEN="):
                token = value.removeprefix(b"X-CSRF-TOKEN=").partition(b";")[0]
                return session(1, token, b"for-" + token, used.fetched_at)
        return None

    async def leave(self, session: Credential) -> None: ...


def session(number: int, cookie: bytes, header: bytes, now: float) -> Credential:
    cookies = b"OPERATE-SESSION=%d; X-CSRF-TOKEN=%b" % (number, cookie)
    return Credential(((b"Cookie", cookies), (b"X-CSRF-TOKEN", header)), now, session=True)


def gateway(site: Origin, logins: Logins, **more: Any) -> AbstractAsyncContextManager[Rig]:
    return any_gateway(site, source=logins, sessions=logins, **more)


async def old_enough(rig: Rig, logins: Logins) -> None:
    """No repair within a second of the last login; and from now on both have one clock."""
    logins.clock = rig.clock
    await rig.clock.advance(2.0)


def shown(message: Answer) -> int:
    """The session that a request came with."""
    cookie = message.head.get(b"cookie") or b"OPERATE-SESSION=0"
    return int(cookie.partition(b";")[0].removeprefix(b"OPERATE-SESSION="))


def code(answer: Answer) -> str:
    return str(json.loads(answer.body)["type"]).rpartition(":")[2]


def says(status: str, body: bytes = b"", *lines: str) -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "", ""))
    return head.encode() + body


JSON = "Content-Type: application/json"
HTML = "Content-Type: text/html"
DEAD = says("401 Unauthorized", b'{"message":""}', JSON)
TO_LOGIN = says("302 Found", b"", "Location: /api/login", "Set-Cookie: OPERATE-SESSION=nobody")
TO_IDP = says("302 Found", b"", "Location: https://idp.example/auth?x")
PAGE = says("200 OK", b"<html>login</html>", HTML)
PAGE_403 = says("403 Forbidden", b"<html>login</html>", HTML)
CSRF = says("403 Forbidden", b'{"error": "Access denied due to invalid CSRF token."}', JSON)
NEW_PAIR = says("403 Forbidden", b"{}", JSON, "Set-Cookie: X-CSRF-TOKEN=new; Path=/")
BARE = says("403 Forbidden", b'{"status":403,"error":"Forbidden"}', JSON)
IN_CHUNKS = (
    b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nAcces\r\n14\r\ns denied: bad CSRF t\r\n4\r\noken\r\n0\r\n\r\n"
)
TO_THE_END = b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\nwrong csrf token"
BODY = b"x" * 60_000
CHUNKED = get("/v1/x", "Transfer-Encoding: chunked", method="POST") + b"4\r\nbody\r\n0\r\n\r\n"

REPAIRED = {
    "dead": (get("/v2/topology"), DEAD),
    "dead, post": (post(BODY, path="/v2/x"), DEAD),
    "to the login": (get("/v2/topology?a=/b"), TO_LOGIN),
    "post to the login": (post(BODY, path="/v1/x"), TO_LOGIN),
    "to another host": (get("/api/x"), TO_IDP),
    "page": (get("/v1/x"), PAGE),
    "page, 403": (get("/v1/x"), PAGE_403),
    "csrf": (post(BODY, path="/v1/x"), CSRF),
    "csrf, get": (get("/v1/x"), CSRF),
    "csrf, request in chunks": (CHUNKED, CSRF),
    "csrf, answer in chunks": (post(BODY, path="/v1/x"), IN_CHUNKS),
    "csrf, answer to the end": (post(b"{}", path="/v1/x"), TO_THE_END),
    "new pair": (post(b"{}", path="/v1/x"), NEW_PAIR),
    "bare": (post(BODY, path="/v1/x"), BARE),
    "bare, empty": (get("/v1/x/1", method="DELETE"), says("403 Forbidden")),
}


@pytest.mark.parametrize("name", REPAIRED)
async def test_a_refused_session_is_replaced_and_the_request_sent_once_more(name: str) -> None:
    request, refusal = REPAIRED[name]
    logins = Logins()
    seen: list[Answer] = []

    async def play(wire: Wire) -> None:
        while True:
            seen.append(await wire.message())
            wire.send(OK if shown(seen[-1]) == 2 else refusal)
            if refusal is TO_THE_END and shown(seen[-1]) == 1:
                wire.close()

    async with origin(play) as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(request)
        assert (await wire.message()).body == b"ok"
        assert logins.count == 2
        first, second = seen
        assert first.head.line == second.head.line
        assert first.body == second.body
        assert second.head.all(b"cookie") == [b"OPERATE-SESSION=2; X-CSRF-TOKEN=c2"]
        assert second.head.all(b"x-csrf-token") == [b"m2"]
        assert rig.tally.repairs == {"ok": 1}
        assert logins.session_fields == []


PASSED = {
    "403 to a get": (get("/v2/x"), BARE),
    "403 to a get, with a masked token": (get("/v2/x"), says("403 Forbidden", b"{}", "X-CSRF-TOKEN: m9")),
    "403 to a get, empty": (get("/v2/x"), says("403 Forbidden")),
    "redirect of a page": (get("/operate"), TO_LOGIN),
    "page": (get("/operate/processes"), PAGE),
    "403 page": (get("/operate"), PAGE_403),
    "redirect to elsewhere": (get("/v2/x"), says("302 Found", b"moved", "Location: /v2/y")),
    "403, in chunks": (get("/v2/x"), IN_CHUNKS.replace(b"CSRF", b"VIEW")),
    "409": (post(b"{}", path="/v2/x"), says("409 Conflict", b"CSRF")),
}


@pytest.mark.parametrize("name", PASSED)
async def test_what_is_no_refusal_passes_as_it_is(name: str) -> None:
    request, answer = PASSED[name]
    logins = Logins()
    async with origin(answering(answer)) as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(request)
        came = await wire.message()
        assert came.status == int(answer.split(b" ")[1])
        if b"chunked" in answer:
            assert came.body == b"Access denied: bad VIEW token"
        else:
            assert came.body == answer.partition(b"\r\n\r\n")[2]
        assert logins.count == 1
        assert not rig.tally.repairs


# -- a 403 that may be a refusal --


async def test_a_bare_403_to_a_change_brings_one_login_a_minute() -> None:
    logins = Logins()
    async with origin(answering(BARE)) as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.caller()

        async def asked() -> int:
            wire.send(post(b"{}", path="/v2/x"))
            answer = await wire.message()
            assert (answer.status, answer.body) == (403, BARE.partition(b"\r\n\r\n")[2])
            return logins.count

        assert await asked() == 2
        await rig.clock.advance(30.0)
        assert [await asked() for _ in range(5)] == [2] * 5
        await rig.clock.advance(31.0)
        assert [await asked() for _ in range(2)] == [3, 3]
        assert rig.tally.repairs == {"refused_again": 2, "too_soon": 6}


async def test_a_bare_403_stands_in_no_real_repairs_way() -> None:
    logins = Logins()
    script = (BARE, BARE, BARE, BARE, DEAD, DEAD, DEAD, OK)  # in pairs: with the old session, with a new one
    async with origin(answering(*script)) as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.caller()
        statuses = []
        for wait in (61.0, 2.0, 3.0, 0.0):
            wire.send(post(b"{}", path="/v2/x"))
            statuses.append((await wire.message()).status)
            await rig.clock.advance(wait)
        assert statuses == [403, 403, 401, 200]  # 2 s after one fruitless repair; bare 403s are none
        assert logins.count == 5


async def test_where_no_login_succeeds_a_bare_403_passes() -> None:
    logins = Logins()
    async with origin(answering(BARE)) as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        logins.fails = CredentialRejected("wrong password")
        wire = await rig.call(post(b"{}", path="/v2/x"))
        assert (await wire.message()).body == BARE.partition(b"\r\n\r\n")[2]
        assert logins.count == 2
        assert not rig.tally.problems


@pytest.mark.parametrize("refusal", [CSRF, TO_LOGIN, PAGE, DEAD])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CredentialRejected("the login refused user demo"), (502, "credential_rejected")),
        (CredentialUnavailable("the login is down"), (503, "credential_unavailable")),
    ],
)
async def test_where_no_login_succeeds_an_answer_of_ours_says_both(
    refusal: bytes, error: CredentialError, expected: tuple[int, str]
) -> None:
    logins = Logins()
    async with origin(answering(refusal)) as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        logins.fails = error
        wire = await rig.call(post(b"{}", path="/v2/x"))
        await rig.until(lambda: logins.count == 2)
        await rig.clock.advance(11.0)
        answer = await wire.message()
        assert (answer.status, code(answer)) == expected
        detail = json.loads(answer.body)["detail"]
        assert f"zeebe refused the credential it was sent ({refusal.split(b' ')[1].decode()})" in detail
        assert str(error)[1:] in detail
        assert answer.head.get(b"set-cookie") is None
        assert answer.head.get(b"location") is None
        assert rig.tally.repairs == {"no_credential": 1}


async def test_a_403_to_a_body_that_cannot_be_sent_again_passes_whole() -> None:
    logins = Logins()
    async with origin() as site, gateway(site, logins, replay_buffer=1000) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(post(b"x" * 2000, path="/v2/x"))
        peer = await site.accept()
        await peer.message()
        peer.send(CSRF)
        assert (await wire.message()).body == CSRF.partition(b"\r\n\r\n")[2]
        assert rig.tally.repairs == {"not_replayable": 1}
        wire.send(get("/v2/x"))
        assert shown(await peer.message()) == 2


async def test_a_server_that_always_speaks_of_csrf_is_not_logged_in_to_again_and_again() -> None:
    logins = Logins()
    async with origin(answering(CSRF)) as site, gateway(site, logins) as rig:
        wire = await rig.caller()
        await old_enough(rig, logins)
        for _ in range(30):
            wire.send(post(b"{}", path="/v2/x"))
            assert (await wire.message()).status == 403
            await rig.clock.advance(1.0)
        assert logins.count <= 6


@pytest.mark.parametrize("refusal", [DEAD, TO_LOGIN, CSRF])
async def test_a_path_that_always_refuses_beside_one_that_never_does_is_no_login_a_second(
    refusal: bytes,
) -> None:
    logins = Logins()

    async def play(wire: Wire) -> None:
        while True:
            head = (await wire.message()).head
            wire.send(refusal if b"/v2/bad" in head.line else OK)

    async with origin(play) as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.caller()
        for _ in range(300):
            wire.send(get("/v2/bad") + get("/v2/good"))
            assert [(await wire.message()).status for _ in range(2)] == [int(refusal.split(b" ")[1]), 200]
            await rig.clock.advance(1.0)
        assert logins.count <= 11


# -- what stays between us and the server --


async def test_a_sessions_cookies_and_tokens_never_reach_the_caller_nor_his_the_server() -> None:
    logins = Logins()
    early = b"HTTP/1.1 103 Early Hints\r\nSet-Cookie: early=1\r\nLink: </a>\r\nX-Csrf-Token: early\r\n\r\n"
    lines = ("Set-Cookie: OPERATE-SESSION=secret", "X-A: 1", "X-CSRF-TOKEN: secret", "set-cookie: b=secret")
    more = ("operate-x-csrf-token: secret", "TASKLIST-X-CSRF-TOKEN: secret", "X-B: 2")
    async with origin() as site, gateway(site, logins) as rig:
        theirs = ("Cookie: theirs", "Authorization: theirs", "X-CSRF-TOKEN: theirs", "x_csrf_token: theirs")
        wire = await rig.call(
            get("/v2/x", *theirs, "Operate-X-CSRF-Token: theirs", "TASKLIST-X_CSRF-TOKEN: theirs", "X-A: 1")
        )
        peer = await site.accept()
        request = await peer.head()
        assert b"theirs" not in request.raw
        assert request.all(b"cookie") == [b"OPERATE-SESSION=1; X-CSRF-TOKEN=c1"]
        assert request.all(b"x-csrf-token") == [b"m1"]
        assert request.get(b"x-a") == b"1"
        peer.send(early + says("200 OK", b"ok", *lines, *more))
        interim = await wire.head()
        assert interim.raw == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        answer = await wire.message()
        assert b"secret" not in answer.head.raw
        assert answer.body == b"ok"
        assert answer.head.fields[:2] == [(b"X-A", b"1"), (b"X-B", b"2")]


async def test_without_a_session_cookies_and_tokens_pass_both_ways_where_they_may() -> None:
    class Nothing:
        async def fetch(self) -> Credential:
            return Credential((), 0.0)

    answer = says("200 OK", b"ok", "Set-Cookie: a=1", "X-CSRF-TOKEN: 2", "set-cookie: b=3")
    async with (
        origin() as site,
        any_gateway(site, source=Nothing(), injects=False) as rig,
        any_gateway(site) as bearing,
    ):
        peers = []
        for each in (rig, bearing):
            wire = await each.call(get("/v2/x", "Cookie: c", "X-CSRF-TOKEN: t", "x_csrf_token: u"))
            peers.append(await site.accept())
            head = await peers[-1].head()
            assert head.all(b"cookie") == ([b"c"] if each is rig else [])
            assert (b"X-CSRF-TOKEN", b"t") in head.fields
            assert (b"x_csrf_token", b"u") in head.fields
            peers[-1].send(answer)
            came = [(b"Set-Cookie", b"a=1"), (b"X-CSRF-TOKEN", b"2"), (b"set-cookie", b"b=3")]
            kept = came if each is rig else came[1:2]
            assert (await wire.message()).head.fields[: len(kept) + 1] == [
                *kept,
                (b"Cross-Origin-Resource-Policy", b"same-origin"),
            ]


async def test_where_basic_stands_in_for_a_session_the_credential_used_decides() -> None:
    logins = Logins()
    cookie = says("403 Forbidden", b"no", "Set-Cookie: JSESSIONID=1", HTML)
    async with origin(answering(DEAD, cookie)) as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        logins.basic = True
        wire = await rig.call(post(b"{}", path="/v2/x"))
        answer = await wire.message()
        assert (answer.status, answer.body) == (403, b"no")
        assert answer.head.get(b"set-cookie") is None
        assert rig.tally.repairs == {"ok": 1}
        assert logins.session_fields == []
        await rig.clock.advance(70.0)
        wire.send(post(b"{}", path="/v2/x"))
        assert (await wire.message()).body == b"no"
        assert logins.count == 2


# -- what answers tell the session --


async def test_a_masked_token_causes_no_login_and_a_new_cookie_is_sent_from_then_on() -> None:
    logins = Logins()
    async with origin() as site, gateway(site, logins) as rig:
        wire = await rig.caller()
        peer = None
        for number in range(3):
            wire.send(get("/v2/x"))
            peer = peer or await site.accept()
            assert (await peer.head()).get(b"x-csrf-token") == b"m1"
            peer.send(says("200 OK", b"ok", f"X-CSRF-TOKEN: masked-{number}"))
            await wire.message()
        assert peer is not None
        wire.send(get("/v2/x"))
        await peer.head()
        gone = "Set-Cookie: X-CSRF-TOKEN=; Max-Age=0"
        peer.send(says("200 OK", b"ok", "X-CSRF-TOKEN: masked", "Set-Cookie: X-CSRF-TOKEN=new; Path=/", gone))
        await wire.message()
        wire.send(get("/v2/x"))
        assert (await peer.head()).get(b"cookie") == b"OPERATE-SESSION=1; X-CSRF-TOKEN=new"
        assert logins.session_fields[0] == [(b"x-csrf-token", b"masked-0")]
        assert logins.session_fields[3] == [
            (b"x-csrf-token", b"masked"),
            (b"set-cookie", b"X-CSRF-TOKEN=new; Path=/"),
            (b"set-cookie", b"X-CSRF-TOKEN=; Max-Age=0"),
        ]
        assert logins.count == 1


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/operate", TO_LOGIN),
        ("/v2/users/a%40b.de", says("200 OK", b"ok", "Set-Cookie: OPERATE-SESSION=act")),
        ("/v2/users/a;x", says("200 OK", b"ok", "Set-Cookie: OPERATE-SESSION=act")),
        ("/v2\\users", says("200 OK", b"ok", "Set-Cookie: OPERATE-SESSION=act")),
    ],
)
async def test_cookies_that_may_be_another_sessions_are_not_taken_for_ours(path: str, answer: bytes) -> None:
    logins = Logins()
    async with origin(answering(answer)) as site, gateway(site, logins) as rig:
        wire = await rig.call(get(path))
        assert (await wire.head()).get(b"set-cookie") is None
        await rig.until(lambda: len(rig.notes.all) == 1)
        assert logins.session_fields == []


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/login",
            "/api/login",
            "/logout",
            "/api/logout",
            "/sso-callback?code=x",
            "/login/oauth2/code/oidc",
        ),
        *("/physical-tenants/blue/login", "/physical-tenants/blue/logout", "/camunda/api/login"),
        *("/%6cogin", "/%256cogin", "/login;x=1", "/x/../login", "//login", "/LOGIN", "/api%2Flogin"),
    ],
)
async def test_under_a_session_a_callers_own_login_or_logout_is_answered_by_us(path: str) -> None:
    logins = Logins()
    seen: list[bytes] = []

    async def play(wire: Wire) -> None:
        while True:
            seen.append((await wire.message()).head.line)
            wire.send(OK)

    async with origin(play) as site, gateway(site, logins) as rig:
        for request in (post(b"username=act&password=x", path=path), get(path)):
            wire = await rig.call(request)
            answer = await wire.message()
            assert (answer.status, code(answer)) == (403, "not_allowed")
            detail = json.loads(answer.body)["detail"]
            assert "zeebe (credentials.saas)" in detail
            assert "username" not in detail
            wire.send(get("/v2/users/login"))
            assert (await wire.message()).body == b"ok"
        assert seen == [b"GET /v2/users/login HTTP/1.1"] * 2
        await rig.until(lambda: rig.pool.counts() == {"idle": 1, "active": 0, "connecting": 0, "waiting": 0})
        assert rig.tally.problems == {"not_allowed": 2}
        assert logins.count == 1


async def test_without_a_session_a_callers_login_is_his_own_business() -> None:
    logins = Logins()
    logins.basic = True  # as where Basic stands in for a session
    answer = says("204 No Content", b"", "Set-Cookie: camunda-session=act")
    async with origin() as site, gateway(site, logins) as rig, any_gateway(site) as bearing:
        for each in (rig, bearing):
            wire = await each.call(post(b"username=act", path="/login"))
            peer = await site.accept()
            assert (await peer.message()).body == b"username=act"
            peer.send(answer)
            assert (await wire.head()).get(b"set-cookie") is None


async def test_a_login_that_would_be_sent_again_under_a_session_is_not() -> None:
    """Basic stood in for a session, was refused, and a session took its place."""
    logins = Logins()
    logins.basic = True
    async with origin() as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(post(b"username=act", path="/login"))
        peer = await site.accept()
        await peer.message()
        logins.basic = False
        peer.send(DEAD)
        answer = await wire.message()
        assert (answer.status, code(answer)) == (403, "not_allowed")
        assert logins.count == 2


async def test_a_session_in_use_never_lapses_and_one_unused_logs_in_anew_once() -> None:
    logins = Logins()
    policy = Policy(max_idle=100.0)
    async with origin(answering(OK)) as site, gateway(site, logins, policy=policy) as rig:
        await old_enough(rig, logins)
        for _ in range(4):
            await rig.clock.advance(60.0)
            wire = await rig.call(get("/v2/x"))
            assert (await wire.message()).status == 200
        assert logins.count == 1
        await rig.clock.advance(101.0)
        assert logins.count == 1
        wires = [await rig.call(get("/v2/x")) for _ in range(10)]
        assert {(await each.message()).status for each in wires} == {200}
        assert logins.count == 2


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_a_session_that_dies_under_200_requests_is_one_login_and_nothing_is_lost() -> None:
    logins = Logins()
    bodies: list[bytes] = []

    async def play(wire: Wire) -> None:
        while True:
            message = await wire.message()
            if shown(message) < 2:
                wire.send(DEAD if message.head.line.startswith(b"GET") else BARE)
                continue
            bodies.append(message.body)
            wire.send(says("200 OK", message.body or b"read", "X-CSRF-TOKEN: masked"))

    async with origin(play) as site, gateway(site, logins, max_connections=250) as rig:
        await old_enough(rig, logins)
        logins.takes = 0.1
        requests = [post(b"%d" % each, path="/v2/x") if each % 2 else get("/v2/x") for each in range(200)]
        wires = [await rig.call(each) for each in requests]
        await rig.until(lambda: sum(rig.tally.response_seconds.counts) == 200)
        await rig.clock.settle()
        await rig.clock.advance(1.0)
        answers = [await wire.message() for wire in wires]
        assert {answer.status for answer in answers} == {200}
        assert [answer.body for answer in answers] == [
            b"%d" % each if each % 2 else b"read" for each in range(200)
        ]
        assert sorted(bodies) == sorted(b"%d" % each if each % 2 else b"" for each in range(200))
        assert logins.count == 2
        assert rig.tally.repairs == {"ok": 200}


# -- a look at the beginning of a 403 --

LARGE = bytes(range(256)) * 4096  # a megabyte


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("request_octets", [get("/v2/x"), post(b"{}", path="/v2/x")])
async def test_a_large_403_passes_whole_and_exact(request_octets: bytes, framing: str) -> None:
    logins = Logins()

    async def play(wire: Wire) -> None:
        while True:
            await wire.message()
            if framing == "length":
                wire.send(says("403 Forbidden", LARGE))
            elif framing == "chunked":
                wire.send(b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n")
                for at in range(0, len(LARGE), 10_000):
                    piece = LARGE[at : at + 10_000]
                    wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                wire.send(b"0\r\n\r\n")
            else:
                wire.send(b"HTTP/1.1 403 Forbidden\r\n\r\n" + LARGE)
                wire.close()

    async with origin(play) as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(request_octets)
        answer = await wire.message()
        assert answer.status == 403
        assert answer.body == LARGE
        assert answer.head.get(b"content-length") == (b"%d" % len(LARGE) if framing == "length" else None)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_403_in_dribbles_is_judged_when_its_word_has_come(chunked: bool) -> None:
    logins = Logins()
    text = b'{"error": "Access denied due to invalid CSRF token."}'
    framed = b"".join(b"1\r\n%c\r\n" % octet for octet in text) + b"0\r\n\r\n" if chunked else text
    head = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(text)
    async with origin() as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(post(b"{}", path="/v2/x"))
        peer = await site.accept()
        await peer.message()
        peer.send(b"HTTP/1.1 403 Forbidden\r\n" + head + b"\r\n\r\n")
        for octet in framed:
            await rig.clock.settle()
            peer.send(bytes((octet,)))
        again = await peer.message()
        assert shown(again) == 2
        peer.send(OK)
        assert (await wire.message()).body == b"ok"
        assert site.accepted == 1


async def test_a_403_is_looked_at_for_no_more_than_its_beginning() -> None:
    logins = Logins()
    async with origin() as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(get("/v2/x"))
        peer = await site.accept()
        await peer.head()
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5000\r\n\r\n" + b"x" * 4095)
        await rig.until(lambda: rig.tally.response_seconds.counts != [0] * 20)
        peer.send(b"xx")
        assert (await wire.head()).status == 403
        assert await wire.octets(4097) == b"x" * 4097  # the rest need not have come
        peer.send(b"csrf" + b"x" * 899)
        assert await wire.octets(903) == b"csrf" + b"x" * 899
        assert logins.count == 1


async def test_a_403_that_breaks_off_while_it_is_looked_at_is_no_answer() -> None:
    logins = Logins()
    async with origin() as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(post(b"{}", path="/v2/x"))
        peer = await site.accept()
        await peer.message()
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 50\r\n\r\nxx")
        await rig.until(lambda: sum(rig.tally.response_seconds.counts) == 1)
        peer.close()
        answer = await wire.message()
        assert (answer.status, code(answer)) == (502, "upstream_protocol")
        assert logins.count == 1


async def test_a_403_whose_beginning_does_not_come_in_time_is_no_answer() -> None:
    logins = Logins()
    async with origin() as site, gateway(site, logins, timeouts=Timeouts(5.0, 60.0, 3.0)) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(get("/v2/x"))
        peer = await site.accept()
        await peer.head()
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 50\r\n\r\nxx")
        await rig.until(lambda: sum(rig.tally.response_seconds.counts) == 1)
        await rig.clock.advance(4.0)
        answer = await wire.message()
        assert (answer.status, code(answer)) == (504, "upstream_timeout")


@pytest.mark.parametrize("words", [b"no CSRF token", b"no permission"])
async def test_an_early_403_is_looked_at_while_the_upload_goes_on(
    words: bytes,
) -> None:
    logins = Logins()
    async with origin() as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(get("/v2/x", "Content-Length: 10", method="POST") + b"hello")
        peer = await site.accept()
        await peer.head()
        assert await peer.octets(5) == b"hello"
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(words) + words[:3])
        await rig.until(lambda: sum(rig.tally.response_seconds.counts) == 1)
        wire.send(b"wor")
        assert await peer.octets(3) == b"wor"
        peer.send(words[3:])
        again = await site.accept()
        assert (await again.head()).get(b"x-csrf-token") == b"m2"
        wire.send(b"ld")
        assert await again.octets(10) == b"helloworld"
        again.send(OK)
        assert (await wire.message()).body == b"ok"


async def test_an_early_403_to_a_large_upload_reaches_a_caller_who_sends_before_he_reads() -> None:
    logins = Logins()
    size = 8 * 1024 * 1024
    async with origin() as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(get("/v2/x", f"Content-Length: {size}", method="POST"))
        peer = await site.accept()
        await peer.head()
        peer.send(says("403 Forbidden", LARGE))
        wire.send(b"x" * size)
        answer = await wire.message()
        assert (answer.status, answer.body) == (403, LARGE)
        assert rig.tally.repairs == {"not_replayable": 1}


def call_of(rig: Rig) -> Call:
    (caller,) = rig.listener.connections
    assert caller.call is not None
    return caller.call


async def test_a_look_at_a_403_does_not_wait_for_a_caller_who_does_not_read() -> None:
    logins = Logins()
    async with origin() as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(post(b"{}", path="/v2/x"))
        peer = await site.accept()
        await peer.message()
        (caller,) = rig.listener.connections
        caller.pause_writing()  # as when his buffers are full
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nno ")
        await rig.until(lambda: sum(rig.tally.response_seconds.counts) == 1)
        caller.resume_writing()
        caller.pause_writing()
        peer.send(b"CSRF ok")
        assert shown(await peer.message()) == 2
        peer.send(OK)
        await rig.until(lambda: sum(rig.tally.response_seconds.counts) == 2)
        caller.resume_writing()
        assert (await wire.message()).body == b"ok"


async def test_a_403_that_passes_after_a_look_waits_for_a_caller_who_does_not_read() -> None:
    logins = Logins()
    async with origin() as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(get("/v2/x"))
        peer = await site.accept()
        await peer.head()
        call = call_of(rig)
        (caller,) = rig.listener.connections
        caller.pause_writing()
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + LARGE[:5000])
        await rig.until(lambda: call.relay is not None and call.relay.begun)
        peer.send(LARGE[5000:])
        await rig.clock.settle()
        assert call.relay is not None
        assert call.relay.sent < 6000
        caller.resume_writing()
        assert (await wire.message()).body == LARGE


async def test_callers_may_go_while_a_403_is_looked_at() -> None:
    logins = Logins()
    async with origin() as site, gateway(site, logins) as rig:
        await old_enough(rig, logins)
        wire = await rig.call(post(b"{}", path="/v2/x"))
        peer = await site.accept()
        await peer.message()
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 50\r\n\r\nxx")
        await rig.until(lambda: sum(rig.tally.response_seconds.counts) == 1)
        wire.close()
        await rig.until(lambda: rig.tally.in_flight == 0)
        assert await peer.ended() in ("closed", "reset")
        assert [details.status for details in rig.notes.all] == [499]
        again = await rig.call(get("/v2/x"))
        second = await site.accept()
        assert shown(await second.message()) == 1
        second.send(OK)
        assert (await again.message()).body == b"ok"
