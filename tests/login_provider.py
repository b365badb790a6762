"""An identity provider on loopback where persons log in: device and code flow, refresh, revocation."""

from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt
from aiohttp import web

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
ERRORS = ("authorization_pending", "slow_down")


class LoginProvider:
    """Logs in whom the test lets in. It rotates refresh tokens, and ends a login whose old one is used again.

    Attributes:
        url: the issuer.
        asked: (path, form or query) of each request but discovery.
        polls: answers to come for a device code that is polled: an error, or `approve`; then pending.
        device: members that replace those of a device answer; None leaves one out.
        document: likewise of the discovery document.
        answers: likewise of a token answer.
        redirect: parameters that replace those of the redirect; None leaves one out.
        script: answers to come, by path, instead of its own.
        good: the refresh tokens that are good now, one for each login.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.polls: deque[str] = deque()
        self.device: dict[str, Any] = {}
        self.document: dict[str, Any] = {}
        self.answers: dict[str, Any] = {}
        self.redirect: dict[str, Any] = {}
        self.script: dict[str, deque[web.Response]] = {}
        self.good: dict[str, str] = {}
        self._challenges: dict[str, str] = {}
        self._redirects: dict[str, str] = {}
        self._spent: dict[str, str] = {}
        self._number = count(1)

    def secrets(self) -> set[str]:
        """Everything it has issued or got that no output may hold."""
        codes = {*self._challenges, *self._spent, *self.good.values()}
        sent = ("code_verifier", "code", "device_code", "refresh_token", "token", "client_secret")
        return codes | {form[name] for _, form in self.asked for name in sent if name in form}

    def forms(self, path: str) -> list[dict[str, str]]:
        """What was sent there, in order."""
        return [form for at, form in self.asked if at == path]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.endswith("/openid-configuration"):
            return web.json_response(_with(self._document(), self.document))
        text = await request.text() if request.method == "POST" else request.rel_url.raw_query_string
        form = dict(parse_qsl(text, keep_blank_values=True))
        self.asked.append((request.path, form))
        if self.script.get(request.path):
            return self.script[request.path].popleft()
        match request.path:
            case "/device":
                return self._begin(form)
            case "/authorize":
                return self._authorize(form)
            case "/token":
                return self._token(form)
            case "/revoke":
                self.good = {login: each for login, each in self.good.items() if each != form.get("token")}
                return web.Response()
        return web.Response(status=404)

    def _document(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "token_endpoint": f"{self.url}/token",
            "authorization_endpoint": f"{self.url}/authorize",
            "device_authorization_endpoint": f"{self.url}/device",
            "revocation_endpoint": f"{self.url}/revoke",
            "authorization_response_iss_parameter_supported": True,
        }

    def _begin(self, form: dict[str, str]) -> web.Response:
        code = f"device-code-{next(self._number)}"
        self._challenges[code] = form.get("code_challenge", "")
        usual = {
            "device_code": code,
            "user_code": "WDJB-MJHT",
            "verification_uri": f"{self.url}/enter",
            "verification_uri_complete": f"{self.url}/enter?user_code=WDJB-MJHT",
            "expires_in": 60,
            "interval": 1,
        }
        return web.json_response(_with(usual, self.device))

    def _authorize(self, form: dict[str, str]) -> web.Response:
        """The person allows it at once."""
        code = f"authorization-code-{next(self._number)}"
        self._challenges[code] = form.get("code_challenge", "")
        self._redirects[code] = form["redirect_uri"]
        query = urlencode(_with({"code": code, "state": form["state"], "iss": self.url}, self.redirect))
        return web.Response(status=302, headers={"Location": f"{form['redirect_uri']}?{query}"})

    def _token(self, form: dict[str, str]) -> web.Response:
        if form.get("grant_type") == DEVICE_GRANT:
            said = self.polls.popleft() if self.polls else "authorization_pending"
            if said != "approve":
                return refused(said)
            return self._logged_in(form, form.get("device_code", ""))
        if form.get("grant_type") == "authorization_code":
            code = form.get("code", "")
            if self._redirects.pop(code, None) != form.get("redirect_uri"):
                return refused("invalid_grant", "Incorrect redirect_uri")
            return self._logged_in(form, code)
        if form.get("grant_type") == "refresh_token":
            return self._refreshed(form.get("refresh_token", ""))
        return refused("unsupported_grant_type")

    def _logged_in(self, form: dict[str, str], code: str) -> web.Response:
        digest = sha256(form.get("code_verifier", "").encode()).digest()
        if self._challenges.pop(code, None) != urlsafe_b64encode(digest).decode().rstrip("="):
            return refused("invalid_grant", "PKCE verification failed")
        self._spent[code] = ""
        return self._issued(f"login-{next(self._number)}")

    def _refreshed(self, token: str) -> web.Response:
        login = next((name for name, good in self.good.items() if good == token), None)
        if login is None:
            self.good.pop(self._spent.get(token, ""), None)  # reuse ends the login
            return refused("invalid_grant", "Session not active")
        self._spent[token] = login
        return self._issued(login)

    def _issued(self, login: str) -> web.Response:
        number = next(self._number)
        self.good[login] = f"refresh-token-{number}"
        claims = {"sub": "f:1:ada", "preferred_username": "ada"}
        usual = {
            "access_token": f"access-token-{number}",
            "token_type": "Bearer",
            "expires_in": 300,
            "refresh_token": self.good[login],
            "id_token": jwt.encode(claims, "k" * 32, "HS256"),
        }
        return web.json_response(_with(usual, self.answers))


def refused(error: str, description: str | None = None, status: int = 400) -> web.Response:
    """RFC 6749 section 5.2."""
    return web.json_response(_with({"error": error}, {"error_description": description}), status=status)


def _with(usual: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (usual | changes).items() if value is not None}


@asynccontextmanager
async def login_provider() -> AsyncIterator[LoginProvider]:
    provider = LoginProvider()
    runner = web.ServerRunner(web.Server(provider.answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield provider
    finally:
        await runner.cleanup()
