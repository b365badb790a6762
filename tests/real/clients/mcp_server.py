"""A real MCP server (MCP's Python SDK) as Camunda 8.10 has it: `mcp_server.py PORT LIFE`.

The check of the credential before it is ours: tokens of LIFE seconds from `/token`, or a session with a CSRF
token, from `/login`. Its challenge and its metadata lead into an OAuth discovery that cannot succeed.
`/revoke` ends every credential, and `/seen` counts what was asked.
"""

import secrets
import sys
from collections import Counter
from http.cookies import SimpleCookie
from typing import Any

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PATHS = ("/mcp/cluster", "/mcp/processes")
METADATA = "/.well-known/oauth-protected-resource"
Asgi = Any


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def slow(seconds: float, context: Context) -> str:
    """Take so many seconds, and tell how far it is."""
    for step in range(3):
        await anyio.sleep(seconds / 3)
        await context.report_progress(step + 1, 3)
    return "done"


def get_topology() -> str:
    """Read something."""
    return "the topology"


class Gate:
    """Lets requests with a valid credential through to the MCP application."""

    def __init__(self, inner: Asgi, port: int, life: float, changes: Counter[str]) -> None:
        self._inner = inner
        self._port = port
        self._life = life
        self._changes = changes
        self._tokens: dict[str, float] = {}
        self._sessions: dict[str, str] = {}
        self._seen: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        request = Request(scope, receive)
        path = request.url.path
        if path in PATHS:
            reason = self._refuses(request)
            self._seen[reason or "accepted"] += 1
            if reason is None:
                await self._inner({**scope, "path": PATHS[0], "raw_path": PATHS[0].encode()}, receive, send)
                return
        await (await self._own(request, path))(scope, receive, send)

    async def _own(self, request: Request, path: str) -> Response:
        match path:
            case "/token":
                token = secrets.token_urlsafe(24)
                self._tokens[token] = anyio.current_time() + self._life
                return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": self._life})
            case "/login":
                return await self._login(request)
            case "/revoke":
                self._tokens.clear()
                self._sessions.clear()
                return Response(status_code=204)
            case "/seen":
                return JSONResponse(self._seen + self._changes)
        if path.startswith(METADATA):
            self._seen["discovery"] += 1
            server = {
                "resource": f"http://127.0.0.1:{self._port}",
                "authorization_servers": ["http://127.0.0.1:1"],
            }
            return JSONResponse(server)
        if path not in PATHS:
            return Response(status_code=404)
        challenge = f'Bearer resource_metadata="http://127.0.0.1:{self._port}{METADATA}"'
        return Response(status_code=401, headers={"WWW-Authenticate": challenge})

    async def _login(self, request: Request) -> Response:
        csrf = secrets.token_urlsafe(24)
        answer = Response(status_code=204, headers={"X-CSRF-TOKEN": csrf})
        answer.set_cookie("X-CSRF-TOKEN", csrf, httponly=True)
        if request.method == "POST":
            if b"password=demo" not in await request.body():
                return Response(status_code=401)
            session = secrets.token_urlsafe(24)
            self._sessions[session] = csrf
            answer.set_cookie("camunda-session", session, httponly=True)
        return answer

    def _refuses(self, request: Request) -> str | None:
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            ends = self._tokens.get(authorization.removeprefix("Bearer "))
            return None if ends is not None and anyio.current_time() < ends else "refused token"
        cookies = SimpleCookie(request.headers.get("Cookie", ""))
        if "camunda-session" not in cookies:
            return "nothing"
        csrf = self._sessions.get(cookies["camunda-session"].value)
        if csrf is None:
            return "refused session"
        if request.method != "GET" and request.headers.get("X-CSRF-TOKEN") != csrf:
            return "refused CSRF token"
        return None


def main(port: int, life: float) -> None:
    server = MCPServer("simulated")
    server.add_tool(add)
    server.add_tool(slow)
    server.add_tool(get_topology, name="getTopology")
    resolved: Counter[str] = Counter()

    def resolve_incident(incident: int) -> str:
        """Change something."""
        resolved["changes"] += 1
        return f"resolved {incident}"

    server.add_tool(resolve_incident, name="resolveIncident")
    inner = server.streamable_http_app(streamable_http_path=PATHS[0], host="127.0.0.1")
    uvicorn.run(Gate(inner, port, life, resolved), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
