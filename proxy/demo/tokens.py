"""The common part of every token endpoint: its record of requests, its switches, its invalid answers."""

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.demo.gate import leftovers
from proxy.demo.world import Client, Fault, World

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 section 5.1

INSTEAD: dict[Fault, tuple[int, str, bytes]] = {
    Fault.DOWN: (503, "text/html", b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"),
    Fault.ERROR_500: (500, "application/json", b'{"error":"unknown_error"}'),
    Fault.HTML: (200, "text/html", b"<!doctype html><title>Sign in</title>"),
    Fault.EMPTY: (200, "application/json", b""),
    Fault.BROKEN_JSON: (200, "application/json", b'{"access_token":"e30.e30.AAAA","expires_'),
    Fault.LIST: (200, "application/json", b'[{"access_token":"e30.e30.AAAA","expires_in":300}]'),
}
SPOILED: dict[Fault, dict[str, object]] = {
    Fault.OVERSIZED: {"padding": "x" * (1024 * 1024)},
    Fault.ERROR_IN_200: {"error": "invalid_client", "error_description": "said with status 200"},
    Fault.NO_TOKEN: {"access_token": None},
    Fault.WRONG_TYPE: {"token_type": "mac"},
    Fault.EXPIRES_ZERO: {"expires_in": 0},
    Fault.EXPIRES_NEGATIVE: {"expires_in": -300},
    Fault.EXPIRES_TEXT: {"expires_in": "soon"},
    Fault.TOKEN_CR: {"access_token": "e30.e30.AAAA\rX: y"},
    Fault.TOKEN_LF: {"access_token": "e30.e30.AAAA\nX: y"},
    Fault.TOKEN_SPACE: {"access_token": "e30.e30.AAAA AAAA"},
    Fault.TOKEN_NON_ASCII: {"access_token": "e30.e30.\u00e4\u00f6"},
}


@dataclass(slots=True)
class TokenRequest:
    """One request for a token; its attributes are set while it is read.

    Attributes:
        at: seconds on the Clock, when it arrived.
        gap: seconds since the one before it at this endpoint; infinite for the first.
        client, audience: as requested; empty if the request did not name them.
        outcome: `pending`, `gone` (the caller left), `issued`, `same` (the token that it got before),
            `limited` (429), `complaint`, a Fault's value, or the `error` of the answer.
    """

    at: float
    gap: float
    client: str = ""
    audience: str = ""
    outcome: str = "pending"


class Refused(Exception):
    """The request gets no token. `error` is a code of RFC 6749 section 5.2."""

    def __init__(self, status: int, error: str, description: str | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.description = description


class TokenEndpoint:
    """Attributes:
    url: its URL; set after the start.
    requests: all requests, first one first.
    clients: by name; `change_secret` replaces one.
    rejected: names of clients that are refused, even with valid secrets.
    fault: what it does instead of its work; None: it works.
    override: members to replace in an answer with a token, such as `{"expires_in": "60"}`.
    """

    name: ClassVar[str]
    path: ClassVar[str]

    def __init__(self, world: World, clients: Iterable[Client]) -> None:
        self.world = world
        self.url = ""
        self.host = ""
        self.requests: list[TokenRequest] = []
        self.clients = {client.name: client for client in clients}
        self.rejected: set[str] = set()
        self.fault: Fault | None = None
        self.override: dict[str, object] = {}

    def change_secret(self, client: str, secret: str) -> None:
        self.clients[client] = replace(self.clients[client], secret=secret)

    def count(self, outcome: str) -> int:
        """Count the requests with this outcome."""
        return sum(request.outcome == outcome for request in self.requests)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        now = self.world.clock.now()
        entry = TokenRequest(now, now - self.requests[-1].at if self.requests else math.inf)
        self.requests.append(entry)
        self.world.news.tell()
        try:
            return await self._judged(request, entry)
        finally:
            if entry.outcome == "pending":
                entry.outcome = "gone"
            self.world.news.tell()

    async def _judged(self, request: web.BaseRequest, entry: TokenRequest) -> web.StreamResponse:
        complaint = leftovers(request, self.host)
        if complaint is None and request.path == "/elsewhere":
            complaint = "a redirect was followed"  # so the secret was sent twice
        if complaint is not None:
            self.world.complaints.append((self.name, complaint))
            entry.outcome = "complaint"
            return web.Response(status=400, text=complaint)
        if self.fault is not None and self.fault not in SPOILED:
            if self.fault is not Fault.HANG:
                entry.outcome = self.fault.value
            return await self.instead(request, self.fault)
        try:
            members = await self.granted(request, entry)
        except Refused as refused:
            entry.outcome = refused.error
            return self.refusal(refused)
        members |= self.override
        if self.fault is not None:
            entry.outcome = self.fault.value
            members |= SPOILED[self.fault]
        return web.json_response(members, headers=NO_STORE)

    async def instead(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        """Do what a fault before OVERSIZED says."""
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        if fault is Fault.REDIRECT:
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        if fault is Fault.RESET:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        status, content_type, body = INSTEAD[fault]
        return web.Response(status=status, content_type=content_type, body=body)

    async def granted(self, request: web.BaseRequest, entry: TokenRequest) -> dict[str, object]:
        """Return the members of an answer with a token; set the entry's client, audience and outcome.

        Raises:
            Refused: this request gets no token.
        """
        raise NotImplementedError

    def refusal(self, refused: Refused) -> web.Response:
        members = {"error": refused.error}
        if refused.description is not None:
            members["error_description"] = refused.description
        return web.json_response(members, status=refused.status, headers=NO_STORE)


def parse_form(body: bytes) -> dict[str, str]:
    """Parse the parameters of a form body.

    Raises:
        Refused: it is no form, or repeats a parameter (RFC 6749 section 3.2: MUST NOT).
    """
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        raise Refused(400, "invalid_request", "Malformed form body") from None
    if len(dict(pairs)) != len(pairs):
        raise Refused(400, "invalid_request", "Repeated parameter")
    return dict(pairs)


def whole(seconds: float) -> float:
    """Round down as servers do in `expires_in`; but keep a life under a second, which only tests use."""
    return math.floor(seconds) if seconds >= 1 else seconds
