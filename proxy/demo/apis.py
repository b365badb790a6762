"""One Camunda API: which requests it accepts, and how it answers them.

Paths and shapes come from the documentation; statuses marked "observed" were seen on a real 8.6.0.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from proxy.demo.gate import Basic, Gate, Open, leftovers, nginx, problem
from proxy.demo.sessions import Sessions
from proxy.demo.tomcat import read_path
from proxy.demo.world import World

LOGIN_PATHS = ("/login", "/api/login")
TENANTS = "/physical-tenants/"


@dataclass(frozen=True, slots=True)
class Call:
    """One accepted request.

    Attributes:
        body: all of it.
        key: the segment at `{key}` in the path, decoded; empty if the route has none.
    """

    request: web.BaseRequest
    body: bytes = field(repr=False)
    key: str
    api: "Api"
    world: World


Answer = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """`path` may hold one `{key}`, a single segment."""

    method: str
    path: str
    answer: Answer

    def match(self, path: str) -> str | None:
        """Return the key, empty if the route has none; None: it is another path."""
        before, braces, after = self.path.partition("{key}")
        if not braces:
            return "" if path == self.path else None
        key = path[len(before) : len(path) - len(after)]
        fits = path.startswith(before) and path.endswith(after)
        return key if fits and key and "/" not in key else None


@dataclass(slots=True, eq=False)
class Api:
    """One API on one host.

    Attributes:
        name: such as `zeebe`; the Self-Managed API and the one on SaaS are two.
        gate: checks the Authorization field.
        sessions: the sessions of logged-in users, with an open gate; None: this API has no sessions.
        prefix: of every path; on SaaS the cluster's id.
        open: paths that need no Authorization; an invalid one is refused there too (Camunda 8.8: "permit all"
            inside the authenticated chain).
        public: paths that ignore Authorization; a trailing `/**` is everything below (8.10).
        parts: parts of the server with credentials of their own, by the beginning of their paths (8.10).
        tenants: whether it has physical tenants; one that it does not know gets 404 before any check (8.10).
        url: base URL, prefix included; set after the start.
        keys_lost: whether it refuses valid tokens as well (observed: `JWKS error`, if the issuer is
            down and the key unknown).
        statuses: answers by status.
        refusals: refused requests, by reason.
        polls: long polls waiting now.
        cut: requests whose caller left before the answer. A real 8.6.0 does not notice this (observed), so
            its job is lost.
    """

    name: str
    saas: bool
    gate: Gate
    routes: tuple[Route, ...]
    prefix: str = ""
    open: frozenset[str] = frozenset()
    public: tuple[str, ...] = ()
    parts: "dict[str, Api]" = field(default_factory=dict)
    tenants: bool = False
    sessions: Sessions | None = None
    url: str = ""
    host: str = ""
    keys_lost: bool = False
    statuses: Counter[int] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    polls: int = 0
    cut: int = 0

    async def answer(self, world: World, request: web.BaseRequest) -> web.StreamResponse:
        try:
            response = await self._judged(world, request)
        except asyncio.CancelledError:
            self.cut += 1
            raise
        else:
            self.statuses[response.status] += 1
            return response
        finally:
            world.news.tell()

    async def _judged(self, world: World, request: web.BaseRequest) -> web.StreamResponse:
        if head_size(request) > world.rules.header_limit:
            return closing(400, "<!doctype html><title>HTTP Status 400 - Bad Request</title>")  # observed
        path = read_path(request.raw_path.partition("?")[0])
        if path is None:
            return closing(400, "<!doctype html><title>HTTP Status 400 - Bad Request</title>")
        if not path.startswith(self.prefix + "/"):
            return nginx(404, "Not Found")  # not this cluster's id
        path = path[len(self.prefix) :]
        part = next((part for part in self.parts if f"{path}/".startswith(f"{part}/")), None)
        if part is not None and not self._is_public(path):
            api = self.parts[part]
            inner = path.removeprefix(api.prefix)
            query = request.raw_path.partition("?")[1:]
            response = await api.admit(world, request.clone(rel_url=inner + "".join(query)), inner, self.host)
            api.statuses[response.status] += 1
            return response
        if self.tenants and path.startswith(TENANTS):
            return problem(request, 404, "Not Found", "There is no such physical tenant")
        return await self.admit(world, request, path, self.host)

    def _is_public(self, path: str) -> bool:
        return any(
            path.startswith(each.removesuffix("**")) if each.endswith("/**") else path == each
            for each in self.public
        )

    async def admit(self, world: World, request: web.BaseRequest, path: str, host: str) -> web.StreamResponse:
        """Check the credential of a request for a path below the prefix, and answer it."""
        complaint = leftovers(request, host, cookies=self._takes_cookies(request))
        if complaint is None and self.sessions is not None:
            complaint = self.sessions.complaint(request)
        if complaint is not None:
            world.complaints.append((self.name, complaint))
            return web.Response(status=400, text=f"simulated Camunda: {complaint}")
        if self._is_public(path):
            return await self._let_in(world, request, path)
        if self.sessions is not None:
            return await self._in_session(world, self.sessions, request, path)
        authorization = request.headers.get("Authorization")
        if authorization is not None or path not in self.open:
            reason = self.gate.judge(authorization)
            if reason is None and self.keys_lost:
                reason = "keys"
            if reason is not None:
                self.refusals[reason] += 1
                return self.gate.refuse(request, reason)
        return await self._let_in(world, request, path)

    def _takes_cookies(self, request: web.BaseRequest) -> bool:
        """Tell whether a session cookie is allowed. Basic of 8.6 gives a session to unauthenticated clients
        (observed), so a login there may send it."""
        tries = isinstance(self.gate, Basic) and request.path in LOGIN_PATHS
        return isinstance(self.gate, Open) or tries

    async def _in_session(
        self, world: World, sessions: Sessions, request: web.BaseRequest, path: str
    ) -> web.StreamResponse:
        admission = await sessions.admit(request, path)
        nobody = admission.reason == "session" and "Authorization" not in request.headers
        if admission.answer is not None and not (nobody and path in self.open):
            if admission.reason is not None:
                self.refusals[admission.reason] += 1
            return admission.answer
        answer = await self._let_in(world, request, path)
        answer.headers.extend(admission.fields)
        return answer

    async def _let_in(self, world: World, request: web.BaseRequest, path: str) -> web.StreamResponse:
        body = await read(request, world.rules.body_limit)
        if body is None:
            return closing(413, "")  # observed, and after the 401
        return await self._routed(world, request, path, body)

    async def _routed(
        self, world: World, request: web.BaseRequest, path: str, body: bytes
    ) -> web.StreamResponse:
        allowed: set[str] = set()
        for route in self.routes:
            key = route.match(path)
            if key is None:
                continue
            if request.method == route.method or (request.method == "HEAD" and route.method == "GET"):
                return await route.answer(Call(request, body, key, self, world))
            allowed.add(route.method)
        if allowed:
            return web.Response(status=405, headers={"Allow": ", ".join(sorted(allowed))})
        return web.json_response({"status": 404, "error": "Not Found", "path": request.path}, status=404)


def head_size(request: web.BaseRequest) -> int:
    """Return the bytes of request line and fields."""
    line = len(request.method) + len(request.raw_path) + len("  HTTP/1.1\r\n")
    return line + sum(len(name) + len(value) + len(": \r\n") for name, value in request.raw_headers)


def closing(status: int, page: str) -> web.Response:
    response = (
        web.Response(status=status, text=page, content_type="text/html")
        if page
        else web.Response(status=status)
    )
    response.force_close()
    return response


async def read(request: web.BaseRequest, limit: int) -> bytes | None:
    """Return the body; None: it is longer than the limit. Answer `Expect` with 100 (observed)."""
    if not request.can_read_body:
        return b""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > limit:
            return None
    return bytes(body)
