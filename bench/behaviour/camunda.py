"""A token endpoint and an API on loopback that go wrong on demand, and remember what they were asked.

Both read requests with the strict reader of tests/http.
The API takes any request, and messages of MCP at `/mcp`.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from bench.behaviour.lanes import SECRET
from proxy.demo.tokens import INSTEAD, SPOILED
from proxy.demo.world import Fault
from tests.http.strict import Request
from tests.http.world import Peer, Site, site

LATE: Final = 1.5
"""Seconds after a token's end in which it may still arrive: on its way, or within a clock's tolerance."""
_NONE: Final = "no credential"
_JUST_NOW: Final = "expired just now"
LIMITED: Final = "limited"
REFUSED: Final = "invalid_client"
Wrong = Fault | str | None
"""What the token endpoint does instead: a Fault, 429 with `Retry-After: 5`, or 401 (RFC 6749 section 5.2)."""


def answer(status: str, body: bytes, *fields: str, length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status}", *fields] + ([f"Content-Length: {len(body)}"] if length else [])
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Arrival:
    """A request that reached the API.

    Attributes:
        at: seconds on the loop's clock.
        bad: why its credential is none; empty: it is valid.
        accepted: whether it was answered 200.
    """

    at: float
    method: str
    target: str
    body: bytes
    bad: str
    accepted: bool


@dataclass
class Tokens:
    """The token endpoint.

    Attributes:
        wrong: what it does instead of its work.
        life: seconds that a token lives; `told` is what it says of that.
        slow: seconds until it answers.
        repeats: it gives the same token again and again.
        asked: when it was asked.
        ends: when each token ends.
        unusable: tokens that a client must not send.
    """

    life: float = 3600.0
    told: int = 3600
    wrong: Wrong = None
    slow: float = 0.0
    repeats: bool = False
    asked: list[float] = field(default_factory=list)
    ends: dict[str, float] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)

    def respond(self, peer: Peer, request: Request) -> None:
        loop = asyncio.get_running_loop()
        if not request.target.startswith(b"/elsewhere"):
            self.asked.append(loop.time())
        loop.call_later(self.slow, self._respond, peer, request)

    def _respond(self, peer: Peer, request: Request) -> None:
        if peer.transport.is_closing():
            return
        if request.target.startswith(b"/elsewhere"):
            self.unusable["elsewhere"] = "the secret was sent again to where a redirect pointed"
        if self.wrong is Fault.HANG:
            return
        if self.wrong is Fault.RESET:
            peer.reset()
            return
        peer.play(self._answer(request))

    def _answer(self, request: Request) -> bytes:
        wrong = self.wrong
        if wrong is Fault.REDIRECT:
            return answer("307 Temporary Redirect", b"", "Location: /elsewhere")
        if wrong == LIMITED:
            return answer("429 Too Many Requests", b"{}", "Retry-After: 5", "Content-Type: application/json")
        if wrong == REFUSED or SECRET not in _secret(request):
            body = b'{"error":"invalid_client"}'
            return answer("401 Unauthorized", body, "Content-Type: application/json")
        if isinstance(wrong, Fault) and wrong in INSTEAD:
            status, kind, body = INSTEAD[wrong]
            return answer(f"{status} X", body, f"Content-Type: {kind}")
        members: dict[str, Any] = {
            "access_token": self._new(),
            "token_type": "Bearer",
            "expires_in": self.told,
        }
        if isinstance(wrong, Fault):
            members |= SPOILED[wrong]
            if wrong in (Fault.WRONG_TYPE,):
                self.unusable[members["access_token"]] = "a token of a type that the client does not know"
        return answer(
            "200 OK",
            json.dumps(members).encode(),
            "Content-Type: application/json",
            "Cache-Control: no-store",
        )

    def _new(self) -> str:
        now = asyncio.get_running_loop().time()
        if self.repeats and self.ends:
            return next(iter(self.ends))
        token = f"token-{len(self.ends) + 1}-9c41"
        self.ends[token] = now + self.life
        return token

    def revoke(self) -> None:
        """No token so far is valid any more."""
        self.unusable.update(dict.fromkeys(self.ends, "revoked"))

    def bad(self, token: str) -> str:
        """Why it is no valid credential; empty: it is."""
        if token in self.unusable:
            return self.unusable[token]
        if token not in self.ends:
            return "not a token of the token endpoint"
        late = asyncio.get_running_loop().time() - self.ends[token]
        return "" if late < 0 else _JUST_NOW if late < LATE else "an expired token"


def _secret(request: Request) -> str:
    """Where a client secret may be: in the body, or in Basic."""
    form = parse_qs(request.body.decode("latin-1")).get("client_secret", [""])[0]
    basic = b"".join(request.all(b"authorization"))
    if basic.startswith(b"Basic "):
        return base64.b64decode(basic[6:]).decode("latin-1")
    return form


@dataclass
class Api:
    """The API. It answers 401 to a request without a valid token, unless `refuses` says otherwise.

    Attributes:
        refuses: by the beginning of a target: the bytes of the answer, always.
        refusal: the answer to a request without a valid token.
        slow: seconds until a request whose target begins with /slow is answered.
        bare: whether a request may come without any credential, as MCP clients ask first.
        arrived: all requests, in order.
    """

    tokens: Tokens
    refusal: bytes = answer("401 Unauthorized", b"refused", 'WWW-Authenticate: Bearer error="invalid_token"')
    refuses: dict[str, bytes] = field(default_factory=dict)
    slow: float = 0.0
    bare: bool = False
    arrived: list[Arrival] = field(default_factory=list)

    def respond(self, peer: Peer, request: Request) -> None:
        now = asyncio.get_running_loop().time()
        target = request.target.decode("latin-1")
        given = [value.decode("latin-1") for value in request.all(b"authorization")]
        bad = self.tokens.bad(given[0].removeprefix("Bearer ")) if given else _NONE
        if len(given) > 1:
            bad = "several credentials"
        refused = next((told for start, told in self.refuses.items() if target.startswith(start)), None)
        accepted = not bad and refused is None
        method = request.method.decode("latin-1")
        name = _named(request) or target
        self.arrived.append(Arrival(now, method, name, request.body, bad, accepted))
        if target == "/mcp" and method != "POST":
            told = answer("405 Method Not Allowed", b"")
        elif name in self.refuses:
            told = self.refuses[name]
        elif refused is not None:
            told = refused
        elif bad:
            told = self.refusal
        elif target == "/mcp":
            told = _mcp(request.body)
        else:
            body = f"{method} {target} {len(request.body)}".encode()
            told = answer("200 OK", b"" if method == "HEAD" else body)
        delay = self.slow if name.startswith("/slow") else 0.0
        asyncio.get_running_loop().call_later(delay, _play, peer, told)

    def forwarded(self) -> list[str]:
        """Why requests should not have reached the API."""
        right = {"", "revoked", _JUST_NOW} | ({_NONE} if self.bare else set())
        return [f"a request reached the API: {each.bad}" for each in self.arrived if each.bad not in right]


def _play(peer: Peer, told: bytes) -> None:
    if not peer.transport.is_closing():
        peer.play(told)


def _named(request: Request) -> str:
    """What an MCP client calls, as a target: a tool call names it in its arguments."""
    if request.target != b"/mcp":
        return ""
    try:
        message = json.loads(request.body or b"{}")
        return str(message.get("params", {}).get("arguments", {}).get("target", ""))
    except (ValueError, AttributeError):
        return ""


def _mcp(body: bytes) -> bytes:
    """The answer of an MCP server (streamable HTTP, 2025-06-18) to one message."""
    message = json.loads(body)
    if "id" not in message:
        return answer("202 Accepted", b"")
    result: dict[str, Any] = {"content": [{"type": "text", "text": "done"}]}
    if message["method"] == "initialize":
        result = {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "behaviour", "version": "1"},
        }
    told = {"jsonrpc": "2.0", "id": message["id"], "result": result}
    return answer("200 OK", json.dumps(told).encode(), "Content-Type: application/json")


@dataclass
class Camunda:
    """Both, and where they are."""

    tokens: Tokens
    api: Api
    token_site: Site
    api_site: Site

    @property
    def token_url(self) -> str:
        return f"http://127.0.0.1:{self.token_site.port}/oauth/token"

    def faults(self) -> list[str]:
        """What the strict reader says of the peer's own bytes."""
        return [
            f"bytes that are no HTTP/1.1 reached {name}: {peer.fault}"
            for name, here in (("the API", self.api_site), ("the token endpoint", self.token_site))
            for peer in here.peers
            if peer.fault
        ]


@asynccontextmanager
async def camunda(tokens: Tokens) -> AsyncIterator[Camunda]:
    async with AsyncExitStack() as stack:
        token_site = await stack.enter_async_context(site())
        api_site = await stack.enter_async_context(site())
        api = Api(tokens)
        token_site.begin(tokens.respond)
        api_site.begin(api.respond)
        yield Camunda(tokens, api, token_site, api_site)
